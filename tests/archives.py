"""Zips and tars written byte by byte, so that they can say anything."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import msgspec

Struct = msgspec.Struct


class Member(Struct):
    """An entry of a zip as it should look; `local` replaces fields of its own header, so that the two disagree."""

    name: bytes
    data: bytes = b""
    mode: int = 0o100644
    method: int = 0
    flags: int = 0x800
    packed: bytes | None = None
    crc: int | None = None
    size: int | None = None
    extra: bytes = b""
    local: dict[str, Any] = msgspec.field(default_factory=dict)
    start: int | None = None
    """Where the directory says that it is, if not where it is."""
    hidden: bytes = b""
    """What follows its data and belongs to no entry."""

    def fields(self) -> dict[str, Any]:
        packed = deflated(self.data) if self.packed is None and self.method == 8 else self.packed
        return {
            "name": self.name,
            "flags": self.flags,
            "method": self.method,
            "crc": zlib.crc32(self.data) if self.crc is None else self.crc,
            "packed": self.data if packed is None else packed,
            "size": len(self.data) if self.size is None else self.size,
            "extra": self.extra,
        }

    def own_header(self) -> bytes:
        found = self.fields() | self.local
        length = found.get("length", len(found["packed"]))
        head = struct.pack(
            "<4s5H3L2H", b"PK\3\4", 20, found["flags"], found["method"], 0, 33, found["crc"], length,
            found["size"], len(found["name"]), len(found["extra"]),
        )  # fmt: skip
        return head + found["name"] + found["extra"]

    def entry(self, start: int) -> bytes:
        found = self.fields()
        head = struct.pack(
            "<4s6H3L5H2L", b"PK\1\2", 0x31E, 20, found["flags"], found["method"], 0, 33, found["crc"],
            len(found["packed"]), found["size"], len(found["name"]), len(found["extra"]), 0, 0, 0, self.mode << 16,
            start if self.start is None else self.start,
        )  # fmt: skip
        return head + found["name"] + found["extra"]


def zipped(
    *members: Member, before: bytes = b"", shift: int = 0, count: int | None = None, disk: int = 0, comment: bytes = b""
) -> bytes:
    """A zip of these. `shift` is added to all places that it names, `count` stands for the number of entries."""
    body, directory = before, b""
    for member in members:
        directory += member.entry(len(body) + shift)
        body += member.own_header() + member.fields()["packed"] + member.hidden
    return body + directory + end(len(body) + shift, directory, len(members) if count is None else count, disk, comment)


def end(start: int, directory: bytes, count: int, disk: int = 0, comment: bytes = b"") -> bytes:
    """The last record of a zip."""
    few = min(count, 0xFFFF)
    return struct.pack("<4s4H2LH", b"PK\5\6", disk, 0, few, few, len(directory), start, len(comment)) + comment


def larger_end(start: int, length: int, count: int, place: int) -> bytes:
    """The records before the last one that have 64 bits for everything."""
    record = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, length, start)
    return record + struct.pack("<4sLQL", b"PK\6\7", 0, place, 1)


def deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def unicode_path(raw: bytes, name: bytes) -> bytes:
    """The extra field by which Info-ZIP names a file in UTF-8."""
    return struct.pack("<2HBL", 0x7075, 5 + len(name), 1, zlib.crc32(raw)) + name


def head(
    name: bytes, size: int | bytes = 0, sort: bytes = b"0", goal: bytes = b"", mode: int = 0o644, *, gnu: bool = False
) -> bytes:
    """A tar header; a size in bytes is taken as it is."""
    number = b"%011o\0" % size if isinstance(size, int) else size
    magic = b"ustar  \0" if gnu else b"ustar\x0000"
    fields = b"%07o\0" % mode + b"%07o\0" % 0 * 2 + number + b"%011o\0" % 0
    made = name.ljust(100, b"\0") + fields + b" " * 8 + sort + goal.ljust(100, b"\0") + magic
    made = made.ljust(512, b"\0")
    return made[:148] + b"%06o\0 " % sum(made) + made[156:]


def item(name: bytes, data: bytes = b"", **fields: Any) -> bytes:
    """A tar header with its data."""
    return head(name, fields.pop("size", len(data)), **fields) + data + bytes(-len(data) % 512)


def pax(*records: bytes, sort: bytes = b"x") -> bytes:
    """A pax header of records such as b"path=a"."""
    data = b""
    for record in records:
        length = len(record) + 3
        while len(b"%d %s\n" % (length, record)) != length:
            length = len(b"%d %s\n" % (length, record))
        data += b"%d %s\n" % (length, record)
    return item(b"PaxHeader", data, sort=sort)


def long(name: bytes, sort: bytes = b"L") -> bytes:
    """A GNU header for a long name, or with `K` for a long goal."""
    return item(b"././@LongLink", name + b"\0", sort=sort, gnu=True)


def tarred(*items: bytes) -> bytes:
    """A tar of these."""
    return b"".join(items) + bytes(1024)
