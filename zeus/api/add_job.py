"""`POST /api/add_job`: one job or a list of them, as JSON or as a form with a file."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, cast

import msgspec
from aiohttp import web
from msgspec import Meta

from zeus.api.bodies import Form, as_object, convert, parse_json, read_json
from zeus.api.errors import speaks_farm
from zeus.api.guard import is_local
from zeus.api.keys import ZEUS
from zeus.api.nodes import caller_of
from zeus.api.parameters import flag, number
from zeus.api.responses import json_response
from zeus.api.views import full_view
from zeus.config.settings import NodeName
from zeus.errors import BadInput, ZeusError
from zeus.model import Job, Key, Share
from zeus.names import safe_name
from zeus.presets import apply
from zeus.requests import Checked, ChildRequest, JobRequest, Upload
from zeus.wire import MOST as MOST_ATTEMPTS
from zeus.wire import DemandView, DryRun, FrameNumber, Id, PresetList, SharedFile

LATER = frozenset({"webhook"})
"""Fields of the contract that this version does not have yet: refused, never ignored."""
MOST = 1000
MOST_SECONDS = 86_400
OF_DRY_RUNS = ("filename", "seconds")
"""Parameters that say what is still to come, so that such a job can only be checked."""

Name = Annotated[str, Meta(min_length=1, max_length=200)]


class ChildJob(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A subjob: the frames and arguments in which it differs from the job."""

    name: Annotated[Name | None, Meta(description="For people")] = None
    start_frame: Annotated[FrameNumber | None, Meta(description="The first frame, within the job's")] = None
    end_frame: Annotated[FrameNumber | None, Meta(description="The last frame")] = None
    args: Annotated[dict[str, Any] | None, Meta(description="Put over the job's")] = None


class ShareOf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose job it is a share of."""

    node: Annotated[Id, Meta(description="The id of the node that gives it, and asks")]
    job_id: Annotated[Id, Meta(description="The job there")]
    attempt: Annotated[Annotated[int, Meta(ge=1, le=MOST_ATTEMPTS)], Meta(description="The attempt there")]


class AddJob(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A job to add. Without `renderer` the file's name chooses the engine."""

    name: Annotated[Name | None, Meta(description="For people; the prompt or the file's name")] = None
    renderer: Annotated[
        Annotated[str, Meta(min_length=1, max_length=64)] | None,
        Meta(description="The engine; chosen from the file's name"),
    ] = None
    renderer_version: Annotated[
        Annotated[str, Meta(min_length=1, max_length=64)] | None, Meta(description="latest")
    ] = None
    start_frame: Annotated[FrameNumber | None, Meta(description="The first frame, together with end_frame")] = None
    end_frame: Annotated[FrameNumber | None, Meta(description="The last frame")] = None
    args: Annotated[dict[str, Any] | None, Meta(description="The engine's own: see /api/engines/ENGINE/args")] = None
    enable_split_jobs: Annotated[bool | None, Meta(description="Whether nodes may share it out")] = None
    child_jobs: Annotated[
        Annotated[list[ChildJob], Meta(max_length=MOST)] | None, Meta(description="Explicit subjobs")
    ] = None
    local_path: Annotated[
        Annotated[str, Meta(min_length=1, max_length=4096)] | None,
        Meta(description="A file of this machine instead of an upload"),
    ] = None
    upload: Annotated[Id | None, Meta(description="The id of a complete upload")] = None
    project_file: Annotated[
        Annotated[str, Meta(min_length=1, max_length=1024)] | None,
        Meta(description="Which file of an archive is the project; found by its ending"),
    ] = None
    priority: Annotated[Annotated[int, Meta(ge=0, le=100)] | None, Meta(description="Higher runs first; 50")] = None
    preset: Annotated[
        Annotated[str, Meta(min_length=1, max_length=64)] | None,
        Meta(description="Arguments by name: see /api/presets"),
    ] = None
    depends_on: Annotated[
        Annotated[list[Id], Meta(max_length=MOST)] | None, Meta(description="Ids of jobs that must finish first")
    ] = None
    not_before: Annotated[Annotated[datetime, Meta(tz=True)] | None, Meta(description="The earliest start")] = None
    max_attempts: Annotated[Annotated[int, Meta(ge=1, le=100)] | None, Meta(description="How often it is tried")] = None
    tags: Annotated[
        Annotated[list[NodeName], Meta(max_length=16)] | None,
        Meta(description="Words that a node must have (node.tags)"),
    ] = None
    share: Annotated[ShareOf | None, Meta(description="Only from a trusted node: whose job it is a share of")] = None
    shared: Annotated[
        SharedFile | None, Meta(description="From another node alone: the input, in a folder that both see")
    ] = None


async def add_job(request: web.Request) -> web.Response:
    zeus = request.app[ZEUS]
    form = Form(zeus.files, zeus.config.http, texts=("json",), file="file")
    try:
        if request.content_type.startswith("multipart/"):
            await form.read(request)
            if "json" not in form.texts:
                raise BadInput('The form has no field "json".', code="missing_field")
            body = await parse_json(form.texts["json"])
        else:
            body = await read_json(request)
        return await _add(request, body, form.upload)
    finally:
        await form.discard()


def idempotency_key(request: web.Request, body: Any, upload: Upload | None = None) -> Key | None:
    """The request's Idempotency-Key with the digest of what came with it, or None. Raises BadInput."""
    text = request.headers.get("Idempotency-Key")
    if text is None:
        return None
    if not 1 <= len(text) <= 200 or not text.isprintable():
        raise BadInput("Idempotency-Key: 1 to 200 printable characters.", code="invalid_field")
    sent = msgspec.json.encode([request.path, body, upload and [upload.filename, upload.sha256]], order="sorted")
    return Key(text, hashlib.sha256(sent).hexdigest())


