"""Cuts a movie into files of whole frames, without encoding: in a worker, which alone loads PyAV.

A segment begins with a key frame. Where frames that are shown before that one follow it in the file (an open group of
pictures), they belong to the segment before, which for their sake has the key frame too; its piece leaves that out. The
frames of a segment have a constant rate, whatever the movie's: `joining` gives each its time again.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import av
import msgspec
from av.video.stream import VideoStream

from zeus.engine import Computation
from zeus.errors import TaskFailed

from .remuxing import Times, Writer, closing, ranked
from .survey import Survey, Unsound, opened, packets, survey
from .trial import Trial

LONGEST = 7500
"""Frames of a segment at most, five minutes of most films: so that a node which comes late finds work, and one that is
lost has not much to lose."""
MOST = 256
"""Segments at most, about; those of a very long film are longer."""
FORMS = {".mov": "mov", ".mkv": "matroska"}
"""The muxers of segments by their endings, each with which a movie of its kind keeps its rotation and colours."""


class Segment(msgspec.Struct, frozen=True):
    """The packets from index `key` to `end`, whose ranks are `low` or more; wanted of its frames are `first` to `last`,
    counted from 1."""

    key: int
    end: int
    low: int
    first: int
    last: int

    def holds(self, index: int, rank: int) -> bool:
        return self.key <= index < self.end and rank >= self.low

    def ranks(self, found: Survey) -> list[int]:
        """Those of its packets, in the order of the file, from 0 on."""
        ranks = found.ranks[self.key : self.end]
        return ranked([rank for rank in ranks if rank >= self.low])


def cut(
    job: Computation, path: str, demuxer: str, folder: str, ending: str, weights: list[float], first: int, last: int
) -> dict[str, Any]:
    """Write the segments of the frames `first` to `last` (counted from 1; 0: all).

    Gives a row of [name, first frame, last frame], or instead `reason`: why there are none. Raises BadInput.
    """
    try:
        found = survey(job, path, demuxer)
        last = last or len(found.times)
        segments = _segments(job, path, demuxer, found, weights, first - 1, last)
    except Unsound as unsound:
        return {"reason": str(unsound), "segments": []}
    names = [f"part-{number:04d}.{ending}" for number in range(1, len(segments) + 1)]
    try:
        _write(job, path, demuxer, found, segments, [Path(folder, name) for name in names])
    except (av.error.FFmpegError, ValueError) as error:
        return {"reason": f"its segments cannot be written: {error}", "segments": []}
    for name, segment in zip(names, segments, strict=True):
        _check(job, Path(folder, name), found, segment)
    rows = [[name, each.first, each.last] for name, each in zip(names, segments, strict=True)]
    return {"segments": rows, "reason": None}


def _segments(
    job: Computation, path: str, demuxer: str, found: Survey, weights: Sequence[float], start: int, end: int
) -> list[Segment]:
    """About as long as the weights say. Raises Unsound where there are not two."""
    openings = found.openings()
    usable = {found.ranks[key]: key for key in openings}
    if not usable or min(usable) > start:
        raise Unsound("it does not begin with a key frame")
    cuts = nearest([rank for rank in usable if start < rank < end], start, end, finer(weights, end - start))
    if not cuts:
        raise Unsound("it has no key frames to cut it at")
    trial = Trial(job, path, demuxer, found)
    sound = [rank for rank in cuts if trial.sound(openings, usable[rank])]
    if not sound:
        raise Unsound("what follows its key frames does not decode without what lies before them")
    begin = usable[max(rank for rank in usable if rank <= start)]
    return [_segment(found, usable.get(a, begin), a, b) for a, b in pairwise([start, *sound, end])]


def finer(weights: Sequence[float], frames: int) -> list[float]:
    """Weights of which none stands for more than LONGEST of so many frames: each that does is divided."""
    longest = max(LONGEST, frames / MOST) * sum(weights) / max(frames, 1)
    counts = [max(1, math.ceil(weight / longest)) if longest else 1 for weight in weights]
    return [weight / count for weight, count in zip(weights, counts, strict=True) for _ in range(count)]


def nearest(ranks: Sequence[int], start: int, end: int, weights: Sequence[float]) -> list[int]:
    """For each boundary that the weights make between `start` and `end`, the rank that lies nearest to it."""
    total = sum(weights)
    chosen = set()
    ranks = sorted(ranks)
    for share in list(accumulate(weights))[:-1] if ranks and total > 0 else ():
        wanted = start + (end - start) * share / total
        place = bisect.bisect(ranks, wanted)
        chosen.add(min(ranks[max(0, place - 1) : place + 1], key=lambda rank: abs(rank - wanted)))
    return sorted(chosen)


def _segment(found: Survey, key: int, a: int, b: int) -> Segment:
    """That of the ranks a to b, without b."""
    low = found.ranks[key]
    end = max(found.shown[a:b]) + 1
    return Segment(key, end, low, a - low + 1, b - low)


def _write(
    job: Computation, path: str, demuxer: str, found: Survey, segments: Sequence[Segment], targets: Sequence[Path]
) -> None:
    """All segments in one reading of the movie."""
    with opened(path, demuxer) as (container, stream):
        writers = [_writer(target, stream, found, each) for target, each in zip(targets, segments, strict=True)]
        step, begun, ended = max(1, len(found.times) // 100), 0, 0
        with closing(writers):
            for index, packet in enumerate(packets(job, container, stream)):
                if index % step == 0:
                    job.report(index / len(found.times))
                while begun < len(segments) and segments[begun].key <= index:
                    begun += 1
                while ended < begun and segments[ended].end <= index:
                    ended += 1
                for number in range(ended, begun):
                    if segments[number].holds(index, found.ranks[index]):
                        writers[number].add(packet)


def _writer(target: Path, stream: VideoStream, found: Survey, segment: Segment) -> Writer:
    ranks, rate = segment.ranks(found), found.rate
    return Writer(target, FORMS[target.suffix], stream, Times(range(len(ranks)), ranks, 1 / rate, rate))


def _check(job: Computation, path: Path, found: Survey, segment: Segment) -> None:
    """Raises TaskFailed when a segment does not read as it was written."""
    with opened(path, FORMS[path.suffix]) as (container, stream):
        made = [packet.pts or 0 for packet in packets(job, container, stream)]
    if ranked(made) != segment.ranks(found):
        raise TaskFailed(f"{path.name} has other frames than those that were cut off for it.")
