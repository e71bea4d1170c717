"""Responses of more than one route: JSON of typed structs, and files streamed in slices."""

from __future__ import annotations

import asyncio
import base64
import io
import os
import re
from typing import IO, Any, cast
from urllib.parse import quote

import msgspec
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from zeus.errors import BadInput
from zeus.files import Files
from zeus.model import Output

SLICE = 4 << 20
"""Bytes that one call of sendfile may take: between two, everyone else gets a turn."""


def json_response(value: Any, status: int = 200) -> web.Response:
    """A typed struct as JSON."""
    return web.Response(body=msgspec.json.encode(value), status=status, content_type="application/json")


def job_id_of(request: web.Request) -> str:
    """The path's job id. Raises BadInput where it cannot be one."""
    job_id = request.match_info["job_id"]
    if not re.fullmatch(r"[A-Za-z0-9-]{1,64}", job_id):
        raise BadInput("A job id has only letters, digits and hyphens.", code="invalid_job_id")
    return job_id


class SlicedFile(web.FileResponse):
    """A file by sendfile, slice by slice, ranges and conditions included; never a compressed neighbour in its place."""

    def _get_file_path_stat_encoding(self, accept_encoding: str) -> Any:
        return super()._get_file_path_stat_encoding("")

    async def _prepare_open_file(
        self, request: web.BaseRequest, fobj: IO[Any], st: os.stat_result, file_encoding: str | None
    ) -> AbstractStreamWriter | None:
        """Send all of it where `If-Range` names another file's ETag: aiohttp itself reads only a date there."""
        named = request.headers.get("If-Range", "")
        if '"' in named and named != f'"{st.st_mtime_ns:x}-{st.st_size:x}"':
            request = request.clone(
                headers=[(name, value) for name, value in request.headers.items() if name != "Range"]
            )
        return await super()._prepare_open_file(request, cast(io.BufferedReader, fobj), st, file_encoding)

    async def _sendfile(self, request: web.BaseRequest, fobj: IO[Any], offset: int, count: int) -> AbstractStreamWriter:
        writer = await web.StreamResponse.prepare(self, request)
        assert writer is not None
        loop = asyncio.get_running_loop()
        while count > 0:
            if request.transport is None:
                raise ConnectionResetError("the client went away")
            sent = await loop.sendfile(request.transport, fobj, offset, min(count, SLICE))
            if sent == 0:
                raise ConnectionResetError("the file ended early")
            offset += sent
            count -= sent
            await asyncio.sleep(0)
        await web.StreamResponse.write_eof(self)
        return writer


def file_response(files: Files, output: Output, content_type: str, *, attachment: bool) -> SlicedFile:
    """A published output, with its digest."""
    digest = base64.b64encode(bytes.fromhex(output.sha256)).decode()
    headers = {
        "Content-Type": content_type,
        "Content-Disposition": _disposition(output.name, attachment),
        "Repr-Digest": f"sha-256=:{digest}:",
        "Content-Security-Policy": "sandbox; default-src 'none'",
    }
    return SlicedFile(files.output(output), headers=headers)


def _disposition(name: str, attachment: bool) -> str:
    plain = re.sub(r'[^ !#-\[\]-~]|[\\"]', "_", name)
    return f"{'attachment' if attachment else 'inline'}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
