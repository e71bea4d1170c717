"""The Blender engine: looks at the .blend, has its missing frames rendered, and makes a movie of them if asked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from zeus.engine import Demand, Engine, Facts, Made, RunContext, Span, Tools, Version
from zeus.errors import BadInput, OutputInvalid, ToolFailed

from .arguments import FORMATS, BlenderArgs
from .checks import settled
from .command import devices
from .finder import LOOK, Build, Finder
from .frames import check_span, frames_of, said
from .inspection import inspect
from .releases import RELEASES
from .rendering import Work, named, render

RENDERING = 0.95
"""The part of the progress that is Blender's where a movie follows."""
STEM = 150
"""Bytes of the input's name that are kept in those of the outputs."""


class BlenderSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`path`: the Blender to use before all others. `allow_scripts`: whether Python in a .blend runs on this node."""

    path: str | None = None
    allow_scripts: bool = False


class BlenderEngine(Engine[BlenderArgs]):
    """Renders frames of Blender's files, with Cycles, EEVEE or Workbench."""

    name = "blender"
    extensions = frozenset({"blend"})
    projects = extensions
    export_formats = FORMATS
    publishes = "each"
    splits = "frames"
    inspects = True
    Args = BlenderArgs
    Settings = BlenderSettings
    releases = RELEASES

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self._finder = Finder(settings.path)

    async def ready(self, tools: Tools) -> str | None:
        return await self._finder.reason(tools)

    async def versions(self, tools: Tools) -> list[Version]:
        return [Version(build.version, build.source, str(build.path)) for build in await self._finder.builds(tools)]

    async def help(self, tools: Tools) -> str:
        build, lines = await self._finder.best(tools), list[str]()
        await tools.spawn([str(build.path), "--background", "--help"], parse=lines.append, timeout=LOOK)
        return "\n".join(lines) + "\n"

    async def system_info(self, tools: Tools) -> dict[str, str]:
        build, lines = await self._finder.best(tools), list[str]()
        try:
            await tools.spawn(devices(build.path), parse=lines.append, timeout=LOOK)
        except ToolFailed as error:
            lines = [f"zeus device: {error.message}"]
        found = [line.partition("zeus device: ")[2] for line in lines if line.startswith("zeus device: ")]
        return {
            "version": build.version,
            "source": build.source,
            "devices": ", ".join(found),
            "scripts": "allowed" if self.settings.allow_scripts else "off",
        }

    def settle(
        self, args: BlenderArgs, span: Span | None, facts: Facts | None = None
    ) -> tuple[BlenderArgs, Span | None]:
        if facts is not None:
            args, span = settled(args, span, facts)
        if span is not None:
            check_span(span)
        return args, span

    def demand(self, args: BlenderArgs) -> Demand:
        # EEVEE and Workbench draw on the GPU too, and Cycles wherever it may.
        return Demand() if args.device == "CPU" else Demand("gpu")

    def part_args(self, args: BlenderArgs) -> BlenderArgs | None:
        if args.export_format is None or (args.movie is not None and args.fps is None):
            return None  # as the scene has it, of which nobody could be asked
        if args.movie is None:
            return args
        return msgspec.structs.replace(args, export_format=args.picture, fps=None, stereo=False)

    def joins(self, args: BlenderArgs) -> bool:
        return args.movie is not None

    async def inspect(self, tools: Tools, path: Path) -> Facts:
        builds = await self._finder.builds(tools)
        best = await self._finder.best(tools)
        try:
            return await inspect(tools, best, path)
        except BadInput as error:
            newest = max(builds, key=lambda build: build.release)
            if error.code != "newer_blender_needed" or newest.release <= best.release:
                raise
            return await inspect(tools, newest, path)

    async def run(self, context: RunContext[BlenderArgs]) -> None:
        if context.input is None:
            raise BadInput("Blender needs an input file.")
        build = await self._finder.chosen(context, context.version)
        facts = await inspect(context, build, context.input)
        args, span = self.settle(context.args, context.span, facts)
        assert span is not None
        if (context.span, context.args.frame_step) != (span, args.frame_step):
            await context.set_span(span, args.frame_step or 1)
        work = self._work(build, context.input, args, span)
        await render(context, work)
        if args.movie is not None:
            pictures = [context.published / work.name(frame, ".png") for frame in work.frames]
            await _encode(context, args, work.stem, pictures, RENDERING)
        context.report(1.0, "done", len(work.frames))

    async def join(self, context: RunContext[BlenderArgs], made: Sequence[Made]) -> None:
        source, span, args = context.input, context.span, context.args
        if source is None or span is None:
            raise BadInput("Pieces of a movie have an input and frames.")
        stem, frames = _safe(source.stem), frames_of(span, args.frame_step or 1)
        await _encode(context, args, stem, _pictures(stem, frames, made), 0.0)
        context.report(1.0, "done", len(frames))

    def _work(self, build: Build, source: Path, args: BlenderArgs, span: Span) -> Work:
        return Work(
            build=build,
            source=source,
            args=args,
            frames=frames_of(span, args.frame_step or 1),
            stem=_safe(source.stem),
            allow_scripts=self.settings.allow_scripts,
            share=RENDERING if args.movie else 1.0,
        )


async def _encode(
    context: RunContext[BlenderArgs], args: BlenderArgs, stem: str, pictures: Sequence[Path], done: float
) -> None:
    """Make the movie of a settled job; `done` is the part of the progress before it."""
    assert args.movie is not None and args.fps is not None

    def report(fraction: float) -> None:
        context.report(done + (1 - done) * fraction, f"encoding {args.movie}", len(pictures))

    await context.movie(pictures, context.out / f"{stem}.{args.movie}", fps=args.fps, title=stem, report=report)


def _pictures(stem: str, frames: Sequence[int], made: Sequence[Made]) -> list[Path]:
    """Those of all pieces, in the order of the frames."""
    found = {path.name: path for piece in made for path in piece.files}
    names = {frame: named(stem, frame, ".png") for frame in frames}
    if missing := [frame for frame, name in names.items() if name not in found]:
        raise OutputInvalid(f"The pieces have not made frames {said(missing)}.", retry=False)
    return [found[name] for name in names.values()]


def _safe(stem: str) -> str:
    """A name that is listed as an output (so without a leading dot) and leaves room for a number and an ending."""
    short = stem.encode("utf-8", "replace")[:STEM].decode("utf-8", "ignore")
    return short.lstrip(". ") or "frame"
