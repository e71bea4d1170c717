"""Puts encoded segments together again, each frame at its time in the source: in a worker, which alone loads PyAV."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
from av.bitstream import BitStreamFilterContext
from av.packet import Packet
from av.video.stream import VideoStream

from zeus.engine import Computation
from zeus.errors import BadInput, OutputInvalid

from .headers import INBAND, TAGS, headers
from .remuxing import Times, Writer, closing, ranked
from .survey import Survey, Unsound, opened, packets, survey

Part = tuple[str, str, int]
"""What a part is called, its file, and the number of its frames; 0: unknown."""
ROUNDING = 0.001
"""Seconds by which a container rounds a time."""


def join(
    job: Computation,
    path: str,
    source: str,
    parts: list[Part],
    demuxer: str,
    form: str,
    target: str,
    first: int,
    last: int,
) -> dict[str, Any]:
    """Write the video of the parts (by `demuxer`) into `target` (by the muxer `form`) with the times of the frames
    `first` to `last` (counted from 1; 0: all) of the movie at `path` (by the demuxer `source`).

    Gives the number of `frames`, the seconds until the last one begins and until it ends, when the first begins in the
    movie, and the `tag` that mp4 must have, if any. Raises OutputInvalid when the parts do not have as many frames.
    """
    found = _surveyed(job, path, source)
    begin, end = first - 1, last or len(found.times)
    ranks = _ranks(job, parts, demuxer)
    if len(ranks) != end - begin:
        message = f"The parts have {len(ranks)} frames where {end - begin} were expected."
        raise OutputInvalid(message, retry=False)
    rate = found.guessed
    ticks = found.ticks(rate, begin, end) if rate else []
    if not ticks or any(a >= b for a, b in pairwise(ticks)):
        rate = 1 / found.base  # two frames would have the same time
        ticks = found.ticks(rate, begin, end)
    shown = max(1, round(found.last * found.base * rate))
    times = Times(ticks, ranks, 1 / rate, found.guessed or found.rate, shown)
    files = [part for _, part, _ in parts]
    with opened(path, source) as (_, stream):
        tag = _write(job, files, demuxer, lambda like: Writer(Path(target), form, like, times, stream))
    begins = (found.times[found.shown[begin]] * found.base - found.start) * rate
    seconds = float((ticks[-1] + shown) / rate)
    facts = {"frames": len(ticks), "seconds": seconds, "last": float(ticks[-1] / rate)}
    return {**facts, "first": float(round(begins) / rate), "tag": tag}


def compare(job: Computation, path: str, demuxer: str, frames: int, last: float) -> None:
    """Raises OutputInvalid when a file has another number of frames than it should, or another time from the first to
    the last of them, by more than half a frame and what its container rounds."""
    with opened(path, demuxer) as (container, stream):
        times = sorted(packet.pts or 0 for packet in packets(job, container, stream))
        real = float((times[-1] - times[0]) * (stream.time_base or 0)) if times else 0.0
    name = Path(path).name
    if len(times) != frames:
        raise OutputInvalid(f"{name} has {len(times)} frames where the input has {frames}.")
    if abs(real - last) > last / max(1, frames - 1) / 2 + ROUNDING:
        raise OutputInvalid(f"{name} shows its last frame after {real:.3f} s, the input after {last:.3f} s.")


def _surveyed(job: Computation, path: str, demuxer: str) -> Survey:
    try:
        return survey(job, path, demuxer)
    except Unsound as unsound:
        raise OutputInvalid(f"{Path(path).name} is not what was cut: {unsound}.", retry=False) from unsound


def _ranks(job: Computation, parts: Sequence[Part], demuxer: str) -> list[int]:
    """The places of all packets' frames, the parts one after another."""
    ranks: list[int] = []
    for name, part, count in parts:
        try:
            with opened(part, demuxer) as (container, stream):
                times = [packet.pts or 0 for packet in packets(job, container, stream)]
        except (av.error.FFmpegError, BadInput) as error:
            raise OutputInvalid(f"{name} is no movie that can be read.", retry=False) from error
        if count not in (0, len(times)):
            raise OutputInvalid(f"{name} has {len(times)} frames where {count} were expected.", retry=False)
        ranks += [len(ranks) + rank for rank in ranked(times)]
    return ranks


def _write(
    job: Computation, parts: Sequence[str], demuxer: str, open_writer: Callable[[VideoStream], Writer]
) -> str | None:
    """Gives the tag that the stream needs, where parts have different headers."""
    with opened(parts[0], demuxer) as (_, like):
        codec = like.codec_context.codec.canonical_name
        name = INBAND.get(codec) if len({_headers(part, demuxer) for part in parts}) > 1 else None
        tag = TAGS.get(codec) if name is not None else None
        writer = open_writer(like)
        if name is not None:
            BitStreamFilterContext(name, like, writer.stream)  # says the file's own header in the same way
        if tag is not None:
            writer.stream.codec_context.codec_tag = tag
    with closing([writer]):
        for number, part in enumerate(parts):
            job.report(number / len(parts))
            with opened(part, demuxer) as (container, stream):
                for packet in _filtered(name, stream, packets(job, container, stream)):
                    writer.add(packet)
    return tag


def _filtered(name: str | None, stream: VideoStream, found: Iterable[Packet[Any]]) -> Iterator[Packet[Any]]:
    if name is None:
        yield from found
        return
    each = BitStreamFilterContext(name, stream)
    for packet in found:
        yield from each.filter(packet)


def _headers(part: str, demuxer: str) -> bytes:
    with opened(part, demuxer) as (_, stream):
        context = stream.codec_context
        return headers(context.codec.canonical_name, context.extradata or b"")
