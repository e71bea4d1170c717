"""How far the running jobs are: kept in memory, shared out once a second, brought to the disk every ten."""

from __future__ import annotations

import asyncio
import contextlib
import time

import msgspec

from zeus.errors import NoSpace
from zeus.feed import Feed
from zeus.model import Progress
from zeus.store import Store

BEAT = 1.0
"""Seconds between two revisions that progress takes, all jobs together."""
KEEP = 10.0
"""Seconds between two writes of progress to the disk."""
MIN_FRACTION = 0.02
"""Below this share an estimate of the time left would be a guess."""


class ProgressBook:
    """The newest progress of each running job."""

    def __init__(self, store: Store, feed: Feed) -> None:
        self._store = store
        self._feed = feed
        self._known: dict[str, Progress] = {}
        self._fresh: set[str] = set()
        self._unkept: set[str] = set()
        self._changed = asyncio.Event()

    def get(self, job_id: str) -> Progress | None:
        """What is known of a running job, or None."""
        return self._known.get(job_id)

    def begin(self, job_id: str, percent: int = 0) -> None:
        """A new attempt starts from nothing, one that goes on from where it was."""
        self._known[job_id] = Progress(percent)

    def report(self, job_id: str, fraction: float, note: str, frames: int | None, started: float | None) -> None:
        """Take an engine's report in; `started` is when the attempt began, by time.monotonic(), where it is known."""
        last = self._known.get(job_id)
        if last is None or fraction != fraction:  # not a number
            return
        fraction = min(max(fraction, 0.0), 1.0)
        percent = max(last.percent, min(int(fraction * 100), 99))
        eta = last.eta
        if started is not None:
            elapsed = time.monotonic() - started
            eta = round(elapsed * (1 - fraction) / fraction) if fraction > MIN_FRACTION else None
        done = last.completed_frames if frames is None else max(last.completed_frames, frames)
        self._known[job_id] = Progress(percent, done, eta, note, last.revision)
        self._fresh.add(job_id)
        self._changed.set()

    def frames(self, job_id: str, count: int) -> None:
        """So many frames of a running job are published."""
        if (last := self._known.get(job_id)) is not None:
            self._known[job_id] = msgspec.structs.replace(last, completed_frames=count)

    def note(self, job_id: str, percent: int, frames: int) -> None:
        """Take in what another node says of a running job."""
        self.report(job_id, percent / 100, "", frames, None)

    def end(self, job_id: str) -> None:
        """The attempt is over: from here on the store knows."""
        self._known.pop(job_id, None)
        self._fresh.discard(job_id)
        self._unkept.discard(job_id)

    async def run(self) -> None:
        """The beat, for as long as the node lives. Sleeps while nothing is reported."""
        kept = time.monotonic()
        while True:
            await self._changed.wait()
            self._changed.clear()
            fresh, self._fresh = self._fresh, set()
            if fresh:
                await self._share(fresh)
            if time.monotonic() > kept + KEEP:
                kept = time.monotonic()
                await self.keep(*self._unkept)
            await asyncio.sleep(BEAT)

    async def _share(self, fresh: set[str]) -> None:
        revision = await self._store.take_revision()
        for job_id in fresh & self._known.keys():
            last = self._known[job_id]
            self._known[job_id] = Progress(last.percent, last.completed_frames, last.eta, last.note, revision)
        self._unkept |= fresh & self._known.keys()

    async def keep(self, *job_ids: str) -> None:
        """Bring the progress of some jobs to the disk; on a full disk it stays in memory."""
        known = [(job_id, self._known[job_id]) for job_id in job_ids if job_id in self._known]
        with contextlib.suppress(NoSpace):
            await self._store.keep_progress(known)
            self._unkept.difference_update(job_ids)
