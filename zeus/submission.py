"""Checking what is asked for, before anything is stored: a request becomes jobs that can run, or a clear error."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import msgspec

from zeus.engine import Engine, Facts, GenerationEngine, Span
from zeus.errors import BadInput, NotReady, ZeusError
from zeus.mismatch import mismatch
from zeus.model import Demand, NewJob
from zeus.names import safe_name
from zeus.registry import Registry
from zeus.requests import (
    Abroad,
    Checked,
    CheckVersion,
    ChildRequest,
    FindProject,
    Inspect,
    JobRequest,
    Pin,
    Settled,
    Source,
    Upload,
    span_of,
)
from zeus.versions import LATEST
from zeus.wire import SharedFile

LONGEST_NAME = 200


class Submissions:
    """Makes jobs of requests, with the engines and the rules of one node."""

    def __init__(
        self,
        registry: Registry,
        inspect: Inspect,
        check_version: CheckVersion,
        pin: Pin,
        why_not: Callable[[str], Awaitable[str | None]],
        abroad: Abroad,
        find_shared: Callable[[SharedFile], Path],
        *,
        max_attempts: int,
        local_roots: Sequence[Path],
    ) -> None:
        """`why_not` says why an engine cannot run here, `find_shared` where a file of a shared folder lies."""
        self._registry = registry
        self._inspect = inspect
        self._check_version = check_version
        self._pin = pin
        self._why_not = why_not
        self._abroad = abroad
        self._find_shared = find_shared
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

    async def is_foreign(self, source: Source) -> bool:
        """Whether a file is for an engine that runs elsewhere, and not here."""
        return await self._belongs_abroad(JobRequest(), source)

    async def _family(self, request: JobRequest, upload: Upload | None, find_project: FindProject) -> list[Checked]:
        source = await self._source(request, upload)
        if await self._belongs_abroad(request, source):
            return await self._family_abroad(request, source)
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
        made = self._job(request, engine, source, facts)
        can_split = _splits(made, request, engine)
        parent = await self._shared_out(made, can_split, engine) if request.enable_split_jobs else made
        children = [self._child(request, parent, child, engine, source, facts) for child in request.child_jobs]
        upload = source.upload if source is not None else None
        return [Checked(parent, upload, can_split), *(Checked(child, upload) for child in children)]

    async def _source(self, request: JobRequest, upload: Upload | None) -> Source | None:
        source = self._uploaded(request, upload)
        if request.local_path is not None:
            path = await asyncio.to_thread(self._local, request.local_path)
            return Source(Path(request.local_path).name, str(path))
        if request.shared is not None:
            path = await asyncio.to_thread(self._find_shared, request.shared)
            return Source(path.name, str(path))
        return Source(request.filename) if source is None and request.filename is not None else source

    async def _belongs_abroad(self, request: JobRequest, source: Source | None) -> bool:
        """Whether no engine here can run a job that another node can. Raises NotReady."""
        if request.here or request.share is not None:
            return False
        own = self._takers(request, source)
        if not self._abroad.can_check(request, source):
            if not own:
                self._abroad.refuse_unready(request.renderer)
            return False
        return not any([await self._runs_here(engine, request) for engine in own])

    def _takers(self, request: JobRequest, source: Source | None) -> list[Engine[Any]]:
        """The engines here that a request may mean."""
        engines = self._registry.engines
        if request.renderer is not None:
            return [engines[request.renderer]] if request.renderer in engines else []
        found = self._registry.for_filename(source.name) if source is not None else None
        if found is None and source is not None and source.name.lower().endswith(".zip"):
            return [engine for engine in engines.values() if engine.projects]
        return [found] if found is not None else []

    async def _runs_here(self, engine: Engine[Any], request: JobRequest) -> bool:
        """Whether an engine can run on this machine as a request wants it."""
        try:
            if isinstance(engine, GenerationEngine):
                model = request.args.get("model")
                if not engine.model_state(model if isinstance(model, str) else None).ready:
                    return False
            await self._check_version(engine, request.renderer_version)
        except (BadInput, NotReady):
            return False
        return await self._why_not(engine.name) is None

    async def _family_abroad(self, request: JobRequest, source: Source | None) -> list[Checked]:
        """As `_family`, by another node's word. An archive stays one: it is unpacked where the job runs."""
        [settled] = await self._abroad.settle([request], source)
        parent = self._made(request, source, settled)
        dealt = self._dealt(parent, request, settled)
        jobs = [dealt if request.enable_split_jobs else parent]
        if request.child_jobs:
            wanted = [self._child_request(request, parent, child) for child in request.child_jobs]
            found = await self._abroad.settle(wanted, source)
            jobs += [msgspec.structs.replace(self._made(own, source, each), parent=parent.id, splits="")
                     for own, each in zip(wanted, found, strict=True)]  # fmt: skip
        upload = source.upload if source is not None else None
        return [Checked(job, upload, dealt.splits if job is jobs[0] else "") for job in jobs]

    def _dealt(self, job: NewJob, request: JobRequest, settled: Settled) -> NewJob:
        """A job as nodes share it out: as frames, which are joined here where its engine is here as well.

        To cut its input, the engine would have to run here.
        """
        if settled.splits != "frames" or len(job.frames) < 2 or request.child_jobs:
            return job
        if not settled.joins:
            return msgspec.structs.replace(job, splits="frames")
        engine = self._registry.engines.get(job.renderer)
        try:
            args = msgspec.json.decode(job.args, type=engine.Args) if engine is not None else None
        except msgspec.MsgspecError:  # another version of it
            engine = None
        part_args = engine.part_args(args) if engine is not None and engine.joins(args) else None
        if part_args is None:
            return job
        return msgspec.structs.replace(job, splits="frames", piece_args=msgspec.json.encode(part_args))

    def _job(self, request: JobRequest, engine: Engine[Any], source: Source | None, facts: Facts | None) -> NewJob:
        wanted, given = span_of(request.start_frame, request.end_frame), _given(request.args, engine, source)
        if request.seconds is not None:
            given = {**given, **_lasting(engine, request.seconds, given)}
        args, span = engine.settle(_convert(engine, given), wanted, facts)
        settled = Settled(
            renderer=engine.name,
            args=msgspec.json.encode(args),
            span=span,
            frame_step=getattr(args, "frame_step", None) or 1,
            publishes=engine.publishes,
            joins=engine.joins(args),
            demand=_asked(engine, args),
        )
        return self._made(request, source, settled)

    def _made(self, request: JobRequest, source: Source | None, settled: Settled) -> NewJob:
        span = settled.span
        return NewJob(
            id=str(uuid.uuid4()),
            name=_name(request, source, settled),
            renderer=settled.renderer,
            renderer_version=settled.version or request.renderer_version,
            args=settled.args,
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
            frame_step=settled.frame_step,
            publishes=settled.publishes,
            joins=settled.joins,
            demand=_demand(settled, request),
            project=settled.project,
            tags=tuple(request.tags),
            share=request.share,
        )

    async def _shared_out(self, job: NewJob, splits: str, engine: Engine[Any]) -> NewJob:
        """A job as nodes share it out, where it can be: all pieces are made by one version."""
        if not splits:
            return job
        version = await self._pin(engine, job.renderer_version)
        return msgspec.structs.replace(
            job,
            renderer_version=version,
            demand=msgspec.structs.replace(job.demand, version=version),
            splits=splits,
            piece_args=msgspec.json.encode(engine.part_args(msgspec.json.decode(job.args, type=engine.Args))),
        )

    def _child(
        self, request: JobRequest, parent: NewJob, child: ChildRequest, engine: Engine[Any], source: Source | None,
        facts: Facts | None,
    ) -> NewJob:  # fmt: skip
        made = self._job(self._child_request(request, parent, child), engine, source, facts)
        return msgspec.structs.replace(made, parent=parent.id, splits="")

    def _child_request(self, request: JobRequest, parent: NewJob, child: ChildRequest) -> JobRequest:
        """What a subjob asks for: the same as its parent, but for what it says itself."""
        span = span_of(child.start_frame, child.end_frame) or span_of(parent.start_frame, parent.end_frame)
        number = request.child_jobs.index(child)
        _check_inside(span, parent, number)
        frames = (span.start, span.end) if span else (None, None)
        return msgspec.structs.replace(
            request,
            name=child.name or f"{parent.name} {number + 1}",
            start_frame=frames[0],
            end_frame=frames[1],
            args={**request.args, **child.args},
            child_jobs=(),
        )

    def _uploaded(self, request: JobRequest, upload: Upload | None) -> Source | None:
        """The upload that is a request's input. Raises BadInput when more than one input is given."""
        given = {"upload": request.upload, "local_path": request.local_path, "shared": request.shared}
        field = next((name for name, each in given.items() if each is not None), "file")
        if sum(each is not None for each in (*given.values(), upload)) > 1:
            raise BadInput(f"{field}: another input was given too; send one.", code="two_inputs")
        sent = request.upload or upload
        return None if sent is None else Source(sent.filename, upload=sent)

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


