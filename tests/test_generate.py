"""The generate API over the real video engine, its worker and its encoder; and models that are slow, broken or die."""

from __future__ import annotations

import asyncio
import hashlib
import time
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from tests.conftest import HANG, Api, config_for
from zeus.api.app import Node, running_node
from zeus.marks import VARIABLE

SMALL = {"width": 64, "height": 36, "num_frames": 8, "fps": 8}


async def test_a_prompt_becomes_a_video(node: Node, api: Api, tmp_path: Path) -> None:
    assert await api.get("/api/model-status") == (
        200,
        {"ready": True, "building": False, "message": "procedural is ready"},
    )
    status, accepted = await api.post("/api/generate", json={"prompt": "a red fox", "seed": 1, **SMALL})
    assert status == 202
    job_id = accepted.pop("job_id")
    assert accepted == {"status": "queued", "percent_complete": 0, "handled_by": "test-node"}
    assert (await api.get(f"/files/{job_id}/out.mp4"))[0] in (200, 404)
    job = await api.until(job_id)
    assert (job["status"], job["completed_frames"], job["total_frames"], job["name"]) == ("finished", 8, 8, "a red fox")
    async with api.session.get(f"{api.url}/files/{job_id}/out.mp4") as got:
        assert (got.status, got.content_type) == (200, "video/mp4")
        assert got.headers["Content-Disposition"].startswith("inline")
        path = tmp_path / "got.mp4"
        path.write_bytes(await got.read())
        etag = got.headers["ETag"]
    info = await node.zeus.media.verify(path, frames=8, duration=1.0)
    video = info.first("video")
    assert video is not None
    assert (video.codec, video.width, video.height, video.fps, video.pixel_format) == ("h264", 64, 36, 8.0, "yuv420p")
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat"), "it must play while it downloads"
    url = f"{api.url}/files/{job_id}/out.mp4"
    async with api.session.get(url, headers={"Range": "bytes=0-3"}) as got:
        assert (got.status, await got.read()) == (206, data[:4])
    async with api.session.get(url, headers={"If-None-Match": etag}) as got:
        assert got.status == 304
    async with api.session.head(url) as got:
        assert (got.status, got.headers["Content-Length"]) == (200, str(len(data)))
    _, log = await api.get(f"/api/jobs/{job_id}/logs")
    assert "procedural" in log and "no download" in log


async def make(api: Api, **fields: Any) -> str:
    status, accepted = await api.post("/api/generate", json={"prompt": "a fox", **SMALL, **fields})
    assert status == 202, accepted
    job = await api.until(accepted["job_id"])
    assert job["status"] == "finished", job["error"]
    async with api.session.get(f"{api.url}/files/{job['id']}/out.mp4") as got:
        return hashlib.sha256(await got.read()).hexdigest()


async def test_the_same_seed_gives_the_same_file(api: Api) -> None:
    first, again, other = await make(api, seed=5), await make(api, seed=5), await make(api, seed=6)
    assert first == again != other


async def test_cancel_is_heard_within_a_frame(api: Api) -> None:
    fields = {"prompt": "a long film", "width": 512, "height": 288, "num_frames": 20_000}
    _, accepted = await api.post("/api/generate", json=fields)
    job_id = accepted["job_id"]
    while (await api.get(f"/api/jobs/{job_id}"))[1]["completed_frames"] == 0:
        await asyncio.sleep(0.05)
    start = time.monotonic()
    status, job = await api.post(f"/api/jobs/{job_id}/cancel?confirm=1")
    assert (status, job["status"]) == (200, "cancelled")
    assert time.monotonic() - start < 10
    await make(api)


async def test_a_killed_worker_costs_one_attempt(node: Node, api: Api) -> None:
    fields = {"prompt": "a film", "width": 256, "height": 144, "num_frames": 200}
    _, accepted = await api.post("/api/generate", json=fields)
    job_id = accepted["job_id"]
    while (await api.get(f"/api/jobs/{job_id}"))[1]["completed_frames"] == 0:
        await asyncio.sleep(0.05)
    (worker,) = [each for each in psutil.Process().children() if "inference" in each.environ().get(VARIABLE, "")]
    worker.kill()
    job = await api.until(job_id)
    assert (job["status"], job["attempt"]) == ("finished", 2)


async def running(tmp_path: Path, model: str) -> Any:
    config = config_for(
        tmp_path, generate={"engine": "stubvideo"}, engines={"noop": {"slots": 8}, "stubvideo": {"model": model}}
    )
    return running_node(config)


