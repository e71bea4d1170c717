"""The newest revision, and waiting for a newer one."""

from __future__ import annotations

import asyncio


class Feed:
    """One number that only rises; everyone who waits for a newer one wakes at once."""

    def __init__(self, newest: int = 0) -> None:
        self.newest = newest
        self.closed = False
        self._changed = asyncio.Event()

    def announce(self, revision: int) -> None:
        if revision > self.newest:
            self.newest = revision
            self._wake()

    def close(self) -> None:
        """Let all waiters go, now and from now on."""
        self.closed = True
        self._wake()

    async def wait(self, after: int, timeout: float | None = None) -> bool:
        """Wait until the newest revision is above `after`; False when `timeout` seconds passed or the feed closed."""
        try:
            async with asyncio.timeout(timeout):
                while self.newest <= after and not self.closed:
                    await self._changed.wait()
        except TimeoutError:
            return False
        return self.newest > after

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
