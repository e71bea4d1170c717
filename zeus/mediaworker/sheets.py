"""Makes a contact sheet: several pictures side by side, line by line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from zeus.engine import Computation
from zeus.errors import BadInput
from zeus.mediaworker.pictures import opened

GAP = 2
"""Pixels between two pictures."""
DARK = (32, 32, 32)


def sheet(job: Computation, paths: Sequence[str], target: str, box: int) -> dict[str, Any]:
    """Write a JPEG of all pictures that fits `box` × `box` pixels; its width and height.

    No picture is enlarged, and the place of one that does not decode stays empty. Raises BadInput when none does.
    """
    columns = math.ceil(math.sqrt(len(paths)))
    rows = math.ceil(len(paths) / columns)
    room = ((box + GAP) // columns - GAP, (box + GAP) // rows - GAP)
    pictures = [_small(job, Path(path), room) for path in paths]
    width = max((picture.width for picture in pictures if picture), default=0)
    height = max((picture.height for picture in pictures if picture), default=0)
    if not width:
        raise BadInput("None of its pictures can be decoded.")
    made = Image.new("RGB", (columns * (width + GAP) - GAP, rows * (height + GAP) - GAP), DARK)
    for index, picture in enumerate(pictures):
        if picture is not None:
            left, top = index % columns * (width + GAP), index // columns * (height + GAP)
            made.paste(picture, (left + (width - picture.width) // 2, top + (height - picture.height) // 2))
    made.save(target, "JPEG", quality=85)
    return {"width": made.width, "height": made.height}


def _small(job: Computation, path: Path, room: tuple[int, int]) -> Image.Image | None:
    job.check()
    try:
        picture = opened(path, max(room))
    except BadInput:
        return None
    picture.thumbnail(room, Image.Resampling.LANCZOS)
    return picture
