"""The farm API's routes that look at jobs: lists, waiting for changes, one job and why it waits."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from zeus.api.keys import BODIES, LISTS, ZEUS
from zeus.api.lists import Body
from zeus.api.parameters import accepts, flag, listed, number, whole
from zeus.api.responses import job_id_of, json_body, json_response
from zeus.api.views import frame_views, full_views
from zeus.errors import BadInput
from zeus.model import Filter, string_to_status
from zeus.wire import FRAME_LIMIT, FrameList, JobView

POLL = 30
"""Seconds that a long poll waits unless it says otherwise."""
MOST = 10_000
FILTERS = ("status", "renderer", "limit", "after", "fields")


async def jobs(request: web.Request) -> web.Response:
    if any(name in request.query for name in FILTERS):
        return await _some(request)
    lists = request.app[LISTS]
    if any(entry.removeprefix("W/") in ("*", f'"{lists.token}"') for entry in listed(request, "If-None-Match")):
        return web.Response(status=304, headers={"ETag": f'"{lists.token}"'})
    return await _shared(request, await lists.whole())


async def long_poll(request: web.Request) -> web.Response:
    lists, timeout = request.app[LISTS], number(request, "timeout", POLL, 1, 60)
    revision = lists.revision_of(request.query.get("token"))
    if revision is None:
        return await _shared(request, await lists.whole())
    if not await request.app[ZEUS].feed.wait(revision, timeout):
        return web.Response(status=204)
    return await _shared(request, await (lists.changed(revision) if flag(request, "changes_only") else lists.whole()))


async def by_status(request: web.Request) -> web.Response:
    zeus = request.app[ZEUS]
    status = string_to_status(request.match_info["status"])
    found = await zeus.jobs.find(Filter(status=status))
    if not found:
        raise BadInput(f"No job is {status.value}.", code="no_matching_jobs")
    views = full_views(found, zeus.jobs, zeus.config.node.name)
    return json_body(b"[" + b",".join([msgspec.json.encode(view) async for view in views]) + b"]")


async def job(request: web.Request) -> web.Response:
    body = await request.app[BODIES].of(job_id_of(request))
    return web.Response(body=body, content_type="application/json")


async def why(request: web.Request) -> web.Response:
    zeus = request.app[ZEUS]
    return json_response(await zeus.reasons.of(job_id_of(request)))


async def frames(request: web.Request) -> web.Response:
    """A page of a job's frames: those whose number is `start` or higher."""
    zeus = request.app[ZEUS]
    start = whole(request, "start", -FRAME_LIMIT, -FRAME_LIMIT, FRAME_LIMIT)
    limit = whole(request, "limit", MOST, 1, MOST)
    family = await zeus.jobs.frames(await zeus.jobs.get(job_id_of(request)))
    views = [view for job, known in family for view in frame_views(job, known, start, limit)]
    views.sort(key=lambda view: view.frame)
    return json_response(FrameList(views[:limit], sum(len(job.frames) for job, _ in family)))


async def _some(request: web.Request) -> web.Response:
    """A page of the list, or parts of the jobs in it."""
    zeus, query = request.app[ZEUS], request.query
    token = request.app[LISTS].token
    wanted = Filter(
        status=string_to_status(query["status"]) if "status" in query else None,
        renderer=query.get("renderer"),
        limit=whole(request, "limit", None, 1, MOST),
        after=query.get("after"),
    )
    chosen = _fields(query["fields"]) if "fields" in query else None
    views = full_views(await zeus.jobs.find(wanted), zeus.jobs, zeus.config.node.name)
    parts = [msgspec.json.encode(_part(view, chosen)) async for view in views]
    return json_body(b'{"jobs":[' + b",".join(parts) + b'],"token":' + msgspec.json.encode(token) + b"}")


def _part(view: JobView, chosen: list[str] | None) -> Any:
    """A job, or only some of its fields."""
    return view if chosen is None else {name: getattr(view, name) for name in chosen}


def _fields(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in JobView.__struct_fields__:
            raise BadInput(f'fields: a job has no field "{name[:80]}".', code="invalid_field")
    if not names:
        raise BadInput("fields: name at least one.", code="invalid_field")
    return names


async def _shared(request: web.Request, body: Body) -> web.Response:
    """A body that is encoded, and compressed, once for all who ask."""
    headers = {"ETag": f'"{body.token}"', "Vary": "Accept-Encoding"}
    if accepts(request, "Accept-Encoding", "gzip", "x-gzip", "*") and (packed := await body.packed()) is not None:
        headers["Content-Encoding"] = "gzip"
        return json_body(packed, headers=headers)
    return json_body(body.plain, headers=headers)
