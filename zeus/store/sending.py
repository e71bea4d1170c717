"""The shares of this node's tasks that other nodes have: where each is, what is owed to those nodes, who lost what.

An attempt's share is on record in `sent` from the moment when its node has taken it. The commit that ends the attempt,
however it ends, makes a debt of that row: so whatever this node goes through, no share is forgotten.
"""

from __future__ import annotations

import sqlite3
import time

from zeus.model import Debt, Task
from zeus.store.rows import FORGIVEN

LONGEST_REASON = 300


def put_sent(tx: sqlite3.Connection, revision: int, task: Task, attempt: int, node: str, job_id: str) -> bool:
    """Record the share of a task's present attempt; False, and a debt, when the attempt is not the present one."""
    row = (task.id, attempt)
    if tx.execute("SELECT 1 FROM tasks WHERE id = ? AND attempt = ? AND status = 'running'", row).fetchone():
        tx.execute("INSERT OR REPLACE INTO sent VALUES (?, ?, ?, ?)", (*row, node, job_id))
        return True
    owe(tx, revision, Debt(node, job_id, "cancel", time.time(), task.job_id))
    return False


def end_sent(tx: sqlite3.Connection, revision: int, task: Task) -> None:
    """A share has ended and all that it made is here: what is left is to tell its node."""
    owe_share(tx, task, "delete")


def owe_share(tx: sqlite3.Connection, task: Task, wish: str) -> None:
    """Make a debt of a task's share, if it has one."""
    tx.execute(
        "INSERT OR REPLACE INTO debts SELECT node, job_id, ?, ?, ? FROM sent WHERE task_id = ?",
        (wish, time.time(), task.job_id, task.id),
    )
    tx.execute("DELETE FROM sent WHERE task_id = ?", (task.id,))


def owe(tx: sqlite3.Connection, revision: int, debt: Debt) -> None:
    """Record a debt."""
    row = (debt.node, debt.job_id, debt.wish, debt.since, debt.of_job)
    tx.execute("INSERT OR REPLACE INTO debts VALUES (?, ?, ?, ?, ?)", row)


def pay(tx: sqlite3.Connection, revision: int, node: str, job_id: str) -> None:
    """Forget a debt, which its node has heard of."""
    tx.execute("DELETE FROM debts WHERE node = ? AND job_id = ?", (node, job_id))


def lose(tx: sqlite3.Connection, revision: int, job_id: str, node: str, reason: str, apart: float) -> None:
    """Count a loss or a failure of a node at a job; those at its pieces count together, and those that are not
    `apart` seconds from the one before as one. What is long ago is forgotten.
    """
    now = time.time()
    tx.execute(
        "INSERT INTO losses (job_id, node, count, since, reason) SELECT coalesce(parent, id), ?1, 1, ?3, ?4 FROM jobs"
        " WHERE id = ?2 ON CONFLICT DO UPDATE SET count = CASE WHEN since <= ?3 - ?6 THEN 1 ELSE count"
        " + (since <= ?3 - ?5) END, since = ?3, reason = ?4",
        (node, job_id, now, reason[:LONGEST_REASON], apart, FORGIVEN),
    )


def tell(tx: sqlite3.Connection, revision: int, job_id: str, status: str) -> None:
    """The owner of a share that this node runs has been told its status."""
    tx.execute("UPDATE jobs SET told = ? WHERE id = ?", (status, job_id))
