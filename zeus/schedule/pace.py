"""How fast the places are: the seconds of a frame, by node and engine and by split job, as they were seen here."""

from __future__ import annotations

import contextlib
import time
from collections import OrderedDict
from collections.abc import Mapping

import msgspec

from zeus.errors import NoSpace, StoreFailed
from zeus.model import Place
from zeus.store import Store

WEIGHT = 0.3
"""What a new measurement counts for against the ones before."""
REMEMBERED = 1000
"""Split jobs whose paces are kept in memory."""
KEEP = 30.0
"""Seconds between two writes to the disk."""


class Pulse:
    """When the frames of one attempt came, by time.monotonic(): what it says of its place's pace."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._first = self._last = 0.0
        self._count = 0
        self._own: float | None = None
        self._told = 0.0

    def beat(self, seconds: float | None) -> None:
        """A frame has come, which took so many seconds by what its engine says."""
        self._last = time.monotonic()
        if self._count == 0:
            self._first, self._own = self._last, seconds
        self._count += 1
        self._told += seconds or 0.0

    @property
    def seconds(self) -> float | None:
        """The seconds of a frame, made one after another; None before the first.

        Frames that were fetched or noticed together say nothing by when they came: then it is what their engine says.
        """
        if self._count > 1:
            return max((self._last - self._first) / (self._count - 1), self._told / self._count, 1e-3)
        if self._count == 1:
            return max(self._own or self._first - self._started, 1e-3)
        return None

    @property
    def setup(self) -> float:
        """The seconds before the first frame was begun, as far as that is known."""
        own = self._own or self.seconds or 0.0
        return max(self._first - self._started - own, 0.0) if self._count else 0.0


class Paces:
    """What was seen of late; of engines it is kept over a restart."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._of_engine: dict[tuple[str, str], tuple[float, float]] = {}
        self._of_job: OrderedDict[str, dict[str, float]] = OrderedDict()
        self._unkept: set[tuple[str, str]] = set()
        self._kept = time.monotonic()

    async def open(self) -> None:
        """Take up what earlier runs saw."""
        for node, engine, seconds, setup in await self._store.paces():
            self._of_engine[node, engine] = (seconds, setup)

    async def note(self, place: Place, engine: str, job_id: str, seconds: float, setup: float) -> None:
        """What an attempt at a place has shown when it ended. Of a piece, `job_id` is the split job's."""
        key = (place.peer, engine)
        before = self._of_engine.get(key, (seconds, setup))
        self._of_engine[key] = (_mixed(before[0], seconds), _mixed(before[1], setup))
        self._unkept.add(key)
        of_job = self._of_job.setdefault(job_id, {})
        of_job[place.node] = _mixed(of_job.get(place.node, seconds), seconds)
        self._of_job.move_to_end(job_id)
        while len(self._of_job) > REMEMBERED:
            self._of_job.popitem(last=False)
        if time.monotonic() > self._kept + KEEP:
            await self.keep()

    async def keep(self) -> None:
        """Bring what is new to the disk; on a full one it stays in memory."""
        self._kept, unkept = time.monotonic(), list(self._unkept)
        with contextlib.suppress(NoSpace, StoreFailed):
            await self._store.keep_paces([(*key, *self._of_engine[key]) for key in unkept])
            self._unkept.difference_update(unkept)

    def here(self) -> Mapping[str, float]:
        """The seconds of a frame on this machine, by engine."""
        return {engine: seconds for (node, engine), (seconds, _) in self._of_engine.items() if not node}

    def of_job(self, job_id: str) -> Mapping[str, float]:
        """The seconds of a frame of a split job, by the place's node."""
        return self._of_job.get(job_id, {})

    def on(self, place: Place) -> Place:
        """A place with what was seen of it here, before what it says of itself."""
        seen = {engine: both for (node, engine), both in self._of_engine.items() if node == place.peer}
        return msgspec.structs.replace(
            place,
            pace={**place.pace, **{engine: seconds for engine, (seconds, _) in seen.items()}},
            setup={**place.setup, **{engine: setup for engine, (_, setup) in seen.items()}},
        )


def _mixed(before: float, now: float) -> float:
    return before + WEIGHT * (now - before)
