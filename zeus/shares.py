"""The shares of other nodes' jobs that this node runs: their owners hear how each stands, and get time for its files.

Which owner has been told what is in the database, so that a restart forgets no news. A share goes when its owner says
that it has all it wants, or does not know it any more; else some time after its end.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from urllib.parse import quote

import msgspec

from zeus.dispatch.remote import MOST_VIEW, Book, Peer
from zeus.errors import JobNotFound, NoSpace
from zeus.feed import Feed
from zeus.jobs import Jobs
from zeus.peers.connection import ServerRefused, ServerUnreachable
from zeus.store import Store
from zeus.store.shares import Held
from zeus.thumbnails import Thumbnails
from zeus.wire import SubjobUpdate

RETRY = 1.0
"""Seconds between two looks at which owners are back."""
LONGEST_DELAY = 30.0
"""Seconds at most between two tries to tell an owner."""
SWEEP = 60.0
"""Seconds between two looks for shares that nobody fetched."""
WAIT = 15.0
"""Seconds that an owner may take for an answer."""
UNWANTED = {409: frozenset({"stale_attempt"}), 404: frozenset({"job_not_found", "subjob_not_found"})}
"""How an owner says that a share is none of its own any more."""

log = logging.getLogger(__name__)


class Shares:
    """`hold`: the seconds that the files of an ended share are kept."""

    def __init__(self, store: Store, book: Book, feed: Feed, jobs: Jobs, thumbnails: Thumbnails, hold: float) -> None:
        self._store = store
        self._book = book
        self._feed = feed
        self._jobs = jobs
        self._thumbnails = thumbnails
        self._hold = hold
        self._telling: dict[str, asyncio.Task[None]] = {}
        self._pauses: dict[str, tuple[float, float]] = {}

    async def run(self) -> None:
        """Tell the owners, for as long as the node lives."""
        try:
            while not self._feed.closed:
                seen, untold = self._feed.newest, await self._store.untold()
                for node in {each.share.node for each in untold}:
                    self._begin(node, [each for each in untold if each.share.node == node])
                await self._feed.wait(seen, RETRY if untold else None)
        finally:
            for task in self._telling.values():
                task.cancel()
            await asyncio.gather(*self._telling.values(), return_exceptions=True)

    async def sweep(self) -> None:
        """Remove what nobody fetched, for as long as the node lives."""
        while True:
            for job_id in await self._store.outlived(time.time() - self._hold):
                log.info("job %s was a share that its owner did not fetch in time", job_id)
                with contextlib.suppress(NoSpace):  # the next look tries again
                    await self._remove(job_id)
            await asyncio.sleep(min(SWEEP, self._hold / 2))

    def _begin(self, node: str, untold: list[Held]) -> None:
        peer, task = self._book.get(node), self._telling.get(node)
        is_resting = time.monotonic() < self._pauses.get(node, (0.0, 0.0))[0]
        if (task is None or task.done()) and not is_resting and peer is not None and peer.online:
            self._telling[node] = asyncio.create_task(self._tell_all(peer, untold))

    async def _tell_all(self, peer: Peer, untold: list[Held]) -> None:
        is_heard = True
        for held in untold:
            is_heard = await self._tell(peer, held) and is_heard
            if not peer.online:
                break
        if is_heard:
            self._pauses.pop(peer.id, None)
        else:
            delay = min(2 * self._pauses.get(peer.id, (0.0, RETRY / 4))[1], LONGEST_DELAY)
            self._pauses[peer.id] = time.monotonic() + delay, delay

    async def _tell(self, peer: Peer, held: Held) -> bool:
        """Tell an owner of one share; whether it has heard, and that is on record."""
        try:
            return await self._told(peer, held)
        except NoSpace:
            return False

    async def _told(self, peer: Peer, held: Held) -> bool:
        path = f"/api/jobs/{quote(held.share.job_id, safe='')}/subjob_update"
        update = SubjobUpdate(held.id, held.status, held.share.attempt, held.percent, held.completed_frames)
        sent = msgspec.to_builtins(update)
        try:
            await peer.proxy.request("POST", path, json=sent, wait=WAIT, most=MOST_VIEW)
        except ServerUnreachable:
            return False
        except ServerRefused as error:
            if error.code not in UNWANTED.get(error.status, ()):
                log.warning("node %s does not take news of its share %s: %s", peer.name, held.id, error.message)
                return False
            log.info("job %s is a share that node %s does not want any more", held.id, peer.name)
            await self._remove(held.id)
            return True
        await self._store.tell(held.id, held.status)
        return True

    async def _remove(self, job_id: str) -> None:
        with contextlib.suppress(JobNotFound):
            outputs = await self._jobs.outputs(job_id)
            await self._jobs.delete(job_id)
            await self._thumbnails.forget(outputs)
