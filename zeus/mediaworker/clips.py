"""Makes a short, small and silent clip of a movie, for looking at in a page."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer, OutputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image

from zeus.engine import Computation
from zeus.errors import BadInput
from zeus.mediaworker.h264 import say_colours, yuv
from zeus.mediaworker.opening import open_media
from zeus.mediaworker.pictures import fitted, frame_ratio, rgb24

SECONDS = 10.0
"""A clip is as long at most."""
RATE = 30
"""Frames a second at most."""


def clip(job: Computation, path: str, target: str, box: int) -> dict[str, Any]:
    """Write the beginning of a movie as H.264 in mp4 that fits `box` × `box` pixels; its size and frames.

    Raises BadInput when the file is no movie that can be decoded.
    """
    file = Path(path)
    with open_media(file) as container:
        if not container.streams.video:
            raise BadInput(f"{file.name} holds no picture.")
        try:
            return _copied(job, container, target, box)
        except (av.error.FFmpegError, OSError) as error:
            raise BadInput(f"{file.name} cannot be decoded.") from error


def _copied(job: Computation, source: InputContainer, target: str, box: int) -> dict[str, Any]:
    stream = source.streams.video[0]
    stream.thread_type = "AUTO"
    rate = min(Fraction(stream.average_rate or stream.guessed_rate or RATE), Fraction(RATE)).limit_denominator(1001)
    made: VideoStream | None = None
    shown = 0
    with av.open(target, "w", format="mp4", options={"movflags": "+faststart"}) as container:
        for frame in source.decode(stream):
            job.check()
            at = shown / rate if frame.time is None else frame.time - float(stream.start_time or 0) * _base(stream)
            if at >= SECONDS:
                break
            if at * rate < shown - 0.5:
                continue  # there are more frames than are shown
            picture = _picture(frame, frame_ratio(source), box)
            made = made or _stream(container, picture, rate)
            shown = max(shown, round(at * rate))
            _encode(container, made, picture, shown, rate)
            shown += 1
        if made is None:
            raise BadInput("It holds no picture that can be decoded.")
        container.mux(made.encode(None))
    return {"width": made.width, "height": made.height, "frames": shown}


def _base(stream: VideoStream) -> float:
    return float(stream.time_base or 0)


def _picture(frame: VideoFrame, ratio: float, box: int) -> VideoFrame:
    """The frame in the clip's size, upright, with even sides."""
    width, height = fitted(max(1, round(frame.width * ratio)), frame.height, box)
    small = rgb24(frame, max(2, width // 2 * 2), max(2, height // 2 * 2))
    if not frame.rotation:
        return small
    turned = Image.fromarray(small.to_ndarray()).rotate(frame.rotation, expand=True)
    return VideoFrame.from_ndarray(np.asarray(turned), format="rgb24")


def _stream(container: OutputContainer, picture: VideoFrame, rate: Fraction) -> VideoStream:
    stream = container.add_stream("libx264", rate=rate, options={"crf": "26", "preset": "veryfast"})
    stream.width, stream.height, stream.pix_fmt = picture.width, picture.height, "yuv420p"
    stream.codec_context.time_base = 1 / rate
    say_colours(stream.codec_context)
    return stream


def _encode(container: OutputContainer, stream: VideoStream, picture: VideoFrame, number: int, rate: Fraction) -> None:
    frame = yuv(picture)
    frame.pts, frame.time_base = number, 1 / rate
    container.mux(stream.encode(frame))
