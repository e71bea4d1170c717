"""What a job leaves: its log and its files."""

from __future__ import annotations

import asyncio
import contextlib
import mimetypes
from collections.abc import Sequence
from pathlib import Path

from aiohttp import web

from zeus.api.keys import ZEUS
from zeus.api.parameters import flag, is_full, whole
from zeus.api.responses import SlicedFile, file_response, job_id_of, json_response
from zeus.errors import BadInput, Conflict, JobNotFound, NotFound
from zeus.model import ENDED, Output
from zeus.wire import FileView

LOOK = 0.5
"""Seconds after which a log that is followed is looked at again."""
BLOCK = 1 << 18


async def logs(request: web.Request) -> web.StreamResponse:
    """An attempt's log, the newest unless it says otherwise; with `follow`, as it grows until the job has ended."""
    zeus = request.app[ZEUS]
    found = await zeus.jobs.get(job_id_of(request))
    attempt = whole(request, "attempt", None, 0, max(found.attempt, 1))
    path = zeus.files.log(found.id, found.attempt if attempt is None else attempt)
    if flag(request, "follow"):
        return await _follow(request, found.id, path if attempt is not None else None)
    if not await asyncio.to_thread(_read, path, 0, 1):
        return web.Response(text=found.notes)  # what each log begins with
    return SlicedFile(path, headers={"Content-Type": "text/plain; charset=utf-8"})


async def _follow(request: web.Request, job_id: str, only: Path | None) -> web.StreamResponse:
    """Stream a job's log from its beginning, attempt after attempt unless `only` one is asked for."""
    zeus = request.app[ZEUS]
    response = web.StreamResponse(headers={"Content-Type": "text/plain; charset=utf-8", "X-Accel-Buffering": "no"})
    await response.prepare(request)
    if request.method == "HEAD":
        return response
    position, before = 0, None
    with contextlib.suppress(ConnectionError, JobNotFound):
        while True:
            seen = zeus.feed.newest
            job = await zeus.jobs.get(job_id)
            path = only or zeus.files.log(job_id, job.attempt)
            if path != before:
                position, before = 0, path
            while data := await asyncio.to_thread(_read, path, position):
                position += len(data)
                await response.write(data)
            if job.status in ENDED or zeus.feed.closed:
                return response
            await zeus.feed.wait(seen, LOOK)
    return response


def _read(path: Path, position: int, most: int = BLOCK) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(position)
            return file.read(most)
    except FileNotFoundError:
        return b""


async def files(request: web.Request) -> web.Response:
    zeus, job_id = request.app[ZEUS], job_id_of(request)
    outputs = await zeus.jobs.outputs(job_id)
    if not is_full(request):
        return json_response([output.name for output in outputs])
    family = await zeus.jobs.frames(await zeus.jobs.get(job_id))
    seconds: dict[tuple[str, int | None], float | None] = {
        (job.id, frame.number): frame.seconds for job, frames in family for frame in frames
    }
    return json_response(
        [
            FileView(each.name, each.size, each.sha256, each.frame, seconds.get((each.job_id, each.frame)))
            for each in outputs
        ]
    )


async def download(request: web.Request) -> web.StreamResponse:
    zeus = request.app[ZEUS]
    job_id, name = job_id_of(request), request.query.get("filename")
    if not name:
        raise BadInput("filename: say which file.", code="missing_field")
    output = choose(await zeus.jobs.outputs(job_id), name)
    kind = mimetypes.guess_type(output.name)[0] or "application/octet-stream"
    return file_response(zeus.files, output, kind, attachment=True)


def choose(outputs: Sequence[Output], name: str) -> Output:
    """The output of this name: the exact one, or the only one that differs in case alone."""
    alike = [output for output in outputs if output.name.casefold() == name.casefold()]
    exact = [output for output in alike if output.name == name] or alike
    if not exact:
        raise NotFound("The job has no file of that name.", code="file_not_found")
    if len(exact) > 1:
        names = ", ".join(output.name for output in exact)
        raise Conflict(f"Several files match: {names}; write one as it stands.", code="ambiguous_filename")
    return exact[0]
