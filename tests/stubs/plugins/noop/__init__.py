"""A test engine that does what it is told: wait, write files, print, fail, fork."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import msgspec

from zeus.engine import Engine, RunContext, Version
from zeus.errors import TaskFailed

TOOL = Path(__file__).parents[2] / "tool.py"


class NoopArgs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the engine shall do."""

    seconds: float = 0.0
    files: tuple[str, ...] = ("out.txt",)
    content: str = "done"
    hole: int = 0
    """Bytes that each file has behind its content without taking room on the disk."""
    fail: str | None = None
    retry: bool = True
    tool: tuple[str, ...] | None = None
    """Arguments for tests/stubs/tool.py, run as a real process."""
    record: str | None = None
    """A file that gets a line when the engine starts and one when it has come to its end."""


class NoopEngine(Engine[NoopArgs]):
    name = "noop"
    extensions = frozenset({"noop"})
    export_formats = ("txt",)
    needs_input = False
    Args = NoopArgs

    async def versions(self, tools: object) -> list[Version]:
        return [Version("1", "builtin")]

    async def run(self, context: RunContext[NoopArgs]) -> None:
        args = context.args
        _record(args.record, "start")
        if args.tool is not None:
            await context.spawn([sys.executable, str(TOOL), *args.tool], cwd=context.folder, parse=lambda line: None)
        steps = max(int(args.seconds / 0.05), 1)
        for step in range(steps):
            await asyncio.sleep(args.seconds / steps)
            context.report((step + 1) / steps, "waiting")
        if args.fail == "cancel itself":
            raise asyncio.CancelledError
        if args.fail is not None:
            raise TaskFailed(args.fail, code="told_to_fail", retry=args.retry)
        for name in args.files:
            (context.out / name).write_text(args.content)
            if args.hole:
                os.truncate(context.out / name, len(args.content.encode()) + args.hole)
        _record(args.record, "end")


def _record(path: str | None, word: str) -> None:
    if path is not None:
        with Path(path).open("a") as file:
            file.write(word + "\n")
