"""`GET /api/events`: job changes as server-sent events (the HTML standard's), which a client can resume."""

from __future__ import annotations

import contextlib

import msgspec
from aiohttp import web

from zeus.api.keys import ZEUS
from zeus.api.views import full_views
from zeus.errors import BadInput
from zeus.model import Changes

KEEP_ALIVE = 15.0
"""Seconds after which a comment is sent, so that proxies keep a silent stream open and a gone client is noticed."""


async def events(request: web.Request) -> web.StreamResponse:
    """Each event is `job` with a job object, or `removed` with an id; its id is the revision of the change.

    A stream begins with what is new after `Last-Event-ID`, else with what comes. `reset` says that this node cannot
    tell what was removed since then: the jobs that follow it are all there are.
    """
    zeus = request.app[ZEUS]
    last = _last_id(request, zeus.feed.newest)
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
    await response.prepare(request)
    if request.method == "HEAD":
        return response
    with contextlib.suppress(ConnectionError):
        await response.write(b": the stream is open\n\n")
        while not zeus.feed.closed:
            if not await zeus.feed.wait(last, KEEP_ALIVE):
                await response.write(b":\n\n")
                continue
            newest = zeus.feed.newest
            await response.write(await _encoded(request, await zeus.jobs.changes(last), newest))
            last = newest
    return response


async def _encoded(request: web.Request, changes: Changes, newest: int) -> bytes:
    zeus = request.app[ZEUS]
    parts = [_event("reset", newest, b"{}")] if changes.whole else []
    timed = []
    async for view in full_views(changes.jobs, zeus.jobs, zeus.config.node.name):
        timed.append((min(view.revision, newest), "job", msgspec.json.encode(view)))
    timed += [(revision, "removed", msgspec.json.encode({"id": job_id})) for revision, job_id in changes.removed]
    timed.sort(key=lambda each: each[0])
    parts += [_event(kind, revision, data) for revision, kind, data in timed]
    return b"".join(parts)


def _event(kind: str, revision: int, data: bytes) -> bytes:
    return f"id: {revision}\nevent: {kind}\n".encode() + b"data: " + data + b"\n\n"


def _last_id(request: web.Request, newest: int) -> int:
    text = request.headers.get("Last-Event-ID")
    if text is None:
        return newest
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise BadInput("Last-Event-ID: the id of an event of this node.", code="invalid_field")
    # An id from beyond the newest is of another storage folder: such a client knows nothing of this one.
    return int(text) if int(text) <= newest else 0