async def status_until(api: Api, ready: bool, building: bool) -> tuple[list[str], str]:
    """Poll model-status until it says this; the messages on the way, and the last one."""
    messages, deadline = [], time.monotonic() + HANG
    while time.monotonic() < deadline:
        _, status = await api.get("/api/model-status")
        if (status["ready"], status["building"]) == (ready, building):
            return messages, status["message"]
        messages.append(status["message"])
        await asyncio.sleep(0.02)
    raise AssertionError(messages[-1])


async def test_a_model_that_loads_slowly(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    async with await running(tmp_path, "slow") as node:
        api = Api(session, node.url)
        await status_until(api, False, True)
        async with session.post(f"{api.url}/api/generate", json={"prompt": "x"}) as got:
            assert (got.status, (await got.json())["error"]) == (503, "model_not_ready")
            assert int(got.headers["Retry-After"]) > 0
        messages, last = await status_until(api, True, False)
        assert any("reading weights" in message and "%" in message for message in messages) and last == "slow is ready"
        await make(api)


@pytest.mark.parametrize(("model", "reason"), [("broken", "no weights"), ("dying", "3 times")])
async def test_a_model_that_cannot_be_loaded(
    tmp_path: Path, session: aiohttp.ClientSession, model: str, reason: str
) -> None:
    async with await running(tmp_path, model) as node:
        api = Api(session, node.url)
        _, message = await status_until(api, False, False)
        assert reason in message
        status, error = await api.post("/api/generate", json={"prompt": "x"})
        assert (status, error["error"]) == (503, "model_not_ready") and reason in error["message"]


async def test_a_model_that_dies_at_work(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    async with await running(tmp_path, "quick") as node:
        api = Api(session, node.url)
        await status_until(api, True, False)
        await make(api)
        _, accepted = await api.post("/api/generate", json={"prompt": "die"})
        job = await api.until(accepted["job_id"])
        assert (job["status"], job["error"]["code"]) == ("failed", "worker_died")
        _, message = await status_until(api, False, False)
        assert "3 times" in message


async def test_shutdown_does_not_wait_for_a_load(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    async with await running(tmp_path, "slow") as node:
        await status_until(Api(session, node.url), False, True)
        start = time.monotonic()
    assert time.monotonic() - start < 8


async def test_a_generation_engine_that_is_none(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    for engine in ("noop", "nothing"):
        async with running_node(config_for(tmp_path, generate={"engine": engine})) as node:
            api = Api(session, node.url)
            _, status = await api.get("/api/model-status")
            assert (status["ready"], status["building"]) == (False, False) and engine in status["message"]
            assert (await api.post("/api/generate", json={"prompt": "x"}))[0] == 503


async def test_upload_then_transcode_then_download(node: Node, api: Api, tmp_path: Path) -> None:
    """Both engines in one way: the video that was made goes up again and comes back in another codec."""
    await make(api, seed=1)
    _, listed = await api.get("/api/jobs")
    async with api.session.get(f"{api.url}/files/{listed['jobs'][0]['id']}/out.mp4") as got:
        data = await got.read()
    form = aiohttp.FormData(quote_fields=False)
    form.add_field("file", data, filename="Clip One.mp4")
    form.add_field("json", '{"args": {"video_codec": "vp9", "width": 32}}')
    status, job = await api.post("/api/add_job", data=form)
    assert (status, job["renderer"], job["name"]) == (200, "ffmpeg", "Clip One.mp4")
    job = await api.until(job["id"])
    assert job["status"] == "finished", job["error"]
    _, names = await api.get(f"/api/jobs/{job['id']}/files")
    assert names == ["Clip One.webm"]
    async with api.session.get(f"{api.url}/api/jobs/{job['id']}/download?filename=CLIP%20ONE.WEBM") as got:
        assert got.status == 200 and got.headers["Content-Disposition"].startswith("attachment")
        (tmp_path / "a.webm").write_bytes(await got.read())
    video = (await node.zeus.media.verify(tmp_path / "a.webm", frames=8)).first("video")
    assert video is not None and (video.codec, video.width, video.height) == ("vp9", 32, 18)
    _, log = await api.get(f"/api/jobs/{job['id']}/logs")
    assert "ffmpeg" in log and "out_time" not in log


async def test_a_text_called_video_is_refused_by_the_job(api: Api) -> None:
    form = aiohttp.FormData()
    form.add_field("json", "{}")
    form.add_field("file", b"no video at all", filename="a.mp4")
    _, job = await api.post("/api/add_job", data=form)
    job = await api.until(job["id"])
    assert (job["status"], job["attempt"]) == ("failed", 1)
    assert "a.mp4" in job["error"]["message"] and "/" not in job["error"]["message"]
