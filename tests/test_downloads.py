"""Managed versions over HTTP: found, fetched, verified, unpacked, tried and removed; and all that can go wrong."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.conftest import HANG, STUBS, Api, NodeProcess, config_for
from tests.releases import ENGINES, Publisher, publisher, tar, tool
from zeus.api.app import Node, running_node
from zeus.downloads import fetching

FOLDERS = [str(STUBS / "plugins"), str(ENGINES)]


@pytest.fixture
async def mirror() -> AsyncIterator[Publisher]:
    async with publisher() as made:
        yield made


def settings(mirror: Publisher, **more: Any) -> dict[str, Any]:
    return {"plugins": {"folders": FOLDERS}, "engines": {"tooled": {"mirror": mirror.url, **more}}}


@asynccontextmanager
async def opened(folder: Path, mirror: Publisher, session: aiohttp.ClientSession, **more: Any) -> AsyncIterator[Api]:
    async with running_node(config_for(folder, **settings(mirror, **more))) as node:
        yield Api(session, node.url)


@pytest.fixture
async def node(tmp_path: Path, mirror: Publisher) -> AsyncIterator[Node]:
    async with running_node(config_for(tmp_path, **settings(mirror, slots=4))) as made:
        yield made


async def begin(api: Api, version: str = "latest") -> tuple[int, Any]:
    return await api.post("/api/engines/download", params={"engine": "tooled", "version": version})


async def settled(api: Api, version: str) -> dict[str, Any] | None:
    """Wait until a version is installed: None; or failed to be: how."""
    deadline = time.monotonic() + HANG
    while time.monotonic() < deadline:
        _, view = await api.get("/api/engines/tooled")
        coming = {each["version"]: each for each in view["downloads"]}
        if version in [each["version"] for each in view["versions"] if each["source"] == "managed"]:
            assert version not in coming
            return None
        if coming.get(version, {}).get("state") == "failed":
            return coming[version]
        await asyncio.sleep(0.02)
    raise AssertionError(f"{version} neither comes nor fails")


async def installed(api: Api, version: str) -> None:
    status, view = await begin(api, version)
    assert status == 202, view
    assert await settled(api, version) is None


async def reason(api: Api, version: str) -> str:
    """Why a version that is wished for cannot be installed; nothing of it is left then."""
    status, view = await begin(api, version)
    assert status == 202, view
    failed = await settled(api, version)
    assert failed is not None and failed["reason"]
    return str(failed["reason"])


def engines(folder: Path) -> list[str]:
    """What lies in the engine's storage folder."""
    return sorted(path.name for path in (folder / "storage" / "engines").glob("tooled/*"))


def evil(folder: Path) -> list[Path]:
    """What an archive wrote where it must not."""
    return [*folder.rglob("evil"), *Path("/").glob("evil")]


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
    status, error = await begin(api, "x" * 5000)
    assert status == 404 and len(error["message"]) < 400


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


# What is refused


async def test_a_wrong_hash(api: Api, mirror: Publisher, tmp_path: Path) -> None:
    path = mirror.publish("4.2.3", sha256="1" * 64)
    said = await reason(api, "4.2.3")
    assert "1" * 64 in said and hashlib.sha256(mirror.files[path]).hexdigest() in said
    assert engines(tmp_path) == []
    assert (await api.get("/api/engines/tooled"))[1]["versions"] == []
    mirror.publish("4.2.3")
    await installed(api, "4.2.3")


@pytest.mark.parametrize(
    "sums", [None, b"", b"<html>not here</html>", b"f" * 64 + b"  blender-4.2.30-linux-x64.tar.xz"]
)
async def test_a_missing_hash(api: Api, mirror: Publisher, tmp_path: Path, sums: bytes | None) -> None:
    path = mirror.publish("4.2.3")
    del mirror.files["/Blender4.2/blender-4.2.3.sha256"]
    if sums is not None:
        mirror.files["/Blender4.2/blender-4.2.3.sha256"] = sums
    assert ("404" if sums is None else "No sha256 is published") in await reason(api, "4.2.3")
    assert mirror.count(path) == 0 and engines(tmp_path) == []


