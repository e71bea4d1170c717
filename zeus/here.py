"""This machine as a place where tasks run: what it has, and what its engines say of themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from zeus.catalog import Catalog
from zeus.engine import GenerationEngine
from zeus.model import Place

LOOK = 10.0
"""Seconds between two looks at whether the engines can run."""
UNASKED = "it has not answered yet"


class Here:
    """The place, from memory; `run` keeps that fresh."""

    def __init__(self, place: Place, is_automatic: Callable[[str], bool]) -> None:
        self._place = place
        self._is_automatic = is_automatic
        self.score = 0.0
        """Of the processor, once it has been measured."""
        self._catalog: Catalog | None = None

    def places(self) -> list[Place]:
        """This machine, were nothing running on it now."""
        return [self.place()]

    def place(self) -> Place:
        """This machine as its engines last said."""
        if self._catalog is None:
            return self._place
        known = {name: self._catalog.known(name) for name in self._catalog.engines}
        return msgspec.structs.replace(
            self._place,
            versions={
                name: each.versions
                for name, each in known.items()
                if each is not None and not self._is_automatic(name)  # what is not here yet may be had
            },
            unable={
                name: UNASKED if each is None else each.reason
                for name, each in known.items()
                if each is None or each.reason is not None
            },
            score=self.score,
            models=frozenset(model for name in known for model in self._models(name)),
        )

    async def run(self, catalog: Catalog, changed: Callable[[], None]) -> None:
        """Ask the engines now and then, for as long as the node lives; `changed` is called when they say something
        else than before.
        """
        self._catalog = catalog
        before: Place | None = None
        while True:
            asking = [asyncio.ensure_future(catalog.ask(name)) for name in catalog.engines]
            for asked in asyncio.as_completed(asking):
                await asked
                if before != (before := self.place()):
                    changed()
            await asyncio.sleep(LOOK)

    def _models(self, engine_name: str) -> list[str]:
        """The generation models of an engine that need not be fetched first."""
        engine = self._catalog.engines[engine_name] if self._catalog is not None else None
        if not isinstance(engine, GenerationEngine):
            return []
        return [each.name for each in engine.model_facts() if each.state not in ("absent", "pulling")]
