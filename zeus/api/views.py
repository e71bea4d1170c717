"""Jobs as clients see them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence

import msgspec

from zeus.jobs import Jobs
from zeus.model import ENDED, Child, Frame, Job, Progress, Status
from zeus.progress import MIN_FRACTION
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


def job_view(job: Job, children: Sequence[Child], jobs: Jobs, node: str) -> JobView:
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
        parent=job.share.job_id if job.share is not None else job.parent,
        children=[ChildView(child.id, child.node, child.start_frame, child.end_frame) for child in children],
        priority=job.priority,
        depends_on=job.depends_on,
        attempt=job.attempt,
        date_created=time_text(job.created) or "",
        start_time=time_text(job.started),
        end_time=time_text(job.ended),
        eta_seconds=now.eta,
        error=ErrorView(job.error_code, job.error_message or "") if job.error_code else None,
        file_count=job.file_count + (sum(child.file_count for child in children) if job.splits != "parts" else 0),
        revision=max(job.revision, now.revision),
    )


def frame_views(job: Job | Child, frames: Sequence[Frame], start: int, limit: int) -> list[FrameView]:
    """The first frames from `start` on of a job without subjobs, with what is on record of them.

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


def _frames(job: Job | Child) -> int | None:
    return len(job.frames) or None


def _progress(job: Job, children: Sequence[Child], jobs: Jobs) -> Progress:
    """A job's own progress, or what its subjobs make together, each by its share of the frames."""
    if not children:
        kept = Progress(0 if job.splits and job.status not in ENDED else job.percent, job.completed_frames)
        return kept if job.splits else jobs.progress(job) or kept
    parts = [(_of_child(child, jobs), _frames(child) or 1) for child in children]
    whole = sum(share for _, share in parts)
    if job.splits == "frames":  # not all of them may be dealt yet
        whole = max(whole, len(job.frames))
    done = sum(part.percent * share for part, share in parts) / whole
    is_open = job.splits and job.status is not Status.FINISHED
    return Progress(
        percent=min(int(done), 99) if is_open else int(done),
        completed_frames=sum(part.completed_frames for part, _ in parts),
        eta=_eta(job, done / 100),
        revision=max(part.revision for part, _ in parts),
    )


def _of_child(child: Child, jobs: Jobs) -> Progress:
    return jobs.progress(child) or Progress(child.percent, child.completed_frames)


def _eta(job: Job, fraction: float) -> int | None:
    """The seconds that a split job will take yet, at the pace that it had so far."""
    if job.started is None or job.status is not Status.WAITING_FOR_SUBJOBS or fraction < MIN_FRACTION:
        return None
    return round((time.time() - job.started) * (1 - fraction) / fraction)
