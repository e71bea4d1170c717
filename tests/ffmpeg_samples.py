"""Makes small real media files with PyAV: a moving picture with a tone, pictures, sounds."""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image


def picture(index: int, width: int = 64, height: int = 36) -> np.ndarray:
    """A picture that differs from frame to frame: RGB, height × width × 3."""
    rows, columns = np.mgrid[0:height, 0:width]
    channels = [rows * 5 + index * 9, columns * 3 + index * 7, (rows + columns) * 2 + index * 11]
    return np.stack(channels, axis=-1).astype(np.uint8)


def movie(
    path: Path, *, frames: int = 10, fps: int = 10, size: tuple[int, int] = (64, 36), sound: bool = True,
    codec: str = "libx264", pixel_format: str = "yuv420p", options: dict[str, str] | None = None, late: int = 0,
) -> Path:  # fmt: skip
    """A movie of so many frames, by default one second long, with a tone of the same length that begins `late` frames
    before it.
    """
    with av.open(str(path), "w", options=options or {}) as container:
        video = container.add_stream(codec, rate=fps)
        video.width, video.height, video.pix_fmt = *size, pixel_format
        audio = container.add_stream("libopus" if path.suffix == ".webm" else "aac", rate=48000) if sound else None
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(index, *size), format="rgb24")
            frame.pts = index + late
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio is not None:
            _tone(container, audio, frames / fps)
    return path


def sound(path: Path, *, seconds: float = 1.0, codec: str = "pcm_s16le") -> Path:
    """A tone in a file of its own."""
    with av.open(str(path), "w") as container:
        _tone(container, container.add_stream(codec, rate=48000), seconds)
    return path


def pictures(
    folder: Path, numbers: Iterable[int], name: str = "shot_{:04d}.png", size: tuple[int, int] = (64, 36)
) -> None:
    """Numbered pictures."""
    for number in numbers:
        Image.fromarray(picture(number, *size)).save(folder / name.format(number))


def _tone(container: av.container.OutputContainer, stream: av.AudioStream, seconds: float) -> None:
    total, step = int(48000 * seconds), 960
    for start in range(0, total, step):
        count = min(step, total - start)
        wave = [int(9000 * math.sin(2 * math.pi * 440 * (start + i) / 48000)) for i in range(count)]
        frame = av.AudioFrame.from_ndarray(np.array([wave, wave], dtype=np.int16).T.reshape(1, -1), "s16", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
