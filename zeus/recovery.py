"""What a start does with the attempts that the last run of the node left behind."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import Enum

from zeus.errors import NoSpace
from zeus.files import Files, attempt_is_held, outputs_in
from zeus.model import Task
from zeus.store import Store

PATIENCE = 15.0
"""Seconds that a start waits for the guardian of the last run to end what it left: it needs two and a little."""

FULL_DISK_DELAY = 2.0
"""Seconds between two tries while the disk is full."""

log = logging.getLogger(__name__)


class Outcome(Enum):
    """What became of a task on record as running."""

    SETTLED = 1
    AWAY = 2
    """Another node has it in hand."""
    UNSETTLED = 3
    """The disk is full."""


TakeUp = Callable[[Sequence[Task]], Awaitable[None]]


async def recover(store: Store, files: Files) -> Mapping[Outcome, Sequence[Task]]:
    """Settle every task on record as running, but for those that other nodes have; nothing of this run does anything
    yet. Those that a full disk leaves unsettled are for `recover_later`.
    """
    deadline = asyncio.get_running_loop().time() + PATIENCE
    found: dict[Outcome, list[Task]] = {outcome: [] for outcome in Outcome}
    for task in await store.running():
        found[await _settled(store, files, task, deadline)].append(task)
    return found


async def recover_later(store: Store, files: Files, tasks: Sequence[Task], take_up: TakeUp) -> None:
    """Settle what a full disk left unsettled, as soon as there is room."""
    for task in tasks:
        while (outcome := await _settled(store, files, task, 0.0)) is Outcome.UNSETTLED:
            await asyncio.sleep(FULL_DISK_DELAY)
        if outcome is Outcome.AWAY:
            await take_up([task])


async def _settled(store: Store, files: Files, task: Task, deadline: float) -> Outcome:
    try:
        sent = await store.sent(task.id)
        if sent is not None and sent.attempt == task.attempt:
            return await _settle_sent(store, files, task)
        await _settle(store, files, task, deadline)
    except NoSpace:
        log.warning("job %s waits for room on the disk", task.job_id)
        return Outcome.UNSETTLED
    return Outcome.SETTLED


async def _settle_sent(store: Store, files: Files, task: Task) -> Outcome:
    """What can be settled of a task whose share another node has: no process of it was here."""
    if await _adopted(store, files, task):
        return Outcome.SETTLED
    if not task.wish:
        return Outcome.AWAY
    await files.discard(files.attempt(task.job_id, task.attempt) / "work")
    await store.requeue(task, task.attempt, counts=False)
    return Outcome.SETTLED


async def _adopted(store: Store, files: Files, task: Task) -> bool:
    """Finish a task whose files were published as a whole; what has no record of others goes."""
    job = await store.job(task.job_id)
    if job.publishes == "each":
        await files.unpublish(job.id, {output.name for output in await store.outputs(job.id)})
    if job.publishes == "whole" and await asyncio.to_thread(files.out(task.job_id).is_dir):
        # The rename is the moment of publication: it was whole then, and only the record of it is missing.
        outputs = await asyncio.to_thread(outputs_in, files.out(task.job_id))
        return await store.finish(task, task.attempt, outputs)
    return False


async def _settle(store: Store, files: Files, task: Task, deadline: float) -> None:
    lock = files.attempt(task.job_id, task.attempt) / "LOCK"
    while await asyncio.to_thread(attempt_is_held, lock):
        if asyncio.get_running_loop().time() > deadline:
            message = "A process of this job's last attempt is still alive and cannot be ended."
            await store.fail(task, task.attempt, "stray_process", message)
            return
        await asyncio.sleep(0.05)
    await files.discard(files.attempt(task.job_id, task.attempt) / "work")
    job = await store.job(task.job_id)
    if await _adopted(store, files, task):
        pass
    elif task.wish:
        await store.requeue(task, task.attempt, counts=False)
    elif task.failures + 1 >= job.max_attempts:
        message = f"The node ended in the middle of attempt {task.attempt}, the last of {job.max_attempts} allowed."
        await store.fail(task, task.attempt, "interrupted", message)
    else:
        await store.requeue(task, task.attempt, counts=True)
    log.info("job %s: attempt %s was cut off by the end of the last run", task.job_id, task.attempt)
