"""Which frames of a span are to be rendered, as few runs of Blender's start, end and step as say it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import msgspec

from zeus.engine import Span
from zeus.errors import BadInput

FIRST, LAST = 0, 1_048_574
"""The frames that a scene in Blender can have."""


class Run(msgspec.Struct, frozen=True):
    """The frames start, start + step and so on up to `end`, which is one of them."""

    start: int
    end: int
    step: int

    @property
    def frames(self) -> range:
        return range(self.start, self.end + 1, self.step)


def check_span(span: Span) -> None:
    """Raises BadInput where Blender has no such frames."""
    if span.end < span.start:
        raise BadInput(f"end_frame: {span.end} is before start_frame, {span.start}.", code="invalid_frames")
    for field, frame in (("start_frame", span.start), ("end_frame", span.end)):
        if not FIRST <= frame <= LAST:
            raise BadInput(f"{field}: {frame} is none of Blender's frames, {FIRST} to {LAST}.", code="invalid_frames")


def frames_of(span: Span, step: int) -> range:
    """The frames that a job renders."""
    return range(span.start, span.end + 1, step)


def runs(frames: Sequence[int], done: Collection[int], step: int) -> Iterator[Run]:
    """The frames that are not done yet, `step` apart in `frames`, as runs."""
    start = last = None
    for frame in frames:
        if frame in done:
            continue
        if start is None or last is None:
            start = frame
        elif frame != last + step:
            yield _run(start, last, step)
            start = frame
        last = frame
    if start is not None and last is not None:
        yield _run(start, last, step)


def _run(start: int, last: int, step: int) -> Run:
    return Run(start, last, step if last > start else 1)


def said(frames: Sequence[int]) -> str:
    """A few frames for a sentence: 3, 4, 7 and 12 more."""
    shown = ", ".join(map(str, frames[:8]))
    return shown if len(frames) <= 8 else f"{shown} and {len(frames) - 8} more"
