"""The node itself: its pulse, its machine, its engines."""

from __future__ import annotations

import time

from aiohttp import web

import zeus as package
from zeus import machine
from zeus.api.errors import API_VERSION
from zeus.api.keys import ZEUS
from zeus.api.responses import json_response
from zeus.api.views import time_text
from zeus.errors import BadInput, NotFound
from zeus.names import safe_name
from zeus.wire import DiskView, GpuView, StatusView


async def heartbeat(request: web.Request) -> web.Response:
    return web.Response(text=time_text(time.time()))


async def status(request: web.Request) -> web.Response:
    zeus = request.app[ZEUS]
    seen = await machine.look(zeus.files.root)
    view = StatusView(
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
            GpuView(name=gpu.name, memory_total=gpu.memory_total, memory_available=gpu.memory_available,
                    percent=gpu.percent)
            for gpu in seen.gpus
        ],
        disk=DiskView(seen.disk_total, seen.disk_free),
        job_counts=await zeus.jobs.counts(),
        hostname=zeus.config.node.name,
        port=zeus.config.http.port,
        app_version=package.__version__,
        api_version=API_VERSION,
    )  # fmt: skip
    return json_response(view)


async def engine_names(request: web.Request) -> web.Response:
    return json_response(sorted(request.app[ZEUS].registry.engines))


async def engine_for_filename(request: web.Request) -> web.Response:
    filename = request.query.get("filename")
    if not filename:
        raise BadInput("filename: say which file.", code="missing_field")
    engine = request.app[ZEUS].registry.for_filename(safe_name(filename, "filename"))
    if engine is None:
        raise NotFound("No engine takes files of that kind.", code="engine_not_found")
    return web.Response(text=engine.name)
