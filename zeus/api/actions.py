"""What clients do to a job: cancel, delete, pause, resume, retry, another priority; and a subjob's news."""

from __future__ import annotations

from aiohttp import web

from zeus.api.bodies import as_object, convert, read_json
from zeus.api.keys import ZEUS
from zeus.api.nodes import caller_of
from zeus.api.parameters import flag, whole
from zeus.api.responses import job_id_of, json_response
from zeus.api.views import full_view, job_view
from zeus.errors import BadInput, Conflict
from zeus.model import ENDED, Job, string_to_status
from zeus.server import Zeus
from zeus.wire import SubjobUpdate


async def cancel(request: web.Request) -> web.Response:
    cancelled, is_owed = await _cancel(request.app[ZEUS], _confirmed(request))
    if flag(request, "redirect"):
        raise web.HTTPSeeOther("/")
    return await _answer(request, cancelled, 202 if is_owed else 200)


async def delete(request: web.Request) -> web.Response:
    zeus, job_id = request.app[ZEUS], _confirmed(request)
    _, is_owed = await _cancel(zeus, job_id)
    gone = await remove(zeus, job_id)
    return json_response(job_view(gone, (), zeus.jobs, zeus.config.node.name), 202 if is_owed else 200)


async def _cancel(zeus: Zeus, job_id: str) -> tuple[Job, bool]:
    """End a job; the job, and whether another node has still to hear of it."""
    has_ended = (await zeus.jobs.get(job_id)).status in ENDED
    cancelled = await zeus.jobs.cancel(job_id)
    return cancelled, not has_ended and not await zeus.debts.settle(job_id)


async def remove(zeus: Zeus, job_id: str) -> Job:
    """End a job and remove all that there is of it, its previews too; the job as it was. Raises JobNotFound."""
    outputs = await zeus.jobs.outputs(job_id)
    gone = await zeus.jobs.delete(job_id)
    await zeus.thumbnails.forget(outputs)
    return gone


async def pause(request: web.Request) -> web.Response:
    zeus, job_id = request.app[ZEUS], job_id_of(request)
    paused = await zeus.jobs.pause(job_id)
    return await _answer(request, paused, 200 if await zeus.debts.settle(job_id) else 202)


async def resume(request: web.Request) -> web.Response:
    return await _answer(request, await request.app[ZEUS].jobs.resume(job_id_of(request)))


async def retry(request: web.Request) -> web.Response:
    return await _answer(request, await request.app[ZEUS].jobs.retry(job_id_of(request)))


async def priority(request: web.Request) -> web.Response:
    job_id, value = job_id_of(request), whole(request, "value", None, 0, 100)
    if value is None:
        raise BadInput("value: say which priority, from 0 to 100.", code="missing_field")
    changed = await request.app[ZEUS].jobs.set_priority(job_id, value)
    await request.app[ZEUS].away.tell_priority(job_id, value)
    return await _answer(request, changed)


async def subjob_update(request: web.Request) -> web.Response:
    """How a subjob or a share stands, as its node tells it. Raises Conflict for an attempt that is over."""
    zeus, job_id = request.app[ZEUS], job_id_of(request)
    update = convert(as_object(await read_json(request)), SubjobUpdate)
    status, parent = string_to_status(update.status), await zeus.jobs.get(job_id)
    child = next((each for each in await zeus.jobs.children(parent) if each.id == update.id), None)
    if child is None:
        await zeus.away.hear(parent, update, caller_of(request))
        return await _answer(request, parent)
    if update.attempt != child.attempt or (child.status in ENDED and status is not child.status):
        raise Conflict(
            f"The update is of attempt {update.attempt}; the subjob is at {child.attempt} and {child.status.value}.",
            code="stale_attempt",
        )
    zeus.jobs.note_progress(child, update.percent_complete, update.completed_frames)
    return await _answer(request, parent)


async def _answer(request: web.Request, job: Job, status: int = 200) -> web.Response:
    zeus = request.app[ZEUS]
    return json_response(await full_view(job, zeus.jobs, zeus.config.node.name), status)


def _confirmed(request: web.Request) -> str:
    job_id = job_id_of(request)
    if not flag(request, "confirm"):
        raise BadInput("confirm: add confirm=1 to say that you mean it.", code="confirm_missing")
    return job_id
