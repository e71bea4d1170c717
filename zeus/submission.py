"""Checking what is asked for, before anything is stored: a request becomes jobs that can run, or a clear error."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, get_args, get_origin

import msgspec

from zeus.engine import Engine, Facts, GenerationEngine, Span
from zeus.errors import BadInput, ZeusError
from zeus.model import Demand, NewJob, Share
from zeus.names import safe_name
from zeus.registry import Registry
from zeus.versions import LATEST

LONGEST_NAME = 200


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


class Source(msgspec.Struct, frozen=True):
    """The input of a job: `name` as its sender calls it, and the upload or the `path` of a file of the owner's own."""

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


class Checked(msgspec.Struct, frozen=True):
    """A job that may be stored, and the upload that becomes its input."""

    job: NewJob
    upload: Upload | None


class Submissions:
    """Makes jobs of requests, with the engines and the rules of one node."""

    def __init__(
        self,
        registry: Registry,
        inspect: Inspect,
        check_version: CheckVersion,
        pin: Pin,
        *,
        max_attempts: int,
        local_roots: Sequence[Path],
    ) -> None:
        self._registry = registry
        self._inspect = inspect
        self._check_version = check_version
        self._pin = pin
        self._max_attempts = max_attempts
        self._local_roots = local_roots

    async def check(
        self, requests: Sequence[JobRequest], upload: Upload | None, find_project: FindProject
    ) -> list[Checked]:
        """The jobs of all requests, a parent before its subjobs. `upload` is the file that was sent with them.

        Raises BadInput that names the field and, where there are several requests, which one.
        """
        if not requests:
            raise BadInput("The list of jobs is empty.", code="no_jobs")
        jobs = []
        for index, request in enumerate(requests):
            try:
                jobs += await self._family(request, upload, find_project)
            except ZeusError as error:
                where = "" if len(requests) == 1 else f"Job {index} of the list: "
                raise type(error)(where + error.message, code=error.code) from None
        return jobs

    async def _family(self, request: JobRequest, upload: Upload | None, find_project: FindProject) -> list[Checked]:
        source = self._uploaded(request, upload)
        if request.local_path is not None:
            path = await asyncio.to_thread(self._local, request.local_path)
            source = Source(Path(request.local_path).name, str(path))
        if source is not None:
            source = await find_project(source, request.renderer, request.project_file)
        elif request.project_file is not None:
            raise BadInput("project_file: there is no archive to find it in.", code="no_archive")
        engine = self._engine(request, source)
        if engine.needs_input and source is None:
            raise BadInput(f'The engine "{engine.name}" needs an input: send a file.', code="missing_file")
        is_here = await self._check_version(engine, request.renderer_version)
        self._job(request, engine, source, None)  # what no file could make right is told before a file is looked at
        # Another version may not be able to read the file that the one to be installed reads.
        facts = await self._inspect(engine, source) if is_here and source is not None else None
        parent = await self._shared_out(self._job(request, engine, source, facts), request, engine)
        children = [self._child(request, parent, child, engine, source, facts) for child in request.child_jobs]
        return [Checked(job, source.upload if source is not None else None) for job in (parent, *children)]

    def _job(self, request: JobRequest, engine: Engine[Any], source: Source | None, facts: Facts | None) -> NewJob:
        wanted = _span(request.start_frame, request.end_frame)
        args, span = engine.settle(_convert(engine, _given(request.args, engine, source)), wanted, facts)
        return NewJob(
            id=str(uuid.uuid4()),
            name=_name(request, source, args),
            renderer=engine.name,
            renderer_version=request.renderer_version,
            args=msgspec.json.encode(args),
            created=time.time(),
            priority=request.priority,
            max_attempts=request.max_attempts or self._max_attempts,
            start_frame=span.start if span else None,
            end_frame=span.end if span else None,
            enable_split_jobs=request.enable_split_jobs,
            input=_input(source),
            local_path=source.path if source is not None else None,
            notes=request.notes,
            not_before=request.not_before,
            depends_on=tuple(dict.fromkeys(request.depends_on)),
            frame_step=getattr(args, "frame_step", None) or 1,
            publishes=engine.publishes,
            demand=_demand(engine, args, request),
            tags=tuple(request.tags),
            splits=engine.splits if request.enable_split_jobs else "",
            share=request.share,
        )

    async def _shared_out(self, job: NewJob, request: JobRequest, engine: Engine[Any]) -> NewJob:
        """A job as nodes share it out, where it asks for that and can be: all pieces are made by one version."""
        is_one = (job.splits == "frames" and len(job.frames) < 2) or (job.splits == "parts" and job.input is None)
        if not job.splits or is_one or request.child_jobs or request.share is not None:
            return msgspec.structs.replace(job, splits="")
        args = msgspec.json.decode(job.args, type=engine.Args)
        version = await self._pin(engine, job.renderer_version)
        return msgspec.structs.replace(
            job,
            renderer_version=version,
            demand=msgspec.structs.replace(job.demand, version=version),
            piece_args=msgspec.json.encode(engine.part_args(args)),
            joins=engine.joins(args),
        )

    def _child(
        self, request: JobRequest, parent: NewJob, child: ChildRequest, engine: Engine[Any], source: Source | None,
        facts: Facts | None,
    ) -> NewJob:  # fmt: skip
        span = _span(child.start_frame, child.end_frame) or _span(parent.start_frame, parent.end_frame)
        number = request.child_jobs.index(child)
        _check_inside(span, parent, number)
        frames = (span.start, span.end) if span else (None, None)
        own = msgspec.structs.replace(
            request,
            name=child.name or f"{parent.name} {number + 1}",
            start_frame=frames[0],
            end_frame=frames[1],
            args={**request.args, **child.args},
        )
        made = self._job(own, engine, source, facts)
        return msgspec.structs.replace(made, parent=parent.id, splits="")

    def _uploaded(self, request: JobRequest, upload: Upload | None) -> Source | None:
        """The upload that is a request's input. Raises BadInput when more than one input is given."""
        field = "upload" if request.upload is not None else "local_path"
        if sum(each is not None for each in (request.upload, request.local_path, upload)) > 1:
            raise BadInput(f"{field}: another input was given too; send one.", code="two_inputs")
        given = request.upload or upload
        return None if given is None else Source(given.filename, upload=given)

    def _engine(self, request: JobRequest, source: Source | None) -> Engine[Any]:
        if request.renderer is not None:
            return self._registry.get(request.renderer)
        if source is None:
            raise BadInput("renderer: name an engine, or send a file that tells it.", code="missing_field")
        engine = self._registry.for_filename(source.name)
        if engine is None:
            name = source.name[:80]
            raise BadInput(f'renderer: no engine takes a file named "{name}"; name one.', code="unknown_engine")
        return engine

    def _local(self, raw: str) -> Path:
        """The real path of an owner's file, which must lie under a configured root. A sequence's pattern may."""
        roots = [root.resolve() for root in self._local_roots]
        if not roots:
            raise BadInput(
                "local_path: this node has no files.local_roots; upload the file.", code="local_path_not_allowed"
            )
        if "\0" in raw:
            raise BadInput("local_path: this is no path.", code="invalid_field")
        path = Path(raw)
        try:
            real = path.parent.resolve() / path.name if _is_pattern(path.name) else path.resolve()
            is_file = real.is_file()
        except (OSError, RuntimeError) as error:
            raise BadInput("local_path: this is no path that can be followed.", code="invalid_field") from error
        if not path.is_absolute() or not any(real.is_relative_to(root) for root in roots):
            raise BadInput("local_path: it must lie in one of files.local_roots.", code="local_path_not_allowed")
        if not _is_pattern(path.name) and not is_file:
            raise BadInput("local_path: there is no such file.", code="file_not_found")
        return real