def _demand(settled: Settled, request: JobRequest) -> Demand:
    """What an engine asks for and what its sender does. A share of another node's job is not sent on."""
    version = settled.version or ("" if request.renderer_version == LATEST else request.renderer_version)
    tags = tuple(sorted(set(request.tags)))
    return msgspec.structs.replace(settled.demand, version=version, tags=tags, here=request.share is not None)


def _asked(engine: Engine[Any], args: Any) -> Demand:
    """What an engine asks for, and of one that generates, the model too."""
    model = getattr(args, "model", None) if isinstance(engine, GenerationEngine) else None
    return msgspec.structs.replace(engine.demand(args), model=model or "")


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


def _splits(job: NewJob, request: JobRequest, engine: Engine[Any]) -> str:
    """How nodes could share a job out: "" not at all."""
    is_one = (engine.splits == "frames" and len(job.frames) < 2) or (engine.splits == "parts" and job.input is None)
    if is_one or request.child_jobs or request.share is not None:
        return ""
    return engine.splits if engine.part_args(msgspec.json.decode(job.args, type=engine.Args)) is not None else ""


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
        field, text = mismatch(error, engine.Args)
        words = [word for each in msgspec.structs.fields(engine.Args) if each.encode_name == field
                 for word in _words(each.type)]  # fmt: skip
        hint = f"; it is one of {', '.join(words)}" if words else ""
        raise BadInput(f"{f'args.{field}' if field else 'args'}: {text}{hint}.", code="invalid_args") from error


def _words(kind: Any) -> list[str]:
    """The words that a type allows by name."""
    if get_origin(kind) is Literal:
        return [str(word) for word in get_args(kind)]
    return [word for part in get_args(kind) for word in _words(part)]


def _lasting(engine: Engine[Any], seconds: float, args: Mapping[str, Any]) -> Mapping[str, Any]:
    if not isinstance(engine, GenerationEngine):
        raise BadInput(f'seconds: the engine "{engine.name}" does not make videos from prompts.', code="invalid_field")
    model = args.get("model")
    return engine.lasting(seconds, model if isinstance(model, str) else None)


class _Prompted(msgspec.Struct, frozen=True):
    prompt: Any = None


def _name(request: JobRequest, source: Source | None, settled: Settled) -> str:
    prompt = msgspec.json.decode(settled.args, type=_Prompted).prompt
    said = (prompt if isinstance(prompt, str) else None) or (_plain(source.name) if source is not None else None)
    return (request.name or said or settled.renderer)[:LONGEST_NAME]


def _plain(name: str) -> str:
    """A file's name without the folders that its sender had it in."""
    return name.replace("\\", "/").rpartition("/")[2]
