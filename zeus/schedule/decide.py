"""The whole policy of which task starts where, as one pure function of a snapshot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from zeus.model import Assignment, Place, Role, Snapshot, Task, Underway, suitable
from zeus.placement import able
from zeus.schedule.sizing import SETUP, Worker, frames_for, seconds_per_frame, taken_by

WORTH = 1.5
"""So many times faster than this machine must another be to get a job while there is room here: it has to be sent."""


def decide(snapshot: Snapshot) -> list[Assignment]:
    """The tasks to start now: higher priority first, then age, each at the best place with a free slot for it and,
    where it asks for one, a free GPU. Of a split job as many pieces as there are places for.

    A task that finds its GPU taken holds nobody back. Where nothing is left to begin, places that idle take over frames
    of the pieces that run longest.
    """
    room = Room(snapshot.places)
    made: list[Assignment] = []
    for task in sorted(snapshot.tasks, key=lambda task: (-task.priority, task.age, task.id)):
        if task.role is Role.DEAL:
            made += _dealt(task, snapshot, room)
        elif found := next(room.open_for(task), None):
            made.append(room.take(Assignment(task, *found)))
    return made + _halved(snapshot, room)


class Room:
    """What is free at the places while a decision is made."""

    def __init__(self, places: Sequence[Place]) -> None:
        self._places = places
        self._free = {place.node: place.free for place in places}
        self._slots = {(place.node, engine): count for place in places for engine, count in place.engines.items()}
        self._taken = {(place.node, gpu) for place in places for gpu in place.taken}
        self._able: dict[tuple[object, ...], list[Place]] = {}
        self._full: set[tuple[object, ...]] = set()

    def able(self, task: Task) -> list[Place]:
        """The places that could run a task, were nothing else to do there, the best first."""
        key = _kind(task)
        if key not in self._able:
            found = able(task, self._places)
            seconds = seconds_per_frame(task.renderer, found, {})
            self._able[key] = sorted(found, key=lambda place: _cost(task, place, seconds))
        return self._able[key]

    def open_for(self, task: Task) -> Iterator[tuple[Place, int | None]]:
        """The places that could begin a task now, each with the GPU that it would have there, the best first."""
        key = _kind(task)
        if key in self._full:
            return
        is_full = True
        for place in self.able(task):
            if self.slots(place, task.renderer) > 0:
                free = [each for each in suitable(task.demand, place.gpus) if (place.node, each) not in self._taken]
                if free:
                    is_full = False
                    yield place, free[0]
        if is_full:  # what is taken is not given back while a decision is made
            self._full.add(key)

    def slots(self, place: Place, engine: str) -> int:
        """How many tasks of an engine a place could begin now."""
        return max(0, min(self._free[place.node], self._slots.get((place.node, engine), 0)))

    def take(self, assignment: Assignment) -> Assignment:
        """Give an assignment what it needs."""
        node = assignment.place.node
        self._free[node] -= 1
        self._slots[node, assignment.task.renderer] -= 1
        if assignment.device is not None:
            self._taken.add((node, assignment.device))
        return assignment


def _cost(task: Task, place: Place, seconds: Mapping[str, float]) -> tuple[bool, float]:
    """What tells the better of two places: the GPU, where one is asked for, then the pace. One that is not known is
    taken for the best.
    """
    pace = seconds.get(place.node, min(seconds.values(), default=1.0))
    return bool(task.demand.gpu) and not place.gpus, pace if place.peer else pace / WORTH


def _dealt(task: Task, snapshot: Snapshot, room: Room) -> list[Assignment]:
    """Pieces off the front of what is not dealt yet, one for each place with room."""
    frames, made = task.frames, []
    seconds = seconds_per_frame(task.renderer, room.able(task), snapshot.paces.get(task.job_id, {}))
    under_way = [piece for piece in snapshot.pieces if piece.job_id == task.job_id]
    workers = Counter(piece.node for piece in under_way)
    for place in room.able(task):
        workers[place.node] += _at_once(room, task, place)
    known = {place.node: Worker(seconds.get(place.node), _setup(place, task.renderer)) for place in room.able(task)}
    in_hand = sum((len(piece.left) + 0.5) * (piece.seconds or 0) for piece in under_way)
    refused: set[str] = set()
    while frames and (found := next((each for each in room.open_for(task) if each[0].node not in refused), None)):
        place, device = found
        others = [known[node] for node, count in (workers - Counter([place.node])).items() if node in known
                  for _ in range(count)]  # fmt: skip
        busy = in_hand / len(others) if others else 0.0
        count = frames_for(known[place.node], others, len(frames), busy, snapshot.chunk_seconds)
        if not count:
            refused.add(place.node)
            continue
        span = (frames[0], frames[count - 1])
        made.append(room.take(Assignment(_from(task, frames[0]), place, device, span)))
        in_hand += count * (known[place.node].seconds or 0)
        frames = frames[count:]
    return made


def _halved(snapshot: Snapshot, room: Room) -> list[Assignment]:
    """The last frames of the pieces that will run longest, for the places that would idle."""
    dealing = {task.job_id for task in snapshot.tasks if task.role is Role.DEAL}
    made = []
    for piece in sorted(snapshot.pieces, key=_rest, reverse=True):
        if piece.job_id in dealing or not piece.left:
            continue
        found = next(room.open_for(piece.task), None)
        if found is None:
            continue
        place, device = found
        seconds = seconds_per_frame(piece.task.renderer, room.able(piece.task), snapshot.paces.get(piece.job_id, {}))
        count = taken_by(piece, Worker(seconds.get(place.node), _setup(place, piece.task.renderer)))
        if count:
            span = (piece.left[-count], piece.left[-1])
            made.append(room.take(Assignment(piece.task, place, device, span)))
    return made


def _kind(task: Task) -> tuple[object, ...]:
    """What tasks have in common that the same places could run."""
    return task.renderer, task.demand, task.avoid, task.failed_on


def _from(task: Task, first: int) -> Task:
    return msgspec.structs.replace(task, start_frame=first)


def _at_once(room: Room, task: Task, place: Place) -> int:
    """How many of a task's pieces a place could begin now."""
    count = room.slots(place, task.renderer)
    if not place.gpus or not task.demand.gpu:
        return count
    return min(count, sum(device not in place.taken for device in suitable(task.demand, place.gpus)))


def _setup(place: Place, engine: str) -> float:
    return place.setup.get(engine, SETUP)


def _rest(piece: Underway) -> float:
    """Seconds until a piece will have ended, less what is done of the frame in work."""
    return (len(piece.left) + 0.5) * (piece.seconds or 0.0)