def _demand(engine: Engine[Any], args: Any, request: JobRequest) -> Demand:
    """What an engine asks for and what its sender does. A share of another node's job is not sent on."""
    model = getattr(args, "model", None) if isinstance(engine, GenerationEngine) else None
    return msgspec.structs.replace(
        engine.demand(args),
        version="" if request.renderer_version == LATEST else request.renderer_version,
        model=model or "",
        tags=tuple(sorted(set(request.tags))),
        here=request.share is not None,
    )


def _given(args: Mapping[str, Any], engine: Engine[Any], source: Source | None) -> Mapping[str, Any]:
    """A job's arguments: the input of one that makes a video is a picture, and `image` that file's name."""
    if not isinstance(engine, GenerationEngine):
        return args
    if source is not None:
        return {**args, "image": _plain(source.name)}
    if args.get("image"):
        raise BadInput("args.image: it is the name of the job's file; send the picture as that.", code="missing_file")
    return args


def _input(source: Source | None) -> str | None:
    if source is None or source.upload is None:
        return None
    return source.upload.inner or safe_name(source.name)


def _check_inside(span: Span | None, parent: NewJob, number: int) -> None:
    first, last = parent.start_frame, parent.end_frame
    if span is not None and first is not None and last is not None and not first <= span.start <= span.end <= last:
        raise BadInput(
            f"child_jobs[{number}]: frames {span.start} to {span.end} are outside the job's, {first} to {last}.",
            code="invalid_frames",
        )


def _is_pattern(name: str) -> bool:
    return "#" in name or "%" in name


def _convert(engine: Engine[Any], args: Mapping[str, Any]) -> Any:
    try:
        return msgspec.convert(args, engine.Args)
    except msgspec.ValidationError as error:
        text, _, path = str(error).partition(" - at `$")
        field = path.rstrip("`")
        words = [word for each in msgspec.structs.fields(engine.Args) if f".{each.encode_name}" == field
                 for word in _words(each.type)]  # fmt: skip
        hint = f"; it is one of {', '.join(words)}" if words else ""
        raise BadInput(f"args{field}: {text}{hint}.", code="invalid_args") from error


def _words(kind: Any) -> list[str]:
    """The words that a type allows by name."""
    if get_origin(kind) is Literal:
        return [str(word) for word in get_args(kind)]
    return [word for part in get_args(kind) for word in _words(part)]


def _span(start: int | None, end: int | None) -> Span | None:
    if start is None and end is None:
        return None
    if start is None or end is None:
        raise BadInput("start_frame and end_frame go together; one is missing.", code="invalid_frames")
    if end < start:
        raise BadInput(f"end_frame: {end} is before start_frame, {start}.", code="invalid_frames")
    return Span(start, end)


def _name(request: JobRequest, source: Source | None, args: Any) -> str:
    said = getattr(args, "prompt", None) or (_plain(source.name) if source is not None else None)
    return (request.name or said or request.renderer or "")[:LONGEST_NAME]


def _plain(name: str) -> str:
    """A file's name without the folders that its sender had it in."""
    return name.replace("\\", "/").rpartition("/")[2]
