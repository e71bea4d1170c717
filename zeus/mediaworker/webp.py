"""Writes and reads animated WebP, a picture at a time: libav cannot read it, and libwebp's own ways hold all of it."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from zeus.engine import Computation, MediaInfo, Stream
from zeus.errors import BadInput, OutputInvalid
from zeus.mediaworker.frames import Pixels, Shape
from zeus.mediaworker.tags import Tags, xmp

MOST = 16383
"""Pixels a side."""
QUALITY = 85
ANIMATED, HAS_XMP, HAS_ALPHA = 0x02, 0x04, 0x10
OPAQUE = 0x02
"""A picture that takes the place of the one before, without looking through."""
HEAD = struct.Struct("<4sI")
"""A chunk's name and how many bytes it has, without the one that makes them even."""
FRAME = 16
"""Bytes that a picture's chunk begins with: where it stands, its size, milliseconds, how it is shown."""


def webp(pictures: Iterable[Pixels], target: Path, shape: Shape, said: Tags) -> None:
    """Write an animation that begins anew at its end."""
    words = xmp(said) if said.title or said.comment else b""
    flags = ANIMATED | (HAS_XMP if words else 0)
    with target.open("wb") as file:
        file.write(HEAD.pack(b"RIFF", 0) + b"WEBP")
        _put(file, b"VP8X", struct.pack("<I", flags) + _sizes(shape.width, shape.height))
        _put(file, b"ANIM", bytes(6))
        for pixels, milliseconds in zip(pictures, shape.times(1000), strict=True):
            place = bytes(6) + _sizes(shape.width, shape.height)
            _put(file, b"ANMF", place + struct.pack("<I", milliseconds | OPAQUE << 24) + _still(pixels))
        if words:
            _put(file, b"XMP ", words)
        _close(file, target)


def is_animation(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(21)
    except OSError:
        return False
    return head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and len(head) == 21 and bool(head[20] & ANIMATED)


def measured(job: Computation, path: Path) -> MediaInfo:
    """What the animation is, once each of its pictures was decoded. Raises BadInput when one was not."""
    width, height, count, milliseconds = 0, 0, 0, 0
    try:
        for name, data in _chunks(path):
            job.check()
            if name == b"VP8X":
                width, height = _size(data[4:10])
            elif name == b"ANMF":
                _check(data, width, height)
                count, milliseconds = count + 1, milliseconds + _number(data[12:15])
    except (OSError, ValueError, SyntaxError, struct.error, Image.DecompressionBombError) as error:
        raise BadInput(f"{path.name} cannot be decoded past picture {count}: it is damaged or cut off.") from error
    seconds = milliseconds / 1000 or None
    stream = Stream("video", "webp", width, height, count / seconds if seconds else None, count, seconds)
    return MediaInfo("webp", path.stat().st_size, seconds, (stream,))


def _still(pixels: Pixels) -> bytes:
    """The chunks of a picture, as they stand in a file of it alone."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", quality=QUALITY, method=4)
    return file.getvalue()[12:]


def _put(file: BinaryIO, name: bytes, data: bytes) -> None:
    file.write(HEAD.pack(name, len(data)) + data + bytes(len(data) % 2))


def _close(file: BinaryIO, target: Path) -> None:
    size = file.tell() - HEAD.size
    if size >= 1 << 32:
        raise OutputInvalid(f"{target.name} would be larger than the 4 GiB that a WebP can be.")
    file.seek(0)
    file.write(HEAD.pack(b"RIFF", size))


def _chunks(path: Path) -> Iterator[tuple[bytes, bytes]]:
    """All chunks of a file. Raises ValueError where it is cut off."""
    with path.open("rb") as file:
        end = HEAD.unpack(file.read(HEAD.size))[1] + HEAD.size
        if end > path.stat().st_size:
            raise ValueError("cut off")
        file.seek(12)
        while file.tell() < end:
            name, size = HEAD.unpack(file.read(HEAD.size))
            if file.tell() + size > end:
                raise ValueError("a chunk that is larger than the file")
            yield name, file.read(size)
            file.seek(size % 2, io.SEEK_CUR)


def _check(data: bytes, width: int, height: int) -> None:
    """Decode one picture. Raises ValueError, or what Pillow raises, where it is not what it says."""
    size, chunks = _size(data[6:12]), data[FRAME:]
    if chunks[:4] == b"ALPH":
        chunks = HEAD.pack(b"VP8X", 10) + struct.pack("<I", HAS_ALPHA) + data[6:12] + chunks
    file = io.BytesIO(HEAD.pack(b"RIFF", 4 + len(chunks)) + b"WEBP" + chunks)
    with Image.open(file, formats=("WEBP",)) as picture:
        picture.load()
        real = picture.size
    left, top = 2 * _number(data[0:3]), 2 * _number(data[3:6])
    if real != size or left + size[0] > width or top + size[1] > height:
        raise ValueError("a picture of another size than is said")


def _sizes(width: int, height: int) -> bytes:
    return (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")


def _size(data: bytes) -> tuple[int, int]:
    return _number(data[:3]) + 1, _number(data[3:6]) + 1


def _number(data: bytes) -> int:
    return int.from_bytes(data, "little")
