"""Diffusion with real pipelines, tiny and of random weights, over HTTP: what they make, and what may go wrong."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import shutil
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from tests.conftest import HANG, STUBS, Api, config_for
from zeus.api.app import Node, running_node
from zeus.marks import VARIABLE

LIMIT = 5 * HANG
TINY = {"width": 64, "height": 64, "num_frames": 9, "fps": 8.0, "num_inference_steps": 4}

pytestmark = pytest.mark.timeout(LIMIT)


@pytest.fixture
def models(made: Path, tmp_path: Path) -> Path:
    """The same in a folder of the test's own, to be spoiled."""
    shutil.copytree(made, tmp_path / "models")
    return tmp_path / "models"


Start = Callable[..., contextlib.AbstractAsyncContextManager[tuple[Node, Api]]]


@pytest.fixture
def start(models: Path, tmp_path: Path, session: aiohttp.ClientSession) -> Start:
    """Starts a node whose default model is the tiny LTX."""

    @contextlib.asynccontextmanager
    async def node(engine: str = "video", **generate: Any) -> AsyncIterator[tuple[Node, Api]]:
        folders = [str(STUBS / "plugins"), str(STUBS / "generators")]
        config = config_for(
            tmp_path,
            plugins={"folders": folders},
            generate={"engine": engine, **generate},
            engines={"noop": {}, engine: {"model": "ltx-2b"}},
            models={
                "ltx-2b": {"folder": str(models / "ltx"), **TINY, "max_size": 512},
                "wan-1b": {"folder": str(models / "wan"), **TINY},
            },
        )
        async with running_node(config) as running:
            yield running, Api(session, running.url)

    return node


async def ready(api: Api) -> list[str]:
    """Wait until the default model is ready or at fault; what model-status said on the way, and last."""
    said: list[str] = []
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        _, status = await api.get("/api/model-status")
        if not said or said[-1] != status["message"]:
            said.append(status["message"])
        if not status["building"]:
            return said
        assert not status["ready"]
        await asyncio.sleep(0.02)
    raise AssertionError(said)


async def send(api: Api, prompt: str = "a fox in snow", **fields: Any) -> str:
    status, accepted = await api.post("/api/generate", json={"prompt": prompt, **fields})
    assert status == 202, accepted
    return str(accepted["job_id"])


async def make(api: Api, **fields: Any) -> bytes:
    job = await api.until(await send(api, **fields))
    assert job["status"] == "finished", job["error"]
    async with api.session.get(f"{api.url}/files/{job['id']}/out.mp4") as got:
        return await got.read()


async def past(api: Api, job_id: str, percent: int) -> None:
    """Wait until a job is this far."""
    deadline = time.monotonic() + HANG
    while (job := (await api.get(f"/api/jobs/{job_id}"))[1])["percent_complete"] < percent:
        assert job["status"] in ("queued", "running") and time.monotonic() < deadline, job
        await asyncio.sleep(0.02)


def workers() -> list[int]:
    """The processes that hold models."""
    found = []
    for each in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            found += [each.pid] if "inference" in each.environ().get(VARIABLE, "") else []
    return found


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def test_a_prompt_becomes_a_video(start: Start, tmp_path: Path) -> None:
    async with start() as (node, api):
        status, error = await api.post("/api/generate", json={"prompt": "too early"})
        assert (status, error["error"]) == (503, "model_not_ready")
        said = await ready(api)
        assert said[-1] == "ltx-2b is ready" and any("loading ltx-2b: " in each for each in said)
        first = await make(api, seed=1)
        (tmp_path / "a.mp4").write_bytes(first)
        info = await node.zeus.media.verify(tmp_path / "a.mp4", frames=9, width=64, height=64, duration=9 / 8)
        video = info.first("video")
        assert video is not None and (video.codec, video.fps) == ("h264", 8.0)
        assert first.index(b"moov") < first.index(b"mdat")
        again, other, words = await make(api, seed=1), await make(api, seed=2), await make(api, seed=1, prompt="a sea")
        assert digest(first) == digest(again)
        assert len({digest(each) for each in (first, other, words)}) == 3


async def test_the_same_seed_gives_the_same_file_in_another_process(start: Start) -> None:
    async with start() as (_, api):
        await ready(api)
        first = await make(api, seed=7)
    async with start() as (_, api):
        await ready(api)
        assert digest(await make(api, seed=7)) == digest(first)


