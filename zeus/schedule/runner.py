"""Look, decide, run, record: the loop that keeps the slots busy, and what becomes of each attempt."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from typing import TypeVar

from zeus.child import uncancelled
from zeus.dispatch import Dispatcher
from zeus.errors import NoSpace, StoreFailed, TaskFailed, ZeusError
from zeus.failpoint import failpoint
from zeus.feed import Feed
from zeus.files import Files
from zeus.model import Assignment, Place, Snapshot, Task, Wish
from zeus.progress import ProgressBook
from zeus.schedule.decide import decide
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

    def __init__(self, assignment: Assignment) -> None:
        self.assignment = assignment
        self.task = assignment.task
        self.place = assignment.place
        self.phase = Phase.STARTING
        self.shutdown = False
        self.wish = Wish.NONE
        self.stopped = False
        self.work: asyncio.Task[None] | None = None

    def stop(self) -> None:
        """End the attempt unless its outcome is known already."""
        if self.work is not None and self.phase is Phase.WORKING:
            self.stopped = True
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
        retry_delay: float,
    ) -> None:
        self._store = store
        self._feed = feed
        self._files = files
        self._progress = progress
        self._dispatcher = dispatcher
        self._retry_delay = retry_delay
        self._running: dict[int, Running] = {}
        self._freed = asyncio.Event()

    async def run(self) -> None:
        """The loop, for as long as the node lives."""
        while not self._feed.closed:
            seen, now = self._feed.newest, time.time()
            self._freed.clear()
            is_due, start = await self._store.starts(now)
            if is_due:
                await self._release(now)
                continue
            for assignment in decide(await self._look(now)):
                self._start(assignment)
            await self._wait(seen, start)

    async def stop(self, task_ids: Sequence[int], wish: Wish) -> None:
        """End the attempts at these tasks, if this node has them; return when nothing of them is left."""
        for running in [self._running[task_id] for task_id in task_ids if task_id in self._running]:
            running.wish = wish
            running.stop()
        works = [self._running[task_id].work for task_id in task_ids if task_id in self._running]
        if pending := [work for work in works if work is not None]:
            await asyncio.wait(pending, timeout=LONGEST_STOP)

    def wake(self) -> None:
        """Look again: places came, went, or have more room."""
        self._freed.set()

    def running_of(self, job_id: str) -> list[int]:
        """The ids of a job's tasks that this node has in hand."""
        return [task_id for task_id, running in self._running.items() if running.task.job_id == job_id]

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
            Place(
                place.node,
                place.free - busy[place.node],
                {engine: count - used[place.node, engine] for engine, count in place.engines.items()},
                place.gpus,
                self._taken(place.node),
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
        most = max((place.free for place in places), default=0)
        engines = {engine for place in places for engine, free in place.engines.items() if place.free > 0 and free > 0}
        taken = list(self._running)
        return Snapshot(tuple(await self._store.queued(sorted(engines), now, most, taken)), tuple(places))

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

    def _start(self, assignment: Assignment) -> None:
        running = Running(assignment)
        self._running[assignment.task.id] = running
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
        attempt = await self._recorded(running, lambda: self._store.begin(task, running.place.node))
        if attempt is None:
            return
        log.info("job %s: attempt %s starts (%s)", task.job_id, attempt, task.renderer)
        self._progress.begin(task.job_id)
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
            publication = await self._publication(running, attempt)
            folder = await self._dispatcher.run(running.assignment, publication.job, attempt, publication)
            outputs = await publication.stage(folder)
            running.phase = Phase.SETTLING
            await publication.close(folder, outputs)
            await self._clean(task, attempt)
            await self._recorded(running, lambda: self._store.finish(task, attempt, outputs))
            failpoint("end")
            log.info("job %s is finished: %s files", task.job_id, len(outputs))
        except asyncio.CancelledError as error:
            if running.stopped:
                await uncancelled(self._give_up(running, attempt))
            else:
                await self._failed(running, attempt, _known(error, task))
        except StoreFailed:
            raise  # the node ends, and the next start settles what became of this
        except Exception as error:
            await self._failed(running, attempt, _known(error, task))

    async def _publication(self, running: Running, attempt: int) -> Publication:
        """The job's outputs so far, and the way for more of them."""
        job = await self._store.job(running.task.job_id)
        return Publication(
            self._store, self._files, self._progress, functools.partial(self._recorded, running), running.task, job,
            attempt, await self._store.outputs(job.id), await self._store.frames(job.id),
        )  # fmt: skip

    async def _clean(self, task: Task, attempt: int) -> None:
        """Remove the working files: before the end is recorded, so that a crash between the two leaves none."""
        await self._files.discard(self._files.attempt(task.job_id, attempt) / "work")

    async def _give_up(self, running: Running, attempt: int) -> None:
        task = running.task
        await self._clean(task, attempt)
        await self._progress.keep(task.job_id)
        await self._recorded(running, lambda: self._store.requeue(task, attempt, counts=False, wish=running.wish))
        log.info("job %s: attempt %s was ended (%s)", task.job_id, attempt, running.wish or "shutdown")

    async def _failed(self, running: Running, attempt: int, error: ZeusError) -> None:
        task, running.phase = running.task, Phase.SETTLING
        log.info("job %s: attempt %s failed: %s", task.job_id, attempt, error.message)
        await self._clean(task, attempt)
        await self._progress.keep(task.job_id)
        failures = (await self._store.task(task.id)).failures + 1
        job = await self._store.job(task.job_id)
        if isinstance(error, TaskFailed) and error.retry and failures < job.max_attempts:
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
