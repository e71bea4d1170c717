"""The store's face: every read and write of jobs as a method, and nothing of how they are stored."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import aiosqlite
import msgspec

from zeus.errors import JobNotFound, StoreFailed, ZeusError
from zeus.model import Job, NewJob, Output, Progress, Status, Task
from zeus.store import schema, writes
from zeus.store.writer import Writer

JOB_COLUMNS = ", ".join(Job.__struct_fields__)
TASK_COLUMNS = ", ".join(Task.__struct_fields__)
READERS = 2
REVISION_GAP = 1000
"""A start skips so many revisions: more than progress can have used since the last one that reached the disk."""


class Store:
    """One SQLite file: written by one thread in groups, read over connections that cannot write."""

    def __init__(self, writer: Writer, readers: Sequence[aiosqlite.Connection], uuid: str) -> None:
        self._writer = writer
        self._readers = readers
        self._turn = itertools.cycle(readers)
        self.uuid = uuid
        """Names this storage folder for good."""

    @classmethod
    async def open(cls, path: Path, announce: Callable[[int], None], failed: Callable[[ZeusError], None]) -> Store:
        """Open or make the database. `announce` and `failed` are the Writer's. Raises StoreFailed."""
        try:
            connection, uuid, revision = await asyncio.to_thread(_prepare, path)
        except sqlite3.Error as error:
            raise StoreFailed(f"The database {path} cannot be opened: {error}.") from error
        first = revision + REVISION_GAP
        announce(first)
        readers = [await _reader(path) for _ in range(READERS)]
        return cls(Writer(connection, first, announce, failed), readers, uuid)

    async def close(self) -> None:
        for reader in self._readers:
            await reader.close()
        await self._writer.close()

    # What is written. Each answers once it is durable.

    async def add_jobs(self, jobs: Sequence[NewJob]) -> None:
        await self._writer.write(lambda tx, revision: writes.add_jobs(tx, revision, jobs))

    async def begin(self, task: Task, node: str) -> int | None:
        return await self._writer.write(lambda tx, revision: writes.begin(tx, revision, task, node))

    async def finish(self, task: Task, attempt: int, outputs: Sequence[Output]) -> bool:
        return await self._writer.write(lambda tx, revision: writes.finish(tx, revision, task, attempt, outputs))

    async def fail(self, task: Task, attempt: int, code: str, message: str) -> bool:
        return await self._writer.write(lambda tx, revision: writes.fail(tx, revision, task, attempt, code, message))

    async def requeue(self, task: Task, attempt: int, *, counts: bool, not_before: float = 0.0) -> bool:
        return await self._writer.write(
            lambda tx, revision: writes.requeue(tx, revision, task, attempt, counts, not_before)
        )

    async def cancelled(self, task: Task, attempt: int) -> bool:
        return await self._writer.write(lambda tx, revision: writes.cancelled(tx, revision, task, attempt))

    async def cancel(self, job_id: str) -> list[int]:
        return await self._writer.write(lambda tx, revision: writes.cancel(tx, revision, job_id))

    async def delete(self, job_id: str) -> bool:
        return await self._writer.write(lambda tx, revision: writes.delete(tx, revision, job_id))

    async def keep_progress(self, progress: Sequence[tuple[str, Progress]]) -> None:
        await self._writer.write(lambda tx, revision: writes.keep_progress(tx, revision, progress))

    async def take_revision(self) -> int:
        """The next revision, for a change that lives in memory alone."""
        return await self._writer.take_revision()

    # What is read.

    async def job(self, job_id: str) -> Job:
        """One job. Raises JobNotFound."""
        rows = await self._read(f"SELECT {JOB_COLUMNS} FROM jobs WHERE id = ?", job_id)
        if not rows:
            raise JobNotFound(f"No job has the id {job_id}.")
        return _job(rows[0])

    async def jobs(self) -> list[Job]:
        """All jobs, the newest first."""
        return [_job(row) for row in await self._read(f"SELECT {JOB_COLUMNS} FROM jobs ORDER BY seq DESC")]

    async def job_ids(self) -> set[str]:
        return {row[0] for row in await self._read("SELECT id FROM jobs")}

    async def counts(self) -> dict[str, int]:
        """How many jobs there are of each status."""
        found = dict(await self._read("SELECT status, count(*) FROM jobs GROUP BY status"))
        return {status: found.get(status, 0) for status in Status}

    async def outputs(self, job_id: str) -> list[Output]:
        """A job's published files, by name."""
        rows = await self._read("SELECT name, size, sha256 FROM outputs WHERE job_id = ? ORDER BY name", job_id)
        return [Output(*row) for row in rows]

    async def queued(self, renderer: str, now: float, limit: int, without: Sequence[int]) -> list[Task]:
        """The tasks of one engine that may start, first in line first, without those whose ids are given."""
        holes = ", ".join("?" * len(without))
        return await self._tasks(
            f"WHERE status = 'queued' AND renderer = ? AND not_before <= ? AND id NOT IN ({holes})"
            " ORDER BY priority DESC, id LIMIT ?",
            renderer, now, *without, limit,
        )  # fmt: skip

    async def next_start(self, now: float) -> float | None:
        """When the next queued task may start that may not yet."""
        rows = await self._read("SELECT min(not_before) FROM tasks WHERE status = 'queued' AND not_before > ?", now)
        return rows[0][0] if rows else None

    async def running(self) -> list[Task]:
        """The tasks on record as running."""
        return await self._tasks("WHERE status = 'running'")

    async def task(self, task_id: int) -> Task:
        """A task as it stands now."""
        return (await self._tasks("WHERE id = ?", task_id))[0]

    async def _tasks(self, where: str, *values: Any) -> list[Task]:
        return [_task(row) for row in await self._read(f"SELECT {TASK_COLUMNS} FROM tasks {where}", *values)]

    async def _read(self, statement: str, *values: Any) -> list[Any]:
        return list(await next(self._turn).execute_fetchall(statement, values))


def _prepare(path: Path) -> tuple[sqlite3.Connection, str, int]:
    connection = schema.connect(path)
    schema.upgrade(connection)
    meta = dict(connection.execute("SELECT key, value FROM meta").fetchall())
    return connection, meta["uuid"], int(meta["revision"])


async def _reader(path: Path) -> aiosqlite.Connection:
    return await aiosqlite.connect(f"{path.as_uri()}?mode=ro", uri=True, isolation_level=None)


def _job(row: Sequence[Any]) -> Job:
    return msgspec.convert(dict(zip(Job.__struct_fields__, row, strict=True)), Job, strict=False)


def _task(row: Sequence[Any]) -> Task:
    return msgspec.convert(dict(zip(Task.__struct_fields__, row, strict=True)), Task, strict=False)
