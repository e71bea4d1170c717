"""What the store's rows mean: the columns that are asked for, and the jobs and tasks that are made of them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import msgspec

from zeus.errors import JobNotFound
from zeus.model import Child, Demand, Job, Task

LOSSES = 3
"""So often may a node lose or fail a job before it is avoided for it."""
FORGIVEN = 600.0
"""Seconds after the last time until when it is."""
NOW = "((julianday('now') - 2440587.5) * 86400.0)"
AVOIDED = f"count >= {LOSSES} AND since > {NOW} - {FORGIVEN}"
"""SQL: whether a row of `losses` has its node avoided."""
COMPUTED = {"has_children": "EXISTS (SELECT 1 FROM jobs child WHERE child.parent = jobs.id)"}
JOB_COLUMNS = ", ".join(COMPUTED.get(name, name) for name in Job.__struct_fields__)
CHILD_COLUMNS = ", ".join(Child.__struct_fields__)
ONE_JOB = f"SELECT {JOB_COLUMNS} FROM jobs WHERE id = ?"
OF_JOB = {
    "frame_step": "(SELECT frame_step FROM jobs WHERE jobs.id = tasks.job_id)",
    "avoid": f"(SELECT json_group_array(json_array(node, reason)) FROM losses WHERE {AVOIDED} AND losses.job_id IN"
    " (SELECT coalesce(jobs.parent, jobs.id) FROM jobs WHERE jobs.id = tasks.job_id))",
    "failed_on": "iif(failures, (SELECT iif(failures + 1 >= max_attempts, coalesce(node, ''), '') FROM jobs"
    " WHERE jobs.id = tasks.job_id), '')",
}
TASK_COLUMNS = ", ".join(OF_JOB.get(name, f"tasks.{name}") for name in Task.__struct_fields__)


def all_jobs(rows: Sequence[Sequence[Any]]) -> list[Job]:
    """Jobs of their rows."""
    return [job_of(row) for row in rows]


def the_job(rows: Sequence[Sequence[Any]], job_id: str) -> Job:
    """The one job of a query for it. Raises JobNotFound."""
    if not rows:
        raise JobNotFound(f"No job has the id {job_id}.")
    return job_of(rows[0])


def job_of(row: Sequence[Any]) -> Job:
    """A job of its row of JOB_COLUMNS."""
    values = dict(zip(Job.__struct_fields__, row, strict=True))
    values |= {name: msgspec.json.decode(values[name]) for name in ("depends_on", "tags", "share")}
    values["demand"] = _demand(values["demand"])
    return msgspec.convert(values, Job, strict=False)


def task_of(row: Sequence[Any]) -> Task:
    """A task of its row of TASK_COLUMNS."""
    values = dict(zip(Task.__struct_fields__, row, strict=True))
    values |= {"demand": _demand(values["demand"]), "avoid": msgspec.json.decode(values["avoid"])}
    return msgspec.convert(values, Task, strict=False)


@functools.lru_cache(maxsize=256)
def _demand(text: str) -> Demand:
    return msgspec.json.decode(text, type=Demand)
