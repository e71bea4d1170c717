"""How long this node waits for a peer that gives no sign of life, by the monotonic clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

LOOKS = 4
"""So often is looked at it while it lasts."""


class Lease:
    """How long a peer may give no sign of life: `seconds`, and `grace` besides before its first one."""

    def __init__(self, seen: Callable[[], float], seconds: float, grace: float) -> None:
        self._seen = seen
        self._seconds = seconds
        self._begun = time.monotonic()
        self._grace = grace
        self._stood_still = 0.0

    @property
    def left(self) -> float:
        """Seconds until it ends."""
        seen = self._seen()
        last = seen if seen > self._begun else self._begun + self._grace
        return max(last, self._stood_still) + self._seconds - time.monotonic()

    async def outlasts(self, task: asyncio.Future[Any]) -> bool:
        """Wait until a task is done; False when the lease ends before. While this node itself stood still, as a machine
        that is suspended does, it could hear nobody: then it begins anew.
        """
        while not task.done():
            if (left := self.left) <= 0:
                return False
            step, before = min(left, self._seconds / LOOKS), time.monotonic()
            await asyncio.wait([task], timeout=step)
            if time.monotonic() - before > step + self._seconds / LOOKS:
                self._stood_still = time.monotonic()
        return True
