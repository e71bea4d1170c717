"""Looks at a job's input, which may be a movie, a sound, a picture or a sequence of pictures, and settles the work."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from zeus.engine import Facts, MediaInfo, Span, Stream, Tools
from zeus.errors import BadInput

from .arguments import FFmpegArgs
from .command import PICTURES_A_SECOND, Source, frames, movie, still
from .expectation import Expectation, check_span, of_frames, of_movie
from .filters import Selection
from .sequences import Sequence, find_sequence, settle_span

RGB = ("rgb", "bgr", "gbr", "argb", "abgr", "0rgb", "0bgr", "pal8", "gray", "mono", "ya")
STEM = 200
"""Bytes of a name that are kept, so that a number and an ending still fit."""


class Work(msgspec.Struct, frozen=True):
    """What is to be done with an input. `fps`: of the output, where known."""

    source: Source
    stem: str
    expected: Expectation
    fps: float | None = None
    selection: Selection | None = None
    first_number: int | None = None

    @property
    def total(self) -> int | None:
        """Frames for the progress."""
        if self.expected.frames is not None:
            return self.expected.frames
        return round(self.expected.seconds * self.fps) if self.expected.seconds and self.fps else None


async def examine(tools: Tools, path: Path, args: FFmpegArgs, span: Span | None) -> Work:
    """Raises BadInput when the input is none, or does not hold what the job asks for."""
    sequence = await asyncio.to_thread(find_sequence, path)
    if sequence is not None:
        return await _sequence(tools, sequence, args, span)
    info = await tools.probe(path)
    if info.container.endswith("_pipe"):
        return _still(path, info, args, span)
    return _movie(path, info, args, span)


async def facts(tools: Tools, path: Path) -> Facts:
    """What the page shows of an input before a job is made of it."""
    sequence = await asyncio.to_thread(find_sequence, path)
    if sequence is not None:
        span = await asyncio.to_thread(settle_span, sequence, None)
        first = (await tools.probe(sequence.frame(span.start))).first("video")
        return _facts(first, span, None)
    info = await tools.probe(path)
    video = info.first("video")
    span_known = Span(1, video.frames) if video and video.frames and video.fps else None
    return _facts(video, span_known, info.duration)


def _facts(video: Stream | None, span: Span | None, duration: float | None) -> Facts:
    if video is None:
        return Facts(span=span, duration=duration)
    return Facts(span=span, fps=video.fps, width=video.width, height=video.height, duration=duration)


async def _sequence(tools: Tools, sequence: Sequence, args: FFmpegArgs, span: Span | None) -> Work:
    _pictures_only(f"{sequence.before}{'#' * sequence.digits}{sequence.after}", args)
    if args.start is not None or args.duration is not None:
        raise BadInput("start and duration are for movies: choose from a sequence by start_frame and end_frame.")
    span = await asyncio.to_thread(settle_span, sequence, span)
    await tools.probe(sequence.frame(span.start))
    fps = args.fps or PICTURES_A_SECOND
    return Work(
        source=frames(sequence, span.start, args),
        stem=_safe(sequence.stem),
        expected=of_frames(span.count, fps, args, sound=False, retimed=False),
        fps=fps,
        selection=Selection(1, span.count, fps),
        first_number=span.start if args.formats.image else None,
    )


def _still(path: Path, info: MediaInfo, args: FFmpegArgs, span: Span | None) -> Work:
    _pictures_only(path.name, args)
    if span is not None and span != Span(1, 1):
        raise BadInput(f"{path.name} is one picture: it has no frames {span.start} to {span.end}.")
    if args.start is not None or (args.duration is not None and args.formats.image):
        raise BadInput(f"{path.name} is one picture: it can only be shown for a duration, in a movie.")
    expected = Expectation(seconds=args.duration) if args.duration is not None else Expectation(frames=1)
    source = still(path, info.container, args)
    return Work(source, _safe(path.stem), expected, args.fps or PICTURES_A_SECOND)


def _movie(path: Path, info: MediaInfo, args: FFmpegArgs, span: Span | None) -> Work:
    formats, video = args.formats, info.first("video")
    if formats.video == "none" and info.first("audio") is None:
        raise BadInput(f"{path.name} has no sound, and video_codec is none.")
    if formats.video != "none" and video is None:
        raise BadInput(f"{path.name} has no video: set video_codec to none to convert its sound.")
    rgb = video is not None and (video.pixel_format or "").startswith(RGB)
    source = movie(path, info.container.partition(",")[0], args, rgb=rgb)
    fps = None if formats.video == "none" or video is None else args.fps or video.fps
    selection = _select(path.name, video, span)
    expected = of_movie(path.name, info, args)
    if selection is not None and span is not None:
        retimed = args.fps is not None
        expected = of_frames(span.count, selection.fps, args, sound=expected.sound, retimed=retimed)
    number = (span.start if span else 1) if formats.image else None
    return Work(source, _safe(path.stem), expected, fps, selection, number)


def _select(name: str, video: Stream | None, span: Span | None) -> Selection | None:
    if span is None or video is None:
        return None
    check_span(name, span, video.frames)
    if span == Span(1, video.frames or 0):
        return None
    if not video.fps:
        raise BadInput(f"{name} has no frame rate: choose from it by start and duration.")
    return Selection(span.start, span.end, video.fps)


def _pictures_only(name: str, args: FFmpegArgs) -> None:
    if args.formats.video in ("copy", "none"):
        raise BadInput(f"video_codec {args.formats.video} cannot be used on {name}: pictures have to be encoded.")


def _safe(stem: str) -> str:
    """A name that is listed as an output (so without a leading dot) and leaves room for a number."""
    short = stem.encode("utf-8", "replace")[:STEM].decode("utf-8", "ignore")
    return short.lstrip(". ") or "output"
