"""The names of an archive's entries: which are allowed, alone and beside each other. Decided on names alone."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from zeus.unpack.rules import Entry, Kind, Limits, Meter, hostile

Parts = tuple[str, ...]
HOPS = 16
"""Links that one link may lead through."""
JOINERS = "\u200c\u200d"
"""Format characters that names are written with, in Persian or in emoji; the others only deceive."""


class Tree:
    """All that an archive makes so far."""

    def __init__(self, meter: Meter, *, links: bool) -> None:
        self._meter = meter
        self._links = links
        self._made: dict[Parts, tuple[str, Kind]] = {}
        """By folded name: the last part as it was written, and what it is."""
        self._goals: dict[Parts, tuple[Parts, str]] = {}
        """By folded name: each link's own name and where it leads."""

    def add(self, entry: Entry) -> Parts | None:
        """The parts of an entry's name; None for what is left out: the archive's root and what macOS adds.

        Raises BadInput for a name, a kind or a neighbour that is not allowed.
        """
        parts = parts_of(entry.name, self._meter.limits)
        if entry.kind in (Kind.LINK, Kind.TWIN) and not self._links:
            raise hostile("is a link", entry.name)
        if not parts and entry.kind is not Kind.FOLDER:
            raise hostile("is no name for a file", entry.name)
        if not parts or _of_macos(parts):
            return None
        if entry.kind is Kind.TWIN:
            self.twin_of(entry)  # before it has a place of its own, or it could name itself
        self._place(parts, entry)
        if entry.kind is Kind.LINK:
            _check_text(entry.goal, entry.name)
            self._goals[_folded(parts)] = parts, entry.goal
        return parts

    def twin_of(self, entry: Entry) -> Parts:
        """The parts of the file that a hard link names. Raises BadInput when no such file came before it."""
        parts = parts_of(entry.goal, self._meter.limits)
        if self._made.get(_folded(parts)) != (parts[-1:] and parts[-1], Kind.FILE):
            raise hostile("is a hard link to no earlier file of the archive", entry.name)
        return parts

    def links(self) -> Iterator[tuple[Parts, str]]:
        """Each symbolic link and where it leads, once all entries are there. Raises BadInput for one that leads out."""
        for parts, goal in self._goals.values():
            if not self._stays_inside(_folded(parts[:-1]), goal):
                raise hostile("is a link that leads out of the archive", "/".join(parts))
            yield parts, goal

    def _place(self, parts: Parts, entry: Entry) -> None:
        folded = _folded(parts)
        for depth, part in enumerate(parts, 1):
            is_last = depth == len(parts)
            kind = entry.kind if is_last else Kind.FOLDER
            if kind is Kind.TWIN:
                kind = Kind.FILE
            known = self._made.get(folded[:depth])
            if known is None:
                if not is_last:
                    self._meter.count()
                self._made[folded[:depth]] = part, kind
            elif known[0] != part:
                raise hostile(f'differs from "{known[0]}" only in how it is written', entry.name)
            elif known[1] is not Kind.FOLDER or kind is not Kind.FOLDER:
                raise hostile("is in the archive twice" if is_last else "lies in what is no folder", entry.name)

    def _stays_inside(self, folder: Parts, goal: str) -> bool:
        """Whether a link in a folder leads to somewhere in the tree, also through other links."""
        at, rest, hops = list(folder), _steps(goal), 0
        while rest:
            step = rest.pop()
            if step == "..":
                if not at or self._kind(at) is not Kind.FOLDER:
                    return False
                at.pop()
                continue
            at.append(step)
            if (link := self._goals.get(tuple(at))) is not None:
                hops += 1
                at.pop()
                rest += _steps(link[1])
            if hops > HOPS:
                return False
        return True

    def _kind(self, folded: list[str]) -> Kind | None:
        known = self._made.get(tuple(folded))
        return known and known[1]


def parts_of(raw: str, limits: Limits) -> Parts:
    """The parts of an entry's name, none for the root. Raises BadInput with the rule that it breaks."""
    if len(raw.encode()) > limits.name:
        raise hostile(f"is a name of more than {limits.name} bytes", raw)
    _check_text(raw, raw)
    name = raw.removesuffix("/").removeprefix("./")
    if name in ("", "."):
        return ()
    parts = tuple(name.split("/"))
    if ".." in parts:
        raise hostile("leads out of its folder", raw)
    if "" in parts or "." in parts:
        raise hostile("is a name with an empty part", raw)
    if any(len(part.encode()) > limits.part for part in parts):
        raise hostile(f"is a name with a part of more than {limits.part} bytes", raw)
    if len(parts) > limits.depth:
        raise hostile(f"lies more than {limits.depth} folders deep", raw)
    return parts


def _check_text(text: str, name: str) -> None:
    """Raises BadInput for what no name and no link's goal may hold."""
    if any(_is_unseen(character) for character in text):
        raise hostile("holds characters that cannot be seen", name)
    if "\\" in text:
        raise hostile("holds a backslash", name)
    if text.startswith("/") or re.match("[A-Za-z]:", text):
        raise hostile("is an absolute path", name)
    if not text:
        raise hostile("is empty", name)


def _is_unseen(character: str) -> bool:
    kind = unicodedata.category(character)
    return kind in ("Cc", "Cs", "Zl", "Zp") or (kind == "Cf" and character not in JOINERS)


def _of_macos(parts: Parts) -> bool:
    """Whether it is one of the files that macOS puts beside the real ones."""
    return parts[0] == "__MACOSX" or parts[-1] == ".DS_Store" or parts[-1].startswith("._")


def _folded(parts: Parts) -> Parts:
    """The same for all spellings that some file system takes for one."""
    return tuple(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", part).casefold()) for part in parts)


def _steps(goal: str) -> list[str]:
    """The steps of a link, folded, the first one last."""
    return [step for step in reversed(_folded(tuple(goal.split("/")))) if step not in ("", ".")]
