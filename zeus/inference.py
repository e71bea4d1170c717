"""The inference executor: one worker process a device, which keeps its models between calls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

from zeus.child import Children
from zeus.worker import Worker


class InferenceExecutor(Executor):
    """Runs functions that compute for long in a process apart; a fault there ends the worker and not the server."""

    def __init__(self, children: Children, folders: Sequence[Path], device: str = "cpu") -> None:
        self._worker = Worker(children, f"inference-{device}", folders=folders)
        self._turn = asyncio.Lock()
        self._loop = asyncio.get_running_loop()

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
            return await self._worker.call(function, arguments, report=report, lock=lock)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """The Executor's way in: a module's own function, called as `fn(computation, **kwargs)`."""
        if args:
            raise TypeError("functions in the inference executor take keyword arguments")
        return asyncio.run_coroutine_threadsafe(self.call(f"{fn.__module__}:{fn.__qualname__}", kwargs), self._loop)

    async def close(self) -> None:
        """End the worker process."""
        await self._worker.close()