async def _add(request: web.Request, body: Any, upload: Upload | None) -> web.Response:
    zeus = request.app[ZEUS]
    views: list[Any]
    is_dry = flag(request, "dry_run")
    if not is_dry and (useless := [name for name in OF_DRY_RUNS if name in request.query]):
        raise BadInput(f"{useless[0]}: only together with dry_run=1.", code="invalid_field")
    if is_dry:
        views = await _dry_run(request, body, upload)
    else:
        key = idempotency_key(request, body, upload)
        added = await zeus.jobs.made_before(key) or await _new(request, body, upload, key)
        views = [await full_view(job, zeus.jobs, zeus.config.node.name) for job in added]
    return json_response(views if isinstance(body, list) else views[0])


async def _new(request: web.Request, body: Any, upload: Upload | None, key: Key | None) -> Sequence[Job]:
    with contextlib.ExitStack() as held:
        requests = await _requests(request, body, held)
        return await request.app[ZEUS].jobs.add(requests, upload, key)


async def _dry_run(request: web.Request, body: Any, upload: Upload | None) -> list[DryRun]:
    with contextlib.ExitStack() as held:
        requests = await _requests(request, body, held)
        length, name = number(request, "seconds", None, 0.001, MOST_SECONDS), request.query.get("filename")
        named = safe_name(name, "filename") if name is not None else None
        requests = [msgspec.structs.replace(each, seconds=length, filename=named) for each in requests]
        checked = await request.app[ZEUS].jobs.check(requests, upload)
        return [await _dry(request, each) for each in checked if each.job.parent is None]


async def _requests(request: web.Request, body: Any, held: contextlib.ExitStack) -> list[JobRequest]:
    """What is asked for, with the uploads that it names held until `held` is closed."""
    is_list = isinstance(body, list)
    wanted = body if is_list else [body]
    if len(wanted) > MOST:
        raise BadInput(f"A list may hold {MOST} jobs at most.", code="too_many_jobs")
    named = any(isinstance(one, dict) and "preset" in one for one in wanted)
    presets = await request.app[ZEUS].presets.all() if named else PresetList(presets={}, problems=())
    return [_each(request, index if is_list else None, one, presets, held) for index, one in enumerate(wanted)]


async def _dry(request: web.Request, checked: Checked) -> DryRun:
    job, upload = checked.job, checked.upload
    return DryRun(
        valid=True,
        renderer=job.renderer,
        args=msgspec.json.decode(job.args),
        start_frame=job.start_frame,
        end_frame=job.end_frame,
        nodes=await request.app[ZEUS].reasons.of_new(job),
        renderer_version=job.renderer_version,
        frame_step=job.frame_step,
        publishes="each" if job.publishes == "each" else "whole",
        splits=cast(Literal["", "frames", "parts"], job.splits),
        can_split=cast(Literal["", "frames", "parts"], checked.can_split),
        joins=job.joins,
        demand=DemandView(job.demand.gpu, job.demand.memory, job.demand.least, job.demand.model),
        project_file=job.project or (upload.inner if upload is not None else None),
    )


def _each(
    request: web.Request, index: int | None, value: Any, presets: PresetList, held: contextlib.ExitStack
) -> JobRequest:
    try:
        return _job_request(request, as_object(value), presets, held)
    except ZeusError as error:
        if index is None:
            raise
        raise type(error)(f"Job {index} of the list: {error.message}", code=error.code) from None


def _job_request(
    request: web.Request, value: Mapping[str, Any], presets: PresetList, held: contextlib.ExitStack
) -> JobRequest:
    known, notes = _known_fields(value, speaks_farm(request))
    wanted = convert(known, AddJob)
    given = _given(wanted)
    if wanted.share is not None:
        given["share"] = _share(request, wanted)
    if wanted.local_path is not None and (caller_of(request) is not None or not is_local(request)):
        raise BadInput("local_path: only clients on this machine itself may use it.", code="local_path_not_allowed")
    if (preset := given.pop("preset", None)) is not None:
        given["renderer"], given["args"] = apply(presets, preset, wanted.renderer, wanted.args or {})
    if wanted.child_jobs is not None:
        given["child_jobs"] = [ChildRequest(**_given(child)) for child in wanted.child_jobs]
    if wanted.not_before is not None:
        given["not_before"] = wanted.not_before.timestamp()
    if wanted.upload is not None:
        given["upload"] = held.enter_context(request.app[ZEUS].uploads.held(wanted.upload))
    if wanted.shared is not None and caller_of(request) is None:
        raise BadInput("shared: only another node that is paired with this one may use it.", code="unsupported_field")
    return JobRequest(**given, notes=notes, here=caller_of(request) is not None)


def _share(request: web.Request, wanted: AddJob) -> Share:
    """Whose job it is a share of: the node's that asks. Raises BadInput."""
    assert wanted.share is not None
    caller = caller_of(request)
    if caller is None:
        raise BadInput("share: only nodes that this one trusts may send it.", code="unsupported_field")
    if wanted.share.node != caller:
        raise BadInput("share.node: it is not the node that asks.", code="invalid_field")
    if wanted.child_jobs or wanted.depends_on:
        raise BadInput("share: it has no subjobs and depends on no jobs.", code="invalid_field")
    return Share(wanted.share.node, wanted.share.job_id, wanted.share.attempt)


def _given(struct: msgspec.Struct) -> dict[str, Any]:
    return {name: value for name in struct.__struct_fields__ if (value := getattr(struct, name)) is not None}


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
