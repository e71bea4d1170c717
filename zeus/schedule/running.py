"""An attempt in hand: how far it is, and how it is ended before its time."""

from __future__ import annotations

import asyncio
from enum import Enum

from zeus.model import Assignment, Underway, Wish
from zeus.schedule.publication import Publication


class Phase(Enum):
    """How far an attempt is: while WORKING a stop ends it; once it is SETTLING its outcome is known and recorded."""

    STARTING = 1
    WORKING = 2
    SETTLING = 3


class Running:
    """An attempt that this node has in hand."""

    def __init__(
        self, assignment: Assignment, attempt: int | None = None, percent: int = 0, *, is_taken_up: bool = False
    ) -> None:
        self.assignment = assignment
        self.percent = percent
        self.is_taken_up = is_taken_up
        """Whether it began before this node did."""
        self.attempt = attempt
        """Its number, where it is on record as running already."""
        self.publication: Publication | None = None
        self.task = assignment.task
        self.place = assignment.place
        self.phase = Phase.STARTING
        self.shutdown = False
        self.wish = Wish.NONE
        self.stopped = False
        self.work: asyncio.Task[None] | None = None

    @property
    def jobs(self) -> tuple[str | None, ...]:
        """The ids of its job and, where it is a subjob, of that one's parent."""
        return self.task.job_id, self.publication.job.parent if self.publication is not None else None

    def stop(self) -> None:
        """End the attempt unless its outcome is known already."""
        if self.work is not None and self.phase is Phase.WORKING:
            self.stopped = True
            self.work.cancel()

    @property
    def piece(self) -> Underway | None:
        """How far it is with the frames of a split job, where it is at a piece that another place may take some of."""
        made = self.publication
        if made is None or made.job.input_of is None or made.job.publishes != "each" or made.job.parent is None:
            return None
        if self.phase is not Phase.WORKING or self.stopped:
            return None
        return Underway(self.task, made.job.parent, self.place.node, made.left, made.pulse.seconds)

    def complete(self) -> None:
        """End the attempt, whose frames are all there: others that its engine would make are another piece's."""
        if self.work is not None and self.phase is Phase.WORKING and not self.stopped:
            self.phase = Phase.SETTLING
            self.work.cancel()
