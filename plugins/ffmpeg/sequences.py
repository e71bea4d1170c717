"""Image sequences: the pattern in a path such as shot_####.png or shot_%04d.png, and the frames that it names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import msgspec

from zeus.engine import Span
from zeus.errors import BadInput

_PATTERN = re.compile(r"#+|%(?:0?(\d{1,2}))?d")
PICTURES = frozenset({"png", "jpg", "jpeg", "tif", "tiff", "exr", "bmp", "webp", "dpx", "tga", "hdr", "ppm", "pgm"})
"""Endings of frames. A picture is all that its decoder will take: there are no formats here that refer to others."""


class Sequence(msgspec.Struct, frozen=True):
    """A numbered row of files: `before`, the number in `digits` digits or more, `after`."""

    folder: Path
    before: str
    digits: int
    after: str

    def frame(self, number: int) -> Path:
        """The path of one frame."""
        return self.folder / f"{self.before}{number:0{self.digits}d}{self.after}"

    @property
    def stem(self) -> str:
        """The name without number and ending."""
        return self.before.rstrip("_-. ")

    @property
    def pattern(self) -> str:
        """The path as FFmpeg's image2 reads it, in which every other % is doubled."""
        number = f"%0{self.digits}d" if self.digits > 1 else "%d"
        before, after = (text.replace("%", "%%") for text in (f"{self.folder}/{self.before}", self.after))
        return f"{before}{number}{after}"


def find_sequence(path: Path) -> Sequence | None:
    """The sequence that a path means, or None for an ordinary file. A file of exactly this name comes first."""
    matches = list(_PATTERN.finditer(path.name))
    if not matches or path.exists():
        return None
    last = matches[-1]
    if path.suffix[1:].lower() not in PICTURES:
        raise BadInput(f"{path.name} is not there; as a sequence it would have to name pictures, such as .png.")
    digits = int(last[1] or 1) if last[0].startswith("%") else len(last[0])
    return Sequence(path.absolute().parent, path.name[: last.start()], digits, path.name[last.end() :])


def settle_span(sequence: Sequence, span: Span | None) -> Span:
    """The frames to read: those asked for, or all from the first to the last. Raises BadInput, naming missing ones."""
    name = f"{sequence.before}{'#' * sequence.digits}{sequence.after}"
    if span is None:
        numbers = _numbers(sequence)
        if not numbers:
            raise BadInput(f"No frame of {name} is there.")
        span = Span(min(numbers), max(numbers))
    missing = [n for n in range(span.start, span.end + 1) if not sequence.frame(n).is_file()]
    if missing:
        raise BadInput(f"Frames of {name} are missing: {_ranges(missing)}.")
    return span


def _numbers(sequence: Sequence) -> list[int]:
    name = re.compile(re.escape(sequence.before) + rf"(\d{{{sequence.digits},9}})" + re.escape(sequence.after))
    if not sequence.folder.is_dir():
        return []
    found = (name.fullmatch(entry.name) for entry in sequence.folder.iterdir())
    return [int(match[1]) for match in found if match]


def _ranges(numbers: Iterable[int]) -> str:
    """1, 4-6 and 9; at most ten parts of it."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    words = [str(first) if first == last else f"{first}-{last}" for first, last in parts]
    return ", ".join(words[:10]) + (" and more" if len(words) > 10 else "")
