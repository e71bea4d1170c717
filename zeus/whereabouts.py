"""Which node holds a job that is not held here: the peers are asked once, and what they say is remembered."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import TypeVar

from zeus.errors import NotReady
from zeus.nodes.book import NodeBook
from zeus.nodes.peer import Peer
from zeus.peers.connection import ServerRefused, ServerUnreachable

T = TypeVar("T")
REMEMBERED = 10_000
"""Jobs whose node is kept in memory, and as many that nobody held of late."""
ANSWER = 1.0
"""Seconds that a peer has to say whether it holds a job."""
AGAIN = 0.5
"""Seconds until one that did not answer is asked again."""
GONE = 60.0
"""Seconds after which a peer is not expected to come back with a job that nobody else holds."""
ABSENT = 5.0
"""Seconds for which it holds that no peer has a job: its id was not made up here, but may have been elsewhere."""


class NodeAway(NotReady):
    """The node that holds this job, or may hold it, does not answer."""

    code = "node_away"


class Whereabouts:
    """Finds the holders of jobs. `holds` says whether this node itself has one.

    A peer that does not answer may be restarting: it is waited for until `patience` seconds after it was last heard of.
    """

    def __init__(self, book: NodeBook, holds: Callable[[str], Awaitable[bool]], patience: float) -> None:
        self._book = book
        self._holds = holds
        self.patience = patience
        self._opened = time.monotonic()
        self._here: OrderedDict[str, None] = OrderedDict()
        self._holders: OrderedDict[str, str] = OrderedDict()
        self._absent: OrderedDict[str, tuple[float, frozenset[str]]] = OrderedDict()
        self._asked: dict[str, asyncio.Task[Peer | None]] = {}

    def close(self) -> None:
        """Give up what is still being asked."""
        for task in self._asked.values():
            task.cancel()

    async def here(self, job_id: str) -> bool:
        """Whether this node holds a job, or did: it says itself then that the job is gone."""
        if job_id in self._here:
            self._here.move_to_end(job_id)
        elif await self._holds(job_id):
            _keep(self._here, job_id, None)
        return job_id in self._here

    async def holder(self, job_id: str) -> Peer | None:
        """The peer that holds a job, or None. Raises NodeAway when one that may hold it does not answer.

        One that was found to hold it may be away by now.
        """
        known = self._book.get(self._holders.get(job_id, ""))
        if known is not None:
            self._holders.move_to_end(job_id)
            return known
        if job_id not in self._asked:
            self._asked[job_id] = task = asyncio.create_task(self._look(job_id))
            task.add_done_callback(lambda _: self._asked.pop(job_id, None))
        return await asyncio.shield(self._asked[job_id])

    def silence(self, peer: Peer) -> float:
        """Seconds since a peer was last heard of; since this node's start, where it was not yet."""
        return time.monotonic() - max(peer.seen or 0.0, self._opened)

    def may_return(self, peer: Peer) -> bool:
        """Whether a peer that does not answer is worth waiting for."""
        return self.silence(peer) < self.patience

    async def _look(self, job_id: str) -> Peer | None:
        """Ask all who may hold a job, at once; those who do not answer again, for a while."""
        deadline, denied = time.monotonic() + self.patience, set[str]()
        while True:
            asked = {peer.id: peer for peer in self._book.peers.values() if self._may_hold(peer)}
            if self._nobody_held(job_id, frozenset(asked)):
                return None
            waiting = [peer for peer in asked.values() if peer.id not in denied]
            answers = await asyncio.gather(*(_ask(peer, job_id) for peer in waiting))
            for peer, answer in zip(waiting, answers, strict=True):
                if answer:
                    _keep(self._holders, job_id, peer.id)
                    return peer
                if answer is False:
                    denied.add(peer.id)
            silent = [peer for peer in waiting if peer.id not in denied]
            if not silent:
                _keep(self._absent, job_id, (time.monotonic() + ABSENT, frozenset(denied)))
                return None
            if time.monotonic() > deadline or not any(map(self.may_return, silent)):
                raise NodeAway(f"No node that answers holds job {job_id}, and {silent[0].name} does not answer.")
            await asyncio.sleep(AGAIN)

    def _may_hold(self, peer: Peer) -> bool:
        was_heard = (peer.seen or 0.0) > self._opened
        return peer.online or self.silence(peer) < (GONE if was_heard else self.patience)

    def _nobody_held(self, job_id: str, peers: frozenset[str]) -> bool:
        until, asked = self._absent.get(job_id, (0.0, frozenset[str]()))
        return time.monotonic() < until and peers <= asked


async def _ask(peer: Peer, job_id: str) -> bool | None:
    """Whether a peer holds a job; None where it does not answer in time. What a node asks is not passed on there."""
    try:
        async with asyncio.timeout(ANSWER):
            await peer.proxy.request("HEAD", f"/api/jobs/{job_id}", once=True)
    except ServerRefused as error:
        return None if error.again else False
    except (ServerUnreachable, TimeoutError):
        return None
    return True


def _keep(known: OrderedDict[str, T], key: str, value: T) -> None:
    known[key] = value
    known.move_to_end(key)
    if len(known) > REMEMBERED:
        known.popitem(last=False)
