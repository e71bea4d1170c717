"""Reading request bodies: bounded, never faster than they are used, with an error that names what is wrong."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import aiofiles
import msgspec
from aiofiles.threadpool.binary import AsyncBufferedIOBase
from aiohttp import BodyPartReader, MultipartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from zeus.api.keys import ZEUS
from zeus.api.multipart import FormReader
from zeus.config import HttpConfig
from zeus.errors import BadInput, NoSpace, TooLarge, TooSlow, UnsupportedMedia
from zeus.files import Files
from zeus.mismatch import mismatch
from zeus.names import safe_name
from zeus.requests import Upload

T = TypeVar("T")
CHUNK = 1 << 18
BLOCK = 1 << 20
LARGE = 1 << 16
"""Bytes of JSON from which on it is decoded in a thread."""


class Readable(Protocol):
    """A body or a part of one."""

    async def read_chunk(self, size: int = ...) -> bytes: ...


async def read_json(request: web.Request) -> Any:
    """The request's JSON. Raises BadInput, TooLarge, TooSlow or UnsupportedMedia."""
    if request.content_type != "application/json" and not request.content_type.endswith("+json"):
        if not request.body_exists:
            raise BadInput("The request has no body; send JSON.", code="missing_body")
        raise UnsupportedMedia("The body must be JSON, with Content-Type: application/json.")
    return await parse_json(await read_body(request))


async def read_body(request: web.Request) -> bytes:
    """The request's body, which may be as long as JSON may. Raises BadInput, TooLarge or TooSlow."""
    limits, body = request.app[ZEUS].config.http, bytearray()
    while chunk := await arriving(request.content.readany(), limits):
        body += chunk
        _check_size(len(body), limits)
    return bytes(body)


async def parse_json(body: bytes) -> Any:
    """Decode JSON. Raises BadInput, also for a field that is given twice."""
    return _decode(body) if len(body) < LARGE else await asyncio.to_thread(_decode, body)


def _decode(body: bytes) -> Any:
    if not body.strip():
        raise BadInput("The request has no body; send JSON.", code="missing_body")
    try:
        value = msgspec.json.decode(body)
        ONCE.decode(body.decode())  # msgspec takes the last of two and says nothing
        return value
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(f"The body is not valid JSON: {error}.", code="invalid_json") from error


