"""`POST /api/add_job`: one job or a list of them, as JSON or as a form with a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from aiohttp import web
from msgspec import Meta

from zeus.api.bodies import Form, as_object, convert, parse_json, read_json
from zeus.api.errors import speaks_farm
from zeus.api.guard import is_local
from zeus.api.keys import ZEUS
from zeus.api.responses import json_response
from zeus.api.views import job_view
from zeus.errors import BadInput, ZeusError
from zeus.jobs import JobRequest, Upload

FRAME_LIMIT = 1_048_574
"""The highest frame number that Blender knows."""
LATER = frozenset({"child_jobs", "preset", "depends_on", "not_before", "upload", "project_file", "webhook"})
"""Fields of the contract that this version does not have yet: refused, never ignored."""
MOST = 1000

Frame = Annotated[int, Meta(ge=-FRAME_LIMIT, le=FRAME_LIMIT)]


class AddJob(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A job to add. Without `renderer` the file's name chooses the engine."""

    name: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    renderer: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    renderer_version: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    start_frame: Frame | None = None
    end_frame: Frame | None = None
    args: dict[str, Any] | None = None
    enable_split_jobs: bool | None = None
    local_path: Annotated[str, Meta(min_length=1, max_length=4096)] | None = None
    priority: Annotated[int, Meta(ge=0, le=100)] | None = None
    max_attempts: Annotated[int, Meta(ge=1, le=100)] | None = None


async def add_job(request: web.Request) -> web.Response:
    zeus = request.app[ZEUS]
    form = Form(zeus.files, zeus.config.http)
    try:
        if request.content_type.startswith("multipart/"):
            await form.read(request)
            body = parse_json(form.json or b"")
        else:
            body = await read_json(request)
        return await _add(request, body, form.upload)
    finally:
        await form.discard()


async def _add(request: web.Request, body: Any, upload: Upload | None) -> web.Response:
    zeus = request.app[ZEUS]
    wanted = body if isinstance(body, list) else [body]
    if len(wanted) > MOST:
        raise BadInput(f"A list may hold {MOST} jobs at most.", code="too_many_jobs")
    requests = [_each(request, index if isinstance(body, list) else None, one) for index, one in enumerate(wanted)]
    added = await zeus.jobs.add(requests, upload)
    views = [job_view(job, zeus.jobs, zeus.config.node.name) for job in added]
    return json_response(views if isinstance(body, list) else views[0])


def _each(request: web.Request, index: int | None, value: Any) -> JobRequest:
    try:
        return _job_request(request, as_object(value))
    except ZeusError as error:
        if index is None:
            raise
        raise type(error)(f"Job {index} of the list: {error.message}", code=error.code) from None


def _job_request(request: web.Request, value: Mapping[str, Any]) -> JobRequest:
    known, notes = _known_fields(value, speaks_farm(request))
    wanted = convert(known, AddJob)
    if wanted.local_path is not None and not is_local(request):
        raise BadInput("local_path: only clients on this machine itself may use it.", code="local_path_not_allowed")
    given = {name: each for name in wanted.__struct_fields__ if (each := getattr(wanted, name)) is not None}
    return JobRequest(**given, notes=notes)


def _known_fields(value: Mapping[str, Any], farm: bool) -> tuple[dict[str, Any], str]:
    """The fields that are known, and a note for the job's log on those that the farm dialect lets pass."""
    for name in value:
        if name in LATER:
            raise BadInput(f'The field "{name}" is not supported by this version.', code="unsupported_field")
    unknown = sorted(str(name) for name in value if name not in AddJob.__struct_fields__)
    if unknown and not farm:
        raise BadInput(f'The field "{unknown[0][:80]}" is not known.', code="unknown_field")
    note = "".join(f"[zeus] the unknown field {name[:80]!r} was ignored\n" for name in unknown)
    return {name: each for name, each in value.items() if name not in unknown}, note
