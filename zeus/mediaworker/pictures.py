"""Makes small pictures of large ones: of photographs, renderings in linear light, and moments of movies."""

from __future__ import annotations

import contextlib
import re
import warnings
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, Interpolation
from PIL import Image, ImageOps, UnidentifiedImageError

from zeus.engine import Computation
from zeus.errors import BadInput
from zeus.mediaworker import exr
from zeus.mediaworker.opening import is_still, open_media

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "TGA", "PPM", "JPEG2000", "DDS", "PCX", "SGI")
"""What Pillow may read: nothing that starts another program, as EPS does."""
MOST_PIXELS = 400_000_000
"""A picture of more would not fit the worker's memory."""
MOMENT = 0.1
"""The part of a movie after which its picture is taken: the first is often black."""
BLACK, GREY = 0, 128
"""What transparent pictures stand on: in a preview grey, on which both black and white can be seen."""
BAND = 64
"""Lines that are brought from light to sRGB at a time: this takes many times their memory."""
UNSPECIFIED = 2
HD = 720
"""Lines from which a movie that does not say so is taken to be BT.709."""


def thumbnail(job: Computation, path: str, target: str, box: int) -> dict[str, Any]:
    """Write a JPEG that fits `box` × `box` pixels, never enlarged; its width and height.

    Raises BadInput when the file is no picture or movie that can be decoded.
    """
    picture = opened(Path(path), box)
    picture.thumbnail((box, box), Image.Resampling.LANCZOS)
    picture.save(target, "JPEG", quality=85, icc_profile=picture.info.get("icc_profile"))
    return {"width": picture.width, "height": picture.height}


def fitted(width: int, height: int, box: int) -> tuple[int, int]:
    """A size of the same shape that fits into a square, and is no larger than it was."""
    scale = min(1.0, box / width, box / height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def rgb24(frame: VideoFrame, width: int, height: int) -> VideoFrame:
    """A frame in another size as RGB, its colours understood as its file says or else as is usual."""
    matrix = int(frame.colorspace)
    if matrix == UNSPECIFIED or frame.format.is_rgb:
        matrix = int(Colorspace.ITU709 if frame.height >= HD else Colorspace.ITU601)
    return frame.reformat(
        width, height, "rgb24", src_colorspace=matrix, dst_colorspace=matrix, interpolation=Interpolation.AREA
    )


def opened(path: Path, box: int | None = None, ground: int = GREY) -> Image.Image:
    """The picture upright in RGB, on a grey from 0 to 255 where it is transparent.

    With a box, large ones may be smaller already, but not below it. Raises BadInput for what does not decode.
    """
    Image.MAX_IMAGE_PIXELS = MOST_PIXELS
    with contextlib.suppress(UnidentifiedImageError), warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(path, formats=FORMATS) as picture:
                if box is not None:
                    picture.draft("RGB", (box, box))
                return _flat(ImageOps.exif_transpose(picture), ground)
        except UnidentifiedImageError:
            raise
        except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError, Warning) as error:
            raise BadInput(f"{path.name} cannot be decoded: it is damaged, cut off or too large.") from error
    return _rendered(path, box, ground) if exr.is_exr(path) else _moment(path, box, ground)


