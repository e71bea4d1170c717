"""What follows from a task's move, in the same transaction: for its job, for the job's parent, for those that wait.

All functions of the store that change something take the connection, which is within a transaction, and the revision
of the change.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable

import msgspec

from zeus.model import ENDED, Role, Status, sources

ORDER = (
    Status.RUNNING,
    Status.QUEUED,
    Status.WAITING,
    Status.PAUSED,
    Status.FAILED,
    Status.CANCELLED,
    Status.FINISHED,
)
"""A job has the first of these that any of its tasks has."""
STATUSES = msgspec.json.encode(list(Status)).decode()


def marks(statuses: Iterable[Status]) -> str:
    """Statuses as a list in SQL."""
    return ", ".join(f"'{status}'" for status in statuses)


UNSTARTED = marks(status for status in sources(Status.CANCELLED) if status is not Status.RUNNING)
"""SQL: the statuses that a cancel ends at once."""
UNFINISHED = marks(status for status in Status if status is not Status.FINISHED)
MET = f"""NOT EXISTS (SELECT 1 FROM needs n JOIN jobs needed ON needed.id = n.needed
    WHERE n.job_id = tasks.job_id AND needed.status != 'finished')
    AND (tasks.role != '{Role.JOIN}'
        OR NOT EXISTS (SELECT 1 FROM tasks own WHERE own.job_id = tasks.job_id AND own.id != tasks.id
            AND own.status != 'finished')
        AND NOT EXISTS (SELECT 1 FROM jobs child
            WHERE child.parent = tasks.job_id AND child.status IN ({UNFINISHED})))"""
"""SQL: all jobs that a task's job depends on have finished and, before a task that joins, all pieces."""


def follow(tx: sqlite3.Connection, revision: int, job_id: str) -> None:
    """Let a job's status follow from its tasks' and its subjobs', and whatever follows from that."""
    own = {
        (row[0], row[1]) for row in tx.execute("SELECT DISTINCT status, role FROM tasks WHERE job_id = ?", (job_id,))
    }
    found, children = {Status(status) for status, _ in own}, _of_children(tx, job_id)
    if not children <= ENDED or (children and (Status.QUEUED, Role.DEAL) in own):
        set_status(tx, revision, job_id, Status.WAITING_FOR_SUBJOBS)
        return
    status = next((each for each in ORDER if each in found | children), Status.FINISHED)
    if status is Status.FAILED and Status.FAILED in children:
        _explain(tx, job_id, code="subjob_failed", message="A subjob failed.")
    set_status(tx, revision, job_id, status)


def _of_children(tx: sqlite3.Connection, parent: str) -> set[Status]:
    """The statuses that a job's subjobs have: a step in the index for each, however many subjobs there are."""
    found = tx.execute(f"SELECT value FROM json_each('{STATUSES}') WHERE EXISTS"
                       " (SELECT 1 FROM jobs WHERE parent = ? AND status = value)", (parent,))  # fmt: skip
    return {Status(row[0]) for row in found}


def set_status(tx: sqlite3.Connection, revision: int, job_id: str, status: Status) -> None:
    """Give a job a status, if it is another one, and pass on what that means for others."""
    changed = tx.execute(
        "UPDATE jobs SET status = :status, revision = :revision,"
        " ended = CASE WHEN :ended THEN coalesce(ended, :now) ELSE NULL END"
        " WHERE id = :id AND status != :status RETURNING parent",
        {"status": status, "revision": revision, "ended": status in ENDED, "now": time.time(), "id": job_id},
    ).fetchone()
    if changed is None:
        return
    if status is Status.FINISHED:
        release_dependents(tx, revision, job_id)
    elif status in ENDED:
        _cancel_dependents(tx, revision, job_id)
    if changed[0] is not None:
        _follow_child(tx, revision, changed[0], status)


def release(tx: sqlite3.Connection, revision: int, now: float) -> int:
    """Queue the tasks whose time has come and whose needs are met; how many there were."""
    return _release(tx, revision, "not_before <= ?", (now,))


def release_dependents(tx: sqlite3.Connection, revision: int, job_id: str) -> None:
    """Queue the tasks that waited for a job which has finished."""
    where = "not_before <= ? AND job_id IN (SELECT job_id FROM needs WHERE needed = ?)"
    _release(tx, revision, where, (time.time(), job_id))


def _release(tx: sqlite3.Connection, revision: int, where: str, values: tuple[object, ...]) -> int:
    freed = tx.execute(
        f"UPDATE tasks SET status = 'queued' WHERE status = 'waiting' AND {where} AND {MET} RETURNING job_id", values
    ).fetchall()
    for (job_id,) in freed:
        follow(tx, revision, job_id)
    return len(freed)


def _cancel_dependents(tx: sqlite3.Connection, revision: int, job_id: str) -> None:
    """End what can never start: a failed dependency ends its dependents, and theirs."""
    waiting = tx.execute(
        "SELECT DISTINCT t.job_id FROM tasks t JOIN needs n ON n.job_id = t.job_id"
        f" WHERE n.needed = ? AND t.status IN ({UNSTARTED})",
        (job_id,),
    ).fetchall()
    for (dependent,) in waiting:
        tx.execute(f"UPDATE tasks SET status = 'cancelled' WHERE job_id = ? AND status IN ({UNSTARTED})", (dependent,))
        message = f"Job {job_id}, which it depends on, did not finish."
        _explain(tx, dependent, code="dependency_failed", message=message)
        follow(tx, revision, dependent)


def _follow_child(tx: sqlite3.Connection, revision: int, parent: str, status: Status) -> None:
    """Let a job follow from what has become of a subjob. A split job whose piece did not finish begins no other one."""
    tx.execute("UPDATE jobs SET revision = ? WHERE id = ?", (revision, parent))
    if status is Status.FINISHED:
        _release(tx, revision, "job_id = ?", (parent,))
    elif status in ENDED:
        _end_rest(tx, revision, parent)
    follow(tx, revision, parent)


def _end_rest(tx: sqlite3.Connection, revision: int, parent: str) -> None:
    if not tx.execute("SELECT 1 FROM jobs WHERE id = ? AND splits != ''", (parent,)).fetchone():
        return
    ended = tx.execute(
        f"UPDATE jobs SET status = 'cancelled', ended = ?, revision = ? WHERE parent = ? AND status IN ({UNSTARTED})"
        " RETURNING id",
        (time.time(), revision, parent),
    ).fetchall()
    for (job_id,) in [*ended, (parent,)]:
        tx.execute(f"UPDATE tasks SET status = 'cancelled' WHERE job_id = ? AND status IN ({UNSTARTED})", (job_id,))
    for (job_id,) in ended:
        _cancel_dependents(tx, revision, job_id)


def _explain(tx: sqlite3.Connection, job_id: str, *, code: str, message: str) -> None:
    tx.execute("UPDATE jobs SET error_code = ?, error_message = ? WHERE id = ?", (code, message, job_id))
