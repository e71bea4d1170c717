"""Storing new jobs, and removing old ones."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence

import msgspec

from zeus.errors import BadInput, Conflict
from zeus.model import ENDED, Demand, Key, NewJob, Role, Status
from zeus.store.following import marks

COLUMNS = NewJob.__struct_fields__
INSERT_JOB = (
    f"INSERT INTO jobs ({', '.join(COLUMNS)}, status, revision)"
    f" VALUES ({', '.join(f':{name}' for name in COLUMNS)}, :status, :revision)"
)
AGE = "coalesce((SELECT whole.seq FROM jobs whole WHERE whole.id = jobs.parent), jobs.seq)"
"""SQL: a task's place in line among those of its priority: that of its job or, of a subjob, of the one it is of."""
INSERT_TASK = (
    "INSERT INTO tasks (job_id, renderer, priority, status, start_frame, end_frame, not_before, demand, role, age)"
    " SELECT :id, :renderer, :priority, :status, :start_frame, :end_frame, :not_before, :demand, :role,"
    f" {AGE} + (:role = 'deal') * 0.5 FROM jobs WHERE id = :id"
)
"""Pieces come before what is not dealt yet of their job."""
FIRST_ROLE = {"": Role.WORK, "frames": Role.DEAL, "parts": Role.CUT}
KEY_LIFE = 24 * 3600.0
"""Seconds that an Idempotency-Key is remembered."""
TOMBSTONES = 10_000
"""How many removed jobs are remembered, so that clients who ask for changes hear of them."""
SLACK = 1000
"""So many fewer may be there when the oldest of them counts as the first that is still remembered."""


def add_jobs(tx: sqlite3.Connection, revision: int, jobs: Sequence[NewJob], key: Key | None = None) -> list[str]:
    """Store jobs: all of them or, by an error, none; their ids, or those that the same key made before.

    Raises Conflict when the key came with something else before, BadInput when a dependency is not there.
    """
    if key is not None and (made := _made_before(tx, key)) is not None:
        return made
    parents = {job.parent for job in jobs}
    for job in jobs:
        insert(tx, revision, job, is_parent=job.id in parents)
    made = [job.id for job in jobs if job.parent is None]
    return made if key is None else _remember(tx, key, made)


def keep_key(tx: sqlite3.Connection, revision: int, key: Key, made: list[str]) -> list[str]:
    """Remember what a key made, or what it had made before, which is the answer. Raises Conflict."""
    before = _made_before(tx, key)
    return _remember(tx, key, made) if before is None else before


def delete(tx: sqlite3.Connection, revision: int, job_id: str) -> list[str]:
    """Remove an ended job's record and those of its subjobs; the ids of all, none when it is not there or not ended."""
    ended = marks(ENDED)
    if not tx.execute(f"SELECT 1 FROM jobs WHERE id = ? AND status IN ({ended})", (job_id,)).fetchone():
        return []
    ids = [row[0] for row in tx.execute("SELECT id FROM jobs WHERE id = ? OR parent = ?", (job_id, job_id))]
    tx.execute("DELETE FROM jobs WHERE id = ?", (job_id,))
    tx.executemany("INSERT INTO removed VALUES (?, ?)", [(revision, each) for each in ids])
    tx.execute(
        "DELETE FROM removed WHERE revision <= (SELECT revision FROM removed ORDER BY revision DESC LIMIT 1 OFFSET ?)",
        (TOMBSTONES,),
    )
    return ids


def _made_before(tx: sqlite3.Connection, key: Key) -> list[str] | None:
    tx.execute("DELETE FROM keys WHERE created < ?", (time.time() - KEY_LIFE,))
    return made_by(key, tx.execute("SELECT digest, made FROM keys WHERE text = ?", (key.text,)).fetchone())


def made_by(key: Key, row: Sequence[str] | None) -> list[str] | None:
    """What a key's row says that it made, or None without one. Raises Conflict when it came with another request."""
    if row is None:
        return None
    if row[0] != key.digest:
        raise Conflict("This Idempotency-Key came with another request before.", code="idempotency_conflict")
    return msgspec.json.decode(row[1], type=list[str])


def _remember(tx: sqlite3.Connection, key: Key, made: list[str]) -> list[str]:
    row = (key.text, key.digest, msgspec.json.encode(made).decode(), time.time())
    tx.execute("INSERT INTO keys (text, digest, made, created) VALUES (?, ?, ?, ?)", row)
    return made


def insert(tx: sqlite3.Connection, revision: int, job: NewJob, *, is_parent: bool = False) -> None:
    """Store one job and, unless it is its subjobs alone, its first tasks. Raises BadInput."""
    may_start = _needs_are_met(tx, job) and job.not_before <= time.time()
    status = Status.QUEUED if may_start else Status.WAITING
    row = row_of(job)
    row |= {"status": Status.WAITING_FOR_SUBJOBS if is_parent else status, "revision": revision}
    tx.execute(INSERT_JOB, row)
    tx.executemany("INSERT OR IGNORE INTO needs VALUES (?, ?)", [(job.id, needed) for needed in job.depends_on])
    if not is_parent:
        role = FIRST_ROLE[job.splits]
        tx.execute(INSERT_TASK, {**row, "role": role, **({"demand": here(job.demand)} if role is Role.CUT else {})})
        if job.joins and role is Role.DEAL:
            insert_join(tx, job)


def insert_join(tx: sqlite3.Connection, job: NewJob) -> None:
    """Add the task that joins what a job's pieces make: it waits for them."""
    tx.execute(INSERT_TASK, {**row_of(job), "role": Role.JOIN, "demand": here(job.demand), "status": Status.WAITING})


def row_of(job: NewJob) -> dict[str, object]:
    """A job's columns."""
    row: dict[str, object] = {name: getattr(job, name) for name in COLUMNS}
    coded = ("depends_on", "demand", "tags", "share")
    return row | {name: msgspec.json.encode(getattr(job, name)).decode() for name in coded}


def here(demand: Demand) -> str:
    """The demand of a task that cuts or joins for a job: it runs on this machine, and computes on the processor."""
    return msgspec.json.encode(Demand(version=demand.version, here=True)).decode()


def _needs_are_met(tx: sqlite3.Connection, job: NewJob) -> bool:
    """Whether all that a job depends on has finished. Raises BadInput where that cannot be any more."""
    met = True
    for needed in job.depends_on:
        found = tx.execute("SELECT status FROM jobs WHERE id = ?", (needed,)).fetchone()
        if found is None:
            raise BadInput(f"depends_on: no job has the id {needed}.", code="unknown_dependency")
        if found[0] in (Status.FAILED, Status.CANCELLED):
            raise BadInput(f"depends_on: job {needed} has ended as {found[0]}.", code="dependency_failed")
        met = met and found[0] == Status.FINISHED
    return met
