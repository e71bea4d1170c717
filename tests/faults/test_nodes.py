"""Nodes that go and come back in the middle of each other's work: nothing is lost, nothing twice, nothing left over."""

from __future__ import annotations

import asyncio
import contextlib
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

    def signal(self, name: str, number: signal.Signals) -> None:
        process = self.nodes[name].process
        assert process is not None
        process.send_signal(number)

    async def all_empty(self) -> None:
        """Each peer is back, and has nothing of the controller's."""
        for name in ("first", "second"):
            await until_state(self.control, await id_of(self.apis[name]), "online")
            await empty(self.apis[name])

    def at_work(self, job: dict[str, Any]) -> str:
        """The name of the peer that has a job."""
        assert job["node"] in ("first", "second"), job
        return str(job["node"])


@contextlib.asynccontextmanager
async def farm_of(spawn_node: Callable[..., NodeProcess], lease: float) -> AsyncIterator[Farm]:
    own = {**ONE, "network": {**ONE["network"], "lease": lease}}
    nodes = {name: spawned(spawn_node, name, QUICK) for name in ("first", "second")}
    nodes["control"] = spawned(spawn_node, "control", own)
    await asyncio.gather(*(asyncio.to_thread(node.start) for node in nodes.values()))
    async with aiohttp.ClientSession() as session:
        made = Farm(nodes, {name: Api(session, node.url) for name, node in nodes.items()})
        for name in ("first", "second"):
            await pair(made.control, made.apis[name])
        await fill(made.control, "frames")
        yield made
    for node in nodes.values():
        if node.process is not None and node.process.poll() is None:
            os.kill(node.process.pid, signal.SIGCONT)


@pytest.fixture
async def farm(spawn_node: Callable[..., NodeProcess]) -> AsyncIterator[Farm]:
    async with farm_of(spawn_node, lease=3.0) as made:
        yield made


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


async def test_peers_that_go_and_come_back(farm: Farm, tmp_path: Path) -> None:
    """One is killed; one is stopped, and goes on when its work is another's; one is not there to hear of a cancel."""
    record = tmp_path / "killed"
    job_id, name = await begin(farm, record)
    farm.nodes[name].kill()
    job = await check_done(farm, job_id)
    assert job["node"] != name and job["attempt"] == 2
    assert len(made(record)) <= 9  # all frames, and once more the one that was in work
    assert f"Node {name} did not answer for 3 s; the task goes elsewhere" in await log_of(farm, job_id, 1)
    await asyncio.to_thread(farm.nodes[name].start)  # what it had of it is owed to it
    await farm.all_empty()

    job_id, name = await begin(farm, tmp_path / "stopped")
    farm.signal(name, signal.SIGSTOP)
    job = await check_done(farm, job_id)
    assert job["node"] != name
    farm.signal(name, signal.SIGCONT)
    await farm.all_empty()
    assert await check_done(farm, job_id) == job

    job_id, name = await begin(farm, tmp_path / "cancelled", frames=200)
    farm.signal(name, signal.SIGSTOP)
    await until_state(farm.control, await peer_id(farm, name), "offline")
    status, job = await farm.control.post(f"/api/jobs/{job_id}/cancel?confirm=1")
    assert (status, job["status"]) == (202, "cancelled")
    assert (await farm.control.post(f"/api/jobs/{job_id}/delete?confirm=1"))[0] == 200
    await asyncio.to_thread(farm.nodes["control"].stop)
    await asyncio.to_thread(farm.nodes["control"].start)
    farm.signal(name, signal.SIGCONT)
    await farm.all_empty()


async def test_a_controller_that_goes_and_comes_back(farm: Farm, tmp_path: Path) -> None:
    """Shares go on meanwhile and are taken up again; one ends while nobody is there to hear of it."""
    for way in ("kill", "stop"):
        record, other = tmp_path / f"record-{way}", tmp_path / f"other-{way}"
        job_id, _ = await begin(farm, record, frames=10)
        short, _ = await begin(farm, other, frames=4)
        await asyncio.to_thread(getattr(farm.nodes["control"], way))
        await asyncio.sleep(1.0)
        await asyncio.to_thread(farm.nodes["control"].start)
        for each, frames in ((job_id, 10), (short, 4)):
            job = await check_done(farm, each, frames)
            assert job["attempt"] == 1
        assert "taken up again" in await log_of(farm, job_id, 1)
        assert sorted(made(record)) == list(range(1, 11)) and sorted(made(other)) == [1, 2, 3, 4]
        await farm.all_empty()

    job_id, name = await begin(farm, tmp_path / "nobody")
    farm.nodes["control"].kill()
    farm.nodes[name].kill()
    await asyncio.to_thread(farm.nodes["control"].start)
    job = await check_done(farm, job_id)
    assert job["node"] != name and job["attempt"] == 2


async def test_a_peer_that_starts_anew_within_the_lease(spawn_node: Callable[..., NodeProcess], tmp_path: Path) -> None:
    async with farm_of(spawn_node, lease=60.0) as farm:
        record = tmp_path / "record"
        job_id, name = await begin(farm, record)
        await asyncio.to_thread(farm.nodes[name].stop)
        await asyncio.to_thread(farm.nodes[name].start)
        job = await check_done(farm, job_id)
        assert (job["node"], job["attempt"]) == (name, 1)
        assert len(made(record)) <= 9


async def peer_id(farm: Farm, name: str) -> str:
    _, listed = await farm.control.get("/api/nodes")
    return next(str(node["id"]) for node in listed["nodes"] if node["name"] == name)
