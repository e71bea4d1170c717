"""Archives that are made to do harm: each is refused for what it does, and leaves nothing anywhere."""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.archives import Member, deflated, end, head, item, larger_end, long, pax, tarred, unicode_path, zipped
from zeus.errors import BadInput
from zeus.unpack import Limits, unpack

SYMLINK, FIFO, SOCKET, DEVICE = 0o120777, 0o010644, 0o140644, 0o020644
BOMB = 24 << 20
MANY = 100_000
HUGE = 1 << 62
GOOD = Member(b"good.txt", b"good" * 100)


def named(*names: bytes) -> bytes:
    return zipped(GOOD, *(Member(name, b"evil") for name in names))


def linked(*pairs: tuple[bytes, bytes], then: bytes = b"") -> bytes:
    return tarred(*(item(name, sort=b"2", goal=goal) for name, goal in pairs), then)


def overlapping() -> bytes:
    """Twenty entries of one header and its data, as zip bombs have them."""
    body = Member(b"a", deflated(b"x" * 1000))
    return zipped(body, *(Member(b"a", body.data, start=0) for _ in range(20)))


def quoting() -> bytes:
    """The first entry's data begins with the second's header, so that both use the bytes behind it."""
    inner = Member(b"inner", b"kernel" * 100)
    quoted = inner.own_header()
    outer = Member(b"outer", quoted + inner.data)
    data = zipped(outer)
    start = len(outer.own_header())
    directory = outer.entry(0) + inner.entry(start)
    body = data[: start + len(outer.data)]
    return body + directory + end(len(body), directory, 2)


def two_ends() -> bytes:
    inside = zipped(GOOD)
    record = inside[-22:]
    body = inside[:-22]
    return (
        body
        + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, len(GOOD.entry(0)), len(body) - len(GOOD.entry(0)), 22)
        + record
    )


def beyond_the_end(place: int | None = None, count: int = 1, start: int | None = None) -> bytes:
    """A zip with 64-bit end records that say other things than the last one."""
    body, directory = GOOD.own_header() + GOOD.data, GOOD.entry(0)
    at = len(body) + len(directory)
    more = larger_end(len(body) if start is None else start, len(directory), count, at if place is None else place)
    return body + directory + more + end(len(body), directory, 1)


def longer_than_the_directory() -> bytes:
    data = zipped(GOOD)
    at = data.index(b"PK\1\2") + 28  # the length of the entry's name
    return data[:at] + struct.pack("<H", len(GOOD.name) + 1) + data[at + 2 :]


def many_zipped() -> bytes:
    entry = Member(b"a").entry(0)
    directory = entry * MANY
    return directory + larger_end(0, len(directory), MANY, len(directory)) + end(0, directory, MANY)


def wide(size: int) -> Member:
    """A member that says its size in 64 bits."""
    extra = struct.pack("<2HQ", 1, 8, size)
    return Member(b"a", b"x" * 100, size=0xFFFFFFFF, extra=extra)


def lzma_of_much_memory() -> Member:
    header = b"\x09\x04\5\0\x5d" + struct.pack("<L", 0xFFFFFFFF)
    return Member(b"a", method=14, packed=header + bytes(64), size=10)


def xz_of_much_memory() -> bytes:
    """Its first block's header, of 12 bytes after the 12 of the stream's, asks for the largest dictionary."""
    data = lzma.compress(tarred(item(b"a")))
    header = data[12:16] + b"\x28" + data[17:20]
    return data[:12] + header + struct.pack("<L", zlib.crc32(header)) + data[24:]


def cut(data: bytes, share: float = 0.5) -> bytes:
    return data[: int(len(data) * share)]


def spoiled(data: bytes, at: int) -> bytes:
    at %= len(data)
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


