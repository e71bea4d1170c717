"""Running a task at a peer: its input goes there, its share is followed, its files come home, all under a lease."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from zeus.child import uncancelled
from zeus.dispatch import Reports
from zeus.dispatch.inputs import UNUSABLE, Inputs
from zeus.dispatch.lease import Lease
from zeus.dispatch.local import Attempt
from zeus.dispatch.place import place_of
from zeus.dispatch.remote import Book, Patience, Peer, PeerDamaged, Remote, add_share, explained
from zeus.dispatch.share import Share
from zeus.dispatch.watch import Watch
from zeus.errors import Conflict, NodeLost, NodeSilent, ZeusError
from zeus.files import Files
from zeus.model import Assignment, Job, Place
from zeus.peers.connection import ServerRefused, ServerUnreachable
from zeus.store import Store
from zeus.wire import JobView

PULLS = 8
"""Files that are fetched at once, of all shares together: each holds some of this node's memory."""
LONGEST_POLL = 20.0
"""Seconds that a peer is asked to wait for news: a third of a lease where that is less."""


class PeerDispatcher:
    """Runs tasks at the nodes that this one trusts; see `zeus.dispatch.Dispatcher`.

    `lease` and `grace` in seconds.
    """

    def __init__(
        self,
        book: Book,
        store: Store,
        files: Files,
        inputs: Inputs,
        patience: Patience,
        *,
        lease: float,
        grace: float,
        log_bytes: int,
    ) -> None:
        self._book = book
        self._store = store
        self._files = files
        self._inputs = inputs
        self._patience = patience
        self._lease = lease
        self._grace = grace
        self._log_bytes = log_bytes
        self._pulls = asyncio.Semaphore(PULLS)
        self._shares: dict[tuple[str, str], Share] = {}
        self._watches: dict[str, Watch] = {}
        self._alive: dict[str, float] = {}
        self._disowned: set[asyncio.Task[None]] = set()

    def places(self) -> list[Place]:
        own = self._store.uuid
        return [place_of(each.portrait, each.name, own) for each in self._book.online() if each.portrait is not None]

    def look(self, node: str, job_id: str) -> None:
        """A node says that a share there has changed."""
        if (share := self._shares.get((node, job_id))) is not None:
            share.hear(None)

    async def close(self) -> None:
        """Listen no more."""
        for task in self._disowned:
            task.cancel()
        closing = (watch.close() for watch in self._watches.values())
        await asyncio.gather(*self._disowned, *closing, return_exceptions=True)

    async def run(self, assignment: Assignment, job: Job, attempt: int, reports: Reports) -> Path:
        sent = await self._store.sent(assignment.task.id)
        again = sent is not None and sent.attempt == attempt
        run = _Run(self, assignment, job, attempt, reports, sent.job_id if sent is not None and again else None)
        async with self._attempt(job, attempt, again) as run.folder:
            await run.folder.log.write(job.notes)
            lease = Lease(lambda: self._seen(run.node), self._lease, self._grace if again else 0.0)
            try:
                await self._under(lease, run)
            except Exception as error:
                wrapped = explained(error, run.name)
                goes_on = "; the task goes elsewhere" if isinstance(wrapped, NodeLost) else ""
                await run.folder.log.note(f"failed: {wrapped.message.rstrip('.')}{goes_on}")
                raise wrapped from error
            return run.folder.out

    def peer(self, node: str) -> Peer:
        """A peer that is used now. Raises ServerUnreachable."""
        peer = self._book.get(node)
        if peer is None:
            raise ServerUnreachable("The node is not known any more.")
        return peer

    def remote(self, node: str, job_id: str) -> Remote:
        """A job at a peer."""
        return Remote(lambda: self.peer(node), job_id, self._patience)

    def _seen(self, node: str) -> float:
        """When a peer gave its last sign of life, by time.monotonic()."""
        peer = self._book.get(node)
        return max(self._alive.get(node, 0.0), (peer.seen or 0.0) if peer is not None else 0.0)

    async def _under(self, lease: Lease, run: _Run) -> None:
        """Do the work of a run for as long as its lease lasts. Raises NodeLost, and what it raises itself."""
        task = asyncio.ensure_future(run.work())
        try:
            if not await lease.outlasts(task):
                peer = self._book.get(run.node)
                told = f" {peer.refusal}" if peer is not None and peer.refusal else ""
                raise NodeSilent(f"Node {run.name} did not answer for {self._lease:g} s.{told}")
            task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    @contextlib.asynccontextmanager
    async def listening(self, node: str, job_id: str, share: Share) -> AsyncIterator[None]:
        """Have a share hear what is new of it."""
        watch = self._watches.get(node)
        if watch is None:
            wait = max(1.0, min(LONGEST_POLL, self._lease / 3))
            watch = self._watches[node] = Watch(lambda: self.peer(node), wait, lambda: self._take_sign(node))
        self._shares[node, job_id] = share
        watch.listen(job_id, share.hear)
        try:
            yield
        finally:
            del self._shares[node, job_id]
            await watch.leave(job_id)

    def _take_sign(self, node: str) -> None:
        self._alive[node] = time.monotonic()

    @contextlib.asynccontextmanager
    async def _attempt(self, job: Job, number: int, again: bool) -> AsyncIterator[Attempt]:
        attempt = Attempt(self._files, job, number, self._log_bytes, again=again)
        try:
            await uncancelled(asyncio.to_thread(attempt.open))
            yield attempt
        finally:
            await uncancelled(asyncio.to_thread(attempt.close))

    def disown(self, adding: asyncio.Task[JobView], node: str, job: Job) -> None:
        """Nobody waits any more for the answer to a share that was offered; if it was taken, its peer hears."""
        task = asyncio.create_task(self._disown(adding, node, job))
        self._disowned.add(task)
        task.add_done_callback(self._disowned.discard)

    async def _disown(self, adding: asyncio.Task[JobView], node: str, job: Job) -> None:
        with contextlib.suppress(ZeusError, TimeoutError):
            view = await asyncio.wait_for(adding, self._lease)
            await self._store.owe(node, view.id, job.id)


