"""Running a task on this machine: its folder, its lock, its log, its engine."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import shutil
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

import msgspec

from zeus.child import Children, uncancelled
from zeus.dispatch import Reports
from zeus.engine import Completed, Engine, Line, MediaInfo, Quality, Span, Version
from zeus.errors import NoSpace, TaskFailed, ZeusError
from zeus.files import PREVIEW, Files, take_attempt_lock
from zeus.inference import InferenceExecutor
from zeus.joblog import JobLog
from zeus.media import Media
from zeus.model import Assignment, Demand, Job, Place, Role, suitable
from zeus.registry import Registry
from zeus.selection import Selection
from zeus.tool import run_tool
from zeus.worker import call_apart

log = logging.getLogger(__name__)


class LocalTools:
    """What an engine may use of this node; see `zeus.engine.Tools`."""

    def __init__(
        self,
        children: Children,
        media: Media,
        inference: InferenceExecutor,
        cache: Path,
        managed: Callable[[str], list[Version]],
        folders: Sequence[Path] = (),
        label: str = "tools",
    ) -> None:
        self.cache = cache
        self.managed = managed
        self._children = children
        self._media = media
        self.inference = inference
        self._folders = folders
        self._label = label
        self.device: int | None = None
        self._engine = ""
        self._log: JobLog | None = None
        self._lock: int | None = None
        self._lock_path: Path | None = None

    @property
    def warm(self) -> bool:
        return self.inference.is_warm(self.device, self._engine)

    def on(self, engine: str, demand: Demand) -> LocalTools:
        devices = suitable(demand, self.inference.gpus.sizes)
        return self._on(engine, devices[0] if devices else None)

    def _on(self, engine: str, device: int | None) -> LocalTools:
        tools = LocalTools(self._children, self._media, self.inference, self.cache, self.managed, self._folders)
        tools.device, tools._engine = device, engine
        return tools

    async def spawn(
        self,
        argv: Sequence[str],
        *,
        parse: Line | None = None,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        check: bool = True,
        timeout: float | None = None,
    ) -> Completed:
        own = self.inference.gpus.environment(self.device)
        return await run_tool(
            self._children, argv, label=self._label, log=self._log, lock=self._lock,
            parse=parse, cwd=cwd, env={**own, **(env or {})}, check=check, timeout=timeout,
        )  # fmt: skip

    async def probe(self, path: Path) -> MediaInfo:
        return await self._media.probe(path, lock=self._lock_path)

    async def verify(
        self,
        path: Path,
        *,
        duration: float | None = None,
        frames: int | None = None,
        width: int | None = None,
        height: int | None = None,
    ) -> MediaInfo:
        return await self._media.verify(
            path, duration=duration, frames=frames, width=width, height=height, lock=self._lock_path
        )

    async def encode(
        self,
        frames: Path,
        target: Path,
        *,
        width: int,
        height: int,
        fps: float,
        count: int,
        title: str = "",
        crf: int = 18,
        metadata: Mapping[str, str | int | float] = MappingProxyType({}),
    ) -> MediaInfo:
        return await self._media.encode(
            frames, target, width=width, height=height, fps=fps, count=count,
            title=title, crf=crf, metadata=dict(metadata), lock=self._lock_path,
        )  # fmt: skip

    async def still(
        self, path: Path, *, target: Path | None = None, width: int | None = None, height: int | None = None
    ) -> tuple[int, int]:
        return await self._media.still(path, target=target, width=width, height=height, lock=self._lock_path)

    async def movie(
        self,
        pictures: Sequence[Path],
        target: Path,
        *,
        fps: float,
        quality: Quality = "high",
        title: str = "",
        report: Callable[[float], None] | None = None,
    ) -> MediaInfo:
        return await self._media.movie(
            pictures, target, fps=fps, quality=quality, title=title, report=report, lock=self._lock_path
        )

    async def compute(
        self,
        function: str,
        arguments: Mapping[str, Any],
        *,
        report: Callable[[Any], None] | None = None,
        apart: bool = False,
    ) -> Any:
        if apart:
            return await call_apart(self._children, self._folders, function, arguments, report)
        return await self.inference.call(
            function, arguments, device=self.device, engine=self._engine, report=report, lock=self._lock_path
        )


class LocalContext(LocalTools):
    """One attempt at one task; see `zeus.engine.RunContext`."""

    def __init__(
        self,
        tools: LocalTools,
        attempt: Attempt,
        engine: str,
        device: int | None,
        args: Any,
        version: Version | None,
        span: Span | None,
        source: Path | None,
        reports: Reports,
    ) -> None:
        super().__init__(
            tools._children, tools._media, tools.inference, tools.cache, tools.managed, tools._folders, attempt.label
        )
        self.args = args
        self.version = version
        self.span = span
        self.input = source
        self.folder = attempt.work
        self.out = attempt.out
        self.preview = attempt.work / PREVIEW
        self.done = reports.done
        self.published = reports.published
        self.device, self._engine = device, engine
        self._reports = reports
        self._log = attempt.log
        self._lock = attempt.lock
        self._lock_path = attempt.lock_path
        self._notes: set[asyncio.Task[None]] = set()

    def on(self, engine: str, demand: Demand) -> LocalTools:
        return self._on(engine, self.device)

    def report(self, fraction: float, note: str = "", frame: int | None = None) -> None:
        self._reports.progress(fraction, note, frame)

    async def publish(self, frame: int, paths: Sequence[Path], seconds: float | None = None) -> None:
        await self._reports.publish(frame, paths, seconds)

    async def frame_failed(self, frame: int, reason: str) -> None:
        self.note(f"frame {frame}: {reason}")
        await self._reports.frame_failed(frame, reason)

    async def set_span(self, span: Span, step: int = 1) -> None:
        await self._reports.set_span(span.start, span.end, step)
        self.span = span

    def note(self, line: str) -> None:
        task = asyncio.get_running_loop().create_task(self._log.note(line)) if self._log else None
        if task is not None:
            self._notes.add(task)
            task.add_done_callback(self._notes.discard)

    async def settle_notes(self) -> None:
        """Wait until all notes are written."""
        await asyncio.gather(*self._notes, return_exceptions=True)


class Attempt:
    """The folder of one attempt, its lock and its log; `open` and `close` take and release them, in a thread.

    An attempt that goes on `again` after a restart keeps what it had; its log begins anew.
    """

    def __init__(self, files: Files, job: Job, number: int, log_bytes: int, *, again: bool = False) -> None:
        self._again = again
        self.folder = files.attempt(job.id, number)
        self.work = self.folder / "work"
        self.out = self.work / "out"
        self.lock_path = self.folder / "LOCK"
        self.label = f"{job.id}.{number}"
        self.log = JobLog(files.log(job.id, number), log_bytes)
        self._lock: IO[bytes] | None = None

    @property
    def lock(self) -> int | None:
        """The descriptor that every process of the attempt keeps open."""
        return self._lock.fileno() if self._lock is not None else None

    def open(self) -> None:
        if not self._again:  # there is one only where a backup was put back that is older than its files
            shutil.rmtree(self.folder, ignore_errors=True)
        self.out.mkdir(parents=True, exist_ok=True)
        self._lock = take_attempt_lock(self.lock_path)
        (self.folder / "log").unlink(missing_ok=True)
        self.log.open()

    def close(self) -> None:
        self.log.close()
        if self._lock is not None:
            self._lock.close()


class LocalDispatcher:
    """Runs tasks with the engines of this node; see `zeus.dispatch.Dispatcher`."""

    def __init__(
        self,
        places: Callable[[], list[Place]],
        registry: Registry,
        files: Files,
        children: Children,
        tools: LocalTools,
        selection: Selection,
        log_bytes: int,
    ) -> None:
        self._places = places
        self._registry = registry
        self._files = files
        self._children = children
        self._tools = tools
        self._selection = selection
        self._inference = tools.inference
        self._log_bytes = log_bytes

    def places(self) -> list[Place]:
        return self._places()

    async def run(self, assignment: Assignment, job: Job, attempt: int, reports: Reports) -> Path:
        given = self._inference.given(assignment.device, job.renderer)
        async with given, self._attempt(job, attempt) as folder:
            await folder.log.write(job.notes)
            if assignment.device is not None:
                await folder.log.note(f"device: GPU {assignment.device}")
            try:
                await self._run(self._registry.get(job.renderer), folder, assignment, job, reports)
            except Exception as error:
                wrapped = _wrap(error)
                await folder.log.note(f"failed: {wrapped.message}")
                raise wrapped from error
            return folder.out

    async def _run(
        self, engine: Engine[Any], folder: Attempt, assignment: Assignment, job: Job, reports: Reports
    ) -> None:
        def tell(note: str) -> None:
            reports.progress(0.0, note, None)

        async with self._selection.hold(engine, job.renderer_version, tell) as version:
            if version is not None:
                await folder.log.note(f"version: {engine.name} {version.version} ({version.source})")
            await self._run_version(engine, version, folder, assignment, job, reports)

    async def _run_version(
        self, engine: Engine[Any], version: Version | None, folder: Attempt, assignment: Assignment, job: Job,
        reports: Reports,
    ) -> None:  # fmt: skip
        args = msgspec.json.decode(job.args, type=engine.Args)
        task = assignment.task
        has_span = task.start_frame is not None and task.end_frame is not None
        span = Span(task.start_frame or 0, task.end_frame or 0) if has_span else None
        context = LocalContext(
            self._tools, folder, engine.name, assignment.device, args, version, span, self._files.source(job), reports
        )
        try:
            if task.role is Role.CUT:
                reports.set_pieces(await engine.cut(context, reports.weights) if len(reports.weights) > 1 else ())
            elif task.role is Role.JOIN:
                await engine.join(context, reports.made)
            else:
                await engine.run(context)
        finally:
            await context.settle_notes()

    @contextlib.asynccontextmanager
    async def _attempt(self, job: Job, number: int) -> AsyncIterator[Attempt]:
        attempt = Attempt(self._files, job, number, self._log_bytes)
        try:
            try:
                await uncancelled(asyncio.to_thread(attempt.open))
            except OSError as error:
                raise _wrap(error) from error
            yield attempt
        finally:
            await uncancelled(self._leave(attempt))

    async def _leave(self, attempt: Attempt) -> None:
        await self._children.sweep(attempt.label)
        await asyncio.to_thread(attempt.close)


def _wrap(error: Exception) -> ZeusError:
    if isinstance(error, ZeusError):
        return error
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoSpace()
    log.error("the engine failed in a way that it does not explain", exc_info=error)
    return TaskFailed(f"The engine failed: {type(error).__name__}; the node's own log says more.", code="engine_error")