def convert(value: Any, kind: type[T]) -> T:
    """Make a typed struct of decoded JSON. Raises BadInput that names the field."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        field, text = mismatch(error, kind)
        where = f"{field}: " if field else ""
        if unknown := re.fullmatch("Object contains unknown field `(.*)`", text, re.S):
            raise BadInput(f'{where}The field "{unknown[1][:80]}" is not known.', code="unknown_field") from error
        raise BadInput(f"{where}{text}.", code="invalid_field") from error


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        name = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise BadInput(f"{name[:80]}: the field is given more than once.", code="repeated_field")
    return found


ONCE = json.JSONDecoder(object_pairs_hook=_without_repeats, parse_int=str, parse_float=str)
"""Looks for repeated fields; of numbers it has no opinion."""


def as_object(value: Any) -> Mapping[str, Any]:
    """The value, when it is a JSON object. Raises BadInput."""
    if not isinstance(value, dict):
        raise BadInput("The body must be a JSON object.", code="invalid_json")
    return value


async def arriving(read: Awaitable[T], limits: HttpConfig) -> T:
    """Wait for the next bytes of a body. Raises TooSlow, or BadInput when the connection breaks."""
    try:
        async with asyncio.timeout(limits.body_timeout):
            return await read
    except TimeoutError:
        raise TooSlow() from None
    except (ValueError, EOFError, OSError, HttpProcessingError, web.RequestPayloadError) as error:
        raise BadInput("The body is cut off or malformed.", code="incomplete_body") from error


class Form:
    """A multipart form of texts and an optional file, in any order; the file goes to the disk at once."""

    def __init__(self, files: Files, limits: HttpConfig, *, texts: Sequence[str], file: str) -> None:
        self.texts: dict[str, bytes] = {}
        """Those that came, by the field's name."""
        self.upload: Upload | None = None
        self._files, self._limits = files, limits
        self._known, self._file = (*texts, file), file
        self._part: Path | None = None

    async def read(self, request: web.Request) -> None:
        """Read it all. Raises BadInput, TooLarge, TooSlow, UnsupportedMedia or NoSpace."""
        await self._check_room(request)
        reader = await self._reader(request)
        while (part := await arriving(reader.next(), self._limits)) is not None:
            if not isinstance(part, BodyPartReader):
                raise BadInput("The form holds a form within a form.", code="invalid_multipart")
            await self._take(part)

    async def discard(self) -> None:
        """Remove the file if nobody took it over."""
        if self._part is not None:
            await asyncio.to_thread(self._part.unlink, missing_ok=True)

    async def _reader(self, request: web.Request) -> MultipartReader:
        try:
            return FormReader(request.headers, request.content)
        except ValueError as error:
            raise BadInput("The form has no usable boundary.", code="invalid_multipart") from error

    async def _check_room(self, request: web.Request) -> None:
        length = request.content_length or 0
        if length > self._limits.max_upload_bytes + self._limits.max_json_bytes:
            raise _too_large(self._limits.max_upload_bytes)
        if length > (await asyncio.to_thread(shutil.disk_usage, self._files.incoming)).free:
            raise NoSpace()

    async def _take(self, part: BodyPartReader) -> None:
        encoding = part.headers.get("Content-Transfer-Encoding", "binary").lower()
        if encoding not in ("binary", "7bit", "8bit") or "Content-Encoding" in part.headers:
            raise UnsupportedMedia("An encoded part is not accepted; send it as it is.")
        name = part.name or ""
        if name not in self._known:
            known = f"{', '.join(self._known[:-1])} and {self._known[-1]}"
            raise BadInput(f'The form has a field "{name[:80]}"; known are {known}.', code="unknown_field")
        if name in self.texts or (name == self._file and self.upload is not None):
            raise BadInput(f'The form has more than one field "{name}".', code="invalid_multipart")
        if name == self._file:
            self.upload = await self._read_file(part)
        else:
            self.texts[name] = await self._read_text(part)

    async def _read_text(self, part: BodyPartReader) -> bytes:
        body = bytearray()
        while chunk := await arriving(part.read_chunk(CHUNK), self._limits):
            body += chunk
            _check_size(len(body), self._limits)
        return bytes(body)

    async def _read_file(self, part: BodyPartReader) -> Upload:
        if not part.filename:
            raise BadInput(f"{self._file}: the part has no filename; send it as a file.", code="invalid_filename")
        name = safe_name(part.filename)
        self._part = self._files.part()
        size, digest = await self._write(part, self._part)
        if size == 0:
            raise BadInput(f'{self._file}: "{name}" is empty.', code="empty_file")
        return Upload(self._part, name, digest)

    async def _write(self, part: BodyPartReader, path: Path) -> tuple[int, str]:
        """Write a part to the disk, durably; its size and sha256."""
        digest = hashlib.sha256()
        with _full_disk_told():
            async with aiofiles.open(path, "wb") as file:
                size = await self._copy(part, file, digest)
                await file.flush()
                await asyncio.to_thread(os.fsync, file.fileno())
        return size, digest.hexdigest()

    async def _copy(self, part: BodyPartReader, file: AsyncBufferedIOBase, digest: hashlib._Hash) -> int:
        size, block = 0, bytearray()
        while chunk := await arriving(part.read_chunk(CHUNK), self._limits):
            size += len(chunk)
            if size > self._limits.max_upload_bytes:
                raise _too_large(self._limits.max_upload_bytes)
            block += chunk
            if len(block) >= BLOCK:
                await _flush(file, block, digest)
        await _flush(file, block, digest)
        return size


async def _flush(file: AsyncBufferedIOBase, block: bytearray, digest: hashlib._Hash) -> None:
    data = bytes(block)
    block.clear()
    await asyncio.to_thread(digest.update, data)
    await file.write(data)


@contextlib.contextmanager
def _full_disk_told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoSpace() from error
        raise


def _check_size(size: int, limits: HttpConfig) -> None:
    if size > limits.max_json_bytes:
        raise TooLarge(f"JSON bodies may have {limits.max_json_bytes} bytes at most.")


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"Uploads may have {limit} bytes at most (http.max_upload_bytes).")
