"""One job, for all who poll it: read and encoded once, and shown again until anything has changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from zeus.api.views import job_view
from zeus.model import Child, Job, Progress
from zeus.server import Zeus

MOST = 1000
"""Jobs that are kept."""
TRIES = 10
"""Times that a job is read at most while changes follow each other."""
LARGEST = 1 << 16
"""Bytes above which a job is not kept."""


class _Kept(NamedTuple):
    job: Job
    children: Sequence[Child]
    live: list[Progress | None]
    """What the body shows of progress, which changes without a revision."""
    body: bytes


class JobBodies:
    """Each job's JSON as the store and the progress of running jobs have it now.

    What is kept was read at the feed's newest revision, and every durable write takes a new one before it is answered:
    so whoever has had an answer to a change sees it in the next poll.
    """

    def __init__(self, zeus: Zeus) -> None:
        self._zeus = zeus
        self._kept: dict[str, _Kept] = {}
        self._revision = -1

    async def of(self, job_id: str) -> bytes:
        """`Job`. Raises JobNotFound."""
        if self._revision != self._zeus.feed.newest:
            self._kept.clear()
            self._revision = self._zeus.feed.newest
        kept = self._kept.get(job_id)
        if kept is None:
            return await self._read(job_id)
        if kept.live != self._live(kept.job, kept.children):
            kept = self._kept[job_id] = self._encoded(kept.job, kept.children)
        return kept.body

    async def _read(self, job_id: str) -> bytes:
        """Read a job, again where something changed meanwhile: its row may be older than its progress."""
        jobs, feed = self._zeus.jobs, self._zeus.feed
        for _ in range(TRIES):
            revision = feed.newest
            job = await jobs.get(job_id)
            found = self._encoded(job, await jobs.children(job))
            if revision == feed.newest:
                break
        is_newest = revision == self._revision == feed.newest
        if is_newest and len(self._kept) < MOST and len(found.body) <= LARGEST:
            self._kept[job_id] = found
        return found.body

    def _encoded(self, job: Job, children: Sequence[Child]) -> _Kept:
        view = job_view(job, children, self._zeus.jobs, self._zeus.config.node.name)
        return _Kept(job, children, self._live(job, children), msgspec.json.encode(view))

    def _live(self, job: Job, children: Sequence[Child]) -> list[Progress | None]:
        progress = self._zeus.jobs.progress
        return [progress(job), *map(progress, children)]
