"""What a job is cut into where several nodes share it, and what comes back of each piece."""

from __future__ import annotations

from pathlib import Path
from typing import Generic

import msgspec

from zeus.engine.facts import Span
from zeus.engine.tools import A


class Piece(msgspec.Struct, Generic[A], frozen=True):
    """One piece of a job that is split in parts: a job of its own, with an input, arguments and frames of its own.

    `name` is for people; `input` lies in the `out` of the context that it was cut in; `span` are the frames of that
    input which the piece is, None where all of it is.
    """

    name: str
    input: Path
    args: A
    span: Span | None = None


class Made(msgspec.Struct, frozen=True):
    """What one piece has made: its outputs, not to be changed, in the order in which they were published."""

    name: str
    files: tuple[Path, ...]
    span: Span | None = None
