"""A node in one answer: its state with its jobs; the same for every known node; and what only debugging needs."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

import msgspec
from aiohttp import web

from zeus.api.actions import remove
from zeus.api.keys import LISTS, ZEUS
from zeus.api.responses import json_response
from zeus.api.views import time_text
from zeus.errors import JobNotFound
from zeus.wire import FullStatus, ServerSnapshot, Snapshot

PATIENCE = 2.0
"""Seconds that another node gets to answer."""


class _Encoded(msgspec.Struct, frozen=True):
    """The list of jobs as it is kept for all who ask: its jobs stay encoded."""

    jobs: msgspec.Raw


async def snapshot(request: web.Request) -> web.Response:
    return json_response(await _snapshot(request))


async def full_status(request: web.Request) -> web.Response:
    """This node and every one that it uses, asked side by side."""
    zeus = request.app[ZEUS]
    peers = sorted(zeus.nodes.peers.values(), key=lambda peer: peer.name)
    own, *others = await asyncio.gather(_snapshot(request), *(peer.snapshot(PATIENCE) for peer in peers))
    names = [zeus.config.node.name, *(peer.name for peer in peers)]
    servers = {name: _server(each) for name, each in zip(names, [own, *others], strict=True)}
    return json_response(FullStatus(timestamp=_now(), servers=servers))


async def detected_clients(request: web.Request) -> web.Response:
    """The names of the nodes that are seen, this one first."""
    _debug_only(request)
    zeus = request.app[ZEUS]
    return json_response([zeus.config.node.name, *sorted({each.name for each in zeus.nodes.sightings})])


async def clear_history(request: web.Request) -> web.Response:
    _debug_only(request)
    zeus = request.app[ZEUS]
    for job_id in await zeus.jobs.ended():
        with contextlib.suppress(JobNotFound):  # somebody else was faster
            await remove(zeus, job_id)
    return web.Response(text="success")


async def _snapshot(request: web.Request) -> Snapshot:
    body = await request.app[LISTS].whole()
    jobs: Any = msgspec.json.decode(body.plain, type=_Encoded).jobs
    return Snapshot(status=await request.app[ZEUS].portraits.status(), jobs=jobs, timestamp=_now())


def _server(found: Snapshot | None) -> ServerSnapshot:
    if found is None:
        return ServerSnapshot(status=None, jobs=(), timestamp=_now(), offline=True)
    return ServerSnapshot(status=found.status, jobs=found.jobs, timestamp=found.timestamp)


def _debug_only(request: web.Request) -> None:
    if not request.app[ZEUS].config.node.debug:
        raise web.HTTPNotFound


def _now() -> str:
    return time_text(time.time()) or ""
