"""The directory of a zip: where it lies and what it says of each member, read without believing any of it."""

from __future__ import annotations

import os
import struct
import zlib

import msgspec

from zeus.unpack.rules import Meter, damaged, hostile

END = struct.Struct("<4s4H2LH")
END_64 = struct.Struct("<4sQ2H2L4Q")
LOCATOR = struct.Struct("<4sLQL")
HEADER = struct.Struct("<4s6H3L5H2L")
LONGEST_COMMENT = 0xFFFF
ZIP64, UNICODE_PATH = 0x0001, 0x7075
"""Extra fields: sizes of 64 bits, and the name in UTF-8 with the other name's checksum."""
DISORDER = "it has no directory in the place where a zip has it"


class Member(msgspec.Struct, frozen=True):
    """One entry as the directory describes it: sizes in bytes, `start` of its local header, the Unix `mode` or 0."""

    name: str
    raw: bytes
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    start: int
    mode: int


class Span(msgspec.Struct, frozen=True):
    """Where the directory's `count` entries lie."""

    start: int
    end: int
    count: int


def read_directory(file: int, meter: Meter) -> tuple[Span, list[Member]]:
    """Where the directory lies, and its members by their place in the file. Raises BadInput."""
    span = _span(file, os.fstat(file).st_size)
    meter.count(span.count)
    at, members = span.start, []
    for _ in range(span.count):
        member, at = _member(file, at, span.end)
        members.append(member)
    if at != span.end:
        raise hostile("its directory holds more than it says")
    meter.allow(sum(member.size for member in members))
    return span, sorted(members, key=lambda member: member.start)


def _span(file: int, size: int) -> Span:
    first = max(0, size - END.size - LONGEST_COMMENT)
    tail = os.pread(file, size - first, first)
    found, at = [], tail.find(b"PK\5\6")
    while at >= 0:
        if len(tail) - at >= END.size:
            end = END.unpack_from(tail, at)
            if at + END.size + end[7] == len(tail):
                found.append((first + at, end))
        at = tail.find(b"PK\5\6", at + 1)
    if not found:
        raise damaged("it is cut off, or no zip")
    if len(found) > 1:
        raise hostile("it has two directories")
    return _whole(file, *found[0])


def _whole(file: int, at: int, end: tuple[bytes, int, int, int, int, int, int, int]) -> Span:
    """The directory that an end record at a place tells of, by the larger record before it if there is one."""
    _, disk, first_disk, here, count, length, start, _ = end
    said = (disk, first_disk, here, count, length, start)
    most = (0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF)
    locator = os.pread(file, LOCATOR.size, at - LOCATOR.size) if at >= LOCATOR.size else b""
    if locator.startswith(b"PK\6\7"):
        _, _, place, _ = LOCATOR.unpack(locator)
        larger = os.pread(file, END_64.size, place) if place <= at else b""
        if len(larger) < END_64.size or not larger.startswith(b"PK\6\6"):
            raise damaged(DISORDER)
        _, rest, _, _, *values = END_64.unpack(larger)
        if place + 12 + rest != at - LOCATOR.size:
            raise damaged(DISORDER)
        if any(small not in (large, top) for small, large, top in zip(said, values, most, strict=True)):
            raise hostile("its two end records disagree")
        at, said = place, tuple(values)
    disk, first_disk, here, count, length, start = said
    if (disk, first_disk) != (0, 0) or here != count:
        raise damaged("it is one of several parts")
    if start + length != at:
        raise damaged(DISORDER)
    return Span(start, at, count)


def _member(file: int, at: int, end: int) -> tuple[Member, int]:
    """The member whose entry is at a place, and the place of the next."""
    data = os.pread(file, HEADER.size, at)
    if at + HEADER.size > end or not data.startswith(b"PK\1\2"):
        raise damaged("its directory is damaged")
    _, _, _, flags, method, _, _, crc, packed, size, name, extra, note, _, _, mode, start = HEADER.unpack(data)
    after = at + HEADER.size + name + extra + note
    if after > end:
        raise damaged("its directory is damaged")
    raw, more = os.pread(file, name, at + HEADER.size), fields(os.pread(file, extra, at + HEADER.size + name))
    size, packed, start = widened((size, packed, start), more, name_of(raw, more))
    return Member(name_of(raw, more), raw, flags, method, crc, packed, size, start, mode >> 16), after


def fields(extra: bytes) -> dict[int, bytes]:
    """The extra fields by their ids, the first of each."""
    found: dict[int, bytes] = {}
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<2H", extra)
        found.setdefault(kind, extra[4 : 4 + length])
        extra = extra[4 + length :]
    return found


def widened(sizes: tuple[int, ...], extra: dict[int, bytes], name: str) -> tuple[int, ...]:
    """The sizes with those that did not fit into 32 bits taken from the field for it."""
    wide, found = extra.get(ZIP64, b""), []
    for size in sizes:
        if size == 0xFFFFFFFF and ZIP64 in extra:
            if len(wide) < 8:
                raise damaged("has no size", name)
            size, wide = int.from_bytes(wide[:8], "little"), wide[8:]
        found.append(size)
    return tuple(found)


def name_of(raw: bytes, extra: dict[int, bytes]) -> str:
    """A member's name: of its own field in UTF-8, or UTF-8 whatever the flag says, or cp437, which fits any bytes.

    macOS and many others write UTF-8 without the flag, and text in cp437 is hardly ever valid UTF-8.
    """
    said = extra.get(UNICODE_PATH, b"")
    if said[:1] == b"\1" and said[1:5] == zlib.crc32(raw).to_bytes(4, "little"):
        raw = said[5:]
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("cp437")
