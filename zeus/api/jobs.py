"""The farm API's routes that look at jobs: lists, waiting for changes, one job and why it waits."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from zeus.api.bodies import flag, number
from zeus.api.keys import LISTS, ZEUS
from zeus.api.lists import Body
from zeus.api.responses import job_id_of, json_response
from zeus.api.views import frame_views, full_view
from zeus.errors import BadInput
from zeus.model import Filter, string_to_status
from zeus.wire import FrameList, JobView

POLL = 30
"""Seconds that a long poll waits unless it says otherwise."""
MOST = 10_000
FRAME_LIMIT = 1_048_574
"""The highest frame number that Blender knows."""
FILTERS = ("status", "renderer", "limit", "after", "fields")


async def jobs(request: web.Request) -> web.Response:
    if any(name in request.query for name in FILTERS):
        return await _some(request)
    lists = request.app[LISTS]
    if f'"{lists.token}"' in request.headers.get("If-None-Match", "").split(", "):
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
    return json_response([await full_view(job, zeus.jobs, zeus.config.node.name) for job in found])


async def job(request: web.Request) -> web.Response:
    zeus = request.app[ZEUS]
    found = await zeus.jobs.get(job_id_of(request))
    return json_response(await full_view(found, zeus.jobs, zeus.config.node.name))


async def why(request: web.Request) -> web.Response:
    zeus = request.app[ZEUS]
    return json_response(await zeus.reasons.of(job_id_of(request)))


async def frames(request: web.Request) -> web.Response:
    """A page of a job's frames: those whose number is `start` or higher."""
    zeus = request.app[ZEUS]
    start = round(number(request, "start", -FRAME_LIMIT, -FRAME_LIMIT, FRAME_LIMIT))
    limit = round(number(request, "limit", MOST, 1, MOST))
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
        limit=round(number(request, "limit", MOST, 1, MOST)) if "limit" in query else None,
        after=query.get("after"),
    )
    chosen = _fields(query["fields"]) if "fields" in query else None
    views: list[Any] = []
    for found in await zeus.jobs.find(wanted):
        view = await full_view(found, zeus.jobs, zeus.config.node.name)
        views.append(view if chosen is None else {name: getattr(view, name) for name in chosen})
    return json_response({"jobs": views, "token": token})


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
    if "gzip" in request.headers.get("Accept-Encoding", "").lower() and (packed := await body.packed()) is not None:
        headers["Content-Encoding"] = "gzip"
        return web.Response(body=packed, headers=headers, content_type="application/json")
    return web.Response(body=body.plain, headers=headers, content_type="application/json")