async def test_sizes_are_rounded_and_said(start: Start) -> None:
    async with start() as (_, api):
        await ready(api)
        job = await api.until(await send(api, width=100, height=50, num_frames=12))
        assert job["status"] == "finished", job["error"]
        asked = [job["args"][field] for field in ("width", "height", "num_frames")]
        assert (asked, job["completed_frames"], job["total_frames"]) == ([96, 64, 9], 9, 9)
        _, log = await api.get(f"/api/jobs/{job['id']}/logs")
        assert "rounded to multiples of 32" in log
        status, error = await api.post("/api/generate", json={"prompt": "x", "width": 1024})
        assert (status, error["error"]) == (400, "bad_input") and "width is 1024" in error["message"]


async def test_one_model_makes_room_for_another(start: Start) -> None:
    async with start() as (_, api):
        await ready(api)
        ltx = await make(api, seed=1)
        before = workers()
        wan = await make(api, seed=1, model="wan-1b", negative_prompt="blurry")
        assert digest(wan) not in (digest(ltx), digest(await make(api, seed=1, model="wan-1b")))
        assert digest(await make(api, seed=1)) == digest(ltx)
        assert workers() == before and len(before) == 1
        _, engine = await api.get("/api/engines/video?response_type=full")
        assert [each["version"] for each in engine["versions"]] == ["ltx-2b", "procedural", "wan-1b"]
        assert "zeus models pull wan-5b" in engine["system_info"]["wan-5b"]


async def test_progress_rises_and_a_cancel_is_heard_within_a_step(start: Start) -> None:
    async with start("faulty") as (_, api):
        await ready(api)
        before = workers()
        job_id = await send(api, "wait at step 20 of 40", num_inference_steps=40)
        seen = []
        for percent in (5, 20, 40):
            await past(api, job_id, percent)
            seen.append((await api.get(f"/api/jobs/{job_id}"))[1]["percent_complete"])
        assert seen == sorted(seen) and seen[-1] < 60
        begun = time.monotonic()
        status, job = await api.post(f"/api/jobs/{job_id}/cancel?confirm=1")
        assert (status, job["status"]) == (200, "cancelled") and time.monotonic() - begun < 10
        await make(api)
        assert workers() == before, "the model stays loaded"


async def test_a_cancel_while_frames_are_decoded(start: Start) -> None:
    async with start("faulty") as (_, api):
        await ready(api)
        before = workers()
        job_id = await send(api, "wait at decoding")
        await past(api, job_id, 85)
        status, job = await api.post(f"/api/jobs/{job_id}/cancel?confirm=1")
        assert (status, job["status"]) == (200, "cancelled")
        await make(api)
        assert workers() == before


async def test_a_worker_killed_while_it_loads(start: Start, models: Path) -> None:
    (models / "ltx.fault").write_text("kill 2")
    async with start("faulty") as (_, api):
        assert (await ready(api))[-1] == "ltx-2b is ready"
        assert (models / "ltx.fault").read_text() == "kill 0"
        await make(api)


async def test_a_worker_that_always_dies_while_it_loads(start: Start, models: Path) -> None:
    (models / "ltx.fault").write_text("kill 9")
    async with start("faulty") as (_, api):
        assert "crashed 3 times in a row" in (await ready(api))[-1]
        _, status = await api.get("/api/model-status")
        assert (status["ready"], status["building"]) == (False, False)
        status, error = await api.post("/api/generate", json={"prompt": "x"})
        assert (status, error["error"]) == (503, "model_not_ready") and "crashed" in error["message"]
        await make(api, model="procedural", width=64, height=64, num_frames=4)


@pytest.mark.parametrize("place", ["step 2 of 4", "decoding"])
async def test_a_worker_killed_at_work(start: Start, place: str) -> None:
    async with start("faulty") as (_, api):
        await ready(api)
        (before,) = workers()
        body = {"renderer": "faulty", "max_attempts": 1, "args": {"prompt": f"kill at {place}"}}
        _, job = await api.post("/api/add_job", json=body)
        job = await api.until(job["id"])
        assert (job["status"], job["error"]["code"]) == ("failed", "worker_died")
        assert (await ready(api))[-1] == "ltx-2b is ready"
        await make(api)
        assert workers() != [before]