FOLDER = "blender-4.2.3-linux-x64"
GOOD = {f"{FOLDER}/blender": b"#!/bin/sh\necho Blender 4.2.3\n"}
BAD_ARCHIVES = {
    "out of the folder": (tar({**GOOD, "../../../evil": b"x"}), "leads out of its folder"),
    "absolute": (tar({**GOOD, "/evil": b"x"}), "absolute"),
    "a link out": (tar({**GOOD, f"{FOLDER}/lib@": b"../../../../.."}), "leads out of the archive"),
    "through a link": (tar({f"{FOLDER}/lib@": b"/etc", f"{FOLDER}/lib/passwd": b"x"}), "cannot be unpacked"),
    "a bomb": (tar({**GOOD, f"{FOLDER}/zeros": bytes(64 << 20)}), "times its size"),
    "cut short": (tar(GOOD)[:-40], "cannot be unpacked"),
    "no archive": (b"<html>Please sign in</html>", "cannot be unpacked"),
    "no tool": (tar({f"{FOLDER}/blende": b"x"}), "does not hold one */blender"),
    "two tools": (tar({**GOOD, "b/blender": b"x"}), "does not hold one */blender"),
    "the tool is a link": (tar({"a/c": b"x", "a/blender@": b"c"}), "does not hold one */blender"),
    "another version": (tool("4.2.3", says="4.2.4"), "holds version 4.2.4, not 4.2.3"),
    "a tool that fails": (tool("4.2.3", code=3), "exit code 3"),
    "a tool that cannot run": (tar({f"{FOLDER}/blender": b"\x7fELF no machine's"}), "does not run on this machine"),
    "a tool that says nothing": (tar({f"{FOLDER}/blender": b"#!/bin/sh\n"}), "does not tell its version"),
}


@pytest.mark.parametrize(("archive", "why"), BAD_ARCHIVES.values(), ids=BAD_ARCHIVES)
async def test_archives_that_are_not_taken(
    api: Api, mirror: Publisher, tmp_path: Path, archive: bytes, why: str
) -> None:
    mirror.publish("4.2.3", archive)
    said = await reason(api, "4.2.3")
    assert why in said and str(tmp_path) not in said
    assert engines(tmp_path) == [] and evil(tmp_path) == []
    assert (await api.get("/api/engines/tooled"))[1]["versions"] == []


async def test_a_redirect_to_plain_http_is_refused(api: Api, mirror: Publisher) -> None:
    path = mirror.publish("4.2.3")
    mirror.redirects[path] = f"{mirror.url}/elsewhere/file.xz"
    mirror.files["/elsewhere/file.xz"] = mirror.files[path]
    said = await reason(api, "4.2.3")
    assert "which is not https" in said and mirror.count("/elsewhere/file.xz") == 0
    mirror.redirects[path] = "file:///etc/passwd"
    assert "which is not https" in await reason(api, "4.2.3")


async def test_a_redirect_to_https_is_followed(
    api: Api, mirror: Publisher, unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "FIRST_DELAY", 0.01)
    greetings: list[bytes] = []

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        greetings.append(await reader.read(3))
        writer.close()

    path = mirror.publish("4.2.3")
    mirror.redirects[path] = f"https://127.0.0.1:{unused_tcp_port}/file.xz"
    async with await asyncio.start_server(greet, "127.0.0.1", unused_tcp_port):
        assert "cannot be fetched: the connection was closed" in await reason(api, "4.2.3")
    assert greetings and greetings[0][:2] == b"\x16\x03", "a TLS handshake"


async def test_redirects_in_a_circle(api: Api, mirror: Publisher) -> None:
    mirror.publish("4.2.3")
    mirror.redirects["/Blender4.2/"] = "/Blender4.2/"
    status, error = await begin(api)
    assert (status, error["error"]) == (503, "releases_unreachable")


