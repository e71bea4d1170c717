"""The inference executor: one worker process a device, which keeps its models between calls, but not for ever."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

from zeus.child import Children, uncancelled
from zeus.errors import NotReady
from zeus.gpus import Usable
from zeus.worker import Worker

NO_GPUS = Usable()


class InferenceExecutor(Executor):
    """Runs functions that compute for long in processes apart; a fault there ends a worker and not the server.

    Each of the `gpus` has a worker of its own, started with its first call, that sees this GPU alone; what is for none
    of them has one more. A worker that had no call for `unload_after` seconds is ended, which frees all that its models
    hold; 0: never. So is the worker of a GPU that a job of another engine takes.
    """

    def __init__(
        self,
        children: Children,
        folders: Sequence[Path],
        gpus: Usable = NO_GPUS,
        *,
        unload_after: float = 0.0,
    ) -> None:
        self.gpus = gpus
        self._loop = asyncio.get_running_loop()
        self._devices: dict[int | None, _Device] = {}
        for device in (None, *gpus.sizes):
            label = "inference-cpu" if device is None else f"inference-gpu{device}"
            worker = Worker(children, label, folders=folders, env=gpus.worker_environment(device))
            self._devices[device] = _Device(worker, unload_after)

    async def call(
        self,
        function: str,
        arguments: Mapping[str, Any],
        *,
        device: int | None = None,
        engine: str = "",
        report: Callable[[Any], None] | None = None,
        lock: Path | None = None,
    ) -> Any:
        """Call `"module:function"` when the device is free; see `zeus.engine.Tools.compute`.

        Raises NotReady while a job of another engine than `engine` has the GPU.
        """
        return await self._devices[device].call(engine, function, arguments, report, lock)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """The Executor's way in: a module's own function, called as `fn(computation, **kwargs)` on the processor.

        From any thread but the event loop's, which must not wait for the Future.
        """
        if args:
            raise TypeError("functions in the inference executor take keyword arguments")
        return asyncio.run_coroutine_threadsafe(self.call(f"{fn.__module__}:{fn.__qualname__}", kwargs), self._loop)

    @contextlib.asynccontextmanager
    async def given(self, device: int | None, engine: str) -> AsyncIterator[None]:
        """A job of `engine` has a GPU to itself meanwhile; what another engine has left loaded there is gone."""
        if device is None:
            yield
            return
        async with self._devices[device].given(engine):
            yield

    def is_warm(self, device: int | None, engine: str) -> bool:
        """Whether what calls for this engine have loaded on a device may still be there."""
        return self._devices[device].is_warm(engine)

    async def close(self) -> None:
        """End the worker processes."""
        await asyncio.gather(*(device.close() for device in self._devices.values()))


class _Device:
    """One device's worker: whose turn it is, which engine has the device, and when the worker is ended."""

    def __init__(self, worker: Worker, unload_after: float) -> None:
        self._worker = worker
        self._unload_after = unload_after
        self._turn = asyncio.Lock()
        self._holder: str | None = None
        """The engine whose job has the device."""
        self._tenants: set[str] = set()
        """The engines whose calls the present process has served."""
        self._timer: asyncio.TimerHandle | None = None
        self._unloading: asyncio.Task[None] | None = None

    async def call(
        self,
        engine: str,
        function: str,
        arguments: Mapping[str, Any],
        report: Callable[[Any], None] | None,
        lock: Path | None,
    ) -> Any:
        async with self._turn:
            if self._holder not in (None, engine):
                raise NotReady(f"The GPU is taken by a job of {self._holder}.")
            self._stay()
            if not self._worker.is_alive:
                self._tenants.clear()
            self._tenants.add(engine)
            try:
                return await self._worker.call(function, arguments, report=report, lock=lock)
            finally:
                if self._unload_after:
                    self._timer = asyncio.get_running_loop().call_later(self._unload_after, self._leave)

    @contextlib.asynccontextmanager
    async def given(self, engine: str) -> AsyncIterator[None]:
        self._holder = engine
        try:
            if self._tenants - {engine}:
                async with self._turn:  # after a model that is being loaded just now
                    await uncancelled(self._worker.close())
            yield
        finally:
            self._holder = None

    def is_warm(self, engine: str) -> bool:
        return engine in self._tenants and self._worker.is_alive

    async def close(self) -> None:
        self._stay()
        if self._unloading is not None:
            await self._unloading
        await self._worker.close()

    def _stay(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _leave(self) -> None:
        self._unloading = asyncio.get_running_loop().create_task(self._unload(), name="unload the models")

    async def _unload(self) -> None:
        async with self._turn:
            if self._timer is not None and self._timer.when() <= asyncio.get_running_loop().time():
                await self._worker.close()
