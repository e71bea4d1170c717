"""One node's address, and requests to it: errors typed, waits bounded, reads retried."""

from __future__ import annotations

import asyncio
import os
import random
import ssl
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
NODE_HEADER = "X-Zeus-Node"
"""Says which node asks; it is believed only with that node's token, or by a node that is open to all."""
MOST_WORDS = 64 << 10
"""Bytes of a refusal that are read."""


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
    """Requests to one node: `http://host:port`, `https://…`, or `unix:/path` for a socket on this machine.

    `trust` says which certificates are believed, by default those that the system does. `node`: which node asks.
    """

    def __init__(
        self,
        url: str | None,
        token: str | None,
        session: aiohttp.ClientSession | None = None,
        trust: ssl.SSLContext | None = None,
        node: str = "",
    ) -> None:
        self._node = {NODE_HEADER: node} if node else {}
        self._session = session
        self._is_own = session is None
        self._trust = trust
        self.move(url, token)

    def move(self, url: str | None, token: str | None) -> None:
        """Send what is asked from now on to this URL, with this token. None is nowhere: each request fails at once."""
        self.url = url or ""
        self.base = "" if url is None else _base(url)
        self._authorization = {"Authorization": f"Bearer {token}"} if token else {}

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
        most: int | None = None,
        once: bool = False,
        **options: Any,
    ) -> Answer:
        """Send a request and read its answer; `options` are aiohttp's, `body` makes the data of one attempt.

        Retried unless it is to be sent `once`: reads, and what has an idempotency `key`, since the server does that
        once however often it is told. Raises ServerUnreachable, and ServerRefused for a status of 300 or more and for
        an answer of more than `most` bytes.
        """
        attempts = ATTEMPTS if (method in READS or key) and not once else 1
        if key:
            options["headers"] = {**options.get("headers", {}), "Idempotency-Key": key}
        for attempt in range(attempts):
            try:
                if body is not None:
                    options["data"] = body()
                async with self.open(method, path, wait=wait, **options) as response:
                    return Answer(response.status, response.headers, await _read(response, most))
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
                raise _refusal(response.status, await response.content.read(MOST_WORDS))
            yield response

    @asynccontextmanager
    async def exchange(
        self, method: str, path: str, *, wait: float | None = ANSWER_SECONDS, **options: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request once, for whoever takes the answer as it is, a refusal too. Raises ServerUnreachable."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=wait)
        headers = {**self._authorization, **self._node, **options.pop("headers", {})}
        if not self.base:
            raise ServerUnreachable
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
            # Any number at once: requests that wait for news must not hold up those that ask for a sign of life.
            trusting = aiohttp.TCPConnector(ssl=self._trust or True, limit=0)
            connector = aiohttp.UnixConnector(path) if path != self.url else trusting
            self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        return self._session


def decode(answer: Answer, kind: type[T]) -> T:
    """An answer's JSON; unknown fields are left aside. Raises ServerRefused when it is not of this shape."""
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except (msgspec.MsgspecError, RecursionError) as error:
        message = f"The server's answer is not one of Zeus's API: {error}."
        raise ServerRefused(answer.status, "unexpected_answer", message) from error


async def pause(attempt: int) -> None:
    """Wait before another attempt: longer each time, and not in step with other clients."""
    await asyncio.sleep(FIRST_DELAY * 2**attempt * random.uniform(0.5, 1.0))


async def _read(response: aiohttp.ClientResponse, most: int | None) -> bytes:
    if most is None:
        return await response.read()
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > most:
            raise ServerRefused(response.status, "unexpected_answer", f"The answer has more than {most} bytes.")
    return bytes(body)


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
    except (msgspec.MsgspecError, RecursionError):
        first = body.decode("utf-8", "replace").strip().splitlines()[:1]
        return ServerRefused(status, f"http_{status}", f"The server answered {status}: {''.join(first)[:200]}")


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it took too long to answer"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"its certificate is not believed ({getattr(error.certificate_error, 'verify_message', 'no reason')})"
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return "it does not speak TLS as it should"
    if isinstance(error, aiohttp.ClientConnectorError):
        number = error.os_error.errno or 0
        return os.strerror(number) if number > 0 else error.os_error.strerror or str(error.os_error)
    return str(error) or type(error).__name__