async def test_three_crashes_at_work_are_a_fault(start: Start) -> None:
    async with start("faulty") as (_, api):
        await ready(api)
        job = await api.until(await send(api, "kill at step 2 of 4"))
        assert (job["status"], job["attempt"], job["error"]["code"]) == ("failed", 3, "worker_died")
        _, status = await api.get("/api/model-status")
        assert (status["ready"], status["building"]) == (False, False) and "3 times" in status["message"]


async def test_an_exception_in_the_pipeline(start: Start) -> None:
    async with start("faulty") as (_, api):
        await ready(api)
        before = workers()
        job = await api.until(await send(api, "raise at step 2 of 4"))
        assert (job["status"], job["attempt"]) == ("failed", 1)
        assert "ValueError: the numbers do not add up" in job["error"]["message"]
        await make(api)
        assert workers() == before


async def test_too_little_memory_once(start: Start) -> None:
    async with start("faulty") as (_, api):
        await ready(api)
        job = await api.until(await send(api, "lack at step 2 of 4", seed=1))
        assert (job["status"], job["attempt"]) == ("finished", 1), job["error"]
        _, log = await api.get(f"/api/jobs/{job['id']}/logs")
        assert "too little memory: once more with tiled" in log


@pytest.mark.parametrize("place", ["step 1 of 4", "decoding"])
async def test_too_little_memory_whatever_is_done(start: Start, place: str) -> None:
    async with start("faulty") as (_, api):
        await ready(api)
        job = await api.until(await send(api, f"starve at {place}"))
        assert (job["status"], job["attempt"]) == ("failed", 1)
        assert job["error"]["code"] == "gpu_out_of_memory"
        assert "about 12 GiB" in job["error"]["message"] and "are free" in job["error"]["message"]
        await make(api)


async def test_too_little_memory_to_load(start: Start, models: Path) -> None:
    (models / "ltx.fault").write_text("lack 1")
    async with start("faulty") as (_, api):
        assert (await ready(api))[-1] == "ltx-2b is ready"
        await make(api)


async def test_never_enough_memory_to_load(start: Start, models: Path) -> None:
    (models / "ltx.fault").write_text("starve 1")
    async with start("faulty") as (_, api):
        said = (await ready(api))[-1]
        assert "does not fit" in said and "about 12 GiB" in said and "are free" in said
        await make(api, model="wan-1b")


async def test_a_model_leaves_memory_when_it_is_not_used(start: Start) -> None:
    async with start(unload_after=1.0) as (_, api):
        await ready(api)
        deadline = time.monotonic() + HANG
        while workers():
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
        _, status = await api.get("/api/model-status")
        assert status["ready"]
        await make(api)


def pickled(folder: Path) -> str:
    (folder / "vae/pytorch_model.bin").write_bytes(b"\x80\x04.")
    return "vae/pytorch_model.bin is a pickle"


def cut(folder: Path) -> str:
    path = folder / "transformer/diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    return "is cut off: 100 bytes are missing"


def unknown(folder: Path) -> str:
    path = folder / "model_index.json"
    path.write_text(path.read_text().replace("LTXPipeline", "NoSuchPipeline"))
    return "diffusers has no pipeline NoSuchPipeline"


def mixed(folder: Path) -> str:
    """The decoder of another model."""
    shutil.copy(folder.parent / "wan/vae/diffusion_pytorch_model.safetensors", folder / "vae")
    return "cannot be loaded"


def empty(folder: Path) -> str:
    (folder / "transformer/diffusion_pytorch_model.safetensors").unlink()
    return "cannot be loaded"


@pytest.mark.parametrize("spoil", [pickled, cut, unknown, mixed, empty])
async def test_a_folder_that_is_refused(start: Start, models: Path, spoil: Callable[[Path], str]) -> None:
    reason = spoil(models / "ltx")
    async with start() as (_, api):
        said = (await ready(api))[-1]
        assert reason in said and str(models) not in said
        status, error = await api.post("/api/generate", json={"prompt": "x"})
        assert (status, error["error"]) == (503, "model_not_ready") and reason in error["message"]
        await make(api, model="wan-1b")
