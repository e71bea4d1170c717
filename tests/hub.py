"""A server that speaks the hub's file protocol as huggingface.co does, and misbehaves as it is told."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

LARGE = 2048
"""Bytes from which on a file is stored apart, known by its sha256."""


def sha1(data: bytes) -> str:
    """The name that git gives a blob."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Hub:
    """Repositories by name, each a mapping of commits to files, and what happens to requests."""

    def __init__(self) -> None:
        self.repositories: dict[str, dict[str, dict[str, bytes]]] = {}
        self.asked: list[tuple[str, str | None]] = []
        """Each request's path and Range."""
        self.tokens: set[str | None] = set()
        """What requests said in Authorization."""
        self.statuses: dict[str, int] = {}
        """By the end of a path: what is answered instead."""
        self.cuts: dict[str, list[int]] = {}
        """By the end of a path: the bytes after which the next answers are cut off."""
        self.wrong: dict[str, bytes] = {}
        """By the end of a path: what is sent instead, with the sums of what was published."""
        self.sizes: dict[str, int] = {}
        """By path: what the list says of a file's size."""
        self.ranges = True
        self.gate = asyncio.Event()
        """When it is cleared, the second half of a large file is sent once it is set."""
        self.gate.set()
        self.url = ""

    def publish(self, repository: str, files: dict[str, bytes]) -> str:
        """Make these files the newest commit of a repository; which that is."""
        commit = sha1(repr(sorted(files.items())).encode())
        self.repositories.setdefault(repository, {})[commit] = files
        return commit

    def publish_folder(self, repository: str, folder: Path) -> str:
        found = (path for path in folder.rglob("*") if path.is_file())
        return self.publish(repository, {str(path.relative_to(folder)): path.read_bytes() for path in found})

    def ranges_of(self, end: str) -> list[str | None]:
        """The Range of each request whose path ends so."""
        return [asked for path, asked in self.asked if path.endswith(end)]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.path, request.headers.get("Range")))
        self.tokens.add(request.headers.get("Authorization"))
        if (status := _by_end(self.statuses, request.path)) is not None:
            return web.Response(status=status)
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/revision/([^/]+)", request.path):
            return self._listing(match[1], match[2])
        if match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", request.path):
            return await self._resolve(request, *match.groups())
        if match := re.fullmatch(r"/lfs/([^/]+/[^/]+)/([^/]+)/(.+)", request.path):
            return await self._send(request, self.repositories[match[1]][match[2]][match[3]])
        return web.Response(status=404)

    def _commit(self, repository: str, revision: str) -> str | None:
        commits = self.repositories.get(repository, {})
        if revision == "main" and commits:
            return [*commits][-1]
        return revision if revision in commits else None

    def _listing(self, repository: str, revision: str) -> web.Response:
        commit = self._commit(repository, revision)
        if commit is None:
            return web.Response(status=404, headers={"X-Error-Code": "RevisionNotFound"})
        files = self.repositories[repository][commit]
        siblings = [self._sibling(path, data) for path, data in files.items()]
        return web.json_response({"id": repository, "sha": commit, "siblings": siblings})

    def _sibling(self, path: str, data: bytes) -> dict[str, Any]:
        size = self.sizes.get(path, len(data))
        told: dict[str, Any] = {"rfilename": path, "size": size, "blobId": sha1(data)}
        if len(data) >= LARGE:
            told["lfs"] = {"size": size, "sha256": sha256(data), "pointerSize": 130}
        return told

    async def _resolve(self, request: web.Request, repository: str, revision: str, path: str) -> web.StreamResponse:
        commit = self._commit(repository, revision)
        if commit is None or path not in self.repositories[repository][commit]:
            return web.Response(status=404, headers={"X-Error-Code": "EntryNotFound"})
        data = self.repositories[repository][commit][path]
        if len(data) < LARGE:
            return await self._send(request, data, ETag=f'"{sha1(data)}"', **{"X-Repo-Commit": commit})
        linked = {"X-Repo-Commit": commit, "X-Linked-Size": str(len(data)), "X-Linked-Etag": f'"{sha256(data)}"'}
        return web.Response(status=302, headers={**linked, "Location": f"/lfs/{repository}/{commit}/{path}"})

    async def _send(self, request: web.Request, data: bytes, **headers: str) -> web.StreamResponse:
        data = _by_end(self.wrong, request.path) or data
        start, status = 0, 200
        asked = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
        if asked and self.ranges:
            start, status = int(asked[1]), 206
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        response = web.StreamResponse(status=status, headers=headers)
        response.content_length = len(data) - start
        await response.prepare(request)
        if cuts := _by_end(self.cuts, request.path):
            await response.write(data[start : start + cuts.pop(0)])
            await asyncio.sleep(0.1)
            assert request.transport is not None
            request.transport.close()
            return response
        middle = max(start, len(data) // 2)
        await response.write(data[start:middle])
        if len(data) >= LARGE:
            await self.gate.wait()
        await response.write(data[middle:])
        return response


def _by_end(told: dict[str, Any], path: str) -> Any:
    return next((value for end, value in told.items() if path.endswith(end)), None)


@asynccontextmanager
async def serving() -> AsyncIterator[Hub]:
    """A hub at a free port of this machine."""
    hub = Hub()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", hub.answer)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    hub.url = f"http://127.0.0.1:{port}"
    try:
        yield hub
    finally:
        hub.gate.set()
        await runner.cleanup()
