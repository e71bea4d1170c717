"""Jobs as clients see them."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from zeus.jobs import Jobs
from zeus.model import Job
from zeus.wire import ErrorView, JobView


def time_text(seconds: float | None) -> str | None:
    """A time since 1970 as RFC 3339 in UTC, to the millisecond."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def job_view(job: Job, jobs: Jobs, node: str) -> JobView:
    """A job with its live progress, answered by `node`."""
    live = jobs.progress(job)
    total = None if job.start_frame is None or job.end_frame is None else job.end_frame - job.start_frame + 1
    return JobView(
        id=job.id,
        job_id=job.id,
        name=job.name,
        renderer=job.renderer,
        renderer_version=job.renderer_version,
        status=job.status.value,
        percent_complete=live.percent if live else job.percent,
        handled_by=node,
        node=job.node,
        start_frame=job.start_frame,
        end_frame=job.end_frame,
        total_frames=total,
        completed_frames=live.completed_frames if live else job.completed_frames,
        args=msgspec.json.decode(job.args),
        enable_split_jobs=job.enable_split_jobs,
        parent=None,
        children=(),
        priority=job.priority,
        depends_on=(),
        attempt=job.attempt,
        date_created=time_text(job.created) or "",
        start_time=time_text(job.started),
        end_time=time_text(job.ended),
        eta_seconds=live.eta if live else None,
        error=ErrorView(job.error_code, job.error_message or "") if job.error_code else None,
        file_count=job.file_count,
        revision=max(job.revision, live.revision) if live else job.revision,
    )
