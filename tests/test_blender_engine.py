"""Frames that come out wrong, with a stub in Blender's place: each is told by name, and the next attempt makes it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from tests.conftest import Api, config_for, stub_blender
from zeus.api.app import running_node

HEADER = b"BLENDER-v304REND" + bytes(64)


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """The stub in a folder of its own, where it writes down what it rendered."""
    return stub_blender(tmp_path / "stub")


@pytest.fixture
async def api(tmp_path: Path, program: Path, session: aiohttp.ClientSession) -> AsyncIterator[Api]:
    config = msgspec.structs.replace(config_for(tmp_path), engines={"blender": {"path": str(program)}})
    async with running_node(config) as node:
        yield Api(session, node.url)


async def send(api: Api, name: str, **fields: Any) -> tuple[int, Any]:
    form = aiohttp.FormData()
    form.add_field("json", json.dumps(fields))
    form.add_field("file", HEADER, filename=name)
    return await api.post("/api/add_job", data=form)


def rendered(program: Path) -> list[int]:
    return [int(line) for line in (program.parent / "renders.txt").read_text().split()]


@pytest.mark.parametrize(
    ("kind", "again", "reason"),
    [
        ("cut", [2], "spoil-cut_0002.png cannot be decoded"),
        ("empty", [2], "spoil-empty_0002.png is empty"),
        ("small", [2], "spoil-small_0002.png"),
        ("gone", [2], "Blender wrote no spoil-gone_0002.png"),
        ("left", [2], "Blender ended with exit code 0 and without frames 2."),
        ("crash", [2, 3, 4], "Blender ended with signal 11 and without frames 2, 3, 4."),
    ],
)
async def test_a_frame_that_comes_out_wrong(api: Api, program: Path, kind: str, again: list[int], reason: str) -> None:
    status, job = await send(api, f"spoil-{kind}.blend", max_attempts=1)
    assert status == 200, job
    assert (job["start_frame"], job["end_frame"], job["total_frames"]) == (1, 4, 4)
    job = await api.until(job["id"])
    assert job["status"] == "failed" and reason in job["error"]["message"], job
    whole = [frame for frame in range(1, 5) if frame not in again]
    names = [f"spoil-{kind}_{frame:04d}.png" for frame in range(1, 5)]
    assert (await api.get(f"/api/jobs/{job['id']}/files"))[1] == [names[frame - 1] for frame in whole]
    (_, before), first = await api.get(f"/api/jobs/{job['id']}/frames"), rendered(program)
    states = {each["frame"]: each["state"] for each in before["frames"]}
    assert all(states[frame] == "finished" for frame in whole)
    if kind not in ("left", "crash"):
        assert states[2] == "failed"
    assert (await api.post(f"/api/jobs/{job['id']}/retry"))[0] == 200
    job = await api.until(job["id"])
    assert (job["status"], job["completed_frames"]) == ("finished", 4), job
    assert (await api.get(f"/api/jobs/{job['id']}/files"))[1] == names
    assert rendered(program)[len(first) :] == again


async def test_a_retry_comes_by_itself(api: Api, program: Path) -> None:
    _, job = await send(api, "spoil-cut.blend")
    job = await api.until(job["id"])
    assert (job["status"], job["attempt"]) == ("finished", 2), job
    assert rendered(program) == [1, 2, 3, 4, 2]


async def test_what_is_no_blend_never_reaches_blender(api: Api, program: Path) -> None:
    form = aiohttp.FormData()
    form.add_field("json", "{}")
    form.add_field("file", b"no scene", filename="a.blend")
    status, body = await api.post("/api/add_job", data=form)
    assert (status, body["error"]) == (400, "not_a_blend") and "a.blend is no .blend file" in body["message"]


async def test_the_version_is_what_the_program_says(api: Api, program: Path) -> None:
    _, engine = await api.get("/api/engines/blender")
    assert engine["versions"][0] == {"version": "3.4.1", "source": "configured"}


async def test_a_configured_blender_that_does_not_run(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    config = msgspec.structs.replace(config_for(tmp_path), engines={"blender": {"path": str(tmp_path / "nothing")}})
    async with running_node(config) as node:
        status, body = await send(Api(session, node.url), "a.blend")
        assert status == 503 and "engines.blender.path" in body["message"], body
