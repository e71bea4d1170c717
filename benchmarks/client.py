"""A client that costs little beside the server it measures: kept connections, bodies counted, not kept."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import time
from collections.abc import Iterable, Sequence
from typing import Any

LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
AT_ONCE = 50
"""Connections opened together: fewer than any server's backlog."""
HANG = 150.0
"""Seconds after which a measurement counts as hanging."""
BUFFER = memoryview(bytearray(1 << 20))
"""What every connection reads into: each read is dealt with before the next."""


class Connection(asyncio.BufferedProtocol):
    """One connection, one request at a time."""

    def __init__(self) -> None:
        self.body = bytearray()
        self._keep = False
        self._head = bytearray()
        self._left: int | None = None
        """Bytes of the body still to come; None before the head's end."""
        self._answer: asyncio.Future[int] | None = None
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("the server closed the connection"))

    def ask(self, request: bytes, *, keep: bool = False) -> asyncio.Future[int]:
        """Send a request; its status once the whole body is here, which `keep` keeps."""
        assert self._transport is not None
        self._keep, self._left = keep, None
        self._head.clear()
        self.body.clear()
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def get_buffer(self, sizehint: int) -> memoryview:
        return BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        part = BUFFER[:nbytes]
        if self._left is None:
            self._head += part
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return
            found = LENGTH.search(self._head, 0, end + 2)
            self._left = int(found[1]) if found else 0
            part = memoryview(bytes(self._head[end + 4 :]))
        if self._keep:
            self.body += part
        self._left -= len(part)
        if self._left <= 0 and self._answer is not None and not self._answer.done():
            self._answer.set_result(int(self._head[9:12]))


def request(method: str, path: str, body: Any = None) -> bytes:
    """A request's bytes; a body is sent as JSON."""
    sent = b"" if body is None else json.dumps(body).encode()
    kind = "" if body is None else "Content-Type: application/json\r\n"
    return f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{kind}Content-Length: {len(sent)}\r\n\r\n".encode() + sent


async def connect(port: int, count: int) -> list[Connection]:
    loop = asyncio.get_running_loop()
    made: list[Connection] = []
    while len(made) < count:
        some = range(min(AT_ONCE, count - len(made)))
        pairs = await asyncio.gather(*(loop.create_connection(Connection, "127.0.0.1", port) for _ in some))
        made += [protocol for _, protocol in pairs]
    return made


async def fetch(port: int, sent: bytes) -> Any:
    """The JSON that one request is answered with."""
    [connection] = await connect(port, 1)
    try:
        status = await asyncio.wait_for(connection.ask(sent, keep=True), HANG)
        _expect([status], connection)
        return json.loads(bytes(connection.body))
    finally:
        connection.close()


async def seconds(port: int, requests: Sequence[bytes], clients: int) -> float:
    """How long `clients` connections take for all requests, each sending its next one when it has its answer."""
    connections = await connect(port, clients)
    left = iter(requests)

    async def work(connection: Connection) -> None:
        for each in left:
            _expect([await connection.ask(each)], connection)

    try:
        started = time.perf_counter()
        await asyncio.wait_for(asyncio.gather(*map(work, connections)), HANG)
        return time.perf_counter() - started
    finally:
        for each in connections:
            each.close()


class Waiters:
    """Many long polls, parked until one change."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._connections: list[Connection] = []
        self._answers: list[asyncio.Future[int]] = []

    async def park(self, sent: bytes, count: int) -> None:
        self._connections = await connect(self._port, count + 1)
        self._answers = [each.ask(sent) for each in self._connections[1:]]

    async def wake(self, change: bytes) -> float:
        """Seconds from the change's request to the last byte of the last waiter's list."""
        early = sum(each.done() for each in self._answers)
        if early:
            raise RuntimeError(f"{early} waiters were answered before anything changed")
        started = time.perf_counter()
        changed = self._connections[0].ask(change)
        statuses = await asyncio.wait_for(asyncio.gather(changed, *self._answers), HANG)
        took = time.perf_counter() - started
        _expect(statuses)
        return took

    def close(self) -> None:
        for each in self._connections:
            each.close()
        for answer in itertools.filterfalse(asyncio.Future.done, self._answers):
            answer.cancel()


def _expect(statuses: Iterable[int], connection: Connection | None = None) -> None:
    for status in statuses:
        if status not in (200, 202):
            said = connection.body[:200].decode(errors="replace") if connection is not None else ""
            raise RuntimeError(f"a request was answered {status}: {said}")
