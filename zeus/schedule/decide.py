"""The whole policy of which task starts where, as one pure function of a snapshot."""

from __future__ import annotations

from zeus.model import Assignment, Snapshot, suitable


def decide(snapshot: Snapshot) -> list[Assignment]:
    """The tasks to start now: higher priority first, then age, each at the first place with a free slot for it and,
    where it asks for one, a free GPU; places with GPUs come first for those that ask.

    A task that finds its GPU taken holds nobody back.
    """
    free = {place.node: place.free for place in snapshot.places}
    slots = {(place.node, engine): count for place in snapshot.places for engine, count in place.engines.items()}
    taken = {(place.node, gpu) for place in snapshot.places for gpu in place.taken}
    with_gpus_first = sorted(snapshot.places, key=lambda place: not place.gpus)
    assignments = []
    for task in sorted(snapshot.tasks, key=lambda task: (-task.priority, task.id)):
        for place in with_gpus_first if task.demand.gpu else snapshot.places:
            node, key = place.node, (place.node, task.renderer)
            if free[node] <= 0 or slots.get(key, 0) <= 0:
                continue
            for device in suitable(task.demand, place.gpus):
                if (node, device) not in taken:
                    break
            else:
                continue
            free[node] -= 1
            slots[key] -= 1
            if device is not None:
                taken.add((node, device))
            assignments.append(Assignment(task, place, device))
            break
    return assignments
