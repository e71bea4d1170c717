"""Checks that a file is one whole picture, and brings it to the size of a video that begins with it."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from zeus.engine import Computation
from zeus.errors import BadInput
from zeus.mediaworker.pictures import BLACK, FORMATS, opened

MOST_PIXELS = 100_000_000
"""More than cameras make; a file of some kilobytes can claim to be a picture of billions."""
MOVING = ("GIF", "PNG", "WEBP")
"""Formats whose several pictures are shown one after another."""


def still(
    job: Computation, path: str, target: str | None = None, width: int | None = None, height: int | None = None
) -> tuple[int, int]:
    """Decode a picture whole; its width and height, upright.

    With `target` it is written there as PNG in `width` × `height`: as large as covers that, the rest cut off evenly,
    in sRGB, on black where it is transparent. Raises BadInput when it is no single picture that can be decoded.
    """
    _check(Path(path))
    picture = opened(Path(path), ground=BLACK)
    if target is not None and width is not None and height is not None:
        fitting = ImageOps.fit(_srgb(picture), (width, height), Image.Resampling.LANCZOS)
        fitting.save(target, "PNG", compress_level=1)
    return picture.size


def _check(path: Path) -> None:
    """Look at the header alone: what would take too much memory is never decoded."""
    try:
        with Image.open(path, formats=FORMATS) as picture:
            width, height = picture.size
            moves = picture.format in MOVING and getattr(picture, "is_animated", False)
    except UnidentifiedImageError as error:
        raise BadInput(f"{path.name} is no picture that can be read.") from error
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise BadInput(f"{path.name} cannot be decoded: it is damaged, cut off or too large.") from error
    if moves:
        raise BadInput(f"{path.name} is an animation; a single picture is needed.")
    if width * height > MOST_PIXELS:
        raise BadInput(f"{path.name} has {width} × {height} pixels; {MOST_PIXELS // 10**6} million at most are taken.")


def _srgb(picture: Image.Image) -> Image.Image:
    """The picture in the colours that models know; as it is where its profile cannot be understood."""
    profile = picture.info.get("icc_profile")
    if not profile:
        return picture
    try:
        found = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return ImageCms.profileToProfile(picture, found, ImageCms.createProfile("sRGB")) or picture
    except (ImageCms.PyCMSError, OSError):
        return picture
