"""The generate API: a prompt becomes a video."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Annotated, Any, TypeVar
from urllib.parse import quote

import msgspec
from aiohttp import web
from msgspec import Meta

from zeus.api.add_job import idempotency_key
from zeus.api.bodies import as_object, convert, read_json
from zeus.api.keys import ZEUS
from zeus.api.responses import file_response, job_id_of, json_response
from zeus.errors import BadInput, NotFound
from zeus.model import Job, Output, Status
from zeus.server import Zeus
from zeus.wire import Id, JobAccepted, ModelStatus

NAME = "out.mp4"
T = TypeVar("T")


class GenerateRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A video to make. What the model cannot honour is refused by name."""

    prompt: Annotated[str, Meta(description="What the video shows, in words")]
    model: Annotated[str | None, Meta(description="Which model makes it; the one of the settings")] = None
    negative_prompt: Annotated[str | None, Meta(description="What it must not show")] = None
    seed: Annotated[int | None, Meta(description="The same seed makes the same video again; random")] = None
    width: Annotated[int | None, Meta(description="Pixels, an even number for mp4")] = None
    height: Annotated[int | None, Meta(description="Pixels, an even number for mp4")] = None
    num_frames: Annotated[int | None, Meta(description="How many frames it has")] = None
    fps: Annotated[float | None, Meta(description="Frames a second")] = None
    num_inference_steps: Annotated[int | None, Meta(description="Denoising steps: more is slower and finer")] = None
    guidance_scale: Annotated[float | None, Meta(description="How closely to follow the prompt")] = None
    image: Annotated[Id | None, Meta(description="The id of a complete upload: the picture it begins with")] = None
    export_format: Annotated[str | None, Meta(description="mp4, gif, webp or png; mp4")] = None


async def model_status(request: web.Request) -> web.Response:
    zeus = request.app[ZEUS]
    state = zeus.jobs.model_state(zeus.config.generate.engine)
    return json_response(ModelStatus(state.ready, state.building, state.message))


async def generate(request: web.Request) -> web.Response:
    zeus = request.app[ZEUS]
    body = await read_json(request)
    args, key = msgspec.to_builtins(wanted(body, GenerateRequest)), idempotency_key(request, body)
    if (made := await zeus.jobs.made_before(key)) is not None:
        return _accepted(zeus, made[0])
    with contextlib.ExitStack() as held:
        named = args.pop("image", None)
        image = None if named is None else held.enter_context(zeus.uploads.held(named, "image"))
        return _accepted(zeus, await zeus.jobs.generate(zeus.config.generate.engine, args, key, image=image))


def _accepted(zeus: Zeus, job: Job) -> web.Response:
    return json_response(JobAccepted(job.id, Status.QUEUED.value, 0, zeus.config.node.name), status=202)


async def video(request: web.Request) -> web.StreamResponse:
    zeus = request.app[ZEUS]
    output = await video_of(zeus, await zeus.jobs.get(job_id_of(request)))
    return file_response(zeus.files, output, "video/mp4", attachment=False)


async def video_of(zeus: Zeus, job: Job) -> Output:
    """The video that a job has made. Raises NotFound."""
    outputs = await zeus.jobs.outputs(job.id)
    output = next((each for each in outputs if each.name == NAME), None)
    if job.status is not Status.FINISHED or output is None:
        raise NotFound(f"Job {job.id} has no {NAME} ({_instead(job, outputs)}).", code="output_not_found")
    return output


def _instead(job: Job, outputs: Sequence[Output]) -> str:
    """What a job without a video is or has."""
    if job.status is not Status.FINISHED or not outputs:
        return f"it is {job.status.value}"
    first, more = outputs[0].name, len(outputs) - 1
    others = f" and {more} more" if more else ""
    return f"it has {first}{others}: /api/jobs/{job.id}/download?filename={quote(first)}"


def wanted(body: Any, kind: type[T]) -> T:
    """What a body with a prompt asks for. Raises BadInput."""
    prompt = as_object(body).get("prompt")
    if prompt is None or (isinstance(prompt, str) and not prompt.strip()):
        raise BadInput("prompt: say what the video shall show.", code="missing_prompt")
    return convert(body, kind)
