"""Running one tool of an attempt to its end: its output to the log and the parser, every wait bounded."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shlex
import signal
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from pathlib import Path

from zeus.child import GRACE, Children
from zeus.engine import Completed, Line
from zeus.errors import ToolFailed
from zeus.joblog import JobLog
from zeus.lines import LineSplitter

log = logging.getLogger(__name__)

DRAIN = 1.0
"""Seconds that output is read on after the tool itself has ended: a process that it left behind may hold the pipe."""
CHUNK = 1 << 14


async def run_tool(
    children: Children,
    argv: Sequence[str],
    *,
    label: str,
    log: JobLog | None = None,
    lock: int | None = None,
    parse: Line | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    check: bool = True,
    timeout: float | None = None,
) -> Completed:
    """Run a tool; see `zeus.engine.Tools.spawn`. `lock` is a descriptor that all processes of the attempt keep open."""
    output = _Output(log, parse)
    if log is not None:
        await log.note("$ " + shlex.join(argv))
    async with output.pipe() as write_end:
        process = await children.launch(
            argv, label=label, stdout=write_end, cwd=cwd, env=env, pass_fds=[] if lock is None else [lock]
        )
    grace = GRACE
    try:
        async with asyncio.timeout(timeout):
            exit_code = await process.wait()
        grace = 0.0
        await output.drain()
    except TimeoutError:
        raise ToolFailed(f"{Path(argv[0]).name} ran for more than {timeout:g} seconds and was ended.") from None
    finally:
        await children.end(process, grace=grace)
        output.close()
    completed = Completed(exit_code, tuple(output.lines.tail))
    if check and exit_code != 0:
        raise ToolFailed(_reason(argv[0], completed))
    return completed


def _reason(tool: str, completed: Completed) -> str:
    how = f"ended with exit code {completed.exit}"
    if completed.exit < 0:
        with contextlib.suppress(ValueError):
            how = f"was ended by {signal.Signals(-completed.exit).name}"
    last = f": {completed.tail[-1][:500]}" if completed.tail else "."
    return f"{Path(tool).name} {how}{last}"


class _Output:
    """Pumps a tool's output from a pipe of our own: asyncio's wait() would wait for every holder of its pipe."""

    def __init__(self, log: JobLog | None, parse: Line | None) -> None:
        self.lines = LineSplitter()
        self._log = log
        self._parse = parse
        self._pump: asyncio.Task[None] | None = None
        self._transport: asyncio.ReadTransport | None = None

    @contextlib.asynccontextmanager
    async def pipe(self) -> AsyncIterator[int]:
        """The end to write to, for as long as the tool is being started."""
        read_end, write_end = os.pipe()
        reader = asyncio.StreamReader(limit=CHUNK)
        self._transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read_end, "rb", 0)
        )
        self._pump = asyncio.create_task(self._read(reader))
        try:
            yield write_end
        except BaseException:
            self.close()
            raise
        finally:
            os.close(write_end)

    async def drain(self) -> None:
        assert self._pump is not None
        await asyncio.wait([self._pump], timeout=DRAIN)

    def close(self) -> None:
        if self._pump is not None:
            self._pump.cancel()
        if self._transport is not None:
            self._transport.close()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(CHUNK):
            await self._hand_on(self.lines.feed(data))
        await self._hand_on(self.lines.end())

    async def _hand_on(self, lines: Iterable[str]) -> None:
        kept = [line + "\n" for line in lines if not self._parsed(line)]
        if kept and self._log is not None:
            await self._log.write("".join(kept))

    def _parsed(self, line: str) -> bool:
        """Show a line to the engine's parser; whether it was progress alone, which no reader of a log wants."""
        try:
            return self._parse is not None and bool(self._parse(line))
        except Exception as error:
            self._parse = None
            log.error("an engine's parser failed, so there is no more progress", exc_info=error)
            return False
