"""Three machines as one farm: they find each other, share out real work, and lose nothing, whatever happens to one."""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests import ffmpeg_samples
from tests.conftest import Api, need
from tests.real.machines import Machine, machines
from tests.real.scenes import PROGRAM, blender
from tests.real.sharing import LOST, SETTINGS, Sleeper, add, fetched, hands, nothing_is_left, told, why
from tests.real.test_blender import pictures

pytestmark = pytest.mark.timeout(300)
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
        own = {self.third: {"node": {"tags": ["far"]}}}
        await asyncio.gather(*(asyncio.to_thread(node.run, **SETTINGS, **own.get(node, {})) for node in self.nodes))
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
    assert nodes == {"alpha", "beta", "gamma"}
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


async def test_a_worker_that_is_killed(farm: Farm, api: Api, tmp_path: Path) -> None:
    sleeper = Sleeper(api, tmp_path / "record")
    await sleeper.begin()
    await sleeper.made_by("beta", 4)
    await sleeper.before_the_loss_of("beta")
    await asyncio.to_thread(farm.second.kill)
    shares = await sleeper.ends_whole(twice=sleeper.in_work())
    assert shares["gamma"] and shares["alpha"]
    assert f"Node beta {LOST}" in await told(api, sleeper.job)
    await asyncio.to_thread(farm.second.again)


async def test_a_worker_whose_link_is_cut(farm: Farm, api: Api, tmp_path: Path) -> None:
    sleeper = Sleeper(api, tmp_path / "record")
    await sleeper.begin()
    await sleeper.made_by("gamma", 4)
    lost = await sleeper.before_the_loss_of("gamma")
    farm.third.cut()
    try:
        await farm.first.sees("gamma", "offline", within=15)
        waiting = await add(api, renderer="frames", tags=["far"], start_frame=1, end_frame=1)
        reasons = await why(api, waiting)
        assert reasons["gamma"] == ["It does not answer."]
        for name in ("alpha", "beta"):
            assert "It lacks the tag far (node.tags)." in reasons[name]
        await sleeper.ends_whole(twice=lost)
    finally:
        farm.third.heal()
    assert f"Node gamma {LOST}" in await told(api, sleeper.job)
    ended = await api.until(waiting["id"])
    assert (ended["status"], ended["node"]) == ("finished", "gamma"), ended
    await comes_back(farm, sleeper)


async def test_a_worker_that_sleeps_past_its_lease(farm: Farm, api: Api, tmp_path: Path) -> None:
    sleeper = Sleeper(api, tmp_path / "record")
    await sleeper.begin()
    await sleeper.made_by("beta", 4)
    lost = await sleeper.before_the_loss_of("beta")
    farm.second.suspend()
    try:
        await sleeper.ends_whole(twice=lost)
    finally:
        farm.second.resume()
    assert f"Node beta {LOST}" in await told(api, sleeper.job)
    await comes_back(farm, sleeper)


async def comes_back(farm: Farm, sleeper: Sleeper) -> None:
    """What a lost node has made since of an ended job changes nothing of it, and goes."""
    made = await sleeper.frames()
    await farm.settled()
    await nothing_is_left(farm.second, farm.third)
    assert await sleeper.frames() == made
    sleeper.nothing_is_made_again()


async def test_the_controller_is_killed_and_comes_back(farm: Farm, tmp_path: Path) -> None:
    async with farm.first.client() as api:
        sleeper = Sleeper(api, tmp_path / "record")
        await sleeper.begin()
        await sleeper.made_by("beta", 4)
        await sleeper.made_by("gamma", 1)
        await sleeper.before_the_loss_of("alpha")
    await asyncio.to_thread(farm.first.kill)
    await asyncio.to_thread(farm.first.again)
    async with farm.first.client() as api:
        sleeper.api = api
        # The frame that the controller's own engine was at, and no other one, is begun again.
        await sleeper.ends_whole(twice=1)
        log = await told(api, sleeper.job)
        for name in ("beta", "gamma"):
            assert re.search(rf"taken up again: it is job \S+ of node {name}\n", log), log
        await comes_back(farm, sleeper)


async def test_a_worker_that_takes_its_trust_back(farm: Farm, api: Api, tmp_path: Path) -> None:
    sleeper = Sleeper(api, tmp_path / "record")
    await sleeper.begin()
    await sleeper.made_by("gamma", 4)
    lost = await sleeper.before_the_loss_of("gamma")
    async with farm.third.client() as there:
        first = next(node for node in await farm.third.nodes() if node["name"] == "alpha")
        assert (await there.request("DELETE", f"/api/nodes/{first['id']}"))[0] in (200, 204)
    await sleeper.ends_whole(twice=lost)
    assert re.search("failed: Node gamma .+; the task goes elsewhere", await told(api, sleeper.job))
    refused = await farm.first.sees("gamma", "refused", "unpaired")
    assert refused["message"]
    await farm.first.pair(farm.third)
