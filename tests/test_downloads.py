"""Managed versions over HTTP: found, fetched, unpacked, tried, put in place and removed; over restarts too."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest

from tests.conftest import HANG, Api, NodeProcess, config_for
from tests.releases import Publisher, begin, engines, installed, opened, publisher, reason, settings, settled, tar, tool
from zeus.api.app import Node, running_node
from zeus.downloads import Release, fetching
from zeus.downloads.installing import unpack_aside
from zeus.engine import Archive


@pytest.fixture
async def mirror() -> AsyncIterator[Publisher]:
    async with publisher() as made:
        yield made


@pytest.fixture
async def node(tmp_path: Path, mirror: Publisher) -> AsyncIterator[Node]:
    async with running_node(config_for(tmp_path, **settings(mirror, slots=4))) as made:
        yield made


# What can be had


async def test_what_can_be_had_is_read_from_the_publishers_folders(api: Api, mirror: Publisher) -> None:
    for version in ("2.93.18", "4.2.3", "4.2.12", "4.20.0", "5.0.1"):
        mirror.publish(version)
    mirror.files["/Blender4.2/blender-4.2.99-macos-arm64.dmg"] = b"no archive"
    mirror.files["/BlenderBenchmark2.0/blender-9.9.9-linux-x64.tar.xz"] = b"no version's folder"
    url = "/api/engines/download_available?engine=tooled"
    status, found = await api.get(url + "&version=4.2")
    assert status == 200 and (found["available"], found["installed"], found["version"]) == (True, False, "4.2.12")
    assert found["versions"] == ["4.2.12", "4.2.3"]
    assert found["url"] == f"{mirror.url}/Blender4.2/{found['file']}"
    assert (await api.get(url))[1]["versions"] == ["5.0.1", "4.20.0", "4.2.12", "4.2.3", "2.93.18"]
    assert (await api.get(url + "&version=lts"))[1]["version"] == "4.2.12"
    assert (await api.get(url + "&version=4.2.3"))[1]["version"] == "4.2.3"
    assert (await api.get(url + "&version=4.2.4"))[1]["available"] is False
    _, newest = await api.get("/api/engines/most_recent_version?engine=tooled")
    assert (newest["version"], newest["lts"]) == ("5.0.1", "4.2.12")


async def test_other_systems_can_be_asked_for_but_not_installed(api: Api, mirror: Publisher) -> None:
    mirror.publish("4.2.3")
    url = "/api/engines/download_available?engine=tooled&version=4.2.3"
    assert (await api.get(url + "&system_os=Linux&cpu=aarch64"))[1]["available"] is True
    status, found = await api.get(url + "&system_os=macos&cpu=arm64")
    assert status == 200 and not found["available"] and "for macos on arm64" in found["reason"]
    status, error = await api.get("/api/engines/most_recent_version?engine=tooled&system_os=windows")
    assert (status, error["error"]) == (404, "version_not_found")
    status, error = await api.get(url + "&system_os=beos")
    assert (status, error["error"]) == (400, "invalid_field") and "system_os" in error["message"]
    status, error = await api.post("/api/engines/download?engine=tooled&version=4.2.3&system_os=windows")
    assert (status, error["error"]) == (400, "other_system")


async def test_bad_questions_are_answered(api: Api, mirror: Publisher) -> None:
    mirror.publish("4.2.3")
    assert (await api.post("/api/engines/download"))[1]["error"] == "missing_field"
    assert (await api.get("/api/engines/most_recent_version?engine=nothing"))[1]["error"] == "engine_not_found"
    status, error = await api.post("/api/engines/download?engine=noop")
    assert (status, error["error"]) == (400, "not_managed")
    _, found = await api.get("/api/engines/download_available?engine=noop")
    assert not found["available"] and "manages no versions" in found["reason"]
    status, error = await begin(api, "9.9")
    assert (status, error["error"]) == (404, "version_not_found") and "there are: 4.2" in error["message"]
    status, error = await begin(api, "x" * 64)
    assert status == 404 and len(error["message"]) < 400
    status, error = await begin(api, "x" * 65)
    assert (status, error["error"]) == (400, "invalid_field") and len(error["message"]) < 400


@pytest.mark.parametrize(("status", "page"), [(404, None), (500, None), (200, b"<html>Hello</html>"), (200, b"\xff\0")])
async def test_an_index_that_is_none(api: Api, mirror: Publisher, status: int, page: bytes | None) -> None:
    mirror.files["/"] = page or b""
    if page is None:
        mirror.statuses["/"] = status
    for method, path in (("GET", "most_recent_version"), ("GET", "download_available"), ("POST", "download")):
        got, error = await api.request(method, f"/api/engines/{path}?engine=tooled")
        assert (got, error["error"]) == (503, "releases_unreachable") and mirror.url in error["message"]


async def test_an_index_that_is_not_there(
    tmp_path: Path, session: aiohttp.ClientSession, unused_tcp_port: int, mirror: Publisher
) -> None:
    mirror.url = f"http://someone:secret@127.0.0.1:{unused_tcp_port}/mirror"
    async with opened(tmp_path, mirror, session) as api:
        status, error = await begin(api)
        assert (status, error["error"]) == (503, "releases_unreachable")
        assert f"127.0.0.1:{unused_tcp_port}/mirror" in error["message"] and "secret" not in error["message"]


async def test_listings_are_asked_for_once_in_a_while(api: Api, mirror: Publisher) -> None:
    mirror.publish("4.2.3")
    for _ in range(5):
        assert (await api.get("/api/engines/most_recent_version?engine=tooled"))[0] == 200
    assert (mirror.count("/"), mirror.count("/Blender4.2/")) == (1, 1)


# Installing


async def test_a_version_is_installed_listed_used_and_removed(api: Api, mirror: Publisher, tmp_path: Path) -> None:
    mirror.publish("4.2.3")
    mirror.gate.clear()
    status, view = await begin(api, "4.2")
    assert (status, view["version"], view["state"]) == (202, "4.2.3", "waiting")
    while (await api.get("/api/engines/tooled"))[1]["downloads"][0]["state"] != "downloading":
        await asyncio.sleep(0.02)
    mirror.gate.set()
    assert await settled(api, "4.2.3") is None
    assert engines(tmp_path) == ["4.2.3"]
    folder = tmp_path / "storage" / "engines" / "tooled" / "4.2.3" / "files" / "blender-4.2.3-linux-x64"
    assert (folder / "lib" / "b.so").readlink() == Path("ballast")
    _, view = await api.get("/api/engines/tooled")
    assert view["available"] and view["versions"] == [{"version": "4.2.3", "source": "managed"}]
    assert (await begin(api, "4.2.3"))[1]["state"] == "installed"
    assert (await api.get("/api/engines/download_available?engine=tooled"))[1]["installed"] is True
    status, job = await api.post("/api/add_job", json={"renderer": "tooled", "renderer_version": "4"})
    assert status == 200 and job["renderer_version"] == "4"
    assert (await api.until(job["id"]))["status"] == "finished"
    assert (await api.get(f"/api/jobs/{job['id']}/download?filename=out.txt"))[1] == "4.2.3\n"
    assert "[zeus] version: tooled 4.2.3 (managed)\n" in (await api.get(f"/api/jobs/{job['id']}/logs"))[1]
    status, view = await api.post("/api/engines/delete", json={"engine": "tooled", "version": "4.2.3"})
    assert status == 200 and view["versions"] == [] and not view["available"]
    assert engines(tmp_path) == [] and list((tmp_path / "storage" / "trash").iterdir()) == []
    status, error = await api.post("/api/engines/delete", json={"engine": "tooled", "version": "4.2.3"})
    assert (status, error["error"]) == (404, "version_not_found")


async def test_two_requests_for_the_same_make_one_download(api: Api, mirror: Publisher) -> None:
    path = mirror.publish("4.2.3")
    mirror.gate.clear()
    answers = await asyncio.gather(*(begin(api, wish) for wish in ("4.2.3", "4.2", "latest", "lts")))
    assert [status for status, _ in answers] == [202] * 4
    assert len((await api.get("/api/engines/tooled"))[1]["downloads"]) == 1
    status, error = await api.post("/api/engines/delete", json={"engine": "tooled", "version": "4.2.3"})
    assert (status, error["error"]) == (409, "version_in_use")
    mirror.gate.set()
    assert await settled(api, "4.2.3") is None and mirror.count(path) == 1


async def test_only_a_few_are_fetched_at_a_time(api: Api, mirror: Publisher) -> None:
    found = [f"4.2.{number}" for number in range(4)]
    paths = [mirror.publish(version) for version in found]
    mirror.gate.clear()
    for version in found:
        await begin(api, version)
    while sum(map(mirror.count, paths)) < 2:
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.3)
    states = [each["state"] for each in (await api.get("/api/engines/tooled"))[1]["downloads"]]
    assert sorted(states) == ["downloading", "downloading", "waiting", "waiting"]
    mirror.gate.set()
    for version in found:
        assert await settled(api, version) is None


async def test_a_connection_that_is_cut_is_resumed_where_it_broke(api: Api, mirror: Publisher) -> None:
    path = mirror.publish("4.2.3")
    mirror.cuts[path] = [100, 0, 100]
    await installed(api, "4.2.3")
    assert [each[1] for each in mirror.asked if each[0] == path] == [None, "bytes=100-", "bytes=100-", "bytes=200-"]


async def test_a_server_without_ranges_sends_it_all_again(api: Api, mirror: Publisher) -> None:
    path = mirror.publish("4.2.3")
    mirror.cuts[path], mirror.ranges = [200], False
    await installed(api, "4.2.3")
    assert mirror.count(path) == 2


async def test_a_connection_that_breaks_at_the_same_place_again_and_again(
    api: Api, mirror: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "FIRST_DELAY", 0.01)
    path = mirror.publish("4.2.3")
    mirror.cuts[path] = [200] + [0] * 20
    assert "cannot be fetched" in await reason(api, "4.2.3")
    assert mirror.count(path) == fetching.ATTEMPTS
    [part] = engines(tmp_path)
    assert part == f".{hashlib.sha256(mirror.files[path]).hexdigest()}.part"
    mirror.cuts.clear()
    await installed(api, "4.2.3")
    assert mirror.asked[-1] == (path, "bytes=200-") and engines(tmp_path) == ["4.2.3"]


# Removing


async def test_a_version_in_use_stays(api: Api, mirror: Publisher, tmp_path: Path) -> None:
    mirror.publish("4.2.3")
    await installed(api, "4.2.3")
    _, job = await api.post("/api/add_job", json={"renderer": "tooled", "args": {"seconds": 60}})
    await api.until(job["id"], "running")
    while not (await api.get(f"/api/jobs/{job['id']}/logs"))[1].count("version: tooled 4.2.3"):
        await asyncio.sleep(0.02)
    status, error = await api.post("/api/engines/delete", json={"engine": "tooled", "version": "4.2.3"})
    assert (status, error["error"]) == (409, "version_in_use") and engines(tmp_path) == ["4.2.3"]
    await api.post(f"/api/jobs/{job['id']}/cancel?confirm=1")
    assert (await api.post("/api/engines/delete", json={"engine": "tooled", "version": "4.2.3"}))[0] == 200


@pytest.mark.parametrize("version", ["../../jobs", "4.2.3/../4.2.3", ".", "..", "", "4.2", "latest", ".4.2.3.new"])
async def test_nothing_but_an_installed_version_is_removed(
    api: Api, mirror: Publisher, tmp_path: Path, version: str
) -> None:
    mirror.publish("4.2.3")
    await installed(api, "4.2.3")
    status, _ = await api.post("/api/engines/delete", json={"engine": "tooled", "version": version})
    assert status == (404 if version else 400) and engines(tmp_path) == ["4.2.3"]
    assert (tmp_path / "storage" / "jobs").is_dir()


async def test_what_the_machine_brings_is_left_alone(
    tmp_path: Path, session: aiohttp.ClientSession, mirror: Publisher
) -> None:
    async with opened(tmp_path, mirror, session, own="3.4.1") as api:
        status, error = await api.post("/api/engines/delete", json={"engine": "tooled", "version": "3.4.1"})
        assert (status, error["error"]) == (400, "not_managed")
        body = {"engine": "tooled", "version": "3.4.1", "system_os": "windows"}
        assert (await api.post("/api/engines/delete", json=body))[1]["error"] == "other_system"
        assert (await api.post("/api/engines/delete", json={"engine": "tooled"}))[0] == 400
        body = {"engine": "nothing", "version": "1"}
        assert (await api.post("/api/engines/delete", json=body))[1]["error"] == "engine_not_found"


# Ends and starts


async def test_a_restart_in_the_middle_resumes_what_had_come(
    tmp_path: Path, session: aiohttp.ClientSession, mirror: Publisher, spawn_node: Callable[..., NodeProcess]
) -> None:
    path = mirror.publish(
        "4.2.3", tool("4.2.3", ballast=b"".join(hashlib.sha256(bytes([n])).digest() for n in range(99)))
    )
    mirror.cuts[path] = [1000] + [0] * 20
    node = spawn_node(**settings(mirror))
    api = Api(session, await asyncio.to_thread(node.start))
    assert (await begin(api, "4.2.3"))[0] == 202
    while mirror.count(path) < 2:
        await asyncio.sleep(0.02)
    await asyncio.to_thread(node.kill)
    [part] = engines(node.folder)
    assert part.endswith(".part")
    mirror.cuts.clear()
    api = Api(session, await asyncio.to_thread(node.start))
    assert (await api.get("/api/engines/tooled"))[1]["versions"] == []
    await installed(api, "4.2.3")
    assert mirror.asked[-1] == (path, "bytes=1000-")
    assert await asyncio.to_thread(node.stop) == 0


@pytest.mark.parametrize(("failpoint", "left"), [("unpacked", []), ("placed", ["4.2.3"])])
async def test_a_crash_while_it_is_put_in_place_leaves_all_or_nothing(
    session: aiohttp.ClientSession, mirror: Publisher, spawn_node: Callable[..., NodeProcess], failpoint: str,
    left: list[str],
) -> None:  # fmt: skip
    mirror.publish("4.2.3")
    node = spawn_node(**settings(mirror))
    api = Api(session, await asyncio.to_thread(node.start, ZEUS_FAILPOINT=failpoint))
    assert (await begin(api, "4.2.3"))[0] == 202
    assert await asyncio.to_thread(node.gone) == -9
    api = Api(session, await asyncio.to_thread(node.start))
    assert [each["version"] for each in (await api.get("/api/engines/tooled"))[1]["versions"]] == left
    assert [name for name in engines(node.folder) if not name.endswith(".part")] == left
    await installed(api, "4.2.3")


async def test_a_stop_ends_a_download_at_once(
    tmp_path: Path, session: aiohttp.ClientSession, mirror: Publisher
) -> None:
    mirror.publish("4.2.3")
    mirror.gate.clear()
    async with opened(tmp_path, mirror, session) as api:
        assert (await begin(api))[0] == 202
        while (await api.get("/api/engines/tooled"))[1]["downloads"][0]["state"] != "downloading":
            await asyncio.sleep(0.02)
        stopping = time.monotonic()
    assert time.monotonic() - stopping < HANG


async def test_a_stop_ends_a_tool_that_is_being_tried(
    tmp_path: Path, session: aiohttp.ClientSession, mirror: Publisher
) -> None:
    mark = tmp_path / "started"
    script = f"#!/bin/sh\ntrap '' TERM\necho $$ > {mark}\nsleep 600\n"
    mirror.publish("4.2.3", tar({"blender-4.2.3-linux-x64/blender": script.encode()}))
    async with opened(tmp_path, mirror, session) as api:
        assert (await begin(api))[0] == 202
        while (view := (await api.get("/api/engines/tooled"))[1]["downloads"][0])["state"] != "checking":
            assert view["state"] != "failed", view
            await asyncio.sleep(0.02)
        while not await asyncio.to_thread(mark.is_file):
            await asyncio.sleep(0.02)
    assert [name for name in engines(tmp_path) if not name.endswith(".part")] == []
    with pytest.raises(ProcessLookupError):
        os.kill(int(await asyncio.to_thread(mark.read_text)), 0)


async def test_a_cancel_ends_an_unpacking_and_leaves_nothing(tmp_path: Path) -> None:
    part, aside = tmp_path / "part", tmp_path / "aside"
    many = {f"blender-4.2.3-linux-x64/lib/{number}": b"x" for number in range(5000)}
    await asyncio.to_thread(part.write_bytes, tar(many, how="w"))
    archive = Archive("linux", "x64", "", "*/blender")
    release = Release(version="4.2.3", archive=archive, file="a.tar.xz", url="", sums="")
    work = asyncio.create_task(unpack_aside(part, release, aside))
    while not await asyncio.to_thread(lambda: list(aside.glob("files/*/lib/*"))):
        assert not work.done()
        await asyncio.sleep(0.005)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert await asyncio.to_thread(lambda: list(aside.rglob("*"))) == []
