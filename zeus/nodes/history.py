"""How busy a node was in the last hour, in constant memory."""

from __future__ import annotations

import time
from collections import deque

import msgspec

from zeus.wire import Load, Portrait, time_text

EVERY = 10.0
"""Seconds between two samples."""
KEPT = 3600.0
"""Seconds that a sample is kept."""


class _Sample(msgspec.Struct, frozen=True, gc=False):
    at: float
    cpu: float
    memory: float
    gpu: float | None
    running: int


class History:
    """Samples of what a node said of its load."""

    def __init__(self) -> None:
        self._samples: deque[_Sample] = deque(maxlen=int(KEPT / EVERY))

    def take(self, portrait: Portrait) -> None:
        """Take a sample in, unless the last one is young."""
        now, status = time.time(), portrait.status
        if self._samples and 0 <= now - self._samples[-1].at < EVERY * 0.9:
            return
        loads = [gpu.percent for gpu in status.gpus if gpu.percent is not None]
        gpu = max(loads, default=None)
        self._samples.append(_Sample(now, status.cpu_percent, status.memory_percent, gpu, len(portrait.tasks)))

    def last(self, seconds: float) -> list[Load]:
        """The samples of so many seconds, the oldest first."""
        since = time.time() - seconds
        return [
            Load(timestamp=time_text(each.at) or "", cpu_percent=each.cpu, memory_percent=each.memory,
                 gpu_percent=each.gpu, running=each.running)
            for each in self._samples if each.at >= since
        ]  # fmt: skip
