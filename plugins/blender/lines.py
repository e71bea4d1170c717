"""Reads what Blender prints while it renders, purely. The lines differ between versions; what they share is read."""

from __future__ import annotations

import re

import msgspec

_PREFIX = re.compile(r"^(?:\d+:)*\d+\.\d+\s+[\w.]+\s*\|\s*")
"""Of the log of Blender 5: a time and who speaks."""
_FRAME = re.compile(r"Fra:\s*(-?\d+)\b(.*)")
_TIME = r"(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)"
_REMAINING = re.compile(rf"Remaining:\s*{_TIME}")
_TILES = re.compile(r"Rendered (\d+)/(\d+) Tiles", re.IGNORECASE)
_SAMPLE = re.compile(r"Sample (\d+)/(\d+)|Rendering\s+(\d+)\s*/\s*(\d+) samples", re.IGNORECASE)
_SAVED = re.compile(r"Saved:\s*(['\"]?)(.+)\1\s*$")
_STARTED = re.compile(r"zeus: rendering with (\S+) on (.+)")
_PROBLEM = re.compile(r"zeus problem: (.+)")
_ERROR = re.compile(r"(?:\w+\s+)?(?:ERROR|\w*Error|Render error)\b[^:]*?:?\s*(.+)")
_HARMLESS = re.compile(
    r"EGL Error|Error in PyDriver|ERROR \(?(?:gpu|wm)\.|Error: strokes set empty|ALSA|Color management"
)
MESSAGES = 20


class Rendering(msgspec.Struct, frozen=True):
    """A frame in the making: how much of it is done, from 0 to 1, what Blender is at, and seconds left of it."""

    frame: int
    fraction: float
    doing: str
    remaining: float | None = None


class Saved(msgspec.Struct, frozen=True):
    """A file was written."""

    path: str


class Started(msgspec.Struct, frozen=True):
    """The scene is set up; what renders it, on what."""

    engine: str
    device: str


Event = Rendering | Saved | Started


class LineReader:
    """Takes line after line; keeps what told of an error, and why our own script gave up."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self.problem: str | None = None

    def feed(self, line: str) -> Event | None:
        """What a line says, or None."""
        words = _PREFIX.sub("", line.strip())
        if match := _FRAME.match(words):
            return _rendering(int(match[1]), match[2])
        if match := _SAVED.match(words):
            return Saved(match[2])
        if match := _STARTED.match(words):
            return Started(match[1], match[2])
        if match := _PROBLEM.match(words):
            self.problem = match[1]
        elif _ERROR.match(words) and not _HARMLESS.search(words) and len(self.errors) < MESSAGES:
            self.errors.append(words)
        return None


def _rendering(frame: int, rest: str) -> Rendering:
    left = _REMAINING.search(rest)
    remaining = None if left is None else int(left[1] or 0) * 3600 + int(left[2]) * 60 + float(left[3])
    doing = rest.rpartition("|")[2].strip()
    return Rendering(frame, _fraction(rest), doing[:80], remaining)


def _fraction(rest: str) -> float:
    """Tiles count before samples, which begin again in each tile."""
    tiles, sample = _TILES.search(rest), _SAMPLE.search(rest)
    done = _part(sample.group(1) or sample.group(3), sample.group(2) or sample.group(4)) if sample else 0.0
    if tiles is None:
        return done
    whole = _part(tiles[1], tiles[2])
    return min(1.0, whole + done / max(1, int(tiles[2]))) if whole < 1.0 else 1.0


def _part(done: str, of: str) -> float:
    return min(1.0, int(done) / max(1, int(of)))
