"""One attempt from its first record to its last: what is published of it, and what becomes of its task."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

from zeus.child import uncancelled
from zeus.dispatch import Dispatcher
from zeus.errors import NodeBusy, NodeLost, NodeSilent, NoSpace, StoreFailed, TaskFailed, ZeusError
from zeus.failpoint import failpoint
from zeus.files import Files
from zeus.model import Output, Role, Task
from zeus.progress import ProgressBook
from zeus.schedule.pace import Paces
from zeus.schedule.parts import Parts, weights
from zeus.schedule.publication import Publication
from zeus.schedule.running import Phase, Running
from zeus.store import Store

T = TypeVar("T")

log = logging.getLogger(__name__)

LONGEST_DELAY = 300.0
"""Seconds that a failed task waits at most before its next attempt."""
FULL_DISK_DELAY = 2.0
"""Seconds between two tries to record something while the disk is full."""
SAME_OUTAGE = 60.0
"""Seconds in which a node that does not answer is counted once for a job, however many of its pieces it had."""


class Attempts:
    """Runs attempts where they were assigned. `retry_delay`: the seconds before the second one of a task."""

    def __init__(
        self,
        store: Store,
        files: Files,
        progress: ProgressBook,
        dispatcher: Dispatcher,
        paces: Paces,
        retry_delay: float,
    ) -> None:
        self._store = store
        self._files = files
        self._progress = progress
        self._dispatcher = dispatcher
        self._paces = paces
        self._parts = Parts(store, files)
        self._retry_delay = retry_delay

    async def run(self, running: Running) -> None:
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
        await self._note_pace(running, publication, is_whole=not running.is_taken_up)
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

    async def _note_pace(self, running: Running, publication: Publication, *, is_whole: bool = False) -> None:
        """Remember how fast the place was, as far as the attempt has shown it. `is_whole`: it made all of its frames,
        from the first to the last under this node's eyes.
        """
        task, seconds, setup = running.task, publication.pulse.seconds, publication.pulse.setup
        is_whole = is_whole and task.role is Role.WORK and publication.job.publishes == "whole"
        if seconds is None and is_whole and task.frames:
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
            made.weights = weights(task, [self._paces.on(place) for place in self._dispatcher.places()])
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
            apart = SAME_OUTAGE if isinstance(error, NodeSilent) else 0.0
            await self._recorded(
                running, lambda: self._store.lose(task.job_id, running.place.peer, error.message, apart)
            )
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
