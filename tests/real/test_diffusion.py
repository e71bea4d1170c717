"""Diffusion with real pipelines, tiny and of random weights, over HTTP: what they make, and what may go wrong.

A worker that has torch takes seconds to start, so most tests share one node, with a model for each way to be wrong.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import importlib
import io
import json
import shutil
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import psutil
import pytest
import pytest_asyncio
from PIL import Image

from tests.conftest import HANG, STUBS, Api, config_for
from zeus.api.app import running_node
from zeus.engine import ModelSettings
from zeus.errors import TaskFailed
from zeus.marks import VARIABLE

LIMIT = 5 * HANG
TINY = {"width": 64, "height": 64, "num_frames": 9, "fps": 8.0, "num_inference_steps": 4}
SIZE = "sizes are rounded to multiples of 32"

OTHERS: set[int] = set()

pytestmark = [pytest.mark.timeout(LIMIT), pytest.mark.asyncio(loop_scope="module")]


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


def nothing(folder: Path) -> str:
    (folder / "model_index.json").unlink()
    return "is no folder with a model_index.json"


def drop(path: Path, word: str) -> None:
    """Take the tensors of this name out of a file, which is whole and sound without them."""
    safetensors = importlib.import_module("safetensors.numpy")
    tensors = safetensors.load_file(path)
    kept = {name: each for name, each in tensors.items() if word not in name}
    assert len(kept) < len(tensors)
    safetensors.save_file(kept, path, metadata={"format": "pt"})


def speechless(folder: Path) -> str:
    """A text encoder without its second half, which transformers would fill up at random."""
    drop(folder / "text_encoder/model.safetensors", "DenseReluDense")
    return "the weights of text_encoder are not this model's: no encoder.block.0.layer.1.DenseReluDense"


def thin(folder: Path) -> str:
    drop(folder / "transformer/diffusion_pytorch_model.safetensors", "proj_out")
    return "the weights of transformer are not this model's: no proj_out"


SPOILED: Mapping[str, Callable[[Path], str]] = {
    each.__name__: each for each in (pickled, cut, unknown, mixed, empty, nothing, speechless, thin)
}
FAULTS = {"once": "kill 1", "short": "lack 1", "starved": "starve 1", "frail": ""}
"""Copies of the tiny LTX that go wrong when they are loaded, see tests/stubs/generators/faulty, or may be crashed."""
LTX = {
    "pipeline": "auto",
    "image_pipeline": "LTXImageToVideoPipeline",
    "arguments": {},
    "memory": 12.0,
    "max_size": 512,
}


@pytest.fixture(scope="module")
def models(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models of tiny_models.py, and spoiled ones."""
    OTHERS.update(workers())
    folder = shutil.copytree(made, tmp_path_factory.mktemp("spoiled") / "models")
    for name in (*SPOILED, *FAULTS):
        shutil.copytree(folder / "ltx", folder / name)
    for name, fault in FAULTS.items():
        if fault:
            (folder / f"{name}.fault").write_text(fault)
    return folder


@contextlib.asynccontextmanager
async def started(models: Path, storage: Path, default: str = "ltx-2b", **generate: Any) -> AsyncIterator[Api]:
    """A node whose generation engine is the faulty one; it does nothing wrong unless it is told to."""
    folder = {
        "ltx-2b": "ltx",
        "wan-1b": "wan",
        "wan-5b": "wan-ti2v",
        "wan-14b": "wan-two",
        "cogvideox-5b-image": "cogvideox",
    }
    config = config_for(
        storage,
        plugins={"folders": [str(STUBS / "plugins"), str(STUBS / "generators")]},
        generate={"engine": "faulty", **generate},
        engines={"noop": {}, "faulty": {"model": default}},
        models={
            **{name: {"folder": str(models / folder[name]), **TINY, "max_pixels": 1 << 18} for name in folder},
            "condition": {"folder": str(models / "ltx-condition"), **TINY, "image_pipeline": "auto",
                          "arguments": {"timesteps": [1000, 900, 500]}},
            **{name: {"folder": str(models / name), **TINY} for name in (*SPOILED, *FAULTS)},
        },
    )  # fmt: skip
    config.models["ltx-2b"] = msgspec.convert({"folder": str(models / "ltx"), **TINY, **LTX}, ModelSettings)
    async with running_node(config) as node, aiohttp.ClientSession() as session:
        yield Api(session, node.url)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(models: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    async with started(models, tmp_path_factory.mktemp("node")) as made:
        said = await ready(made)
        assert said[-1] == "ltx-2b is ready" and any("loading ltx-2b: " in each for each in said)
        yield made


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
    deadline = time.monotonic() + LIMIT
    while (job := (await api.get(f"/api/jobs/{job_id}"))[1])["percent_complete"] < percent:
        assert job["status"] in ("queued", "running") and time.monotonic() < deadline, job
        await asyncio.sleep(0.02)


def workers() -> list[int]:
    """The processes that hold models, but for those of nodes that other tests have left running."""
    found = []
    for each in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            found += [each.pid] if "inference" in each.environ().get(VARIABLE, "") else []
    return [pid for pid in found if pid not in OTHERS]


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def cancel(api: Api, job_id: str) -> float:
    """Cancel a job; the seconds that it took."""
    begun = time.monotonic()
    status, job = await api.post(f"/api/jobs/{job_id}/cancel?confirm=1")
    assert (status, job["status"]) == (200, "cancelled")
    return time.monotonic() - begun


def picture(colour: str) -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (90, 60), colour).save(made, "PNG")
    return made.getvalue()


