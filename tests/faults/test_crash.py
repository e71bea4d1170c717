"""kill -9 of the node: no acknowledged job lost, none completed twice, no engine left, no half file listed."""

from __future__ import annotations

import asyncio
import hashlib
import random
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.conftest import HANG, Api, NodeProcess
from zeus.marks import marked

FAILPOINTS = ["upload", "commit", "spawn", "publish", "end"]


async def add(api: Api, record: Path, **args: Any) -> str | None:
    """Add a noop job that uploads a file and runs a tool; its id when the node acknowledged it."""
    form = aiohttp.FormData()
    body = {"renderer": "noop", "args": {"record": str(record), "tool": ["fork", "sleep:0.05"], **args}}
    form.add_field("json", __import__("json").dumps(body))
    form.add_field("file", b"input", filename="a.noop")
    try:
        status, job = await api.post("/api/add_job", data=form)
    except (aiohttp.ClientError, ConnectionError):
        return None
    assert status == 200, job
    return str(job["id"])


async def settle(api: Api, job_ids: list[str]) -> list[dict[str, Any]]:
    return [await api.until(job_id) for job_id in job_ids]


def check_storage(folder: Path, listed: set[str]) -> None:
    """The database is sound, every listed output is whole, and nothing lies around that nobody owns."""
    database = sqlite3.connect(folder / "zeus.db")
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert database.execute("SELECT count(*) FROM tasks WHERE status = 'running'").fetchone() == (0,)
    for job_id, name, size, digest in database.execute("SELECT job_id, name, size, sha256 FROM outputs"):
        data = (folder / "jobs" / job_id / "out" / name).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (size, digest)
    database.close()
    assert {path.name for path in (folder / "jobs").iterdir()} == listed
    assert list((folder / "incoming").iterdir()) == []
    assert list((folder / "trash").iterdir()) == []
    for job_id in listed:
        assert not list((folder / "jobs" / job_id).glob("attempt-*/work"))


def uuid_of(folder: Path) -> str:
    database = sqlite3.connect(folder / "zeus.db")
    (uuid,) = database.execute("SELECT value FROM meta WHERE key = 'uuid'").fetchone()
    database.close()
    return str(uuid)


