"""The store's face: every read and write of jobs as a method, and nothing of how they are stored."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import aiosqlite
import msgspec

from zeus.errors import BadInput, StoreFailed, ZeusError
from zeus.model import (
    ALL,
    ENDED,
    Changes,
    Child,
    Filter,
    Frame,
    Job,
    Key,
    NewJob,
    Output,
    Progress,
    Status,
    Task,
    Wish,
)
from zeus.store import adding, following, moving, schema, sharing, wishing
from zeus.store.following import MET
from zeus.store.rows import (
    AVOIDED,
    CHILD_COLUMNS,
    FORGIVEN,
    JOB_COLUMNS,
    ONE_JOB,
    TASK_COLUMNS,
    all_jobs,
    task_of,
    the_job,
)
from zeus.store.shares import ShareTables
from zeus.store.writer import Writer

MOST_KEPT = 500
LINES = f"""WITH RECURSIVE kept (id) AS MATERIALIZED (
    SELECT tasks.id FROM losses CROSS JOIN tasks WHERE {AVOIDED} AND tasks.job_id = losses.job_id AND status = 'queued'
    UNION
    SELECT tasks.id FROM losses CROSS JOIN jobs CROSS JOIN tasks WHERE {AVOIDED} AND jobs.parent = losses.job_id
        AND jobs.status = 'queued' AND tasks.job_id = jobs.id),
lines (renderer, demand) AS (
    SELECT value, (SELECT min(demand) FROM tasks WHERE status = 'queued' AND renderer = value) FROM json_each(?1)
    UNION ALL
    SELECT renderer, (SELECT min(demand) FROM tasks
        WHERE status = 'queued' AND renderer = lines.renderer AND demand > lines.demand)
    FROM lines WHERE demand IS NOT NULL)
SELECT {TASK_COLUMNS} FROM lines CROSS JOIN tasks
WHERE tasks.id IN (SELECT id FROM tasks WHERE status = 'queued' AND renderer = lines.renderer AND demand = lines.demand
    AND not_before <= ?2 AND id NOT IN (SELECT value FROM json_each(?3)) ORDER BY priority DESC, age, id
    LIMIT ?4 + (SELECT min(count(*), {MOST_KEPT}) FROM kept))
