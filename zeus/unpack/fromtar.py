"""Reading tar archives, plain or compressed, header by header: ustar, GNU long names and pax, nothing sparse."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator

import msgspec

from zeus.unpack.decoders import Decoder, bzip2_decoder, gzip_decoder, joined, taken, xz_decoder
from zeus.unpack.rules import Entry, Kind, Meter, damaged, hostile

UNIT = 512
LONGEST_EXTRA = 1 << 20
"""Bytes of a header's extension; with access lists and attributes it may take some kilobytes."""
INEXPRESSIBLE = 8**11
"""The first size that a header has no digits for."""
KINDS = {b"0": Kind.FILE, b"\0": Kind.FILE, b"7": Kind.FILE, b"1": Kind.TWIN, b"2": Kind.LINK, b"5": Kind.FOLDER}
PAX, GLOBAL, LONG_NAME, LONG_GOAL = EXTRAS = (b"x", b"g", b"L", b"K")
"""Headers that extend the next one, or with GLOBAL all that follow."""
SORTS: tuple[tuple[bytes, Callable[[], Decoder]], ...] = (
    (b"\x1f\x8b", gzip_decoder),
    (b"BZh", bzip2_decoder),
    (b"\xfd7zXZ\0", xz_decoder),
)


class Source:
    """What comes out of the compression, to be taken in pieces of any size."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._block = b""
        self._at = 0

    def pieces(self, size: int) -> Iterator[bytes]:
        """The next `size` bytes. Raises BadInput when there are fewer."""
        while size:
            if self._at == len(self._block):
                self._block, self._at = next(self._blocks, b""), 0
            piece = self._block[self._at : self._at + size]
            if not piece:
                raise damaged("it is cut off")
            self._at += len(piece)
            size -= len(piece)
            yield piece

    def take(self, size: int) -> bytes:
        return b"".join(self.pieces(size))

    def is_over(self) -> bool:
        """Whether only zeros are left. Reads them all, so that checksums at the end of the compression are checked."""
        return not self._block[self._at :].strip(b"\0") and not any(block.strip(b"\0") for block in self._blocks)


class Head(msgspec.Struct, frozen=True):
    """A header: `sort` is tar's letter for what follows, `size` the bytes of its data. Names may be cut in it."""

    name: bytes
    sort: bytes
    size: int
    mode: int
    goal: bytes


def tar_entries(file: int, meter: Meter) -> Iterator[Entry]:
    """The entries of an open tar, each to be read before the next is asked for. Raises BadInput while they are read."""
    source = Source(_counted(_plain(file, meter), meter))
    extras: dict[bytes, bytes] = {}
    while (head := _head(source)) is not None:
        if head.sort in EXTRAS:
            _take_extra(source, head, extras, meter)
            continue
        meter.count()
        head = _extended(head, extras)
        extras = {}
        meter.allow(head.size)
        blocks = source.pieces(head.size)
        yield _entry(head, blocks)
        for _ in blocks:
            pass
        source.take(-head.size % UNIT)
    if extras:
        raise damaged("it is cut off")


def _plain(file: int, meter: Meter) -> Iterator[bytes]:
    blocks = taken(file, 0, os.fstat(file).st_size, meter)
    start = os.pread(file, 6, 0)
    for magic, make in SORTS:
        if start.startswith(magic):
            return joined(blocks, make)
    return blocks


def _counted(blocks: Iterator[bytes], meter: Meter) -> Iterator[bytes]:
    for block in blocks:
        meter.grow(len(block))
        yield block


def _head(source: Source) -> Head | None:
    """The next header; None at the end of the archive."""
    data = source.take(UNIT)
    if not data.strip(b"\0"):
        if not source.is_over():
            raise hostile("it goes on after its end")
        return None
    if _number(data[148:156]) != sum(data[:148]) + sum(b" " * 8) + sum(data[156:]):
        raise damaged("it is damaged, or neither zip nor tar")
    name = _cut(data[:100])
    if data[257:263] == b"ustar\0" and (prefix := _cut(data[345:500])):
        name = prefix + b"/" + name
    sort, goal = data[156:157], _cut(data[157:257])
    return Head(name, sort, _number(data[124:136]), _number(data[100:108]), goal)


