"""The node itself: its pulse and its machine."""

from __future__ import annotations

import time

from aiohttp import web

from zeus.api.keys import ZEUS
from zeus.api.responses import json_response
from zeus.api.views import time_text
from zeus.errors import NotReady


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
    return json_response(await request.app[ZEUS].portraits.status())
