"""A farm in virtual time: what the policy makes of nodes that are given, without a clock, a store or a process."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from zeus.model import Assignment, Place, Role, Snapshot, Task, Underway
from zeus.schedule.decide import decide


class Machine(NamedTuple):
    """A node with one slot: the seconds of a frame there, and when it joins."""

    seconds: float
    joins: float = 0.0


class Work:
    """A piece under way at a machine."""

    def __init__(self, task: Task, began: float, setup: float, seconds: float) -> None:
        self.task = task
        self.first = began + setup
        self.seconds = seconds

    def made(self, now: float) -> int:
        return min(max(int((now - self.first) / self.seconds + 1e-9), 0), len(self.task.frames))

    @property
    def end(self) -> float:
        return self.first + len(self.task.frames) * self.seconds


class Farm:
    """Machines that work on one split job; `frames` tells for each frame which machines made it."""

    def __init__(self, machines: Sequence[Machine], frames: int, *, setup: float = 0.5, chunk: float = 60.0) -> None:
        self._machines = machines
        self._setup = setup
        self._chunk = chunk
        self._deal: Task | None = Task(1, "job", "engine", 50, 0, 1, frames, role=Role.DEAL)
        self._working: dict[int, Work] = {}
        self._seen: dict[str, float] = {}
        self._ids = itertools.count(2)
        self.frames: dict[int, list[int]] = {number: [] for number in range(1, frames + 1)}
        self.pieces = 0

    def run(self) -> float:
        """Work to the end; the seconds that it took."""
        moments = [*{machine.joins for machine in self._machines}]
        heapq.heapify(moments)
        now = 0.0
        while moments:
            now = heapq.heappop(moments)
            self._settle(now)
            for assignment in decide(self._snapshot(now)):
                self._begin(assignment, now)
            # Whoever works is looked at whenever a frame of it comes, as the runner does.
            following = [min(work.first + (work.made(now) + 1) * work.seconds, work.end)
                         for work in self._working.values()]  # fmt: skip
            if following and (not moments or min(following) < moments[0]):
                heapq.heappush(moments, min(following))
        assert self._deal is None and not self._working
        return now

    def _snapshot(self, now: float) -> Snapshot:
        places = tuple(
            Place(str(number), 0 if number in self._working else 1, {"engine": 0 if number in self._working else 1},
                  peer="" if number == 0 else str(number), setup={"engine": self._setup})
            for number, machine in enumerate(self._machines) if machine.joins <= now
        )  # fmt: skip
        pieces = tuple(
            Underway(work.task, "job", str(number), work.task.frames[work.made(now) + 1 :],
                     work.seconds if work.made(now) else None)
            for number, work in self._working.items()
        )  # fmt: skip
        for piece in pieces:
            if piece.seconds is not None:
                self._seen[piece.node] = piece.seconds
        tasks = (self._deal,) if self._deal is not None else ()
        return Snapshot(tasks, places, pieces, {"job": dict(self._seen)}, self._chunk)

    def _settle(self, now: float) -> None:
        for number in [number for number, work in self._working.items() if work.end <= now + 1e-9]:
            work = self._working.pop(number)
            self._seen[str(number)] = work.seconds
            for frame in work.task.frames:
                self.frames[frame].append(number)

    def _begin(self, assignment: Assignment, now: float) -> None:
        assert assignment.span is not None
        first, last = assignment.span
        if assignment.task.role is Role.DEAL:
            assert self._deal is not None and self._deal.start_frame == first
            self._deal = None if last == self._deal.end_frame else msgspec.structs.replace(
                self._deal, start_frame=last + 1)  # fmt: skip
        else:
            [work] = [each for each in self._working.values() if each.task.id == assignment.task.id]
            assert first > work.task.frames[work.made(now)] and last == work.task.end_frame
            work.task = msgspec.structs.replace(work.task, end_frame=first - 1)
        number = int(assignment.place.node)
        assert number not in self._working
        piece = Task(next(self._ids), f"piece {self.pieces}", "engine", 50, 1, first, last)
        self._working[number] = Work(piece, now, self._setup, self._machines[number].seconds)
        self.pieces += 1


def ideal(machines: Sequence[Machine], frames: int) -> float:
    """The seconds in which the machines could make so many frames, each at work from the moment when it joins."""
    joined, made, now, rate = sorted(machines, key=lambda each: each.joins), 0.0, 0.0, 0.0
    for number, machine in enumerate(joined):
        made, now, rate = made + rate * (machine.joins - now), machine.joins, rate + 1 / machine.seconds
        later = joined[number + 1].joins if number + 1 < len(joined) else float("inf")
        if made + rate * (later - now) >= frames:
            return now + (frames - made) / rate
    raise AssertionError("unreachable: the last machine works without end")
