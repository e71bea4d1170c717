"""What the inference executor calls: paints all frames and writes them to the encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from ..pipe import FramePipe
from .render import picture


class Caller(Protocol):
    """What this needs of a computation (`zeus.engine.Computation`)."""

    def report(self, value: int) -> None: ...

    def check(self) -> None: ...


def generate(
    job: Caller, *, prompt: str, seed: int, width: int, height: int, num_frames: int, fps: float, target: str
) -> int:
    """Write `num_frames` frames of `height` × `width` × 3 bytes to `target`, a named pipe or file.

    Reports the number of frames written, and returns it.
    """
    job.check()
    with FramePipe(Path(target), job.check) as pipe:
        made = picture(prompt, seed, width, height, fps)
        for number in range(num_frames):
            for rows in made.frame(number, job.check):
                pipe.write(rows.data)
            job.report(number + 1)
    return num_frames
