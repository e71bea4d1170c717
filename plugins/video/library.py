"""All models of one engine: which is the default, and pulling, removing and choosing them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from zeus.engine import ModelFacts, Tools
from zeus.errors import BadInput, ConfigError, Conflict

from .models import PROCEDURAL, Model
from .state import LoadedModel


class Library:
    """The models by name. `chosen`: the default one where the configuration says it; elsewhere a file keeps it. `hub`:
    None where nothing is to be pulled."""

    def __init__(self, models: Mapping[str, Model], *, engine: str, chosen: str | None, hub: str | None) -> None:
        default = chosen or PROCEDURAL.name
        if default not in models:
            raise ConfigError(f'there is no video model "{default}": {_listed(models)}')
        self.models = models
        self.default = ""
        self._states = {name: LoadedModel(model, hub) for name, model in models.items()}
        self._engine = engine
        self._chosen = chosen
        self._choice = Path(f".{engine}.default")  # no model's name begins with a dot
        self._work: set[asyncio.Task[None]] = set()
        self._set_default(default)

    def open(self, folder: Path) -> None:
        """Take up which weights are here, and which model was made the default. Blocks."""
        self._choice = folder / self._choice
        for name, state in self._states.items():
            state.weights.open(folder / name)
        if self._chosen is None and (chosen := _text(self._choice)) in self.models:
            self._set_default(chosen)

    async def start(self, tools: Tools) -> None:
        """Pull and load the default model; the state says what came of it."""
        state = self._states[self.default]
        if state.stage == "absent":
            state.pull(tools)
        await self._load(state, tools)

    async def close(self) -> None:
        """End what is under way; of weights that were coming, what came is kept."""
        for task in self._work:
            task.cancel()
        await asyncio.gather(*self._work, *(each.stop() for each in self._states.values()), return_exceptions=True)

    def get(self, name: str | None) -> LoadedModel:
        """A model, or the default one. Raises BadInput."""
        try:
            return self._states[self.default if name is None else name]
        except KeyError:
            known = _listed(self.models)
            raise BadInput(f'there is no model "{(name or "")[:80]}": {known}', code="unknown_model") from None

    def here(self) -> list[str]:
        """The names of those that this node has all for, the default first."""
        found = [name for name, state in self._states.items() if state.is_here]
        return sorted(found, key=lambda name: name != self.default)

    def facts(self) -> Sequence[ModelFacts]:
        """All of them and their states."""
        return [state.facts() for state in self._states.values()]

    def pull(self, name: str, tools: Tools) -> None:
        """Begin to bring a model's weights here. Raises Conflict `cannot_pull`."""
        state = self.get(name)
        self._refuse_unreachable(state)
        self._bring(state, tools, again=True)

    async def remove(self, name: str) -> None:
        """Remove the weights that came, or end their coming. Raises BadInput `not_managed`, Conflict."""
        state = self.get(name)
        if not state.weights.is_ours:
            raise BadInput(f"Zeus did not bring the weights of {name}, and leaves them alone", code="not_managed")
        if state.is_used:
            raise Conflict(f"a running job uses {name}", code="model_in_use")
        await state.remove()

    async def use(self, name: str, tools: Tools) -> None:
        """Make a model the default one, for good, and pull and load it. Raises Conflict."""
        state = self.get(name)
        if self._chosen is not None:
            message = f"engines.video.model in the configuration says {self._chosen}: change it there"
            raise Conflict(message, code="model_configured")
        self._refuse_unreachable(state)
        await asyncio.to_thread(_write, self._choice, name)
        self._set_default(name)
        self._bring(state, tools)

    def _set_default(self, name: str) -> None:
        self.default = name
        for each, state in self._states.items():
            state.is_default = each == name

    def _bring(self, state: LoadedModel, tools: Tools, *, again: bool = False) -> None:
        """Pull a model where that is needed and possible, and load the default one; the state says what comes of it."""
        if again or state.stage == "absent":
            state.pull(tools)
        if state.is_default:
            task = asyncio.create_task(self._load(state, tools))
            self._work.add(task)
            task.add_done_callback(self._work.discard)

    async def _load(self, state: LoadedModel, tools: Tools) -> None:
        await state.prepare(tools.on(self._engine, state.model.demand))

    def _refuse_unreachable(self, state: LoadedModel) -> None:
        """Raises Conflict for a model that is not here and cannot be brought here either."""
        model = state.model
        if model.missing is not None:
            raise Conflict(model.missing, code="cannot_pull")
        if not state.is_here and not state.weights.can_come:
            raise Conflict(state.weights.message, code="cannot_pull")


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except (OSError, ValueError):
        return ""


def _write(path: Path, text: str) -> None:
    """Make this the whole content of a file, durably."""
    new = path.with_suffix(".new")
    with new.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.rename(path)


def _listed(models: Mapping[str, Model]) -> str:
    return f"known are {', '.join(sorted(models))}"
