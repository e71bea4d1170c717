"""Which rules keep a task from a place, in the words that people are told; what none refuses may start there. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from zeus.model import Demand, Place, Task, suitable
from zeus.versions import LATEST, LTS, matches

ANY_VERSION = ("", LATEST, LTS)
"""Wishes that any place with the engine can meet; which version it is, its own engine says."""


def lasting(task: Task, place: Place) -> Iterator[str]:
    """Why a place cannot run a task even if it had nothing else to do."""
    engine, demand = task.renderer, task.demand
    if demand.here and place.peer:
        yield "It runs on the node that has the job, and on no other."
    if engine not in place.engines:
        yield f"It has no engine {engine}."
    elif engine in place.unable:
        yield f"Its engine {engine} cannot run: {place.unable[engine].rstrip('.')}."
    elif not _has_version(place, engine, demand.version):
        there = ", ".join(place.versions[engine]) or "none"
        yield f"It has no {engine} {demand.version}; there are: {there}."
    if demand.model and demand.model not in place.models:
        yield f"Its model {demand.model} is not ready."
    if missing := [tag for tag in demand.tags if tag not in place.tags]:
        yield (
            f"It lacks the tags {', '.join(missing)} (node.tags)."
            if missing[1:]
            else (f"It lacks the tag {missing[0]} (node.tags).")
        )
    if place.peer and (reason := dict(task.avoid).get(place.peer)) is not None:
        yield f"It lost or failed the job too often, and is left alone for a while: {reason}"
    if not suitable(demand, place.gpus):
        yield _no_gpu(place, demand)


def able(task: Task, places: Sequence[Place]) -> list[Place]:
    """The places that could run a task, were nothing else to do there. Its last attempt is not made where the one
    before it failed, if there are others: what is wrong may be the node.
    """
    able = [place for place in places if next(lasting(task, place), None) is None]
    return [place for place in able if place.node != task.failed_on] or able


def passing(task: Task, place: Place) -> Iterator[str]:
    """Why a place cannot begin a task now."""
    if place.free <= 0:
        yield "All its slots are taken (jobs.slots)."
    if place.engines.get(task.renderer, 1) <= 0:
        yield f"All its slots for {task.renderer} are taken (engines.{task.renderer}.slots)."
    devices = suitable(task.demand, place.gpus)
    if all(device in place.taken for device in devices):
        yield from (f"GPU {device} is taken by job {place.taken[device]}." for device in devices if device is not None)


def refusals(task: Task, place: Place) -> list[str]:
    """All reasons why a place does not begin a task now; none, where it may."""
    return [*lasting(task, place), *passing(task, place)]


def _has_version(place: Place, engine: str, wish: str) -> bool:
    """Whether a place has a version, or one of the series; one that does not say which it has may have any."""
    there = place.versions.get(engine)
    if there is None or wish.lower() in ANY_VERSION:
        return True
    return any(matches(version, wish) for version in there)


def _no_gpu(place: Place, demand: Demand) -> str:
    if demand.number not in (None, *place.gpus):
        there = ", ".join(map(str, sorted(place.gpus))) or "none"
        return f"It has no GPU {demand.number} that jobs may use (node.gpus); there are: {there}."
    return f"None of its GPUs has the {demand.least / 2**30:.1f} GiB of memory that it needs."
