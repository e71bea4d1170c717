"""The client of a node: every route that programs use, with typed answers, typed errors and bounded waits."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from types import TracebackType

import aiohttp

from zeus.peers.connection import Connection, ServerRefused, ServerUnreachable, decode
from zeus.peers.engines import EngineCalls
from zeus.peers.events import JobEvent, events
from zeus.peers.jobs import JobCalls
from zeus.peers.models import ModelCalls
from zeus.peers.nodes import NodeCalls
from zeus.peers.transfer import DownloadDamaged
from zeus.peers.updates import JobUpdates
from zeus.peers.uploads import UploadCalls
from zeus.wire import FullStatus, JobList, PresetList, Snapshot, StatusView

__all__ = ["API_VERSION", "DownloadDamaged", "JobEvent", "RenderServerProxy", "ServerRefused", "ServerUnreachable"]

API_VERSION = "0.1"
"""The version of the farm API that this client's routes are of."""


class RenderServerProxy(JobCalls, UploadCalls, EngineCalls, ModelCalls, NodeCalls):
    """A node, as its clients see it. Use it as `async with RenderServerProxy("http://render-1:8080") as server:`.

    Every method raises ServerUnreachable or ServerRefused. Reads are tried three times. A `session` of your own is
    not closed. `trust` says which certificates are believed, by default those that the system does. `node` is the id
    of the node that asks, where one does.
    """

    def __init__(
        self,
        url: str | None,
        *,
        token: str | None = None,
        session: aiohttp.ClientSession | None = None,
        trust: ssl.SSLContext | None = None,
        node: str = "",
    ) -> None:
        self._connection = Connection(url, token, session, trust, node)
        self._updates = JobUpdates(self._connection)

    @property
    def url(self) -> str:
        """Where it is."""
        return self._connection.url

    def move(self, url: str | None, token: str | None) -> None:
        """Ask at this URL from now on, with this token. None is nowhere: each request is ServerUnreachable at once."""
        self._connection.move(url, token)

    async def __aenter__(self) -> RenderServerProxy:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Stop the updates and give up the connections."""
        await self._updates.stop()
        await self._connection.close()

    async def check_connection(self) -> bool:
        """Whether the node answers."""
        try:
            await self.request("GET", "/api/heartbeat", wait=5.0)
        except ServerUnreachable:
            return False
        return True

    async def get_status(self) -> StatusView:
        """The node's machine and load."""
        return decode(await self.request("GET", "/api/status"), StatusView)

    async def get_snapshot(self) -> Snapshot:
        """The node's status and all its jobs at one moment."""
        return decode(await self.request("GET", "/api/snapshot"), Snapshot)

    async def get_full_status(self) -> FullStatus:
        """A snapshot of every node that this one knows, by name."""
        return decode(await self.request("GET", "/api/full_status"), FullStatus)

    async def get_presets(self) -> PresetList:
        """The presets that jobs may name."""
        return decode(await self.request("GET", "/api/presets"), PresetList)

    async def get_jobs(self, **filters: str) -> JobList:
        """The node's jobs, the newest first, and the token to wait for a change with.

        `filters` are the parameters of GET /api/jobs, but for `fields`. Without any, and while updates run, the answer
        is the newest known list, and costs no request.
        """
        if self._updates.running and not filters:
            return await self._updates.newest()
        return decode(await self.request("GET", "/api/jobs", params=filters), JobList)

    def start_updates(self) -> None:
        """Have the job list kept up to date in the background, for get_jobs; until stop_updates or close."""
        self._updates.start()

    async def stop_updates(self) -> None:
        """Let get_jobs ask the server again."""
        await self._updates.stop()

    @asynccontextmanager
    async def updates(self) -> AsyncIterator[None]:
        """start_updates and stop_updates around a block."""
        self._updates.start()
        try:
            yield
        finally:
            await self._updates.stop()

    @property
    def updates_error(self) -> ServerUnreachable | ServerRefused | None:
        """Why what get_jobs answers while updates run may be stale, or None."""
        return self._updates.error

    async def long_poll(self, token: str | None = None, timeout: float = 30.0) -> JobList | None:
        """The jobs as soon as anything changed since `token`; None when nothing did for `timeout` seconds (1 to 60)."""
        params = {"token": token} if token else {}
        if timeout != 30.0:
            params["timeout"] = f"{timeout:g}"
        answer = await self.request("GET", "/api/jobs/long_poll", params=params, wait=timeout + 30)
        return None if answer.status == 204 else decode(answer, JobList)

    async def events(self, last_id: int | None = None) -> AsyncGenerator[JobEvent, None]:
        """Every change of a job from now on, or after the event `last_id`; a stream that breaks is resumed.

        It never ends by itself: wrap it in `contextlib.aclosing` where you leave it early.
        """
        if last_id is None:
            # A list's token ends in the revision of its moment, and events are numbered by revisions. Without an id
            # a stream that broke before its first event could not be resumed.
            token = (await self.get_jobs(limit="1")).token
            last_id = int(token.rpartition(".")[2])
        async with aclosing(events(self._connection, last_id)) as stream:
            async for event in stream:
                yield event