H, D = "hostile_archive", "invalid_archive"
ZIPS: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "slip": (lambda: named(b"../evil"), H, "leads out"),
    "slip inside": (lambda: named(b"a/../../evil"), H, "leads out"),
    "slip back in": (lambda: named(b"a/../b"), H, "leads out"),
    "slip as a folder": (lambda: zipped(Member(b"../", mode=0o040755)), H, "leads out"),
    "only dots": (lambda: named(b".."), H, "leads out"),
    "slip by the macOS folder": (lambda: named(b"__MACOSX/../../evil"), H, "leads out"),
    "slip by the Unicode field": (
        lambda: zipped(Member(b"a", b"evil", extra=unicode_path(b"a", b"../evil"))), H, "leads out"),
    "absolute": (lambda: named(b"/etc/evil"), H, "absolute"),
    "absolute twice": (lambda: named(b"//host/evil"), H, "absolute"),
    "the root": (lambda: zipped(Member(b"/", mode=0o040755)), H, "absolute"),
    "drive": (lambda: named(b"C:/evil"), H, "absolute"),
    "drive without a slash": (lambda: named(b"c:evil"), H, "absolute"),
    "backslashes": (lambda: named(b"..\\evil"), H, "backslash"),
    "NUL": (lambda: named(b"good\0/../evil"), H, "cannot be seen"),
    "line feed": (lambda: named(b"a\nb"), H, "cannot be seen"),
    "DEL": (lambda: named(b"a\x7f"), H, "cannot be seen"),
    "line separator": (lambda: named("a\u2028b".encode()), H, "cannot be seen"),
    "right to left": (lambda: named("a\u202egnp.exe".encode()), H, "cannot be seen"),
    "byte order mark": (lambda: named("\ufeffa".encode()), H, "cannot be seen"),
    "empty name": (lambda: named(b""), H, "empty"),
    "empty part": (lambda: named(b"a//b"), H, "empty part"),
    "two slashes at the end": (lambda: zipped(Member(b"a//", mode=0o040755)), H, "empty part"),
    "dot part": (lambda: named(b"a/./b"), H, "empty part"),
    "the folder itself as a file": (lambda: named(b"."), H, "no name"),
    "long part": (lambda: named(b"a" * 256), H, "255 bytes"),
    "long part of few characters": (lambda: named("ü".encode() * 128), H, "255 bytes"),
    "long name": (lambda: named(b"/".join([b"a" * 200] * 6)), H, "1024 bytes"),
    "deep": (lambda: named(b"/".join([b"a"] * 33)), H, "32 folders"),
    "twins by case": (lambda: named(b"Tex/A.png", b"Tex/a.png"), H, "differs"),
    "twins by the case of a folder": (lambda: named(b"Tex/1", b"tex/2"), H, "differs"),
    "twins by composition": (lambda: named("é".encode(), "e\u0301".encode()), H, "differs"),
    "twins by compatibility": (lambda: named("ﬁ".encode(), b"fi"), H, "differs"),
    "twins by sharp s": (lambda: named("Maß".encode(), b"MASS"), H, "differs"),
    "twice": (lambda: named(b"a", b"a"), H, "twice"),
    "twice, once as ./": (lambda: named(b"a", b"./a"), H, "twice"),
    "a file as a folder": (lambda: named(b"a", b"a/b"), H, "no folder"),
    "a folder as a file": (lambda: named(b"a/b", b"a"), H, "twice"),
    "a folder and a file": (lambda: zipped(Member(b"a/", mode=0o040755), Member(b"a", b"x")), H, "twice"),
    "a folder with content": (lambda: zipped(Member(b"a/", b"x", mode=0o040755)), H, "folder with content"),
    "symlink": (lambda: zipped(Member(b"a", b"/etc/passwd", mode=SYMLINK)), H, "is a link"),
    "symlink, then a write through it": (
        lambda: zipped(Member(b"a", b"..", mode=SYMLINK), Member(b"a/evil", b"evil")), H, "is a link"),
    "symlink called a folder": (lambda: zipped(Member(b"a/", b"..", mode=SYMLINK)), H, "is a link"),
    "fifo": (lambda: zipped(Member(b"a", mode=FIFO)), H, "device"),
    "socket": (lambda: zipped(Member(b"a", mode=SOCKET)), H, "device"),
    "device": (lambda: zipped(Member(b"a", mode=DEVICE)), H, "device"),
    "encrypted": (lambda: zipped(Member(b"a", b"x" * 12, flags=1)), D, "encrypted"),
    "strongly encrypted": (lambda: zipped(Member(b"a", b"x" * 12, flags=0x41)), D, "encrypted"),
    "encrypted by its own header": (lambda: zipped(Member(b"a", b"x", local={"flags": 1})), H, "another in its own"),
    "other name": (lambda: zipped(Member(b"good", b"x", local={"name": b"evil"})), H, "another in its own"),
    "longer name": (lambda: zipped(Member(b"good", b"x", local={"name": b"goods"})), H, "another in its own"),
    "other size": (lambda: zipped(Member(b"a", b"x", local={"size": 2})), H, "another in its own"),
    "other packed size": (lambda: zipped(Member(b"a", b"x", local={"length": 2})), H, "another in its own"),
    "other checksum": (lambda: zipped(Member(b"a", b"x", local={"crc": 2})), H, "another in its own"),
    "other method": (lambda: zipped(Member(b"a", b"x", local={"method": 8})), H, "another in its own"),
    "larger than it says": (lambda: zipped(Member(b"a", b"x" * 9000, method=8, size=10)), H, "larger than it says"),
    "smaller than it says": (lambda: zipped(Member(b"a", b"x" * 9000, method=8, size=9001)), D, "smaller than it says"),
    "stored, larger than it says": (lambda: zipped(Member(b"a", b"x" * 90, size=10)), H, "larger than it says"),
    "stored, smaller than it says": (lambda: zipped(Member(b"a", b"x" * 90, size=91)), D, "smaller than it says"),
    "wrong checksum": (lambda: zipped(Member(b"a", b"x" * 90, crc=1)), D, "checksum"),
    "unknown method": (lambda: zipped(Member(b"a", b"x", method=9)), D, "method"),
    "no deflate": (lambda: zipped(Member(b"a", b"x", method=8, packed=b"\xff" * 9)), D, "decompressed"),
    "deflate cut off": (
        lambda: zipped(Member(b"a", b"xyz" * 99, method=8, packed=deflated(b"xyz" * 99)[:-1])), D, "cut off"),
    "deflate with a tail": (
        lambda: zipped(Member(b"a", b"x" * 9, method=8, packed=deflated(b"x" * 9) + b"tail")), D, "more data"),
    "deflate with a long tail": (
        lambda: zipped(Member(b"a", b"x" * 9, method=8, packed=deflated(b"x" * 9) + bytes(1 << 17))), D, "more data"),
    "no bzip2": (lambda: zipped(Member(b"a", b"x", method=12, packed=b"BZh9" + b"x" * 99)), D, "decompressed"),
    "LZMA with 4 GiB of memory": (lambda: zipped(lzma_of_much_memory()), D, "Memory"),
    "LZMA cut off": (lambda: zipped(Member(b"a", method=14, packed=b"\x09\x04\5\0", size=1)), D, "cut off"),
    "overlapping": (overlapping, H, "where another entry lies"),
    "quoting": (quoting, H, "where another entry lies"),
    "overlapping the directory": (
        lambda: zipped(Member(b"a", packed=b"x" * 10, size=10)).replace(b"x" * 10, b"", 1).replace(
            struct.pack("<LH", 41, 0), struct.pack("<LH", 31, 0)), H, "where another entry lies"),
    "in the directory": (lambda: zipped(GOOD, Member(b"b", start=600)), H, "belongs to no entry"),
    "bomb": (lambda: zipped(Member(b"a", bytes(BOMB), method=8)), H, "200 times"),
    "bomb of many": (
        lambda: zipped(*(Member(b"%d" % n, bytes(BOMB // 8), method=8) for n in range(8))), H, "200 times"),
    "bomb that says little": (
        lambda: zipped(Member(b"a", bytes(BOMB), method=8, size=1 << 20)), H, "larger than it says"),
    "a size of 4 EiB": (lambda: zipped(wide(HUGE)), H, "bytes come out"),
    "100,000 entries": (many_zipped, H, "50,000 files"),
    "folders without entries": (
        lambda: zipped(*(Member(b"/".join([b"%d" % n] * 30)) for n in range(2000))), H, "50,000 files"),
    "fewer entries than it says": (lambda: zipped(GOOD, count=2), D, "directory is damaged"),
    "more entries than it says": (lambda: zipped(GOOD, Member(b"evil"), count=1), H, "more than it says"),
    "junk before it": (lambda: zipped(GOOD, before=b"PK junk" * 9, shift=-63), D, "no directory"),
    "junk before it, counted": (lambda: zipped(GOOD, before=b"PK junk" * 9), H, "belongs to no entry"),
    "junk after it": (lambda: zipped(GOOD) + b"junk", D, "cut off"),
    "hidden data": (lambda: zipped(Member(b"a", b"x", hidden=b"y" * 9), GOOD), H, "belongs to no entry"),
    "hidden data at the end": (lambda: zipped(Member(b"a", b"x", hidden=b"y" * 9)), H, "belongs to no entry"),
    "hidden data after sizes": (
        lambda: zipped(Member(b"a", b"x", flags=8, hidden=b"y" * 25), GOOD), H, "belongs to no entry"),
    "two ends": (two_ends, H, "two directories"),
    "two zips": (lambda: zipped(GOOD) + zipped(GOOD), D, "no directory"),
    "two ends that disagree": (lambda: beyond_the_end(count=2), H, "end records disagree"),
    "an end elsewhere": (lambda: beyond_the_end(place=3), D, "no directory"),
    "a directory elsewhere": (lambda: beyond_the_end(start=HUGE), H, "end records disagree"),
    "an end record of no kind": (lambda: beyond_the_end().replace(b"PK\6\6", b"PK\6\5"), D, "no directory"),
    "an end record of another length": (
        lambda: beyond_the_end().replace(b"PK\6\6\x2c", b"PK\6\6\x2d"), D, "no directory"),
    "an entry longer than the directory": (longer_than_the_directory, D, "directory is damaged"),
    "no header where the directory has one": (
        lambda: zipped(GOOD).replace(b"PK\3\4", b"PK\3\5"), D, "not where the directory"),
    "one of several": (lambda: zipped(GOOD, disk=1), D, "several parts"),
    "cut off": (lambda: cut(zipped(GOOD, GOOD)), D, "cut off"),
    "only a beginning": (lambda: b"PK\3\4", D, "cut off"),
    "a 64-bit size that is missing": (
        lambda: zipped(Member(b"a", b"x", size=0xFFFFFFFF, extra=struct.pack("<2H", 1, 0))), D, "no size"),
}  # fmt: skip

TARS: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "slip": (lambda: tarred(item(b"good"), item(b"../evil", b"x")), H, "leads out"),
    "absolute": (lambda: tarred(item(b"/etc/evil", b"x")), H, "absolute"),
    "absolute after dots": (lambda: tarred(item(b".//etc/evil", b"x")), H, "empty part"),
    "slip by a long name": (lambda: tarred(long(b"../evil"), item(b"good", b"x")), H, "leads out"),
    "slip by pax": (lambda: tarred(pax(b"path=../evil"), item(b"good", b"x")), H, "leads out"),
    "NUL in a long name": (lambda: tarred(long(b"a\0/../b"), item(b"good", b"x")), H, "cannot be seen"),
    "NUL by pax": (lambda: tarred(pax(b"path=a\0b"), item(b"good", b"x")), H, "cannot be seen"),
    "no UTF-8": (lambda: tarred(item(b"\xff\xfe", b"x")), D, "no UTF-8"),
    "twins": (lambda: tarred(item(b"A", b"x"), item(b"a", b"x")), H, "differs"),
    "twice": (lambda: tarred(item(b"a", b"x"), item(b"a", b"y")), H, "twice"),
    "a file as a folder": (lambda: tarred(item(b"a", b"x"), item(b"a/b", b"y")), H, "no folder"),
    "symlink": (lambda: linked((b"a", b"good")), H, "is a link"),
    "hard link": (lambda: tarred(item(b"a", b"x"), item(b"b", sort=b"1", goal=b"a")), H, "is a link"),
    "character device": (lambda: tarred(item(b"a", sort=b"3")), H, "device"),
    "block device": (lambda: tarred(item(b"a", sort=b"4")), H, "device"),
    "fifo": (lambda: tarred(item(b"a", sort=b"6")), H, "device"),
    "volume": (lambda: tarred(item(b"a", sort=b"M", gnu=True)), H, "device"),
    "sparse": (lambda: tarred(item(b"a", sort=b"S", gnu=True)), H, "sparse"),
    "sparse by pax": (
        lambda: tarred(pax(b"GNU.sparse.major=1", b"GNU.sparse.realsize=%d" % HUGE), item(b"a", b"x")), H, "sparse"),
    "sparse for all": (
        lambda: tarred(pax(b"GNU.sparse.size=%d" % HUGE, sort=b"g"), item(b"a", b"x")), H, "sparse"),
    "a folder with content": (lambda: tarred(item(b"a", b"x", sort=b"5")), H, "has content"),
    "a link with content": (lambda: tarred(item(b"a", b"x", sort=b"2", goal=b"b")), H, "has content"),
    "size replaced by pax": (lambda: tarred(pax(b"size=0"), item(b"a", item(b"../evil", b"x"))), H, "two sizes"),
    "larger size by pax": (lambda: tarred(pax(b"size=1024"), item(b"a"), item(b"b", b"x")), H, "two sizes"),
    "negative size by pax": (lambda: tarred(pax(b"size=-1"), item(b"a")), D, "no number"),
    "a size of a thousand digits": (lambda: tarred(pax(b"size=" + b"9" * 1000), item(b"a")), D, "no number"),
    "a size of 4 EiB by pax": (lambda: tarred(pax(b"size=%d" % HUGE), item(b"a")), H, "bytes come out"),
    "a size of 4 EiB": (
        lambda: tarred(item(b"a", size=b"\x80" + HUGE.to_bytes(11, "big"))), H, "bytes come out"),
    "negative size": (lambda: tarred(item(b"a", size=b"\xff" * 12)), D, "negative"),
    "letters for a size": (lambda: tarred(item(b"a", size=b"0x10".ljust(12, b"\0"))), D, "neither zip nor tar"),
    "all renamed": (lambda: tarred(pax(b"path=b", sort=b"g"), item(b"a", b"x")), H, "one name"),
    "all of one size": (lambda: tarred(pax(b"size=5", sort=b"g"), item(b"a", b"x")), H, "one name"),
    "pax twice": (lambda: tarred(pax(b"path=a"), pax(b"path=b"), item(b"c")), H, "twice"),
    "one thing twice": (lambda: tarred(pax(b"path=a", b"path=b"), item(b"c")), H, "one thing twice"),
    "long name twice": (lambda: tarred(long(b"a"), long(b"b"), item(b"c")), H, "twice"),
    "two sorts of long names": (lambda: tarred(long(b"a"), pax(b"path=b"), item(b"c")), H, "two names"),
    "a long name of nothing": (lambda: tarred(long(b"a")), D, "cut off"),
    "a pax header of 2 MiB": (lambda: tarred(pax(b"a=" + b"x" * (2 << 20)), item(b"a")), H, "1,048,576 bytes"),
    "a pax header that says 4 EiB": (
        lambda: tarred(item(b"a", sort=b"x", size=b"\x80" + HUGE.to_bytes(11, "big"))), H, "1,048,576 bytes"),
    "a long name of 2 MiB": (lambda: tarred(long(b"a" * (2 << 20)), item(b"a")), H, "1,048,576 bytes"),
    "a long name of 2,000 bytes": (lambda: tarred(long(b"a" * 2000), item(b"a")), H, "1024 bytes"),
    "a pax length of many digits": (
        lambda: tarred(item(b"p", b"9" * 100_000 + b" a=b\n", sort=b"x"), item(b"a")), D, "cannot be read"),
    "a pax length of nought": (lambda: tarred(item(b"p", b"0 a=b\n", sort=b"x"), item(b"a")), D, "cannot be read"),
    "a pax length past the end": (lambda: tarred(item(b"p", b"99 a=b\n", sort=b"x"), item(b"a")), D, "cannot be read"),
    "a pax record without a key": (lambda: tarred(item(b"p", b"5 ab\n", sort=b"x"), item(b"a")), D, "cannot be read"),
    "100,000 entries": (lambda: gzip.compress(tarred(head(b"a/") * MANY), 1), H, "50,000 files"),
    "100,000 headers for all": (lambda: gzip.compress(tarred(pax(b"a=b", sort=b"g") * MANY), 1), H, "50,000 files"),
    "wrong checksum": (lambda: tarred(spoiled(item(b"a", b"x"), 10)), D, "neither zip nor tar"),
    "cut off": (lambda: cut(tarred(item(b"a", b"x" * 9000))), D, "cut off"),
    "cut off between entries": (lambda: item(b"a", b"x" * 512), D, "cut off"),
    "more after its end": (lambda: tarred(item(b"a", b"x")) + tarred(item(b"b", b"x")), H, "goes on"),
    "gzip cut off": (lambda: cut(gzip.compress(tarred(item(b"a", b"x"))), 0.9), D, "cut off"),
    "gzip without its checksum": (lambda: gzip.compress(tarred(item(b"a", b"x")))[:-8], D, "cut off"),
    "gzip with a wrong checksum": (lambda: spoiled(gzip.compress(tarred(item(b"a", b"x"))), -8), D, "decompressed"),
    "gzip with garbage after it": (lambda: gzip.compress(tarred(item(b"a", b"x"))) + b"junk", D, "decompressed"),
    "gzip with more after the tar": (
        lambda: gzip.compress(tarred(item(b"a", b"x"))) + gzip.compress(b"more"), H, "goes on"),
    "gzip bomb": (lambda: gzip.compress(tarred(item(b"a", bytes(BOMB)))), H, "200 times"),
    "gzip bomb after the end": (lambda: gzip.compress(tarred(item(b"a")) + bytes(BOMB)), H, "200 times"),
    "bzip2 bomb": (lambda: bz2.compress(tarred(item(b"a", bytes(BOMB)))), H, "200 times"),
    "xz bomb": (lambda: lzma.compress(tarred(item(b"a", bytes(BOMB))), preset=0), H, "200 times"),
    "xz bomb of headers": (
        lambda: lzma.compress(tarred(pax(b"a=" + b"x" * 1_000_000, sort=b"g") * 24), preset=0), H, "200 times"),
    "xz with garbage after it": (lambda: lzma.compress(tarred(item(b"a", b"x"))) + b"junk" * 9, D, "decompressed"),
    "xz with a wrong checksum": (lambda: spoiled(lzma.compress(tarred(item(b"a", b"x"))), -30), D, "decompressed"),
    "xz with 4 GiB of memory": (xz_of_much_memory, D, "Memory"),
    "no gzip": (lambda: b"\x1f\x8bjunk" * 99, D, "decompressed"),
    "empty file": (lambda: b"", D, "cut off"),
    "text": (lambda: b"This is no archive.\n" * 99, D, "neither zip nor tar"),
    "one compressed file": (lambda: gzip.compress(b"This is no archive.\n" * 99), D, "neither zip nor tar"),
}  # fmt: skip

LINKS: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "out": (lambda: linked((b"a", b"../canary")), H, "leads out"),
    "out from a folder": (lambda: linked((b"a/b", b"../../canary")), H, "leads out"),
    "absolute": (lambda: linked((b"a", b"/etc/passwd")), H, "absolute"),
    "empty": (lambda: linked((b"a", b"")), H, "empty"),
    "out through another": (lambda: linked((b"a/b", b".."), (b"c", b"a/b/../canary")), H, "leads out"),
    "out through a later one": (lambda: linked((b"c", b"a/b/../canary"), (b"a/b", b"..")), H, "leads out"),
    "out through one of another case": (lambda: linked((b"a/b", b".."), (b"c", b"A/B/../canary")), H, "leads out"),
    "out through what is missing": (lambda: linked((b"a", b"missing/../..")), H, "leads out"),
    "up from a file": (lambda: linked((b"a", b"f/../.."), then=item(b"f", b"x")), H, "leads out"),
    "in a circle": (lambda: linked((b"a", b"b"), (b"b", b"a")), H, "leads out"),
    "to itself": (lambda: linked((b"a", b"a/a")), H, "leads out"),
    "through a hundred": (lambda: linked(*((b"l%d" % n, b"l%d/.." % (n + 1)) for n in range(100))), H, "leads out"),
    "a write through it": (lambda: linked((b"a", b"."), then=item(b"a/evil", b"x")), H, "no folder"),
    "a write over it": (lambda: linked((b"a", b"b"), then=item(b"a", b"x")), H, "twice"),
    "a folder over it": (lambda: linked((b"a", b"b"), then=item(b"a/", sort=b"5")), H, "twice"),
    "long": (lambda: tarred(long(b"a/" * 4000, b"K"), item(b"a", sort=b"2", goal=b"a")), H, "leads out"),
    "hard, out": (lambda: tarred(item(b"a", sort=b"1", goal=b"../canary")), H, "leads out"),
    "hard, absolute": (lambda: tarred(item(b"a", sort=b"1", goal=b"/etc/passwd")), H, "absolute"),
    "hard, to nothing": (lambda: tarred(item(b"a", sort=b"1", goal=b"b")), H, "no earlier file"),
    "hard, to itself": (lambda: tarred(item(b"a", sort=b"1", goal=b"a")), H, "no earlier file"),
    "hard, to what comes later": (
        lambda: tarred(item(b"a", sort=b"1", goal=b"b"), item(b"b", b"x")), H, "no earlier file"),
    "hard, to a symlink": (lambda: linked((b"a", b"b"), then=item(b"c", sort=b"1", goal=b"a")), H, "no earlier file"),
    "hard, through a symlink": (
        lambda: linked((b"a", b"d"), then=item(b"d/f", b"x") + item(b"c", sort=b"1", goal=b"a/f")),
        H, "no earlier file"),
    "hard, to a folder": (
        lambda: tarred(item(b"a/", sort=b"5"), item(b"b", sort=b"1", goal=b"a")), H, "no earlier file"),
    "hard, to the root": (lambda: tarred(item(b"a", sort=b"1", goal=b"./")), H, "no earlier file"),
    "in a zip": (lambda: zipped(Member(b"a", b"../canary", mode=SYMLINK)), H, "leads out"),
    "in a zip, long": (lambda: zipped(Member(b"a", b"a" * 2000, mode=SYMLINK)), H, "too far"),
    "in a zip, no text": (lambda: zipped(Member(b"a", b"a\0b", mode=SYMLINK)), H, "cannot be seen"),
}  # fmt: skip
ROWS = [
    *(pytest.param(*row, False, id=f"zip: {name}") for name, row in ZIPS.items()),
    *(pytest.param(*row, False, id=f"tar: {name}") for name, row in TARS.items()),
    *(pytest.param(*row, True, id=f"link: {name}") for name, row in LINKS.items()),
]


def contents(folder: Path) -> dict[str, bytes]:
    """All that is under a folder."""
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


@pytest.mark.parametrize(("make", "code", "why", "links"), ROWS)
def test_it_is_refused(make: Callable[[], bytes], code: str, why: str, links: bool, tmp_path: Path) -> None:
    (tmp_path / "canary").write_text("untouched")
    archive = tmp_path / "archive"
    archive.write_bytes(make())
    before = contents(tmp_path)
    with pytest.raises(BadInput) as raised:
        unpack(archive, tmp_path / "target", links=links)
    assert (raised.value.code, contents(tmp_path)) == (code, before)
    message = raised.value.message
    assert why in message and message.isprintable() and len(message) < 250 and str(tmp_path) not in message


def test_all_but_links_are_refused_where_links_are_allowed_too(tmp_path: Path) -> None:
    for name, (make, code, why) in [*ZIPS.items(), *TARS.items()]:
        if "is a link" in why or "100,000" in name or "bomb" in name:
            continue
        (tmp_path / "archive").write_bytes(make())
        with pytest.raises(BadInput) as raised:
            unpack(tmp_path / "archive", tmp_path / "target", links=True)
        assert raised.value.code == code and not (tmp_path / "target").exists(), name


def test_lower_limits(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("a/b/c", "x" * 1000)
    assert unpack(archive, tmp_path / "target", Limits(files=3, bytes=1000, depth=3))
    for limits in (Limits(files=2), Limits(bytes=999), Limits(depth=2), Limits(name=4), Limits(part=0)):
        with pytest.raises(BadInput) as raised:
            unpack(archive, tmp_path / "other", limits)
        assert raised.value.code == "hostile_archive" and not (tmp_path / "other").exists()


def test_names_that_the_file_system_refuses(tmp_path: Path) -> None:
    (tmp_path / "archive").write_bytes(zipped(Member(b"a" * 256)))
    with pytest.raises(BadInput) as raised:
        unpack(tmp_path / "archive", tmp_path / "target", Limits(part=300))
    assert raised.value.code == "hostile_archive" and "File name too long" in raised.value.message
    assert not (tmp_path / "target").exists()
