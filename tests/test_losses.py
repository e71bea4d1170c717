"""Nodes that lose or fail jobs: they are counted once an outage, left alone for a while, and forgiven."""

from __future__ import annotations

import asyncio
import sqlite3
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from tests.conftest import HANG
from tests.farm import ONE, QUICK, fill, id_of, node_in, pair, quick, until_state
from zeus.dispatch.lease import Lease
from zeus.feed import Feed
from zeus.model import NewJob, Place, Snapshot, Task
from zeus.placement import able
from zeus.schedule.decide import decide
from zeus.store import Store
from zeus.store.rows import FORGIVEN

TEXT = "Node lossy: it broke."


class Book:
    """A store, and its file for what only time does."""

    def __init__(self, store: Store, path: Path) -> None:
        self.store = store
        self._path = path

    async def add(self, **values: object) -> str:
        base = {"id": str(uuid.uuid4()), "name": "n", "renderer": "e", "renderer_version": "1", "args": b"{}"}
        job = NewJob(**{**base, "created": time.time(), **values})  # type: ignore[arg-type]
        await self.store.add_jobs([job])
        return job.id

    async def task(self, job_id: str) -> Task:
        return (await self.store.tasks(job_id))[0]

    async def lose(self, job_id: str, times: int, apart: float = 0.0) -> None:
        for _ in range(times):
            await self.store.lose(job_id, "lossy", TEXT, apart)

    def age(self, seconds: float) -> None:
        """Let what was lost be so much longer ago."""
        with sqlite3.connect(self._path) as database:
            database.execute("UPDATE losses SET since = since - ?", (seconds,))
        database.close()


@pytest.fixture
async def book(tmp_path: Path) -> AsyncIterator[Book]:
    path = tmp_path / "zeus.db"
    store = await Store.open(path, Feed().announce, lambda error: None)
    yield Book(store, path)
    await store.close()


async def test_a_node_is_left_alone_and_forgiven(book: Book) -> None:
    job_id = await book.add()
    await book.lose(job_id, 2)
    assert (await book.task(job_id)).avoid == ()
    await book.lose(job_id, 1)
    assert (await book.task(job_id)).avoid == (("lossy", TEXT),)
    _, start = await book.store.starts(time.time())
    assert start == pytest.approx(time.time() + FORGIVEN, abs=HANG), "then is looked again"
    book.age(FORGIVEN)
    assert (await book.task(job_id)).avoid == ()
    assert await book.store.starts(time.time()) == (False, None)
    await book.lose(job_id, 2)
    assert (await book.task(job_id)).avoid == (), "it begins anew"


async def test_an_outage_counts_once_however_many_pieces_it_takes(book: Book) -> None:
    job_id = await book.add()
    await book.lose(job_id, 5, apart=60.0)
    assert await book.store.losses(job_id) == {"lossy": 1}
    book.age(61)
    await book.lose(job_id, 5, apart=60.0)
    assert await book.store.losses(job_id) == {"lossy": 2}


async def test_what_no_node_is_left_for_hides_nothing_behind_it(book: Book) -> None:
    kept = [await book.add() for _ in range(3)]
    for job_id in kept:
        await book.lose(job_id, 3)
    behind = [await book.add() for _ in range(3)]
    found = [task.job_id for task in await book.store.queued(["e"], time.time(), 1, [])]
    assert found == [*kept, behind[0]]
    place = Place("lossy", 1, {"e": 1}, peer="lossy")
    tasks = tuple(await book.store.queued(["e"], time.time(), 1, []))
    assert [each.task.job_id for each in decide(Snapshot(tasks, (place,)))] == [behind[0]]


async def test_only_the_last_attempt_is_kept_from_where_it_failed(book: Book) -> None:
    job_id = await book.add(max_attempts=3)
    for number, failed_on in ((1, ""), (2, "b")):
        attempt = await book.store.begin(await book.task(job_id), "b")
        assert attempt == number
        assert await book.store.requeue(await book.task(job_id), attempt, counts=True)
        assert (await book.task(job_id)).failed_on == failed_on


def test_the_last_attempt_is_made_elsewhere_where_that_can_be() -> None:
    first, second = Place("a", 1, {"e": 1}), Place("b", 1, {"e": 1}, peer="b", pace={"e": 0.1})
    task = Task(1, "job", "e", 50, 2, failed_on="b")
    assert able(task, [first, second]) == [first]
    assert able(task, [second]) == [second]
    busy = msgspec.structs.replace(first, free=0)
    assert decide(Snapshot((task,), (busy, second))) == [], "it waits"
    assert [each.place.node for each in decide(Snapshot((task,), (second,)))] == ["b"]


async def test_a_lease_does_not_end_because_this_node_stood_still() -> None:
    signs, done = [time.monotonic()], asyncio.Event()
    lease = Lease(lambda: signs[-1], 0.4, 0.0)
    task = asyncio.ensure_future(done.wait())
    outlasts = asyncio.ensure_future(lease.outlasts(task))
    await asyncio.sleep(0.05)
    time.sleep(1.0)  # as a machine that is suspended  # noqa: ASYNC251
    await asyncio.sleep(0.2)
    assert not outlasts.done()
    done.set()
    assert await outlasts
    silent = asyncio.ensure_future(asyncio.Event().wait())
    assert not await asyncio.wait_for(Lease(lambda: 0.0, 0.2, 0.0).outlasts(silent), HANG)
    silent.cancel()


async def test_a_last_attempt_goes_elsewhere_and_a_failure_is_no_pace(tmp_path: Path) -> None:
    """A node that fails at once would else be the fastest of all."""
    own = quick(ONE, network={"lease": HANG})
    async with node_in(tmp_path, "control", own) as control, node_in(tmp_path, "render", QUICK) as peer:
        await pair(control, peer)
        filler = await fill(control)
        body = {"renderer": "noop", "args": {"fail": "no way"}, "start_frame": 1, "end_frame": 9, "max_attempts": 2}
        _, job = await control.post("/api/add_job", json=body)
        deadline = time.monotonic() + HANG
        while not (why := (await control.get(f"/api/jobs/{job['id']}/why"))[1])["nodes"] or not any(
            "its last attempt is left to another node" in reason for each in why["nodes"] for reason in each["reasons"]
        ):
            assert time.monotonic() < deadline, why
            await asyncio.sleep(0.05)
        await control.post(f"/api/jobs/{filler}/cancel?confirm=1")
        job = await control.until(job["id"])
        assert (job["status"], job["attempt"], job["node"]) == ("failed", 2, "control"), job
        for node in (control, peer):
            _, own = await node.get("/api/nodes/self")
            assert own["engines"]["noop"]["seconds"] is None, own["engines"]


async def test_why_says_that_a_node_does_not_take_the_token(tmp_path: Path) -> None:
    async with node_in(tmp_path, "control", ONE) as control, node_in(tmp_path, "render", QUICK) as peer:
        await pair(control, peer)
        await fill(control)
        assert (await peer.request("DELETE", f"/api/nodes/{await id_of(control)}"))[0] == 204
        await until_state(control, await id_of(peer), "refused")
        waiting = await control.add()
        _, found = await control.get(f"/api/jobs/{waiting}/why")
        reasons = {each["node"]: each["reasons"] for each in found["nodes"]}
        _, listed = await control.get("/api/nodes")
        [message] = [node["message"] for node in listed["nodes"] if node["name"] == "render"]
        assert "pair the two again" in message
        assert reasons["render"] == [message]
