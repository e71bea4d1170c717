"""Look, decide, run: the loop that keeps the slots busy."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Sequence

import msgspec

from zeus.child import uncancelled
from zeus.config import JobsConfig
from zeus.dispatch import Dispatcher
from zeus.errors import NoSpace
from zeus.feed import Feed
from zeus.files import Files
from zeus.model import Assignment, Place, Role, Snapshot, Task, Underway, Wish
from zeus.progress import ProgressBook
from zeus.schedule.attempts import FULL_DISK_DELAY, Attempts
from zeus.schedule.decide import decide
from zeus.schedule.pace import Paces
from zeus.schedule.running import Running
from zeus.store import Store

log = logging.getLogger(__name__)

LONGEST_STOP = 60.0
"""Seconds that a stop waits: far more than any process survives, but a full disk may keep its end from the record."""


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
        self._dispatcher = dispatcher
        self._paces = paces
        self._attempts = Attempts(store, files, progress, dispatcher, paces, jobs.retry_delay)
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
                assignment = Assignment(task, place)
                self._start(Running(assignment, attempt=sent.attempt, percent=job.percent, is_taken_up=True))

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
        pieces = await self._pieces()
        split = {task.job_id for task in tasks if task.role is Role.DEAL} | {piece.job_id for piece in pieces}
        return Snapshot(
            tuple(tasks), tuple(places), tuple(pieces), {each: self._pace(each, pieces) for each in split},
            self._chunk_seconds,
        )  # fmt: skip

    async def _pieces(self) -> list[Underway]:
        """The running pieces that other places may take frames of, each with its task as it is now: a node may have
        lost the job too often since it began.
        """
        if all(running.piece is None for running in self._running.values()):
            return []
        now = {task.id: task for task in await self._store.running()}
        pieces = [piece for running in self._running.values() if (piece := running.piece) is not None]
        return [msgspec.structs.replace(each, task=now[each.task.id]) for each in pieces if each.task.id in now]

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
        running.work = asyncio.create_task(self._attempts.run(running))
        running.work.add_done_callback(lambda work: self._ended(running, work))

    def _ended(self, running: Running, work: asyncio.Task[None]) -> None:
        del self._running[running.task.id]
        self._freed.set()
        if not work.cancelled() and (error := work.exception()) is not None:
            log.error("task %s of job %s was lost", running.task.id, running.task.job_id, exc_info=error)
