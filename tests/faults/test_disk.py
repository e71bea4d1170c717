"""A full disk: uploads get 507, running jobs fail with the reason, the node stays up, and work goes on later."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import aiohttp
import pytest

from tests.conftest import STUBS, Api, NodeProcess, need
from tests.releases import ENGINES, publisher, tool


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 16 MB where the node keeps its storage."""
    need(os.geteuid() == 0, "the right to mount", "run the tests as root, or in a container of your own")
    storage = tmp_path / "spawned" / "storage"
    storage.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(storage)], capture_output=True, text=True, check=False
    )
    need(mounted.returncode == 0, "tmpfs", f"mount failed: {mounted.stderr}")
    yield storage
    subprocess.run(["umount", "-l", str(storage)], check=True)


def fill(storage: Path) -> Path:
    ballast = storage / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            pass
    return ballast


async def upload(api: Api, size: int) -> tuple[int, Any]:
    form = aiohttp.FormData()
    form.add_field("json", "{}")
    form.add_field("file", b"x" * size, filename="a.noop")
    return await api.post("/api/add_job", data=form)


async def test_a_full_disk(
    small_disk: Path, spawn_node: Callable[..., NodeProcess], session: aiohttp.ClientSession
) -> None:
    node = spawn_node(jobs={"slots": 8, "retry_delay": 0.0, "max_attempts": 2})
    node.start()
    api = Api(session, node.url)
    reporting = await api.add(seconds=600)
    doomed = await api.add(seconds=2, content="x" * 500_000)
    await api.until(doomed, "running")
    ballast = fill(small_disk)
    status, error = await upload(api, 600_000)
    assert (status, error["error"]) == (507, "disk_full")
    assert list((small_disk / "incoming").iterdir()) == []
    for _ in range(13):  # past the moment when progress goes to the disk
        await asyncio.sleep(1)
        assert (await api.get("/api/jobs"))[0] == 200
        assert (await api.get(f"/api/jobs/{reporting}"))[1]["status"] == "running"
    ballast.unlink()
    ended = await api.until(doomed)
    assert (ended["status"], ended["error"]["code"]) == ("failed", "disk_full")
    status, job = await upload(api, 600_000)
    assert status == 200 and (await api.until(job["id"]))["status"] == "finished"
    assert (await api.post(f"/api/jobs/{reporting}/cancel?confirm=1"))[1]["status"] == "cancelled"
    assert await asyncio.to_thread(node.stop) == 0


async def test_a_node_starts_on_a_full_disk_and_settles_its_jobs_when_there_is_room(
    small_disk: Path, spawn_node: Callable[..., NodeProcess], session: aiohttp.ClientSession
) -> None:
    node = spawn_node()
    node.start()
    job_id = await Api(session, node.url).add(seconds=1)
    await Api(session, node.url).until(job_id, "running")
    node.kill()
    ballast = fill(small_disk)
    assert node.start()
    api = Api(session, node.url)
    assert (await api.get("/api/jobs"))[0] == 200
    await asyncio.sleep(1)
    ballast.unlink()
    assert (await api.until(job_id))["status"] == "finished"
    assert await asyncio.to_thread(node.stop) == 0


async def test_an_engines_version_that_does_not_fit_leaves_nothing_but_its_archive(
    small_disk: Path, spawn_node: Callable[..., NodeProcess], session: aiohttp.ClientSession
) -> None:
    async with publisher() as mirror:
        path = mirror.publish("4.2.3", tool("4.2.3", ballast=bytes(12 << 20)))
        engines = {"tooled": {"mirror": mirror.url}}
        node = spawn_node(plugins={"folders": [str(STUBS / "plugins"), str(ENGINES)]}, engines=engines)
        api = Api(session, await asyncio.to_thread(node.start))
        ballast = small_disk / "ballast"
        ballast.write_bytes(bytes(6 << 20))
        url = "/api/engines/download?engine=tooled"
        assert (await api.post(url))[0] == 202
        while (view := (await api.get("/api/engines/tooled"))[1]["downloads"][0])["state"] != "failed":
            await asyncio.sleep(0.05)
        assert "disk is full" in view["reason"]
        left = [each.name for each in (small_disk / "engines" / "tooled").iterdir()]
        assert len(left) == 1 and left[0].endswith(".part")
        assert await upload(api, 600_000) == (200, ANY)
        ballast.unlink()
        assert (await api.post(url))[0] == 202
        while not (await api.get("/api/engines/tooled"))[1]["versions"]:
            await asyncio.sleep(0.05)
        assert [asked for each, asked in mirror.asked if each == path] == [None, f"bytes={len(mirror.files[path])}-"]
        assert await asyncio.to_thread(node.stop) == 0


async def test_a_job_whose_time_comes_while_the_disk_is_full_starts_later(
    spawn_node: Callable[..., NodeProcess], session: aiohttp.ClientSession, small_disk: Path
) -> None:
    node = spawn_node()
    api = Api(session, node.start())
    start = (datetime.now(UTC) + timedelta(seconds=1.5)).isoformat()
    status, job = await api.post("/api/add_job", json={"renderer": "noop", "not_before": start})
    assert status == 200, job
    ballast = fill(small_disk)
    await asyncio.sleep(3)
    assert (await api.get(f"/api/jobs/{job['id']}"))[1]["status"] == "waiting"
    ballast.unlink()
    await api.until(job["id"], "finished")
