"""Three machines as one farm: they find each other, share out real work, and lose nothing, whatever happens to one."""

from __future__ import annotations

import asyncio
import io
import json
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import av
import numpy as np
import pytest

from tests import ffmpeg_samples
from tests.conftest import HANG, Api, need
from tests.real.machines import Machine, machines
from tests.real.scenes import PROGRAM, blender
from tests.real.test_blender import pictures

pytestmark = pytest.mark.timeout(300)
LEASE = 4.0
"""Seconds; 30 where no test sets it."""
FRAMES = 60
SCENE = f"""
import bpy, sys
bpy.ops.wm.read_homefile(use_factory_startup=True)
scene = bpy.context.scene
scene.render.engine = "CYCLES"
scene.cycles.samples, scene.cycles.use_denoising = 2, False
scene.render.resolution_x = scene.render.resolution_y = 48
scene.frame_end = {FRAMES}
cube = bpy.data.objects["Cube"]
cube.keyframe_insert("location", frame=1)
cube.location.x = 2
cube.keyframe_insert("location", frame={FRAMES})
bpy.ops.wm.save_as_mainfile(filepath=sys.argv[-1])
"""


class Farm:
    """Three nodes, of which the first is the one that is asked."""

    def __init__(self, nodes: list[Machine]) -> None:
        self.nodes = nodes
        self.first, self.second, self.third = nodes

    async def form(self) -> None:
        """Start the nodes, wait until each has found the others by multicast, and pair them."""
        settings = {
            "network": {"heartbeat": 0.5, "lease": LEASE, "grace": LEASE},
            "jobs": {"slots": 1, "retry_delay": 0.0, "chunk_seconds": 5.0},
            "engines": {"frames": {"slots": 1}},
        }
        await asyncio.gather(*(asyncio.to_thread(node.run, **settings) for node in self.nodes))
        began = time.monotonic()
        pairs = [(one, other) for one in self.nodes for other in self.nodes if one is not other]
        await asyncio.gather(*(one.sees(other.name, "unpaired") for one, other in pairs))
        print(f"each found the others in {time.monotonic() - began:.1f} s")
        await self.first.pair(self.second)
        await self.first.pair(self.third)
        await self.second.pair(self.third)
        await self.settled()

    async def settled(self) -> None:
        """Wait until the first node has both others at hand."""
        for other in (self.second, self.third):
            await self.first.sees(other.name, "online")


@pytest.fixture(scope="module")
def formed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    with machines(tmp_path_factory.mktemp("farm"), "alpha", "beta", "gamma") as nodes:
        farm = Farm(nodes)
        asyncio.run(farm.form())
        yield farm


@pytest.fixture
async def farm(formed: Farm) -> Farm:
    await formed.settled()
    return formed


@pytest.fixture
async def api(farm: Farm) -> AsyncIterator[Api]:
    async with farm.first.client() as made:
        yield made


async def add(api: Api, file: Path | None = None, **fields: Any) -> dict[str, Any]:
    if file is None:
        status, job = await api.post("/api/add_job", json=fields)
    else:
        form = aiohttp.FormData()
        form.add_field("json", json.dumps(fields))
        form.add_field("file", io.BytesIO(await asyncio.to_thread(file.read_bytes)), filename=file.name)
        status, job = await api.post("/api/add_job", data=form)
    assert status == 200, job
    return dict(job)


async def fetched(api: Api, job: dict[str, Any], folder: Path) -> list[Path]:
    """All outputs of a job, in a new folder."""
    await asyncio.to_thread(folder.mkdir)
    _, names = await api.get(f"/api/jobs/{job['id']}/files")
    for name in names:
        async with api.session.get(f"{api.url}/api/jobs/{job['id']}/download", params={"filename": name}) as got:
            assert got.status == 200
            await asyncio.to_thread((folder / name).write_bytes, await got.read())
    return [folder / name for name in sorted(names)]


async def hands(api: Api, job: dict[str, Any]) -> Counter[str]:
    """How many frames each node made of a job."""
    _, found = await api.get(f"/api/jobs/{job['id']}/frames")
    assert all(frame["state"] == "finished" for frame in found["frames"]), found
    return Counter(frame["node"] for frame in found["frames"])


