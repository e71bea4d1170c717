"""Look, decide, run, record: the loop that keeps the slots busy, and what becomes of each attempt."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from pathlib import Path
from typing import TypeVar

import msgspec

from zeus.child import uncancelled
from zeus.config import JobsConfig
from zeus.dispatch import Dispatcher
from zeus.errors import NodeBusy, NodeLost, NoSpace, StoreFailed, TaskFailed, ZeusError
from zeus.failpoint import failpoint
from zeus.feed import Feed
from zeus.files import Files
from zeus.model import Assignment, Output, Place, Role, Snapshot, Task, Underway, Wish
from zeus.progress import ProgressBook
from zeus.schedule.decide import decide
from zeus.schedule.pace import Paces
from zeus.schedule.parts import Parts, weights
from zeus.schedule.publication import Publication
from zeus.store import Store

T = TypeVar("T")

log = logging.getLogger(__name__)

LONGEST_DELAY = 300.0
"""Seconds that a failed task waits at most before its next attempt."""
LONGEST_STOP = 60.0
"""Seconds that a stop waits: far more than any process survives, but a full disk may keep its end from the record."""
FULL_DISK_DELAY = 2.0
"""Seconds between two tries to record something while the disk is full."""


class Phase(Enum):
    """How far an attempt is: while WORKING a stop ends it; once it is SETTLING its outcome is known and recorded."""

    STARTING = 1
    WORKING = 2
    SETTLING = 3


class Running:
    """An attempt that this node has in hand."""

    def __init__(self, assignment: Assignment, attempt: int | None = None, percent: int = 0) -> None:
        self.assignment = assignment
        self.percent = percent
        self.attempt = attempt
        """Its number, where it is on record as running already."""
        self.publication: Publication | None = None
        self.task = assignment.task
        self.place = assignment.place
        self.phase = Phase.STARTING
        self.shutdown = False
        self.wish = Wish.NONE
        self.stopped = False
        self.work: asyncio.Task[None] | None = None

    @property
    def jobs(self) -> tuple[str | None, ...]:
        """The ids of its job and, where it is a subjob, of that one's parent."""
        return self.task.job_id, self.publication.job.parent if self.publication is not None else None

    def stop(self) -> None:
        """End the attempt unless its outcome is known already."""
        if self.work is not None and self.phase is Phase.WORKING:
            self.stopped = True
            self.work.cancel()

    @property
    def piece(self) -> Underway | None:
        """How far it is with the frames of a split job, where it is at a piece that another place may take some of."""
        made = self.publication
        if made is None or made.job.input_of is None or made.job.publishes != "each" or made.job.parent is None:
            return None
        if self.phase is not Phase.WORKING or self.stopped:
            return None
        return Underway(self.task, made.job.parent, self.place.node, made.left, made.pulse.seconds)

    def complete(self) -> None:
        """End the attempt, whose frames are all there: others that its engine would make are another piece's."""
        if self.work is not None and self.phase is Phase.WORKING and not self.stopped:
            self.phase = Phase.SETTLING
            self.work.cancel()


