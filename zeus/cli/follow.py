"""Watching a job to its end, and what is shown meanwhile: a bar at a terminal, plain lines elsewhere."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from zeus.cli.output import at_terminal, clean, duration_text, size_text
from zeus.errors import ZeusError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from zeus.peers.client import RenderServerProxy
    from zeus.wire import JobView

ENDED = frozenset({"finished", "failed", "cancelled"})
POLL_SECONDS = 0.5
GRACE_SECONDS = 20.0


class Display(Protocol):
    """Shows how far something is."""

    def show(self, label: str, done: int, total: int | None, note: str | None = None) -> None:
        """`done` of `total`, or of an unknown amount; `note` says more, None: how long it will take at this pace."""


class Silent:
    """Shows nothing, for programs."""

    def show(self, label: str, done: int, total: int | None, note: str | None = None) -> None:
        pass


class Lines:
    """A plain line at each tenth of the way."""

    def __init__(self) -> None:
        self._last = ("", -1)

    def show(self, label: str, done: int, total: int | None, note: str | None = None) -> None:
        tenth = done * 10 // total if total else 0
        if (label, tenth) != self._last:
            self._last = (label, tenth)
            print(f"{label} {tenth * 10}%", flush=True)


class Bars:
    """One bar for each label."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._bars: dict[str, TaskID] = {}

    def show(self, label: str, done: int, total: int | None, note: str | None = None) -> None:
        if label not in self._bars:
            self._bars[label] = self._progress.add_task(label, total=total, note="")
        if note is None:
            rest = next(bar.time_remaining for bar in self._progress.tasks if bar.id == self._bars[label])
            note = f"{duration_text(rest)} left" if rest else ""
        self._progress.update(self._bars[label], completed=done, total=total, note=note)


@contextmanager
def display(*, silent: bool = False) -> Iterator[Display]:
    """What shows progress to whoever reads it."""
    if silent or not at_terminal():
        yield Silent() if silent else Lines()
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    about, more = TextColumn("{task.description}", markup=False), TextColumn("{task.fields[note]}", markup=False)
    with Progress(about, BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), more) as progress:
        yield Bars(progress)


async def follow(server: RenderServerProxy, job_id: str, shown: Display, label: str = "") -> JobView:
    """Wait for a job's end; the job as it then is. A server that is being restarted is waited for."""
    lost_since: float | None = None
    while True:
        try:
            job = await server.get_job(job_id)
            lost_since = None
        except ZeusError as error:
            lost_since = lost_since or time.monotonic()
            if error.code != "server_unreachable" or time.monotonic() - lost_since > GRACE_SECONDS:
                raise
        else:
            shown.show(label or clean(f"{job_id[:8]} {job.renderer}"), job.percent_complete, 100, state_text(job))
            if job.status in ENDED:
                return job
        await asyncio.sleep(POLL_SECONDS)


async def download_all(server: RenderServerProxy, job_id: str, folder: Path, shown: Display) -> list[Path]:
    """Fetch every output of a job into a folder."""
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    targets = []
    for name in await server.get_job_files(job_id):
        target = folder / _safe(name)
        await server.download_job_file(job_id, name, target, partial(shown.show, clean(name)))
        targets.append(target)
    return targets


def _safe(name: str) -> str:
    """A server's name for a file, unless it would lead out of the folder."""
    if not name or Path(name).name != name or name.startswith(".") or "\0" in name:
        raise ZeusError(f'The server names an output "{clean(name)}", which is no name for a file here.')
    return name


def state_text(job: JobView) -> str:
    """What a bar cannot show: that a job is not running, its frames, and how long it will take."""
    parts = [] if job.status == "running" else [job.status.replace("_", " ")]
    if job.total_frames and job.status != "finished":
        parts.append(f"{job.completed_frames}/{job.total_frames} frames")
    if job.eta_seconds is not None and job.status not in ENDED:
        parts.append(f"{duration_text(job.eta_seconds)} left")
    return ", ".join(parts)


def sentence(job: JobView) -> str:
    """How a job ended, for a person."""
    if job.error:
        return clean(f"{job.id} {job.status}: {job.error.message} ({job.error.code})")
    return f"{job.id} {job.status}"


def described(path: Path) -> str:
    """A file that was fetched, with its size."""
    return f"{path} ({size_text(path.stat().st_size)})"
