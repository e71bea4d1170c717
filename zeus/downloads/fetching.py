"""Fetching over HTTP what strangers publish: bounded, resumed where it was cut off, never sent on to plain http."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from yarl import URL

from zeus.errors import NotReady
from zeus.files import Files, remove

ATTEMPTS = 5
"""Tries in a row that may bring nothing new."""
FIRST_DELAY = 0.5
"""Seconds before the second try, doubled each time."""
CONNECT, SILENCE = 15.0, 60.0
"""Seconds for a connection, and without a byte."""
REDIRECTS = frozenset({301, 302, 303, 307, 308})
HOPS = 5
LONGEST_TEXT = 4 << 20
LARGEST_FILE = 16 << 30
UNPACKED = 4
"""How many times its size an archive may need once it is unpacked, as far as disk space is looked at beforehand."""
BLOCK = 1 << 20

Report = Callable[[int, int | None], None]
"""Called with the bytes that are there, and all that there are where that is known."""


class Unreachable(NotReady):
    """The place where versions are published does not answer as it should."""

    code = "releases_unreachable"


class Fetcher:
    """Requests to the places where versions are published."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def text(self, url: URL, wait: float) -> str:
        """A short text, within `wait` seconds. Raises Unreachable."""
        try:
            async with asyncio.timeout(wait), self._open(url, {}) as response:
                _check_status(response, url)
                data = await response.content.read(LONGEST_TEXT)
                while chunk := await response.content.read(LONGEST_TEXT):
                    data += chunk
                    if len(data) > LONGEST_TEXT:
                        raise Unreachable(f"{shown(url)} is longer than any list of versions.")
        except (aiohttp.ClientError, OSError) as error:
            raise Unreachable(f"{shown(url)} cannot be read: {_reason(error)}.") from error
        return data.decode("utf-8", "replace")

    async def file(self, url: URL, part: Path, report: Report) -> None:
        """Fetch a file into `part`, of which what is there already is not fetched again.

        Raises Unreachable when several tries in a row brought nothing, and NoSpace.
        """
        failures = 0
        while True:
            before = await self._files.do(_size, part)
            try:
                return await self._once(url, part, before, report)
            except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
                failures = failures + 1 if await self._files.do(_size, part) <= before else 1
                if failures >= ATTEMPTS:
                    raise Unreachable(f"{shown(url)} cannot be fetched: {_reason(error)}.") from error
            await asyncio.sleep(FIRST_DELAY * 2 ** (failures - 1))

    async def _once(self, url: URL, part: Path, have: int, report: Report) -> None:
        headers = {"Range": f"bytes={have}-"} if have else {}
        async with self._open(url, headers) as response:
            if response.status == 416 and response.headers.get("Content-Range") == f"bytes */{have}":
                return report(have, have)  # all of it is here
            continues = response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
            if response.status == 416 or (response.status == 206 and not (have and continues)):
                await self._files.do(remove, part)
                raise aiohttp.ClientPayloadError("what is there does not go on where it was cut off")
            _check_status(response, url)
            have = have if response.status == 206 else 0
            total = None if response.content_length is None else have + response.content_length
            _check_size(total or 0, url)
            await self._files.do(_make_room, part, have, total)
            await self._receive(response, part, have, lambda done: report(done, total))

    async def _receive(
        self, response: aiohttp.ClientResponse, part: Path, have: int, report: Callable[[int], None]
    ) -> None:
        block = bytearray()
        report(have)
        try:
            async for chunk in response.content.iter_chunked(BLOCK):
                block += chunk
                _check_size(have + len(block), response.url)
                if len(block) >= BLOCK:
                    at, data = have, bytes(block)
                    have, block = have + len(data), bytearray()
                    await self._files.do(_write_at, part, at, data)
                report(have + len(block))
        finally:  # what came before the connection broke is not fetched again
            await self._files.do(_write_at, part, have, bytes(block))

    @asynccontextmanager
    async def _open(self, url: URL, headers: dict[str, str]) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer that is no redirect; those are followed to https alone."""
        for _ in range(HOPS):
            async with self._opened().get(url, headers=headers, allow_redirects=False) as response:
                if response.status not in REDIRECTS:
                    yield response
                    return
                url = _next(url, response.headers.get("Location", ""))
        raise Unreachable(f"{shown(url)} is behind too many redirects.")

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT, sock_read=SILENCE),
                # The bytes as they lie there: with a coding no sum and no range would fit.
                headers={"Accept-Encoding": "identity", "User-Agent": "zeus"},
                auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar(), trust_env=True,
            )  # fmt: skip
        return self._session


def shown(url: URL) -> str:
    """A URL for people, without what may be secret in it."""
    port = f":{url.explicit_port}" if url.explicit_port else ""
    return f"{url.scheme}://{url.host_subcomponent or ''}{port}{url.path}"


def _next(url: URL, location: str) -> URL:
    try:
        target = url.join(URL(location))
    except ValueError as error:
        raise Unreachable(f"{shown(url)} redirects to nowhere.") from error
    if target.scheme != "https":
        raise Unreachable(f"{shown(url)} redirects to {shown(target)}, which is not https.")
    return target


def _check_status(response: aiohttp.ClientResponse, url: URL) -> None:
    if response.status in (429, 500, 502, 503, 504):
        raise aiohttp.ClientPayloadError(f"it answered {response.status}")
    if response.status not in (200, 206):
        raise Unreachable(f"{shown(url)} cannot be read: it answered {response.status}.")


def _check_size(size: int, url: URL) -> None:
    if size > LARGEST_FILE:
        raise Unreachable(f"{shown(url)} is larger than any archive that is taken.")


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it took too long to answer"
    if isinstance(error, aiohttp.ClientSSLError):
        return "its certificate is not one to trust, or it does not speak TLS"
    if isinstance(error, aiohttp.ClientConnectorError):
        number = error.os_error.errno or 0
        return os.strerror(number) if number > 0 else error.os_error.strerror or "the connection was closed"
    # aiohttp puts the headers of what it could not parse behind the first line
    return re.split(r"[\n<]", str(error))[0].rstrip(": .") or type(error).__name__


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _make_room(part: Path, have: int, total: int | None) -> None:
    """Begin the file anew unless there is something to keep. Raises OSError when the disk has too little room."""
    if not have:
        part.write_bytes(b"")
    if total is not None and total - have + UNPACKED * total > shutil.disk_usage(part.parent).free:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _write_at(part: Path, position: int, data: bytes) -> None:
    with part.open("r+b") as file:
        file.seek(position)
        file.write(data)
