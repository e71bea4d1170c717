"""The store: groups, savepoints, cancelled callers, fences, schema; and what happens when the disk refuses."""

from __future__ import annotations

import asyncio
import sqlite3
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from zeus.errors import BadInput, Conflict, JobNotFound, NoSpace, StoreFailed, ZeusError
from zeus.feed import Feed
from zeus.model import MOVES, NewJob, Output, Status, Task, Wish, string_to_status
from zeus.store import Store
from zeus.store.schema import STEPS


class Opened:
    """A store with the feed behind it and the failures that it told of."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.feed = Feed()
        self.failures: list[ZeusError] = []
        self.store: Store

    async def open(self) -> Store:
        self.store = await Store.open(self.path, self.feed.announce, self.failures.append)
        return self.store


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Opened]:
    made = Opened(tmp_path / "zeus.db")
    await made.open()
    yield made
    await made.store.close()


def new(**values: object) -> NewJob:
    base = {"id": str(uuid.uuid4()), "name": "n", "renderer": "noop", "renderer_version": "latest"}
    return NewJob(**{**base, "args": b"{}", "created": time.time(), **values})  # type: ignore[arg-type]


async def add(store: Store, **values: object) -> tuple[str, Task]:
    job = new(**values)
    await store.add_jobs([job])
    (task,) = [task for task in await store.queued(["noop"], time.time(), 10_000, []) if task.job_id == job.id]
    return job.id, task


async def test_concurrent_writes_share_commits_and_all_last(opened: Opened) -> None:
    before = opened.feed.newest
    await asyncio.gather(*(opened.store.add_jobs([new()]) for _ in range(500)))
    assert len(await opened.store.jobs()) == 500
    assert opened.feed.newest == before + 500
    revisions = {job.revision for job in await opened.store.jobs()}
    assert len(revisions) == 500


async def test_callers_that_are_cancelled_disturb_nobody(opened: Opened) -> None:
    tasks = [asyncio.create_task(opened.store.add_jobs([new(name=str(number))])) for number in range(200)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert sum(isinstance(each, asyncio.CancelledError) for each in done) == 100
    names = {job.name for job in await opened.store.jobs()}
    assert {str(number) for number in range(1, 200, 2)} <= names
    await opened.store.add_jobs([new()])


async def test_what_changes_nothing_takes_no_revision(opened: Opened) -> None:
    job = new()
    await opened.store.add_jobs([job])
    before = opened.feed.newest
    with pytest.raises(Conflict):
        await opened.store.resume(job.id)
    assert await opened.store.delete(job.id) == [] and await opened.store.release(time.time()) == 0
    assert opened.feed.newest == before
    await opened.store.set_priority(job.id, 3)
    assert opened.feed.newest == before + 1 == (await opened.store.job(job.id)).revision


async def test_a_write_that_fails_alone_is_undone_alone(opened: Opened) -> None:
    twin = new()
    await opened.store.add_jobs([twin])
    writes = [opened.store.add_jobs([new(), twin]), opened.store.add_jobs([new(name="good")])]
    bad, good = await asyncio.gather(*writes, return_exceptions=True)
    assert isinstance(bad, sqlite3.IntegrityError) and isinstance(good, list)
    assert sorted(job.name for job in await opened.store.jobs()) == ["good", "n"]
    assert opened.failures == []


async def test_only_the_present_attempt_can_end_a_task(opened: Opened) -> None:
    store = opened.store
    job_id, task = await add(store)
    assert await store.begin(task, "here") == 1
    assert await store.begin(task, "there") is None
    assert await store.requeue(task, 1, counts=True)
    assert await store.begin(task, "here") == 2
    late = [Output("late.txt", 1, "00")]
    assert not await store.finish(task, 1, late)
    assert not await store.fail(task, 1, "late", "late")
    assert not await store.requeue(task, 1, counts=False, wish=Wish.CANCEL)
    assert await store.outputs(job_id) == []
    assert await store.finish(task, 2, [Output("out.txt", 4, "ab")])
    assert not await store.fail(task, 2, "late", "late")
    job = await store.job(job_id)
    assert (job.status, job.error_code, job.file_count, job.percent) == (Status.FINISHED, None, 1, 100)


async def test_a_job_that_ended_takes_no_other_move(opened: Opened) -> None:
    store = opened.store
    ends = (
        lambda task: store.finish(task, 1, []),
        lambda task: store.fail(task, 1, "code", "words"),
        lambda task: store.requeue(task, 1, counts=False, wish=Wish.CANCEL),
    )
    for end in ends:
        job_id, task = await add(store)
        await store.begin(task, "here")
        assert await end(task)
        ended = await store.job(job_id)
        assert await store.end(job_id, Wish.CANCEL) == []
        assert not await store.requeue(task, 1, counts=False)
        assert await store.begin(task, "here") is None
        assert await store.job(job_id) == ended


async def test_a_wish_to_cancel_outlives_a_failure_that_would_be_tried_again(opened: Opened) -> None:
    job_id, task = await add(opened.store)
    await opened.store.begin(task, "here")
    assert await opened.store.end(job_id, Wish.CANCEL) == [task.id]
    assert await opened.store.end(job_id, Wish.CANCEL) == [task.id]
    with pytest.raises(Conflict):
        await opened.store.end(job_id, Wish.PAUSE)
    assert (await opened.store.job(job_id)).status is Status.RUNNING
    await opened.store.requeue(task, 1, counts=True)
    assert (await opened.store.job(job_id)).status is Status.CANCELLED


async def test_the_line_is_by_priority_then_age_and_time(opened: Opened) -> None:
    store = opened.store
    for name, priority in (("a", 50), ("b", 90), ("c", 50)):
        await add(store, name=name, priority=priority)
    names = {job.id: job.name for job in await store.jobs()}
    line = await store.queued(["noop"], time.time(), 10, [])
    assert [names[task.job_id] for task in line] == ["b", "a", "c"]
    assert [names[task.job_id] for task in await store.queued(["noop"], time.time(), 1, [line[0].id])] == ["a"]
    await store.begin(line[0], "here")
    later = time.time() + 100
    await store.requeue(line[0], 1, counts=True, not_before=later)
    assert len(await store.queued(["noop"], time.time(), 10, [])) == 2
    assert await store.starts(time.time()) == (False, later)
    assert await store.queued(["other"], time.time(), 10, []) == []


async def test_readers_cannot_write(opened: Opened) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        await opened.store._read("DELETE FROM jobs")


async def test_revisions_rise_over_a_restart(opened: Opened, tmp_path: Path) -> None:
    await add(opened.store)
    for _ in range(5):
        await opened.store.take_revision()
    newest = opened.feed.newest
    await opened.store.close()
    await opened.open()
    assert opened.feed.newest > newest


async def test_a_database_of_a_newer_zeus_is_refused(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "zeus.db")
    database.execute(f"PRAGMA user_version = {len(STEPS) + 1}")
    database.close()
    with pytest.raises(StoreFailed, match="upgrade Zeus"):
        await Opened(tmp_path / "zeus.db").open()


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "zeus.db").write_bytes(b"not a database " * 100)
    with pytest.raises(StoreFailed, match="cannot be opened"):
        await Opened(tmp_path / "zeus.db").open()


async def test_durability_settings(opened: Opened) -> None:
    connection = opened.store._writer._connection
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert connection.execute("PRAGMA foreign_keys").fetchone() == (1,)


async def test_unknown_jobs(opened: Opened) -> None:
    with pytest.raises(JobNotFound):
        await opened.store.job("nothing")
    assert await opened.store.end("nothing", Wish.CANCEL) == []
    assert await opened.store.delete("nothing") == []


async def test_the_feed_wakes_all_times_out_and_closes() -> None:
    feed = Feed(5)
    assert await feed.wait(4)
    assert not await feed.wait(5, timeout=0.01)
    waiters = [asyncio.create_task(feed.wait(5)) for _ in range(100)]
    await asyncio.sleep(0)
    feed.announce(3)
    await asyncio.sleep(0.01)
    assert not any(waiter.done() for waiter in waiters)
    feed.announce(6)
    assert all(await asyncio.gather(*waiters))
    waiting = asyncio.create_task(feed.wait(6))
    await asyncio.sleep(0)
    feed.close()
    assert not await waiting and not await feed.wait(6)


def test_words_of_states() -> None:
    for word, status in {
        "queued": Status.QUEUED, "NOT_STARTED": Status.QUEUED, "scheduled": Status.WAITING,
        "completed": Status.FINISHED, " error ": Status.FAILED, "waiting_for_subjobs": Status.WAITING_FOR_SUBJOBS,
    }.items():  # fmt: skip
        assert string_to_status(word) is status
    with pytest.raises(BadInput, match="no status"):
        string_to_status("done")
    assert Status.FINISHED not in MOVES, "what has finished stays so"


async def test_a_full_database_refuses_writes_and_takes_them_again(opened: Opened) -> None:
    """SQLite's own limit of pages stands in for the disk's end."""
    connection = opened.store._writer._connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    revision = opened.store.take_revision()
    results = await asyncio.gather(
        *(opened.store.add_jobs([new(notes="x" * 20_000)]) for _ in range(20)), revision, return_exceptions=True
    )
    assert any(isinstance(each, NoSpace) for each in results[:-1])
    assert isinstance(results[-1], int), "what needs no disk goes on without it"
    assert opened.failures == []
    connection.execute("PRAGMA max_page_count = 1000000")
    await opened.store.add_jobs([new()])


async def test_after_a_failure_of_the_database_nothing_is_written_any_more(opened: Opened) -> None:
    def broken(tx: sqlite3.Connection, revision: int) -> None:
        raise sqlite3.DatabaseError("database disk image is malformed")

    with pytest.raises(StoreFailed):
        await opened.store._writer.write(broken)
    assert len(opened.failures) == 1
    with pytest.raises(StoreFailed):
        await opened.store.add_jobs([new()])
