"""What this node knows of its engines: their tools are asked at most every few seconds, however many ask here."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from zeus.engine import Engine, Tools, Version
from zeus.errors import NotFound, ZeusError
from zeus.model import Place
from zeus.registry import Broken, Registry

FRESH = 10.0
"""Seconds that an answer of an engine is good for."""
PATIENCE = 60.0
"""Seconds that an engine may take for an answer."""

log = logging.getLogger(__name__)


class _Answer(NamedTuple):
    """What an engine answers, or will; stale after `until`, or once other versions of it are installed."""

    task: asyncio.Task[Any]
    until: float
    managed: list[Version]


class Known(NamedTuple):
    """What an engine said last: why it cannot run here, or None, and which versions are."""

    reason: str | None
    versions: tuple[str, ...]


class Catalog:
    """Asks engines on behalf of many; a hook that fails is an answer too, never an error of the node."""

    def __init__(
        self,
        registry: Registry,
        tools: Tools,
        places: Callable[[], Sequence[Place]],
        free_places: Callable[[], Sequence[Place]],
        is_automatic: Callable[[str], bool],
    ) -> None:
        self._registry = registry
        self._tools = tools
        self._places = places
        self._free_places = free_places
        self._is_automatic = is_automatic
        self._answers: dict[tuple[str, str], _Answer] = {}
        self._known: dict[str, Known] = {}

    @property
    def engines(self) -> Mapping[str, Engine[Any]]:
        """The engines that could be loaded, by name."""
        return self._registry.engines

    @property
    def broken(self) -> Mapping[str, Broken]:
        """The plugins that could not be loaded, by name, but for those whose name an engine has."""
        return {each.name: each for each in self._registry.broken if each.name not in self._registry.engines}

    def get(self, name: str) -> Engine[Any]:
        """An engine by name. Raises NotFound `engine_not_found`, which says why a plugin could not be loaded."""
        if name in self._registry.engines:
            return self._registry.engines[name]
        broken = self.broken.get(name)
        because = f" It could not be loaded: {broken.reason}." if broken is not None else ""
        raise NotFound(f'There is no engine "{name[:80]}" here.{because}', code="engine_not_found")

    async def reason(self, name: str) -> str | None:
        """Why this machine cannot run an engine, or None; also where its first job has a version installed.

        Raises NotFound.
        """
        answer: str | None = await self._answer(name, "ready", _text)
        if answer is not None and self._is_automatic(name) and not await self.versions(name):
            return None
        return answer

    async def ask(self, name: str) -> Known:
        """Whether and in which versions this machine can run an engine. Raises NotFound."""
        reason, versions = await self.reason(name), await self.versions(name)
        self._known[name] = Known(reason, tuple(each.version for each in versions))
        return self._known[name]

    def known(self, name: str) -> Known | None:
        """What was found when an engine was asked last, from memory; None before its first answer."""
        return self._known.get(name)

    async def versions(self, name: str) -> list[Version]:
        """An engine's installed versions, the preferred one first. Raises NotFound."""
        answer: list[Version] = await self._answer(name, "versions", lambda error: [])
        return answer

    async def system_info(self, name: str) -> dict[str, str]:
        """What an engine says of this machine. Raises NotFound."""
        answer: dict[str, str] = await self._answer(name, "system_info", lambda error: {"error": _text(error)})
        return answer

    async def help(self, name: str) -> str:
        """An engine's own help text. Raises NotFound."""
        answer: str = await self._answer(name, "help", _text)
        return answer

    def slots(self, name: str) -> tuple[int, int]:
        """How many of an engine's tasks could start on this node now, and how many it runs at most."""
        return _room(self._free_places(), name), _room(self._places(), name)

    def gpus(self, node: str) -> dict[int, str | None]:
        """The GPUs of a node that jobs may use, each with the id of the job that has it."""
        places = [place for place in self._free_places() if place.node == node]
        return {number: place.taken.get(number) for place in places for number in place.gpus}

    def close(self) -> None:
        """Give up what is still being asked."""
        for answer in self._answers.values():
            answer.task.cancel()

    async def _answer(self, name: str, hook: str, otherwise: Callable[[Exception], Any]) -> Any:
        """The last answer while it is fresh; else the engine is asked once for all who wait, whoever goes away."""
        engine, managed = self.get(name), self._tools.managed(name)
        answer = self._answers.get((name, hook))
        if answer is None or answer.managed != managed or (answer.task.done() and time.monotonic() > answer.until):
            task = asyncio.get_running_loop().create_task(self._ask(engine, hook, otherwise))
            answer = self._answers[name, hook] = _Answer(task, time.monotonic() + FRESH, managed)
        return await asyncio.shield(answer.task)

    async def _ask(self, engine: Engine[Any], hook: str, otherwise: Callable[[Exception], Any]) -> Any:
        try:
            async with asyncio.timeout(PATIENCE):
                return await getattr(engine, hook)(self._tools)
        except Exception as error:
            log.warning("engine %s: %s failed", engine.name, hook, exc_info=error)
            return otherwise(error)


def schema(engine: Engine[Any]) -> dict[str, Any]:
    """The JSON Schema of an engine's arguments; just "an object" where a plugin's types have none."""
    try:
        return msgspec.json.schema(engine.Args)
    except (TypeError, ValueError) as error:
        log.warning("engine %s: its Args have no JSON Schema: %s", engine.name, error)
        return {"type": "object"}


def _room(places: Sequence[Place], name: str) -> int:
    return max((min(place.free, place.engines.get(name, 0)) for place in places), default=0)


def _text(error: Exception) -> str:
    return error.message if isinstance(error, ZeusError) else f"The engine does not answer: {type(error).__name__}."