ORDER BY tasks.priority DESC, tasks.age, tasks.id"""
"""The lines are found by one step in the index each, however long they are. Tasks that some node is left alone for may
start nowhere for that: so many of them are looked at besides the first ones.
"""
READERS = 2
MANY = 500
"""Rows above which making jobs of them is left to a thread."""
REVISION_GAP = 1000
"""A start skips so many revisions: more than progress can have used since the last one that reached the disk."""


class Store(ShareTables):
    """One SQLite file: written by one thread in groups, read over connections that cannot write."""

    def __init__(self, writer: Writer, readers: Sequence[aiosqlite.Connection], uuid: str) -> None:
        super().__init__(writer, readers)
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

    async def add_jobs(self, jobs: Sequence[NewJob], key: Key | None = None) -> list[Job]:
        """The new jobs, read where they are written; or those that the key made before. Raises JobNotFound for one of
        those that has gone.
        """
        return await self._write(_add_jobs, jobs, key)

    async def keep_key(self, key: Key, made: str) -> str:
        """Remember what a key made, or what it had made before, which is the answer. Raises Conflict."""
        return (await self._write(adding.keep_key, key, [made]))[0]

    async def delete(self, job_id: str) -> list[str]:
        return await self._write(adding.delete, job_id)

    async def begin(self, task: Task, node: str) -> int | None:
        return await self._write(moving.begin, task, node)

    async def finish(self, task: Task, attempt: int, outputs: Sequence[Output]) -> bool:
        return await self._write(moving.finish, task, attempt, outputs)

    async def put_frame(self, task: Task, attempt: int, frame: Frame, outputs: Sequence[Output] = ()) -> int | None:
        return await self._write(moving.put_frame, task, attempt, frame, outputs)

    async def set_span(self, task: Task, attempt: int, start: int, end: int, step: int) -> bool:
        return await self._write(moving.set_span, task, attempt, start, end, step)

    async def fail(self, task: Task, attempt: int, code: str, message: str) -> bool:
        return await self._write(moving.fail, task, attempt, code, message)

    async def requeue(
        self, task: Task, attempt: int, *, counts: bool, not_before: float = 0.0, wish: Wish = Wish.NONE
    ) -> bool:
        return await self._write(moving.requeue, task, attempt, counts=counts, not_before=not_before, wish=wish)

    async def keep_progress(self, progress: Sequence[tuple[str, Progress]]) -> None:
        await self._write(moving.keep_progress, progress)

    async def keep_paces(self, paces: Sequence[tuple[str, str, float, float]]) -> None:
        await self._write(moving.keep_paces, paces)

    async def end(self, job_id: str, wish: Wish) -> list[int]:
        return await self._write(wishing.end, job_id, wish)

    async def resume(self, job_id: str) -> None:
        await self._write(wishing.resume, job_id)

    async def retry(self, job_id: str) -> None:
        await self._write(wishing.retry, job_id)

    async def set_priority(self, job_id: str, priority: int) -> None:
        await self._write(wishing.set_priority, job_id, priority)

    async def release(self, now: float) -> int:
        return await self._write(following.release, now)

    async def deal(self, task: Task, end: int, node: str, child_id: str) -> int | None:
        return await self._write(sharing.deal, task, end, node, child_id)

    async def halve(self, task: Task, first: int, node: str, child_id: str) -> int | None:
        return await self._write(sharing.halve, task, first, node, child_id)

    async def place_pieces(self, task: Task, attempt: int, job: Job, pieces: Sequence[NewJob]) -> bool:
        return await self._write(sharing.place_pieces, task, attempt, job, pieces)

    async def drop_pieces(self, job_id: str) -> list[str]:
        return await self._write(sharing.drop_pieces, job_id)

    async def put_meta(self, key: str, value: str) -> None:
        """Keep a fact about this node."""
        await self._write(_put_meta, key, value)

    async def take_revision(self) -> int:
        """The next revision, for a change that lives in memory alone."""
        return await self._writer.take_revision()

    # What is read.

    async def job(self, job_id: str) -> Job:
        """One job. Raises JobNotFound."""
        return the_job(await self._read(ONE_JOB, job_id), job_id)

    async def jobs(self, wanted: Filter = ALL) -> list[Job]:
        """Jobs in the order that is wanted. Raises BadInput when the job to go on after is not there."""
        follows, order = (">", "ASC") if wanted.oldest_first else ("<", "DESC")
        after = None if wanted.after is None else (await self._seq(wanted.after))
        return await self._jobs(
            "WHERE (?1 IS NULL OR status = ?1) AND (?2 IS NULL OR renderer = ?2)"
            f" AND (?3 IS NULL OR seq {follows} ?3) ORDER BY seq {order} LIMIT ?4",
            wanted.status, wanted.renderer, after, -1 if wanted.limit is None else wanted.limit,
        )  # fmt: skip

    async def made_before(self, key: Key) -> list[str] | None:
        """The ids of what a key made, or None when it is new. Raises Conflict when it came with another request."""
        since = time.time() - adding.KEY_LIFE
        rows = await self._read("SELECT digest, made FROM keys WHERE text = ? AND created >= ?", key.text, since)
        return adding.made_by(key, rows[0] if rows else None)

    async def children(self, parent: str) -> list[Child]:
        """A job's subjobs: by their frames, then in the order in which they were made."""
        rows = await self._read(f"SELECT {CHILD_COLUMNS} FROM jobs WHERE parent = ? ORDER BY start_frame, seq", parent)
        return [msgspec.convert(row, Child, strict=False) for row in rows]

    async def changes(self, revision: int) -> Changes:
        """What became of the jobs after a revision."""
        oldest = (await self._read("SELECT coalesce(min(revision), 0), count(*) FROM removed"))[0]
        if oldest[1] > adding.TOMBSTONES - adding.SLACK and oldest[0] > revision:
            return Changes(tuple(await self.jobs()), (), whole=True)
        removed = await self._read("SELECT revision, job_id FROM removed WHERE revision > ? ORDER BY 1", revision)
        jobs = await self._jobs("WHERE revision > ? ORDER BY revision", revision)
        return Changes(tuple(jobs), tuple((row[0], row[1]) for row in removed), whole=False)

    async def live(self) -> list[Job]:
        """The jobs that run or wait for subjobs that may: those whose progress changes."""
        return await self._jobs("WHERE status IN ('running', 'waiting_for_subjobs')")

    async def needs(self, job_id: str) -> list[tuple[str, Status]]:
        """The jobs that a job depends on, each with its status."""
        rows = await self._read(
            "SELECT needed, status FROM needs JOIN jobs ON id = needed WHERE job_id = ? ORDER BY needed", job_id
        )
        return [(row[0], Status(row[1])) for row in rows]

    async def ahead(self, task: Task) -> int:
        """How many queued tasks of the same engine stand before one in line."""
        rows = await self._read(
            "SELECT count(*) FROM tasks WHERE status = 'queued' AND renderer = ?1"
            " AND (priority > ?2 OR (priority = ?2 AND (age, id) < (?3, ?4)))",
            task.renderer, task.priority, task.age, task.id,
        )  # fmt: skip
        return int(rows[0][0])

    async def tasks(self, job_id: str) -> list[Task]:
        """A job's own tasks."""
        return await self._tasks("WHERE job_id = ?", job_id)

    async def meta(self, key: str) -> str | None:
        """A fact about this node that is kept, or None."""
        rows = await self._read("SELECT value FROM meta WHERE key = ?", key)
        return str(rows[0][0]) if rows else None

    async def job_ids(self) -> set[str]:
        return {row[0] for row in await self._read("SELECT id FROM jobs")}

    async def counts(self) -> dict[str, int]:
        """How many jobs there are of each status."""
        found = dict(await self._read("SELECT status, count(*) FROM jobs GROUP BY status"))
        return {status: found.get(status, 0) for status in Status}

    async def outputs(self, job_id: str) -> list[Output]:
        """A job's published files and those of its subjobs, by name."""
        rows = await self._read(
            "SELECT name, size, sha256, job_id, '', frame FROM outputs WHERE job_id = ?1 OR job_id IN"
            " (SELECT piece.id FROM jobs whole JOIN jobs piece ON piece.parent = whole.id"
            " WHERE whole.id = ?1 AND whole.splits != 'parts') ORDER BY name, job_id",
            job_id,
        )
        return [Output(*row) for row in rows]

    async def made(self, parent: str) -> list[tuple[Job, list[str]]]:
        """The pieces of a split job with the names of what each has made: by their frames, parts as they were cut."""
        names: dict[str, list[str]] = {}
        rows = "SELECT id, outputs.name FROM jobs JOIN outputs ON job_id = id WHERE parent = ? ORDER BY outputs.name"
        for job_id, name in await self._read(rows, parent):
            names.setdefault(job_id, []).append(name)
        found = await self._jobs(
            "WHERE parent = ? ORDER BY CASE WHEN input_of IS NULL THEN 0 ELSE start_frame END, seq", parent
        )
        return [(job, names.get(job.id, [])) for job in found]

    async def frames_of_children(self, parent: str) -> dict[str, list[Frame]]:
        """The frames of a job's subjobs that were published or failed, by the subjob's id."""
        rows = await self._read(
            "SELECT job_id, number, frames.node, seconds, error FROM jobs JOIN frames ON job_id = id WHERE parent = ?",
            parent,
        )
        found: dict[str, list[Frame]] = {}
        for job_id, *frame in rows:
            found.setdefault(job_id, []).append(Frame(*frame))
        return found

    async def paces(self) -> list[tuple[str, str, float, float]]:
        """What was measured of each node and engine: the seconds of a frame, and those of a piece beyond its frames."""
        return [(row[0], row[1], row[2], row[3]) for row in await self._read("SELECT * FROM paces")]

    async def frames(self, job_id: str) -> list[Frame]:
        """A job's own frames that were published or failed, by number."""
        rows = await self._read(
            "SELECT number, node, seconds, error FROM frames WHERE job_id = ? ORDER BY number", job_id
        )
        return [Frame(*row) for row in rows]

    async def ended(self) -> list[Job]:
        """All jobs that have ended and are no subjobs."""
        return await self._jobs(f"WHERE parent IS NULL AND status IN ({following.marks(ENDED)})")

    async def queued(self, renderers: Sequence[str], now: float, limit: int, without: Sequence[int]) -> list[Task]:
        """The tasks that may start, without those whose ids are given: the first `limit` of each line, which is of one
        engine and of one demand, since tasks that wait for a GPU must not hide those behind them that need none.
        """
        names, ids = (msgspec.json.encode(each).decode() for each in (renderers, without))
        return [task_of(row) for row in await self._read(LINES, names, now, ids, limit)]

    async def starts(self, now: float) -> tuple[bool, float | None]:
        """Whether a task waits whose time has come and whose needs are met; and when the next one may start, or stop
        waiting, that may not yet, or a node is forgiven.
        """
        [(is_due, start)] = await self._read(
            f"SELECT EXISTS (SELECT 1 FROM tasks WHERE status = 'waiting' AND not_before <= ?1 AND {MET}),"
            " (SELECT min(start) FROM (SELECT min(not_before) AS start FROM tasks WHERE status = 'queued' AND"
            f" not_before > ?1 UNION ALL SELECT min(not_before) FROM tasks WHERE status = 'waiting' AND {MET}"
            f" UNION ALL SELECT min(since) + {FORGIVEN} FROM losses WHERE {AVOIDED}))",
            now,
        )
        return bool(is_due), start

    async def running(self) -> list[Task]:
        """The tasks on record as running."""
        return await self._tasks("WHERE status = 'running'")

    async def task(self, task_id: int) -> Task:
        """A task as it stands now."""
        return (await self._tasks("WHERE id = ?", task_id))[0]

    async def _seq(self, job_id: str) -> int:
        rows = await self._read("SELECT seq FROM jobs WHERE id = ?", job_id)
        if not rows:
            raise BadInput(f"after: no job has the id {job_id[:80]}.", code="invalid_field")
        return int(rows[0][0])

    async def _jobs(self, where: str, *values: Any) -> list[Job]:
        rows = await self._read(f"SELECT {JOB_COLUMNS} FROM jobs {where}", *values)
        return await asyncio.to_thread(all_jobs, rows) if len(rows) > MANY else all_jobs(rows)

    async def _tasks(self, where: str, *values: Any) -> list[Task]:
        return [task_of(row) for row in await self._read(f"SELECT {TASK_COLUMNS} FROM tasks {where}", *values)]


def _prepare(path: Path) -> tuple[sqlite3.Connection, str, int]:
    connection = schema.connect(path)
    schema.upgrade(connection)
    meta = dict(connection.execute("SELECT key, value FROM meta").fetchall())
    return connection, meta["uuid"], int(meta["revision"])


async def _reader(path: Path) -> aiosqlite.Connection:
    return await aiosqlite.connect(f"{path.as_uri()}?mode=ro", uri=True, isolation_level=None)


def _put_meta(tx: sqlite3.Connection, revision: int, key: str, value: str) -> None:
    tx.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


def _add_jobs(tx: sqlite3.Connection, revision: int, jobs: Sequence[NewJob], key: Key | None) -> list[Job]:
    made = adding.add_jobs(tx, revision, jobs, key)
    return [the_job(tx.execute(ONE_JOB, (job_id,)).fetchall(), job_id) for job_id in made]
