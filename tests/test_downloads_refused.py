"""What is not installed: wrong sums, hostile or broken archives, other tools, redirects, too little room."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.conftest import Api, config_for
from tests.releases import Publisher, begin, engines, installed, publisher, reason, settings, tar, tool
from zeus.api.app import Node, running_node
from zeus.downloads import fetching


@pytest.fixture
async def mirror() -> AsyncIterator[Publisher]:
    async with publisher() as made:
        yield made


@pytest.fixture
async def node(tmp_path: Path, mirror: Publisher) -> AsyncIterator[Node]:
    async with running_node(config_for(tmp_path, **settings(mirror, slots=4))) as made:
        yield made


def evil(folder: Path) -> list[Path]:
    """What an archive wrote where it must not."""
    return [*folder.rglob("evil"), *Path("/").glob("evil")]


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