def _flat(picture: Image.Image, ground: int) -> Image.Image:
    """Eight bits of red, green and blue."""
    profile = picture.info.get("icc_profile") if picture.mode == "RGB" else None
    if picture.mode.startswith("I"):  # 16 bits of grey, which Pillow would cut off instead of scaling them
        flat = Image.fromarray((np.asarray(picture).clip(0, 65535) // 257).astype(np.uint8)).convert("RGB")
    elif picture.mode == "F":
        flat = _linear(np.asarray(picture)[..., None], ground)
    elif picture.has_transparency_data:
        above = picture.convert("RGBA")
        flat = Image.new("RGB", picture.size, (ground, ground, ground))
        flat.paste(above, mask=above.getchannel("A"))
    else:
        flat = picture.convert("RGB")
    flat.info = {"icc_profile": profile}
    return flat


def _rendered(path: Path, box: int | None, ground: int) -> Image.Image:
    """The picture of an EXR file."""
    values, ratio = exr.picture(path)
    shown = _linear(values if box is None else _shrunk(values, 2 * box), ground)
    return shown if ratio == 1 else shown.resize((max(1, round(shown.width * ratio)), shown.height))


def _moment(path: Path, box: int | None, ground: int) -> Image.Image:
    """A picture out of a movie, or a still that only libav can read."""
    with open_media(path) as container:
        if not container.streams.video:
            raise BadInput(f"{path.name} holds no picture.")
        try:
            ratio, frame = frame_ratio(container), _frame(container)
        except (av.error.FFmpegError, OSError) as error:
            raise BadInput(f"{path.name} cannot be decoded.") from error
    if frame is None:
        raise BadInput(f"{path.name} holds no picture that can be decoded.")
    if re.search(r"f(16|32)[bl]e$", frame.format.name):
        values = _floats(frame)
        return _linear(values if box is None else _shrunk(values, 2 * box), ground)
    width, height = max(1, round(frame.width * ratio)), frame.height
    if box is not None:
        width, height = fitted(width, height, box)
    picture = Image.fromarray(rgb24(frame, width, height).to_ndarray())
    return picture.rotate(frame.rotation, expand=True) if frame.rotation else picture


def frame_ratio(container: InputContainer) -> float:
    """How much wider a pixel of the first video stream is than high."""
    ratio = container.streams.video[0].sample_aspect_ratio
    return float(ratio) if ratio and 0.1 < ratio < 10 else 1.0


def _frame(container: InputContainer) -> VideoFrame | None:
    """The frame at the moment, or the first one where nothing can be found there."""
    stream = container.streams.video[0]
    stream.thread_type = "AUTO"
    if not is_still(container) and container.duration:
        with contextlib.suppress(av.error.FFmpegError):
            container.seek(int(container.duration * MOMENT))
            for frame in container.decode(stream):
                return frame
        with contextlib.suppress(av.error.FFmpegError):
            container.seek(0)
    return next(container.decode(stream), None)


def _floats(frame: VideoFrame) -> np.ndarray[Any, Any]:
    name = frame.format.name
    wanted = "grayf32le" if name.startswith("gray") else "gbrapf32le" if name.startswith("gbrap") else "gbrpf32le"
    values = frame.to_ndarray() if name == wanted else frame.reformat(format=wanted).to_ndarray()
    return values if values.ndim == 3 else values[..., None]


def _shrunk(values: np.ndarray[Any, Any], least: int) -> np.ndarray[Any, Any]:
    """A large picture made smaller by whole means of light, before it takes up more memory."""
    height, width, depth = values.shape
    step = max(1, max(height, width) // least)
    if step == 1 or step > min(height, width):
        return values
    cut = values[: height // step * step, : width // step * step]
    means: np.ndarray[Any, Any] = cut.reshape(height // step, step, width // step, step, depth).mean((1, 3))
    return means


def _linear(values: np.ndarray[Any, Any], ground: int) -> Image.Image:
    """Linear light as sRGB, what is brighter than white as white; alpha is premultiplied."""
    pixels = np.empty((*values.shape[:2], 3), np.uint8)
    for top in range(0, len(values), BAND):
        pixels[top : top + BAND] = _shown(values[top : top + BAND], ground)
    return Image.fromarray(pixels)


def _shown(values: np.ndarray[Any, Any], ground: int) -> np.ndarray[Any, Any]:
    values = np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=1.0, neginf=0.0)
    if values.shape[2] == 4:
        values = values[..., :3] + (1 - values[..., 3:].clip(0, 1)) * np.float32(_light(ground / 255))
    light = values.clip(0, 1)
    shown = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    pixels: np.ndarray[Any, Any] = (shown * 255 + 0.5).astype(np.uint8)
    return pixels


def _light(shown: float) -> float:
    return shown / 12.92 if shown <= 0.04045 else ((shown + 0.055) / 1.055) ** 2.4
