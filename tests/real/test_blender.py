"""The Blender engine with the real Blender, over HTTP: scenes made here, compared with frames rendered by hand."""

from __future__ import annotations

import asyncio
import io
import json
import os
import shutil
import signal
import time
import zipfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import av
import msgspec
import numpy as np
import OpenEXR
import psutil
import pytest

from tests.conftest import Api, NodeProcess, config_for
from tests.real.scenes import LIMIT, blender
from zeus.api.app import running_node
from zeus.child import GRACE

FORMATS = {"PNG": "png", "JPEG": "jpg", "TIFF": "tif", "OPEN_EXR": "exr", "OPEN_EXR_MULTILAYER": "exr"}

pytestmark = pytest.mark.timeout(LIMIT)


@pytest.fixture
async def api(tmp_path: Path, session: aiohttp.ClientSession, scenes: Path) -> AsyncIterator[Api]:
    config = config_for(tmp_path, files={"local_roots": [str(scenes), str(tmp_path)]})
    async with running_node(config) as node:
        yield Api(session, node.url)


async def send(api: Api, path: Path, args: dict[str, Any] | None = None, **fields: Any) -> tuple[int, Any]:
    form = aiohttp.FormData()
    form.add_field("json", json.dumps({"args": args or {}, **fields}))
    form.add_field("file", io.BytesIO(await asyncio.to_thread(path.read_bytes)), filename=path.name)
    return await api.post("/api/add_job", data=form)


