"""Runs Blender over the frames that are missing, and checks and publishes each while Blender goes on with the next."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from zeus.engine import RunContext
from zeus.errors import OutputInvalid, TaskFailed, ToolFailed

from .arguments import BlenderArgs
from .command import RUNS, rendering
from .finder import Build
from .frames import Run, runs, said
from .lines import Event, LineReader, Rendering, Saved, Started

DECODED = frozenset({".png", ".jpg", ".tif", ".exr", ".bmp", ".webp", ".hdr", ".dpx"})
"""Endings of pictures that are decoded before they are published; of others it is enough that they are not empty."""
LASTING = ("Build without OpenImageDenoiser", "Cannot render, no camera")
"""What another attempt would not change."""


def named(stem: str, frame: int, ending: str) -> str:
    """What the file of a frame is called."""
    return f"{stem}_{frame:04d}{ending}"


class Work(msgspec.Struct, frozen=True):
    """What is to be rendered; `args` are settled. `share`: the part of the job's progress that rendering is."""

    build: Build
    source: Path
    args: BlenderArgs
    frames: range
    stem: str
    allow_scripts: bool
    share: float = 1.0

    def name(self, frame: int, ending: str) -> str:
        """What a frame's file is called once it is published."""
        return named(self.stem, frame, ending)


class Answer(msgspec.Struct, frozen=True):
    """What scripts/setup.py made of the scene; `size` is None where only a part of the picture is kept."""

    engine: str
    device: str
    extension: str
    size: tuple[int, int] | None
    suffixes: tuple[str, ...]
    passes: tuple[str, ...]


async def render(context: RunContext[BlenderArgs], work: Work) -> None:
    """Publish all frames that are not published yet. Raises TaskFailed when some could not be made."""
    progress = _Progress(context, work)
    failed: dict[int, str] = {}
    missing = list(runs(work.frames, context.done, work.frames.step))
    for number in range(0, len(missing), RUNS):
        batch = missing[number : number + RUNS]
        process = _Process(context, work, progress, context.folder / f"frames-{number // RUNS}")
        failed |= await process.run(batch)
    if failed:
        reasons = "; ".join(f"frame {frame}: {reason}" for frame, reason in list(failed.items())[:3])
        raise OutputInvalid(f"Of {len(work.frames)} frames {len(failed)} came out wrong. {reasons}"[:1000])


class _Progress:
    """What the job shows while Blender renders."""

    def __init__(self, context: RunContext[BlenderArgs], work: Work) -> None:
        self._context = context
        self._work = work
        self._done = sum(frame in context.done for frame in work.frames)
        self._where = "starting Blender"

    def started(self, event: Started) -> None:
        self._where = f"{event.engine} on {event.device}"
        self._tell(0.0)

    def rendering(self, event: Rendering) -> None:
        left = f", {event.remaining:.0f} s left of it" if event.remaining else ""
        self._tell(event.fraction, f": frame {event.frame}, {event.doing}{left}")

    def published(self) -> None:
        self._done += 1
        self._tell(0.0)

    def _tell(self, fraction: float, words: str = "") -> None:
        total = len(self._work.frames)
        whole = min(1.0, (self._done + fraction) / total) if total else 1.0
        self._context.report(self._work.share * whole, self._where + words, self._done)


