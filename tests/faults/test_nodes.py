"""Nodes that go and come back in the middle of each other's work: nothing is lost, nothing twice, nothing left over."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest

from tests.conftest import HANG, Api, NodeProcess
from tests.farm import ONE, QUICK, empty, fill, id_of, pair, spawned, until_state


class Farm(NamedTuple):
    """A controller that has a long job in its only slots, and two peers with room; each a process of its own."""

    nodes: dict[str, NodeProcess]
    apis: dict[str, Api]

    @property
    def control(self) -> Api:
        return self.apis["control"]

    def start(self, name: str, **env: str) -> None:
        self.nodes[name].start(**env)

    def at_work(self, job: dict[str, Any]) -> str:
        """The name of the peer that has a job."""
        assert job["node"] in ("first", "second"), job
        return str(job["node"])


@pytest.fixture
async def farm(spawn_node: Callable[..., NodeProcess], session: aiohttp.ClientSession) -> AsyncIterator[Farm]:
    nodes = {
        name: spawned(spawn_node, name, ONE if name == "control" else QUICK) for name in ("control", "first", "second")
    }
    for node in nodes.values():
        await asyncio.to_thread(node.start)
    made = Farm(nodes, {name: Api(session, node.url) for name, node in nodes.items()})
    for name in ("first", "second"):
        await pair(made.control, made.apis[name])
    await fill(made.control, "frames")
    yield made
    for node in nodes.values():
        if node.process is not None and node.process.poll() is None:
            os.kill(node.process.pid, signal.SIGCONT)


async def begin(farm: Farm, record: Path, frames: int = 8, seconds: float = 0.4) -> tuple[str, str]:
    """Add a job of frames, and wait until some of them are here; its id, and the peer that has it."""
    args = {"seconds": seconds, "record": str(record)}
    body = {"renderer": "frames", "args": args, "start_frame": 1, "end_frame": frames}
    _, job = await farm.control.post("/api/add_job", json=body)
    deadline = time.monotonic() + HANG
    while (found := (await farm.control.get(f"/api/jobs/{job['id']}"))[1])["completed_frames"] < 2:
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.05)
    return str(job["id"]), farm.at_work(found)


async def check_done(farm: Farm, job_id: str, frames: int = 8) -> dict[str, Any]:
    """The job has finished, with each of its frames, as it was made."""
    job = await farm.control.until(job_id)
    assert (job["status"], job["completed_frames"], job["file_count"]) == ("finished", frames, frames), job
    for number in range(1, frames + 1):
        name = f"frame_{number:04}.txt"
        async with farm.control.session.get(
            f"{farm.control.url}/api/jobs/{job_id}/download", params={"filename": name}
        ) as got:
            assert await got.text() == f"frame {number}"
    return job


def made(record: Path) -> list[int]:
    return [int(line) for line in record.read_text().split()]


async def log_of(farm: Farm, job_id: str, attempt: int) -> str:
    return str((await farm.control.get(f"/api/jobs/{job_id}/logs", params={"attempt": attempt}))[1])


async def test_a_peer_that_is_killed(farm: Farm, tmp_path: Path) -> None:
    record = tmp_path / "record"
    job_id, name = await begin(farm, record)
    farm.nodes[name].kill()
    job = await check_done(farm, job_id)
    assert job["node"] != name and job["attempt"] == 2
    assert len(made(record)) <= 9  # all frames, and once more the one that was in work
    assert f"Node {name} did not answer for 2 s; the task goes elsewhere" in await log_of(farm, job_id, 1)
    await asyncio.to_thread(farm.nodes[name].start)  # what it had of it is owed to it
    await until_state(farm.control, await id_of(farm.apis[name]), "online")
    for each in ("first", "second"):
        await empty(farm.apis[each])


async def test_a_peer_that_is_stopped_and_goes_on(farm: Farm, tmp_path: Path) -> None:
    record = tmp_path / "record"
    job_id, name = await begin(farm, record)
    process = farm.nodes[name].process
    assert process is not None
    os.kill(process.pid, signal.SIGSTOP)
    job = await check_done(farm, job_id)
    assert job["node"] != name
    os.kill(process.pid, signal.SIGCONT)
    for each in ("first", "second"):
        await empty(farm.apis[each])
    assert await check_done(farm, job_id) == job


async def test_a_peer_that_starts_anew_within_the_lease(farm: Farm, tmp_path: Path) -> None:
    record = tmp_path / "record"
    job_id, name = await begin(farm, record)
    await asyncio.to_thread(farm.nodes[name].stop)
    await asyncio.to_thread(farm.nodes[name].start)
    job = await check_done(farm, job_id)
    assert (job["node"], job["attempt"]) == (name, 1)
    assert len(made(record)) <= 9


@pytest.mark.parametrize("way", ["kill", "stop"])
async def test_a_controller_that_goes_and_comes_back(farm: Farm, tmp_path: Path, way: str) -> None:
    """The share goes on meanwhile, and is taken up again; a second one ends while nobody is there to hear of it."""
    record, other = tmp_path / "record", tmp_path / "other"
    job_id, name = await begin(farm, record, frames=10)
    short, _ = await begin(farm, other, frames=4)
    await asyncio.to_thread(getattr(farm.nodes["control"], way))
    await asyncio.sleep(1.5)
    await asyncio.to_thread(farm.nodes["control"].start)
    for each, frames in ((job_id, 10), (short, 4)):
        job = await check_done(farm, each, frames)
        assert job["attempt"] == 1
    assert "taken up again" in await log_of(farm, job_id, 1)
    assert sorted(made(record)) == list(range(1, 11)) and sorted(made(other)) == [1, 2, 3, 4]
    for each in ("first", "second"):
        await empty(farm.apis[each])


async def test_a_controller_that_comes_back_to_nobody(farm: Farm, tmp_path: Path) -> None:
    job_id, name = await begin(farm, tmp_path / "record")
    farm.nodes["control"].kill()
    farm.nodes[name].kill()
    await asyncio.to_thread(farm.nodes["control"].start)
    job = await check_done(farm, job_id)
    assert job["node"] != name and job["attempt"] == 2


async def test_a_cancel_that_cannot_be_told_is_owed(farm: Farm, tmp_path: Path) -> None:
    record = tmp_path / "record"
    job_id, name = await begin(farm, record, frames=200)
    process = farm.nodes[name].process
    assert process is not None
    os.kill(process.pid, signal.SIGSTOP)
    await until_state(farm.control, await peer_id(farm, name), "offline")
    status, job = await farm.control.post(f"/api/jobs/{job_id}/cancel?confirm=1")
    assert (status, job["status"]) == (202, "cancelled")
    assert (await farm.control.post(f"/api/jobs/{job_id}/delete?confirm=1"))[0] == 200
    await asyncio.to_thread(farm.nodes["control"].stop)
    await asyncio.to_thread(farm.nodes["control"].start)
    os.kill(process.pid, signal.SIGCONT)
    await empty(farm.apis[name])


async def peer_id(farm: Farm, name: str) -> str:
    _, listed = await farm.control.get("/api/nodes")
    return next(str(node["id"]) for node in listed["nodes"] if node["name"] == name)
