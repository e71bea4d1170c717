"""The list of jobs: kept encoded, brought up to date once a revision, one body for all who ask for it then."""

from __future__ import annotations

import asyncio
import gzip
from collections import defaultdict
from collections.abc import Iterable

import msgspec

from zeus.api.views import job_view
from zeus.model import Job
from zeus.server import Zeus

SMALL = 1024
"""Bytes below which a body is not worth compressing."""


class Body:
    """One answer for many: as it is and, made when first asked for, compressed."""

    def __init__(self, token: str, plain: bytes) -> None:
        self.token = token
        self.plain = plain
        self._packed: bytes | None = None
        self._packing = asyncio.Lock()

    async def packed(self) -> bytes | None:
        """The body by gzip, or None where it is too small for that."""
        if len(self.plain) < SMALL:
            return None
        async with self._packing:
            if self._packed is None:
                self._packed = await asyncio.to_thread(gzip.compress, self.plain, 1)
        return self._packed


class JobLists:
    """The newest list, what changed since an older one, and the tokens that tell a list's age."""

    def __init__(self, zeus: Zeus) -> None:
        self._zeus = zeus
        self._node = zeus.config.node.name
        self._jobs: dict[str, Job] = {}
        """By id, the oldest first."""
        self._children: dict[str, dict[str, Job]] = defaultdict(dict)
        self._encoded: dict[str, bytes] = {}
        self._revision = -1
        self._whole: Body | None = None
        self._changed: dict[int, Body] = {}
        self._lock = asyncio.Lock()

    async def whole(self) -> Body:
        """`JobList` of all jobs, the newest first."""
        async with self._lock:
            await self._bring_up_to_date()
            if self._whole is None:
                self._whole = self._body(reversed(self._jobs), b"")
            return self._whole

    async def changed(self, since: int) -> Body:
        """`JobChanges` after a revision that this run of the node gave out."""
        async with self._lock:
            await self._bring_up_to_date()
            if since not in self._changed:
                changes = await self._zeus.jobs.changes(since)
                ids = [job.id for job in changes.jobs if job.id in self._jobs]
                removed = [job_id for _, job_id in changes.removed]
                self._changed[since] = self._body(ids, b',"removed":' + msgspec.json.encode(removed))
            return self._changed[since]

    @property
    def token(self) -> str:
        """The token of the present moment."""
        return f"{self._prefix}{self._zeus.feed.newest}"

    def revision_of(self, token: str | None) -> int | None:
        """The revision of a token that this run of the node gave out, else None."""
        if token is None or not token.startswith(self._prefix):
            return None
        number = token.removeprefix(self._prefix)
        return int(number) if number.isascii() and number.isdigit() and len(number) < 19 else None

    @property
    def _prefix(self) -> str:
        return f"{self._node}.{self._zeus.start}."

    def _body(self, ids: Iterable[str], more: bytes) -> Body:
        token = f"{self._prefix}{self._revision}"
        jobs = b",".join(self._encoded[job_id] for job_id in ids)
        return Body(token, b'{"jobs":[' + jobs + b"]" + more + b',"token":' + msgspec.json.encode(token) + b"}")

    async def _bring_up_to_date(self) -> None:
        newest = self._zeus.feed.newest
        if newest == self._revision:
            return
        changes = await self._zeus.jobs.changes(self._revision)
        if changes.whole:
            self._jobs, self._children, self._encoded = {}, defaultdict(dict), {}
        for _, job_id in changes.removed:
            self._forget(job_id)
        fresh = sorted(changes.jobs, key=lambda job: job.seq)
        for job in fresh:
            self._jobs[job.id] = job
            if job.parent is not None:
                self._children[job.parent][job.id] = job
        for job_id in {job.id for job in fresh} | {job.parent for job in fresh if job.parent is not None}:
            if job_id in self._jobs:
                self._encode(self._jobs[job_id])
        self._revision, self._whole, self._changed = newest, None, {}

    def _encode(self, job: Job) -> None:
        children = list(self._children[job.id].values()) if job.id in self._children else []
        self._encoded[job.id] = msgspec.json.encode(job_view(job, children, self._zeus.jobs, self._node))

    def _forget(self, job_id: str) -> None:
        job = self._jobs.pop(job_id, None)
        self._encoded.pop(job_id, None)
        self._children.pop(job_id, None)
        if job is not None and job.parent in self._children:
            self._children[job.parent].pop(job_id, None)