async def upload(api: Api, data: bytes, name: str = "first.png") -> str:
    status, view = await api.post("/api/uploads", json={"name": name, "size": len(data)})
    assert status == 201, view
    await api.request("PATCH", f"/api/uploads/{view['id']}", data=data, headers={"Upload-Offset": "0"})
    return str(view["id"])


async def video(api: Api, job_id: str) -> bytes:
    job = await api.until(job_id)
    assert job["status"] == "finished", job["error"]
    async with api.session.get(f"{api.url}/files/{job_id}/out.mp4") as got:
        return await got.read()


async def test_a_prompt_becomes_a_video(api: Api, models: Path) -> None:
    first = await make(api, seed=1)
    assert first.index(b"moov") < first.index(b"mdat")
    again, other, words = await make(api, seed=1), await make(api, seed=2), await make(api, seed=1, prompt="a sea")
    assert digest(first) == digest(again)
    assert len({digest(each) for each in (first, other, words)}) == 3


async def test_sizes_are_rounded_and_said(api: Api) -> None:
    job = await api.until(await send(api, width=100, height=50, num_frames=12))
    assert job["status"] == "finished", job["error"]
    asked = [job["args"][field] for field in ("width", "height", "num_frames")]
    assert (asked, job["completed_frames"], job["total_frames"]) == ([96, 64, 9], 9, 9)
    _, log = await api.get(f"/api/jobs/{job['id']}/logs")
    assert SIZE in log
    status, error = await api.post("/api/generate", json={"prompt": "x", "width": 1024})
    assert (status, error["error"]) == (400, "bad_input") and "width is 1024" in error["message"]


async def test_one_model_makes_room_for_another(api: Api) -> None:
    ltx = await make(api, seed=1)
    before = workers()
    wan = await make(api, seed=1, model="wan-1b", negative_prompt="blurry")
    assert digest(wan) not in (digest(ltx), digest(await make(api, seed=1, model="wan-1b")))
    assert digest(await make(api, seed=1)) == digest(ltx)
    assert workers() == before and len(before) == 1
    _, engine = await api.get("/api/engines/faulty?response_type=full")
    assert {"ltx-2b", "procedural", "wan-1b"} < {each["version"] for each in engine["versions"]}
    assert "zeus models pull cogvideox-2b" in engine["system_info"]["cogvideox-2b"]


async def test_two_transformers_take_turns(api: Api) -> None:
    assert digest(await make(api, seed=1, model="wan-14b")) != digest(await make(api, seed=1, model="wan-1b"))


async def test_fixed_timesteps_are_the_steps(api: Api) -> None:
    job_id = await send(api, "wait at step 2 of 3", model="condition")
    await past(api, job_id, 50)
    await cancel(api, job_id)
    status, error = await api.post(
        "/api/generate", json={"prompt": "x", "model": "condition", "num_inference_steps": 4}
    )
    assert (status, error["error"]) == (400, "unsupported_field") and '"condition"' in error["message"]


@pytest.mark.parametrize("model", ["ltx-2b", "condition", "wan-5b", "cogvideox-5b-image"])
async def test_a_video_begins_with_a_picture(api: Api, model: str) -> None:
    red, blue = await upload(api, picture("red")), await upload(api, picture("blue"))
    made = [await make(api, model=model, seed=1, image=each) for each in (red, red, blue)]
    assert digest(made[0]) == digest(made[1]) != digest(made[2])
    if model != "cogvideox-5b-image":
        assert digest(await make(api, model=model, seed=1)) not in map(digest, made)


