"""Writes animated GIFs, a picture at a time: each with a palette of its own, dithered."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

from PIL import GifImagePlugin, Image

from zeus.mediaworker.frames import Pixels, Shape
from zeus.mediaworker.tags import Tags

MOST = 0xFFFF
"""Pixels a side."""
SHORTEST = 2
"""Hundredths of a second. Browsers show pictures of less for ten of them."""
FOREVER = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00"
COLOUR_BITS = 0x70
"""Eight bits a colour, and no palette that all pictures share."""


def gif(pictures: Iterable[Pixels], target: Path, shape: Shape, said: Tags) -> None:
    """Write an animation that begins anew at its end."""
    with target.open("wb") as file:
        file.write(b"GIF89a" + struct.pack("<HHBBB", shape.width, shape.height, COLOUR_BITS, 0, 0) + FOREVER)
        file.write(_comment(said.comment or said.title))
        for pixels, hundredths in zip(pictures, _times(shape), strict=True):
            file.writelines(_picture(pixels, hundredths))
        file.write(b";")


def _times(shape: Shape) -> Iterator[int]:
    for hundredths in shape.times(100):
        yield max(SHORTEST, hundredths)


def _picture(pixels: Pixels, hundredths: int) -> list[bytes]:
    picture = Image.fromarray(pixels)
    # Octrees lose to other ways of choosing a palette only where nothing is dithered, and take a tenth of their time.
    palette = picture.quantize(256, Image.Quantize.FASTOCTREE)
    dithered = picture.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
    return GifImagePlugin.getdata(dithered, duration=hundredths * 10, include_color_table=True, interlace=0)


def _comment(text: str) -> bytes:
    if not text:
        return b""
    data = text.encode()
    blocks = (data[start : start + 255] for start in range(0, len(data), 255))
    return b"\x21\xfe" + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0"
