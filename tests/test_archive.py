"""All outputs as one zip: whole, streamed, and broken off rather than wrong."""

from __future__ import annotations

import asyncio
import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from tests.conftest import Api, NodeProcess
from zeus.api import archive
from zeus.api.app import Node

MANY = 20_000
PARTS = [f"{index:03}.txt" for index in range(200)]
"""Of one big download together: more than the buffers between the node and a client take."""


async def made(api: Api, name: str = "my job", **args: Any) -> str:
    _, job = await api.post("/api/add_job", json={"renderer": "noop", "name": name, "args": args})
    assert (await api.until(job["id"]))["status"] == "finished"
    return str(job["id"])


async def test_the_zip_holds_all_outputs_as_they_are(node: Node, api: Api, tmp_path: Path) -> None:
    names = ["a.txt", "b.png", "ä ö.txt"]
    job_id = await made(api, files=names, content="x" * 100_000)
    async with api.session.get(f"{api.url}/api/jobs/{job_id}/download_all") as got:
        data = await got.read()
        assert (got.status, got.content_type) == (200, "application/zip")
        assert int(got.headers["Content-Length"]) == len(data)
        assert got.headers["Content-Disposition"].startswith('attachment; filename="my job.zip"')
    path = tmp_path / "got.zip"
    path.write_bytes(data)
    with zipfile.ZipFile(path) as found:
        assert sorted(found.namelist()) == sorted(names) and found.testzip() is None
        assert {found.read(name) for name in names} == {b"x" * 100_000}
    async with api.session.head(f"{api.url}/api/jobs/{job_id}/download_all") as got:
        assert (got.status, int(got.headers["Content-Length"])) == (200, len(data))


async def test_without_files_there_is_no_zip(api: Api) -> None:
    job_id = await api.add(seconds=30)
    status, error = await api.get(f"/api/jobs/{job_id}/download_all")
    assert (status, error["error"]) == (404, "no_files")
    await api.post(f"/api/jobs/{job_id}/cancel?confirm=1")
    assert (await api.get("/api/jobs/nothing/download_all"))[1]["error"] == "job_not_found"


@pytest.mark.parametrize(
    ("name", "safe"), [("a/b\\c", "a_b_c.zip"), ('two\r\nX: 1"', "two__X_ 1_.zip"), ("..", None), ("é", "_.zip")]
)
async def test_the_zips_name_is_safe(api: Api, name: str, safe: str | None) -> None:
    job_id = await made(api, name)
    async with api.session.get(f"{api.url}/api/jobs/{job_id}/download_all") as got:
        assert got.status == 200
        assert f'filename="{safe or job_id + ".zip"}"' in got.headers["Content-Disposition"]


async def test_a_file_that_vanishes_half_way_breaks_the_transfer(node: Node, api: Api) -> None:
    job_id = await made(api, files=PARTS, content="x" * 300_000)
    (node.zeus.files.out(job_id) / PARTS[-1]).rename(node.zeus.files.root / "gone")
    status, _ = await api.get(f"/api/jobs/{job_id}/download_all")
    assert status == 500  # gone before the first byte: then it can still be said
    (node.zeus.files.root / "gone").rename(node.zeus.files.out(job_id) / PARTS[-1])
    with pytest.raises(aiohttp.ClientPayloadError):
        async with api.session.get(f"{api.url}/api/jobs/{job_id}/download_all") as got:
            assert got.status == 200
            await got.content.readexactly(1000)
            (node.zeus.files.out(job_id) / PARTS[-1]).unlink()
            await got.read()


async def test_a_file_that_is_not_what_was_published_breaks_the_transfer(node: Node, api: Api) -> None:
    job_id = await made(api, files=["a.txt", "b.txt"], content="x" * 900_000)
    path = node.zeus.files.out(job_id) / "a.txt"
    whole = path.read_bytes()
    for changed in (b"y" + whole[1:], whole[:-1] + b"y"):
        path.write_bytes(changed)
        with pytest.raises(aiohttp.ClientPayloadError):
            async with api.session.get(f"{api.url}/api/jobs/{job_id}/download_all") as got:
                assert got.status == 200
                await got.read()
    path.write_bytes(whole)
    os.utime(path, (0, 1_000_000_000))
    async with api.session.get(f"{api.url}/api/jobs/{job_id}/download_all") as got:
        with zipfile.ZipFile(io.BytesIO(await got.read())) as found:
            assert found.testzip() is None and found.getinfo("a.txt").date_time[0] == 2001


async def test_a_broken_transfer_is_seen_without_a_length_too(
    node: Node, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MISCOUNTED", len(PARTS))
    job_id = await made(api, files=PARTS, content="x" * 300_000)
    async with api.session.get(f"{api.url}/api/jobs/{job_id}/download_all") as got:
        assert "Content-Length" not in got.headers
        assert zipfile.ZipFile(io.BytesIO(await got.read())).testzip() is None
    with pytest.raises(aiohttp.ClientPayloadError):
        async with api.session.get(f"{api.url}/api/jobs/{job_id}/download_all") as got:
            await got.content.readexactly(1000)
            (node.zeus.files.out(job_id) / PARTS[-1]).unlink()
            await got.read()


async def test_a_client_that_goes_away_leaves_no_file_open(node: Node, api: Api) -> None:
    job_id = await made(api, files=PARTS, content="x" * 300_000)
    for _ in range(3):
        async with api.session.get(f"{api.url}/api/jobs/{job_id}/download_all") as got:
            await got.content.readexactly(1000)
            got.close()
    folder = str(node.zeus.files.out(job_id))
    for _ in range(100):
        if not [file for file in psutil.Process().open_files() if file.path.startswith(folder)]:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("a file stays open")


async def test_many_small_files_take_little_memory(
    spawn_node: Callable[..., NodeProcess], session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    node = spawn_node()
    api = Api(session, await asyncio.to_thread(node.start))
    job_id = await made(api, files=[f"frame_{index:05}.txt" for index in range(MANY)])
    assert node.process is not None
    before = psutil.Process(node.process.pid).memory_info().rss
    for _ in range(2):
        async with session.get(f"{api.url}/api/jobs/{job_id}/download_all") as got:
            data = await got.read()
        grown = psutil.Process(node.process.pid).memory_info().rss - before
        assert grown < 64 << 20, f"{grown >> 20} MiB"
    path = tmp_path / "many.zip"
    path.write_bytes(data)
    with zipfile.ZipFile(path) as found:
        assert len(found.namelist()) == MANY and found.testzip() is None
    if os.access("/usr/bin/unzip", os.X_OK):
        assert await (await asyncio.create_subprocess_exec("/usr/bin/unzip", "-tqq", path)).wait() == 0