async def test_more_than_fits_on_the_disk_is_not_fetched(
    api: Api, mirror: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = mirror.publish("4.2.3")
    usage = fetching.shutil.disk_usage
    size = len(mirror.files[path])
    monkeypatch.setattr(fetching.shutil, "disk_usage", lambda folder: usage(folder)._replace(free=size * 2))
    assert "disk is full" in await reason(api, "4.2.3")
    monkeypatch.undo()
    await installed(api, "4.2.3")


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


# Wishes of jobs


async def test_a_wish_is_held_against_what_is_installed(
    tmp_path: Path, session: aiohttp.ClientSession, mirror: Publisher
) -> None:
    for version in ("4.2.3", "4.5.1", "5.0.0"):
        mirror.publish(version)
    async with opened(tmp_path, mirror, session, own="3.4.1") as api:
        for version in ("4.2.3", "5.0.0"):
            await installed(api, version)
        used = {}
        for wish in ("latest", "lts", "4", "5.0.0", "3.4"):
            status, job = await api.post(
                "/api/add_job", json={"renderer": "tooled", "renderer_version": wish, "max_attempts": 1}
            )
            assert status == 200, job
            job = await api.until(job["id"])
            log = (await api.get(f"/api/jobs/{job['id']}/logs"))[1]
            used[wish] = log.partition("version: tooled ")[2].partition(" (")[0]
            assert job["renderer_version"] == wish
        assert used == {"latest": "3.4.1", "lts": "4.2.3", "4": "4.2.3", "5.0.0": "5.0.0", "3.4": "3.4.1"}
        for wish in ("4.5", "4.2.4", "nothing", "42"):
            body = {"renderer": "tooled", "renderer_version": wish}
            status, error = await api.post("/api/add_job", json=body)
            assert (status, error["error"]) == (400, "unknown_version")
            assert wish in error["message"] and "3.4.1, 5.0.0, 4.2.3" in error["message"]
            assert (await api.post("/api/add_job?dry_run=1", json=body))[0] == 400
        status, error = await api.post("/api/add_job", json=[{"renderer": "tooled"}, body])
        assert error["message"].startswith("Job 1 of the list: renderer_version")


async def test_what_a_job_needs_is_installed_for_it(
    tmp_path: Path, session: aiohttp.ClientSession, mirror: Publisher
) -> None:
    mirror.publish("4.2.3")
    mirror.publish("5.0.0")
    async with opened(tmp_path, mirror, session, auto_install=True, slots=2) as api:
        assert (await api.get("/api/engines/tooled"))[1]["available"] is True
        mirror.gate.clear()
        jobs = []
        for wish in ("4.2", "lts"):
            status, job = await api.post("/api/add_job", json={"renderer": "tooled", "renderer_version": wish})
            assert status == 200, job
            jobs.append(job["id"])
        while not (await api.get("/api/engines/tooled"))[1]["downloads"]:
            await asyncio.sleep(0.02)
        mirror.gate.set()
        for job_id in jobs:
            assert (await api.until(job_id))["status"] == "finished"
            assert (await api.get(f"/api/jobs/{job_id}/download?filename=out.txt"))[1] == "4.2.3\n"
        assert mirror.count("/Blender4.2/blender-4.2.3-linux-x64.tar.xz") == 1
        status, job = await api.post("/api/add_job", json={"renderer": "tooled"})
        assert (await api.until(job["id"]))["status"] == "finished"
        assert mirror.count("/Blender5.0/blender-5.0.0-linux-x64.tar.xz") == 0, "latest is what is here"
        status, error = await api.post("/api/add_job", json={"renderer": "tooled", "renderer_version": "6"})
        assert (status, error["error"]) == (400, "unknown_version") and "5.0, 4.2" in error["message"]


async def test_the_first_job_of_all_brings_the_newest(
    tmp_path: Path, session: aiohttp.ClientSession, mirror: Publisher
) -> None:
    mirror.publish("4.2.3")
    mirror.publish("5.0.0")
    async with opened(tmp_path, mirror, session, auto_install=True) as api:
        status, job = await api.post("/api/add_job", json={"renderer": "tooled"})
        assert status == 200, job
        assert (await api.until(job["id"]))["status"] == "finished" and engines(tmp_path) == ["5.0.0"]


async def test_a_version_that_cannot_be_installed_fails_its_job(
    tmp_path: Path, session: aiohttp.ClientSession, mirror: Publisher
) -> None:
    path = mirror.publish("4.2.3", sha256="1" * 64)
    async with opened(tmp_path, mirror, session, auto_install=True) as api:
        _, job = await api.post("/api/add_job", json={"renderer": "tooled"})
        job = await api.until(job["id"])
        assert (job["status"], job["error"]["code"], job["attempt"]) == ("failed", "install_failed", 1)
        assert "1" * 64 in job["error"]["message"] and mirror.count(path) == 1
        mirror.statuses["/"] = 404
        status, _ = await api.post("/api/add_job", json={"renderer": "tooled", "renderer_version": "4.2"})
        assert status == 200, "the listing is fresh enough"


async def test_a_version_that_went_meanwhile_fails_its_job(api: Api, mirror: Publisher) -> None:
    mirror.publish("4.2.3")
    await installed(api, "4.2.3")
    body = {"renderer": "tooled", "renderer_version": "4.2", "not_before": "2099-01-01T00:00:00Z"}
    _, first = await api.post("/api/add_job", json={"renderer": "noop", "args": {"seconds": 0.5}})
    status, job = await api.post(
        "/api/add_job", json={"renderer": "tooled", "renderer_version": "4.2", "depends_on": [first["id"]]}
    )
    assert status == 200, (job, body)
    assert (await api.post("/api/engines/delete", json={"engine": "tooled", "version": "4.2.3"}))[0] == 200
    job = await api.until(job["id"])
    assert (job["status"], job["error"]["code"], job["attempt"]) == ("failed", "unknown_version", 1)


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
