"""Sharing a job out: taking pieces off what is not dealt yet, off running pieces, and storing those that were cut."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence

import msgspec

from zeus.model import NewJob, Status, Task
from zeus.store.adding import AGE, COLUMNS, insert, insert_join
from zeus.store.following import follow
from zeus.store.moving import is_present

MOST_PIECES = 10_000
"""Pieces of one job."""

NAME = (
    "(SELECT substr(whole.name, 1, 170) FROM jobs whole WHERE whole.id = :parent)"
    " || ' ' || CAST(:start AS TEXT) || '-' || CAST(:end AS TEXT)"
)
_OWN = {
    "id": ":id",
    "name": NAME,
    "parent": ":parent",
    "start_frame": ":start",
    "end_frame": ":end",
    "created": ":now",
    "args": "CASE piece_args WHEN x'' THEN args ELSE piece_args END",
    "enable_split_jobs": "0",
    "not_before": "0",
    "depends_on": "'[]'",
    "splits": "''",
    "joins": "0",
    "piece_args": "x''",
    "input_of": "coalesce(input_of, id)",
}
_COPY = (
    f"INSERT INTO jobs ({', '.join(COLUMNS)}, status, attempt, node, started, revision)"
    f" SELECT {', '.join(_OWN.get(name, name) for name in COLUMNS)}, 'running', 1, :node, :now, :revision"
    " FROM jobs WHERE id = :source"
)
_COPY_TASK = (
    "INSERT INTO tasks (job_id, renderer, priority, status, attempt, start_frame, end_frame, demand, age)"
    f" SELECT id, renderer, priority, 'running', 1, start_frame, end_frame, demand, {AGE} FROM jobs WHERE id = ?"
)


def deal(tx: sqlite3.Connection, revision: int, task: Task, end: int, node: str, child_id: str) -> int | None:
    """Make a piece of the first frames that are not dealt yet, up to `end`, and begin its first attempt.

    The id of the piece's task; None when something else has happened to what is not dealt.
    """
    is_as_seen = tx.execute(
        "SELECT 1 FROM tasks WHERE id = ? AND status = 'queued' AND start_frame = ? AND end_frame >= ?",
        (task.id, task.start_frame, end),
    ).fetchone()
    if is_as_seen is None or task.start_frame is None:
        return None
    if _count(tx, task.job_id) >= MOST_PIECES - 1:
        end = task.frames[-1]
    made = _piece(tx, revision, task.job_id, task.job_id, (task.start_frame, end), node, child_id)
    following = end + task.frame_step
    status = Status.FINISHED if following > task.frames[-1] else Status.QUEUED
    tx.execute("UPDATE tasks SET start_frame = ?, status = ? WHERE id = ?", (following, status, task.id))
    tx.execute("UPDATE jobs SET started = coalesce(started, ?) WHERE id = ?", (time.time(), task.job_id))
    follow(tx, revision, task.job_id)
    return made


def halve(tx: sqlite3.Connection, revision: int, task: Task, first: int, node: str, child_id: str) -> int | None:
    """Make a piece of a running piece's frames from `first` on, and begin its first attempt.

    The id of the new task; None when the piece does not run any more or has come too far: it keeps one frame at least
    that is not made yet.
    """
    row = tx.execute(
        "SELECT t.end_frame, j.parent, j.frame_step, coalesce((SELECT max(number) FROM frames WHERE job_id = j.id),"
        " t.start_frame - j.frame_step) FROM tasks t JOIN jobs j ON j.id = t.job_id"
        " WHERE t.id = ? AND t.status = 'running' AND t.wish = ''",
        (task.id,),
    ).fetchone()
    if row is None:
        return None
    end, parent, step, made = row
    if not made + step < first <= end or _count(tx, parent) >= MOST_PIECES:
        return None
    new = _piece(tx, revision, task.job_id, parent, (first, end), node, child_id)
    tx.execute("UPDATE tasks SET end_frame = ? WHERE id = ?", (first - step, task.id))
    kept = {"id": task.job_id, "parent": parent, "start": task.start_frame, "end": first - step, "revision": revision}
    tx.execute(f"UPDATE jobs SET end_frame = :end, name = {NAME}, revision = :revision WHERE id = :id", kept)
    tx.execute("UPDATE jobs SET revision = ? WHERE id = ?", (revision, parent))
    return new


def place_pieces(
    tx: sqlite3.Connection, revision: int, task: Task, attempt: int, job: NewJob, pieces: Sequence[NewJob]
) -> bool:
    """End a task that has cut its job: its pieces stand in line from now on, and what joins them waits for them.

    Where a job was not worth cutting, it has no pieces, and runs as one. False when the attempt is not the present one
    or is wished to end: then nothing has changed.
    """
    if not is_present(tx, task, attempt) or tx.execute("SELECT wish FROM tasks WHERE id = ?", (task.id,)).fetchone()[0]:
        return False
    for piece in pieces:
        insert(tx, revision, piece)
    if pieces:
        tx.execute("UPDATE tasks SET status = 'finished' WHERE id = ?", (task.id,))
        insert_join(tx, job)
    else:
        demand = msgspec.json.encode(job.demand).decode()
        tx.execute("UPDATE tasks SET status = 'queued', role = 'work', demand = ? WHERE id = ?", (demand, task.id))
        tx.execute("UPDATE jobs SET splits = '' WHERE id = ?", (job.id,))
    follow(tx, revision, job.id)
    tx.execute("UPDATE jobs SET revision = ? WHERE id = ?", (revision, job.id))
    return True


def drop_pieces(tx: sqlite3.Connection, revision: int, job_id: str) -> list[str]:
    """Take the files of a joined job's pieces off the record: parts are no outputs; the ids of those pieces."""
    tx.execute("DELETE FROM outputs WHERE job_id IN (SELECT id FROM jobs WHERE parent = ?)", (job_id,))
    tx.execute("UPDATE jobs SET file_count = 0, revision = ? WHERE parent = ?", (revision, job_id))
    return [row[0] for row in tx.execute("SELECT id FROM jobs WHERE parent = ?", (job_id,))]


def _piece(
    tx: sqlite3.Connection, revision: int, source: str, parent: str, span: tuple[int, int], node: str, child_id: str
) -> int:
    values = {"id": child_id, "source": source, "parent": parent, "start": span[0], "end": span[1], "node": node}
    tx.execute(_COPY, {**values, "now": time.time(), "revision": revision})
    return int(tx.execute(_COPY_TASK, (child_id,)).lastrowid or 0)


def _count(tx: sqlite3.Connection, parent: str) -> int:
    return int(tx.execute("SELECT count(*) FROM jobs WHERE parent = ?", (parent,)).fetchone()[0])
