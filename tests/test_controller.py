"""A node without engines: it checks jobs at nodes that have them, gives them there, and has their results."""

from __future__ import annotations

import asyncio
import io
import time
import zipfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import psutil
import pytest

from tests.conftest import HANG, STUBS, Api, config_for
from tests.farm import QUICK, node_in, pair
from zeus.api import add_job
from zeus.api.app import running_node
from zeus.api.responses import json_response
from zeus.config.settings import PluginsConfig
from zeus.wire import DryRun

SMALL = {"width": 64, "height": 36, "num_frames": 4}


@pytest.fixture
async def control(tmp_path: Path) -> AsyncIterator[Api]:
    base = config_for(tmp_path / "control", node={"name": "control"}, **QUICK)
    engines = {"video": {"offline": True}}  # settings of what is left out may stay
    config = msgspec.structs.replace(base, plugins=PluginsConfig(own=False), engines=engines)
    async with running_node(config) as node, aiohttp.ClientSession() as session:
        yield Api(session, node.url)


@pytest.fixture
async def worker(tmp_path: Path, control: Api) -> AsyncIterator[Api]:
    """A node with the test engines, paired with the controller."""
    async with node_in(tmp_path, "worker", QUICK) as api:
        await pair(control, api)
        yield api


async def test_a_node_without_engines_and_peers(control: Api) -> None:
    assert (await control.get("/api/engines")) == (200, {})
    assert (await control.get("/api/engines/names")) == (200, [])
    assert (await control.get("/api/engines/for_filename?filename=a.noop"))[0] == 404
    assert (await control.get("/api/engines/noop"))[1]["error"] == "engine_not_found"
    assert (await control.get("/api/models"))[1] == {"models": []}
    status, state = await control.get("/api/model-status")
    assert (status, state["ready"]) == (200, False)
    for path in ("/api/status", "/api/snapshot", "/api/full_status", "/api/presets", "/api/nodes", "/readyz",
                 "/api/engines?response_type=full", "/api/jobs", "/v1/videos"):  # fmt: skip
        assert (await control.get(path))[0] == 200, path
    status, told = await control.post("/api/generate", json={"prompt": "a fox"})
    assert (status, told["error"]) == (503, "model_not_ready")
    status, told = await control.post("/api/add_job", json={"renderer": "noop"})
    assert (status, told["error"]) == (400, "unknown_engine")
    async with control.session.post(f"{control.url}/api/uploads", json={"name": "a.noop", "size": 1}) as got:
        assert got.status == 201


async def test_jobs_without_input(control: Api, worker: Api) -> None:
    assert (await control.get("/api/engines/names")) == (200, await _names(worker))
    assert (await control.get("/api/engines/for_filename?filename=a.noop")) == (200, "noop")
    assert (await control.get("/api/engines/noop/args")) == await worker.get("/api/engines/noop/args")
    assert (await control.get("/api/engines/noop/availability"))[1]["hostname"] == "worker"
    assert (await control.get("/api/engines")) == (200, {})
    status, dry = await control.post("/api/add_job?dry_run=1", json={"renderer": "noop", "args": {"content": "x"}})
    assert (status, dry["valid"], dry["args"]["content"]) == (200, True, "x")
    assert dry["nodes"][1] == {"node": "worker", "reasons": []} and dry["nodes"][0]["reasons"]
    job_id = await control.add(content="made elsewhere")
    job = await control.until(job_id)
    assert (job["status"], job["node"], job["handled_by"]) == ("finished", "worker", "control")
    assert await control.get(f"/api/jobs/{job_id}/download?filename=out.txt") == (200, "made elsewhere")
    status, told = await control.post("/api/add_job", json={"renderer": "noop", "args": {"colour": 1}})
    assert (status, told["error"]) == (400, "invalid_args") and "colour" in told["message"]
    status, told = await control.post("/api/add_job", json={"renderer": "nothing"})
    assert (status, told["error"]) == (400, "unknown_engine")
    parent = {"renderer": "frames", "start_frame": 1, "end_frame": 4,
              "child_jobs": [{"start_frame": 1, "end_frame": 2}, {"start_frame": 3, "end_frame": 4}]}  # fmt: skip
    status, made = await control.post("/api/add_job", json=parent)
    assert status == 200, made
    job = await control.until(made["id"])
    assert (job["status"], job["completed_frames"], len(job["children"])) == ("finished", 4, 2)
    parent["child_jobs"] = [{"start_frame": 3, "end_frame": 9}]
    assert (await control.post("/api/add_job", json=parent))[1]["error"] == "invalid_frames"


