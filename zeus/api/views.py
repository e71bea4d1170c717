"""Jobs as clients see them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence

import msgspec

from zeus.jobs import Jobs
from zeus.model import Frame, Job, Progress, Status
from zeus.wire import ChildView, ErrorView, FrameView, JobView
from zeus.wire import time_text as time_text

BREATH = 100
"""Jobs of a long list that are looked at before everyone else gets a turn."""


async def full_view(job: Job, jobs: Jobs, node: str) -> JobView:
    """A job with its live progress and its subjobs, answered by `node`."""
    return job_view(job, await jobs.children(job), jobs, node)


async def full_views(found: Iterable[Job], jobs: Jobs, node: str) -> AsyncIterator[JobView]:
    """Jobs as `full_view` has them, one by one: encode each at once, and a long list holds nobody up."""
    for number, job in enumerate(found, 1):
        yield await full_view(job, jobs, node)
        if number % BREATH == 0:
            await asyncio.sleep(0)


def job_view(job: Job, children: Sequence[Job], jobs: Jobs, node: str) -> JobView:
    """A job with its live progress, its subjobs being known."""
    now = _progress(job, children, jobs)
    return JobView(
        id=job.id,
        job_id=job.id,
        name=job.name,
        renderer=job.renderer,
        renderer_version=job.renderer_version,
        status=job.status.value,
        percent_complete=now.percent,
        handled_by=node,
        node=job.node,
        start_frame=job.start_frame,
        end_frame=job.end_frame,
        total_frames=_frames(job),
        completed_frames=now.completed_frames,
        args=msgspec.json.decode(job.args),
        enable_split_jobs=job.enable_split_jobs,
        parent=job.parent,
        children=[ChildView(child.id, child.node, child.start_frame, child.end_frame) for child in children],
        priority=job.priority,
        depends_on=job.depends_on,
        attempt=job.attempt,
        date_created=time_text(job.created) or "",
        start_time=time_text(job.started),
        end_time=time_text(job.ended),
        eta_seconds=now.eta,
        error=ErrorView(job.error_code, job.error_message or "") if job.error_code else None,
        file_count=job.file_count + sum(child.file_count for child in children),
        revision=max(job.revision, now.revision),
    )


def frame_views(job: Job, frames: Sequence[Frame], start: int, limit: int) -> list[FrameView]:
    """The first frames from `start` on of a job that has a task of its own, with what is on record of them.

    A frame that has no record stands where its job stands; of a running job's, the first one is in work.
    """
    known = {frame.number: frame for frame in frames}
    working = job.publishes == "each" and job.status is Status.RUNNING
    present = next((each for each in job.frames if each not in known), None) if working else None
    views = []
    for number in _page(job.frames, start, limit):
        frame, state, node = known.get(number), job.status, job.node
        if frame is not None:
            state, node = Status.FINISHED if frame.error is None else Status.FAILED, frame.node
        elif working and number != present:
            state, node = Status.QUEUED, None
        seconds, error = (frame.seconds, frame.error) if frame is not None else (None, None)
        views.append(FrameView(number, state.value, node, seconds, error, job.id))
    return views


def _page(numbers: range, start: int, limit: int) -> range:
    before = max(0, -(-(start - numbers.start) // numbers.step))
    return numbers[before : before + limit]


def _frames(job: Job) -> int | None:
    return len(job.frames) or None


def _progress(job: Job, children: Sequence[Job], jobs: Jobs) -> Progress:
    """A job's own progress, or what its subjobs make together, each by its share of the frames."""
    if not children:
        return jobs.progress(job) or Progress(job.percent, job.completed_frames)
    parts = [(_progress(child, (), jobs), _frames(child) or 1) for child in children]
    whole = sum(share for _, share in parts)
    return Progress(
        percent=sum(part.percent * share for part, share in parts) // whole,
        completed_frames=sum(part.completed_frames for part, _ in parts),
        revision=max(part.revision for part, _ in parts),
    )