class Runner:
    """Starts what may start, whenever something changed."""

    def __init__(
        self,
        store: Store,
        feed: Feed,
        files: Files,
        progress: ProgressBook,
        dispatcher: Dispatcher,
        paces: Paces,
        jobs: JobsConfig,
    ) -> None:
        self._store = store
        self._feed = feed
        self._files = files
        self._progress = progress
        self._dispatcher = dispatcher
        self._paces = paces
        self._parts = Parts(store, files)
        self._retry_delay = jobs.retry_delay
        self._chunk_seconds = jobs.chunk_seconds
        self._running: dict[int, Running] = {}
        self._freed = asyncio.Event()
        self._sharing = asyncio.Lock()

    async def run(self) -> None:
        """The loop, for as long as the node lives."""
        while not self._feed.closed:
            seen, now = self._feed.newest, time.time()
            self._freed.clear()
            is_due, start = await self._store.starts(now)
            if is_due:
                await self._release(now)
                continue
            shares = []
            for assignment in decide(await self._look(now)):
                if assignment.span is None:
                    self._start(Running(assignment))
                else:
                    shares.append(self._share(assignment))
            if shares:
                await uncancelled(self._all(shares))
            await self._wait(seen, start)

    async def stop(self, task_ids: Sequence[int], wish: Wish) -> None:
        """End the attempts at these tasks, if this node has them; return when nothing of them is left."""
        async with self._sharing:  # pieces that are on record but not in hand yet are so behind it
            pass
        for running in [self._running[task_id] for task_id in task_ids if task_id in self._running]:
            running.wish = wish
            running.stop()
        works = [self._running[task_id].work for task_id in task_ids if task_id in self._running]
        if pending := [work for work in works if work is not None]:
            await asyncio.wait(pending, timeout=LONGEST_STOP)

    async def take_up(self, tasks: Sequence[Task]) -> None:
        """Go on with attempts that other nodes had in hand while this one was away."""
        for task in tasks:
            sent, job = await self._store.sent(task.id), await self._store.job(task.job_id)
            if sent is not None and task.id not in self._running:
                place = Place(job.node or sent.node, 0, {}, peer=sent.node)
                self._start(Running(Assignment(task, place), attempt=sent.attempt, percent=job.percent))

    def wake(self) -> None:
        """Look again: places came, went, or have more room."""
        self._freed.set()

    def running_of(self, job_id: str) -> list[int]:
        """The ids of the tasks of a job and of its subjobs that this node has in hand."""
        return [task_id for task_id, running in self._running.items() if job_id in running.jobs]

    def running(self) -> list[Assignment]:
        """What this node has in hand."""
        return [running.assignment for running in self._running.values()]

    async def close(self) -> None:
        """Hand all running tasks back. The loop must have ended before."""
        for running in self._running.values():
            running.shutdown = True
            running.stop()
        works = [running.work for running in self._running.values() if running.work is not None]
        if works:
            await asyncio.wait(works)

    def free_places(self) -> list[Place]:
        """The places with what is free there now."""
        busy = Counter(running.place.node for running in self._running.values())
        used = Counter((running.place.node, running.task.renderer) for running in self._running.values())
        return [
            msgspec.structs.replace(
                self._paces.on(place),
                free=place.free - busy[place.node],
                engines={engine: count - used[place.node, engine] for engine, count in place.engines.items()},
                taken={**place.taken, **self._taken(place.node)},
            )
            for place in self._dispatcher.places()
        ]

    def _taken(self, node: str) -> dict[int, str]:
        """The GPUs of a node that an attempt has to itself, each with the job's id."""
        running = [each for each in self.running() if each.place.node == node]
        return {each.device: each.task.job_id for each in running if each.device is not None}

    async def _release(self, now: float) -> None:
        """Queue what may start from now on; while the disk is full, nothing starts."""
        try:
            await self._store.release(now)
        except NoSpace:
            await asyncio.sleep(FULL_DISK_DELAY)

    async def _look(self, now: float) -> Snapshot:
        places = self.free_places()
        engines = {engine for place in places for engine, free in place.engines.items() if place.free > 0 and free > 0}
        if not engines:
            return Snapshot((), ())
        most = sum(max(place.free, 0) for place in places)
        tasks = await self._store.queued(sorted(engines), now, most, list(self._running))
        pieces = [piece for running in self._running.values() if (piece := running.piece) is not None]
        split = {task.job_id for task in tasks if task.role is Role.DEAL} | {piece.job_id for piece in pieces}
        return Snapshot(
            tuple(tasks), tuple(places), tuple(pieces), {each: self._pace(each, pieces) for each in split},
            self._chunk_seconds,
        )  # fmt: skip

    def _pace(self, job_id: str, pieces: Sequence[Underway]) -> dict[str, float]:
        """What a frame of a split job takes at each place: that of its pieces that run now, else of those before."""
        now = {each.node: each.seconds for each in pieces if each.job_id == job_id and each.seconds is not None}
        return {**self._paces.of_job(job_id), **now}

    async def _all(self, shares: Sequence[Awaitable[None]]) -> None:
        """Put pieces on record and take them in hand. While the disk is full, none begins."""
        async with self._sharing:
            results = await asyncio.gather(*shares, return_exceptions=True)
        errors = [each for each in results if isinstance(each, BaseException)]
        if any(not isinstance(error, NoSpace) for error in errors):
            raise next(error for error in errors if not isinstance(error, NoSpace))
        if errors:
            await asyncio.sleep(FULL_DISK_DELAY)

    async def _share(self, assignment: Assignment) -> None:
        """Make a piece of an assignment's span and begin it, unless something else has happened to those frames."""
        (first, last), child_id = assignment.span or (0, 0), str(uuid.uuid4())
        task, node = assignment.task, assignment.place.node
        if task.role is Role.DEAL:
            made = await self._store.deal(task, last, node, child_id)
        else:
            made = await self._store.halve(task, first, node, child_id)
            whole = self._running.get(task.id)
            if made is not None and whole is not None and whole.publication is not None:
                whole.publication.shorten(first)
        if made is not None:
            piece = msgspec.structs.replace(assignment, task=await self._store.task(made), span=None)
            self._start(Running(piece, attempt=1))

    async def _wait(self, seen: int, start: float | None) -> None:
        """Wait for a change, a freed slot, or the moment when the next task may start that may not yet."""
        waits = [
            asyncio.ensure_future(self._feed.wait(seen)),
            asyncio.ensure_future(self._freed.wait()),
        ]
        pause = None if start is None else max(start - time.time(), 0.01)
        await asyncio.wait(waits, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    def _start(self, running: Running) -> None:
        self._running[running.task.id] = running
        running.work = asyncio.create_task(self._attempt(running))
        running.work.add_done_callback(lambda work: self._ended(running, work))

    def _ended(self, running: Running, work: asyncio.Task[None]) -> None:
        del self._running[running.task.id]
        self._freed.set()
        if not work.cancelled() and (error := work.exception()) is not None:
            log.error("task %s of job %s was lost", running.task.id, running.task.job_id, exc_info=error)

    async def _attempt(self, running: Running) -> None:
        """One attempt from its first record to its last."""
        task = running.task
        attempt = running.attempt
        if attempt is None:
            attempt = await self._recorded(running, lambda: self._store.begin(task, running.place.node))
        if attempt is None:
            return
        log.info("job %s: attempt %s starts (%s)", task.job_id, attempt, task.renderer)
        self._progress.begin(task.job_id, running.percent)
        try:
            await self._work(running, attempt)
        finally:
            self._progress.end(task.job_id)

    async def _work(self, running: Running, attempt: int) -> None:
        task = running.task
        try:
            running.phase = Phase.WORKING
            if running.shutdown or (await self._store.task(task.id)).wish:
                return await self._give_up(running, attempt)
            publication = running.publication = await self._publication(running, attempt)
            folder = await self._dispatcher.run(running.assignment, publication.job, attempt, publication)
            if task.role is Role.CUT:
                return await self._cut(running, attempt, publication, folder)
            outputs = await publication.stage(folder)
            running.phase = Phase.SETTLING
            await publication.close(folder, outputs)
            await self._finish(running, attempt, publication, outputs)
        except asyncio.CancelledError as error:
            if running.stopped:
                await uncancelled(self._give_up(running, attempt))
            elif running.publication is not None and running.publication.is_complete:
                await uncancelled(self._finish(running, attempt, running.publication, ()))
            else:
                await self._failed(running, attempt, _known(error, task))
        except StoreFailed:
            raise  # the node ends, and the next start settles what became of this
        except Exception as error:
            await self._failed(running, attempt, _known(error, task))

    async def _finish(
        self, running: Running, attempt: int, publication: Publication, outputs: Sequence[Output]
    ) -> None:
        task = running.task
        await self._clean(task, attempt)
        await self._recorded(running, lambda: self._store.finish(task, attempt, outputs))
        failpoint("end")
        log.info("job %s is finished: %s files", task.job_id, len(outputs))
        await self._note_pace(running, publication)
        if task.role is Role.JOIN and publication.job.splits == "parts":
            await self._recorded(running, lambda: self._parts.drop(publication.job))

    async def _cut(self, running: Running, attempt: int, publication: Publication, folder: Path) -> None:
        running.phase = Phase.SETTLING
        task, job = running.task, publication.job
        is_placed = await self._recorded(
            running, lambda: self._parts.place(task, attempt, job, folder, publication.pieces)
        )
        await self._clean(task, attempt)
        if is_placed:
            log.info("job %s is cut: %s pieces", task.job_id, len(publication.pieces))
        else:
            await self._recorded(running, lambda: self._store.requeue(task, attempt, counts=False, wish=running.wish))

    async def _note_pace(self, running: Running, publication: Publication) -> None:
        """Remember how fast the place was, as far as the attempt has shown it."""
        task, seconds, setup = running.task, publication.pulse.seconds, publication.pulse.setup
        if seconds is None and task.role is Role.WORK and task.frames and publication.job.publishes == "whole":
            seconds = publication.elapsed / len(task.frames)
        if seconds is not None:
            job = publication.job
            await self._paces.note(running.place, task.renderer, job.parent or job.id, seconds, setup)

    async def _publication(self, running: Running, attempt: int) -> Publication:
        """The job's outputs so far, and the way for more of them."""
        task, job = running.task, await self._store.job(running.task.job_id)
        made = Publication(
            self._store, self._files, self._progress, functools.partial(self._recorded, running), task, job,
            attempt, await self._store.outputs(job.id), await self._store.frames(job.id), running.complete,
        )  # fmt: skip
        if running.place.peer and job.input_of is not None and await self._store.sent(task.id) is not None:
            made.shorten(task.frames[-1] + 1)  # taken up: it may be shorter by now than what the node was asked for
        if task.role is Role.CUT:
            made.weights = weights(task, map(self._paces.on, self._dispatcher.places()))
        elif task.role is Role.JOIN:
            made.made = await self._parts.made(job)
        return made

    async def _clean(self, task: Task, attempt: int) -> None:
        """Remove the working files: before the end is recorded, so that a crash between the two leaves none."""
        await self._files.discard(self._files.attempt(task.job_id, attempt) / "work")

    async def _give_up(self, running: Running, attempt: int) -> None:
        task = running.task
        await self._progress.keep(task.job_id)
        if running.shutdown and not running.wish and await self._store.sent(task.id) is not None:
            log.info("job %s: attempt %s goes on at node %s", task.job_id, attempt, running.place.node)
            return  # the next start takes it up
        await self._clean(task, attempt)
        await self._recorded(running, lambda: self._store.requeue(task, attempt, counts=False, wish=running.wish))
        log.info("job %s: attempt %s was ended (%s)", task.job_id, attempt, running.wish or "shutdown")

    async def _failed(self, running: Running, attempt: int, error: ZeusError) -> None:
        task, running.phase = running.task, Phase.SETTLING
        if running.publication is not None:
            if running.publication.is_complete:  # what failed are frames that are another piece's by now
                return await self._finish(running, attempt, running.publication, ())
            await self._note_pace(running, running.publication)
        log.info("job %s: attempt %s failed: %s", task.job_id, attempt, error.message)
        await self._clean(task, attempt)
        await self._progress.keep(task.job_id)
        if running.place.peer and isinstance(error, TaskFailed) and not isinstance(error, NodeBusy):
            await self._recorded(running, lambda: self._store.lose(task.job_id, running.place.peer))
        failures = (await self._store.task(task.id)).failures + 1
        job = await self._store.job(task.job_id)
        if isinstance(error, NodeLost):
            await self._recorded(running, lambda: self._store.requeue(task, attempt, counts=False))
        elif isinstance(error, TaskFailed) and error.retry and failures < job.max_attempts:
            start = time.time() + min(self._retry_delay * 2 ** (failures - 1), LONGEST_DELAY)
            await self._recorded(running, lambda: self._store.requeue(task, attempt, counts=True, not_before=start))
        else:
            await self._recorded(running, lambda: self._store.fail(task, attempt, error.code, error.message))

    async def _recorded(self, running: Running, write: Callable[[], Awaitable[T]]) -> T:
        """Write, again and again while the disk is full: what happened must not be lost for that.

        A shutdown does not wait for it; the next start finds the attempt as a crash would have left it.
        """
        while True:
            try:
                return await write()
            except NoSpace:
                if running.shutdown:
                    raise
                await asyncio.sleep(FULL_DISK_DELAY)


def _known(error: BaseException, task: Task) -> ZeusError:
    if isinstance(error, ZeusError):
        return error
    log.error("job %s failed unexpectedly", task.job_id, exc_info=error)
    return TaskFailed(f"Unexpected: {type(error).__name__}; the node's own log says more.", code="internal_error")
