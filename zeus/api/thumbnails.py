"""`GET /api/jobs/<id>/thumbnail`: what a job's output looks like."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from aiohttp import web

from zeus.api.keys import ZEUS
from zeus.api.outputs import choose
from zeus.api.parameters import flag
from zeus.api.responses import SlicedFile, job_id_of
from zeus.errors import BadInput, NotFound, PreviewFailed
from zeus.model import ENDED, Output
from zeus.thumbnails import BIG, SMALL, kind_of, pictures_of

BOXES = {"": SMALL, "small": SMALL, "big": BIG}


async def thumbnail(request: web.Request) -> web.StreamResponse:
    """A picture of an output or of all of them. With `missing_ok` nothing to show is no error: 204."""
    try:
        return await _thumbnail(request)
    except (NotFound, PreviewFailed):
        if flag(request, "missing_ok"):
            return web.Response(status=204)
        raise


async def _thumbnail(request: web.Request) -> web.StreamResponse:
    zeus, query = request.app[ZEUS], request.query
    box, movies = BOXES.get(query.get("size", "small")), flag(request, "video_ok")
    if box is None:
        raise BadInput('size: "small" or "big".', code="invalid_field")
    job = await zeus.jobs.get(job_id_of(request))
    outputs = await zeus.jobs.outputs(job.id)
    if query.get("filename") == "":
        raise BadInput("filename: say which file.", code="missing_field")
    if "filename" in query:
        chosen = choose(outputs, query["filename"])
    else:
        if job.status not in ENDED and (newest := await zeus.thumbnails.live(job, outputs, box)) is not None:
            return preview(newest, "image/jpeg")
        chosen = _best(outputs)
        if kind_of(chosen.name) == "thumbnail" and len(pictures := pictures_of(outputs)) > 1:
            return preview(await zeus.thumbnails.sheet(pictures, box), "image/jpeg")
    kind = kind_of(chosen.name)
    if kind is None:
        raise NotFound(f"{chosen.name} is neither a picture nor a movie.", code="no_thumbnail")
    if kind == "clip" and movies:
        return preview(await zeus.thumbnails.of(chosen, "clip", box), "video/mp4")
    return preview(await zeus.thumbnails.of(chosen, "thumbnail", box), "image/jpeg")


def _best(outputs: Sequence[Output]) -> Output:
    """The first movie, or without one the first picture."""
    shown = [output for output in outputs if kind_of(output.name) is not None]
    if not shown:
        raise NotFound("The job has no picture and no movie, or not yet.", code="no_thumbnail")
    return next((output for output in shown if kind_of(output.name) == "clip"), shown[0])


def preview(path: Path, content_type: str) -> SlicedFile:
    """A preview, which the client may keep and ask for again by its ETag."""
    headers = {"Content-Type": content_type, "Cache-Control": "private, no-cache", "Content-Disposition": "inline"}
    return SlicedFile(path, headers=headers)
