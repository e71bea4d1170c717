"""What `zeus top` shows: the node above, below it as many jobs as fit, those at work first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
from rich.console import Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from zeus.cli.output import clean, duration_text, size_text

if TYPE_CHECKING:
    from rich.console import RenderableType

    from zeus.wire import JobView, StatusView

RANK = {"running": 0, "waiting_for_subjobs": 1, "paused": 2, "queued": 3, "waiting": 4}
"""The order in which jobs stand; those that have ended come last, the newest of them first."""
STYLE = {"running": "green", "failed": "red", "paused": "yellow", "cancelled": "dim", "finished": "dim"}
HEAD = ("node", "cpu", "memory", "disk free", "gpu", "jobs")
JOB_HEAD = ("id", "status", "done", "left", "engine", "name", "node")
GIVE_WAY = frozenset({"name", "gpu"})
NARROW = 80
AROUND = 7
"""Lines that are not jobs: the title, the node, headings, empty lines and the last one."""


class View(msgspec.Struct, frozen=True):
    """What is known now. `trouble` says why it may be old."""

    url: str
    nodes: Sequence[StatusView]
    jobs: Sequence[JobView]
    trouble: str = ""


def ordered(jobs: Sequence[JobView]) -> list[JobView]:
    """Jobs as they are shown; they come with the newest first."""
    active = [job for job in jobs if job.status in RANK]
    active.sort(key=lambda job: (RANK[job.status], -job.priority, job.date_created))
    ended = [job for job in jobs if job.status not in RANK]
    return active + sorted(ended, key=lambda job: job.end_time or "", reverse=True)


def node_row(node: StatusView) -> tuple[str, ...]:
    """A node's cells."""
    used = node.memory_total - node.memory_available
    gpus = ", ".join(gpu.name + (f" {gpu.percent:.0f}%" if gpu.percent is not None else "") for gpu in node.gpus)
    counts = ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in node.job_counts.items() if count)
    memory = f"{size_text(used)} of {size_text(node.memory_total)}"
    cpu = f"{node.cpu_percent:.0f}% of {node.cpu_count}"
    return node.hostname, cpu, memory, size_text(node.disk.free), gpus or "-", counts or "none"


def job_row(job: JobView) -> tuple[str, ...]:
    """A job's cells; the third is its percentage."""
    left = duration_text(job.eta_seconds) if job.eta_seconds is not None and job.status in RANK else ""
    status = job.status.replace("_", " ")
    return job.id[:8], status, f"{job.percent_complete}%", left, job.renderer, job.name, job.node or ""


def draw(view: View, height: int, width: int) -> RenderableType:
    """The whole screen, in so many lines and columns."""
    room = max(height - AROUND - len(view.nodes), 0)
    jobs = ordered(view.jobs)
    more = f"and {len(jobs) - room} more; " if len(jobs) > room else ""
    title = Text.assemble(("Zeus", "bold"), f"  {view.url}  ", (clean(view.trouble), "red"))
    title.no_wrap = True
    last = Text(f"{more}q ends", style="dim")
    return Group(title, Text(), _nodes(view.nodes), Text(), _jobs(jobs[:room], narrow=width < NARROW), Text(), last)


def _nodes(nodes: Sequence[StatusView]) -> Table:
    table = _table(HEAD)
    for node in nodes:
        table.add_row(*map(_cell, node_row(node)))
    return table


def _jobs(jobs: Sequence[JobView], *, narrow: bool) -> Table:
    """The table of jobs; a narrow one leaves the last column, the node, to the names."""
    shown = len(JOB_HEAD) - narrow
    table = _table(JOB_HEAD[:shown])
    for number, width in enumerate((8, 8, 16)):
        table.columns[number].min_width = width
    for job in jobs:
        cells: list[RenderableType] = [_cell(cell) for cell in job_row(job)]
        cells[1] = Text(job_row(job)[1], style=STYLE.get(job.status, ""), no_wrap=True)
        cells[2] = _bar(job)
        table.add_row(*cells[:shown])
    return table


def _table(head: Sequence[str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in head:
        # A column that may wrap gives way first. Its cells do not wrap all the same.
        table.add_column(name, no_wrap=name not in GIVE_WAY)
    return table


def _cell(text: str) -> Text:
    return Text(clean(text), no_wrap=True, overflow="ellipsis")


def _bar(job: JobView) -> RenderableType:
    if job.status not in RANK:
        return Text(f"{job.percent_complete}%", style="dim")
    grid = Table.grid(padding=(0, 1))
    grid.add_row(ProgressBar(total=100, completed=job.percent_complete, width=11), f"{job.percent_complete}%")
    return grid
