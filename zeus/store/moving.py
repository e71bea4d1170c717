"""An attempt's beginning and its ends. A result that comes with another attempt's number changes nothing."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence

from zeus.model import COMES_TRUE, Frame, Output, Progress, Status, Task, Wish, sources
from zeus.store.following import follow, marks
from zeus.store.sending import owe_share

OUTSIDE = -1
"""In place of a count: the frame is outside of the task's span."""


def begin(tx: sqlite3.Connection, revision: int, task: Task, node: str) -> int | None:
    """Take a queued task into work; the number of its new attempt, or None when it is not queued any more."""
    row = tx.execute(
        "UPDATE tasks SET status = 'running', wish = '', attempt = 1 + (SELECT attempt FROM jobs WHERE id = job_id)"
        " WHERE id = ? AND status = 'queued'"
        " RETURNING attempt",
        (task.id,),
    ).fetchone()
    if row is None:
        return None
    tx.execute(
        "UPDATE jobs SET attempt = ?, node = ?, percent = 0, revision = ?, started = coalesce(started, ?),"
        " error_code = NULL, error_message = NULL WHERE id = ?",
        (row[0], node, revision, time.time(), task.job_id),
    )
    tx.execute("DELETE FROM frames WHERE job_id = ? AND error IS NOT NULL", (task.job_id,))
    follow(tx, revision, task.job_id)
    return int(row[0])


def finish(tx: sqlite3.Connection, revision: int, task: Task, attempt: int, outputs: Sequence[Output]) -> bool:
    """Record an attempt's published outputs and end the task; False when the attempt is not the present one."""
    if not is_present(tx, task, attempt):
        return False
    _add_outputs(tx, task.job_id, outputs)
    tx.execute(
        "UPDATE jobs SET percent = 100, completed_frames = CASE publishes WHEN 'each' THEN completed_frames"
        " ELSE coalesce((end_frame - start_frame) / frame_step + 1, completed_frames) END WHERE id = ?",
        (task.job_id,),
    )
    return _move(tx, revision, task, attempt, Status.FINISHED)


def put_frame(
    tx: sqlite3.Connection, revision: int, task: Task, attempt: int, frame: Frame, outputs: Sequence[Output]
) -> int | None:
    """Record a frame that was published with its files, or that failed; how many there are now.

    None when the attempt is not the present one, OUTSIDE when the frame is another piece's by now: then nothing is
    recorded.
    """
    if not is_present(tx, task, attempt):
        return None
    span = tx.execute("SELECT start_frame, end_frame FROM tasks WHERE id = ?", (task.id,)).fetchone()
    if None not in span and not span[0] <= frame.number <= span[1]:
        return OUTSIDE
    _add_outputs(tx, task.job_id, outputs, frame.number)
    row = (task.job_id, frame.number, frame.node, frame.seconds, frame.error)
    tx.execute("INSERT OR REPLACE INTO frames VALUES (?, ?, ?, ?, ?)", row)
    (count,) = tx.execute(
        "UPDATE jobs SET revision = ?,"
        " completed_frames = (SELECT count(*) FROM frames WHERE job_id = jobs.id AND error IS NULL)"
        " WHERE id = ? RETURNING completed_frames",
        (revision, task.job_id),
    ).fetchone()
    return int(count)


def set_span(tx: sqlite3.Connection, revision: int, task: Task, attempt: int, start: int, end: int, step: int) -> bool:
    """Record the frames that a job makes, where only its attempt could find them out."""
    if not is_present(tx, task, attempt):
        return False
    tx.execute("UPDATE tasks SET start_frame = ?, end_frame = ? WHERE id = ?", (start, end, task.id))
    tx.execute(
        "UPDATE jobs SET start_frame = ?, end_frame = ?, frame_step = ?, revision = ? WHERE id = ?",
        (start, end, step, revision, task.job_id),
    )
    return True


def _add_outputs(tx: sqlite3.Connection, job_id: str, outputs: Sequence[Output], frame: int | None = None) -> None:
    tx.executemany(
        "INSERT OR REPLACE INTO outputs VALUES (?, ?, ?, ?, ?)",
        [(job_id, output.name, output.size, output.sha256, frame) for output in outputs],
    )
    count = "(SELECT count(*) FROM outputs WHERE job_id = jobs.id)"
    tx.execute(f"UPDATE jobs SET file_count = {count} WHERE id = ?", (job_id,))


def fail(tx: sqlite3.Connection, revision: int, task: Task, attempt: int, code: str, message: str) -> bool:
    """End a task as failed, with the reason."""
    if not is_present(tx, task, attempt):
        return False
    tx.execute("UPDATE jobs SET error_code = ?, error_message = ? WHERE id = ?", (code, message, task.job_id))
    return _move(tx, revision, task, attempt, Status.FAILED)


def requeue(
    tx: sqlite3.Connection,
    revision: int,
    task: Task,
    attempt: int,
    *,
    counts: bool,
    not_before: float = 0.0,
    wish: Wish = Wish.NONE,
) -> bool:
    """Put a running task back in line, or where a wish for it wants it, now that nothing of it runs any more.

    `counts` says whether the attempt counts toward max_attempts; `wish` is one that could not be put on record.
    """
    if not is_present(tx, task, attempt):
        return False
    (stored,) = tx.execute("SELECT wish FROM tasks WHERE id = ?", (task.id,)).fetchone()
    tx.execute(
        "UPDATE tasks SET failures = failures + ?, not_before = ? WHERE id = ?", (int(counts), not_before, task.id)
    )
    return _move(tx, revision, task, attempt, COMES_TRUE.get(Wish(stored) or wish, Status.QUEUED))


def keep_progress(tx: sqlite3.Connection, revision: int, progress: Sequence[tuple[str, Progress]]) -> None:
    """Bring the progress of running jobs to the disk."""
    tx.executemany(
        "UPDATE jobs SET percent = ?, completed_frames = ? WHERE id = ? AND status = 'running'",
        [(each.percent, each.completed_frames, job_id) for job_id, each in progress],
    )


def keep_paces(tx: sqlite3.Connection, revision: int, paces: Sequence[tuple[str, str, float, float]]) -> None:
    """Bring to the disk how fast nodes are: node, engine, the seconds of a frame, and of a piece beyond its frames."""
    tx.executemany("INSERT OR REPLACE INTO paces VALUES (?, ?, ?, ?)", paces)


def is_present(tx: sqlite3.Connection, task: Task, attempt: int) -> bool:
    """Whether an attempt is the one on record as at work."""
    found = tx.execute(
        "SELECT 1 FROM tasks WHERE id = ? AND attempt = ? AND status = 'running'", (task.id, attempt)
    ).fetchone()
    return found is not None


def _move(tx: sqlite3.Connection, revision: int, task: Task, attempt: int, to: Status) -> bool:
    moved = tx.execute(
        f"UPDATE tasks SET status = ?, wish = '' WHERE id = ? AND attempt = ? AND status IN ({marks(sources(to))})",
        (to, task.id, attempt),
    ).rowcount
    if moved:
        owe_share(tx, task, "delete" if to is Status.FINISHED else "cancel")
        follow(tx, revision, task.job_id)
    return bool(moved)