async def test_an_input_that_is_still_to_come(control: Api, worker: Api) -> None:
    """Its name is enough to check the rest, also where the engine would look into the file."""
    asked = {"renderer": "frames", "start_frame": 1, "end_frame": 4}
    for api in (worker, control):
        status, dry = await api.post("/api/add_job?dry_run=1&filename=late.frames", json=asked)
        assert (status, dry.get("end_frame")) == (200, 4), dry


async def _names(api: Api) -> Any:
    return (await api.get("/api/engines/names"))[1]


async def _sent(api: Api, name: str, content: bytes, fields: dict[str, Any], query: str = "") -> tuple[int, Any]:
    form = aiohttp.FormData()
    form.add_field("json", msgspec.json.encode(fields).decode(), content_type="application/json")
    form.add_field("file", io.BytesIO(content), filename=name)
    return await api.post(f"/api/add_job{query}", data=form)


async def test_an_input_goes_to_where_it_is_looked_at_once(control: Api, worker: Api, tmp_path: Path) -> None:
    status, job = await _sent(control, "shot.frames", b"3-7", {})
    assert status == 200, job
    assert (job["renderer"], job["start_frame"], job["end_frame"]) == ("frames", 3, 7)
    job = await control.until(job["id"])
    assert (job["status"], job["completed_frames"], job["node"]) == ("finished", 5, "worker")
    assert len((await control.get(f"/api/jobs/{job['id']}/files"))[1]) == 5
    there = [path for path in (tmp_path / "worker" / "storage" / "incoming").glob("*.part")]
    assert len({path.stat().st_ino for path in there}) == 1, "the content was sent more than once"
    status, told = await _sent(control, "shot.frames", b"nothing", {})
    assert (status, told["error"]) == (400, "invalid_input")
    status, told = await _sent(control, "shot.nothing", b"nothing", {})
    assert (status, told["error"]) == (400, "unknown_engine")
    upload = await _upload(control, "late.frames", b"1-2")
    assert (await control.get(f"/api/uploads/{upload}/facts"))[1]["end_frame"] == 2
    status, dry = await control.post("/api/add_job?dry_run=1", json={"upload": upload, "enable_split_jobs": True})
    assert (status, dry["end_frame"], dry["publishes"], dry["frame_step"]) == (200, 2, "each", 1)
    assert (dry["splits"], dry["can_split"], dry["joins"]) == ("frames", "frames", False)
    dry = (await control.post("/api/add_job?dry_run=1", json={"upload": upload, "args": {"movie": True}}))[1]
    assert (dry["splits"], dry["can_split"], dry["joins"]) == ("", "", True), "its movie cannot be made here"
    assert (await control.get("/api/jobs"))[1]["jobs"][0]["id"] == job["id"]


