"""What every group of the client's methods stands on: a connection, and any route by its path."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any

import aiohttp

from zeus.peers.connection import Answer, Connection

SLOW_SECONDS = 600.0
"""The wait for answers that come only when a file is on disk or an engine's processes have ended."""


class Calls:
    """Requests to one node."""

    _connection: Connection

    async def request(self, method: str, path: str, **options: Any) -> Answer:
        """Any route; `options` are aiohttp's (`params`, `json`, `data`, `headers`), and `wait` in seconds."""
        return await self._connection.request(method, path, **options)

    def exchange(self, method: str, path: str, **options: Any) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """Any route, once; the answer as it comes, a refusal too, whose body is for the caller to read.

        `options` as in `request`; a `wait` of None has no end. Raises ServerUnreachable.
        """
        return self._connection.exchange(method, path, **options)
