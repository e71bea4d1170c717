"""Reads which packets of a movie hold its frames, in which order they are shown, and where it can be cut: worker only.

A packet's index is its place in the file, its rank the place of its frame on the screen.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from zeus.engine import Computation
from zeus.errors import BadInput

CODECS = frozenset({"h264", "hevc", "av1", "vp9", "mpeg2video", "prores", "dnxhd", "mjpeg", "ffv1"})
"""Those of which each packet is one frame that is shown, and each key frame is told."""
FASTEST = 480
SLOWEST = Fraction(1, 10)
"""Frames a second, within which a frame rate is believed."""


class Unsound(Exception):
    """The movie cannot be cut; says why, as the end of a sentence."""


class Survey:
    """The packets of a movie's video. Times in units of `base` seconds; `start` is the movie's own, in seconds.

    `rate`: frames a second, exactly where the movie has one rate, else the mean.
    """

    def __init__(self, stream: VideoStream, start: Fraction) -> None:
        self.base = Fraction(stream.time_base or 1)
        self.start = start
        self.guessed = Fraction(stream.guessed_rate or 0)
        self.average = Fraction(stream.average_rate or 0)
        self.times = array("q")
        self.keys: list[int] = []
        self.last = 0

    def add(self, packet: Packet[Any]) -> None:
        """Raises Unsound for a packet that is no frame with a time of its own."""
        if packet.pts is None or packet.is_corrupt:
            raise Unsound("it has damaged packets or such without a time")
        if packet.is_discard:
            raise Unsound("its edit list leaves out a part of it")
        if packet.is_keyframe:
            self.keys.append(len(self.times))
        self.times.append(packet.pts)
        self.last = packet.duration or 0

    def settle(self) -> None:
        """Order the frames, once all are there. Raises Unsound where that cannot be done."""
        times = self.times
        self.shown = array("q", sorted(range(len(times)), key=times.__getitem__))
        self.ranks = array("q", bytes(8 * len(times)))
        for rank, index in enumerate(self.shown):
            self.ranks[index] = rank
        if any(times[a] == times[b] for a, b in pairwise(self.shown)):
            raise Unsound("some of its frames have the same time")
        self.rate = self._rate()
        if not SLOWEST <= self.rate <= FASTEST:
            raise Unsound("its frame rate is not known")

    def ticks(self, rate: Fraction, first: int, end: int) -> list[int]:
        """The times of the ranks `first` to `end`, without `end`, in frames of a rate, the first one's 0."""
        zero, unit = self.times[self.shown[first]] if first < end else 0, self.base * rate
        twice, whole = 2 * unit.numerator, 2 * unit.denominator
        return [((self.times[index] - zero) * twice + unit.denominator) // whole for index in self.shown[first:end]]

    def _rate(self) -> Fraction:
        count = len(self.times)
        if self.guessed and self.ticks(self.guessed, 0, count) == list(range(count)):
            return self.guessed
        return self.average.limit_denominator(1001)

    def openings(self) -> list[int]:
        """The key frames, by index, before which no frame lies that is shown later."""
        found, latest, before = [], -1, 0
        for key in self.keys:
            latest = max(latest, max(self.ranks[before:key], default=-1))
            before = key
            if latest < self.ranks[key]:
                found.append(key)
        return found


@contextmanager
def opened(path: str | Path, demuxer: str) -> Iterator[tuple[InputContainer, VideoStream]]:
    """A movie by a demuxer that a probe has told, and its first video that is no picture of a cover."""
    url, options = f"file:{Path(path).absolute()}", {"protocol_whitelist": "file,pipe"}
    try:
        container = av.open(url, format=demuxer, options=options, metadata_errors="replace")
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise BadInput(f"{Path(path).name} is no movie that can be read.") from error
    with container:
        for stream in container.streams.video:
            if not stream.disposition & stream.disposition.attached_pic:
                yield container, stream
                return
        raise BadInput(f"{Path(path).name} has no video.")


def packets(job: Computation, container: InputContainer, stream: VideoStream) -> Iterator[Packet[Any]]:
    """Those of one stream, in the order of the file, without the empty one at the end."""
    for packet in container.demux(stream):
        job.check()
        if packet.size:
            yield packet


def survey(job: Computation, path: str | Path, demuxer: str) -> Survey:
    """Read all packets of a movie. Raises Unsound where it cannot be cut and joined again."""
    with opened(path, demuxer) as (container, stream):
        if stream.codec_context.codec.canonical_name not in CODECS:
            raise Unsound(f"Zeus does not cut {stream.codec_context.codec.canonical_name}")
        found = Survey(stream, Fraction(container.start_time or 0, av.time_base))
        try:
            for packet in packets(job, container, stream):
                found.add(packet)
        except (av.error.FFmpegError, OSError) as error:
            raise Unsound("it is damaged") from error
    found.settle()
    return found
