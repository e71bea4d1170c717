"""A peer with several slots that goes with all that it has in them, and comes back while the job is still at work."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.conftest import HANG, Api, NodeProcess
from tests.farm import ONE, QUICK, empty, id_of, node_in, pair, quick, spawned, until_state

LOST = "Node many did not answer for 3 s; the task goes elsewhere"
Frame = dict[str, Any]


async def frames_of(api: Api, job_id: str) -> list[Frame]:
    return list((await api.get(f"/api/jobs/{job_id}/frames"))[1]["frames"])


async def until(api: Api, job_id: str, holds: Callable[[list[Frame]], bool]) -> list[Frame]:
    """Wait until something is true of a job's frames, and give them."""
    async with asyncio.timeout(HANG):
        while not holds(found := await frames_of(api, job_id)):
            await asyncio.sleep(0.05)
    return found


async def test_all_that_a_peer_has_goes_elsewhere_and_it_is_welcome_back(
    spawn_node: Callable[..., NodeProcess], tmp_path: Path
) -> None:
    record, count = tmp_path / "record", 120
    many = spawned(spawn_node, "many", quick(QUICK, engines={"frames": {"slots": 3}}))
    await asyncio.to_thread(many.start)
    async with node_in(tmp_path, "control", quick(ONE, jobs={"chunk_seconds": 2.0})) as control:
        peer = Api(control.session, many.url)
        await pair(control, peer)
        body = {"renderer": "frames", "start_frame": 1, "end_frame": count, "enable_split_jobs": True,
                "args": {"seconds": 0.2, "record": str(record)}}  # fmt: skip
        _, job = await control.post("/api/add_job", json=body)
        job_id = job["id"]
        found = await until(control, job_id, lambda frames: len(at(frames, "many")) == 3 and made(frames, "many") >= 6)
        pieces, published, begun = at(found, "many"), finished(found), len(begun_in(record))
        many.kill()
        for piece in pieces:
            async with asyncio.timeout(HANG):
                while LOST not in (await control.get(f"/api/jobs/{piece}/logs?attempt=1"))[1]:
                    await asyncio.sleep(0.05)
        assert made(await frames_of(control, job_id), "control") < 80, "there is work left to come back to"
        await asyncio.to_thread(many.start)
        before = made(await frames_of(control, job_id), "many")
        await until_state(control, await id_of(peer), "online")
        await until(control, job_id, lambda frames: made(frames, "many") >= before + 3)
        done = await control.until(job_id)
        assert (done["status"], done["completed_frames"], done["file_count"]) == ("finished", count, count), done
        lines = begun_in(record)
        assert not published & set(lines[begun:]), "what had been published was made again"
        again = sum(Counter(lines).values()) - count
        assert again <= 3 * 2 + len(done["children"]), "only what was in work is begun again"
        await empty(peer)


def at(frames: list[Frame], node: str) -> set[str]:
    """The pieces that a node is at."""
    return {frame["job_id"] for frame in frames if (frame["node"], frame["state"]) == (node, "running")}


def made(frames: list[Frame], node: str) -> int:
    return sum((frame["node"], frame["state"]) == (node, "finished") for frame in frames)


def finished(frames: list[Frame]) -> set[int]:
    return {frame["frame"] for frame in frames if frame["state"] == "finished"}


def begun_in(record: Path) -> list[int]:
    return [int(line) for line in record.read_text().split()]
