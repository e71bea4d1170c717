"""The whole policy of which task starts where, as one pure function of a snapshot."""

from __future__ import annotations

from zeus.model import Assignment, Snapshot


def decide(snapshot: Snapshot) -> list[Assignment]:
    """The tasks to start now: higher priority first, then age, each at the first place with a free slot for it."""
    free = {place.node: place.free for place in snapshot.places}
    slots = {(place.node, engine): count for place in snapshot.places for engine, count in place.engines.items()}
    assignments = []
    for task in sorted(snapshot.tasks, key=lambda task: (-task.priority, task.id)):
        for place in snapshot.places:
            key = (place.node, task.renderer)
            if free[place.node] > 0 and slots.get(key, 0) > 0:
                free[place.node] -= 1
                slots[key] -= 1
                assignments.append(Assignment(task, place))
                break
    return assignments