def _take_extra(source: Source, head: Head, extras: dict[bytes, bytes], meter: Meter) -> None:
    """Keep an extension for the header that follows it; one for all headers is only looked at."""
    if head.size > LONGEST_EXTRA:
        raise hostile(f"it has a header of more than {LONGEST_EXTRA:,} bytes")
    data = source.take(head.size)
    source.take(-head.size % UNIT)
    if head.sort == GLOBAL:
        meter.count()
        if _records(data).keys() & {b"path", b"linkpath", b"size"}:
            raise hostile("it gives all entries one name, goal or size")
    elif head.sort in extras:
        raise hostile("it extends one header twice")
    else:
        extras[head.sort] = data


def _extended(head: Head, extras: dict[bytes, bytes]) -> Head:
    """A header with what was said of it before. Raises BadInput where that contradicts."""
    records = _records(extras.get(PAX, b""))
    if (b"path" in records and LONG_NAME in extras) or (b"linkpath" in records and LONG_GOAL in extras):
        raise hostile("it has an entry with two names")
    name = records.get(b"path", extras.get(LONG_NAME, head.name))
    goal = records.get(b"linkpath", extras.get(LONG_GOAL, head.goal))
    size = _size(head, records.get(b"size"))
    return msgspec.structs.replace(head, name=name.rstrip(b"\0"), goal=goal.rstrip(b"\0"), size=size)


def _size(head: Head, said: bytes | None) -> int:
    """The size by the header, unless only its extension could say one so large."""
    if said is None:
        return head.size
    if not said.isdigit() or len(said) > 20:
        raise damaged("it has an entry whose size is no number")
    size = int(said)
    if size != head.size and size < INEXPRESSIBLE:
        raise hostile("it has an entry with two sizes")
    return size


def _entry(head: Head, blocks: Iterator[bytes]) -> Entry:
    name = _text(head.name)
    if head.sort not in KINDS:
        raise hostile("is a device, a sparse file or the like", name)
    kind = KINDS[head.sort]
    if kind is Kind.FILE and name.endswith("/"):
        kind = Kind.FOLDER  # as the oldest tars have it
    if kind is not Kind.FILE and head.size:
        raise hostile("is no file but has content", name)
    goal = _text(head.goal) if kind in (Kind.LINK, Kind.TWIN) else ""
    return Entry(name, kind, bool(head.mode & stat.S_IXUSR), goal, blocks)


def _records(data: bytes) -> dict[bytes, bytes]:
    """The records of a pax header, "LENGTH KEY=VALUE" and a line feed each."""
    found: dict[bytes, bytes] = {}
    at = 0
    while at < len(data):
        space = data.find(b" ", at, at + 8)
        length = data[at : max(at, space)]
        end = at + int(length) if length.isdigit() else 0
        key, equals, value = data[space + 1 : end].partition(b"=")
        if not equals or end > len(data) or not value.endswith(b"\n"):
            raise damaged("it has a header that cannot be read")
        if key in found or key.startswith(b"GNU.sparse."):
            raise hostile("it has a sparse file, or says one thing twice")
        found[key] = value[:-1]
        at = end
    return found


def _number(field: bytes) -> int:
    """A number in octal digits, or in binary where the first bit is set."""
    if field[0] & 0x80:
        if field[0] & 0x40:
            raise damaged("it holds a negative number")
        return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
    digits = _cut(field).strip(b" ")
    if digits.strip(b"01234567"):
        raise damaged("it is damaged, or neither zip nor tar")
    return int(digits or b"0", 8)


def _cut(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise damaged("is a name in no UTF-8", raw.decode("utf-8", "replace")) from error
