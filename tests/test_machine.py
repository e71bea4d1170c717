"""The node as a whole: snapshots, what only debugging needs, and measuring the machine."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import aiohttp
import psutil
import pytest

from tests.conftest import Api, NodeProcess, config_for
from zeus.api.app import Node, running_node

COMMAND = "zeus.benchmark"


def measuring() -> list[psutil.Process]:
    """The processes of a measurement that this test's node started."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if COMMAND in process.cmdline():
                found.append(process)
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return found


async def until(true: Callable[[], bool]) -> None:
    for _ in range(200):
        if await asyncio.to_thread(true):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it never came true")


async def test_a_snapshot_is_the_status_and_the_jobs(api: Api) -> None:
    ids = [await api.add() for _ in range(3)]
    for job_id in ids:
        await api.until(job_id)
    status, snapshot = await api.get("/api/snapshot")
    assert status == 200 and set(snapshot) == {"status", "jobs", "timestamp"}
    assert [job["id"] for job in snapshot["jobs"]] == ids[::-1]
    assert snapshot["status"]["hostname"] == "test-node" and snapshot["status"]["job_counts"]["finished"] == 3
    _, whole = await api.get("/api/full_status")
    assert set(whole) == {"timestamp", "servers"} and list(whole["servers"]) == ["test-node"]
    assert whole["servers"]["test-node"]["jobs"] == snapshot["jobs"]


async def test_debug_routes_are_there_only_with_debug(api: Api, session: aiohttp.ClientSession, tmp_path: Path) -> None:
    assert (await api.get("/api/_debug/detected_clients"))[1]["error"] == "not_found"
    assert (await api.post("/api/_debug/clear_history"))[0] == 404
    async with running_node(config_for(tmp_path / "other", node={"debug": True})) as node:
        other = Api(session, node.url)
        assert await other.get("/api/_debug/detected_clients") == (200, ["test-node"])
        ended, running = await other.add(), await other.add(seconds=30)
        await other.until(ended)
        await other.until(running, "running")
        assert await other.post("/api/_debug/clear_history") == (200, "success")
        assert [job["id"] for job in (await other.get("/api/jobs"))[1]["jobs"]] == [running]


async def test_the_cpu_score_is_a_number_and_the_node_answers_meanwhile(api: Api) -> None:
    measured = asyncio.create_task(api.get("/api/cpu_benchmark?seconds=2"))
    slowest = 0.0
    while not measured.done():
        start = time.monotonic()
        assert (await api.get("/api/heartbeat"))[0] == 200
        slowest = max(slowest, time.monotonic() - start)
        await asyncio.sleep(0.02)
    status, text = await measured
    assert status == 200 and float(text) > 0
    assert slowest < 2
    for seconds in ("0", "61", "x"):
        assert (await api.get(f"/api/cpu_benchmark?seconds={seconds}"))[1]["error"] == "invalid_field"


async def test_one_measurement_at_a_time(api: Api) -> None:
    measured = asyncio.create_task(api.get("/api/cpu_benchmark?seconds=1.5"))
    await until(lambda: bool(measuring()))
    for path in ("cpu_benchmark", "disk_benchmark"):
        async with api.session.get(f"{api.url}/api/{path}") as got:
            assert (got.status, (await got.json())["error"]) == (503, "busy")
            assert 1 <= int(got.headers["Retry-After"]) <= 4
    assert (await measured)[0] == 200
    assert (await api.get("/api/cpu_benchmark?seconds=0.1"))[0] == 200


async def test_a_measurement_ends_with_its_client(api: Api) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.5):
            await api.get("/api/cpu_benchmark?seconds=60")
    await until(lambda: not measuring())
    await asyncio.sleep(0.3)
    assert (await api.get("/api/cpu_benchmark?seconds=0.1"))[0] == 200


async def test_a_measurement_ends_with_the_node(
    spawn_node: Callable[..., NodeProcess], session: aiohttp.ClientSession
) -> None:
    node = spawn_node()
    api = Api(session, await asyncio.to_thread(node.start))
    measured = asyncio.create_task(api.get("/api/cpu_benchmark?seconds=60"))
    await until(lambda: bool(measuring()))
    processes = measuring()
    start = time.monotonic()
    assert await asyncio.to_thread(node.stop) == 0
    assert time.monotonic() - start < 10
    await asyncio.gather(measured, return_exceptions=True)
    await until(lambda: not any(process.is_running() for process in processes))


async def test_the_disk_is_measured_and_nothing_is_left(node: Node, api: Api) -> None:
    status, speed = await api.get("/api/disk_benchmark")
    assert status == 200 and set(speed) == {"write_mb_s", "read_mb_s"}
    assert speed["write_mb_s"] > 0 and speed["read_mb_s"] > 0
    assert list(node.zeus.files.incoming.iterdir()) == []


async def test_a_disk_measurement_that_is_given_up_leaves_nothing(node: Node, api: Api) -> None:
    asked = asyncio.create_task(api.get("/api/disk_benchmark"))
    await until(lambda: bool(list(node.zeus.files.incoming.iterdir())))
    asked.cancel()
    await until(lambda: not measuring() and not list(node.zeus.files.incoming.iterdir()))


async def test_a_disk_without_room_is_507(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    real = shutil.disk_usage
    monkeypatch.setattr(shutil, "disk_usage", lambda path: real(path)._replace(free=1 << 20))
    status, error = await api.get("/api/disk_benchmark")
    assert (status, error["error"]) == (507, "disk_full")
