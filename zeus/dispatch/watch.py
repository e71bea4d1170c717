"""Hearing what becomes of shares at a peer: one long poll for all that this node has there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

import msgspec

from zeus.dispatch.remote import LONGEST_PAUSE, Peer
from zeus.peers.connection import ServerRefused, ServerUnreachable, decode
from zeus.wire import JobView

log = logging.getLogger(__name__)
MOST_NEWS = 16 << 20
"""Bytes of an answer."""
ROOM = 10.0
"""Seconds that an answer may take beyond the wait that is asked for."""

Hear = Callable[[JobView | None], None]
"""Takes a share's newest view; None: something may have changed, ask."""


class _Token(msgspec.Struct, frozen=True):
    token: str


class _News(msgspec.Struct, frozen=True):
    """`removed` is None in a whole list, which comes when the token is of an earlier run of the peer."""

    jobs: Sequence[JobView]
    token: str
    removed: Sequence[str] | None = None


class Watch:
    """The long poll of one peer. It runs while anybody listens; `alive` is called with each answer."""

    def __init__(self, peer: Callable[[], Peer], wait: float, alive: Callable[[], None]) -> None:
        self._peer = peer
        self._wait = wait
        self._alive = alive
        self._hears: dict[str, Hear] = {}
        self._task: asyncio.Task[None] | None = None

    def listen(self, job_id: str, hear: Hear) -> None:
        """Tell of a job from now on."""
        self._hears[job_id] = hear
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def leave(self, job_id: str) -> None:
        """Tell of a job no more."""
        self._hears.pop(job_id, None)
        if not self._hears:
            await self.close()

    async def close(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        token, failures = "", 0
        while True:
            try:
                token = await self._poll(token)
                failures = 0
            except (ServerUnreachable, ServerRefused) as error:
                token, failures = "", failures + 1
                log.debug("a peer's news do not come: %s", error.message)
                await asyncio.sleep(min(0.1 * 2.0**failures, LONGEST_PAUSE))

    async def _poll(self, token: str) -> str:
        """Wait for news once; the token to wait for the next ones with."""
        peer = self._peer()
        if not token:
            params = {"limit": "1", "fields": "id"}
            answer = await peer.proxy.request("GET", "/api/jobs", params=params, most=MOST_NEWS)
            self._alive()
            self._tell_all()  # of what happened before that moment
            return decode(answer, _Token).token
        params = {"token": token, "changes_only": "1", "timeout": f"{self._wait:g}"}
        path, wait = "/api/jobs/long_poll", self._wait + ROOM
        answer = await peer.proxy.request("GET", path, params=params, wait=wait, most=MOST_NEWS, once=True)
        self._alive()
        return token if answer.status == 204 else self._take(decode(answer, _News))

    def _take(self, news: _News) -> str:
        if news.removed is None:
            self._tell_all()
        for view in news.jobs:
            if (hear := self._hears.get(view.id)) is not None:
                hear(view)
        for job_id in news.removed or ():
            if (hear := self._hears.get(job_id)) is not None:
                hear(None)
        return news.token

    def _tell_all(self) -> None:
        for hear in list(self._hears.values()):
            hear(None)
