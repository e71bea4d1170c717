"""What a user can do with jobs: add, look at, cancel and delete them."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from zeus.engine import Engine, GenerationEngine, ModelState, Span
from zeus.errors import BadInput, NotReady, ZeusError
from zeus.files import Files
from zeus.model import Job, NewJob, Output, Progress, Status
from zeus.names import safe_name
from zeus.progress import ProgressBook
from zeus.registry import Registry
from zeus.schedule.runner import Runner
from zeus.store import Store

LONGEST_NAME = 200


class JobRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for. Frames include both ends; either both are given or none."""

    name: str | None = None
    renderer: str | None = None
    renderer_version: str = "latest"
    start_frame: int | None = None
    end_frame: int | None = None
    args: Mapping[str, Any] = msgspec.field(default_factory=dict)
    enable_split_jobs: bool = False
    local_path: str | None = None
    priority: int = 50
    max_attempts: int | None = None
    notes: str = ""


class Upload(msgspec.Struct, frozen=True):
    """A file that has arrived whole, and the name that its sender gave it."""

    part: Path
    filename: str


class Jobs:
    """The jobs of one node."""

    def __init__(
        self,
        store: Store,
        files: Files,
        registry: Registry,
        runner: Runner,
        progress: ProgressBook,
        *,
        max_attempts: int,
        local_roots: Sequence[Path],
    ) -> None:
        self._store = store
        self._files = files
        self._registry = registry
        self._runner = runner
        self._progress = progress
        self._max_attempts = max_attempts
        self._local_roots = local_roots

    async def add(self, requests: Sequence[JobRequest], upload: Upload | None = None) -> list[Job]:
        """Add all of them or, by an error that names the first wrong one, none. Durable when this returns.

        The upload is the input of each and is taken over; when this raises it is still its sender's to remove.
        """
        if not requests:
            raise BadInput("The list of jobs is empty.", code="no_jobs")
        new = []
        for index, request in enumerate(requests):
            try:
                new.append(await asyncio.to_thread(self._checked, request, upload))
            except ZeusError as error:
                raise error if len(requests) == 1 else _at(index, error) from None
        await self._store_new(new, upload)
        return [await self._store.job(job.id) for job in new]

    async def get(self, job_id: str) -> Job:
        """One job. Raises JobNotFound."""
        return await self._store.job(job_id)

    async def all(self) -> list[Job]:
        """All jobs, the newest first."""
        return await self._store.jobs()

    def progress(self, job: Job) -> Progress | None:
        """The live progress of a running job."""
        return self._progress.get(job.id) if job.status is Status.RUNNING else None

    async def outputs(self, job_id: str) -> list[Output]:
        """A job's published files. Raises JobNotFound."""
        await self._store.job(job_id)
        return await self._store.outputs(job_id)

    async def counts(self) -> dict[str, int]:
        """How many jobs there are of each status."""
        return await self._store.counts()

    async def cancel(self, job_id: str) -> Job:
        """End a job; returns when nothing of it runs any more. A job that has ended stays as it is."""
        await self._store.job(job_id)
        await self._runner.stop(await self._store.cancel(job_id))
        return await self._store.job(job_id)

    async def delete(self, job_id: str) -> None:
        """End a job, then remove its record and its own files; never a file that it was only pointed at."""
        await self.cancel(job_id)
        await self._store.delete(job_id)
        await self._files.discard(self._files.job(job_id))

    def model_state(self, engine_name: str, model: str | None = None) -> ModelState:
        """The state of the generation model."""
        try:
            engine = self._registry.get(engine_name)
        except BadInput as error:
            return ModelState(ready=False, building=False, message=error.message)
        if not isinstance(engine, GenerationEngine):
            return ModelState(False, False, f'The engine "{engine_name}" does not make videos from prompts.')
        return engine.model_state(model)

    async def generate(self, engine_name: str, args: Mapping[str, Any]) -> Job:
        """Queue a video. Raises NotReady `model_not_ready` when its model cannot be used now."""
        state = self.model_state(engine_name, args.get("model"))
        if not state.ready:
            raise NotReady(state.message, code="model_not_ready", retry_after=5 if state.building else 60)
        return (await self.add([JobRequest(renderer=engine_name, args=args)]))[0]

    async def _store_new(self, new: Sequence[NewJob], upload: Upload | None) -> None:
        try:
            if upload is not None:
                targets = [self._files.input(job.id, job.input) for job in new if job.input is not None]
                await self._files.take_in(upload.part, targets)
            await self._store.add_jobs(new)
        except Exception:
            await self._files.discard(*(self._files.job(job.id) for job in new))
            raise

    def _checked(self, request: JobRequest, upload: Upload | None) -> NewJob:
        if upload is not None and request.local_path is not None:
            raise BadInput("local_path: a file was uploaded too; send one of them.", code="two_inputs")
        if request.local_path is not None and "\0" in request.local_path:
            raise BadInput("local_path: this is no path.", code="invalid_field")
        source = upload.filename if upload is not None else request.local_path
        engine = self._engine(request, source)
        if engine.needs_input and source is None:
            raise BadInput(f'The engine "{engine.name}" needs an input: send a file.', code="missing_file")
        local_path = None if request.local_path is None else str(self._local(request.local_path))
        args, span = engine.settle(_convert(engine, request.args), _span(request))
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
            input=safe_name(upload.filename) if upload is not None else None,
            local_path=local_path,
            notes=request.notes,
        )

    def _engine(self, request: JobRequest, source: str | None) -> Engine[Any]:
        if request.renderer_version != "latest":
            raise BadInput('renderer_version: only "latest" can be asked for here.', code="unknown_version")
        if request.renderer is not None:
            return self._registry.get(request.renderer)
        if source is None:
            raise BadInput("renderer: name an engine, or send a file that tells it.", code="missing_field")
        engine = self._registry.for_filename(source)
        if engine is None:
            raise BadInput(f'renderer: no engine takes a file named "{source[:80]}"; name one.', code="unknown_engine")
        return engine

    def _local(self, raw: str) -> Path:
        """The real path of an owner's file, which must lie under a configured root. A sequence's pattern may."""
        roots = [root.resolve() for root in self._local_roots]
        if not roots:
            raise BadInput(
                "local_path: this node has no files.local_roots; upload the file.", code="local_path_not_allowed"
            )
        path = Path(raw)
        real = path.parent.resolve() / path.name if _is_pattern(path.name) else path.resolve()
        if not path.is_absolute() or not any(real.is_relative_to(root) for root in roots):
            raise BadInput("local_path: it must lie in one of files.local_roots.", code="local_path_not_allowed")
        if not _is_pattern(path.name) and not real.is_file():
            raise BadInput("local_path: there is no such file.", code="file_not_found")
        return real


def _is_pattern(name: str) -> bool:
    return "#" in name or "%" in name


def _convert(engine: Engine[Any], args: Mapping[str, Any]) -> Any:
    try:
        return msgspec.convert(args, engine.Args)
    except msgspec.ValidationError as error:
        text, _, path = str(error).partition(" - at `$")
        raise BadInput(f"args{path.rstrip('`')}: {text}.", code="invalid_args") from error


def _span(request: JobRequest) -> Span | None:
    start, end = request.start_frame, request.end_frame
    if start is None and end is None:
        return None
    if start is None or end is None:
        raise BadInput("start_frame and end_frame go together; one is missing.", code="invalid_frames")
    if end < start:
        raise BadInput(f"end_frame: {end} is before start_frame, {start}.", code="invalid_frames")
    return Span(start, end)


def _name(request: JobRequest, source: str | None, args: Any) -> str:
    name = request.name or getattr(args, "prompt", None) or source or request.renderer or ""
    if request.name is None and source is not None:
        name = source.replace("\\", "/").rpartition("/")[2]
    return name[:LONGEST_NAME]


def _at(index: int, error: ZeusError) -> ZeusError:
    return type(error)(f"Job {index} of the list: {error.message}", code=error.code)
