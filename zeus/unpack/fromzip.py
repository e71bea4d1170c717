"""Reading zip archives: each member where the directory has it, checked against its own header, and decompressed."""

from __future__ import annotations

import os
import stat
import struct
import zlib
from collections.abc import Iterator

from zeus.unpack.decoders import bzip2_decoder, decoded, deflate_decoder, lzma_decoder, taken
from zeus.unpack.directory import Member, fields, read_directory, widened
from zeus.unpack.rules import Entry, Kind, Meter, damaged, hostile

HEADER = struct.Struct("<4s5H3L2H")
STORED, DEFLATE, BZIP2, LZMA = 0, 8, 12, 14
METHODS = (STORED, DEFLATE, BZIP2, LZMA)
ENCRYPTED = 0x0001 | 0x0040 | 0x2000
SIZES_FOLLOW = 0x0008
HAS_END_MARK = 0x0002
"""With LZMA: the data ends itself, so its header need not say the size."""
TRAILER = 24
"""The most bytes of a record that follows a member whose sizes were not known before."""


def zip_entries(file: int, meter: Meter) -> list[Entry]:
    """The entries of an open zip as they lie there. Raises BadInput, and their blocks do so while they are read."""
    span, members = read_directory(file, meter)
    places, end, room = [], 0, 0
    for member in members:
        if member.start < end:
            raise hostile("lies where another entry lies", member.name)
        if member.start > end + room:
            raise hostile("comes after data that belongs to no entry", member.name)
        start = _data_start(file, member)
        end, room = start + member.packed, TRAILER if member.flags & SIZES_FOLLOW else 0
        places.append(start)
    if end > span.start:
        raise hostile("lies where another entry lies", members[-1].name)
    if span.start > end + room:
        raise hostile("it holds data that belongs to no entry")
    return [_entry(file, member, start, meter) for member, start in zip(members, places, strict=True)]


def _data_start(file: int, member: Member) -> int:
    """Where a member's data begins. Raises BadInput unless its header and the directory agree."""
    if member.flags & ENCRYPTED:
        raise damaged("is encrypted", member.name)
    if member.method not in METHODS:
        raise damaged(f"is compressed by a method that is not read here ({member.method})", member.name)
    data = os.pread(file, HEADER.size, member.start)
    if len(data) < HEADER.size or not data.startswith(b"PK\3\4"):
        raise damaged("is not where the directory has it", member.name)
    name: int
    extra: int
    _, _, flags, method, _, _, crc, packed, size, name, extra = HEADER.unpack(data)
    more = os.pread(file, name + extra, member.start + HEADER.size)
    wide = widened((size, packed), fields(more[name:]), member.name)
    said = (crc, *wide)
    truth = (member.crc, member.size, member.packed)
    # A writer that could not seek back left zeros; with 64 bits some leave the mark for them and no field.
    unknown = (0, 0xFFFFFFFF) if flags & SIZES_FOLLOW else ()
    agree = all(one == two or one in unknown for one, two in zip(said, truth, strict=True))
    if not agree or method != member.method or more[:name] != member.raw or (flags ^ member.flags) & ENCRYPTED:
        raise hostile("is one thing in the directory and another in its own header", member.name)
    return member.start + HEADER.size + name + extra


def _entry(file: int, member: Member, start: int, meter: Meter) -> Entry:
    blocks = _checked(member, _blocks(file, member, start, meter), meter)
    kind = _kind(member)
    if kind is Kind.LINK:
        if member.size > meter.limits.name:
            raise hostile("is a link that leads too far", member.name)
        goal = b"".join(blocks).decode("utf-8", "replace")
        return Entry(member.name, kind, goal=goal)
    if kind is Kind.FOLDER:
        if member.size:
            raise hostile("is a folder with content", member.name)
        return Entry(member.name, kind)
    return Entry(member.name, kind, bool(member.mode & stat.S_IXUSR), blocks=blocks)


def _kind(member: Member) -> Kind:
    sort = stat.S_IFMT(member.mode)
    if sort == stat.S_IFLNK:
        return Kind.LINK
    if sort not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise hostile("is a device or the like", member.name)
    return Kind.FOLDER if sort == stat.S_IFDIR or member.name.endswith("/") else Kind.FILE


def _blocks(file: int, member: Member, start: int, meter: Meter) -> Iterator[bytes]:
    """What a member's data decompresses to."""
    end = start + member.packed
    if member.method == LZMA:
        yield from _lzma(file, member, start, meter)
        return
    blocks = taken(file, start, end, meter, member.name)
    if member.method == STORED:
        yield from blocks
    else:
        decoder = deflate_decoder() if member.method == DEFLATE else bzip2_decoder()
        yield from decoded(blocks, decoder, member.name)


def _lzma(file: int, member: Member, start: int, meter: Meter) -> Iterator[bytes]:
    """The same for LZMA, whose header differs from that of a .lzma file in length fields alone."""
    header = b"".join(taken(file, start, start + min(9, member.packed), meter, member.name))
    if len(header) < 9 or header[2:4] != b"\5\0":
        raise damaged("is cut off", member.name)
    size = -1 if member.flags & HAS_END_MARK else member.size
    alone = header[4:] + size.to_bytes(8, "little", signed=True)

    def blocks() -> Iterator[bytes]:
        yield alone
        yield from taken(file, start + 9, start + member.packed, meter, member.name)

    yield from decoded(blocks(), lzma_decoder(), member.name)


def _checked(member: Member, blocks: Iterator[bytes], meter: Meter) -> Iterator[bytes]:
    """The blocks, counted and held to the size and checksum of the directory."""
    crc = size = 0
    for block in blocks:
        meter.grow(len(block))
        size, crc = size + len(block), zlib.crc32(block, crc)
        if size > member.size:
            raise hostile("is larger than it says", member.name)
        yield block
    if size != member.size:
        raise damaged("is smaller than it says", member.name)
    if crc != member.crc:
        raise damaged("has another checksum than it says", member.name)
