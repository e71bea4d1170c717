"""Nodes that were seen, but are not to be believed for it: what discovery tells, bounded, and of no consequence."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, KeysView

import msgspec

MOST = 256
"""Sightings that are kept; what is seen beyond them is not listed."""
MOST_OF_ONE = 16
"""Sightings that are kept of one node's id: so many networks it may be reached by, and so many may claim to be it."""


class Sighting(msgspec.Struct, frozen=True):
    """What was announced: nothing of it is known to be true. `typed`: the address is from the configuration."""

    id: str
    name: str
    urls: tuple[str, ...]
    open: bool = False
    typed: bool = False


class Sightings:
    """All present sightings, by a key of whoever keeps them up to date."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._all: dict[str, Sighting] = {}

    def __iter__(self) -> Iterator[Sighting]:
        return iter(list(self._all.values()))

    def keys(self) -> KeysView[str]:
        """The keys of all of them."""
        return self._all.keys()

    def put(self, key: str, sighting: Sighting, *, wanted: bool = False) -> None:
        """Keep a sighting. Where there is no room, one of a node that is `wanted` takes another's place."""
        old = self._all.pop(key, None)
        if not self._make_room(sighting, wanted):
            return
        self._all[key] = sighting
        if old is None or old != sighting:
            self._changed()

    def drop(self, key: str) -> None:
        """It is not seen any more."""
        if self._all.pop(key, None) is not None:
            self._changed()

    def _make_room(self, sighting: Sighting, wanted: bool) -> bool:
        same = [key for key, each in self._all.items() if each.id == sighting.id]
        if len(same) >= MOST_OF_ONE:
            del self._all[same[0]]
        if len(self._all) < MOST:
            return True
        if wanted:
            del self._all[next(iter(self._all))]
        return wanted


def clean_name(name: str) -> str:
    """A node's name with only the characters that a node's name may have."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name)[:63].strip("-") or "node"
