"""Responses of more than one route: JSON of typed structs, and files streamed in slices."""

from __future__ import annotations

import asyncio
import base64
import io
import os
import re
from collections.abc import Mapping
from typing import IO, Any, cast
from urllib.parse import quote

import msgspec
from aiohttp import Payload, web
from aiohttp.abc import AbstractStreamWriter

from zeus.api.errors import HTTP_CODES, error_response
from zeus.errors import BadInput
from zeus.files import Files
from zeus.model import Output

JOB_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
SLICE = 4 << 20
"""Bytes that one call of sendfile may take: between two, everyone else gets a turn."""
PIECE = 64 << 10
"""Bytes of a body in memory that are handed to a connection at once, and held for it until the client reads."""


def json_response(value: Any, status: int = 200) -> web.Response:
    """A typed struct as JSON."""
    return json_body(msgspec.json.encode(value), status)


def json_body(data: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """JSON that is encoded already, and may be what many clients get."""
    body = data if len(data) <= PIECE else Pieces(data)
    return web.Response(body=body, status=status, headers=headers, content_type="application/json")


def job_id_of(request: web.Request) -> str:
    """The path's job id. Raises BadInput where it cannot be one."""
    job_id = request.match_info["job_id"]
    if not JOB_ID.fullmatch(job_id):
        raise BadInput("A job id has only letters, digits and hyphens.", code="invalid_job_id")
    return job_id


class Pieces(Payload):
    """A body that goes out piece by piece: as a whole, each connection would get a copy of all that is not read yet."""

    _value: bytes

    def __init__(self, value: bytes) -> None:
        super().__init__(value)
        self._size = len(value)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return self._value.decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        whole = memoryview(self._value)
        for start in range(0, len(whole), PIECE):
            await writer.write(whole[start : start + PIECE])


class SlicedFile(web.FileResponse):
    """A file by sendfile, slice by slice, ranges and conditions included; never a compressed neighbour in its place."""

    def _get_file_path_stat_encoding(self, accept_encoding: str) -> Any:
        return super()._get_file_path_stat_encoding("")

    async def _prepare_open_file(
        self, request: web.BaseRequest, fobj: IO[Any], st: os.stat_result, file_encoding: str | None
    ) -> AbstractStreamWriter | None:
        """Send all of it where the range is to be ignored: aiohttp refuses units that it does not know, and of
        `If-Range` it reads only a date."""
        if _ignores_range(request, f'"{st.st_mtime_ns:x}-{st.st_size:x}"'):
            request = request.clone(
                headers=[(name, value) for name, value in request.headers.items() if name != "Range"]
            )
        if _outside(request, st):
            return await self._refuse_range(request, st.st_size)
        return await super()._prepare_open_file(request, cast(io.BufferedReader, fobj), st, file_encoding)

    async def _refuse_range(self, request: web.BaseRequest, size: int) -> AbstractStreamWriter | None:
        """The error in the client's dialect, in place of the file."""
        told = error_response(request, 416, HTTP_CODES[416], f"The file has {size} bytes, and not those.")
        body = cast(bytes, told.body)
        self.headers.clear()
        self.set_status(told.status)
        self.headers.update({**told.headers, "Content-Range": f"bytes */{size}"})
        self.content_length = len(body)
        writer = await web.StreamResponse.prepare(self, request)
        if request.method != "HEAD":
            await self.write(body)
        return writer

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


def _ignores_range(request: web.BaseRequest, etag: str) -> bool:
    """Whether a range is of another unit than bytes, one of several, or of another file than this."""
    wanted, named = request.headers.get("Range", "bytes="), request.headers.get("If-Range", "")
    return not wanted.lower().startswith("bytes=") or "," in wanted or ('"' in named and named != etag)


def _outside(request: web.BaseRequest, facts: os.stat_result) -> bool:
    """Whether a request wants a range that the file does not have."""
    try:
        since, start = request.if_range, request.http_range.start
    except ValueError:
        return True
    if start is None or (since is not None and facts.st_mtime > since.timestamp()):
        return False
    return bool((start if start >= 0 else max(start + facts.st_size, 0)) >= facts.st_size)


def file_response(files: Files, output: Output, content_type: str, *, attachment: bool) -> SlicedFile:
    """A published output, with its digest."""
    digest = base64.b64encode(bytes.fromhex(output.sha256)).decode()
    headers = {
        "Content-Type": content_type,
        "Content-Disposition": disposition(output.name, attachment),
        "Repr-Digest": f"sha-256=:{digest}:",
        "Content-Security-Policy": "sandbox; default-src 'none'",
    }
    return SlicedFile(files.output(output), headers=headers)


def disposition(name: str, attachment: bool) -> str:
    """The Content-Disposition for a file of this name, for old clients and new ones."""
    plain = re.sub(r'[^ !#-\[\]-~]|[\\"]', "_", name)
    return f"{'attachment' if attachment else 'inline'}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
