"""A disk without inodes: an upload gets 507 and leaves nothing, the node stays up, and work goes on later."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.conftest import Api, NodeProcess, need


@pytest.fixture
def few_inodes(tmp_path: Path) -> Iterator[Path]:
    """A disk of 60 inodes where the node keeps its storage."""
    need(os.geteuid() == 0, "the right to mount", "run the tests as root, or in a container of your own")
    storage = tmp_path / "spawned" / "storage"
    storage.mkdir(parents=True)
    argv = ["mount", "-t", "tmpfs", "-o", "size=16m,nr_inodes=60", "tmpfs", str(storage)]
    mounted = subprocess.run(argv, capture_output=True, text=True, check=False)
    need(mounted.returncode == 0, "tmpfs", f"mount failed: {mounted.stderr}")
    yield storage
    subprocess.run(["umount", "-l", str(storage)], check=True)


async def test_no_inodes(
    few_inodes: Path, spawn_node: Callable[..., NodeProcess], session: aiohttp.ClientSession
) -> None:
    api = Api(session, spawn_node().start())
    ballast = use_up(few_inodes)
    status, error = await upload(api)
    assert (status, error["error"]) == (507, "disk_full")
    assert list((few_inodes / "incoming").iterdir()) == []
    for each in ballast:
        each.unlink()
    status, job = await upload(api)
    assert (status, (await api.until(job["id"]))["status"]) == (200, "finished")


def use_up(storage: Path) -> list[Path]:
    made = []
    try:
        for number in range(1000):
            path = storage / f"ballast-{number}"
            path.touch()
            made.append(path)
    except OSError:
        return made
    raise AssertionError("the disk has no limit of inodes")


async def upload(api: Api) -> tuple[int, dict[str, str]]:
    form = aiohttp.FormData()
    form.add_field("json", "{}")
    form.add_field("file", b"x", filename="a.noop")
    return await api.post("/api/add_job", data=form)