async def test_a_picture_may_be_sent_by_each_door(api: Api) -> None:
    red = picture("red")
    wanted = digest(await make(api, seed=1, image=await upload(api, red)))
    form = aiohttp.FormData(quote_fields=False)
    form.add_field("json", json.dumps({"renderer": "faulty", "args": {"prompt": "a fox in snow", "seed": 1}}))
    form.add_field("file", red, filename="red one.png")
    status, job = await api.post("/api/add_job", data=form)
    assert (status, job["args"]["image"], job["name"]) == (200, "red one.png", "a fox in snow"), job
    assert digest(await video(api, job["id"])) == wanted
    form = aiohttp.FormData({"prompt": "a fox in snow"})
    form.add_field("input_reference", red, filename="red.png")
    status, made = await api.post("/v1/videos", data=form)
    assert status == 200, made
    await video(api, made["id"])


async def test_a_model_that_takes_no_picture_or_needs_one(api: Api) -> None:
    body = {"prompt": "x", "model": "wan-1b", "image": await upload(api, picture("red"))}
    status, error = await api.post("/api/generate", json=body)
    assert (status, error["error"]) == (400, "unsupported_field") and '"wan-1b" does not use image' in error["message"]
    status, error = await api.post("/api/generate", json={"prompt": "x", "model": "cogvideox-5b-image"})
    assert (status, error["error"]) == (400, "missing_image") and "cogvideox-5b-image" in error["message"]


@pytest.mark.parametrize("model", ["ltx-2b", "wan-1b"])
async def test_a_thumbnail_shows_a_video_on_its_way(api: Api, model: str) -> None:
    job_id = await send(api, "wait at step 2 of 4", model=model, width=96, height=64)
    await past(api, job_id, 40)
    async with api.session.get(f"{api.url}/api/jobs/{job_id}/thumbnail") as got:
        assert (got.status, got.content_type) == (200, "image/jpeg")
        shown = Image.open(io.BytesIO(await got.read()))
    assert shown.size == (96, 64) and len(shown.getcolors(1 << 16) or ()) > 10
    await cancel(api, job_id)
    _, files = await api.get(f"/api/jobs/{job_id}/files")
    assert "preview.jpg" not in json.dumps(files)


async def test_progress_rises_and_a_cancel_is_heard_within_a_step(api: Api) -> None:
    before = workers()
    job_id = await send(api, "wait at step 20 of 40", num_inference_steps=40)
    seen = []
    for percent in (5, 20, 40):
        await past(api, job_id, percent)
        seen.append((await api.get(f"/api/jobs/{job_id}"))[1]["percent_complete"])
    assert seen == sorted(seen) and seen[-1] < 60
    assert await cancel(api, job_id) < 10, "the aim is 2 seconds"
    await make(api)
    assert workers() == before, "the model stays loaded"


async def test_a_cancel_while_frames_are_decoded(api: Api) -> None:
    before = workers()
    job_id = await send(api, "wait at decoding")
    await past(api, job_id, 85)
    assert await cancel(api, job_id) < 10
    await make(api)
    assert workers() == before


async def test_a_pipeline_that_is_deaf_to_a_cancel_is_ended(api: Api) -> None:
    before = workers()
    job_id = await send(api, "deaf at step 2 of 4")
    await past(api, job_id, 40)
    assert 5 < await cancel(api, job_id) < HANG, "it had its grace"
    await make(api)
    assert not {*before} & {*workers()}


async def test_a_worker_killed_while_it_loads(api: Api, models: Path) -> None:
    await make(api, model="once")
    assert (models / "once.fault").read_text() == "kill 0"


@pytest.mark.parametrize("place", ["step 2 of 4", "decoding"])
async def test_a_worker_killed_at_work(api: Api, place: str) -> None:
    await make(api)
    (before,) = workers()
    body = {"renderer": "faulty", "max_attempts": 1, "args": {"prompt": f"kill at {place}"}}
    _, job = await api.post("/api/add_job", json=body)
    job = await api.until(job["id"])
    assert (job["status"], job["error"]["code"]) == ("failed", "worker_died")
    assert (await ready(api))[-1] == "ltx-2b is ready"
    await make(api)
    assert workers() != [before]


