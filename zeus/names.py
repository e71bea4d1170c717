"""Making file names safe: whatever a client, an archive or an engine calls a file, it stays in its folder."""

from __future__ import annotations

import unicodedata

from zeus.errors import BadInput

LONGEST = 200
"""Bytes of a name in UTF-8; file systems take 255, and engines put endings of their own behind it."""


def safe_name(raw: str, field: str = "file") -> str:
    """The last part of a path by either slash, normalised, without control characters, never hidden or too long.

    Raises BadInput when nothing is left that can be a name.
    """
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in raw):
        raise BadInput(f"{field}: the file's name holds control characters.", code="invalid_filename")
    last = raw.replace("\\", "/").rpartition("/")[2]
    name = unicodedata.normalize("NFC", last).strip().lstrip(".")
    name = "".join("_" if character in '<>:"|?*' or not character.isprintable() else character for character in name)
    if not name.strip("._ "):
        raise BadInput(f'{field}: "{raw[:80]}" is no name for a file.', code="invalid_filename")
    return shortened(name)


def shortened(name: str) -> str:
    """A name of at most LONGEST bytes that keeps its ending."""
    if len(name.encode()) <= LONGEST:
        return name
    stem, dot, ending = name.rpartition(".")
    if not stem or len(ending) > 16:
        stem, dot, ending = name, "", ""
    room = LONGEST - len((dot + ending).encode())
    return stem.encode()[:room].decode("utf-8", "ignore") + dot + ending
