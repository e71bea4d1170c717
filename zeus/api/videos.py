"""OpenAI's video routes, for its client library: the jobs of the generation engine under that API's words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from aiohttp import web
from msgspec import Meta

from zeus.api.actions import remove
from zeus.api.add_job import idempotency_key
from zeus.api.bodies import Form, as_object, read_json
from zeus.api.generate import video_of, wanted
from zeus.api.keys import ZEUS
from zeus.api.parameters import whole
from zeus.api.responses import file_response, job_id_of, json_response
from zeus.api.thumbnails import preview
from zeus.api.views import full_view
from zeus.errors import BadInput, JobNotFound
from zeus.model import Filter, Job, Status
from zeus.requests import Upload
from zeus.server import Zeus
from zeus.thumbnails import BIG
from zeus.wire import ErrorView, JobView, Video, VideoDeleted, VideoList

PICTURE = "input_reference"
PAGE, MOST = 20, 100
"""Videos on a page of the list unless it says otherwise, and at most."""
VARIANTS = ("video", "thumbnail", "spritesheet")
SECONDS = re.compile(r"[0-9]{1,5}(\.[0-9]{1,3})?")
SIZE = re.compile(r"([0-9]{1,5})x([0-9]{1,5})")
OUR_WORDS = {"width": "size", "height": "size", "num_frames": "seconds", "fps": "seconds", "image": PICTURE,
             "prompt": "prompt", "model": "model"}  # fmt: skip
"""The engine's arguments, and the fields here that they come from."""
STATUS: Mapping[Status, str] = {
    Status.RUNNING: "in_progress",
    Status.WAITING_FOR_SUBJOBS: "in_progress",
    Status.FINISHED: "completed",
    Status.FAILED: "failed",
    Status.CANCELLED: "failed",
}
"""That API's word for a job's status; it has `queued` for all others."""


class CreateVideo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A video to make. What is left out is the model's own choice."""

    prompt: Annotated[str, Meta(description="What the video shows, in words")]
    model: Annotated[str | None, Meta(description="Which model makes it; the one of the settings")] = None
    seconds: Annotated[str | None, Meta(description="How long it is, such as 4")] = None
    size: Annotated[str | None, Meta(description="Width and height in pixels, such as 1280x720")] = None


class _Made(msgspec.Struct, frozen=True):
    """What a job's settled arguments say of its video."""

    prompt: str | None = None
    model: str | None = None
    num_frames: int = 0
    fps: float = 1.0
    width: int = 0
    height: int = 0


async def create(request: web.Request) -> web.Response:
    zeus = request.app[ZEUS]
    form = Form(zeus.files, zeus.config.http, texts=CreateVideo.__struct_fields__, file=PICTURE)
    try:
        if request.content_type.startswith("multipart/"):
            await form.read(request)
            body: Any = {name: _text(name, value) for name, value in form.texts.items()}
        else:
            body = await read_json(request)
        return await _shown(zeus, await _made(request, body, form.upload))
    finally:
        await form.discard()


async def videos(request: web.Request) -> web.Response:
    zeus, order = request.app[ZEUS], request.query.get("order", "desc")
    if order not in ("asc", "desc"):
        raise BadInput('order: "asc" or "desc".', code="invalid_field")
    limit = whole(request, "limit", PAGE, 1, MOST)
    found = await zeus.jobs.find(
        Filter(
            renderer=zeus.config.generate.engine,
            limit=limit + 1,
            after=request.query.get("after"),
            oldest_first=order == "asc",
        )
    )
    page = [await _view(zeus, job) for job in found[:limit]]
    first, last = (page[0].id, page[-1].id) if page else (None, None)
    return json_response(VideoList(data=page, first_id=first, last_id=last, has_more=len(found) > limit))


async def video(request: web.Request) -> web.Response:
    return await _shown(request.app[ZEUS], await _job(request))


async def delete(request: web.Request) -> web.Response:
    gone = await remove(request.app[ZEUS], (await _job(request)).id)
    return json_response(VideoDeleted(id=gone.id))


