"""A test engine that makes frames, publishes each at once, and does as it is told on its way."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import msgspec

from zeus.engine import Engine, Facts, Made, RunContext, Span, Tools, Version
from zeus.errors import BadInput, TaskFailed


class FramesArgs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the engine shall do."""

    seconds: float = 0.0
    """Of each frame."""
    slow: tuple[int, ...] = ()
    """Frames that take ten times as long."""
    frame_step: int = 1
    bad: tuple[int, ...] = ()
    """Frames that cannot be made."""
    name: str = "frame_{:04}.txt"
    movie: bool = False
    """Whether all frames make a file of their own at the end."""
    record: str | None = None
    """A file that gets a line for each frame that is begun."""


class FramesSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the node is like."""

    factor: float = 1.0
    """So many times as long does each frame take."""
    spoils: bool = False
    """Whether each file becomes another one of the same size as soon as it is published."""


class FramesEngine(Engine[FramesArgs]):
    name = "frames"
    extensions = frozenset({"frames"})
    needs_input = False
    projects = frozenset({"frames"})
    publishes = "each"
    splits = "frames"
    inspects = True
    Args = FramesArgs
    Settings = FramesSettings

    async def versions(self, tools: Tools) -> list[Version]:
        return [Version("1", "builtin")]

    async def inspect(self, tools: Tools, path: Path) -> Facts:
        text = await asyncio.to_thread(path.read_text)
        if "-" not in text:
            raise BadInput(f"{path.name} names no frames.", code="invalid_input")
        start, end = text.split("-")
        return Facts(span=Span(int(start), int(end)))

    def settle(self, args: FramesArgs, span: Span | None, facts: Facts | None = None) -> tuple[FramesArgs, Span | None]:
        return args, span or (facts.span if facts is not None else None)

    def part_args(self, args: FramesArgs) -> FramesArgs:
        return msgspec.structs.replace(args, movie=False)

    def joins(self, args: FramesArgs) -> bool:
        return args.movie

    async def join(self, context: RunContext[FramesArgs], made: Sequence[Made]) -> None:
        (context.out / "movie.txt").write_text("".join(path.read_text() for each in made for path in each.files))

    async def run(self, context: RunContext[FramesArgs]) -> None:
        args, span = context.args, context.span
        if span is None:
            span = Span(1, 3)
            await context.set_span(span, args.frame_step)
        wanted = [each for each in range(span.start, span.end + 1, args.frame_step) if each not in context.done]
        for count, number in enumerate(wanted):
            _record(args.record, number)
            await asyncio.sleep(args.seconds * (10 if number in args.slow else 1) * self.settings.factor)
            if number in args.bad:
                await context.frame_failed(number, f"frame {number} is bad")
                continue
            path = context.folder / args.name.format(number)
            path.write_text(f"frame {number}")
            await context.publish(number, [path], args.seconds)
            if self.settings.spoils:
                (context.published / path.name).write_text(f"fraud {number}")
            context.report(count / len(wanted), "making frames")
        if bad := [number for number in wanted if number in args.bad]:
            raise TaskFailed(f"These frames failed: {bad}.", code="frames_failed")
        if args.movie:
            (context.out / "movie.txt").write_text(
                "".join(path.read_text() for path in sorted(context.published.iterdir()))
            )


def _record(path: str | None, number: int) -> None:
    if path is not None:
        with Path(path).open("a") as file:
            file.write(f"{number}\n")
