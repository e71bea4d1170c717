"""The job list of a node, kept up to date in the background: only what changed is sent, as soon as it has."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from zeus.peers.connection import Connection, ServerRefused, ServerUnreachable, decode, pause
from zeus.wire import JobList, JobView

POLL_SECONDS = 30.0
MOST_DOUBLINGS = 5
"""The pause between tries ends at some seconds, however long the server has been away."""


class News(msgspec.Struct, frozen=True):
    """A whole list (`removed` is None), or what changed since a token."""

    jobs: Sequence[JobView]
    token: str
    removed: Sequence[str] | None = None


class JobUpdates:
    """A background task that holds the newest known list. It waits for a server that is away, however long."""

    def __init__(self, connection: Connection) -> None:
        self.error: ServerUnreachable | ServerRefused | None = None
        """Why the list may be stale, or None."""
        self._connection = connection
        self._jobs: dict[str, JobView] = {}
        """By id, the oldest first."""
        self._list: JobList | None = None
        self._token = ""
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        return self._task is not None

    def start(self) -> None:
        """Begin, unless it has."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """End it, and forget the list."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._task, self._list, self._token, self._jobs, self.error = None, None, "", {}, None

    async def newest(self) -> JobList:
        """The newest known list; raises what hinders the first one from coming, or all that would come after it."""
        while not self._token:
            if self.error:
                raise self.error
            await self._news.wait()
        if self.error and not self.error.again:
            raise self.error
        if self._list is None:
            self._list = JobList(tuple(reversed(self._jobs.values())), self._token)
        return self._list

    async def _run(self) -> None:
        failures = 0
        while True:
            try:
                news = await self._poll()
            except (ServerUnreachable, ServerRefused) as error:
                self.error = error
                self._tell()
                if not error.again:
                    return
                failures = min(failures + 1, MOST_DOUBLINGS)
                await pause(failures)
            else:
                failures = 0
                if news is not None or self.error:
                    self._take(news)

    async def _poll(self) -> News | None:
        params = {"changes_only": "1"} | ({"token": self._token} if self._token else {})
        path, wait = "/api/jobs/long_poll", POLL_SECONDS + 15
        answer = await self._connection.request("GET", path, params=params, wait=wait)
        return None if answer.status == 204 else decode(answer, News)

    def _take(self, news: News | None) -> None:
        self.error = None
        if news is not None:
            if news.removed is None:
                self._jobs = {job.id: job for job in reversed(news.jobs)}
            else:
                self._change(news.jobs, news.removed)
            self._token, self._list = news.token, None
        self._tell()

    def _change(self, jobs: Sequence[JobView], removed: Sequence[str]) -> None:
        for job_id in removed:
            self._jobs.pop(job_id, None)
        # A changed job keeps its place; a new one belongs behind those that are older.
        self._jobs.update((job.id, job) for job in sorted(jobs, key=lambda job: job.date_created))

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()
