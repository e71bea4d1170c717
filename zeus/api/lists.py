"""The list of jobs: kept encoded, brought up to date once a revision, one body for all who ask for it then."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Iterable

import msgspec

from zeus.api.views import full_views
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
        self._encoded: dict[str, bytes] = {}
        """Each job's JSON by its id, the oldest job first."""
        self._revision = -1
        self._whole: Body | None = None
        self._changed: dict[int, Body] = {}
        self._lock = asyncio.Lock()

    async def whole(self) -> Body:
        """`JobList` of all jobs, the newest first."""
        async with self._lock:
            await self._bring_up_to_date()
            if self._whole is None:
                self._whole = self._body(reversed(self._encoded), b"")
            return self._whole

    async def changed(self, since: int) -> Body:
        """`JobChanges` after a revision that this run of the node gave out.

        A `JobList` instead where too much was removed since: without `removed`, a client begins anew with it.
        """
        async with self._lock:
            await self._bring_up_to_date()
            if since not in self._changed:
                changes = await self._zeus.jobs.changes(since)
                ids = [job.id for job in changes.jobs if job.id in self._encoded]
                removed = b',"removed":' + msgspec.json.encode([job_id for _, job_id in changes.removed])
                self._changed[since] = self._body(ids, b"" if changes.whole else removed)
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
            self._encoded.clear()
        for _, job_id in changes.removed:
            self._encoded.pop(job_id, None)
        oldest_first = sorted(changes.jobs, key=lambda job: job.seq)
        async for view in full_views(oldest_first, self._zeus.jobs, self._node):
            self._encoded[view.id] = msgspec.json.encode(view)
        self._revision, self._whole, self._changed = newest, None, {}
