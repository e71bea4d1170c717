"""Measuring the machine over HTTP; a measurement ends when its client goes away or the node stops."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from aiohttp import web

from zeus.api.keys import ZEUS
from zeus.api.parameters import number
from zeus.api.responses import json_response
from zeus.errors import NotReady

T = TypeVar("T")
LOOK = 0.2
"""Seconds after which it is looked whether anyone still wants to know."""


async def cpu_benchmark(request: web.Request) -> web.Response:
    seconds = number(request, "seconds", 10.0, 0.1, 60.0)
    score = await _while_wanted(request, request.app[ZEUS].benchmarks.cpu(seconds))
    return web.Response(text=f"{score:.0f}")


async def disk_benchmark(request: web.Request) -> web.Response:
    return json_response(await _while_wanted(request, request.app[ZEUS].benchmarks.disk()))


async def _while_wanted(request: web.Request, work: Coroutine[Any, Any, T]) -> T:
    zeus, task = request.app[ZEUS], asyncio.create_task(work)
    try:
        while not task.done():
            await asyncio.wait([task], timeout=LOOK)
            if request.transport is None or request.transport.is_closing():
                raise ConnectionResetError("the client went away")
            if zeus.feed.closed and not task.done():
                raise NotReady("The node is shutting down.")
        return task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
