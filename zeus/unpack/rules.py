"""What an archive may ask for, what is counted while it is read, and the two ways to refuse it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum

import msgspec

from zeus.errors import BadInput

BLOCK = 1 << 18
"""Bytes that come out of a decoder at a time."""
FREE = 16 << 20
"""Bytes that may come out of any archive, however small it is: short texts and empty pictures compress very well."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The largest archive that is unpacked."""

    files: int = 50_000
    """Files, folders and links together."""
    bytes: int = 64 << 30
    """All that comes out, in bytes."""
    ratio: int = 200
    """All that comes out for each byte of the archive, where that is more than FREE."""
    depth: int = 32
    """Parts of a name."""
    part: int = 255
    """Bytes of one part of a name in UTF-8."""
    name: int = 1024
    """Bytes of a whole name in UTF-8."""


class Kind(StrEnum):
    """What an entry is to become."""

    FILE = "file"
    FOLDER = "folder"
    LINK = "link"
    """A symbolic link."""
    TWIN = "twin"
    """Another name of a file of the same archive: a hard link."""


class Entry(msgspec.Struct, frozen=True):
    """One entry of an archive. `blocks` can be read once; only a file has any, and only links have a `goal`."""

    name: str
    kind: Kind
    executable: bool = False
    goal: str = ""
    blocks: Iterator[bytes] = iter(())


class Meter:
    """Counts what comes out of one archive of `size` bytes, and stops what grows past its limits.

    `check` is called between any two blocks; what it raises ends the work.
    """

    def __init__(self, limits: Limits, size: int, check: Callable[[], None] | None = None) -> None:
        self.limits = limits
        self._ratio = max(FREE, limits.ratio * size)
        self._check = check
        self._entries = 0
        self._bytes = 0

    def look(self) -> None:
        """End here if the caller wants that."""
        if self._check is not None:
            self._check()

    def count(self, entries: int = 1) -> None:
        """Count entries, and folders that have none. Raises BadInput past the limit."""
        self._entries += entries
        if self._entries > self.limits.files:
            raise hostile(f"it holds more than {self.limits.files:,} files and folders")

    def grow(self, size: int) -> None:
        """Count bytes that came out. Raises BadInput past the limits."""
        self.look()
        self._bytes += size
        self.allow(self._bytes)

    def allow(self, total: int) -> None:
        """Raises BadInput when that many bytes in all are past the limits."""
        if total > self.limits.bytes:
            raise hostile(f"more than {self.limits.bytes:,} bytes come out of it")
        if total > self._ratio:
            raise hostile(f"more than {self.limits.ratio} times its size comes out of it")


def hostile(why: str, name: str | None = None) -> BadInput:
    """The error for an archive that breaks a rule, about one of its entries or the whole."""
    return BadInput(_text(why, name), code="hostile_archive")


def damaged(why: str, name: str | None = None) -> BadInput:
    """The error for an archive that is damaged, or of a sort that is not read here."""
    return BadInput(_text(why, name), code="invalid_archive")


def _text(why: str, name: str | None) -> str:
    if name is None:
        return f"The archive cannot be unpacked: {why}."
    shown = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in name[:80])
    return f'The archive cannot be unpacked: "{shown}" {why}.'
