"""The list of jobs: read and encoded once a revision, however many ask for it."""

from __future__ import annotations

import asyncio

import msgspec

from zeus.api.views import job_view
from zeus.server import Zeus
from zeus.wire import JobList


class JobLists:
    """The newest list, and the tokens that tell a list's age."""

    def __init__(self, zeus: Zeus) -> None:
        self._zeus = zeus
        self._node = zeus.config.node.name
        self._body = b""
        self._revision = -1
        self._lock = asyncio.Lock()

    async def body(self) -> bytes:
        """The list's JSON, with the token of its revision."""
        async with self._lock:
            newest = self._zeus.feed.newest
            if newest != self._revision:
                jobs = [job_view(job, self._zeus.jobs, self._node) for job in await self._zeus.jobs.all()]
                self._body = msgspec.json.encode(JobList(jobs, f"{self._prefix}{newest}"))
                self._revision = newest
            return self._body

    def revision_of(self, token: str | None) -> int | None:
        """The revision of a token that this run of the node gave out, else None."""
        if token is None or not token.startswith(self._prefix):
            return None
        number = token.removeprefix(self._prefix)
        return int(number) if number.isascii() and number.isdigit() and len(number) < 19 else None

    @property
    def _prefix(self) -> str:
        return f"{self._node}.{self._zeus.start}."
