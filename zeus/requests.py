"""What is asked for, as data: a request for a job, its input, what an engine makes of it; and who helps to check it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec

from zeus.engine import Engine, Facts, Span
from zeus.errors import BadInput
from zeus.model import Demand, NewJob, Share
from zeus.wire import SharedFile


class ChildRequest(msgspec.Struct, frozen=True, kw_only=True):
    """An explicit subjob: the frames and arguments in which it differs from its parent."""

    name: str | None = None
    start_frame: int | None = None
    end_frame: int | None = None
    args: Mapping[str, Any] = msgspec.field(default_factory=dict)


class Upload(msgspec.Struct, frozen=True):
    """A file that has arrived whole, the name that its sender gave it, and its sha256 in hex.

    `keep`: it stays where it is when it becomes a job's input. With `inner`, `part` is the folder of an unpacked
    archive, and `inner` the path in it of the file that is meant.
    """

    part: Path
    filename: str
    sha256: str
    keep: bool = False
    inner: str | None = None


class JobRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for. Frames include both ends; either both are given or none."""

    name: str | None = None
    renderer: str | None = None
    renderer_version: str = "latest"
    start_frame: int | None = None
    end_frame: int | None = None
    args: Mapping[str, Any] = msgspec.field(default_factory=dict)
    enable_split_jobs: bool = False
    child_jobs: Sequence[ChildRequest] = ()
    local_path: str | None = None
    upload: Upload | None = None
    project_file: str | None = None
    priority: int = 50
    depends_on: Sequence[str] = ()
    not_before: float = 0.0
    max_attempts: int | None = None
    notes: str = ""
    tags: Sequence[str] = ()
    share: Share | None = None
    seconds: float | None = None
    """How long a video shall be, in place of its number of frames."""
    shared: SharedFile | None = None
    """Its input, in a folder that the node which asks sees too."""
    filename: str | None = None
    """The name of an input that is still to come; such a job can be checked alone."""
    here: bool = False
    """Whether it is for this node alone: another one gives it to this one."""


class Source(msgspec.Struct, frozen=True):
    """The input of a job: `name` as its sender calls it, and the upload or the `path` of a file of the owner's own;
    neither while it is still to come.
    """

    name: str
    path: str | None = None
    upload: Upload | None = None


class Inspect(Protocol):
    """Finds out what an engine says of a job's input, or None where it cannot be asked. Raises BadInput."""

    async def __call__(self, engine: Engine[Any], source: Source) -> Facts | None: ...


class CheckVersion(Protocol):
    """Whether what a wish for a version of an engine means is here, and not still to be installed.

    Raises BadInput when it is neither here nor to be had, or NotReady.
    """

    async def __call__(self, engine: Engine[Any], wish: str) -> bool: ...


class Pin(Protocol):
    """The one version of an engine that a wish means here now, or will once it is installed; else the wish itself."""

    async def __call__(self, engine: Engine[Any], wish: str) -> str: ...


class FindProject(Protocol):
    """The project file of an archive as a source of its own; any other source as it is. Raises BadInput, NoSpace."""

    async def __call__(self, source: Source, renderer: str | None, project_file: str | None) -> Source: ...


class Settled(msgspec.Struct, frozen=True):
    """What an engine makes of a request: its arguments with nothing left open, and what follows from them."""

    renderer: str
    args: bytes
    span: Span | None
    frame_step: int = 1
    publishes: str = "whole"
    splits: str = ""
    """How nodes could share it out."""
    joins: bool = False
    version: str = ""
    """That of its engine, where it must be the same for all of the job; "": what the request wants."""
    demand: Demand = Demand()
    project: str = ""
    """See NewJob."""


class Abroad(Protocol):
    """The engines of other nodes, for jobs that cannot run here."""

    def can_check(self, request: JobRequest, source: Source | None) -> bool:
        """Whether there is a node that could check a job, and then run it. From memory."""

    def refuse_unready(self, renderer: str | None) -> None:
        """Raises NotReady where other nodes have an engine and none of them can run it now."""

    async def settle(self, requests: Sequence[JobRequest], source: Source | None) -> Sequence[Settled]:
        """What an engine there makes of requests with one input. Raises BadInput or NotReady."""


class Checked(msgspec.Struct, frozen=True):
    """A job that may be stored, the upload that becomes its input, and how nodes could share it out."""

    job: NewJob
    upload: Upload | None
    can_split: str = ""


def span_of(start: int | None, end: int | None) -> Span | None:
    """The frames from one number to another. Raises BadInput."""
    if start is None and end is None:
        return None
    if start is None or end is None:
        raise BadInput("start_frame and end_frame go together; one is missing.", code="invalid_frames")
    if end < start:
        raise BadInput(f"end_frame: {end} is before start_frame, {start}.", code="invalid_frames")
    return Span(start, end)
