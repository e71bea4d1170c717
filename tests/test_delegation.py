"""A job of one node runs at another: its input goes there, its files come home, and nothing is left behind."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest

from tests.conftest import HANG, Api
from tests.farm import ONE, QUICK, empty, fill, node_in, pair


class Farm(NamedTuple):
    """A controller that has a long job in its only slot of each engine, and a peer with room."""

    control: Api
    peer: Api


@pytest.fixture
async def farm(tmp_path: Path) -> AsyncIterator[Farm]:
    async with node_in(tmp_path, "control", ONE) as control, node_in(tmp_path, "render", QUICK) as peer:
        await pair(control, peer)
        await fill(control)
        await fill(control, "frames")
        yield Farm(control, peer)


async def add(api: Api, renderer: str, file: tuple[str, bytes] | None = None, **fields: Any) -> str:
    """Add a job, with a file where one is given; its id."""
    body = {"renderer": renderer, **fields}
    if file is None:
        status, job = await api.post("/api/add_job", json=body)
    else:
        form = aiohttp.FormData()
        form.add_field("json", __import__("json").dumps(body))
        form.add_field("file", file[1], filename=file[0])
        status, job = await api.post("/api/add_job", data=form)
    assert status == 200, job
    return str(job["id"])


async def read(api: Api, job_id: str, name: str) -> str:
    async with api.session.get(f"{api.url}/api/jobs/{job_id}/download", params={"filename": name}) as got:
        assert got.status == 200
        return await got.text()


async def log_of(api: Api, job_id: str) -> str:
    return str((await api.get(f"/api/jobs/{job_id}/logs"))[1])


async def share_at(api: Api) -> dict[str, Any]:
    """The one share that a node has, as soon as it has it."""
    deadline = time.monotonic() + HANG
    while True:
        shares = [job for job in (await api.get("/api/jobs"))[1]["jobs"] if job["parent"]]
        if shares:
            return dict(shares[0])
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def test_a_whole_job_runs_at_a_peer(farm: Farm) -> None:
    job_id = await add(farm.control, "noop", args={"files": ["a.txt", "b.txt"], "content": "made", "seconds": 0.5})
    share = await share_at(farm.peer)
    assert (share["parent"], share["renderer"]) == (job_id, "noop")
    job = await farm.control.until(job_id)
    assert (job["status"], job["node"], job["percent_complete"]) == ("finished", "render", 100), job
    assert await read(farm.control, job_id, "a.txt") == await read(farm.control, job_id, "b.txt") == "made"
    assert f"it is job {share['id']} of node render" in await log_of(farm.control, job_id)
    await empty(farm.peer)
