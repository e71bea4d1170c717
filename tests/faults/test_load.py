"""2,000 submits at concurrency 64 while half of the clients cancel: nothing lost, doubled or left open."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections import Counter
from collections.abc import Callable

import aiohttp
import pytest

from tests.conftest import Api, NodeProcess

JOBS = 2000
CLIENTS = 64


async def test_submits_and_cancels_at_once(
    spawn_node: Callable[..., NodeProcess], session: aiohttp.ClientSession
) -> None:
    node = spawn_node(engines={"noop": {"slots": 16}}, jobs={"slots": 16})
    node.start()
    api = Api(session, node.url)
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    dice = random.Random(seed)
    names = iter(range(JOBS))
    added: dict[str, str] = {}
    cancelled: dict[str, str] = {}

    async def client() -> None:
        for name in names:
            body = {"renderer": "noop", "name": f"job {name}", "args": {"seconds": dice.choice([0, 0, 0.05])}}
            status, job = await api.post("/api/add_job", json=body)
            assert status == 200, job
            assert job["id"] not in added
            added[job["id"]] = job["name"]
            if dice.random() < 0.5:
                await asyncio.sleep(dice.choice([0, 0, 0.01, 0.1, 0.5]))
                status, job = await api.post(f"/api/jobs/{job['id']}/cancel?confirm=1")
                assert status == 200 and job["status"] in ("cancelled", "finished"), job
                cancelled[job["id"]] = job["status"]

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    await drained(api)
    _, listed = await api.get("/api/jobs")
    jobs = {job["id"]: job for job in listed["jobs"]}
    assert {job_id: job["name"] for job_id, job in jobs.items()} == added
    assert Counter(added.values()) == {f"job {number}": 1 for number in range(JOBS)}
    for job_id, job in jobs.items():
        assert job["status"] == cancelled.get(job_id, "finished")
        assert (job["file_count"] == 1) == (job["status"] == "finished")
    assert await asyncio.to_thread(node.stop) == 0
    check_database(node, jobs)


async def drained(api: Api) -> None:
    """Wait until nothing is queued or running."""
    for _ in range(600):
        _, status = await api.get("/api/status")
        if status["job_counts"]["queued"] + status["job_counts"]["running"] == 0:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"jobs hang: {status['job_counts']}")


def check_database(node: NodeProcess, jobs: dict[str, dict[str, str]]) -> None:
    database = sqlite3.connect(node.folder / "storage/zeus.db", timeout=1)
    database.execute("BEGIN IMMEDIATE")  # nobody has a transaction open
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    mixed = database.execute(
        "SELECT j.id, j.status, t.status FROM jobs j JOIN tasks t ON t.job_id = j.id WHERE j.status != t.status"
    ).fetchall()
    assert mixed == []
    assert database.execute("SELECT count(*) FROM outputs").fetchone()[0] == sum(
        job["status"] == "finished" for job in jobs.values()
    )
    database.close()


@pytest.mark.parametrize("races", [400, pytest.param(2000, marks=[pytest.mark.long, pytest.mark.timeout(1800)])])
async def test_cancel_against_finish_has_one_winner(
    races: int, spawn_node: Callable[..., NodeProcess], session: aiohttp.ClientSession
) -> None:
    """Cancels arrive at the moment when jobs finish: each outcome brings the next cancels nearer to it."""
    node = spawn_node(engines={"noop": {"slots": 16}}, jobs={"slots": 16})
    node.start()
    api = Api(session, node.url)
    outcomes = Counter[str]()
    dice = random.Random(7)
    delay = 0.1

    async def race() -> None:
        nonlocal delay
        job_id = await api.add(seconds=0.02)
        await asyncio.sleep(delay * dice.uniform(0.5, 1.5))
        _, answer = await api.post(f"/api/jobs/{job_id}/cancel?confirm=1")
        _, later = await api.get(f"/api/jobs/{job_id}")
        assert answer["status"] == later["status"] and answer["status"] in ("cancelled", "finished")
        assert (later["file_count"] == 1) == (later["status"] == "finished")
        outcomes[answer["status"]] += 1
        delay *= 1.03 if answer["status"] == "cancelled" else 1 / 1.03

    for _ in range(races // 16):
        await asyncio.gather(*(race() for _ in range(16)))
    print(outcomes)
    assert outcomes.keys() == {"cancelled", "finished"} and outcomes.total() == races
    assert min(outcomes.values()) > races // 20
    assert await asyncio.to_thread(node.stop) == 0
    database = sqlite3.connect(node.folder / "storage/zeus.db")
    states = database.execute(
        "SELECT j.status, t.status, count(*) FROM jobs j JOIN tasks t ON t.job_id = j.id GROUP BY 1, 2"
    )
    for job, task, _count in states:
        assert job == task
    database.close()
