"""Where a task runs, behind one Protocol: on this machine or at a peer, later in a Ray cluster."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from zeus.engine import Made, Piece
from zeus.model import Assignment, Job, Place


class Reports(Protocol):
    """What an attempt says while it runs, and what was said before; see `zeus.engine.RunContext` for each."""

    done: frozenset[int]
    published: Path
    weights: Sequence[float]
    """Of a task that cuts: how much of the work each piece is to be; fewer than two where there is one slot for it."""
    made: Sequence[Made]
    """Of a task that joins: what the pieces have made."""

    def progress(self, fraction: float, note: str, frame: int | None) -> None: ...

    async def publish(self, frame: int, paths: Sequence[Path], seconds: float | None) -> None: ...

    async def frame_failed(self, frame: int, reason: str) -> None: ...

    async def set_span(self, start: int, end: int, step: int) -> None: ...

    def set_pieces(self, pieces: Sequence[Piece[Any]]) -> None:
        """What the job was cut into, the inputs of the pieces in the folder that `run` returns."""


class Dispatcher(Protocol):
    """One way of running tasks."""

    def places(self) -> list[Place]:
        """Where tasks can run, were nothing running now. From memory, never waits."""

    async def run(self, assignment: Assignment, job: Job, attempt: int, reports: Reports) -> Path:
        """Run an attempt to its end, on the GPU that it is given; the folder that holds its outputs, checked by the
        engine and not yet published.

        Raises ZeusError when it fails. To cancel it, cancel the caller: it returns when nothing of the attempt is left.
        """


class Dispatchers:
    """This machine and the peers as one way of running tasks; this machine's places come first."""

    def __init__(self, local: Dispatcher, peers: Dispatcher) -> None:
        self._local = local
        self._peers = peers

    def places(self) -> list[Place]:
        return [*self._local.places(), *self._peers.places()]

    async def run(self, assignment: Assignment, job: Job, attempt: int, reports: Reports) -> Path:
        dispatcher = self._peers if assignment.place.peer else self._local
        return await dispatcher.run(assignment, job, attempt, reports)