async def finished(api: Api, path: Path, args: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    status, job = await send(api, path, args, **fields)
    assert status == 200, job
    job = await ended(api, job["id"])
    assert job["status"] == "finished", (job, (await api.get(f"/api/jobs/{job['id']}/logs"))[1])
    return job


async def ended(api: Api, job_id: str) -> dict[str, Any]:
    """Wait for a job for as long as frames take on a busy machine."""
    deadline = time.monotonic() + LIMIT
    while True:
        try:
            return await api.until(job_id)
        except AssertionError:
            if time.monotonic() > deadline:
                raise


async def refused(api: Api, path: Path, args: dict[str, Any] | None = None, **fields: Any) -> tuple[str, str]:
    status, body = await send(api, path, args, **fields)
    assert status == 400, body
    return body["error"], body["message"]


async def names(api: Api, job: dict[str, Any]) -> list[str]:
    return list((await api.get(f"/api/jobs/{job['id']}/files"))[1])


async def fetch(api: Api, job: dict[str, Any], name: str, folder: Path) -> Path:
    url = f"{api.url}/api/jobs/{job['id']}/download"
    async with api.session.get(url, params={"filename": name}) as response:
        assert response.status == 200
        (folder / name).write_bytes(await response.read())
    return folder / name


def pictures(path: Path) -> list[np.ndarray[Any, Any]]:
    with av.open(str(path)) as container:
        formats = {"yuvj420p": "rgb24", "yuvj444p": "rgb24"}
        return [frame.to_ndarray(format=formats.get(frame.format.name)) for frame in container.decode(video=0)]


def by_hand(scene: Path, folder: Path, format_name: str, frames: str, *more: str) -> None:
    """What the same Blender renders without Zeus."""
    start, _, end = frames.partition("..")
    output = ["-o", f"{folder}/hand_####", "-F", format_name, "-x", "1", "-s", start, "-e", end]
    blender("-Y", str(scene), *output, *more, "-a")


@pytest.mark.parametrize("name", ["PNG", "JPEG", "TIFF", "OPEN_EXR"])
async def test_every_frame_is_what_blender_renders_by_hand(api: Api, scenes: Path, tmp_path: Path, name: str) -> None:
    job = await finished(api, scenes / "cube.blend", {"export_format": name})
    ending = FORMATS[name]
    assert await names(api, job) == [f"cube_000{number}.{ending}" for number in (1, 2, 3)]
    assert (job["total_frames"], job["completed_frames"], job["percent_complete"]) == (3, 3, 100)
    by_hand(scenes / "cube.blend", tmp_path, name, "1..3")
    seen = []
    for number in (1, 2, 3):
        (ours,) = pictures(await fetch(api, job, f"cube_000{number}.{ending}", tmp_path))
        (hand,) = pictures(tmp_path / f"hand_000{number}.{ending}")
        assert ours.shape[:2] == (64, 64) and np.array_equal(ours, hand)
        seen.append(ours)
    assert not np.array_equal(seen[0], seen[2]), "the cube moves"


async def test_multilayer_exr(api: Api, scenes: Path, tmp_path: Path) -> None:
    job = await finished(
        api, scenes / "cube.blend", {"export_format": "OPEN_EXR_MULTILAYER"}, start_frame=2, end_frame=2
    )
    assert await names(api, job) == ["cube_0002.exr"]
    ours = await fetch(api, job, "cube_0002.exr", tmp_path)
    by_hand(scenes / "cube.blend", tmp_path, "OPEN_EXR_MULTILAYER", "2..2")
    parts = [OpenEXR.File(str(path), separate_channels=True).parts for path in (ours, tmp_path / "hand_0002.exr")]
    for mine, theirs in zip(*parts, strict=True):
        assert mine.channels.keys() == theirs.channels.keys() and len(mine.channels) > 4
        for name, channel in mine.channels.items():
            assert np.array_equal(channel.pixels, theirs.channels[name].pixels), name


@pytest.mark.parametrize("container", ["mp4", "mov", "webm"])
async def test_a_movie_of_the_frames(api: Api, scenes: Path, tmp_path: Path, container: str) -> None:
    job = await finished(api, scenes / "cube.blend", {"export_format": container})
    assert await names(api, job) == [f"cube.{container}", *(f"cube_000{number}.png" for number in (1, 2, 3))]
    path = await fetch(api, job, f"cube.{container}", tmp_path)
    with av.open(str(path)) as movie:
        assert movie.streams.video[0].average_rate == 24
        decoded = [frame.to_ndarray(format="rgb24").astype(int) for frame in movie.decode(video=0)]
    assert len(decoded) == 3
    for number, frame in enumerate(decoded, 1):
        (still,) = pictures(await fetch(api, job, f"cube_000{number}.png", tmp_path))
        assert np.abs(frame - still[:, :, :3]).mean() < 8


async def test_a_scene_that_makes_movies_gives_frames_and_a_movie(api: Api, scenes: Path) -> None:
    job = await finished(api, scenes / "movie.blend", start_frame=1, end_frame=2)
    assert await names(api, job) == ["movie.mov", "movie_0001.png", "movie_0002.png"]


async def test_the_arguments_reach_the_scene(api: Api, scenes: Path, tmp_path: Path) -> None:
    args = {
        "scene": "Main", "camera": "Camera", "engine": "CYCLES", "samples": 2, "resolution": [48, 20],
        "resolution_percentage": 50, "export_format": "PNG", "device": "CPU", "threads": 1, "color": "RGBA",
        "color_depth": 16, "seed": 7, "frame_step": 2,
    }  # fmt: skip
    job = await finished(api, scenes / "several.blend", args, start_frame=1, end_frame=4)
    assert await names(api, job) == ["several_0001.png", "several_0003.png"]
    assert (job["total_frames"], job["completed_frames"]) == (2, 2)
    with av.open(str(await fetch(api, job, "several_0001.png", tmp_path))) as picture:
        stream = picture.streams.video[0]
        assert (stream.width, stream.height, stream.pix_fmt) == (24, 10, "rgba64be")
    log = (await api.get(f"/api/jobs/{job['id']}/logs"))[1]
    assert "zeus: rendering with CYCLES on CPU" in log and "--threads 1" in log and "Fra:" not in log
    other = await finished(api, scenes / "several.blend", {**args, "seed": 8}, start_frame=1, end_frame=1)
    (tmp_path / "other").mkdir()
    (mine,) = pictures(await fetch(api, job, "several_0001.png", tmp_path))
    (theirs,) = pictures(await fetch(api, other, "several_0001.png", tmp_path / "other"))
    assert not np.array_equal(mine, theirs), "another seed makes other noise"
    away = await finished(api, scenes / "several.blend", {**args, "camera": "Away"}, start_frame=1, end_frame=1)
    (nothing,) = pictures(await fetch(api, away, "several_0001.png", tmp_path / "other"))
    assert nothing[:, :, :3].std() < mine[:, :, :3].std(), "a camera that looks away sees no cube"


async def test_another_scene_with_its_own_values(api: Api, scenes: Path, tmp_path: Path) -> None:
    job = await finished(api, scenes / "several.blend", {"scene": "Other"})
    assert await names(api, job) == [f"several_{number:04d}.png" for number in (5, 8, 11)]
    assert (job["start_frame"], job["end_frame"], job["total_frames"]) == (5, 11, 3)
    (picture,) = pictures(await fetch(api, job, "several_0005.png", tmp_path))
    assert picture.shape[:2] == (32, 16)


@pytest.mark.parametrize("engine", ["EEVEE", "WORKBENCH"])
async def test_the_other_engines(api: Api, scenes: Path, tmp_path: Path, engine: str) -> None:
    job = await finished(api, scenes / "cube.blend", {"engine": engine}, start_frame=2, end_frame=2)
    (picture,) = pictures(await fetch(api, job, "cube_0002.png", tmp_path))
    assert picture.shape[:2] == (64, 64) and picture.std() > 1
    assert (
        f"zeus: rendering with BLENDER_{engine} on the graphics driver"
        in (await api.get(f"/api/jobs/{job['id']}/logs"))[1]
    )


async def test_facts(api: Api, scenes: Path) -> None:
    data = (scenes / "several.blend").read_bytes()
    _, upload = await api.post("/api/uploads", json={"name": "several.blend", "size": len(data)})
    headers = {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
    assert (await api.request("PATCH", f"/api/uploads/{upload['id']}", data=data, headers=headers))[0] == 204
    status, facts = await api.get(f"/api/uploads/{upload['id']}/facts")
    assert status == 200, facts
    assert (facts["engine"], facts["start_frame"], facts["end_frame"], facts["fps"]) == ("blender", 1, 3, 24.0)
    assert (facts["width"], facts["height"], facts["cameras"]) == (64, 64, ["Away", "Camera"])
    assert (facts["scene"], facts["missing_files"]) == ("Main", [])
    assert facts["made_by"].split(".")[:2] == blender("--version").split()[1].split(".")[:2]
    scenes_by_name = {each["name"]: each for each in facts["scenes"]}
    assert list(scenes_by_name) == ["Dark", "Main", "Other"]
    assert scenes_by_name["Dark"]["camera"] is None and scenes_by_name["Dark"]["cameras"] == []
    assert scenes_by_name["Other"] == {
        "name": "Other", "start_frame": 5, "end_frame": 11, "frame_step": 3, "fps": 12.0, "width": 32, "height": 64,
        "resolution_percentage": 50, "cameras": ["Away", "Camera"], "camera": "Camera", "engine": "CYCLES",
        "export_format": "PNG", "samples": 4,
    }  # fmt: skip


async def test_compressed_files(api: Api, scenes: Path) -> None:
    assert (scenes / "packed.blend").read_bytes()[:4] == b"\x28\xb5\x2f\xfd"
    job = await finished(api, scenes / "packed.blend", start_frame=1, end_frame=1)
    assert await names(api, job) == ["packed_0001.png"]


async def test_what_is_missing_is_named_before_anything_is_rendered(api: Api, scenes: Path, tmp_path: Path) -> None:
    code, message = await refused(api, scenes / "textured.blend")
    assert code == "missing_files"
    assert "texture //wood.png" in message and "library //props.blend" in message and str(tmp_path) not in message
    there = {"local_path": str(scenes / "textured.blend"), "start_frame": 1, "end_frame": 1}
    status, job = await api.post("/api/add_job", json=there)
    assert status == 200 and (await ended(api, job["id"]))["status"] == "finished", job
    for name in ("textured.blend", "props.blend"):
        shutil.copy(scenes / name, tmp_path / name)
    there["local_path"] = str(tmp_path / "textured.blend")
    status, body = await api.post("/api/add_job", json=there)
    assert status == 400 and body["message"] == "Files that the .blend needs are missing: texture //wood.png.", body
    shutil.copy(scenes / "wood.png", tmp_path / "wood.png")
    assert (await api.post("/api/add_job", json=there))[0] == 200, "it is looked for anew"


async def test_a_zip_of_a_project_brings_what_its_scene_refers_to(api: Api, scenes: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "project.zip", "w") as archive:
        for name in ("textured.blend", "wood.png", "props.blend"):
            archive.write(scenes / name, f"project/{name}")
    fields = {"project_file": "project/textured.blend", "start_frame": 0, "end_frame": 1}
    job = await finished(api, tmp_path / "project.zip", **fields)
    assert await names(api, job) == ["textured_0000.png", "textured_0001.png"]


async def test_references_that_are_in_no_frame_may_be_missing(api: Api, scenes: Path) -> None:
    assert not (scenes / "behind.png").exists() and not (scenes / "object.png").exists()
    assert (await finished(api, scenes / "references.blend", start_frame=1, end_frame=1))["file_count"] == 1


async def test_bad_input(api: Api, scenes: Path, tmp_path: Path) -> None:
    several = scenes / "several.blend"
    assert await refused(api, several, {"scene": "Intro"}) == (
        "unknown_scene",
        'args.scene: there is no scene "Intro"; there are: Dark, Main, Other.',
    )
    assert await refused(api, several, {"camera": "Side"}) == (
        "unknown_camera",
        'args.camera: the scene "Main" has no camera "Side"; there are: Away, Camera.',
    )
    assert await refused(api, several, {"scene": "Dark"}) == ("no_camera", 'The scene "Dark" has no camera.')
    assert (await refused(api, several, start_frame=3, end_frame=1))[0] == "invalid_frames"
    code, message = await refused(api, several, start_frame=1, end_frame=10_000_000)
    assert "end_frame" in message
    assert (await refused(api, several, {"export_format": "BMP"}))[0] == "invalid_args"
    cut = tmp_path / "cut.blend"
    cut.write_bytes((scenes / "cube.blend").read_bytes()[:300_000])
    assert await refused(api, cut) == ("not_a_blend", "Blender cannot open cut.blend: it is damaged or cut off.")
    newer = tmp_path / "newer.blend"
    newer.write_bytes(b"BLENDER17-01v9900REND" + (scenes / "cube.blend").read_bytes())
    code, message = await refused(api, newer)
    assert code == "newer_blender_needed" and "made by Blender 99.0" in message


async def test_a_device_that_is_not_here_ends_the_job_at_once(api: Api, scenes: Path) -> None:
    _, job = await send(api, scenes / "cube.blend", {"device": "METAL"})
    job = await ended(api, job["id"])
    assert (job["status"], job["attempt"]) == ("failed", 1)
    assert job["error"]["message"] == "Blender: this machine has no METAL device that Blender can render on."


@pytest.mark.parametrize("allowed", [False, True])
async def test_what_a_file_runs_and_writes_by_itself(
    tmp_path: Path, session: aiohttp.ClientSession, scenes: Path, allowed: bool
) -> None:
    birds = scenes / "canaries"
    for bird in birds.iterdir():
        bird.unlink()
    config = msgspec.structs.replace(config_for(tmp_path), engines={"blender": {"allow_scripts": allowed}})
    async with running_node(config) as node:
        api = Api(session, node.url)
        job = await finished(api, scenes / "canary.blend")
        assert await names(api, job) == ["canary_0001.png", "canary_0002.png"]
        log = (await api.get(f"/api/jobs/{job['id']}/logs"))[1]
    sang = sorted(bird.name for bird in birds.iterdir())
    assert sang == (["driver", "freestyle", "handler", "text"] if allowed else [])
    assert ("zeus: scripts in the file do not run here" in log) is not allowed
    assert ("zeus: the Freestyle scripts of Scene, ViewLayer do not run here" in log) is not allowed


async def test_what_a_compositor_writes_is_published_and_goes_nowhere_else(
    api: Api, scenes: Path, tmp_path: Path
) -> None:
    birds = scenes / "canaries"
    for bird in birds.iterdir():
        bird.unlink()
    job = await finished(api, scenes / "passes.blend", {"export_format": "PNG"})
    assert await names(api, job) == [
        *(f"passes_000{number}.png" for number in (1, 2)),
        *(f"passes_canaries_Depth{which}_000{number}.exr" for which in ("", "_2") for number in (1, 2)),
    ]
    assert list(birds.iterdir()) == []
    (picture,) = pictures(await fetch(api, job, "passes_canaries_Depth_0001.exr", tmp_path))
    assert picture.shape[:2] == (64, 64)


def renderers(folder: Path) -> list[psutil.Process]:
    """The Blenders that work on a node's jobs."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.name() == "blender" and str(folder) in " ".join(process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


async def frames_done(api: Api, job_id: str, count: int) -> None:
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        _, job = await api.get(f"/api/jobs/{job_id}")
        if job["completed_frames"] >= count:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"no {count} frames")


async def test_a_cancel_while_blender_renders(api: Api, scenes: Path, tmp_path: Path) -> None:
    _, job = await send(api, scenes / "slow.blend")
    await frames_done(api, job["id"], 3)
    (process,) = renderers(tmp_path)
    group = os.getpgid(process.pid)
    start = time.monotonic()
    status, cancelled = await api.post(f"/api/jobs/{job['id']}/cancel", params={"confirm": "1"})
    assert (status, cancelled["status"]) == (200, "cancelled") and time.monotonic() - start < GRACE + 5
    with pytest.raises(ProcessLookupError):
        os.killpg(group, 0)
    kept = await names(api, job)
    assert 3 <= len(kept) < 20
    for name in kept:
        (picture,) = pictures(await fetch(api, job, name, tmp_path))
        assert picture.shape[:2] == (256, 256)


async def test_a_node_that_is_killed_renders_only_what_is_missing(
    spawn_node: Callable[..., NodeProcess], session: aiohttp.ClientSession, scenes: Path, tmp_path: Path
) -> None:
    node = spawn_node()
    api = Api(session, await asyncio.to_thread(node.start))
    _, job = await send(api, scenes / "slow.blend")
    await frames_done(api, job["id"], 6)
    early = {name: (await fetch(api, job, name, tmp_path)).read_bytes() for name in await names(api, job)}
    assert node.process is not None
    node.process.send_signal(signal.SIGKILL)
    await asyncio.to_thread(node.gone)
    api = Api(session, await asyncio.to_thread(node.start))
    job = await ended(api, job["id"])
    assert (job["status"], job["attempt"], job["completed_frames"]) == ("finished", 2, 20), job
    assert await names(api, job) == [f"slow_{number:04d}.png" for number in range(1, 21)]
    for name, data in early.items():
        assert (await fetch(api, job, name, tmp_path)).read_bytes() == data, "what was published is never written again"
    counts = dict.fromkeys(range(1, 21), 0)
    for attempt in (1, 2):
        log = (await api.get(f"/api/jobs/{job['id']}/logs", params={"attempt": str(attempt)}))[1]
        for line in log.splitlines():
            if line.startswith("Saved:"):
                counts[int(line.rpartition("_")[2][:4])] += 1
    twice = [frame for frame, count in counts.items() if count > 1]
    assert min(counts.values()) >= 1 and len(twice) <= 1, counts
    assert not renderers(tmp_path)
