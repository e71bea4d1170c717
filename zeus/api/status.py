"""The node itself: its pulse and its machine."""

from __future__ import annotations

import time

from aiohttp import web

import zeus as package
from zeus import machine
from zeus.api.errors import API_VERSION
from zeus.api.keys import ADDRESS, ZEUS
from zeus.api.responses import json_response
from zeus.api.views import time_text
from zeus.errors import NotReady
from zeus.wire import DiskView, GpuView, StatusView


async def heartbeat(request: web.Request) -> web.Response:
    return web.Response(text=time_text(time.time()))


async def healthz(request: web.Request) -> web.Response:
    """Liveness: the loop turns."""
    return web.Response(text="ok")


async def readyz(request: web.Request) -> web.Response:
    """Readiness: the database can be read, and the node is not on its way out. Raises NotReady."""
    zeus = request.app[ZEUS]
    if zeus.failed.done() or zeus.feed.closed:
        raise NotReady("The node is shutting down.")
    await zeus.jobs.counts()
    return web.Response(text="ready")


async def status(request: web.Request) -> web.Response:
    return json_response(await status_view(request))


async def status_view(request: web.Request) -> StatusView:
    """The node as it is now."""
    zeus = request.app[ZEUS]
    seen = await machine.look(zeus.files.root)
    taken = zeus.catalog.gpus(zeus.config.node.name)
    return StatusView(
        timestamp=time_text(time.time()) or "",
        system_os=seen.system_os,
        system_os_version=seen.system_os_version,
        cpu_brand=seen.cpu_brand,
        cpu_count=seen.cpu_count,
        cpu_percent=seen.cpu_percent,
        memory_total=seen.memory_total,
        memory_available=seen.memory_available,
        memory_percent=seen.memory_percent,
        gpus=[
            GpuView(name=gpu.name, index=gpu.index, job=taken.get(gpu.index), memory_total=gpu.memory_total,
                    memory_available=gpu.memory_available, percent=gpu.percent)
            for gpu in seen.gpus
        ],
        disk=DiskView(seen.disk_total, seen.disk_free),
        job_counts=await zeus.jobs.counts(),
        hostname=zeus.config.node.name,
        port=request.app[ADDRESS].port,
        app_version=package.__version__,
        api_version=API_VERSION,
    )  # fmt: skip
