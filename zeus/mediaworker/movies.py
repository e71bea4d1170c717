"""Makes a movie of picture files, one at a time: of any number of them, and in the memory of a few."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image

from zeus.engine import Computation
from zeus.errors import BadInput, OutputInvalid
from zeus.mediaworker.encoding import writing
from zeus.mediaworker.frames import rate_of
from zeus.mediaworker.h264 import h264, opened, say_colours, yuv
from zeus.mediaworker.pictures import BLACK
from zeus.mediaworker.pictures import opened as opened_picture
from zeus.mediaworker.reading import verify
from zeus.mediaworker.tags import Tags, tags

FORMATS = {".mp4": "mp4", ".mov": "mov", ".webm": "webm"}
H264 = {"high": 18, "medium": 23, "low": 28}
VP9 = {"high": 24, "medium": 32, "low": 40}
"""The constant rate factor for each quality; the encoders' scales differ."""
ENCODED = 0.9
"""The part of the work that encoding is; the rest is decoding what was made."""
FASTEST = 1000.0


def movie(
    job: Computation, pictures: Sequence[str], target: str, fps: float, quality: str = "high", title: str = ""
) -> dict[str, Any]:
    """Encode pictures of one size in their order; reports fractions, and gives what `verify` says of the new file.

    Raises OutputInvalid, which names the picture, when one cannot be used, and BadInput for what cannot be asked for;
    both leave no file.
    """
    path = Path(target)
    _check(path, pictures, fps, quality)
    with writing(path):
        _encode(job, pictures, path, rate_of(fps), quality, title)
        found = verify(job, target, frames=len(pictures))
        _check_rate(path.name, found["streams"][0]["fps"], rate_of(fps))
    job.report(1.0)
    return found


def _check(path: Path, pictures: Sequence[str], fps: float, quality: str) -> None:
    if path.suffix.lower() not in FORMATS:
        raise BadInput(f"A movie's name must end in {', '.join(FORMATS)}, not {path.suffix or 'nothing'}.")
    if not pictures:
        raise BadInput("A movie needs one picture at least.")
    if quality not in H264:
        raise BadInput(f"quality must be one of {', '.join(H264)}, not {quality}.")
    if not 0 < fps <= FASTEST:
        raise BadInput(f"fps must be above 0 and at most {FASTEST:g}, not {fps:g}.")


def _encode(job: Computation, pictures: Sequence[str], target: Path, rate: Fraction, quality: str, title: str) -> None:
    shown = _alike(job, list(map(Path, pictures)))
    first = next(shown)
    form = FORMATS[target.suffix.lower()]
    words = tags(title, {}).title
    with opened(target, Tags(words, words), form) as container:
        stream = (_vp9 if form == "webm" else _h264)(container, first.size, rate, quality)
        for index, picture in enumerate(itertools.chain([first], shown)):
            _mux(job, container, stream, _frame(picture, index, rate))
            job.report(ENCODED * (index + 1) / len(pictures))
        _mux(job, container, stream, None)


def _alike(job: Computation, paths: Sequence[Path]) -> Iterator[Image.Image]:
    """The pictures, while they are as large as the first."""
    size = None
    for path in paths:
        job.check()
        picture = _picture(path)
        size = size or picture.size
        if picture.size != size:
            sizes = f"{picture.width} × {picture.height} pixels where {paths[0].name} has {size[0]} × {size[1]}"
            raise OutputInvalid(f"{path.name} has {sizes}.")
        yield picture


def _picture(path: Path) -> Image.Image:
    try:
        return opened_picture(path, ground=BLACK)
    except BadInput as error:
        raise OutputInvalid(error.message) from error


def _frame(picture: Image.Image, index: int, rate: Fraction) -> VideoFrame:
    """The picture with even sides, as yuv420p needs them."""
    pixels = np.pad(np.asarray(picture), ((0, picture.height % 2), (0, picture.width % 2), (0, 0)), "edge")
    frame = yuv(VideoFrame.from_ndarray(pixels, format="rgb24"))
    frame.pts, frame.duration, frame.time_base = index, 1, 1 / rate
    return frame


def _mux(job: Computation, container: OutputContainer, stream: VideoStream, frame: VideoFrame | None) -> None:
    """Encode a frame, or with None those that the encoder still holds, which may take it long."""
    for packet in stream.codec_context.encode_lazy(frame):
        job.check()
        packet.stream = stream
        container.mux(packet)


def _h264(container: OutputContainer, size: tuple[int, int], rate: Fraction, quality: str) -> VideoStream:
    return h264(container, *_even(size), rate, H264[quality])


def _vp9(container: OutputContainer, size: tuple[int, int], rate: Fraction, quality: str) -> VideoStream:
    options = {"crf": str(VP9[quality]), "b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1"}
    stream = container.add_stream("libvpx-vp9", rate=rate, options=options)
    (stream.width, stream.height), stream.pix_fmt = _even(size), "yuv420p"
    stream.codec_context.time_base = 1 / rate
    stream.codec_context.thread_count = 4
    say_colours(stream.codec_context)
    return stream


def _even(size: tuple[int, int]) -> tuple[int, int]:
    return size[0] + size[0] % 2, size[1] + size[1] % 2


def _check_rate(name: str, real: float | None, rate: Fraction) -> None:
    if real is None or abs(real / rate - 1) > 1e-4:
        raise OutputInvalid(f"{name} has {real} frames a second where {float(rate):g} were asked for.")
