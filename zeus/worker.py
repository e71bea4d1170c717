"""A worker process: calls functions by name outside the server, hears cancels, and ends when the server does.

Messages are msgpack, each behind its length in four bytes. To the worker: a Call or a Cancel; from it: Report, Beat,
and at the end of each call a Result, a Failure or Cancelled.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from zeus import errors
from zeus.child import GRACE, Children, uncancelled
from zeus.errors import WorkerDied, ZeusError


class Call(msgspec.Struct, tag=True, frozen=True):
    """Call `function` ("module:name"). `lock` is a file to hold locked meanwhile: the attempt's."""

    function: str
    arguments: dict[str, Any]
    lock: str | None = None


class Cancel(msgspec.Struct, tag=True, frozen=True):
    """End the present call early."""


class Report(msgspec.Struct, tag=True, frozen=True):
    value: Any


class Beat(msgspec.Struct, tag=True, frozen=True):
    """The call is alive."""


class Result(msgspec.Struct, tag=True, frozen=True):
    value: Any


class Failure(msgspec.Struct, tag=True, frozen=True):
    """What a call raised: a class of zeus.errors, or None for any other, then with its text as the message."""

    kind: str | None
    message: str
    code: str
    retry: bool = True


class Cancelled(msgspec.Struct, tag=True, frozen=True):
    """The call ended because it was cancelled."""


ToWorker = Call | Cancel
FromWorker = Report | Beat | Result | Failure | Cancelled
HEADER = 4
DECODER: msgspec.msgpack.Decoder[FromWorker] = msgspec.msgpack.Decoder(FromWorker)


def pack(message: ToWorker | FromWorker) -> bytes:
    body = msgspec.msgpack.encode(message)
    return len(body).to_bytes(HEADER, "big") + body


class Worker:
    """The server's side of one worker process, started with its first call."""

    def __init__(
        self,
        children: Children,
        label: str,
        *,
        memory: int | None = None,
        folders: Sequence[Path] = (),
        env: Mapping[str, str] = MappingProxyType({}),
        grace: float = GRACE,
    ) -> None:
        """`env`: the process's variables beside the server's. `grace`: seconds that it has to hear a cancel."""
        self._children = children
        self._label = label
        self._memory = memory
        self._folders = folders
        self._env = env
        self._grace = grace
        self._process: Process | None = None
        self.calls = 0

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def call(
        self,
        function: str,
        arguments: Mapping[str, Any],
        *,
        report: Callable[[Any], None] | None = None,
        lock: Path | None = None,
        silence: float | None = None,
    ) -> Any:
        """Call a function in the worker; one call at a time.

        Raises WorkerDied when the process ends, or says nothing for `silence` seconds and is therefore ended; and the
        function's own ZeusError. A cancel is passed on; a worker that does not hear it within the grace is ended.
        """
        process = await self._start()
        self.calls += 1
        try:
            self._send(process, Call(function, dict(arguments), str(lock) if lock else None))
            return await self._answer(process, report, silence)
        except TimeoutError:
            await self._kill()
            raise WorkerDied(f"{function.rpartition(':')[2]} gave no sign of life for {silence:g} seconds.") from None
        except asyncio.CancelledError:
            await uncancelled(self._cancel(process))
            raise
        except WorkerDied:
            await self._kill()
            raise

    async def close(self) -> None:
        """End the process by ending its input."""
        if self._process is None:
            return
        process, self._process = self._process, None
        assert process.stdin is not None
        process.stdin.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), 2)
        await self._children.end(process, grace=0)

    async def _start(self) -> Process:
        if self._process is not None and self._process.returncode is not None:
            await self._kill()
        if self._process is None:
            argv = [sys.executable, "-m", "zeus.workerprocess", str(self._memory or 0), *map(str, self._folders)]
            self._process = await self._children.launch(
                argv, label=self._label, stdin=PIPE, stdout=PIPE, stderr=None, env=self._env
            )
        return self._process

    def _send(self, process: Process, message: ToWorker) -> None:
        assert process.stdin is not None
        process.stdin.write(pack(message))

    async def _answer(self, process: Process, report: Callable[[Any], None] | None, silence: float | None) -> Any:
        while True:
            async with asyncio.timeout(silence):
                message = await self._receive(process)
            match message:
                case Report(value):
                    if report is not None:
                        report(value)
                case Result(value):
                    return value
                case Failure():
                    raise _error(message)
                case Cancelled():
                    raise WorkerDied("The computation was cancelled by itself.")

    async def _receive(self, process: Process) -> FromWorker:
        assert process.stdout is not None
        try:
            size = int.from_bytes(await process.stdout.readexactly(HEADER), "big")
            return DECODER.decode(await process.stdout.readexactly(size))
        except (asyncio.IncompleteReadError, ConnectionError, msgspec.MsgspecError) as error:
            raise WorkerDied() from error

    async def _cancel(self, process: Process) -> None:
        try:
            self._send(process, Cancel())
            async with asyncio.timeout(self._grace):
                while isinstance(await self._receive(process), Report | Beat):
                    pass
        except (TimeoutError, WorkerDied):
            await self._kill()

    async def _kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            await self._children.end(process, grace=0)


async def call_apart(
    children: Children,
    folders: Sequence[Path],
    function: str,
    arguments: Mapping[str, Any],
    report: Callable[[Any], None] | None,
) -> Any:
    """Call a function in a worker process of its own, which ends with the call. Raises as `Worker.call` does."""
    worker = Worker(children, "apart", folders=folders, grace=1.0)
    try:
        return await worker.call(function, arguments, report=report)
    finally:
        await uncancelled(worker.close())


def _error(failure: Failure) -> Exception:
    kind = getattr(errors, failure.kind or "", None)
    if not isinstance(kind, type) or not issubclass(kind, ZeusError):
        return errors.TaskFailed(failure.message, code="engine_error")
    error = kind(failure.message, code=failure.code)
    if isinstance(error, errors.TaskFailed):
        error.retry = failure.retry
    return error
