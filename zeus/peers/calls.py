"""What every group of the client's methods stands on: a connection, and any route by its path."""

from __future__ import annotations

from typing import Any

from zeus.peers.connection import Answer, Connection

SLOW_SECONDS = 600.0
"""The wait for answers that come only when a file is on disk or an engine's processes have ended."""


class Calls:
    """Requests to one node."""

    _connection: Connection

    async def request(self, method: str, path: str, **options: Any) -> Answer:
        """Any route; `options` are aiohttp's (`params`, `json`, `data`, `headers`), and `wait` in seconds."""
        return await self._connection.request(method, path, **options)
