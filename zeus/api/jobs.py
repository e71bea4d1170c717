"""The farm API's job routes: look, wait, download, cancel, delete."""

from __future__ import annotations

import mimetypes

from aiohttp import web

from zeus.api.bodies import flag
from zeus.api.keys import LISTS, ZEUS
from zeus.api.responses import SlicedFile, file_response, job_id_of, json_response
from zeus.api.views import job_view
from zeus.errors import BadInput, Conflict, NotFound
from zeus.model import Job, Output

POLL = 30.0
"""Seconds that a long poll waits unless it says otherwise."""


async def jobs(request: web.Request) -> web.Response:
    return web.Response(body=await request.app[LISTS].body(), content_type="application/json")


async def long_poll(request: web.Request) -> web.Response:
    timeout = _timeout(request)
    revision = request.app[LISTS].revision_of(request.query.get("token"))
    if revision is not None and not await request.app[ZEUS].feed.wait(revision, timeout):
        return web.Response(status=204)
    return await jobs(request)


async def job(request: web.Request) -> web.Response:
    return _view(request, await request.app[ZEUS].jobs.get(job_id_of(request)))


async def logs(request: web.Request) -> web.StreamResponse:
    zeus = request.app[ZEUS]
    found = await zeus.jobs.get(job_id_of(request))
    path = zeus.files.log(found.id, found.attempt)
    if not path.is_file():
        return web.Response(text=found.notes)
    return SlicedFile(path, headers={"Content-Type": "text/plain; charset=utf-8"})


async def files(request: web.Request) -> web.Response:
    outputs = await request.app[ZEUS].jobs.outputs(job_id_of(request))
    return json_response([output.name for output in outputs])


async def download(request: web.Request) -> web.StreamResponse:
    zeus = request.app[ZEUS]
    job_id, name = job_id_of(request), request.query.get("filename")
    if not name:
        raise BadInput("filename: say which file.", code="missing_field")
    output = _choose(await zeus.jobs.outputs(job_id), name)
    kind = mimetypes.guess_type(output.name)[0] or "application/octet-stream"
    return file_response(zeus.files.out(job_id) / output.name, output, kind, attachment=True)


async def cancel(request: web.Request) -> web.Response:
    job_id = _confirmed(request)
    cancelled = await request.app[ZEUS].jobs.cancel(job_id)
    if flag(request, "redirect"):
        raise web.HTTPSeeOther("/")
    return _view(request, cancelled)


async def delete(request: web.Request) -> web.Response:
    zeus = request.app[ZEUS]
    job_id = _confirmed(request)
    gone = await zeus.jobs.cancel(job_id)
    await zeus.jobs.delete(job_id)
    return _view(request, gone)


def _view(request: web.Request, found: Job) -> web.Response:
    zeus = request.app[ZEUS]
    return json_response(job_view(found, zeus.jobs, zeus.config.node.name))


def _confirmed(request: web.Request) -> str:
    job_id = job_id_of(request)
    if not flag(request, "confirm"):
        raise BadInput("confirm: add confirm=1 to say that you mean it.", code="confirm_missing")
    return job_id


def _timeout(request: web.Request) -> float:
    text = request.query.get("timeout")
    try:
        timeout = POLL if text is None else float(text)
    except ValueError:
        timeout = 0
    if not 1 <= timeout <= 60:
        raise BadInput("timeout: a number of seconds from 1 to 60.", code="invalid_field")
    return timeout


def _choose(outputs: list[Output], name: str) -> Output:
    """The output of this name: the exact one, or the only one that differs in case alone."""
    alike = [output for output in outputs if output.name.casefold() == name.casefold()]
    exact = [output for output in alike if output.name == name] or alike
    if not exact:
        raise NotFound("The job has no file of that name.", code="file_not_found")
    if len(exact) > 1:
        names = ", ".join(output.name for output in exact)
        raise Conflict(f"Several files match: {names}; write one as it stands.", code="ambiguous_filename")
    return exact[0]
