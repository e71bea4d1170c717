"""Open connections: no more than there are descriptors for, and none that never says what it wants.

At the cap nothing is accepted: clients wait in the sockets' backlog, and the loop does not spin on EMFILE.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
import ssl
from collections.abc import Coroutine, Sequence
from typing import Any

from aiohttp import web

from zeus.config import HttpConfig

BACKLOG = 512
AT_ONCE = 64
"""Connections accepted before everyone else gets a turn."""
LOOK = 0.05
"""Seconds between looks at whether there is room again."""
KEPT_FOR_FILES = 256
"""Descriptors that connections leave for the database, uploads and child processes."""

log = logging.getLogger(__name__)


class Connections:
    """Accepts connections for aiohttp's server, which has no cap and no time limit for a request's head."""

    def __init__(self, server: web.Server, limits: HttpConfig, tls: ssl.SSLContext | None = None) -> None:
        self._server = server
        self._tls = tls
        self._most = limits.max_connections or _most_by_descriptors()
        self._head_timeout = limits.header_timeout
        self._sockets: list[socket.socket] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._beginning: set[asyncio.Task[Any]] = set()

    def open(self, sockets: Sequence[socket.socket]) -> None:
        """Accept on bound sockets until `close`, which closes them. Raises OSError."""
        self._sockets += sockets
        for each in sockets:
            each.setblocking(False)
            each.listen(BACKLOG)
        loops: list[Coroutine[Any, Any, None]] = [self._accept(each) for each in sockets]
        self._tasks += [asyncio.create_task(each) for each in (*loops, self._sweep())]

    async def close(self) -> None:
        """Accept no more. What is open stays."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, *self._beginning, return_exceptions=True)
        for each in self._sockets:
            each.close()

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            for _ in range(AT_ONCE):
                while len(self._server.connections) + len(self._beginning) >= self._most:
                    await asyncio.sleep(LOOK)
                try:
                    accepted, _ = await loop.sock_accept(listening)
                except OSError as error:
                    log.warning("a connection cannot be accepted: %s", error)
                    await asyncio.sleep(1)
                    continue
                beginning = asyncio.create_task(self._begin(accepted))
                self._beginning.add(beginning)
                beginning.add_done_callback(self._beginning.discard)
            await asyncio.sleep(0)

    async def _begin(self, accepted: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                self._server, accepted, ssl=self._tls, ssl_handshake_timeout=self._head_timeout if self._tls else None
            )
        except OSError:
            accepted.close()  # the client went away

    async def _sweep(self) -> None:
        """Close what has been open for the time limit without one whole request head."""
        loop = asyncio.get_running_loop()
        since: dict[web.RequestHandler, float] = {}
        while True:
            await asyncio.sleep(min(self._head_timeout / 4, 5.0))
            now = loop.time()
            # aiohttp tells nobody how many heads a connection has sent; a test notices when this name goes.
            silent = [each for each in self._server.connections if each._request_count == 0]
            since = {each: since.get(each, now) for each in silent}
            for each, first in since.items():
                if now - first >= self._head_timeout:
                    each.force_close()


def _most_by_descriptors() -> int:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 65_536 if limit == resource.RLIM_INFINITY else max(limit - KEPT_FOR_FILES, 16)
