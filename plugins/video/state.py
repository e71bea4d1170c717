"""Whether one model can be used: loads it in the background, and again after its worker died."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any, Final

from zeus.engine import ModelFacts, ModelState, Tools
from zeus.errors import NotReady, TaskFailed, WorkerDied, ZeusError

from .models import Model, Source
from .weights import Weights

_CRASHES: Final = 3
"""So many crashes in a row, without a success between, are a fault."""


class LoadedModel:
    """One model's state: absent, pulling, here, loading, ready or fault.

    A model that is here and not the default counts as ready until a job asks for it: nothing else would load it.
    """

    def __init__(self, model: Model, hub: str | None) -> None:
        self.name = model.name
        self.is_default = False
        self.weights = Weights(model, hub)
        self._model = model
        self._crashes = self._users = 0
        self._fault = model.missing
        self._ready = model.load is None
        self._waits = False
        """Whether the next job loads it, since another engine's job had the GPU."""
        self._said = ""
        self._loading: asyncio.Task[None] | None = None
        self._tools: Tools | None = None
        """Those by which it was loaded last."""

    @property
    def model(self) -> Model:
        """The model, with the folder that its weights are in."""
        if self._model.source is None:
            return self._model
        told = {**self._model.arguments["weights"], "folder": self.weights.folder or ""}
        arguments = {**self._model.arguments, "weights": told}
        return dataclasses.replace(self._model, arguments=arguments, revision=self.weights.revision or "")

    @property
    def is_here(self) -> bool:
        """Whether this node has all that the model needs."""
        return self._model.missing is None and self.weights.folder is not None

    @property
    def is_used(self) -> bool:
        """Whether its weights are being read, or a job uses it."""
        return self._users > 0 or self._is_loading

    @property
    def stage(self) -> str:
        if self.weights.is_coming:
            return "pulling"
        if self._fault is not None or self.weights.fault is not None:
            return "fault"
        if self.weights.folder is None:
            return "absent"
        if self._ready and (self._tools is None or self._tools.warm):
            return "ready"
        return "loading" if self._is_loading else "here"

    @property
    def state(self) -> ModelState:
        stage = self.stage
        waits = stage == "here" and self._is_for_a_job
        building = stage in ("pulling", "loading") or (stage == "here" and not waits)
        return ModelState(ready=stage == "ready" or waits, building=building, message=self._message(stage))

    def facts(self) -> ModelFacts:
        source = self._model.source
        return ModelFacts(
            name=self._model.name,
            description=self._model.description,
            state=self.stage,
            message=self._message(self.stage),
            is_default=self.is_default,
            source=_kind(source),
            repository=source.repository if source is not None else None,
            revision=self.weights.revision,
            done=self.weights.done,
            size=self.weights.size,
            memory=source.memory if source is not None else None,
        )

    def _message(self, stage: str) -> str:
        name = self._model.name
        match stage:
            case "fault" if self._fault is not None:
                return self._fault
            case "pulling" | "absent" | "fault":
                return self.weights.message
            case "ready":
                return f"{name} is ready"
            case "loading":
                return self._said
        return f"{name} is loaded when a job asks for it" if self._is_for_a_job else f"{name} waits to be loaded"

    @contextlib.contextmanager
    def used(self) -> Iterator[None]:
        """Keep the weights from being removed meanwhile."""
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1

    async def prepare(self, tools: Tools) -> None:
        """Load the model before a job asks, once its weights are here; afterwards the state says what came of it."""
        await self.weights.settled()
        if self.stage == "here":
            await asyncio.shield(self._begin(tools))

    async def wait(self, tools: Tools) -> None:
        """Return once the model is ready, loading it where needed. Raises TaskFailed when it cannot be."""
        await self.weights.settled()
        if self.weights.folder is None:
            raise TaskFailed(self.state.message, code="model_fault", retry=False)
        while not self._ready and self._fault is None:
            # Loading serves all who wait: the end of one of them must not end it.
            await asyncio.shield(self._begin(tools))
        if self._fault is not None:
            raise TaskFailed(self._fault, code="model_fault", retry=False)

    def pull(self, tools: Tools) -> None:
        """Begin to bring the weights here, unless they are; a fault is forgotten, and its cause tried again."""
        was_at_fault = self._fault is not None
        self._fault, self._crashes = self._model.missing, 0
        if self._fault is None and self.weights.can_come and (was_at_fault or not self.is_here):
            self._ready = False
            self.weights.begin(tools)

    async def remove(self) -> None:
        """Remove the weights that were pulled."""
        await self.weights.remove()
        self._fault, self._crashes, self._ready = self._model.missing, 0, self._model.load is None

    async def stop(self) -> None:
        """End what is under way, for good."""
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.wait([self._loading])
        await self.weights.stop()

    def worked(self) -> None:
        """A generation succeeded."""
        self._crashes = 0

    def crashed(self, error: WorkerDied, tools: Tools) -> None:
        """The worker died while this model generated: load it again in the background, or give it up."""
        self._count(error)
        if self._fault is None and self._model.load is not None:
            self._ready = False
            self._begin(tools)

    @property
    def _is_for_a_job(self) -> bool:
        """Whether a model that is here is loaded by the next job and not by itself."""
        return not self.is_default or self._ready or self._waits

    @property
    def _is_loading(self) -> bool:
        return self._loading is not None and not self._loading.done()

    def _begin(self, tools: Tools) -> asyncio.Task[None]:
        if self._loading is None or not self._is_loading:
            self._said = f"loading {self._model.name}"
            self._waits = False
            self._tools = tools
            self._loading = asyncio.create_task(self._load(tools), name=f"load {self._model.name}")
        return self._loading

    async def _load(self, tools: Tools) -> None:
        assert self._model.load is not None
        while self._fault is None:
            try:
                await tools.compute(self._model.load, self.model.arguments, report=self._report)
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


def _kind(source: Source | None) -> str | None:
    """A word for where weights come from; None: nobody has said it."""
    if source is None:
        return "builtin"
    return "configured" if source.folder else "synced" if source.repository else None