async def _upload(api: Api, name: str, content: bytes) -> str:
    _, begun = await api.post("/api/uploads", json={"name": name, "size": len(content)})
    headers = {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
    status, _ = await api.request("PATCH", f"/api/uploads/{begun['id']}", data=content, headers=headers)
    assert status == 204
    return str(begun["id"])


async def test_an_archive_is_unpacked_where_its_job_runs(control: Api, worker: Api, tmp_path: Path) -> None:
    path = tmp_path / "project.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("show/a.frames", "1-2")
        archive.writestr("show/b.frames", "5-6")
    status, told = await _sent(control, path.name, path.read_bytes(), {"renderer": "frames"})
    assert (status, told["error"]) == (400, "several_project_files")
    fields = {"renderer": "frames", "project_file": "show/b.frames"}
    status, job = await _sent(control, path.name, path.read_bytes(), fields)
    assert (status, job.get("start_frame")) == (200, 5), job
    job = await control.until(job["id"])
    assert (job["status"], job["completed_frames"]) == ("finished", 2), job["error"]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../evil.frames", "1-2")
    status, told = await _sent(control, path.name, path.read_bytes(), {"renderer": "frames"})
    assert (status, told["error"]) == (400, "hostile_archive")


async def test_videos_are_made_by_who_can(control: Api, worker: Api) -> None:
    status, state = await control.get("/api/model-status")
    assert (state["ready"], state["message"]) == (True, "procedural is ready on worker")
    status, accepted = await control.post("/api/generate", json={"prompt": "a fox", "seed": 3, **SMALL})
    assert (status, accepted.get("handled_by")) == (202, "control"), accepted
    job = await control.until(accepted["job_id"])
    assert (job["status"], job["node"], job["name"]) == ("finished", "worker", "a fox"), job["error"]
    assert (job["args"]["model"], job["total_frames"]) == ("procedural", 4)
    async with control.session.get(f"{control.url}/files/{accepted['job_id']}/out.mp4") as got:
        assert (got.status, (await got.read())[4:8]) == (200, b"ftyp")
    status, video = await control.post("/v1/videos", json={"prompt": "a fox", "seconds": "0.5", "size": "64x36"})
    assert (status, video.get("seconds"), video.get("size")) == (200, "0.5", "64x36"), video
    status, told = await control.post("/v1/videos", json={"prompt": "a fox", "size": "64x35"})
    assert (status, told["error"]["param"]) == (400, "size")
    status, told = await control.post("/api/generate", json={"prompt": "a fox", "guidance_scale": 3})
    assert (status, told["error"]) == (400, "unsupported_field")
    assert (await control.get("/api/models"))[1] == {"models": []}
    status, told = await control.post("/api/generate", json={"prompt": "a fox", "model": "wan-1b"})
    assert (status, told["error"]) == (503, "model_not_ready")


HALF = """
import msgspec
from zeus.engine import Engine, Facts, Span, Version

class Args(msgspec.Struct, frozen=True):
    text: str = ""

class Settings(msgspec.Struct, frozen=True):
    able: bool = True
    version: str = "1"

class Half(Engine[Args]):
    name, extensions, inspects, publishes, splits = "half", frozenset({"half"}), True, "each", "frames"
    Args, Settings = Args, Settings

    async def ready(self, tools):
        return None if self.settings.able else "its tool is not installed"

    async def versions(self, tools):
        return [Version(self.settings.version, "builtin")]

    async def inspect(self, tools, path):
        return Facts(span=Span(1, 2))

    def settle(self, args, span, facts=None):
        return args, span or (facts.span if facts else None)

    async def run(self, context):
        for number in range(context.span.start, context.span.end + 1):
            path = context.folder / f"{number}.txt"
            path.write_text(self.settings.version)
            await context.publish(number, [path])
"""


async def test_an_engine_that_cannot_run_here_is_asked_for_elsewhere(tmp_path: Path) -> None:
    """Not only one that is not here at all: also one that lacks its tool, or the version that is asked for."""
    (tmp_path / "plugins" / "half").mkdir(parents=True)
    (tmp_path / "plugins" / "half" / "__init__.py").write_text(HALF)

    def having(**settings: Any) -> dict[str, Any]:
        return {**QUICK, "plugins": {"folders": [str(STUBS / "plugins"), str(tmp_path / "plugins")]},
                "engines": {"half": settings}}  # fmt: skip

    nodes = (node_in(tmp_path, "unable", having(able=False)), node_in(tmp_path, "old", having(version="1")),
             node_in(tmp_path, "new", having(version="2")))  # fmt: skip
    async with nodes[0] as unable, nodes[1] as old, nodes[2] as new:
        await pair(unable, old)
        await pair(unable, new)
        for wish, made in (("2", "2"), ("1", "1")):
            status, job = await _sent(unable, "a.half", b"x", {"renderer_version": wish, "enable_split_jobs": True})
            assert (status, job.get("end_frame")) == (200, 2), job
            job = await unable.until(job["id"])
            assert job["status"] == "finished", job["error"]
            assert await unable.get(f"/api/jobs/{job['id']}/download?filename=2.txt") == (200, made)
        status, told = await _sent(unable, "a.half", b"x", {"renderer_version": "3"})
        assert (status, told["error"]) == (400, "unknown_version")


async def test_a_peer_that_cannot_run_it_and_one_that_is_away(control: Api, tmp_path: Path) -> None:
    async with node_in(tmp_path, "worker", QUICK) as worker:
        await pair(control, worker)
        assert (await control.post("/api/add_job?dry_run=1", json={"renderer": "noop"}))[0] == 200
    while any(node["state"] == "online" for node in (await control.get("/api/nodes"))[1]["nodes"]):
        await asyncio.sleep(0.05)
    status, told = await control.post("/api/add_job", json={"renderer": "noop"})
    assert (status, told["error"]) == (503, "engine_not_ready")
    assert "worker" in told["message"] and "does not answer" in told["message"]


NESTED: Any = {}
for _ in range(60):
    NESTED = {"x": NESTED}
LIES: Sequence[Any] = (
    {"start_frame": 1 << 40, "end_frame": 1 << 41},
    {"start_frame": 7, "end_frame": 3},
    {"start_frame": 7},
    {"start_frame": 1, "end_frame": 900_000},
    {"renderer": "other"},
    {"renderer": "x" * 1000},
    {"frame_step": 0},
    {"publishes": "never"},
    {"demand": {"gpu": "gpu:x"}},
    {"args": []},
    {"args": NESTED},
    {"project_file": "x" * 5000},
    {"padding": "x" * (5 << 20)},
    [],
    [{}, {}],
    "text",
)
"""What another node might say of a job: all of it, or what differs from a right answer."""


async def test_a_node_that_lies_about_a_job(control: Api, worker: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer is a clear one, and nothing is stored."""
    right = {"valid": True, "renderer": "noop", "args": {}, "start_frame": 1, "end_frame": 2, "nodes": []}
    original, answers = add_job._add, [[{**right, **lie}] if isinstance(lie, dict) else lie for lie in LIES]

    async def lying(request: Any, body: Any, upload: Any) -> Any:
        return json_response(answers[0]) if "dry_run" in request.query else await original(request, body, upload)

    monkeypatch.setattr(add_job, "_add", lying)
    while answers:
        asked = {"renderer": "noop", "start_frame": 1, "end_frame": 2}
        status, told = await control.post("/api/add_job", json=asked)
        assert (status, told["error"]) == (503, "engine_not_ready"), (answers[0], told)
        answers.pop(0)
    assert (await control.get("/api/jobs"))[1]["jobs"] == []


def test_what_older_nodes_say_is_enough() -> None:
    old = b'{"valid":true,"renderer":"noop","args":{},"start_frame":null,"end_frame":null,"nodes":[]}'
    assert msgspec.json.decode(old, type=DryRun).frame_step == 1


async def test_no_whole_file_is_held_in_memory(control: Api, worker: Api, tmp_path: Path) -> None:
    size = 192 << 20
    path = tmp_path / "big.frames"
    with path.open("wb") as file:
        file.write(b"1-1")
        file.truncate(size)
    process, most = psutil.Process(), 0
    before = process.memory_info().rss

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, process.memory_info().rss)
            await asyncio.sleep(0.02)

    watching = asyncio.create_task(watch())
    form = aiohttp.FormData()
    form.add_field("json", '{"renderer": "noop"}', content_type="application/json")
    form.add_field("file", path.open("rb"), filename=path.name)
    status, job = await control.post("/api/add_job", data=form)
    assert status == 200, job
    assert (await control.until(job["id"]))["status"] == "finished"
    watching.cancel()
    assert most - before < size // 2


@pytest.mark.parametrize(("movie", "first"), [(False, 2), (True, 1)], ids=["frames", "movie"])
async def test_of_what_ended_midway_only_the_rest_is_made(tmp_path: Path, movie: bool, first: int) -> None:
    """By a node that knows nothing of the engine, too; but a movie of the rest would lack the beginning."""
    base = config_for(tmp_path / "control", node={"name": "control"}, **QUICK)
    config = msgspec.structs.replace(base, plugins=PluginsConfig(own=False), engines={})
    async with running_node(config) as node, aiohttp.ClientSession() as session:
        control = Api(session, node.url)
        async with node_in(tmp_path, "worker", QUICK) as worker:
            await pair(control, worker)
            child = {"start_frame": 1, "end_frame": 3}
            body = {"renderer": "frames", "args": {"seconds": 0.5, "movie": movie}, "child_jobs": [child], **child}
            _, job = await control.post("/api/add_job", json=body)
            deadline = time.monotonic() + HANG
            while not (await control.get(f"/api/jobs/{job['id']}"))[1]["completed_frames"]:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.02)
            [share] = (await worker.get("/api/jobs"))[1]["jobs"]
            assert (await worker.post(f"/api/jobs/{share['id']}/cancel?confirm=1"))[0] == 200
            while not (
                again := [each for each in (await worker.get("/api/jobs"))[1]["jobs"] if each["id"] != share["id"]]
            ):
                assert time.monotonic() < deadline
                await asyncio.sleep(0.02)
            assert again[0]["start_frame"] == first
            job = await control.until(job["id"])
            assert (job["status"], job["completed_frames"]) == ("finished", 3), job
            if movie:
                path = f"/api/jobs/{job['children'][0]['id']}/download?filename=movie.txt"
                assert (await control.get(path))[1] == "frame 1frame 2frame 3"