async def content(request: web.Request) -> web.StreamResponse:
    zeus, variant = request.app[ZEUS], request.query.get("variant", "video")
    if variant not in VARIANTS:
        raise BadInput('variant: "video" or "thumbnail".', code="invalid_field")
    if variant == "spritesheet":
        raise BadInput("variant: this node makes no sprite sheets.", code="unsupported_field")
    output = await video_of(zeus, await _job(request))
    if variant == "thumbnail":
        return preview(await zeus.thumbnails.of(output, "thumbnail", BIG), "image/jpeg")
    return file_response(zeus.files, output, "video/mp4", attachment=False)


async def remix(request: web.Request) -> web.Response:
    await _job(request)
    return await unsupported(request)


async def unsupported(request: web.Request) -> web.Response:
    """What no model here can do. Raises BadInput."""
    raise BadInput(
        "No model of this node can do that: it makes videos of prompts, and neither remixes, edits or extends them nor"
        " knows characters.",
        code="unsupported_operation",
    )


async def _made(request: web.Request, body: Any, picture: Upload | None) -> Job:
    zeus = request.app[ZEUS]
    if PICTURE in as_object(body):
        raise BadInput(f"{PICTURE}: send the picture as a file, in a multipart form.", code="unsupported_field")
    asked, key = wanted(body, CreateVideo), idempotency_key(request, body, picture)
    args, seconds = _arguments(asked), _seconds(asked.seconds)
    if (made := await zeus.jobs.made_before(key)) is not None:
        return made[0]
    try:
        return await zeus.jobs.generate(zeus.config.generate.engine, args, key, seconds=seconds, image=picture)
    except BadInput as error:
        raise _in_our_words(error) from error


def _text(name: str, value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise BadInput(f"{name}: this is no UTF-8.", code="invalid_field") from error


def _arguments(asked: CreateVideo) -> dict[str, Any]:
    args: dict[str, Any] = {"prompt": asked.prompt}
    if asked.model is not None:
        args["model"] = asked.model
    if asked.size is not None:
        if (size := SIZE.fullmatch(asked.size)) is None:
            raise BadInput("size: width and height in pixels, such as 1280x720.", code="invalid_field")
        args["width"], args["height"] = int(size[1]), int(size[2])
    return args


def _seconds(text: str | None) -> float | None:
    if text is not None and not SECONDS.fullmatch(text):
        raise BadInput('seconds: a number in quotes, such as "4".', code="invalid_field")
    return None if text is None else float(text)


def _in_our_words(error: BadInput) -> BadInput:
    """What the engine refuses, beginning with the field that it is about."""
    message = re.sub(r"^args(: |\.)", "", error.message)
    words = ["model"] if error.code == "unknown_model" else OUR_WORDS
    field = next((OUR_WORDS[word] for word in words if re.search(rf"\b{word}\b", message)), None)
    if field is not None and not message.startswith(f"{field}: "):
        message = f"{field}: {message.removeprefix('image: ')}"
    return BadInput(message, code=error.code)


async def _job(request: web.Request) -> Job:
    """The path's job. Raises BadInput, or JobNotFound for one of another engine too."""
    zeus = request.app[ZEUS]
    job = await zeus.jobs.get(job_id_of(request))
    if job.renderer != zeus.config.generate.engine:
        raise JobNotFound(f"Job {job.id} makes no video of a prompt.")
    return job


async def _shown(zeus: Zeus, job: Job) -> web.Response:
    return json_response(await _view(zeus, job))


async def _view(zeus: Zeus, job: Job) -> Video:
    view, made = await full_view(job, zeus.jobs, zeus.config.node.name), msgspec.json.decode(job.args, type=_Made)
    return Video(
        id=job.id,
        model=made.model or job.renderer,
        status=STATUS.get(job.status, "queued"),
        progress=view.percent_complete,
        prompt=made.prompt,
        seconds=f"{round(made.num_frames / made.fps, 2):g}",
        size=f"{made.width}x{made.height}",
        created_at=int(job.created),
        completed_at=int(job.ended) if job.ended and job.status is Status.FINISHED else None,
        error=_error(view),
    )


def _error(view: JobView) -> ErrorView | None:
    cancelled = view.status == Status.CANCELLED.value
    return view.error or (ErrorView("cancelled", "The job was cancelled.") if cancelled else None)
