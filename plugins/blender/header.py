"""Reads the first bytes of a file: whether it is a .blend, and which Blender wrote it. Needs no Blender."""

from __future__ import annotations

import re
import zlib
from pathlib import Path

from zeus.errors import BadInput

GZIP = b"\x1f\x8b"
"""How Blender compressed before 3.0."""
ZSTANDARD = (b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18")
"""How it does since: a frame, or first a skippable one."""
OLD = re.compile(rb"BLENDER[_-][vV](\d)(\d\d)")
"""Twelve bytes: pointer size, byte order, version."""
NEW = re.compile(rb"BLENDER(?:\d\d)-\d\dv(\d\d)(\d\d)")
"""Since 5.0: the header's size, pointer size, the format's version, byte order, Blender's version."""
HEAD = 512

Release = tuple[int, int]
"""Such as (3, 4) for all 3.4."""


def read_version(path: Path) -> Release | None:
    """The Blender that wrote the file; None where only Blender can unpack it. Blocks. Raises BadInput."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        raise BadInput(f"{path.name} is not there, or cannot be read.", code="not_a_blend") from error
    return parse_version(head, path.name)


def parse_version(head: bytes, name: str) -> Release | None:
    """Of the first bytes of a file; see `read_version`."""
    if head.startswith(ZSTANDARD) or head[1:4] == ZSTANDARD[1][1:]:
        return None
    if head.startswith(GZIP):
        head = _unzipped(head)
    match = OLD.match(head) or NEW.match(head)
    if match is None:
        raise BadInput(f"{name} is {'empty' if not head else 'no .blend file'}.", code="not_a_blend")
    return int(match[1]), int(match[2])


def _unzipped(head: bytes) -> bytes:
    try:
        return zlib.decompressobj(wbits=31).decompress(head, 64)
    except zlib.error:
        return b""
