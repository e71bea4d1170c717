"""Whether one model can be used: loads it in the background, and again after its worker died."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from zeus.engine import ModelState, Tools
from zeus.errors import NotReady, TaskFailed, WorkerDied, ZeusError

from .models import Model

_CRASHES: Final = 3
"""So many crashes in a row, without a success between, are a fault."""


class LoadedModel:
    """One model's state: not asked for yet, loading, ready or at fault.

    A model that is not the default counts as ready until a job asks for it, since nothing else would load it.
    """

    def __init__(self, model: Model, *, is_default: bool = True) -> None:
        self._model = model
        self._crashes = 0
        self._fault = model.missing
        self._ready = model.load is None
        self._waits = not is_default
        self._said = f"{model.name} waits to be loaded"
        self._loading: asyncio.Task[None] | None = None
        self._tools: Tools | None = None
        """Those by which it was loaded last."""

    @property
    def state(self) -> ModelState:
        if self._fault is not None:
            return ModelState(ready=False, building=False, message=self._fault)
        if self._ready and (self._tools is None or self._tools.warm):
            return ModelState(ready=True, building=False, message=f"{self._model.name} is ready")
        if self._ready or self._waits:
            return ModelState(True, False, f"{self._model.name} is loaded when a job asks for it")
        return ModelState(ready=False, building=True, message=self._said)

    async def prepare(self, tools: Tools) -> None:
        """Load the model once, before a job asks; afterwards the state says what came of it."""
        if not self._ready and self._fault is None:
            await asyncio.shield(self._begin(tools))

    async def wait(self, tools: Tools) -> None:
        """Return once the model is ready, loading it where needed. Raises TaskFailed when it is at fault."""
        while not self._ready and self._fault is None:
            # Loading serves all who wait: the end of one of them must not end it.
            await asyncio.shield(self._begin(tools))
        if self._fault is not None:
            raise TaskFailed(self._fault, code="model_fault", retry=False)

    def worked(self) -> None:
        """A generation succeeded."""
        self._crashes = 0

    def crashed(self, error: WorkerDied, tools: Tools) -> None:
        """The worker died while this model generated: load it again in the background, or give it up."""
        self._count(error)
        if self._fault is None and self._model.load is not None:
            self._ready = False
            self._begin(tools)

    def _begin(self, tools: Tools) -> asyncio.Task[None]:
        if self._loading is None or self._loading.done():
            self._said = f"loading {self._model.name}"
            self._waits = False
            self._tools = tools
            self._loading = asyncio.create_task(self._load(tools), name=f"load {self._model.name}")
        return self._loading

    async def _load(self, tools: Tools) -> None:
        assert self._model.load is not None
        while self._fault is None:
            try:
                await tools.compute(self._model.load, self._model.arguments, report=self._report)
            except WorkerDied as error:
                self._count(error)
            except NotReady:  # another engine's job has the GPU; the next one of this engine loads it
                self._waits = True
                return
            except (ZeusError, OSError) as error:
                self._fault = f"{self._model.name} could not be loaded: {error}"
            else:
                self._ready = True
                return

    def _count(self, error: WorkerDied) -> None:
        self._crashes += 1
        if self._crashes >= _CRASHES:
            self._ready = False
            self._fault = f"{self._model.name} crashed {self._crashes} times in a row: {error}"

    def _report(self, value: Any) -> None:
        if isinstance(value, dict) and "message" in value:
            part = value.get("fraction")
            share = f" ({part:.0%})" if isinstance(part, int | float) else ""
            self._said = f"loading {self._model.name}: {value['message']}{share}"
