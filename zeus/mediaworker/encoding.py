"""Encodes raw pictures to an H.264 file, one at a time, from a named pipe or a file."""

from __future__ import annotations

import contextlib
import errno
import os
import select
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import OutputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from av.video.stream import VideoStream

from zeus.engine import Computation
from zeus.errors import BadInput, NoSpace, OutputInvalid
from zeus.mediaworker.reading import probe

BT709 = 1
"""The number of BT.709 among matrices in the file, which differs from swscale's number for the conversion."""
NEAR = 0.001
"""A number of frames a second that is as near to one of television's is meant to be that one."""
WAIT_MS = 200
"""How long to wait for bytes before asking whether the caller still wants the result."""


def encode(
    job: Computation, frames: str, target: str, width: int, height: int, fps: float, count: int, title: str = ""
) -> dict[str, Any]:
    """Encode `count` RGB24 pictures to mp4; the MediaInfo tells what the new file's header says.

    The same pictures give the same bytes. Raises OutputInvalid when fewer arrive, and then leaves no file.
    """
    if width % 2 or height % 2 or width < 2 or height < 2:
        raise BadInput(f"The width and height of a video must be even, not {width} × {height}.")
    with writing(Path(target)):
        _encode(job, Path(frames), Path(target), width, height, rate_of(fps), count, title)
    return probe(job, target)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Remove the file when what is done meanwhile fails. Raises NoSpace, or OutputInvalid for what libav says."""
    try:
        yield
    except BaseException as error:
        path.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise NoSpace from error
        if isinstance(error, av.error.FFmpegError | OSError):
            raise OutputInvalid(f"{path.name} could not be written.") from error
        raise


def rate_of(fps: float) -> Fraction:
    """Frames a second as a fraction; 23.976 and the like are 24000/1001 and the like, as they are meant."""
    exact = Fraction(round(fps) * 1000, 1001)
    return exact if abs(exact - Fraction(fps)) < NEAR else Fraction(fps).limit_denominator(1001)


def _encode(
    job: Computation, frames: Path, target: Path, width: int, height: int, rate: Fraction, count: int, title: str
) -> None:
    size = width * height * 3
    descriptor = os.open(frames, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with opened(target, title) as container:
            stream = h264(container, width, height, rate, crf=18)
            for index in range(count):
                data = _read(job, descriptor, size)
                if len(data) < size:
                    raise OutputInvalid(f"{index} frames arrived where {count} were expected.")
                container.mux(stream.encode(_picture(data, width, height, index, rate)))
            container.mux(stream.encode(None))
    finally:
        os.close(descriptor)


def opened(target: Path, title: str, form: str = "mp4") -> OutputContainer:
    """A new file in one of libav's formats."""
    options = {"movflags": "+faststart"} if form in ("mp4", "mov") else {}
    container = av.open(f"file:{target.absolute()}", "w", format=form, options=options)
    words = title.replace("\0", "").encode("utf-8", "replace").decode()
    if words:
        container.metadata["title"] = words
        container.metadata["comment"] = words
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


def _picture(data: bytearray, width: int, height: int, index: int, rate: Fraction) -> VideoFrame:
    pixels = np.frombuffer(data, np.uint8).reshape(height, width, 3)
    frame = yuv(VideoFrame.from_ndarray(pixels, format="rgb24"))
    frame.pts, frame.time_base = index, 1 / rate
    return frame


def _read(job: Computation, descriptor: int, size: int) -> bytearray:
    """The next `size` bytes, fewer at the end.

    The pipe is open without blocking: a writer that never comes must not keep this from hearing a cancel.
    """
    data = bytearray(size)
    view = memoryview(data)
    filled = 0
    ready = select.poll()
    ready.register(descriptor, select.POLLIN)
    while filled < size:
        job.check()
        if not ready.poll(WAIT_MS):
            continue
        try:
            got = os.readv(descriptor, [view[filled:]])
        except BlockingIOError:
            continue
        if not got:
            break
        filled += got
    view.release()
    del data[filled:]
    return data
