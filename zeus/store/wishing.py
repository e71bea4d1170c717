"""What users wish of a job: cancel, pause, resume, retry, another priority. A job of subjobs passes it on to them.

What is not running changes at once; for what is running the wish is put on record, and the ids of those tasks are the
answer: it comes true when their attempts have ended.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable

from zeus.errors import Conflict
from zeus.model import COMES_TRUE, ENDED, Status, Wish, sources
from zeus.store.following import MET, follow, marks

FAMILY = "job_id IN (SELECT id FROM jobs WHERE id = :id OR parent = :id)"

WHOLE = (
    "job_id IN (SELECT kin.id FROM jobs piece JOIN jobs whole ON whole.id = piece.parent AND whole.splits != ''"
    " JOIN jobs kin ON kin.id = whole.id OR kin.parent = whole.id WHERE piece.id = :id)"
)
"""SQL: the tasks of the split job that a job is a piece of, and of all its pieces."""


def end(tx: sqlite3.Connection, revision: int, job_id: str, wish: Wish) -> list[int]:
    """Cancel or pause. Raises Conflict when there is nothing to pause; a cancel of what has ended does nothing."""
    target = COMES_TRUE[wish]
    idle = marks(status for status in sources(target) if status is not Status.RUNNING)
    moved = tx.execute(
        f"UPDATE tasks SET status = :target WHERE {FAMILY} AND status IN ({idle}) RETURNING job_id",
        {"id": job_id, "target": target},
    ).fetchall()
    running = tx.execute(
        f"UPDATE tasks SET wish = :wish WHERE {FAMILY} AND status = 'running'"
        " AND (:wish = 'cancel' OR wish != 'cancel') RETURNING id",
        {"id": job_id, "wish": wish},
    ).fetchall()
    if wish is Wish.PAUSE and not moved and not running:
        raise Conflict(f"A job that is {_status(tx, job_id)} cannot be paused.", code="cannot_pause")
    _follow_all(tx, revision, moved)
    return [row[0] for row in running]


def resume(tx: sqlite3.Connection, revision: int, job_id: str) -> None:
    """Put a paused job back in line. Raises Conflict when it is not paused, or not all of it yet."""
    _refuse_while_ending(tx, job_id, Wish.PAUSE, "cannot_resume")
    if not _requeue(tx, revision, job_id, [Status.PAUSED]):
        raise Conflict(f"A job that is {_status(tx, job_id)} cannot be resumed.", code="cannot_resume")


def retry(tx: sqlite3.Connection, revision: int, job_id: str) -> None:
    """Start a failed or cancelled job anew, what has finished of it kept. Raises Conflict when it is neither, or is
    not wholly cancelled yet.

    With a piece of a split job goes what ended with it: the other pieces, what is not dealt yet, and what joins them.
    """
    _refuse_while_ending(tx, job_id, Wish.CANCEL, "cannot_retry")
    ended = [Status.FAILED, Status.CANCELLED]
    own = f"SELECT 1 FROM tasks WHERE {FAMILY} AND status IN ({marks(ended)})"
    if not tx.execute(own, {"id": job_id}).fetchone():
        raise Conflict(f"A job that is {_status(tx, job_id)} cannot be tried again.", code="cannot_retry")
    _requeue(tx, revision, job_id, ended, f"({FAMILY} OR {WHOLE})")


def set_priority(tx: sqlite3.Connection, revision: int, job_id: str, priority: int) -> None:
    """Change a job's place in line. Raises Conflict when it has ended."""
    changed = tx.execute(
        f"UPDATE jobs SET priority = :priority, revision = :revision"
        f" WHERE (id = :id OR parent = :id) AND status NOT IN ({marks(ENDED)})",
        {"id": job_id, "priority": priority, "revision": revision},
    ).rowcount
    if not changed:
        raise Conflict(f"A job that is {_status(tx, job_id)} has no place in line.", code="job_ended")
    tx.execute(f"UPDATE tasks SET priority = :priority WHERE {FAMILY}", {"id": job_id, "priority": priority})


def _requeue(tx: sqlite3.Connection, revision: int, job_id: str, froms: Iterable[Status], family: str = FAMILY) -> bool:
    values = {"id": job_id, "now": time.time()}
    moved = tx.execute(
        "UPDATE tasks SET failures = 0, not_before = (SELECT not_before FROM jobs WHERE id = job_id),"
        f" status = 'waiting' WHERE {family} AND status IN ({marks(froms)}) RETURNING job_id",
        values,
    ).fetchall()
    if moved:
        tx.execute("DELETE FROM losses WHERE job_id = (SELECT coalesce(parent, id) FROM jobs WHERE id = ?)", (job_id,))
    for (each,) in moved:
        tx.execute(
            "UPDATE jobs SET error_code = NULL, error_message = NULL WHERE id = :job OR id = :id"
            " OR id = (SELECT parent FROM jobs WHERE id = :job)",
            {"job": each, "id": job_id},
        )
        tx.execute(
            "UPDATE tasks SET status = 'queued'"
            f" WHERE job_id = :job AND status = 'waiting' AND not_before <= :now AND {MET}",
            {"job": each, "now": values["now"]},
        )
    _follow_all(tx, revision, moved)
    return bool(moved)


def _refuse_while_ending(tx: sqlite3.Connection, job_id: str, wish: Wish, code: str) -> None:
    """Raises Conflict while attempts at a job or its kin are still being ended by such a wish: it would undo this."""
    still = f"SELECT 1 FROM tasks WHERE ({FAMILY} OR {WHOLE}) AND status = 'running' AND wish = :wish"
    if tx.execute(still, {"id": job_id, "wish": wish}).fetchone():
        message = "Some of the job is still being ended; ask again once nothing of it runs."
        raise Conflict(message, code=code)


def _follow_all(tx: sqlite3.Connection, revision: int, moved: Iterable[tuple[str]]) -> None:
    for (job_id,) in moved:
        follow(tx, revision, job_id)


def _status(tx: sqlite3.Connection, job_id: str) -> str:
    row = tx.execute("SELECT status FROM jobs WHERE id = ?", (job_id,)).fetchone()
    return str(row[0]) if row else "not there"
