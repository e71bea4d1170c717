"""Reads what `ffmpeg -progress pipe:1` prints, purely: blocks of key=value lines, each ended by `progress=`."""

from __future__ import annotations

import re

import msgspec

_LINE = re.compile(
    r"(frame|fps|stream_\d+_\d+_\w+|bitrate|total_size|out_time_us|out_time_ms|out_time|dup_frames|drop_frames"
    r"|speed|progress)=\s*(.*)"
)
_NOISE = re.compile(r"Svt\[(?:info|warn)|x265 \[info|Last message repeated|Conversion failed")
_SPEAKER = re.compile(r"^(?:\[[^\]]* @ 0x[0-9a-f]+\]\s*)*(?:\[(\w+)\]\s*)?")
"""Who says it and, with `-v level+warning`, how grave it is."""
MESSAGES = 20


class Progress(msgspec.Struct, frozen=True):
    """One block. `seconds` of output written; None where FFmpeg does not know (it prints N/A)."""

    seconds: float | None
    frame: int | None
    speed: float | None
    ended: bool

    def fraction(self, seconds: float | None, frames: int | None) -> float:
        """How much of the expected seconds or frames is done, from 0 to 1; 0 when nothing is known."""
        if seconds and self.seconds is not None:
            return min(1.0, self.seconds / seconds)
        if frames and self.frame is not None:
            return min(1.0, self.frame / frames)
        return 1.0 if self.ended else 0.0

    def remaining(self, seconds: float | None) -> float | None:
        """Seconds until the end at the present speed, or None."""
        if not seconds or self.seconds is None or not self.speed:
            return None
        return max(0.0, seconds - self.seconds) / self.speed


def is_progress(line: str) -> bool:
    """Whether a line belongs to a block, and tells a reader of the log nothing."""
    return _LINE.fullmatch(line.strip()) is not None


class ProgressReader:
    """Takes line after line; keeps the first that told of an error, for they name the cause of what follows."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self._block: dict[str, str] = {}

    def feed(self, line: str) -> Progress | None:
        """The progress that this line completes, or None."""
        match = _LINE.fullmatch(line.strip())
        if match is None:
            self._keep(line.strip())
            return None
        self._block[match[1]] = match[2].strip()
        if match[1] != "progress":
            return None
        block, self._block = self._block, {}
        return _progress(block)

    def _keep(self, line: str) -> None:
        speaker = _SPEAKER.match(line)
        assert speaker is not None
        words = line[speaker.end() :]
        if words and speaker[1] not in ("warning", "info") and len(self.errors) < MESSAGES and not _NOISE.match(words):
            self.errors.append(words)


def _progress(block: dict[str, str]) -> Progress:
    # out_time_ms is in microseconds too, whatever its name says; older builds have only that one
    micros = _number(block.get("out_time_us", block.get("out_time_ms", "")))
    frame = _number(block.get("frame", ""))
    return Progress(
        seconds=max(0.0, micros / 1e6) if micros is not None else None,
        frame=int(frame) if frame is not None else None,
        speed=_number(block.get("speed", "").removesuffix("x")),
        ended=block["progress"] == "end",
    )


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
