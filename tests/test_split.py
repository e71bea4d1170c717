"""Split jobs on a node: what is dealt is made once, and the whole is seen as one job."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.conftest import HANG, Api, config_for
from tests.farm import ONE, empty, node_in, pair, quick
from zeus.api.app import Node, running_node


@pytest.fixture
async def api(tmp_path: Path, session: aiohttp.ClientSession) -> AsyncIterator[Api]:
    config = config_for(tmp_path, jobs={"slots": 3, "retry_delay": 0.0, "chunk_seconds": 1.0},
                        engines={"frames": {"slots": 3}, "segments": {"slots": 3}})  # fmt: skip
    async with running_node(config) as node:
        yield Api(session, node.url)


async def split(api: Api, end: int, **args: Any) -> dict[str, Any]:
    fields = {key: args.pop(key) for key in ("start_frame", "max_attempts", "priority") if key in args}
    body = {"renderer": "frames", "start_frame": 1, "end_frame": end, "enable_split_jobs": True, "args": args}
    status, job = await api.post("/api/add_job", json={**body, **fields})
    assert status == 200, job
    return dict(job)


async def get(api: Api, job_id: str) -> dict[str, Any]:
    return dict((await api.get(f"/api/jobs/{job_id}"))[1])


async def until(api: Api, job_id: str, frames: int) -> dict[str, Any]:
    async with asyncio.timeout(HANG):
        while (job := await get(api, job_id))["completed_frames"] < frames:
            await asyncio.sleep(0.02)
    return job


def made(record: Path) -> Counter[str]:
    return Counter(record.read_text().split()) if record.exists() else Counter()


def ranges(job: dict[str, Any]) -> list[tuple[int, int]]:
    return [(child["start_frame"], child["end_frame"]) for child in job["children"]]


async def test_a_split_job_is_seen_as_one(api: Api, tmp_path: Path) -> None:
    record = tmp_path / "record"
    job = await split(api, 40, seconds=0.04, record=str(record))
    assert (job["status"], job["enable_split_jobs"], job["renderer_version"]) == ("queued", True, "1")
    half = await until(api, job["id"], 10)
    assert half["status"] == "waiting_for_subjobs" and 0 < half["percent_complete"] < 100
    states = [frame["state"] for frame in (await api.get(f"/api/jobs/{job['id']}/frames"))[1]["frames"]]
    assert len(states) == 40 and {"finished", "queued"} <= set(states)
    done = await api.until(job["id"])
    assert (done["status"], done["percent_complete"], done["completed_frames"], done["file_count"]) == (
        "finished", 100, 40, 40,
    )  # fmt: skip
    assert sorted(made(record)) == sorted(map(str, range(1, 41)))
    found = sorted(ranges(done))
    assert found[0][0] == 1 and found[-1][1] == 40 and 3 <= len(found) <= 20
    assert all(before[1] + 1 == after[0] for before, after in itertools.pairwise(found))
    assert {child["node"] for child in done["children"]} == {"test-node"}
    assert len((await api.get(f"/api/jobs/{job['id']}/files"))[1]) == 40
    assert (await api.get(f"/api/jobs/{job['id']}/download?filename=frame_0039.txt"))[1] == "frame 39"
    child = await get(api, done["children"][0]["id"])
    status, error = await api.post(f"/api/jobs/{child['id']}/delete?confirm=1")
    assert (status, error["error"]) == (409, "piece_of_job")
    assert child["parent"] == job["id"] and child["children"] == [] and not child["enable_split_jobs"]
    assert (await api.post(f"/api/jobs/{job['id']}/delete?confirm=1"))[0] == 200
    assert (await api.get("/api/jobs"))[1]["jobs"] == []


async def test_the_end_is_shared_by_taking_frames_off_a_running_piece(api: Api, tmp_path: Path) -> None:
    """The first pieces are equal by guess; one has slow frames, and the others help."""
    record = tmp_path / "record"
    job = await split(api, 24, seconds=0.05, slow=[*range(1, 13)], record=str(record))
    done = await api.until(job["id"])
    assert (done["status"], done["completed_frames"]) == ("finished", 24)
    numbers = [number for first, last in ranges(done) for number in range(first, last + 1)]
    assert sorted(numbers) == list(range(1, 25))
    frames = (await api.get(f"/api/jobs/{job['id']}/frames"))[1]["frames"]
    assert [frame["state"] for frame in frames] == ["finished"] * 24
    again = [number for number, count in made(record).items() if count > 1]
    assert len(again) <= len(done["children"]), "no more is begun twice than was in work when it was taken off"


async def test_each_so_many_th_frame_and_a_movie_of_all(api: Api) -> None:
    job = await split(api, 30, start_frame=2, frame_step=4, seconds=0.03, movie=True)
    done = await api.until(job["id"])
    assert (done["status"], done["total_frames"], done["completed_frames"]) == ("finished", 8, 8), done["error"]
    text = (await api.get(f"/api/jobs/{job['id']}/download?filename=movie.txt"))[1]
    assert text == "".join(f"frame {number}" for number in range(2, 31, 4))
    assert done["file_count"] == 9 == len((await api.get(f"/api/jobs/{job['id']}/files"))[1])


async def test_pause_resume_and_cancel_reach_what_is_dealt_and_what_is_not(api: Api, tmp_path: Path) -> None:
    record = tmp_path / "record"
    job = await split(api, 60, seconds=0.05, record=str(record))
    url = f"/api/jobs/{job['id']}"
    await until(api, job["id"], 5)
    assert (await api.post(f"{url}/pause"))[0] == 200
    before = await get(api, job["id"])
    await asyncio.sleep(0.3)
    assert (await get(api, job["id"]))["completed_frames"] == before["completed_frames"] < 60
    assert (await api.post(f"{url}/priority?value=70"))[0] == 200
    assert (await api.post(f"{url}/resume"))[0] == 200
    done = await until(api, job["id"], before["completed_frames"] + 5)
    assert {(await get(api, child["id"]))["priority"] for child in done["children"]} == {70}
    status, ended = await api.post(f"{url}/cancel?confirm=1")
    assert (status, ended["status"]) == (200, "cancelled")
    count = ended["completed_frames"]
    assert (await api.post(f"{url}/retry"))[0] == 200
    done = await api.until(job["id"])
    assert (done["status"], done["completed_frames"]) == ("finished", 60) and count < 60
    finished_twice = sum(made(record).values()) - 60
    assert finished_twice <= 6, "what had finished was not made again, only what was in work"


async def test_each_frame_is_listed_once_whatever_is_dealt_meanwhile(api: Api) -> None:
    job = await split(api, 300, seconds=0.01)
    url = f"/api/jobs/{job['id']}"
    looks = 0
    while (await get(api, job["id"]))["status"] != "finished":
        for listed in await asyncio.gather(*(api.get(f"{url}/frames") for _ in range(8))):
            assert [frame["frame"] for frame in listed[1]["frames"]] == [*range(1, 301)] and listed[1]["total"] == 300
            looks += 1
    assert looks > 8


async def test_a_bad_frame_fails_the_job_and_keeps_what_was_made(api: Api) -> None:
    job = await split(api, 4000, seconds=0.02, bad=[3], slow=[*range(5, 13)], max_attempts=1)
    done = await api.until(job["id"])
    assert (done["status"], done["error"]["code"]) == ("failed", "subjob_failed")
    assert done["completed_frames"] == 11, "what was not dealt is not begun any more"
    [failed] = [each for child in done["children"] if (each := await get(api, child["id"]))["status"] == "failed"]
    assert (failed["attempt"], failed["error"]["code"]) == (1, "frames_failed")
    assert len((await api.get(f"/api/jobs/{job['id']}/files"))[1]) == done["completed_frames"]


async def test_parts_are_cut_run_and_joined(api: Api, tmp_path: Path) -> None:
    job = await parts(api, "abcdefghij")
    done = await api.until(job["id"])
    assert (done["status"], done["percent_complete"]) == ("finished", 100), done["error"]
    assert len(done["children"]) == 6, "two rounds for three slots"
    assert (done["file_count"], (await api.get(f"/api/jobs/{job['id']}/files"))[1]) == (1, ["whole.txt"])
    assert (await api.get(f"/api/jobs/{job['id']}/download?filename=whole.txt"))[1] == "ABCDEFGHIJ"
    for child in done["children"]:
        folder = tmp_path / "storage" / "jobs" / child["id"]
        async with asyncio.timeout(HANG):
            while (folder / "out").exists() or (folder / "input").exists():  # parts are nobody's
                await asyncio.sleep(0.02)
        assert (await api.get(f"/api/jobs/{child['id']}/files")) == (200, [])


async def test_what_is_not_worth_cutting_runs_whole(api: Api) -> None:
    job = await parts(api, "a")
    done = await api.until(job["id"])
    assert (done["status"], done["children"]) == ("finished", [])
    assert (await api.get(f"/api/jobs/{job['id']}/download?filename=part.txt"))[1] == "A"


@pytest.mark.parametrize("stage", ["cut", "run", "join"])
async def test_a_cancel_at_any_stage_and_a_retry(api: Api, stage: str) -> None:
    job = await parts(api, "abcdefghij", slow=stage)
    url = f"/api/jobs/{job['id']}"
    await api.until(job["id"], "waiting_for_subjobs" if stage == "run" else "running")
    if stage == "join":
        async with asyncio.timeout(HANG):
            while not (now := await get(api, job["id"]))["children"] or now["status"] != "running":
                await asyncio.sleep(0.02)
    status, ended = await api.post(f"{url}/cancel?confirm=1")
    assert (status, ended["status"]) == (200, "cancelled")
    assert (await api.get(f"{url}/files")) == (200, [])
    await api.post(f"{url}/retry")
    done = await api.until(job["id"])
    assert done["status"] == "finished"
    assert (await api.get(f"{url}/download?filename=whole.txt"))[1] == "ABCDEFGHIJ"


async def test_tags_and_why(api: Api) -> None:
    body = {"renderer": "noop", "tags": ["gold", "big"]}
    status, job = await api.post("/api/add_job", json=body)
    assert status == 200
    why = (await api.get(f"/api/jobs/{job['id']}/why"))[1]
    assert why["nodes"] == [{"node": "test-node", "reasons": ["It lacks the tags big, gold (node.tags)."]}]
    dry = (await api.post("/api/add_job?dry_run=1", json=body))[1]
    assert dry["nodes"] == why["nodes"]
    for wrong in (["a b"], [""], ["x" * 64], ["a"] * 17, "a"):
        status, error = await api.post("/api/add_job", json={"renderer": "noop", "tags": wrong})
        assert status == 400 and "tags" in error["message"], wrong


@pytest.mark.parametrize(
    ("fields", "can_split", "joins"),
    [
        ({"start_frame": 1, "end_frame": 4}, "frames", False),
        ({"start_frame": 1, "end_frame": 4, "args": {"movie": True}}, "frames", True),
        ({"start_frame": 1, "end_frame": 1}, "", False),
        ({"start_frame": 1, "end_frame": 4, "child_jobs": [{"start_frame": 1, "end_frame": 2}]}, "", False),
        ({"renderer": "noop"}, "", False),
    ],
)
async def test_a_dry_run_tells_whether_nodes_could_share_it(
    api: Api, fields: dict[str, Any], can_split: str, joins: bool
) -> None:
    body = {"renderer": "frames", **fields}
    for wish in (False, True):
        status, dry = await api.post("/api/add_job?dry_run=1", json={**body, "enable_split_jobs": wish})
        assert status == 200, dry
        dry = dry[0] if isinstance(dry, list) else dry
        assert (dry["splits"], dry["can_split"], dry["joins"]) == (can_split if wish else "", can_split, joins)


async def test_a_job_of_one_frame_and_explicit_subjobs_are_not_split(api: Api) -> None:
    one = await split(api, 1)
    assert (await api.until(one["id"]))["children"] == []
    body = {"renderer": "frames", "start_frame": 1, "end_frame": 4, "enable_split_jobs": True,
            "child_jobs": [{"start_frame": 1, "end_frame": 2}, {"start_frame": 3, "end_frame": 4}]}  # fmt: skip
    _, job = await api.post("/api/add_job", json=body)
    done = await api.until(job["id"])
    assert (done["status"], ranges(done)) == ("finished", [(1, 2), (3, 4)])


async def parts(api: Api, text: str, **args: Any) -> dict[str, Any]:
    form = aiohttp.FormData()
    form.add_field("json", __import__("json").dumps({"enable_split_jobs": True, "args": args}))
    form.add_field("file", text.encode(), filename="text.segments")
    status, job = await api.post("/api/add_job", data=form)
    assert status == 200, job
    return dict(job)


async def test_only_a_fitting_node_gets_it(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    config = config_for(tmp_path, node={"name": "test-node", "storage": str(tmp_path / "s"), "tags": ["gold"]})
    async with running_node(config) as node:
        await runs_with_its_tag(node, Api(session, node.url))


async def runs_with_its_tag(node: Node, api: Api) -> None:
    _, job = await api.post("/api/add_job", json={"renderer": "noop", "tags": ["gold"]})
    assert (await api.until(job["id"]))["status"] == "finished"


async def test_nodes_share_a_job_and_one_that_comes_late_helps(tmp_path: Path) -> None:
    """The first node is slow; the frames of the last come home like all others."""
    record = tmp_path / "record"
    slow = quick(ONE, engines={"frames": {"slots": 1, "factor": 3.0}})
    async with (
        node_in(tmp_path, "control", slow) as control,
        node_in(tmp_path, "fast", ONE) as fast,
        node_in(tmp_path, "late", ONE) as late,
    ):
        await pair(control, fast)
        job = await split(control, 80, seconds=0.12, record=str(record))
        await until(control, job["id"], 8)
        await pair(control, late)
        done = await control.until(job["id"])
        assert (done["status"], done["completed_frames"], done["file_count"]) == ("finished", 80, 80), done["error"]
        frames = (await control.get(f"/api/jobs/{job['id']}/frames"))[1]["frames"]
        assert [frame["frame"] for frame in frames] == list(range(1, 81))
        by_node = Counter(frame["node"] for frame in frames)
        assert by_node["fast"] > by_node["control"] > 0 and by_node["late"] > 0, by_node
        assert {child["node"] for child in done["children"]} == {"control", "fast", "late"}
        text = (await control.get(f"/api/jobs/{job['id']}/download?filename=frame_0080.txt"))[1]
        assert text == "frame 80"
        for peer in (fast, late):
            await empty(peer)
    assert sum(made(record).values()) <= 80 + len(done["children"])
