"""Tries whether a movie decodes from a key frame on as it does with all before it: worker only."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import av
from av.packet import Packet

from zeus.engine import Computation

from .survey import Survey, opened, packets

TRIED = 24
"""Frames from a key frame on that are compared."""


class Trial:
    """Decodes what follows a key frame with and without what lies before it. What was refreshed by and by, or refers
    further back, comes out different."""

    def __init__(self, job: Computation, path: str, demuxer: str, found: Survey) -> None:
        self._job = job
        self._path = path
        self._demuxer = demuxer
        self._found = found

    def sound(self, openings: Sequence[int], key: int) -> bool:
        """Whether the frames from a key frame on, by its index, are the same to the last bit."""
        found = self._found
        before = max((each for each in openings if each < key), default=key)
        low = found.ranks[key]
        shown = found.shown[low : low + TRIED]
        end = max(shown) + 1
        taken = self._taken(before, end)
        wanted = {found.times[index] for index in shown}
        try:
            whole = self._sums(taken, wanted)
            alone = self._sums([taken[i - before] for i in range(key, end) if found.ranks[i] >= low], wanted)
        except (av.error.FFmpegError, IndexError):
            return False
        return whole == alone and whole.keys() == wanted

    def _taken(self, first: int, end: int) -> list[Packet[Any]]:
        """The packets from index `first` to `end`, without `end`; fewer when they cannot be found."""
        times = self._found.times
        taken: list[Packet[Any]] = []
        with opened(self._path, self._demuxer) as (container, stream):
            container.seek(times[first], stream=stream)
            for packet in packets(self._job, container, stream):
                if packet.pts == times[first + len(taken)]:
                    taken.append(packet)
                if len(taken) == end - first:
                    break
        return taken

    def _sums(self, taken: Sequence[Packet[Any]], wanted: set[int]) -> dict[int, int]:
        """A checksum of the picture at each of the wanted times."""
        sums = {}
        with opened(self._path, self._demuxer) as (_, fresh):
            for packet in [*taken, None]:
                self._job.check()
                for frame in fresh.codec_context.decode(packet):
                    if frame.pts in wanted:
                        sums[frame.pts] = zlib.crc32(frame.to_ndarray(format="rgb24").tobytes())
        return sums
