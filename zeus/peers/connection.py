"""One node's address, and requests to it: errors typed, waits bounded, reads retried."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import aiohttp
import msgspec
from yarl import URL

from zeus.errors import BadInput, ZeusError
from zeus.wire import ErrorBody

T = TypeVar("T")
ATTEMPTS = 3
FIRST_DELAY = 0.2
CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 60.0
READS = frozenset({"GET", "HEAD"})


class ServerUnreachable(ZeusError):
    """The server does not answer."""

    code = "server_unreachable"
    again = True


class ServerRefused(ZeusError):
    """The server refused the request."""

    code = "server_refused"

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message, code=code)
        self.status = status

    @property
    def again(self) -> bool:
        """Whether a read may fare better a moment later."""
        return self.status in (502, 503, 504)


class Answer(msgspec.Struct, frozen=True):
    """A whole answer, read into memory."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Connection:
    """Requests to one node: `http://host:port`, `https://…`, or `unix:/path` for a socket on this machine."""

    def __init__(self, url: str, token: str | None, session: aiohttp.ClientSession | None) -> None:
        self.url = url
        self.base = _base(url)
        self._authorization = {"Authorization": f"Bearer {token}"} if token else {}
        self._session = session
        self._is_own = session is None

    async def close(self) -> None:
        """Close the session unless it was the caller's."""
        if self._session is not None and self._is_own:
            await self._session.close()
            self._session = None

    async def request(
        self,
        method: str,
        path: str,
        *,
        wait: float = ANSWER_SECONDS,
        body: Callable[[], Any] | None = None,
        key: str | None = None,
        **options: Any,
    ) -> Answer:
        """Send a request and read its answer; `options` are aiohttp's, `body` makes the data of one attempt.

        Retried are reads, and what has an idempotency `key`: the server does that once however often it is told.
        Raises ServerUnreachable, and ServerRefused for a status of 300 or more.
        """
        attempts = ATTEMPTS if method in READS or key else 1
        if key:
            options["headers"] = {**options.get("headers", {}), "Idempotency-Key": key}
        for attempt in range(attempts):
            try:
                if body is not None:
                    options["data"] = body()
                async with self.open(method, path, wait=wait, **options) as response:
                    return Answer(response.status, response.headers, await response.read())
            except (ServerUnreachable, ServerRefused) as error:
                if not error.again or attempt == attempts - 1:
                    raise
            await pause(attempt)
        raise AssertionError("the last attempt returns or raises")

    @asynccontextmanager
    async def open(
        self, method: str, path: str, *, wait: float = ANSWER_SECONDS, **options: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request once; the answer's body is for the caller to read. `wait`: seconds without a byte."""
        async with self.exchange(method, path, wait=wait, **options) as response:
            if response.status >= 300:
                raise _refusal(response.status, await response.read())
            yield response

    @asynccontextmanager
    async def exchange(
        self, method: str, path: str, *, wait: float | None = ANSWER_SECONDS, **options: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request once, for whoever takes the answer as it is, a refusal too. Raises ServerUnreachable."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=wait)
        headers = {**self._authorization, **options.pop("headers", {})}
        url = URL(self.base + path, encoded=True)
        try:
            async with self._opened().request(
                method, url, headers=headers, timeout=timeout, allow_redirects=False, **options
            ) as response:
                yield response
        except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
            raise ServerUnreachable(f"{self.url} cannot be reached: {_reason(error)}.") from error

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            path = self.url.removeprefix("unix:")
            connector = aiohttp.UnixConnector(path) if path != self.url else None
            self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        return self._session


def decode(answer: Answer, kind: type[T]) -> T:
    """An answer's JSON; unknown fields are left aside. Raises ServerRefused when it is not of this shape."""
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except msgspec.MsgspecError as error:
        message = f"The server's answer is not one of Zeus's API: {error}."
        raise ServerRefused(answer.status, "unexpected_answer", message) from error


async def pause(attempt: int) -> None:
    """Wait before another attempt: longer each time, and not in step with other clients."""
    await asyncio.sleep(FIRST_DELAY * 2**attempt * random.uniform(0.5, 1.0))


def _base(url: str) -> str:
    if url.startswith("unix:"):
        return "http://localhost"
    full = (url if "://" in url else f"http://{url}").rstrip("/")
    try:
        parsed = URL(full)
        if parsed.scheme in ("http", "https") and parsed.host and parsed.port:
            return full
    except ValueError:
        pass
    raise BadInput(f'"{url}" is not a server\'s URL; one looks like http://render-1:8080.')


def _refusal(status: int, body: bytes) -> ServerRefused:
    try:
        error = msgspec.json.decode(body, type=ErrorBody)
        return ServerRefused(status, error.error, error.message)
    except msgspec.MsgspecError:
        first = body.decode("utf-8", "replace").strip().splitlines()[:1]
        return ServerRefused(status, f"http_{status}", f"The server answered {status}: {''.join(first)[:200]}")


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it took too long to answer"
    if isinstance(error, aiohttp.ClientConnectorError):
        number = error.os_error.errno or 0
        return os.strerror(number) if number > 0 else error.os_error.strerror or str(error.os_error)
    return str(error) or type(error).__name__
