"""A job of one node runs at another: its input goes there, its files come home, and nothing is left behind."""

from __future__ import annotations

import asyncio
import io
import time
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest

from tests.conftest import HANG, Api
from tests.farm import ONE, QUICK, empty, fill, id_of, node_in, pair, quick


class Farm(NamedTuple):
    """A controller that has a long job in its only slot of each engine, and a peer with room."""

    control: Api
    peer: Api


@pytest.fixture
async def farm(tmp_path: Path) -> AsyncIterator[Farm]:
    own = quick(ONE, network={"lease": HANG})  # no busy machine makes the peer a lost one
    async with node_in(tmp_path, "control", own) as control, node_in(tmp_path, "render", QUICK) as peer:
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


async def test_an_input_goes_there_once(farm: Farm, tmp_path: Path) -> None:
    """Two jobs of one file; the peer inspects it, so that it names the frames."""
    first = await add(farm.control, "frames", ("shot.frames", b"3-5"))
    second = await add(farm.control, "frames", ("again.frames", b"3-5"))
    for job_id in (first, second):
        job = await farm.control.until(job_id)
        assert (job["status"], job["completed_frames"], job["node"]) == ("finished", 3, "render"), job
        assert (await farm.control.get(f"/api/jobs/{job_id}/files"))[1] == [f"frame_000{n}.txt" for n in (3, 4, 5)]
    there = list((tmp_path / "render" / "storage" / "incoming").glob("*.part"))
    assert len(there) == 2 and len({path.stat().st_ino for path in there}) == 1, "the content was sent more than once"
    _, listed = await farm.control.get(f"/api/jobs/{first}/files", params={"response_type": "full"})
    assert [each["frame"] for each in listed] == [3, 4, 5] and all(each["seconds"] is not None for each in listed)
    await empty(farm.peer)


async def test_a_project_goes_there_as_an_archive(farm: Farm) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("scene/shot.frames", "1-2")
        archive.writestr("scene/textures/wood.txt", "wood")
    job_id = await add(farm.control, "frames", ("project.zip", packed.getvalue()))
    job = await farm.control.until(job_id)
    assert (job["status"], job["completed_frames"], job["node"]) == ("finished", 2, "render"), job
    await empty(farm.peer)


async def test_frames_come_home_as_they_are_made(farm: Farm) -> None:
    job_id = await add(farm.control, "frames", args={"seconds": 0.4, "movie": True}, start_frame=1, end_frame=6)
    deadline = time.monotonic() + HANG
    while not (await farm.control.get(f"/api/jobs/{job_id}"))[1]["file_count"]:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
    _, job = await farm.control.get(f"/api/jobs/{job_id}")
    assert job["status"] == "running" and job["completed_frames"] < 6
    job = await farm.control.until(job_id)
    assert (job["status"], job["completed_frames"], job["file_count"]) == ("finished", 6, 7), job
    assert await read(farm.control, job_id, "frame_0006.txt") == "frame 6"
    assert (await read(farm.control, job_id, "movie.txt")).startswith("frame 1frame 2")
    _, listed = await farm.control.get(f"/api/jobs/{job_id}/frames")
    assert {(each["node"], each["state"]) for each in listed["frames"]} == {("render", "finished")}


async def test_another_priority_is_the_shares_too(farm: Farm) -> None:
    piece = {"start_frame": 1, "end_frame": 400}
    parent = await add(farm.control, "frames", args={"seconds": 0.2}, child_jobs=[piece])
    deadline = time.monotonic() + HANG
    while not (await farm.control.get(f"/api/jobs/{parent}"))[1]["completed_frames"]:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
    assert (await share_at(farm.peer))["priority"] == 50
    status, job = await farm.control.post(f"/api/jobs/{parent}/priority?value=70")
    assert (status, job["priority"], (await share_at(farm.peer))["priority"]) == (200, 70, 70)


async def test_frames_that_only_the_peer_knows(farm: Farm) -> None:
    job_id = await add(farm.control, "frames", args={"frame_step": 1})
    job = await farm.control.until(job_id)
    assert (job["status"], job["start_frame"], job["end_frame"], job["completed_frames"]) == ("finished", 1, 3, 3), job


