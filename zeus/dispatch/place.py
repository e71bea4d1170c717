"""A peer as a place where tasks run: what it says of itself, within bounds that no lie takes it beyond."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from zeus.model import Place
from zeus.wire import NodeEngine, Portrait

MOST_SLOTS = 1024
"""As many as `jobs.slots` may be at most: each is thought of by itself when a split job is shared out."""
LEAST, MOST = 1e-3, 1e7
"""Of the seconds of a frame and of a benchmark's score: their ratios stay numbers to reckon with."""


def place_of(portrait: Portrait, name: str, own_id: str) -> Place:
    """A peer, here called `name`, with what would be free there, did this node have nothing there: its own shares are
    counted apart, and those that have ended since the peer said so leave their place at once.
    """
    own = [task for task in portrait.tasks if task.origin == own_id]
    mine = Counter(task.renderer for task in own)
    engines = portrait.engines
    gpus = [gpu for gpu in portrait.status.gpus if gpu.index is not None]
    return Place(
        node=name,
        free=min(portrait.free + len(own), MOST_SLOTS),
        engines={name: min(each.free + mine[name], MOST_SLOTS) for name, each in engines.items()},
        unable={name: each.reason or "it does not say why" for name, each in engines.items() if not each.available},
        gpus={gpu.index or 0: gpu.memory_total or 0 for gpu in gpus},
        taken={gpu.index or 0: gpu.job for gpu in gpus if gpu.job is not None},
        peer=portrait.id,
        versions={name: tuple(version.version for version in each.versions) for name, each in engines.items()},
        models=frozenset(model for each in engines.values() for model in each.models),
        tags=frozenset(portrait.tags),
        pace=_paces(engines),
        score=_bounded(portrait.benchmark) if portrait.benchmark else 0.0,
        memory=portrait.status.memory_total,
    )


def _paces(engines: Mapping[str, NodeEngine]) -> dict[str, float]:
    return {name: _bounded(each.seconds) for name, each in engines.items() if each.seconds}


def _bounded(value: float) -> float:
    return min(max(value, LEAST), MOST)
