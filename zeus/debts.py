"""Telling other nodes which of the shares that they have are not wanted any more: at once, or when they are back.

A share that is not wanted is deleted there, which ends it first. Its node is asked again until it says that it has done
so, or that it does not know such a job.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterable
from urllib.parse import quote

from zeus.dispatch.remote import MOST_VIEW, Book, Peer
from zeus.errors import NoSpace
from zeus.feed import Feed
from zeus.model import Debt
from zeus.peers.calls import SLOW_SECONDS
from zeus.peers.connection import ServerRefused, ServerUnreachable
from zeus.store import Store

RETRY = 1.0
"""Seconds between two looks at which of the nodes that something is owed to are back."""
LONGEST_DELAY = 60.0
"""Seconds at most between two tries with a node that answers, but not as it should."""
AT_ONCE = 8
"""Debts that are paid to one node at the same time: each may have to wait for the end of processes."""
OLDEST = 30 * 24 * 3600.0
"""Seconds after which a debt to a node that never came back is forgotten: it has forgotten the share long before."""
WAIT = 60.0
"""Seconds that a request waits at most for the word of a node that answers."""

log = logging.getLogger(__name__)


class Debts:
    """What this node owes to others."""

    def __init__(self, store: Store, book: Book, feed: Feed) -> None:
        self._store = store
        self._book = book
        self._feed = feed
        self._paying: dict[str, asyncio.Task[None]] = {}
        self._pauses: dict[str, tuple[float, float]] = {}
        self._paid = asyncio.Event()

    async def run(self) -> None:
        """Pay, for as long as the node lives."""
        try:
            while not self._feed.closed:
                seen, debts = self._feed.newest, await self._store.debts()
                for node in {debt.node for debt in debts}:
                    self._begin(node, [debt for debt in debts if debt.node == node])
                await self._feed.wait(seen, RETRY if debts else None)
        finally:
            for task in self._paying.values():
                task.cancel()
            await asyncio.gather(*self._paying.values(), return_exceptions=True)

    async def settle(self, job_id: str) -> bool:
        """Wait until nothing of a job and its subjobs is left at other nodes; False where one does not say so."""
        until = time.monotonic() + WAIT
        while debts := await self._store.owed_for(job_id):
            if time.monotonic() > until or not all(self._is_online(debt.node) for debt in debts):
                return False
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RETRY):
                    await self._paid.wait()
        return True

    def _is_online(self, node: str) -> bool:
        peer = self._book.get(node)
        return peer is not None and peer.online

    def _begin(self, node: str, debts: Iterable[Debt]) -> None:
        peer, task = self._book.get(node), self._paying.get(node)
        is_resting = time.monotonic() < self._pauses.get(node, (0.0, 0.0))[0]
        if (task is None or task.done()) and not is_resting:
            if peer is not None and peer.online:
                self._paying[node] = asyncio.create_task(self._pay_all(peer, list(debts)))
            else:
                self._paying[node] = asyncio.create_task(self._forget(list(debts)))

    async def _pay_all(self, peer: Peer, debts: list[Debt]) -> None:
        is_paid = True
        for start in range(0, len(debts), AT_ONCE):
            done = await asyncio.gather(*(self._pay(peer, debt) for debt in debts[start : start + AT_ONCE]))
            is_paid = all(done) and is_paid
            if not peer.online:
                break
        if is_paid:
            self._pauses.pop(peer.id, None)
        else:
            self._rest(peer.id)

    async def _pay(self, peer: Peer, debt: Debt) -> bool:
        path = f"/api/jobs/{quote(debt.job_id, safe='')}/delete"
        try:
            await peer.proxy.request("POST", path, params={"confirm": "1"}, wait=SLOW_SECONDS, most=MOST_VIEW)
        except ServerUnreachable:
            return False
        except ServerRefused as error:
            if (error.status, error.code) != (404, "job_not_found"):
                log.warning("node %s does not give up job %s: %s", peer.name, debt.job_id, error.message)
                return False
        try:
            await self._settled(debt)
        except NoSpace:  # it is asked again, and answers then that it does not know the job
            return False
        return True

    async def _forget(self, debts: Iterable[Debt]) -> None:
        for debt in debts:
            if time.time() - debt.since > OLDEST:
                with contextlib.suppress(NoSpace):
                    await self._settled(debt)

    async def _settled(self, debt: Debt) -> None:
        await self._store.pay(debt)
        paid, self._paid = self._paid, asyncio.Event()
        paid.set()

    def _rest(self, node: str) -> None:
        delay = min(2 * self._pauses.get(node, (0.0, RETRY / 4))[1], LONGEST_DELAY)
        self._pauses[node] = time.monotonic() + delay, delay