class _Process:
    """One Blender that renders some runs of frames."""

    def __init__(self, context: RunContext[BlenderArgs], work: Work, progress: _Progress, folder: Path) -> None:
        self._context = context
        self._work = work
        self._progress = progress
        self._folder = folder
        self._answer: Answer | None = None
        self._reader = LineReader()
        self._saved: asyncio.Queue[tuple[str, float] | None] = asyncio.Queue()
        self._since = time.monotonic()
        self._published: set[int] = set()
        self._failed: dict[int, str] = {}

    async def run(self, batch: Sequence[Run]) -> dict[int, str]:
        """The frames that came out wrong, with the reasons. Raises TaskFailed when Blender left some out."""
        await asyncio.to_thread(self._prepare)
        work, args = self._work, self._work.args
        argv = rendering(
            work.build.path, work.source, self._options, batch,
            scene=args.scene, threads=args.threads, allow_scripts=work.allow_scripts,
        )  # fmt: skip
        checking = asyncio.create_task(self._check())
        spawning = asyncio.create_task(self._spawn(argv))
        try:
            # a check that fails in another way than a frame's own ends Blender too
            await asyncio.wait((checking, spawning), return_when=asyncio.FIRST_EXCEPTION)
            if checking.done():
                checking.result()
            code = spawning.result()
            await checking
        finally:
            for task in (checking, spawning):
                task.cancel()
            await asyncio.wait((checking, spawning))
        await self._settle(code, [frame for run in batch for frame in run.frames])
        return self._failed

    @property
    def _options(self) -> Path:
        return self._folder / "options.json"

    def _prepare(self) -> None:
        (self._folder / "out").mkdir(parents=True)
        args = msgspec.structs.asdict(self._work.args)
        options = {
            "args": {**args, "export_format": self._work.args.picture},
            "stereo": self._work.args.stereo and self._work.args.movie is None,
            "allow_scripts": self._work.allow_scripts,
            "frames": str(self._folder.absolute() / "out"),
            "caches": str(self._folder.absolute()),
            "answer": str(self._folder.absolute() / "answer.json"),
        }
        self._options.write_bytes(msgspec.json.encode(options))

    async def _spawn(self, argv: Sequence[str]) -> int:
        try:
            env = {"TMPDIR": str(self._folder.absolute())}
            completed = await self._context.spawn(argv, parse=self._parse, env=env, check=False)
            return completed.exit
        finally:
            self._saved.put_nowait(None)

    def _parse(self, line: str) -> bool:
        event = self._reader.feed(line)
        self._hear(event)
        return isinstance(event, Rendering)

    def _hear(self, event: Event | None) -> None:
        if isinstance(event, Rendering):
            self._progress.rendering(event)
        elif isinstance(event, Started):
            self._since = time.monotonic()
            self._progress.started(event)
        elif isinstance(event, Saved):
            now = time.monotonic()
            self._saved.put_nowait((event.path, now - self._since))
            if Path(event.path).name.startswith("frame_"):
                self._since = now

    async def _check(self) -> None:
        """Publish each frame whose files have all been written."""
        parts: dict[int, list[str]] = {}
        while (saved := await self._saved.get()) is not None:
            path, seconds = saved
            frame = _frame_of(Path(path).name)
            if frame is None:
                continue
            answer = await self._answered()
            files = parts.setdefault(frame, [])
            files.append(path)
            if len(files) >= len(answer.suffixes):
                await self._publish(frame, answer, seconds)

    async def _answered(self) -> Answer:
        if self._answer is None:
            data = await asyncio.to_thread((self._folder / "answer.json").read_bytes)
            self._answer = msgspec.json.decode(data, type=Answer)
        return self._answer

    async def _publish(self, frame: int, answer: Answer, seconds: float) -> None:
        try:
            paths = await asyncio.to_thread(self._named, frame, answer)
            for path in paths:
                await self._verify(path, answer, is_pass=path not in paths[: len(answer.suffixes)])
            await self._context.publish(frame, paths, seconds)
        except OutputInvalid as error:
            self._failed[frame] = error.message
            await self._context.frame_failed(frame, error.message)
        else:
            self._published.add(frame)
            self._progress.published()

    async def _verify(self, path: Path, answer: Answer, is_pass: bool) -> None:
        if path.suffix in DECODED:
            width, height = answer.size if answer.size is not None and not is_pass else (None, None)
            await self._context.verify(path, frames=1, width=width, height=height)

    def _named(self, frame: int, answer: Answer) -> list[Path]:
        """A frame's files under the names that they shall have as outputs: its pictures, then what the scene's
        compositor wrote beside them. Raises OutputInvalid when a picture is not there."""
        out, whole = self._folder / "out", self._folder / "whole"
        whole.mkdir(exist_ok=True)
        made = []
        for suffix in answer.suffixes:
            ending = f"{suffix}.{answer.extension}"
            made.append((out / f"frame_{frame:04d}{ending}", self._work.name(frame, ending)))
        for name in answer.passes:
            for path in sorted(out.glob(f"{name}_{frame:04d}*.*")):
                made.append((path, f"{self._work.stem}_{path.name.removeprefix('pass_')}"))
        for path, name in made:
            if not path.is_file():
                raise OutputInvalid(f"Blender wrote no {name}.")
        return [path.rename(whole / name) for path, name in made]

    async def _settle(self, code: int, frames: Sequence[int]) -> None:
        """Raises TaskFailed when Blender ended with frames left out; its exit code alone does not tell."""
        left = [frame for frame in frames if frame not in self._published and frame not in self._failed]
        if not left:
            if code != 0:
                self._context.note(f"Blender ended with {_how(code)}, but all frames are whole")
            return
        if self._reader.problem is not None:
            raise TaskFailed(f"Blender: {self._reader.problem}", retry=False)
        raise _failure(code, self._reader.errors, left, self._context)


def _frame_of(name: str) -> int | None:
    match = re.match(r"frame_(-?\d+)", name)
    return int(match[1]) if match else None


def _failure(code: int, errors: Sequence[str], left: Sequence[int], context: RunContext[BlenderArgs]) -> TaskFailed:
    if any("No space left on device" in line for line in errors):
        return ToolFailed("The disk is full.", code="disk_full", retry=False)
    folder = str(context.folder.absolute())
    reasons = "; ".join(line.replace(f"{folder}/", "") for line in errors[:3])
    text = f"Blender ended with {_how(code)} and without frames {said(left)}{': ' + reasons if reasons else '.'}"
    return ToolFailed(text[:1000], retry=not any(each in line for each in LASTING for line in errors))


def _how(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {-code}"