async def told(api: Api, job: dict[str, Any]) -> str:
    """All that the logs of a job's pieces say."""
    _, job = await api.get(f"/api/jobs/{job['id']}")
    texts = []
    for child in job["children"]:
        _, piece = await api.get(f"/api/jobs/{child['id']}")
        for attempt in range(1, piece["attempt"] + 1):
            texts.append((await api.get(f"/api/jobs/{child['id']}/logs?attempt={attempt}"))[1])
    return "\n".join(map(str, texts))


async def test_blender_frames_are_those_of_one_machine(farm: Farm, api: Api, tmp_path: Path) -> None:
    need(PROGRAM, "Blender", "on Debian and Ubuntu, `apt install blender libegl-mesa0` brings it")
    (tmp_path / "scene.py").write_text(SCENE)
    scene = tmp_path / "cube.blend"
    await asyncio.to_thread(blender, "--python", str(tmp_path / "scene.py"), "--", str(scene))
    job = await add(api, scene, enable_split_jobs=True, args={"export_format": "PNG"})
    ended = await api.until(job["id"])
    assert (ended["status"], ended["completed_frames"], ended["percent_complete"]) == ("finished", FRAMES, 100), ended
    shares = await hands(api, job)
    print(f"frames by node: {dict(shares)}; {len(ended['children'])} pieces")
    assert shares.keys() == {"alpha", "beta", "gamma"} and shares.total() == FRAMES
    ours = await fetched(api, job, tmp_path / "ours")
    output = ["-o", f"{tmp_path}/hand_####", "-F", "PNG", "-x", "1", "-s", "1", "-e", str(FRAMES), "-a"]
    await asyncio.to_thread(blender, "-Y", str(scene), *output)
    assert [path.name for path in ours] == [f"cube_{number:04}.png" for number in range(1, FRAMES + 1)]
    for number, path in enumerate(ours, 1):
        assert np.array_equal(pictures(path), pictures(tmp_path / f"hand_{number:04}.png")), path.name


async def test_a_transcode_is_that_of_one_machine(farm: Farm, api: Api, tmp_path: Path) -> None:
    source = ffmpeg_samples.movie(
        tmp_path / "clip.mp4", frames=900, fps=25, size=(320, 180), options={}
    )  # fmt: skip
    args = {"container": "mp4", "video_codec": "h264"}
    split = await add(api, source, renderer="ffmpeg", enable_split_jobs=True, args=args)
    ended = await api.until(split["id"])
    assert ended["status"] == "finished", ended
    nodes = {child["node"] for child in ended["children"]}
    print(f"{len(ended['children'])} parts on {sorted(nodes)}")
    assert len(nodes) > 1
    whole = await add(api, source, renderer="ffmpeg", args=args)
    assert (await api.until(whole["id"]))["status"] == "finished"
    [ours] = await fetched(api, split, tmp_path / "split")
    [theirs] = await fetched(api, whole, tmp_path / "whole")
    assert ours.name == theirs.name
    psnr = [_psnr(one, other) for one, other in zip(pictures(ours), pictures(theirs), strict=True)]
    print(f"PSNR against one machine's: {min(psnr):.1f} dB at least")
    assert len(psnr) == 900 and min(psnr) > 30
    lengths = [_lengths(path) for path in (ours, theirs)]
    assert lengths[0].keys() == lengths[1].keys() == {"video", "audio"}
    for kind in ("video", "audio"):
        assert lengths[0][kind] == pytest.approx(lengths[1][kind], abs=0.05)


