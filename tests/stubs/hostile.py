"""A node that lies: it takes jobs as an open node does, and answers what cannot be, each kind in its own way."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

GOOD = b"frame 1"
KINDS = {
    "digest": "frame_0001.txt is not what it should be",
    "longer": "The server sends more than the 7 bytes",
    "shorter": "frame_0001.txt is not what it should be",
    "range": "a part of the file that was not asked for",
    "climbing": "of a name that no output may have",
    "hidden": "of a name that no output may have",
    "longname": "whose name is too long",
    "twice": "It lists a file twice",
    "frame": "It made frame 99, which it was not asked for",
    "empty": "without its size or its sha256",
    "percent": "999999 % done",
    "status": "says that the job is dancing",
    "nothing": "has not made frame 1",
    "crowd": "more than 16777216 bytes",
    "endless": "more than 4194304 bytes",
    "other": "another job than it was asked about",
    "id": "gives a job an id that cannot be",
    "garbage": "not one of Zeus's API",
    "forgets": "does not know the job any more",
    "breaks": "refused: Something went wrong",
    "picky": "args.seconds is not to my taste",
}
"""What each says of itself to be wrong in, and what is said of it."""


class Hostile:
    """One such node."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.id = str(uuid.uuid4())
        self.job_id = str(uuid.uuid4())
        self.taken = 0
        self.deleted = 0

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/api/nodes/prove", self.prove)
        app.router.add_get("/api/nodes/self", self.portrait)
        app.router.add_post("/api/add_job", self.add)
        app.router.add_get("/api/jobs", self.jobs)
        app.router.add_get("/api/jobs/long_poll", self.poll)
        app.router.add_get("/api/jobs/{id}", self.job)
        app.router.add_get("/api/jobs/{id}/files", self.files)
        app.router.add_get("/api/jobs/{id}/logs", self.logs)
        app.router.add_get("/api/jobs/{id}/frames", self.frames)
        app.router.add_get("/api/jobs/{id}/download", self.download)
        app.router.add_post("/api/jobs/{id}/delete", self.delete)
        return app

    async def prove(self, request: web.Request) -> web.Response:
        return web.json_response({"id": self.id, "name": self.kind, "open": True, "proof": None})

    async def portrait(self, request: web.Request) -> web.Response:
        status = {
            "timestamp": "now", "system_os": "linux", "system_os_version": "1", "cpu_brand": "x", "cpu_count": 1,
            "cpu_percent": 0.0, "memory_total": 1, "memory_available": 1, "memory_percent": 0.0, "gpus": [],
            "disk": {"total": 1, "free": 1}, "job_counts": {}, "hostname": self.kind, "port": 1, "app_version": "1",
            "api_version": "0.1",
        }  # fmt: skip
        engines = {"frames": {"available": True, "slots": 4, "free": 4}}
        return web.json_response(
            {
                "id": self.id,
                "name": self.kind,
                "start": "a",
                "status": status,
                "engines": engines,
                "slots": 4,
                "free": 4,
            }
        )

    def view(self) -> dict[str, Any]:
        return {
            "id": "another" if self.kind == "other" else self.job_id, "job_id": self.job_id, "name": "a",
            "renderer": "frames", "renderer_version": "latest",
            "status": "dancing" if self.kind == "status" else "finished",
            "percent_complete": 999999 if self.kind == "percent" else 100, "handled_by": self.kind, "node": self.kind,
            "start_frame": 1, "end_frame": 3, "total_frames": 3, "completed_frames": 3, "args": {},
            "enable_split_jobs": False, "parent": None, "children": [], "priority": 50, "depends_on": [],
            "attempt": 1, "date_created": "now", "start_time": None, "end_time": None, "eta_seconds": None,
            "error": None, "file_count": 3, "revision": 1,
        }  # fmt: skip

    async def add(self, request: web.Request) -> web.Response:
        self.taken += 1
        if self.kind == "picky":
            answer = {"error": "invalid_args", "message": "args.seconds is not to my taste"}
            return web.json_response(answer, status=400)
        return web.json_response({**self.view(), "id": "../../escape" if self.kind == "id" else self.job_id})

    async def jobs(self, request: web.Request) -> web.Response:
        return web.json_response({"jobs": [], "token": "a.b.1"})

    async def poll(self, request: web.Request) -> web.Response:
        await asyncio.sleep(1)
        return web.Response(status=204)

    async def job(self, request: web.Request) -> web.StreamResponse:
        if self.kind == "endless":
            return await endless(request, b" " * 65536)
        if self.kind == "garbage":
            return web.json_response([{"a": 1}])
        if self.kind == "breaks":
            return web.json_response({"error": "internal_error", "message": "Something went wrong"}, status=500)
        if self.kind == "forgets":
            return web.json_response({"error": "job_not_found", "message": "Which job?"}, status=404)
        return web.json_response(self.view())

    async def files(self, request: web.Request) -> web.StreamResponse:
        if self.kind == "nothing":
            return web.json_response([])
        file: dict[str, Any] = {
            "name": "frame_0001.txt", "size": len(GOOD), "sha256": hashlib.sha256(GOOD).hexdigest(), "frame": 1,
            "seconds": 1.0,
        }  # fmt: skip
        wrong: dict[str, dict[str, Any]] = {
            "digest": {"sha256": "0" * 64},
            "shorter": {"size": 8},
            "climbing": {"name": "../../../evil.txt"},
            "hidden": {"name": ".evil"},
            "longname": {"name": "a" * 181},
            "frame": {"frame": 99},
            "empty": {"size": 0},
        }
        file |= wrong.get(self.kind, {})
        if self.kind == "crowd":
            return await endless(request, b"".join(json.dumps(file).encode() + b"," for _ in range(400)), b"[")
        return web.json_response([file, file] if self.kind == "twice" else [file])

    async def logs(self, request: web.Request) -> web.StreamResponse:
        if self.kind == "nothing":
            return await endless(request, b"\xff lies \x1b[2J\n" * 4096, status=206)
        return web.Response(status=416)

    async def frames(self, request: web.Request) -> web.Response:
        return web.json_response({"frames": [], "total": 3})

    async def download(self, request: web.Request) -> web.StreamResponse:
        if self.kind == "longer":
            return await endless(request, GOOD)
        if self.kind == "range":
            return web.Response(status=206, body=GOOD, headers={"ETag": '"other"'})
        return web.Response(body=GOOD)

    async def delete(self, request: web.Request) -> web.Response:
        self.deleted += 1
        return web.json_response({"error": "job_not_found", "message": "Which job?"}, status=404)


async def endless(request: web.Request, block: bytes, start: bytes = b"", status: int = 200) -> web.StreamResponse:
    """An answer that goes on for as long as anybody reads it."""
    response = web.StreamResponse(status=status)
    await response.prepare(request)
    with contextlib.suppress(ConnectionError):
        await response.write(start)
        while True:
            await response.write(block)
            await asyncio.sleep(0)
    return response


@asynccontextmanager
async def hostile_node(kind: str) -> AsyncIterator[tuple[Hostile, str]]:
    """Such a node, and its URL."""
    node = Hostile(kind)
    runner = web.AppRunner(node.app(), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield node, f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
