"""Writes and reads a folder of pictures that follow one another."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from zeus.engine import MediaInfo
from zeus.errors import BadInput, OutputInvalid
from zeus.mediaworker.frames import Pixels, Shape
from zeus.mediaworker.tags import Tags

QUICK = 1
"""How hard zlib tries: at its usual 6 pictures are an eighth smaller and take five times as long."""


def pngs(pictures: Iterable[Pixels], folder: Path, shape: Shape, said: Tags) -> None:
    """Write `frame_0001.png` and so on."""
    words = PngInfo()
    for name, text in vars(said).items():
        if text:
            words.add_itxt(name.capitalize(), text)
    for number, pixels in enumerate(pictures, 1):
        Image.fromarray(pixels).save(folder / f"frame_{number:04}.png", pnginfo=words, compress_level=QUICK)


def measured(folder: Path, read: Callable[[Path], MediaInfo]) -> MediaInfo:
    """What the pictures of a folder are together; `read` decodes one of them.

    Raises BadInput where there is none, OutputInvalid for one of another size than the first, and what `read` does.
    """
    paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    if not paths:
        raise BadInput(f"{folder.name} holds no pictures.")
    size, first = 0, None
    for path in paths:
        info = read(path)
        picture = info.first("video")
        first = first or picture
        if first is None or picture is None or picture.frames != 1:
            raise OutputInvalid(f"{path.name} is no picture.")
        if (picture.width, picture.height) != (first.width, first.height):
            wanted = f"{first.width} × {first.height}, as {paths[0].name} has"
            raise OutputInvalid(
                f"{path.name} has {picture.width} × {picture.height} pixels where {wanted}, were expected."
            )
        size += info.size
    assert first is not None
    return MediaInfo("image2", size, None, (msgspec.structs.replace(first, frames=len(paths)),))