async def test_three_crashes_at_work_are_a_fault(api: Api) -> None:
    job = await api.until(await send(api, "kill at step 2 of 4", model="frail"))
    assert (job["status"], job["attempt"], job["error"]["code"]) == ("failed", 3, "worker_died")
    status, error = await api.post("/api/generate", json={"prompt": "x", "model": "frail"})
    assert (status, error["error"]) == (503, "model_not_ready") and "crashed 3 times in a row" in error["message"]
    await make(api)


async def test_an_exception_in_the_pipeline(api: Api) -> None:
    await make(api)
    before = workers()
    job = await api.until(await send(api, "raise at step 2 of 4"))
    assert (job["status"], job["attempt"]) == ("failed", 1)
    assert "ValueError: the numbers do not add up" in job["error"]["message"]
    await make(api)
    assert workers() == before


async def test_a_fault_of_the_device_ends_its_worker(api: Api) -> None:
    await make(api)
    before = workers()
    body = {"renderer": "faulty", "max_attempts": 1, "args": {"prompt": "fault at step 2 of 4"}}
    _, job = await api.post("/api/add_job", json=body)
    job = await api.until(job["id"])
    assert (job["status"], job["error"]["code"]) == ("failed", "device_fault")
    assert "illegal memory access" in job["error"]["message"]
    assert (await ready(api))[-1] == "ltx-2b is ready"
    await make(api)
    assert not {*before} & {*workers()}


async def test_too_little_memory_once(api: Api) -> None:
    job = await api.until(await send(api, "lack at step 2 of 4", seed=1))
    assert (job["status"], job["attempt"]) == ("finished", 1), job["error"]
    _, log = await api.get(f"/api/jobs/{job['id']}/logs")
    assert "too little memory: once more with tiled" in log


@pytest.mark.parametrize("place", ["step 1 of 4", "decoding"])
async def test_too_little_memory_whatever_is_done(api: Api, place: str) -> None:
    job = await api.until(await send(api, f"starve at {place}"))
    assert (job["status"], job["attempt"]) == ("failed", 1)
    assert job["error"]["code"] == "gpu_out_of_memory"
    assert "about 12 GiB" in job["error"]["message"] and "are free" in job["error"]["message"]
    await make(api)


async def test_too_little_memory_to_load(api: Api) -> None:
    await make(api, model="short")


async def test_never_enough_memory_to_load(api: Api) -> None:
    job = await api.until(await send(api, model="starved"))
    assert (job["status"], job["error"]["code"]) == ("failed", "model_fault")
    assert "does not fit" in job["error"]["message"] and "are free" in job["error"]["message"]
    await make(api)


@pytest.mark.parametrize("name", SPOILED)
async def test_a_folder_that_is_refused(api: Api, models: Path, name: str) -> None:
    reason = SPOILED[name](models / name)
    job = await api.until(await send(api, model=name))
    assert (job["status"], job["attempt"], job["error"]["code"]) == ("failed", 1, "model_fault")
    assert reason in job["error"]["message"] and str(models) not in job["error"]["message"]
    status, error = await api.post("/api/generate", json={"prompt": "x", "model": name})
    assert (status, error["error"]) == (503, "model_not_ready") and reason in error["message"]


async def test_a_default_model_that_is_refused(models: Path, tmp_path: Path) -> None:
    (models / "frail" / "model_index.json").unlink(missing_ok=True)
    async with started(models, tmp_path, "frail") as api:
        assert "is no folder with a model_index.json" in (await ready(api))[-1]
        status, error = await api.post("/api/generate", json={"prompt": "x"})
        assert (status, error["error"]) == (503, "model_not_ready") and "model_index.json" in error["message"]
        await make(api, model="procedural", width=64, height=64, num_frames=4)


async def test_an_unused_model_leaves_memory_and_makes_the_same_again(models: Path, tmp_path: Path) -> None:
    others = {*workers()}
    async with started(models, tmp_path, unload_after=1.0) as api:
        status, error = await api.post("/api/generate", json={"prompt": "too early"})
        assert (status, error["error"]) == (503, "model_not_ready")
        await ready(api)
        first = await make(api, seed=7)
        mine = {*workers()} - others
        deadline = time.monotonic() + HANG
        while mine & {*workers()}:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
        _, status = await api.get("/api/model-status")
        assert status["ready"]
        assert digest(await make(api, seed=7)) == digest(first), "by another process"


async def test_a_model_for_a_certain_gpu_runs_on_the_only_one_that_its_process_sees(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from zeus_plugins.video.diffusion.pipelines import Weights, device_of

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    weights = Weights("ltx", str(made), device="cuda:3")
    assert device_of(weights) == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(TaskFailed, match="cuda:3, which is not there"):
        device_of(weights)
