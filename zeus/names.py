"""Making file names safe: whatever a client, an archive or an engine calls a file, it stays in its folder."""

from __future__ import annotations

import re
import unicodedata

from zeus.errors import BadInput

LONGEST = 200
"""Bytes of a name in UTF-8; file systems take 255, and engines put endings of their own behind it."""

DEVICES = re.compile(r"(CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(COM|LPT)[0-9¹²³])", re.IGNORECASE)


def safe_name(raw: str, field: str = "file") -> str:
    """The last part of a path by either slash, normalised, without control characters, never hidden or too long.

    Raises BadInput when nothing is left that can be a name.
    """
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in raw):
        raise BadInput(f"{field}: the file's name holds control characters.", code="invalid_filename")
    last = raw.replace("\\", "/").rpartition("/")[2]
    name = _trimmed(unicodedata.normalize("NFC", last))
    name = "".join("_" if character in '<>:"|?*' or not character.isprintable() else character for character in name)
    if not name.strip("._ "):
        raise BadInput(f'{field}: "{raw[:80]}" is no name for a file.', code="invalid_filename")
    return _settled(name)


def _settled(name: str) -> str:
    """The name once no rule changes it any more: cutting it may bare what another rule is about."""
    while (changed := shortened(_off_devices(_trimmed(name)))) != name:
        name = changed
    return name


def _trimmed(name: str) -> str:
    """Without dots and spaces at either end: at the front dots hide a file, at the back Windows drops both."""
    return re.sub(r"^[\s.]+|[\s.]+$", "", name)


def _off_devices(name: str) -> str:
    """A name that Windows takes for a file and not for one of its devices."""
    return f"_{name}" if DEVICES.fullmatch(name.partition(".")[0].rstrip()) else name


def shortened(name: str) -> str:
    """A name of at most LONGEST bytes that keeps its ending."""
    if len(name.encode()) <= LONGEST:
        return name
    stem, dot, ending = name.rpartition(".")
    if not stem or len(ending) > 16:
        stem, dot, ending = name, "", ""
    room = LONGEST - len((dot + ending).encode())
    return stem.encode()[:room].decode("utf-8", "ignore") + dot + ending


def without_folders(text: str) -> str:
    """A text for other people, with only the last part of each path that it names."""
    return re.sub(r"(?<![\w.])(?:/[^/\s'\":]+)*/(?=[^/\s'\":]+)", "", text)
