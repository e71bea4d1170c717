"""How large a piece of a split job is to be, and when it pays to take frames off one that runs. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from zeus.model import Place, Underway

LEAST_SECONDS = 5.0
"""A piece takes so long at least where the pace is known, unless there is less left."""
LEAST_SETUPS = 10
"""A piece takes so many times as long as it costs beyond its frames, where that makes it shorter."""
LEAST_COST = 0.25
"""Seconds that a piece costs at least: records, a process, a file's way."""
PROBE = 4
"""Frames at most of a piece whose place's pace nobody knows."""
SETUP = 2.0
"""Seconds that a piece is taken to cost beyond its frames where that was not measured yet."""
FACTOR = 2
"""A piece is such a part of what a place would make of the rest: so all end at nearly the same time."""
SHARES = 1000
"""Of what is left a piece is this part at least, which bounds how many there are."""


class Worker(NamedTuple):
    """A slot that works for a split job or could: seconds for a frame of it, and for a piece beyond its frames."""

    seconds: float | None
    setup: float

    @property
    def cost(self) -> float:
        """What another piece costs, at least."""
        return max(self.setup, LEAST_COST)


def seconds_per_frame(engine: str, places: Sequence[Place], measured: Mapping[str, float]) -> dict[str, float]:
    """What a frame takes at each place, by its node, as far as that can be told.

    `measured`: for the very job; other places are reckoned from those by the engine's pace at both, or else by their
    scores. Without any, the engine's own paces stand for the job's.
    """
    known = {place.node: measured[place.node] for place in places if place.node in measured}
    by_pace = {place.node: place.pace[engine] for place in places if engine in place.pace}
    by_score = {place.node: 1 / place.score for place in places if place.score > 0}
    if not known:
        known = dict(by_pace)
    for scale in (by_pace, by_score):
        ratios = [known[node] / scale[node] for node in known if node in scale]
        if ratios:
            ratio = sum(ratios) / len(ratios)
            known = {**{node: each * ratio for node, each in scale.items()}, **known}
    return known


def frames_for(worker: Worker, others: Sequence[Worker], left: int, busy: float, chunk_seconds: float) -> int:
    """How many of `left` frames a worker gets now; 0 where the others will be through before it had made one.

    `busy`: the seconds of work, at one worker's pace, that the others have in hand.
    """
    if not others:
        return left
    fair = -(-left // (FACTOR * (len(others) + 1)))
    if worker.seconds is None:
        return min(fair, PROBE)
    known = [other.seconds for other in others if other.seconds is not None]
    rest = 1 / worker.seconds
    total = rest + sum(1 / each for each in known) + (len(others) - len(known)) * rest
    count = min(chunk_seconds / worker.seconds, left * rest / total / FACTOR)
    least = min(LEAST_SECONDS, LEAST_SETUPS * worker.cost) / worker.seconds
    count = max(count, min(least, chunk_seconds / worker.seconds), left / SHARES, 1)
    if len(known) == len(others):
        # When the others will be through at the latest: they too have to begin another piece for what is left.
        end = left / (total - rest) + busy + max(known) + max(other.setup for other in others)
        if worker.setup + worker.seconds > end:
            return 0
        count = min(count, max((end - worker.setup) / worker.seconds, 1, left / SHARES))
    return left if left - count < least / 2 else min(int(count), left)


def taken_by(piece: Underway, worker: Worker) -> int:
    """How many of a running piece's last frames a worker that idles takes, so that both end together; 0 when it does
    not pay.
    """
    if piece.seconds is None or not piece.left:
        return 0
    theirs, mine = piece.seconds, worker.seconds or piece.seconds
    left = len(piece.left)
    before = theirs * (0.5 + left)
    count = min(int((before - worker.setup) / (theirs + mine)), left)
    if count < 1:
        return 0
    after = max(before - count * theirs, worker.setup + count * mine)
    return count if before - after >= worker.cost and before > 2 * worker.cost else 0
