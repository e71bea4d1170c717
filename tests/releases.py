"""A server that publishes versions as Blender and FFmpeg are published, and misbehaves as it is told; and nodes with an
engine whose versions are published there."""

from __future__ import annotations

import asyncio
import hashlib
import io
import re
import tarfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from tests.conftest import HANG, STUBS, Api, config_for
from zeus.api.app import running_node

ENGINES = Path(__file__).parent / "stubs" / "engines"
TOOL = """#!/bin/sh
test "$1" = --version && echo "Blender {says}" && exit {code}
sleep "$1"
echo {says} > "$2"
"""


def tar(files: Mapping[str, bytes], *, how: str = "w:xz") -> bytes:
    """An archive of executable files; a name that ends in "@" is a link to what its content says."""
    buffer = io.BytesIO()
    with tarfile.open(mode=how, fileobj=buffer) as made:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name.removesuffix("@"))
            member.mode = 0o755
            if name.endswith("@"):
                member.type, member.linkname = tarfile.SYMTYPE, content.decode()
                made.addfile(member)
            else:
                member.size = len(content)
                made.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def tool(version: str, *, says: str | None = None, code: int = 0, ballast: bytes = b"") -> bytes:
    """An archive with a tool that runs and says its version, or another one."""
    folder = f"blender-{version}-linux-x64"
    script = TOOL.format(says=says or version, code=code).encode()
    return tar({f"{folder}/blender": script, f"{folder}/lib/ballast": ballast, f"{folder}/lib/b.so@": b"ballast"})


class Publisher:
    """What is published, by path, and what happens to requests."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[tuple[str, str | None]] = []
        """Each request's path and Range."""
        self.cuts: dict[str, list[int]] = {}
        """By path: the bytes after which the next answers are cut off."""
        self.statuses: dict[str, int] = {}
        self.redirects: dict[str, str] = {}
        self.ranges = True
        self.gate = asyncio.Event()
        """Archives are sent once it is set."""
        self.gate.set()
        self.url = ""

    def publish(self, version: str, archive: bytes | None = None, *, sha256: str | None = None) -> str:
        """Publish a version as Blender does; the archive's path."""
        series = ".".join(version.split(".")[:2])
        archive = tool(version) if archive is None else archive
        name, folder = f"blender-{version}-linux-x64.tar.xz", f"/Blender{series}/"
        self.files[folder + name] = archive
        lines = (
            f"{sha256 or hashlib.sha256(archive).hexdigest()}  {name}\n{'0' * 64}  blender-{version}-windows-x64.zip\n"
        )
        self.files[f"{folder}blender-{version}.sha256"] = lines.encode()
        return folder + name

    def count(self, path: str) -> int:
        """How often something was asked for."""
        return sum(path == asked for asked, _ in self.asked)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        self.asked.append((path, request.headers.get("Range")))
        if path in self.redirects:
            raise web.HTTPFound(self.redirects[path])
        if path in self.statuses:
            return web.Response(status=self.statuses[path])
        if path in self.files:
            return await self._send(request, self.files[path])
        names = {match[1] for each in self.files if (match := re.match(rf"{re.escape(path)}([^/]+/?)", each))}
        if not path.endswith("/") or not names:
            return web.Response(status=404)
        rows = "".join(f'<a href="{name}">{name}</a>  2024-10-15 10:00  -\n' for name in sorted(names))
        page = f'<h1>Index of {path}</h1><pre><a href="?C=N;O=D">Name</a>\n<a href="../">../</a>\n{rows}</pre>'
        return web.Response(text=page, content_type="text/html")

    async def _send(self, request: web.Request, data: bytes) -> web.StreamResponse:
        if request.path.endswith((".xz", ".zip")):
            await self.gate.wait()
        start, status, headers = 0, 200, {}
        asked = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
        if asked and self.ranges:
            start, status = int(asked[1]), 206
            if start >= len(data):
                return web.Response(status=416, headers={"Content-Range": f"bytes */{len(data)}"})
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        response = web.StreamResponse(status=status, headers=headers)
        response.content_length = len(data) - start
        await response.prepare(request)
        cuts = self.cuts.get(request.path, [])
        if cuts:
            await response.write(data[start : start + cuts.pop(0)])
            await asyncio.sleep(0.1)
            assert request.transport is not None
            request.transport.close()
            return response
        await response.write(data[start:])
        return response


@asynccontextmanager
async def publisher() -> AsyncIterator[Publisher]:
    """A publisher at a port of its own."""
    made = Publisher()
    app = web.Application()
    app.router.add_get("/{path:.*}", made.answer)
    runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        made.url = str(runner.addresses and f"http://127.0.0.1:{runner.addresses[0][1]}")
        yield made
    finally:
        made.gate.set()
        await runner.cleanup()


FOLDERS = [str(STUBS / "plugins"), str(ENGINES)]


def settings(mirror: Publisher, **more: Any) -> dict[str, Any]:
    return {"plugins": {"folders": FOLDERS}, "engines": {"tooled": {"mirror": mirror.url, **more}}}


@asynccontextmanager
async def opened(folder: Path, mirror: Publisher, session: aiohttp.ClientSession, **more: Any) -> AsyncIterator[Api]:
    async with running_node(config_for(folder, **settings(mirror, **more))) as node:
        yield Api(session, node.url)


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
