"""Writes encoded frames into a file with new times, without encoding: in a worker, which alone loads PyAV."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.packet import Packet
from av.video.stream import VideoStream


class Times:
    """When packets in the order of a file are decoded and shown, in units of `base` seconds.

    `ticks` are the times of the frames as they are shown, `ranks` the place of each packet's frame among them; `last`
    is how long the very last frame is shown, `rate` how many frames a second the file says that it has.
    """

    def __init__(
        self, ticks: Sequence[int], ranks: Sequence[int], base: Fraction, rate: Fraction, last: int = 1
    ) -> None:
        self._ticks = ticks
        self._ranks = ranks
        self._last = last
        self.base = base
        self.rate = rate
        # a decoder must have a frame before it shows it, so all are shown as much later as the latest one needs
        self._delay = max((index - rank for index, rank in enumerate(ranks)), default=0)
        self._step = ticks[1] - ticks[0] if len(ticks) > 1 else 1

    def stamp(self, packet: Packet[Any], index: int) -> None:
        """Give the packet at `index` its times."""
        rank, early = self._ranks[index], index - self._delay
        packet.time_base = self.base
        packet.pts = self._ticks[rank]
        packet.dts = self._ticks[early] if early >= 0 else self._ticks[0] + early * self._step
        packet.duration = self._ticks[rank + 1] - self._ticks[rank] if rank + 1 < len(self._ticks) else self._last


class Writer:
    """A file of one video, encoded as the stream `like` is; one packet after another.

    `source` is the stream whose words and disposition it has; None: those of `like`.
    """

    def __init__(
        self, target: Path, form: str, like: VideoStream, times: Times, source: VideoStream | None = None
    ) -> None:
        self._container = av.open(f"file:{target.absolute()}", "w", format=form)
        # opaque: a stream that is copied needs no encoder of its name
        self.stream = self._container.add_stream_from_template(like, opaque=True)
        self.stream.time_base = times.base
        self.stream.codec_context.framerate = times.rate
        self.stream.metadata.update(_words(source or like, like))
        self.stream.disposition = (source or like).disposition
        self._times = times
        self.count = 0

    def add(self, packet: Packet[Any]) -> None:
        """Write a copy of a packet as the next one."""
        copy = Packet(bytes(packet))
        copy.is_keyframe = packet.is_keyframe
        for data in packet.iter_sidedata():
            copy.set_sidedata(data)
        self._times.stamp(copy, self.count)
        copy.stream = self.stream
        self._container.mux(copy)
        self.count += 1

    def close(self) -> None:
        self._container.close()


@contextmanager
def closing(writers: Sequence[Writer]) -> Iterator[None]:
    """Close all of them, whatever happens."""
    try:
        yield
    finally:
        for writer in writers:
            writer.close()


def ranked(times: Sequence[int]) -> list[int]:
    """The place of each among all when they are in order."""
    ranks = [0] * len(times)
    for rank, index in enumerate(sorted(range(len(times)), key=times.__getitem__)):
        ranks[index] = rank
    return ranks


def _words(source: VideoStream, like: VideoStream) -> dict[str, str]:
    """What a conversion keeps of a stream's words, and who encoded it."""
    kept = {name: text for name, text in source.metadata.items() if name.lower() not in ("encoder", "duration")}
    return kept | {name: text for name, text in like.metadata.items() if name.lower() == "encoder"}