def _psnr(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> float:
    error = float(np.mean((one.astype(float) - other.astype(float)) ** 2))
    return 99.0 if error == 0 else 10 * math.log10(255**2 / error)


def _lengths(path: Path) -> dict[str, float]:
    with av.open(str(path)) as container:
        return {each.type: float(each.duration * each.time_base) for each in container.streams if each.duration}


class Sleeper:
    """A split job of frames that take a while, and a record of each that was begun."""

    def __init__(self, api: Api, record: Path, count: int = 60) -> None:
        self.api = api
        self.record = record
        self.count = count
        self.job: dict[str, Any] = {}

    async def begin(self, seconds: float = 0.25) -> None:
        self.job = await add(
            self.api, renderer="frames", start_frame=1, end_frame=self.count, enable_split_jobs=True,
            args={"seconds": seconds, "record": str(self.record)},
        )  # fmt: skip

    async def made_by(self, node: str, count: int = 1) -> None:
        """Wait until a node has made so many frames."""
        deadline = time.monotonic() + HANG
        while time.monotonic() < deadline:
            _, found = await self.api.get(f"/api/jobs/{self.job['id']}/frames")
            if sum(frame["node"] == node and frame["state"] == "finished" for frame in found["frames"]) >= count:
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"{node} makes no frames: {found}")

    async def ends_whole(self, twice: int) -> Counter[str]:
        """Wait for the end: every frame is there once, and at most so many were begun twice."""
        ended = await self.api.until(self.job["id"])
        assert (ended["status"], ended["completed_frames"]) == ("finished", self.count), ended
        _, names = await self.api.get(f"/api/jobs/{self.job['id']}/files")
        assert sorted(names) == [f"frame_{number:04}.txt" for number in range(1, self.count + 1)]
        begun = Counter(int(line) for line in self.record.read_text().split())
        again = sum(count - 1 for count in begun.values())
        assert begun.keys() == set(range(1, self.count + 1)) and again <= twice, begun
        return await hands(self.api, self.job)


async def test_a_worker_that_is_killed(farm: Farm, api: Api, tmp_path: Path) -> None:
    sleeper = Sleeper(api, tmp_path / "record")
    await sleeper.begin()
    await sleeper.made_by("beta", 2)
    await asyncio.to_thread(farm.second.kill)
    shares = await sleeper.ends_whole(twice=12)
    assert shares["gamma"] and shares["alpha"]
    assert "beta" in await told(api, sleeper.job)
    await asyncio.to_thread(farm.second.again)


async def test_a_worker_whose_link_is_cut(farm: Farm, api: Api, tmp_path: Path) -> None:
    sleeper = Sleeper(api, tmp_path / "record")
    await sleeper.begin()
    await sleeper.made_by("gamma", 2)
    farm.third.cut()
    try:
        await farm.first.sees("gamma", "offline", within=15)
        await sleeper.ends_whole(twice=60)
    finally:
        farm.third.heal()
    await farm.settled()
    await nothing_is_left(farm)


async def test_a_worker_that_sleeps_past_its_lease(farm: Farm, api: Api, tmp_path: Path) -> None:
    sleeper = Sleeper(api, tmp_path / "record")
    await sleeper.begin()
    await sleeper.made_by("beta", 2)
    farm.second.suspend()
    try:
        await sleeper.ends_whole(twice=60)
    finally:
        farm.second.resume()
    await farm.settled()
    await nothing_is_left(farm)
    assert (await api.get(f"/api/jobs/{sleeper.job['id']}"))[1]["completed_frames"] == sleeper.count


async def test_the_controller_is_killed_and_comes_back(farm: Farm, tmp_path: Path) -> None:
    async with farm.first.client() as api:
        sleeper = Sleeper(api, tmp_path / "record")
        await sleeper.begin()
        await sleeper.made_by("beta", 2)
        await sleeper.made_by("gamma", 1)
    await asyncio.to_thread(farm.first.kill)
    await asyncio.to_thread(farm.first.again)
    async with farm.first.client() as api:
        sleeper.api = api
        # The frames that the controller's own engine was at, and no other one, are begun again.
        await sleeper.ends_whole(twice=3)
    await farm.settled()
    await nothing_is_left(farm)


async def test_a_worker_that_takes_its_trust_back(farm: Farm, api: Api, tmp_path: Path) -> None:
    sleeper = Sleeper(api, tmp_path / "record")
    await sleeper.begin()
    await sleeper.made_by("gamma", 2)
    async with farm.third.client() as there:
        first = next(node for node in await farm.third.nodes() if node["name"] == "alpha")
        assert (await there.request("DELETE", f"/api/nodes/{first['id']}"))[0] in (200, 204)
    await sleeper.ends_whole(twice=60)
    refused = await farm.first.sees("gamma", "refused", "unpaired")
    assert refused["message"]
    await farm.first.pair(farm.third)


async def nothing_is_left(farm: Farm) -> None:
    """Wait until no node runs or holds anything for the first one: what nobody wants is ended and removed."""
    deadline = time.monotonic() + HANG
    for node in (farm.second, farm.third):
        async with node.client() as there:
            while True:
                _, found = await there.get("/api/jobs")
                left = [job for job in found["jobs"] if job["parent"]]
                if not left:
                    break
                assert time.monotonic() < deadline, left
                await asyncio.sleep(0.2)
