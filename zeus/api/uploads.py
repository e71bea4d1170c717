"""Resumable uploads over HTTP: begin one, ask how far it came, send what comes next."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from zeus.api.add_job import idempotency_key
from zeus.api.bodies import arriving, as_object, convert, read_json
from zeus.api.keys import ZEUS
from zeus.api.responses import json_response
from zeus.engine import Facts, Scene
from zeus.errors import BadInput, Conflict, UnsupportedMedia
from zeus.requests import Source
from zeus.uploads import Record
from zeus.wire import SceneView, UploadFacts, UploadView

TYPES = ("application/offset+octet-stream", "application/octet-stream")


class NewUpload(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file to come."""

    name: Annotated[
        Annotated[str, Meta(min_length=1, max_length=1000)],
        Meta(description="The file's name, which chooses the engine"),
    ]
    size: Annotated[Annotated[int, Meta(ge=1, le=(1 << 63) - 1)], Meta(description="Bytes")]
    sha256: Annotated[
        Annotated[str, Meta(pattern="^[0-9A-Fa-f]{64}$", max_length=64, title="a SHA-256: 64 hexadecimal digits")]
        | None,
        Meta(description="Of the whole content: verified at the end"),
    ] = None


async def create(request: web.Request) -> web.Response:
    body = await read_json(request)
    wanted = convert(as_object(body), NewUpload)
    sha256 = wanted.sha256.lower() if wanted.sha256 is not None else None
    record, is_new = await request.app[ZEUS].uploads.create(
        wanted.name, wanted.size, sha256, idempotency_key(request, body)
    )
    return _told(record, 201 if is_new and not record.complete else 200)


async def upload(request: web.Request) -> web.Response:
    return _told(request.app[ZEUS].uploads.get(_id_of(request)))


async def append(request: web.Request) -> web.Response:
    upload_id, offset = _id_of(request), _offset_of(request)
    if request.content_type not in TYPES or "Content-Type" not in request.headers:
        raise UnsupportedMedia(f"The body must be bytes, with Content-Type: {TYPES[0]}.")
    uploads = request.app[ZEUS].uploads
    record = await uploads.append(upload_id, offset, request.content_length, _chunks(request))
    return web.Response(status=204, headers=_headers(record))


async def facts(request: web.Request) -> web.Response:
    zeus = request.app[ZEUS]
    record = zeus.uploads.get(_id_of(request))
    if not record.complete:
        raise Conflict(f"Only {record.offset} of {record.size} bytes have arrived.", code="upload_incomplete")
    with zeus.uploads.held(record.id) as held:
        sent, project = Source(record.name, upload=held), request.query.get("project_file")
        if (told := await zeus.jobs.facts_abroad(sent, project)) is not None:
            return json_response(told)
        async with zeus.projects.unpacking() as find_project:
            source = await find_project(sent, None, project)
            engine = zeus.registry.for_filename(source.name)
            found = await zeus.inspections.of(engine, source) if engine is not None else Facts()
    return json_response(
        UploadFacts(
            engine=engine.name if engine is not None else None,
            start_frame=found.span.start if found.span else None,
            end_frame=found.span.end if found.span else None,
            fps=found.fps,
            width=found.width,
            height=found.height,
            duration=found.duration,
            cameras=found.cameras,
            missing_files=found.missing_files,
            scene=found.scene,
            scenes=[_scene(each) for each in found.scenes],
            made_by=found.made_by,
        )
    )


def _scene(scene: Scene) -> SceneView:
    own = {name: getattr(scene, name) for name in SceneView.__struct_fields__ if hasattr(scene, name)}
    return SceneView(start_frame=scene.span.start, end_frame=scene.span.end, **own)


async def delete(request: web.Request) -> web.Response:
    await request.app[ZEUS].uploads.delete(_id_of(request))
    return web.Response(status=204)


def _told(record: Record, status: int = 200) -> web.Response:
    view = UploadView(record.id, record.name, record.size, record.offset, record.sha256, record.complete)
    response = json_response(view, status)
    response.headers.update(_headers(record))
    if status == 201:
        response.headers["Location"] = f"/api/uploads/{record.id}"
    return response


def _headers(record: Record) -> dict[str, str]:
    return {"Upload-Offset": str(record.offset), "Upload-Length": str(record.size)}


def _id_of(request: web.Request) -> str:
    upload_id = request.match_info["upload_id"]
    if not re.fullmatch(r"[A-Za-z0-9-]{1,64}", upload_id):
        raise BadInput("An upload's id has only letters, digits and hyphens.", code="invalid_upload_id")
    return upload_id


def _offset_of(request: web.Request) -> int:
    text = request.headers.get("Upload-Offset")
    if text is None:
        raise BadInput("Upload-Offset: say where these bytes belong.", code="missing_field")
    if not re.fullmatch("[0-9]{1,19}", text):
        raise BadInput("Upload-Offset: a number of bytes.", code="invalid_field")
    return int(text)


async def _chunks(request: web.Request) -> AsyncIterator[bytes]:
    while chunk := await arriving(request.content.readany(), request.app[ZEUS].config.http):
        yield chunk
