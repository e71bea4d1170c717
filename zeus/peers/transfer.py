"""Files to and from a node, in constant memory: uploads with their progress, downloads that resume and are checked."""

from __future__ import annotations

import asyncio
import base64
import glob
import hashlib
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, unquote

import aiohttp
import msgspec
from aiohttp.abc import AbstractStreamWriter

from zeus.errors import ZeusError
from zeus.peers.connection import ATTEMPTS, Connection, ServerRefused, ServerUnreachable, pause

CHUNK = 256 * 1024
LONGEST_TAG = 48
"""Characters of a file's version that has a place in the name of its part; with any other it is fetched anew."""
PACE_SECONDS, LEAST = 60.0, 256
"""A download in which fewer bytes a second than that arrive, for so many seconds, is given up."""
Progress = Callable[[int, int | None], None]
"""Called with the bytes that are through, and all that there are where that is known."""


class DownloadDamaged(ZeusError):
    """What arrived is not what the server has: its checksum differs."""

    code = "download_damaged"


class Upload(aiohttp.Payload):
    """A file, or what it has from `start` on, as a request's body or a part of it, of the size that it has now."""

    def __init__(
        self, path: Path, progress: Progress | None, *, start: int = 0, kind: str = "application/octet-stream"
    ) -> None:
        super().__init__(path, content_type=kind)
        self._start = start
        self._size = path.stat().st_size - start
        self._progress = progress

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        raise TypeError("an upload is not text")

    async def write(self, writer: AbstractStreamWriter) -> None:
        with await asyncio.to_thread(self._value.open, "rb") as file:
            file.seek(self._start)
            done = 0
            while done < self.size:
                chunk = await asyncio.to_thread(file.read, min(CHUNK, self.size - done))
                if not chunk:
                    raise ZeusError(f"{self._value} became shorter while it was sent.", code="file_changed")
                await writer.write(chunk)
                done += len(chunk)
                if self._progress:
                    self._progress(self._start + done, self._start + self.size)

    @property
    def size(self) -> int:
        assert self._size is not None
        return self._size


class Expected(msgspec.Struct, frozen=True):
    """What a file is known to be before it is fetched: its size in bytes and its sha256 in hex."""

    size: int
    sha256: str


async def download(
    connection: Connection,
    path: str,
    params: Mapping[str, str],
    target: Path,
    progress: Progress | None,
    expected: Expected | None = None,
) -> None:
    """Fetch a file; what an earlier try left in a `.part` beside the target is not fetched again.

    The target appears only when it is whole. Raises DownloadDamaged, ServerUnreachable and ServerRefused.
    """
    failures = 0
    while True:
        before = _size_of(_find_part(target))
        try:
            return await _download_once(connection, path, params, target, progress, expected)
        except (ServerUnreachable, ServerRefused) as error:
            failures = failures + 1 if _size_of(_find_part(target)) <= before else 1
            if not error.again or failures >= ATTEMPTS:
                raise
        await pause(failures)


async def _download_once(
    connection: Connection,
    path: str,
    params: Mapping[str, str],
    target: Path,
    progress: Progress | None,
    expected: Expected | None,
) -> None:
    part = _find_part(target)
    if part and await _go_on(connection, path, params, target, part, progress, expected):
        return
    if part:  # nothing of what is here can be used
        part.unlink()
    if not await _go_on(connection, path, params, target, None, progress, expected):
        raise DownloadDamaged("The server answers with a part of the file that was not asked for.")


async def _go_on(
    connection: Connection,
    path: str,
    params: Mapping[str, str],
    target: Path,
    part: Path | None,
    progress: Progress | None,
    expected: Expected | None,
) -> bool:
    """Fetch what is missing behind a part, or all of the file; False where the two do not fit."""
    have = _size_of(part)
    tag = _tag_of(part, target) if part and have else ""
    headers = {"Range": f"bytes={have}-", "If-Range": tag} if tag else {}
    try:
        async with connection.open("GET", path, params=params, headers=headers) as response:
            # Not every server heeds If-Range: the rest of another version must not go behind what is here.
            fits = response.status == 206 and bool(tag) and response.headers.get("ETag") == tag
            if response.status == 206 and not fits:
                return False
            whole, have = (part, have) if fits and part else (_new_part(target, part, response), 0)
            digest = await _receive(response, whole, have, progress, expected)
            _check(digest, response.headers.get("Repr-Digest", ""), whole, expected)
            whole.replace(target)
            return True
    except ServerRefused as error:
        if error.status == 416 and part:
            return False
        raise


async def _receive(
    response: aiohttp.ClientResponse, part: Path, have: int, progress: Progress | None, expected: Expected | None
) -> Any:
    """Write what arrives behind what is there; the digest of it all. Raises DownloadDamaged, ServerUnreachable."""
    total = None if response.content_length is None else have + response.content_length
    pace = _Pace()
    with part.open("r+b" if have else "w+b") as file:
        digest = await asyncio.to_thread(_digest_of, file)
        async for chunk in response.content.iter_chunked(CHUNK):
            have += len(chunk)
            if expected is not None and have > expected.size:
                await asyncio.to_thread(part.unlink)
                raise DownloadDamaged(f"The server sends more than the {expected.size} bytes that the file has.")
            await asyncio.to_thread(_write, file, digest, chunk)
            pace.take(len(chunk))
            if progress:
                progress(have, total)
    return digest


class _Pace:
    """Sees that bytes go on arriving: a server that sends one now and then would be waited for without end."""

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._bytes = 0

    def take(self, count: int) -> None:
        """Raises ServerUnreachable when too few came for too long."""
        self._bytes += count
        if time.monotonic() - self._since > PACE_SECONDS:
            if self._bytes < LEAST * PACE_SECONDS:
                raise ServerUnreachable("The file arrives too slowly.")
            self._since, self._bytes = time.monotonic(), 0


def _digest_of(file: IO[bytes]) -> Any:
    digest = hashlib.sha256()
    while chunk := file.read(CHUNK):
        digest.update(chunk)
    return digest


def _write(file: IO[bytes], digest: Any, chunk: bytes) -> None:
    file.write(chunk)
    digest.update(chunk)


def _check(digest: Any, header: str, part: Path, expected: Expected | None) -> None:
    told = re.search(r"sha-256=:([A-Za-z0-9+/=]+):", header)
    wrong = told and told[1] != base64.b64encode(digest.digest()).decode()
    if wrong or (expected is not None and expected != Expected(part.stat().st_size, digest.hexdigest())):
        part.unlink()
        raise DownloadDamaged


def _find_part(target: Path) -> Path | None:
    """What an earlier try left, with the version that it belongs to in its name."""
    return next(iter(sorted(target.parent.glob(f"{glob.escape(target.name)}.*.part"))), None)


def _new_part(target: Path, old: Path | None, response: aiohttp.ClientResponse) -> Path:
    if old:
        old.unlink()
    strong = re.fullmatch(r'"([!#-~]+)"', response.headers.get("ETag", ""))
    tag = quote(strong[1], safe="") if strong else ""
    return target.with_name(f"{target.name}.{tag}.part" if 0 < len(tag) <= LONGEST_TAG else f"{target.name}.part")


def _tag_of(part: Path, target: Path) -> str:
    return f'"{unquote(part.name[len(target.name) + 1 : -len(".part")])}"'


def _size_of(part: Path | None) -> int:
    return part.stat().st_size if part else 0