class _Run:
    """One attempt: shares of one task, one after another, until all that it asks for is here."""

    folder: Attempt

    def __init__(
        self, peers: PeerDispatcher, assignment: Assignment, job: Job, attempt: int, reports: Reports, sent: str | None
    ) -> None:
        self.node = assignment.place.peer
        self.name = assignment.place.node
        self._peers = peers
        self._task = assignment.task
        self._job = job
        self._attempt = attempt
        self._reports = reports
        self._sent = sent
        self._done = set(reports.done)

    async def work(self) -> None:
        store = self._peers._store
        if self._sent is not None:
            await self.folder.log.note(f"taken up again: it is job {self._sent} of node {self.name}")
            await self._follow(self._sent, await self._asked_of(self._sent))
        else:
            await self._next(self._spans())
        while self._job.publishes == "each" and (left := self._spans(first=False)):
            await store.end_sent(self._task)
            await self._next(left)

    def _span(self) -> range:
        start, end = self._task.start_frame, self._task.end_frame
        return self._job.frames if start is None or end is None else range(start, end + 1, self._job.frame_step)

    async def _asked_of(self, job_id: str) -> range:
        """The frames that a share was asked for before a restart: others may have taken over the last of them since."""
        view, span = await self._peers.remote(self.node, job_id).view(), self._span()
        first, last = view.start_frame, view.end_frame
        if first is None or last is None or first not in span or (last not in span and last < span[-1]):
            return span
        return range(first, last + 1, span.step)

    def _spans(self, *, first: bool = True) -> list[range]:
        """The runs of frames that are missing. Before the first share: all in one where more is made of them."""
        span = self._span()
        if self._job.publishes != "each" or not span or (first and self._job.joins):
            return [span] if first else []
        return _runs(span, self._done)

    async def _next(self, spans: list[range]) -> None:
        if spans:
            await self._follow(await self._offer(spans[0]), spans[0])

    async def _follow(self, job_id: str, span: range) -> None:
        peers = self._peers
        remote = peers.remote(self.node, job_id)
        share = Share(remote, self.name, self._job, span, self._done, self._reports, self.folder, peers._pulls,
                      peers._lease)  # fmt: skip
        async with peers.listening(self.node, job_id, share):
            await share.follow()

    async def _offer(self, span: range) -> str:
        """Have the peer take a share; its id there, which is on record then."""
        peers, peer = self._peers, self._peers.peer(self.node)
        await self.folder.log.note(f"goes to node {self.name}")
        given = await peers._inputs.give(self._job, peer, self._tell_sent)
        try:
            return await self._offer_with(span, given)
        except NodeLost as error:
            if error.code != UNUSABLE or "shared" not in given:
                raise
        await self.folder.log.note("its input is not to be seen there in the shared folder, and is sent")
        return await self._offer_with(span, await peers._inputs.give(self._job, peer, self._tell_sent, copy=True))

    async def _offer_with(self, span: range, given: Mapping[str, Any]) -> str:
        peers = self._peers
        key = f"{self._job.id}.{self._attempt}.{span.start if span else ''}"
        adding = asyncio.create_task(self._taken(span, given, key))
        try:
            view = await asyncio.shield(adding)
        except asyncio.CancelledError:
            peers.disown(adding, self.node, self._job)
            raise
        await uncancelled(self._record(view))
        await self.folder.log.note(f"it is job {view.id} of node {self.name}")
        return view.id

    async def _taken(self, span: range, given: Mapping[str, Any], key: str) -> JobView:
        """The peer's answer to the offer. Raises NodeLost where it refuses the job."""
        peers, fields = self._peers, self._fields(span, given)
        try:
            view = await peers._patience(lambda: add_share(peers.peer(self.node), fields, key))
        except ServerRefused as error:
            if error.status == 400:  # this node found nothing wrong with it: another one may not either
                raise NodeLost(error.message, code=error.code) from error
            raise
        if not view.id or len(view.id) > 64 or not view.id.replace("-", "").isalnum():
            raise PeerDamaged("It gives a job an id that cannot be.")
        return view

    async def _record(self, view: JobView) -> None:
        if not await self._peers._store.put_sent(self._task, self._attempt, self.node, view.id):
            raise Conflict("Another attempt has taken over.", code="attempt_over")

    def _fields(self, span: range, given: Mapping[str, Any]) -> dict[str, Any]:
        """What add_job is told."""
        job = self._job
        fields: dict[str, Any] = {
            "name": job.name, "renderer": job.renderer, "renderer_version": job.renderer_version,
            "args": msgspec.json.decode(job.args), "priority": job.priority, "max_attempts": 1,
            "share": {"node": self._peers._store.uuid, "job_id": job.id, "attempt": self._attempt}, **given,
        }  # fmt: skip
        if span:
            fields |= {"start_frame": span[0], "end_frame": span[-1]}
        return fields

    def _tell_sent(self, done: int, size: int | None) -> None:
        percent = 100 * done // size if size else 0
        self._reports.progress(0.0, f"sending the input to {self.name}: {percent} %", None)


def _runs(span: range, done: set[int]) -> list[range]:
    """The runs of a span's frames that are not done."""
    runs: list[range] = []
    for number in span:
        if number in done:
            continue
        if runs and runs[-1].stop == number:
            runs[-1] = range(runs[-1].start, number + span.step, span.step)
        else:
            runs.append(range(number, number + span.step, span.step))
    return runs
