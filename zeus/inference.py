"""The inference executor: one worker process a device, which keeps its models between calls, but not for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

from zeus.child import Children
from zeus.worker import Worker


class InferenceExecutor(Executor):
    """Runs functions that compute for long in a process apart; a fault there ends the worker and not the server.

    A worker that had no call for `unload_after` seconds is ended, which frees all that its models hold; 0: never.
    """

    def __init__(
        self, children: Children, folders: Sequence[Path], device: str = "cpu", *, unload_after: float = 0.0
    ) -> None:
        self._worker = Worker(children, f"inference-{device}", folders=folders)
        self._turn = asyncio.Lock()
        self._loop = asyncio.get_running_loop()
        self._unload_after = unload_after
        self._timer: asyncio.TimerHandle | None = None
        self._unloading: asyncio.Task[None] | None = None

    async def call(
        self,
        function: str,
        arguments: Mapping[str, Any],
        *,
        report: Callable[[Any], None] | None = None,
        lock: Path | None = None,
    ) -> Any:
        """Call `"module:function"` when the device is free; see `zeus.engine.Tools.compute`."""
        async with self._turn:
            self._stay()
            try:
                return await self._worker.call(function, arguments, report=report, lock=lock)
            finally:
                if self._unload_after:
                    self._timer = self._loop.call_later(self._unload_after, self._leave)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """The Executor's way in: a module's own function, called as `fn(computation, **kwargs)`."""
        if args:
            raise TypeError("functions in the inference executor take keyword arguments")
        return asyncio.run_coroutine_threadsafe(self.call(f"{fn.__module__}:{fn.__qualname__}", kwargs), self._loop)

    async def close(self) -> None:
        """End the worker process."""
        self._stay()
        if self._unloading is not None:
            await self._unloading
        await self._worker.close()

    def _stay(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _leave(self) -> None:
        self._unloading = self._loop.create_task(self._unload(), name="unload the models")

    async def _unload(self) -> None:
        async with self._turn:
            if self._timer is not None and self._timer.when() <= self._loop.time():
                await self._worker.close()