@pytest.mark.parametrize("failpoint", FAILPOINTS)
async def test_killed_at_a_failpoint(
    failpoint: str, spawn_node: Callable[..., NodeProcess], session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    node = spawn_node()
    storage = node.folder / "storage"
    record = tmp_path / "record"
    node.start()
    before = await add(Api(session, node.url), record)
    assert before is not None
    await Api(session, node.url).until(before)
    node.stop()

    node.start(ZEUS_FAILPOINT=failpoint)
    acked = await add(Api(session, node.url), record)
    assert await asyncio.to_thread(node.gone) == -9
    assert (acked is None) == (failpoint in ("upload", "commit"))

    start = time.monotonic()
    node.start()
    api = Api(session, node.url)
    assert time.monotonic() - start < HANG
    acknowledged = [before] if acked is None else [before, acked]
    jobs = await settle(api, acknowledged)
    assert [job["status"] for job in jobs] == ["finished"] * len(acknowledged), [job["error"] for job in jobs]
    _, listed = await api.get("/api/jobs")
    ids = {job["id"] for job in listed["jobs"]}
    assert set(acknowledged) <= ids
    await settle(api, list(ids))
    node.stop()
    check_storage(storage, ids)
    assert marked(uuid_of(storage)) == []
    ends = record.read_text().count("end")
    assert ends == len(ids), f"{ends} completions of {len(ids)} jobs"


@pytest.mark.parametrize("rounds", [8, pytest.param(200, marks=[pytest.mark.long, pytest.mark.timeout(7200)])])
async def test_killed_at_random_moments(
    rounds: int, spawn_node: Callable[..., NodeProcess], session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """Clients submit without pause while the node is killed again and again.

    Some rounds are long enough for jobs to end in them: without that the oldest would use up all their attempts.
    """
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    dice = random.Random(seed)
    node = spawn_node(jobs={"slots": 8, "retry_delay": 0.0, "max_attempts": 100})
    acknowledged: list[str] = []
    for number in range(1, rounds + 1):
        node.start()
        api = Api(session, node.url)
        clients = [asyncio.create_task(submit_until_gone(api, tmp_path, acknowledged)) for _ in range(6)]
        await asyncio.sleep(dice.uniform(0.05, 0.8) if number % 10 else dice.uniform(2, 5))
        node.kill()
        await asyncio.gather(*clients)
        print(f"killed {number} times, {len(acknowledged)} jobs acknowledged", flush=True)
    node.start()
    api = Api(session, node.url)
    jobs = await settle(api, acknowledged)
    assert {job["status"] for job in jobs} == {"finished"}
    _, listed = await api.get("/api/jobs")
    ids = [job["id"] for job in listed["jobs"]]
    await settle(api, ids)
    node.stop()
    assert len(ids) == len(set(ids)) and set(acknowledged) <= set(ids)
    storage = node.folder / "storage"
    check_storage(storage, set(ids))
    assert marked(uuid_of(storage)) == []


async def submit_until_gone(api: Api, folder: Path, acknowledged: list[str]) -> None:
    number = 0
    while (job_id := await add(api, folder / "record", content=str(number), tool=["fork", "sleep:0.02"])) is not None:
        acknowledged.append(job_id)
        number += 1
        await asyncio.sleep(0.02)


async def test_a_shutdown_hands_tasks_back_without_counting(
    spawn_node: Callable[..., NodeProcess], session: aiohttp.ClientSession
) -> None:
    node = spawn_node(jobs={"max_attempts": 1})
    node.start()
    job_id = await Api(session, node.url).add(seconds=2)
    await Api(session, node.url).until(job_id, "running")
    assert await asyncio.to_thread(node.stop) == 0
    node.start()
    job = await Api(session, node.url).until(job_id)
    assert (job["status"], job["attempt"]) == ("finished", 2)


async def test_a_crash_counts_as_an_attempt(
    spawn_node: Callable[..., NodeProcess], session: aiohttp.ClientSession
) -> None:
    node = spawn_node(jobs={"max_attempts": 2})
    node.start()
    job_id = await Api(session, node.url).add(seconds=600)
    for status in ("running", "running"):
        await Api(session, node.url).until(job_id, status)
        node.kill()
        node.start()
    job = await Api(session, node.url).until(job_id)
    assert (job["status"], job["error"]["code"]) == ("failed", "interrupted")


async def test_a_cancel_that_was_cut_by_a_crash_holds(
    spawn_node: Callable[..., NodeProcess], session: aiohttp.ClientSession
) -> None:
    node = spawn_node()
    node.start()
    api = Api(session, node.url)
    job_id = await api.add(tool=["deaf", "sleep:600"])
    await api.until(job_id, "running")
    await asyncio.sleep(0.7)
    cancel = asyncio.create_task(api.post(f"/api/jobs/{job_id}/cancel?confirm=1"))
    await asyncio.sleep(0.7)
    node.kill()
    with pytest.raises(aiohttp.ClientError):
        await cancel
    node.start()
    assert (await Api(session, node.url).until(job_id))["status"] == "cancelled"


async def test_a_stray_that_cannot_be_ended_fails_its_job_and_is_left_alone(
    spawn_node: Callable[..., NodeProcess], session: aiohttp.ClientSession
) -> None:
    """Something holds the attempt's lock that is not ours to signal: the test itself."""
    import fcntl

    node = spawn_node()
    node.start()
    job_id = await Api(session, node.url).add(seconds=600)
    lock = node.folder / f"storage/jobs/{job_id}/attempt-1/LOCK"
    while not lock.exists():
        await asyncio.sleep(0.05)
    node.kill()
    with lock.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        node.start()
        job = await Api(session, node.url).until(job_id)
    assert (job["status"], job["error"]["code"]) == ("failed", "stray_process")


async def test_the_second_process_on_a_storage_folder_is_told(spawn_node: Callable[..., NodeProcess]) -> None:
    node = spawn_node()
    node.start()
    second = spawn_node()
    assert second.start() == ""
    assert second.gone() == 1


async def test_sigterm_does_not_wait_for_long_polls(
    spawn_node: Callable[..., NodeProcess], session: aiohttp.ClientSession
) -> None:
    node = spawn_node()
    node.start()
    api = Api(session, node.url)
    _, listed = await api.get("/api/jobs")
    polls = [asyncio.create_task(api.get("/api/jobs/long_poll", params={"token": listed["token"]})) for _ in range(100)]
    await asyncio.sleep(0.5)
    start = time.monotonic()
    assert await asyncio.to_thread(node.stop) == 0
    took = time.monotonic() - start
    print(f"stopped in {took:.2f} s")
    assert took < 10
    assert {status for status, _ in await asyncio.gather(*polls)} == {204}
