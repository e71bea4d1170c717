"""Decompression in bounded pieces: never more than a block comes out at a time, whatever goes in."""

from __future__ import annotations

import bz2
import lzma
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from zeus.unpack.rules import BLOCK, Meter, damaged

TAKEN = 1 << 16
"""Bytes that are read from an archive at a time."""
MEMORY = 256 << 20
"""Bytes that an LZMA decoder may take. The presets of xz need up to 65 MiB."""


class Decoder(Protocol):
    """What bz2 and lzma have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /, max_length: int) -> bytes: ...


class Inflate:
    """zlib's decoder with the same face; `bits` as zlib has them: -15 for bare deflate, 31 for gzip."""

    def __init__(self, bits: int) -> None:
        self._inner = zlib.decompressobj(bits)
        self._was_full = False

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        # A full piece may have left some of its match behind in the decoder, with no input left to show for it.
        return not self._inner.unconsumed_tail and not self._was_full

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, /, max_length: int) -> bytes:
        piece = self._inner.decompress(self._inner.unconsumed_tail + data, max_length)
        self._was_full = len(piece) == max_length
        return piece


def gzip_decoder() -> Decoder:
    return Inflate(31)


def deflate_decoder() -> Decoder:
    return Inflate(-15)


def bzip2_decoder() -> Decoder:
    return bz2.BZ2Decompressor()


def xz_decoder() -> Decoder:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MEMORY)


def lzma_decoder() -> Decoder:
    return lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=MEMORY)


def taken(file: int, start: int, end: int, meter: Meter, name: str | None = None) -> Iterator[bytes]:
    """The bytes of an open file from `start` to `end`. Raises BadInput when it ends before."""
    while start < end:
        meter.look()
        block = os.pread(file, min(TAKEN, end - start), start)
        if not block:
            raise damaged("it is cut off" if name is None else "is cut off", name)
        start += len(block)
        yield block


def decoded(blocks: Iterable[bytes], decoder: Decoder, name: str) -> Iterator[bytes]:
    """What one compressed stream holds. Raises BadInput unless it ends with the last of the blocks."""
    for block in blocks:
        if decoder.eof:
            raise damaged("has more data than belongs to it", name)
        yield from _pieces(decoder, block, name)
    if not decoder.eof:
        raise damaged("is cut off", name)
    if decoder.unused_data:
        raise damaged("has more data than belongs to it", name)


def joined(blocks: Iterable[bytes], make: Callable[[], Decoder]) -> Iterator[bytes]:
    """What compressed streams one behind the other hold; zeros may stand after each. Raises BadInput for all else."""
    decoder = make()
    for block in blocks:
        while block:
            if decoder.eof:
                block = block.lstrip(b"\0")
                if not block:
                    break
                decoder = make()
            yield from _pieces(decoder, block, None)
            block = decoder.unused_data if decoder.eof else b""
    if not decoder.eof:
        raise damaged("it is cut off")


def _pieces(decoder: Decoder, block: bytes, name: str | None) -> Iterator[bytes]:
    while True:
        try:
            piece = decoder.decompress(block, BLOCK)
        except (zlib.error, lzma.LZMAError, OSError, EOFError) as error:
            raise damaged(f"cannot be decompressed ({error})", name or "it") from error
        if piece:
            yield piece
        if decoder.eof or decoder.needs_input:
            return
        block = b""
