"""How long this node waits for a peer that gives no sign of life, by the monotonic clock."""

from __future__ import annotations

import time
from collections.abc import Callable


class Lease:
    """How long a peer may give no sign of life: `seconds`, and `grace` besides before its first one."""

    def __init__(self, seen: Callable[[], float], seconds: float, grace: float) -> None:
        self._seen = seen
        self._seconds = seconds
        self._begun = time.monotonic()
        self._grace = grace

    @property
    def left(self) -> float:
        """Seconds until it ends."""
        seen = self._seen()
        last = seen if seen > self._begun else self._begun + self._grace
        return last + self._seconds - time.monotonic()
