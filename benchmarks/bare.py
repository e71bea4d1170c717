"""The bare aiohttp server: what the same answers cost with nothing behind them. Run as `bare.py TEMPLATE.json`."""

from __future__ import annotations

import asyncio
import sys
import uuid
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web


class Bare:
    """Jobs in a dictionary; every answer is encoded anew."""

    def __init__(self, template: dict[str, Any]) -> None:
        self._template = template
        self._jobs: dict[str, dict[str, Any]] = {}
        self._revision = 0
        self._changed = asyncio.Event()

    async def job(self, request: web.Request) -> web.Response:
        found = self._jobs.get(request.match_info["job_id"])
        return _json(found) if found is not None else web.Response(status=404)

    async def add(self, request: web.Request) -> web.Response:
        body = msgspec.json.decode(await request.read())
        made = [self._made(each) for each in (body if isinstance(body, list) else [body])]
        self._wake()
        return _json(made if isinstance(body, list) else made[0])

    async def jobs(self, request: web.Request) -> web.Response:
        return _json({"jobs": list(self._jobs.values()), "token": str(self._revision)})

    async def long_poll(self, request: web.Request) -> web.Response:
        if request.query.get("token") == str(self._revision):
            await self._changed.wait()
        return await self.jobs(request)

    async def priority(self, request: web.Request) -> web.Response:
        found = self._jobs[request.match_info["job_id"]]
        found["priority"] = int(request.query["value"])
        self._wake()
        return _json(found)

    def _made(self, sent: dict[str, Any]) -> dict[str, Any]:
        job_id = str(uuid.uuid4())
        made = {**self._template, "id": job_id, "job_id": job_id, "name": sent["name"], "args": sent["args"]}
        self._jobs[job_id] = made
        return made

    def _wake(self) -> None:
        self._revision += 1
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


def _json(value: Any) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")


async def main(template: dict[str, Any]) -> None:
    bare = Bare(template)
    app = web.Application(client_max_size=1 << 24)
    app.router.add_get("/api/jobs", bare.jobs)
    app.router.add_get("/api/jobs/long_poll", bare.long_poll)
    app.router.add_get("/api/jobs/{job_id}", bare.job)
    app.router.add_post("/api/jobs/{job_id}/priority", bare.priority)
    app.router.add_post("/api/add_job", bare.add)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=512).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(msgspec.json.decode(Path(sys.argv[1]).read_bytes())))
