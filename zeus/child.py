"""Starting tools and workers so that they can always be ended, with every process that they started themselves.

Each child leads a session of its own, carries the node's mark in its environment and is on record with the guardian.
Ending means: SIGTERM to its group, a grace, SIGKILL to the group, then SIGKILL to whatever still carries the mark.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import uuid
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from zeus import marks
from zeus.errors import ToolFailed
from zeus.failpoint import failpoint

T = TypeVar("T")

GRACE = 10.0
"""Seconds between SIGTERM and SIGKILL."""


async def uncancelled(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end even when the caller is cancelled meanwhile, who then sees the cancel after it."""
    task = asyncio.ensure_future(work)
    cancel: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            if task.cancelled():
                raise
            cancel = error
        except Exception:
            break
    if cancel is not None:
        raise cancel
    return task.result()


class Children:
    """All child processes of one node, and the guardian that outlives the node to end them."""

    def __init__(self, storage_uuid: str) -> None:
        # A run of the node has a mark of its own: the guardian of the last run may still be at work.
        self._mark = f"{storage_uuid}:{uuid.uuid4().hex[:12]}:"
        self._groups: set[int] = set()
        self._guardian: asyncio.subprocess.Process | None = None
        self._starting = asyncio.Lock()
        self._closing = False
        self._watches: set[asyncio.Task[None]] = set()

    async def launch(
        self,
        argv: Sequence[str],
        *,
        label: str,
        stdin: int = asyncio.subprocess.DEVNULL,
        stdout: int = asyncio.subprocess.DEVNULL,
        stderr: int | None = asyncio.subprocess.STDOUT,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
    ) -> asyncio.subprocess.Process:
        """Start a child marked with `label`. Raises ToolFailed when it cannot be started."""
        await self._guard()
        environment = {**os.environ, **(env or {}), marks.VARIABLE: f"{self._mark}{label}:"}
        try:
            process = await asyncio.create_subprocess_exec(
                *argv, stdin=stdin, stdout=stdout, stderr=stderr, cwd=cwd, env=environment,
                start_new_session=True, pass_fds=pass_fds,
            )  # fmt: skip
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise ToolFailed(f"{Path(argv[0]).name} cannot be started: {reason}.", retry=False) from error
        self._groups.add(process.pid)
        self._tell(f"+{process.pid}")
        self._watch(self._forget_when_gone(process))
        if pass_fds:  # an attempt's, which holds its lock
            failpoint("spawn")
        return process

    async def end(self, process: asyncio.subprocess.Process, *, grace: float = GRACE) -> None:
        """End a child and its group, with `grace` seconds between asking and insisting; return when it is gone."""
        await uncancelled(self._end(process, grace))

    async def sweep(self, label: str) -> None:
        """Kill whatever still carries a label, in whatever session it may be."""
        await uncancelled(self._sweep(f"{self._mark}{label}:"))

    async def close(self) -> None:
        """Let the guardian go, which ends what may be left."""
        self._closing = True
        if self._guardian is not None and self._guardian.stdin is not None:
            self._guardian.stdin.close()
            await self._guardian.wait()

    async def _guard(self) -> None:
        async with self._starting:
            if self._guardian is not None and self._guardian.returncode is None:
                return
            environment = {name: value for name, value in os.environ.items() if name != marks.VARIABLE}
            self._guardian = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "zeus.guardian", self._mark,
                stdin=asyncio.subprocess.PIPE, start_new_session=True, env=environment,
            )  # fmt: skip
            for group in self._groups:
                self._tell(f"+{group}")
            self._watch(self._replace_when_gone(self._guardian))

    def _watch(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._watches.add(task)
        task.add_done_callback(self._watches.discard)

    async def _replace_when_gone(self, guardian: asyncio.subprocess.Process) -> None:
        """Never leave a child without a guardian, even if someone kills it."""
        await guardian.wait()
        if self._groups and not self._closing:
            await self._guard()

    async def _forget_when_gone(self, process: asyncio.subprocess.Process) -> None:
        """Take a group off the record once it is empty: its number may become somebody else's."""
        await process.wait()
        if not marks.group_exists(process.pid):
            self._forget(process.pid)

    def _forget(self, group: int) -> None:
        if group in self._groups:
            self._groups.discard(group)
            self._tell(f"-{group}")

    def _tell(self, line: str) -> None:
        if self._guardian is not None and self._guardian.stdin is not None:
            self._guardian.stdin.write(line.encode() + b"\n")

    async def _end(self, process: asyncio.subprocess.Process, grace: float) -> None:
        group = process.pid
        if group not in self._groups:
            return
        if grace and marks.signal_group(group, signal.SIGTERM):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace):
                    await process.wait()
                    while marks.group_exists(group):
                        await asyncio.sleep(0.05)
        marks.signal_group(group, signal.SIGKILL)
        await process.wait()
        self._forget(group)

    async def _sweep(self, prefix: str) -> None:
        while await asyncio.to_thread(marks.signal_marked, prefix, signal.SIGKILL):
            await asyncio.sleep(0.02)
