"""Writes H.264, and what else is written by libav's muxers, so that every player takes it and its colours are right."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
from av.container import OutputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from av.video.stream import VideoStream

from zeus.mediaworker.frames import Pixels, Shape
from zeus.mediaworker.tags import Tags

BT709 = 1
"""The number of BT.709 among matrices in the file, which differs from swscale's number for the conversion."""


def mp4(pictures: Iterable[Pixels], target: Path, shape: Shape, said: Tags, crf: int) -> None:
    """Write pictures with even sides, one at a time."""
    with opened(target, said) as container:
        stream = h264(container, shape.width, shape.height, shape.rate, crf)
        for index, pixels in enumerate(pictures):
            frame = yuv(VideoFrame.from_ndarray(pixels, format="rgb24"))
            frame.pts, frame.time_base = index, 1 / shape.rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def opened(target: Path, said: Tags, form: str = "mp4") -> OutputContainer:
    """A new file in one of libav's formats."""
    options = {"movflags": "+faststart"} if form in ("mp4", "mov") else {}
    container = av.open(f"file:{target.absolute()}", "w", format=form, options=options)
    container.metadata.update({key: text for key, text in vars(said).items() if text})
    return container


def h264(container: OutputContainer, width: int, height: int, rate: Fraction, crf: int) -> VideoStream:
    # With mbtree the same pictures gave other bytes now and then at some sizes, such as 320 by 180.
    stream = container.add_stream("libx264", rate=rate, options={"crf": str(crf), "preset": "fast", "mbtree": "0"})
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    context = stream.codec_context
    context.time_base = 1 / rate
    context.thread_count = 4  # x264's bytes depend on it, and must not depend on the machine
    say_colours(context)
    return stream


def say_colours(context: VideoCodecContext) -> None:
    """Write into the file what `yuv` made, or players would guess by the size."""
    context.color_range = ColorRange.MPEG
    context.colorspace = BT709
    context.color_primaries = ColorPrimaries.BT709
    context.color_trc = ColorTrc.BT709


def yuv(frame: VideoFrame) -> VideoFrame:
    """RGB as BT.709 in the form that every player takes."""
    return frame.reformat(
        format="yuv420p",
        src_color_range=ColorRange.JPEG,
        dst_color_range=ColorRange.MPEG,
        dst_colorspace=Colorspace.ITU709,
    )
