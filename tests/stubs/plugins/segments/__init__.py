"""A test engine that makes small letters large: it cuts its input, and joins what the pieces make of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from zeus.engine import Engine, Made, Piece, RunContext, Version


class SegmentsArgs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the engine shall do."""

    slow: str = ""
    """The stage that takes its time: cut, run or join."""


class SegmentsEngine(Engine[SegmentsArgs]):
    name = "segments"
    extensions = frozenset({"segments"})
    splits = "parts"
    Args = SegmentsArgs

    async def versions(self, tools: object) -> list[Version]:
        return [Version("1", "builtin")]

    async def cut(self, context: RunContext[SegmentsArgs], weights: Sequence[float]) -> list[Piece[SegmentsArgs]]:
        await self._take_time(context, "cut")
        assert context.input is not None
        text, count = context.input.read_text(), len(weights)
        pieces = []
        for number in range(count):
            part = text[len(text) * number // count : len(text) * (number + 1) // count]
            if part:
                path = context.out / f"{number}.segments"
                path.write_text(part)
                pieces.append(Piece(f"part {number + 1} of {count}", path, context.args))
        return pieces

    async def run(self, context: RunContext[SegmentsArgs]) -> None:
        await self._take_time(context, "run")
        assert context.input is not None
        (context.out / "part.txt").write_text(context.input.read_text().upper())

    async def join(self, context: RunContext[SegmentsArgs], made: Sequence[Made]) -> None:
        await self._take_time(context, "join")
        (context.out / "whole.txt").write_text("".join(path.read_text() for each in made for path in each.files))

    async def _take_time(self, context: RunContext[SegmentsArgs], stage: str) -> None:
        await asyncio.sleep(0.7 if context.args.slow == stage else 0)
