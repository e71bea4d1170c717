"""A small real RunContext for the FFmpeg tests: real processes, and the media worker's functions in a thread."""

from __future__ import annotations

import asyncio
import importlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from zeus import mediaworker
from zeus.engine import Completed, MediaInfo, Span, Version
from zeus.errors import ToolFailed


class Quiet:
    """A Computation that nobody listens to and nobody cancels."""

    def report(self, value: Any) -> None: ...

    def check(self) -> None: ...


async def _compute(function: Callable[..., Any], **arguments: Any) -> MediaInfo:
    return msgspec.convert(await asyncio.to_thread(function, Quiet(), **arguments), MediaInfo)


class Context:
    """What an engine gets for one attempt; it remembers what it was told."""

    def __init__(self, folder: Path, args: Any, source: Path | None, span: Span | None = None) -> None:
        self.args, self.input, self.span = args, source, span
        self.version: Version | None = None
        self.installed: list[Version] = []
        self.folder = self.cache = folder / "work"
        self.out = folder / "out"
        self.folder.mkdir(exist_ok=True)
        self.out.mkdir(exist_ok=True)
        self.progress: list[tuple[float, str, int | None]] = []
        self.notes: list[str] = []
        self.argvs: list[list[str]] = []
        self.started = asyncio.Event()
        self.process: asyncio.subprocess.Process | None = None

    def managed(self, engine: str) -> list[Version]:
        return self.installed

    async def spawn(
        self,
        argv: Sequence[str],
        *,
        parse: Callable[[str], None] | None = None,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        check: bool = True,
        timeout: float | None = None,
    ) -> Completed:
        self.argvs.append(list(argv))
        stdin, out, error = asyncio.subprocess.DEVNULL, asyncio.subprocess.PIPE, asyncio.subprocess.STDOUT
        try:
            self.process = process = await asyncio.create_subprocess_exec(
                *argv, stdin=stdin, stdout=out, stderr=error, cwd=cwd, env={**os.environ, **(env or {})}
            )
        except OSError as problem:
            raise ToolFailed(str(problem)) from problem
        assert process.stdout is not None
        lines: list[str] = []
        async with asyncio.timeout(timeout or 60):
            async for raw in process.stdout:
                lines.append(raw.decode("utf-8", "replace").rstrip("\n"))
                self.started.set()
                if parse is not None:
                    parse(lines[-1])
            code = await process.wait()
        if check and code != 0:
            raise ToolFailed(lines[-1] if lines else f"exit code {code}")
        return Completed(code, tuple(lines[-20:]))

    async def probe(self, path: Path) -> MediaInfo:
        return await _compute(mediaworker.probe, path=str(path))

    async def verify(self, path: Path, **expected: Any) -> MediaInfo:
        return await _compute(mediaworker.verify, path=str(path), **expected)

    async def encode(self, frames: Path, target: Path, **options: Any) -> MediaInfo:
        return await _compute(mediaworker.encode, frames=str(frames), target=str(target), **options)

    async def movie(self, pictures: Sequence[Path], target: Path, **options: Any) -> MediaInfo:
        options.pop("report", None)
        return await _compute(mediaworker.movie, pictures=list(map(str, pictures)), target=str(target), **options)

    async def compute(
        self, function: str, arguments: Mapping[str, Any], *, report: Any = None, apart: bool = False
    ) -> Any:
        module, _, name = function.partition(":")
        return await asyncio.to_thread(getattr(importlib.import_module(module), name), Quiet(), **arguments)

    def report(self, fraction: float, note: str = "", frame: int | None = None) -> None:
        self.progress.append((fraction, note, frame))

    def note(self, line: str) -> None:
        self.notes.append(line)

    @property
    def made(self) -> list[str]:
        """The names of the output files."""
        return sorted(path.name for path in self.out.iterdir())
