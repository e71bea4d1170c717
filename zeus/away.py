"""News of shares that other nodes have of jobs here: whether it is theirs to tell, and whether it still counts."""

from __future__ import annotations

from zeus.dispatch.peer import PeerDispatcher
from zeus.dispatch.remote import Book
from zeus.errors import Conflict, Forbidden, NotFound
from zeus.model import Job, Status
from zeus.store import Store
from zeus.wire import SubjobUpdate


class Away:
    """Hears what other nodes say."""

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

    def _is_being_sent(self, job: Job, update: SubjobUpdate, caller: str) -> bool:
        """Whether it may be the share that the node took a moment ago, and that is not on record here yet."""
        peer = self._book.get(caller)
        is_there = job.status is Status.RUNNING and peer is not None and peer.name == job.node
        return is_there and update.attempt == job.attempt
