"""Outputs of gigabytes: what a node hashes and sends of them is never in its memory."""

from __future__ import annotations

import asyncio
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import aiohttp
import psutil
import pytest

from tests.conftest import Api, NodeProcess, need

MIB = 1 << 20
MOST_GROWTH = 64 * MIB
NAMES = ("a.txt", "b.txt")
LONG = [pytest.mark.long, pytest.mark.timeout(3600)]


class Resident:
    """How much more memory a node has than it had at first."""

    def __init__(self, node: NodeProcess) -> None:
        assert node.process is not None
        self._process = psutil.Process(node.process.pid)
        self._first = self._now()
        self.most = 0

    async def watch(self) -> None:
        while True:
            self.most = max(self.most, self._now() - self._first)
            await asyncio.sleep(0.05)

    def _now(self) -> int:
        return int(self._process.memory_info().rss)


@pytest.mark.parametrize("hole", [130 * MIB, pytest.param(4100 * MIB, marks=LONG)])
async def test_a_zip_of_big_files_takes_little_memory(
    hole: int, spawn_node: Callable[..., NodeProcess], session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """The files have holes, here and there, and so they take no room; the long one has two beyond 4 GiB, 8 in all."""
    node = spawn_node()
    api = Api(session, await asyncio.to_thread(node.start))
    resident = Resident(node)
    watching = asyncio.create_task(resident.watch())
    job_id = await published(api, hole)
    async with session.get(f"{node.url}/api/jobs/{job_id}/download_all", timeout=aiohttp.ClientTimeout(None)) as got:
        assert got.status == 200
        size = await keep(got.content, tmp_path / "got.zip")
        assert size == int(got.headers["Content-Length"]) > 2 * hole
    watching.cancel()
    print(f"{size >> 20} MiB sent, the node grew by {resident.most >> 20} MiB")
    assert 0 < resident.most < MOST_GROWTH
    await asyncio.to_thread(check, tmp_path / "got.zip", hole)
    need(os.access("/usr/bin/unzip", os.X_OK), "unzip", "apt-get install unzip")
    assert await (await asyncio.create_subprocess_exec("/usr/bin/unzip", "-tqq", tmp_path / "got.zip")).wait() == 0


async def published(api: Api, hole: int) -> str:
    """A job with two files that end in a hole."""
    job_id = await api.add(files=NAMES, content="begin", hole=hole)
    while (job := (await api.get(f"/api/jobs/{job_id}"))[1])["status"] in ("queued", "running"):
        await asyncio.sleep(0.2)
    assert job["status"] == "finished", job
    return job_id


async def keep(content: aiohttp.StreamReader, path: Path) -> int:
    """Write what comes to a file, holes as holes; its length."""
    size = 0
    with path.open("wb") as file:
        async for chunk in content.iter_chunked(MIB):
            size += len(chunk)
            if chunk.count(0) == len(chunk):
                file.seek(size)
            else:
                file.write(chunk)
        file.truncate(size)
    return size


def check(path: Path, hole: int) -> None:
    with zipfile.ZipFile(path) as found:
        assert [(each.filename, each.file_size) for each in found.infolist()] == [(name, hole + 5) for name in NAMES]
        assert found.testzip() is None
        with found.open(NAMES[1]) as file:
            assert file.read(7) == b"begin\0\0"
