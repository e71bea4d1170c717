"""A controller without engines stays small: files of any size go through it, and no whole one is ever in its memory."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import psutil
import pytest

from tests.conftest import Api, NodeProcess
from tests.farm import QUICK, node_in, pair, quick

LARGE = 300 << 20
"""Bytes of the input, and of the output."""
MOST = 100 << 20
"""Bytes of memory that the controller's processes may have."""
CONTROL = quick(plugins={"own": False, "folders": []})


class Peak:
    """The most memory that a process and its children were seen to have."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self.bytes = 0

    async def watch(self) -> None:
        while True:
            self.bytes = max(self.bytes, sum(map(_resident, [self._process, *self._process.children(recursive=True)])))
            await asyncio.sleep(0.02)


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


@asynccontextmanager
async def watched(node: NodeProcess) -> AsyncIterator[Peak]:
    assert node.process is not None
    peak = Peak(node.process.pid)
    watching = asyncio.create_task(peak.watch())
    try:
        yield peak
    finally:
        watching.cancel()


@pytest.fixture
def control(spawn_node: Callable[..., NodeProcess]) -> NodeProcess:
    return spawn_node("control", **CONTROL, node={"name": "control"})


async def test_a_controller_makes_a_video_and_passes_large_files_in_little_memory(
    control: NodeProcess, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    api = Api(session, await asyncio.to_thread(control.start))
    async with node_in(tmp_path, "host", QUICK) as host, watched(control) as peak:
        await pair(api, host)
        body = {"prompt": "a fox", "width": 64, "height": 36, "num_frames": 4}
        status, accepted = await api.post("/api/generate", json=body)
        assert (status, accepted.get("handled_by")) == (202, "control"), accepted
        video = await api.until(accepted["job_id"])
        assert (video["status"], video["node"]) == ("finished", "host"), video["error"]
        async with session.get(f"{api.url}/files/{accepted['job_id']}/out.mp4") as got:
            assert (got.status, (await got.read())[4:8]) == (200, b"ftyp")

        job = await api.until(await _large(api, tmp_path / "large.noop"))
        assert (job["status"], job["node"]) == ("finished", "host"), job["error"]
        there = [path for path in (tmp_path / "host" / "storage" / "incoming").glob("*.part")]
        assert [path.stat().st_size for path in there] == [LARGE]
        size, digest = 0, hashlib.sha256()
        async with session.get(f"{api.url}/api/jobs/{job['id']}/download?filename=out.txt") as got:
            async for chunk in got.content.iter_chunked(1 << 20):
                size += len(chunk)
                digest.update(chunk)
        assert (size, digest.hexdigest()) == (LARGE + 1, await asyncio.to_thread(_expected))
    assert (20 << 20) < peak.bytes < MOST, f"{peak.bytes >> 20} MB"


async def _large(api: Api, path: Path) -> str:
    """Add a job with a large input, and a large output; its id."""
    with path.open("wb") as file:
        file.truncate(LARGE)
        form = aiohttp.FormData()
        asked = f'{{"renderer": "noop", "args": {{"content": "x", "hole": {LARGE}}}}}'
        form.add_field("json", asked, content_type="application/json")
        form.add_field("file", path.open("rb"), filename=path.name)
        status, job = await api.post("/api/add_job", data=form)
    assert status == 200, job
    return str(job["id"])


def _expected() -> str:
    digest = hashlib.sha256(b"x")
    for _ in range(LARGE >> 20):
        digest.update(bytes(1 << 20))
    return digest.hexdigest()