async def test_the_log_is_shown_live_to_its_last_byte(farm: Farm) -> None:
    job_id = await add(farm.control, "noop", args={"tool": ["garbage", "sleep:3", "flood:100000"]})
    deadline = time.monotonic() + HANG
    while " bad" not in await log_of(farm.control, job_id):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)
    assert (await farm.control.get(f"/api/jobs/{job_id}"))[1]["status"] == "running"
    share = await share_at(farm.peer)
    assert (await farm.control.until(job_id))["status"] == "finished"
    text = await log_of(farm.control, job_id)
    assert text.count(" bad\n") == 10 and f"it is job {share['id']}" in text and text.endswith("\n")
    assert len(text) > 100_000


async def test_a_failure_at_the_peer_is_the_jobs(farm: Farm) -> None:
    job_id = await add(farm.control, "noop", args={"fail": "no way"}, max_attempts=1)
    job = await farm.control.until(job_id)
    assert (job["status"], job["attempt"], job["error"]["code"]) == ("failed", 1, "told_to_fail"), job
    assert job["error"]["message"] == "Node render: no way"
    bad = await add(farm.control, "frames", args={"bad": [2]}, start_frame=1, end_frame=3, max_attempts=1)
    job = await farm.control.until(bad)
    assert (job["status"], job["error"]["code"], job["completed_frames"]) == ("failed", "frames_failed", 2), job
    _, listed = await farm.control.get(f"/api/jobs/{bad}/frames")
    assert [each["state"] for each in listed["frames"]] == ["finished", "failed", "finished"]
    await empty(farm.peer)


@pytest.mark.parametrize("action", ["cancel", "pause", "delete"])
async def test_what_a_user_ends_ends_at_the_peer(farm: Farm, action: str) -> None:
    job_id = await add(farm.control, "noop", args={"tool": ["deaf", "fork", "sleep:600"], "seconds": 600})
    share = await share_at(farm.peer)
    await farm.peer.until(share["id"], "running")
    if action != "pause":  # an end of a deaf tool takes ten seconds
        await farm.control.until(job_id, "running")
    status, job = await farm.control.post(f"/api/jobs/{job_id}/{action}?confirm=1")
    assert status == 200, job
    assert [job for job in (await farm.peer.get("/api/jobs"))[1]["jobs"] if job["parent"]] == []
    if action == "pause":
        assert (await farm.control.post(f"/api/jobs/{job_id}/resume"))[0] == 200
        assert (await share_at(farm.peer))["parent"] == job_id


async def test_a_share_comes_only_from_the_node_itself(farm: Farm) -> None:
    control, body = await id_of(farm.control), {"renderer": "noop"}
    share = {"node": control, "job_id": "a-job", "attempt": 1}
    status, error = await farm.peer.post("/api/add_job", json={**body, "share": share})
    assert (status, error["error"]) == (400, "unsupported_field")
    for wrong in ({**share, "attempt": 0}, {**share, "more": 1}, {"node": control}, "control"):
        assert (await farm.peer.post("/api/add_job", json={**body, "share": wrong}))[0] == 400


async def test_news_of_another_attempt_are_refused(farm: Farm) -> None:
    job_id = await add(farm.control, "noop", args={"seconds": 600})
    share = await share_at(farm.peer)
    await farm.control.until(job_id, "running")
    while f"it is job {share['id']}" not in await log_of(farm.control, job_id):  # it is on record then
        await asyncio.sleep(0.02)
    update = {"id": share["id"], "status": "finished", "attempt": 1, "percent_complete": 100}
    status, error = await farm.control.post(f"/api/jobs/{job_id}/subjob_update", json=update)
    assert (status, error["error"]) == (403, "not_its_node")  # whoever asks shows no token of the peer
    status, error = await farm.control.post(f"/api/jobs/{job_id}/subjob_update", json={**update, "id": "another"})
    assert (status, error["error"]) == (404, "subjob_not_found")


async def test_no_more_goes_to_a_peer_than_it_has_room_for(tmp_path: Path) -> None:
    own = quick(ONE, network={"lease": HANG})  # what a busy machine lets lapse is still running there for a moment
    two = quick(engines={"noop": {"slots": 2}})
    async with node_in(tmp_path, "control", own) as control, node_in(tmp_path, "render", two) as peer:
        await pair(control, peer)
        await fill(control)
        jobs = [await add(control, "noop", args={"seconds": 0.3}) for _ in range(6)]
        ends = asyncio.gather(*(control.until(job_id) for job_id in jobs))
        most = 0
        while not ends.done():
            shares = [each for each in (await peer.get("/api/jobs"))[1]["jobs"] if each["parent"]]
            most = max(most, len([each for each in shares if each["status"] != "finished"]))
            await asyncio.sleep(0.02)
        assert most == 2 and {job["status"] for job in ends.result()} == {"finished"}
