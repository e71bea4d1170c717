"""Frames: each is published once, as soon as it is made, and never made again."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.conftest import HANG, Api, NodeProcess
from zeus.api.app import Node


async def add(api: Api, start: int | None = 1, end: int | None = 3, **args: Any) -> str:
    fields: dict[str, Any] = {"renderer": "frames", "args": args}
    if start is not None:
        fields |= {"start_frame": start, "end_frame": end}
    status, job = await api.post("/api/add_job", json=fields)
    assert status == 200, job
    return str(job["id"])


async def frames_of(api: Api, job_id: str, **query: Any) -> list[dict[str, Any]]:
    status, found = await api.get(f"/api/jobs/{job_id}/frames", params=query)
    assert status == 200, found
    return list(found["frames"])


async def states(api: Api, job_id: str) -> list[str]:
    return [frame["state"] for frame in await frames_of(api, job_id)]


async def until_files(api: Api, job_id: str, count: int) -> list[str]:
    async with asyncio.timeout(HANG):
        while len(files := (await api.get(f"/api/jobs/{job_id}/files"))[1]) < count:
            await asyncio.sleep(0.02)
    return list(files)


async def test_a_frame_is_there_as_soon_as_it_is_made(api: Api) -> None:
    job_id = await add(api, seconds=0.3)
    assert await until_files(api, job_id, 1) == ["frame_0001.txt"]
    job = (await api.get(f"/api/jobs/{job_id}"))[1]
    assert (job["status"], job["completed_frames"], job["total_frames"], job["file_count"]) == ("running", 1, 3, 1)
    assert await states(api, job_id) == ["finished", "running", "queued"]
    assert (await api.get(f"/api/jobs/{job_id}/download", params={"filename": "frame_0001.txt"}))[0] == 200
    job = await api.until(job_id, "finished")
    assert (job["completed_frames"], job["file_count"]) == (3, 3)
    last = (await frames_of(api, job_id))[-1]
    assert last == {
        "frame": 3,
        "state": "finished",
        "node": job["node"],
        "seconds": 0.3,
        "error": None,
        "job_id": job_id,
    }


async def test_what_is_left_in_out_comes_last(api: Api) -> None:
    job_id = await add(api, movie=True)
    await api.until(job_id, "finished")
    assert (await api.get(f"/api/jobs/{job_id}/download", params={"filename": "movie.txt"}))[
        1
    ] == "frame 1frame 2frame 3"


async def test_a_bad_frame_does_not_keep_the_others(api: Api) -> None:
    job_id = await add(api, bad=[2])
    job = await api.until(job_id, "failed")
    assert job["error"]["code"] == "frames_failed" and job["completed_frames"] == 2
    second = (await frames_of(api, job_id))[1]
    assert (second["state"], second["error"]) == ("failed", "frame 2 is bad")
    assert (await api.get(f"/api/jobs/{job_id}/files"))[1] == ["frame_0001.txt", "frame_0003.txt"]


async def test_a_retry_makes_only_what_is_missing(api: Api, tmp_path: Path) -> None:
    record = tmp_path / "record"
    job_id = await add(api, 1, 5, bad=[2, 4], record=str(record))
    await api.until(job_id, "failed")
    record.write_text("")
    assert (await api.post(f"/api/jobs/{job_id}/retry"))[0] == 200
    await api.until(job_id, "failed")
    assert set(record.read_text().split()) == {"2", "4"}


async def test_pause_and_cancel_keep_what_is_published(api: Api, tmp_path: Path) -> None:
    record = tmp_path / "record"
    job_id = await add(api, 1, 6, seconds=0.2, record=str(record))
    await until_files(api, job_id, 2)
    status, job = await api.post(f"/api/jobs/{job_id}/pause")
    assert (status, job["status"]) == (200, "paused") and job["completed_frames"] >= 2
    kept = (await api.get(f"/api/jobs/{job_id}/files"))[1]
    assert (await states(api, job_id))[len(kept) :] == ["paused"] * (6 - len(kept))
    await api.post(f"/api/jobs/{job_id}/resume")
    await until_files(api, job_id, len(kept) + 1)
    assert (await api.post(f"/api/jobs/{job_id}/cancel?confirm=1"))[1]["status"] == "cancelled"
    assert set(kept) < set((await api.get(f"/api/jobs/{job_id}/files"))[1])
    await api.post(f"/api/jobs/{job_id}/retry")
    await api.until(job_id, "finished")
    begun = Counter(record.read_text().split())
    assert set(begun) == {str(number) for number in range(1, 7)} and sum(begun.values()) <= 6 + 2


async def test_a_name_that_is_published_is_never_written_again(api: Api) -> None:
    job_id = await add(api, name="same.txt")
    job = await api.until(job_id, "failed")
    assert job["error"]["code"] == "output_invalid" and "same.txt" in job["error"]["message"]
    assert (await api.get(f"/api/jobs/{job_id}/download", params={"filename": "same.txt"}))[1] == "frame 1"


async def test_frame_steps_count(api: Api) -> None:
    job_id = await add(api, 1, 10, frame_step=4)
    job = await api.until(job_id, "finished")
    assert (job["total_frames"], job["completed_frames"], job["file_count"]) == (3, 3, 3)
    assert [frame["frame"] for frame in await frames_of(api, job_id)] == [1, 5, 9]


async def test_a_job_may_learn_its_frames_when_it_runs(api: Api) -> None:
    job_id = await add(api, None)
    job = await api.until(job_id, "finished")
    assert (job["start_frame"], job["end_frame"], job["total_frames"]) == (1, 3, 3)
    job = await api.until(await add(api, None, frame_step=2), "finished")
    assert (job["end_frame"], job["total_frames"], job["completed_frames"]) == (3, 2, 2)


async def test_the_frames_are_listed_in_pages_and_those_of_subjobs_together(api: Api) -> None:
    children = [{"start_frame": 1, "end_frame": 2}, {"start_frame": 3, "end_frame": 4}]
    fields = {"renderer": "frames", "start_frame": 1, "end_frame": 4, "child_jobs": children}
    _, job = await api.post("/api/add_job", json=fields)
    await api.until(job["id"], "finished")
    listed = await frames_of(api, job["id"])
    assert [frame["frame"] for frame in listed] == [1, 2, 3, 4] and listed[3]["job_id"] == job["children"][1]["id"]
    assert [frame["frame"] for frame in await frames_of(api, job["id"], start=2, limit=2)] == [2, 3]
    assert (await api.get(f"/api/jobs/{job['id']}/frames", params={"start": 3}))[1]["total"] == 4
    for query in ({"start": "x"}, {"limit": 0}, {"limit": 10_001}):
        assert (await api.get(f"/api/jobs/{job['id']}/frames", params=query))[0] == 400


async def test_a_job_that_publishes_as_a_whole_has_frames_that_stand_as_it_does(api: Api) -> None:
    _, job = await api.post("/api/add_job", json={"renderer": "noop", "start_frame": -1, "end_frame": 1})
    await api.until(job["id"], "finished")
    assert [(each["frame"], each["state"]) for each in await frames_of(api, job["id"])] == [
        (-1, "finished"), (0, "finished"), (1, "finished")
    ]  # fmt: skip
    plain = await api.add()
    assert await frames_of(api, plain) == []
    assert (await api.get("/api/jobs/nowhere/frames"))[0] == 404


async def test_an_input_is_looked_at_before_the_job_is_taken(node: Node, api: Api) -> None:
    async def send(data: bytes, query: str = "") -> tuple[int, Any]:
        form = aiohttp.FormData()
        form.add_field("json", "{}")
        form.add_field("file", data, filename="a.frames")
        return await api.post("/api/add_job" + query, data=form)

    status, job = await send(b"5-7")
    assert (status, job["start_frame"], job["end_frame"], job["total_frames"]) == (200, 5, 7, 3)
    status, dry = await send(b"8-9", "?dry_run=1")
    assert (status, dry["start_frame"], dry["end_frame"]) == (200, 8, 9)
    status, error = await send(b"nothing")
    assert (status, error["error"]) == (400, "invalid_input")
    await api.until(job["id"], "finished")
    assert list(node.zeus.files.incoming.iterdir()) == []


@pytest.mark.parametrize("failpoint", ["", "publish", "commit"])
async def test_a_killed_node_makes_no_frame_again(
    failpoint: str, spawn_node: Callable[..., NodeProcess], session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    node, record = spawn_node(), tmp_path / "record"
    api = Api(session, node.start())
    job_id = await add(api, 1, 12, seconds=0.1, record=str(record))
    await until_files(api, job_id, 4)
    if failpoint:
        node.stop()
        node.start(ZEUS_FAILPOINT=failpoint)
        assert await asyncio.to_thread(node.gone) == -9
    else:
        node.kill()
    out = node.folder / "storage" / "jobs" / job_id / "out"
    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    begun = time.monotonic()
    api = Api(session, node.start())
    job = await api.until(job_id, "finished")
    assert time.monotonic() - begun < HANG and job["completed_frames"] == 12
    assert len((await api.get(f"/api/jobs/{job_id}/files"))[1]) == 12
    counts = Counter(record.read_text().split())
    cut = 2 if failpoint else 1  # the stop cuts one too
    assert len(counts) == 12 and sum(counts.values()) <= 12 + cut
    unchanged = [name for name, changed in before.items() if (out / name).stat().st_mtime_ns == changed]
    assert len(unchanged) >= len(before) - 1
