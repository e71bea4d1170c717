"""Word of shares that other nodes have of jobs here: what they tell, and whether it still counts; what they hear."""

from __future__ import annotations

import asyncio
import contextlib
from urllib.parse import quote

from zeus.dispatch.peer import PeerDispatcher
from zeus.dispatch.remote import MOST_VIEW, Book
from zeus.errors import Conflict, Forbidden, NotFound
from zeus.model import Job, Sent, Status
from zeus.peers.connection import ServerRefused, ServerUnreachable
from zeus.store import Store
from zeus.wire import SubjobUpdate

WAIT = 5.0
"""Seconds that a node may take to hear of another priority."""


class Away:
    """Hears what other nodes say, and tells them what has changed."""

    def __init__(self, store: Store, book: Book, peers: PeerDispatcher) -> None:
        self._store = store
        self._book = book
        self._peers = peers

    async def hear(self, job: Job, update: SubjobUpdate, caller: str | None) -> None:
        """Take in a node's word on its share of a job: it is looked at there, and only that is believed.

        Raises Conflict for a share that is not wanted any more, Forbidden for another's, NotFound for no share at all.
        """
        known = {sent.job_id: sent for sent in await self._store.sent_of(job.id)}
        sent = known.get(update.id)
        if sent is not None and sent.node != caller:
            raise Forbidden("Another node has this share.", code="not_its_node")
        if caller is None:
            raise NotFound(f"Job {job.id} has no subjob {update.id[:64]}.", code="subjob_not_found")
        if sent is not None and sent.attempt == update.attempt:
            return self._peers.look(caller, update.id)
        if known or not self._is_being_sent(job, update, caller):
            raise Conflict(
                f"The update is of attempt {update.attempt}; the job is at {job.attempt} and {job.status.value}.",
                code="stale_attempt",
            )

    async def tell_priority(self, job_id: str, priority: int) -> None:
        """Tell the nodes that have shares of a job or of its subjobs; a node that does not hear goes on as it was."""
        shares = await self._store.sent_of_family(job_id)
        await asyncio.gather(*(self._tell_priority(share, priority) for share in shares))

    async def _tell_priority(self, share: Sent, priority: int) -> None:
        peer, path = self._book.get(share.node), f"/api/jobs/{quote(share.job_id, safe='')}/priority"
        if peer is not None and peer.online:
            with contextlib.suppress(ServerUnreachable, ServerRefused, TimeoutError):
                async with asyncio.timeout(WAIT):
                    await peer.proxy.request("POST", path, params={"value": str(priority)}, most=MOST_VIEW)

    def _is_being_sent(self, job: Job, update: SubjobUpdate, caller: str) -> bool:
        """Whether it may be the share that the node took a moment ago, and that is not on record here yet."""
        peer = self._book.get(caller)
        is_there = job.status is Status.RUNNING and peer is not None and peer.name == job.node
        return is_there and update.attempt == job.attempt
