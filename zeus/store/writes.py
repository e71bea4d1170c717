"""Every change of the database, each one synchronous function that runs within a transaction.

Each takes the connection and the revision of the change, and moves tasks along `model.MOVES` alone; a job's status
follows from its tasks in the same transaction. A result that comes with another attempt's number changes nothing.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence

from zeus.model import ENDED, NewJob, Output, Progress, Status, Task, sources

NEW_JOB_COLUMNS = NewJob.__struct_fields__


def add_jobs(tx: sqlite3.Connection, revision: int, jobs: Sequence[NewJob]) -> None:
    """Store jobs, each with its task: all of them or, by an error, none."""
    names = ", ".join(NEW_JOB_COLUMNS)
    values = ", ".join(f":{name}" for name in NEW_JOB_COLUMNS)
    for job in jobs:
        row = {name: getattr(job, name) for name in NEW_JOB_COLUMNS}
        tx.execute(
            f"INSERT INTO jobs ({names}, status, revision) VALUES ({values}, :status, :revision)",
            {**row, "status": Status.QUEUED, "revision": revision},
        )
        tx.execute(
            "INSERT INTO tasks (job_id, renderer, priority, status, start_frame, end_frame)"
            " VALUES (:id, :renderer, :priority, :status, :start_frame, :end_frame)",
            {**row, "status": Status.QUEUED},
        )


def begin(tx: sqlite3.Connection, revision: int, task: Task, node: str) -> int | None:
    """Take a queued task into work; the number of its new attempt, or None when it is not queued any more."""
    row = tx.execute(
        "UPDATE tasks SET status = 'running', attempt = attempt + 1 WHERE id = ? AND status = 'queued'"
        " RETURNING attempt",
        (task.id,),
    ).fetchone()
    if row is None:
        return None
    tx.execute(
        "UPDATE jobs SET status = 'running', attempt = ?, node = ?, percent = 0, revision = ?, ended = NULL,"
        " started = coalesce(started, ?), error_code = NULL, error_message = NULL WHERE id = ?",
        (row[0], node, revision, time.time(), task.job_id),
    )
    return int(row[0])


def finish(tx: sqlite3.Connection, revision: int, task: Task, attempt: int, outputs: Sequence[Output]) -> bool:
    """Record an attempt's published outputs and end the task; False when the attempt is not the present one."""
    if not _move(tx, revision, task, attempt, Status.FINISHED):
        return False
    tx.executemany(
        "INSERT OR REPLACE INTO outputs VALUES (?, ?, ?, ?)",
        [(task.job_id, output.name, output.size, output.sha256) for output in outputs],
    )
    tx.execute(
        "UPDATE jobs SET percent = 100, completed_frames = coalesce(end_frame - start_frame + 1, completed_frames),"
        " file_count = (SELECT count(*) FROM outputs WHERE job_id = jobs.id) WHERE id = ?",
        (task.job_id,),
    )
    return True


def fail(tx: sqlite3.Connection, revision: int, task: Task, attempt: int, code: str, message: str) -> bool:
    """End a task as failed, with the reason."""
    if not _move(tx, revision, task, attempt, Status.FAILED):
        return False
    tx.execute("UPDATE jobs SET error_code = ?, error_message = ? WHERE id = ?", (code, message, task.job_id))
    return True


def requeue(
    tx: sqlite3.Connection, revision: int, task: Task, attempt: int, counts: bool, not_before: float = 0.0
) -> bool:
    """Put a running task back in line, or end it when its cancel was wished for meanwhile.

    `counts` says whether the attempt counts toward max_attempts.
    """
    wished = tx.execute("SELECT cancelling FROM tasks WHERE id = ?", (task.id,)).fetchone()
    if not _move(tx, revision, task, attempt, Status.CANCELLED if wished and wished[0] else Status.QUEUED):
        return False
    tx.execute(
        "UPDATE tasks SET failures = failures + ?, not_before = ? WHERE id = ?", (int(counts), not_before, task.id)
    )
    return True


def cancelled(tx: sqlite3.Connection, revision: int, task: Task, attempt: int) -> bool:
    """End a task whose cancel was wished for, once nothing of it runs any more."""
    return _move(tx, revision, task, attempt, Status.CANCELLED)


def cancel(tx: sqlite3.Connection, revision: int, job_id: str) -> list[int]:
    """Cancel a job: what is queued at once; the ids of its running tasks, whose wish to end is now on record."""
    tx.execute(
        "UPDATE tasks SET status = 'cancelled' WHERE job_id = ? AND status IN ('queued', 'waiting', 'paused')",
        (job_id,),
    )
    running = tx.execute(
        "UPDATE tasks SET cancelling = 1 WHERE job_id = ? AND status = 'running' RETURNING id", (job_id,)
    ).fetchall()
    _follow(tx, revision, job_id)
    return [row[0] for row in running]


def delete(tx: sqlite3.Connection, revision: int, job_id: str) -> bool:
    """Remove an ended job's record; False when it is not there or has not ended."""
    marks = ", ".join(f"'{status}'" for status in ENDED)
    return tx.execute(f"DELETE FROM jobs WHERE id = ? AND status IN ({marks})", (job_id,)).rowcount > 0


def keep_progress(tx: sqlite3.Connection, revision: int, progress: Sequence[tuple[str, Progress]]) -> None:
    """Bring the progress of running jobs to the disk."""
    tx.executemany(
        "UPDATE jobs SET percent = ?, completed_frames = ? WHERE id = ? AND status = 'running'",
        [(each.percent, each.completed_frames, job_id) for job_id, each in progress],
    )


def _move(tx: sqlite3.Connection, revision: int, task: Task, attempt: int, to: Status) -> bool:
    legal = ", ".join(f"'{status}'" for status in sources(to))
    moved = tx.execute(
        f"UPDATE tasks SET status = ?, cancelling = 0 WHERE id = ? AND attempt = ? AND status IN ({legal})",
        (to, task.id, attempt),
    ).rowcount
    if moved:
        _follow(tx, revision, task.job_id)
    return bool(moved)


def _follow(tx: sqlite3.Connection, revision: int, job_id: str) -> None:
    """Let a job's status follow from its tasks': the first of the list that any of them has."""
    found = {row[0] for row in tx.execute("SELECT DISTINCT status FROM tasks WHERE job_id = ?", (job_id,))}
    order = [Status.RUNNING, Status.QUEUED, Status.WAITING, Status.PAUSED, Status.FAILED, Status.CANCELLED]
    status = next((each for each in order if each in found), Status.FINISHED)
    tx.execute(
        "UPDATE jobs SET status = :status, revision = :revision,"
        " ended = CASE WHEN :ended THEN coalesce(ended, :now) ELSE NULL END WHERE id = :id AND status != :status",
        {"status": status, "revision": revision, "ended": status in ENDED, "now": time.time(), "id": job_id},
    )
