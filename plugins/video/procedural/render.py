"""One picture from a prompt and a seed: its frames, one at a time, as bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from .canvas import Canvas
from .fields import Dice
from .finish import Finish
from .scene import compose
from .words import Reading, read

_BAND = 600_000
"""Points that are painted at a time: it bounds the memory, whatever the size of the frame."""
_MARGIN = 2


class Picture:
    """An animated picture. The same prompt, seed, size and rate give the same bytes in any process."""

    def __init__(self, said: Reading, entropy: bytes, width: int, height: int, fps: float) -> None:
        self._width, self._height, self._fps = width, height, fps
        dice = Dice(entropy)
        self._layers = compose(said, dice, width / height)
        self._start = dice.between("start", 4, 20)
        self._tempo = (2.6 if "fast" in said else 1.0) * (0.4 if "slow" in said else 1.0)
        rows = max(8, min(64, height))
        probe = Canvas.band(max(8, min(2 * rows, round(rows * width / height))), rows, 0, rows)
        for layer in self._layers:
            layer.paint(probe, self._start * self._tempo)
        self._finish = Finish(said, dice, probe)

    def frame(self, number: int, check: Callable[[], None] = lambda: None) -> Iterator[NDArray[np.uint8]]:
        """The frame in bands of rows from the top, each (rows, columns, 3); `check` may raise to stop it."""
        time = (self._start + number / self._fps) * self._tempo
        rows = max(8, min(self._height, _BAND // self._width))
        for top in range(0, self._height, rows):
            count = min(rows, self._height - top)
            canvas = Canvas.band(self._width, self._height, top - _MARGIN, count + 2 * _MARGIN)
            for layer in self._layers:
                check()
                layer.paint(canvas, time)
            inner = Canvas(
                canvas.rgb[:, _MARGIN:-_MARGIN], canvas.x, canvas.y[_MARGIN:-_MARGIN], canvas.pixel, canvas.aspect
            )
            yield self._finish.rows(inner, number, top)


def picture(prompt: str, seed: int, width: int, height: int, fps: float) -> Picture:
    """The picture that a prompt and a seed describe."""
    said = read(prompt)
    entropy = hashlib.sha256(said.digest + seed.to_bytes(8, "big")).digest()
    return Picture(said, entropy, width, height, fps)


def still(prompt: str, seed: int, width: int, height: int, *, number: int = 0, fps: float = 24) -> NDArray[np.uint8]:
    """One whole frame, (height, width, 3)."""
    return np.concatenate(list(picture(prompt, seed, width, height, fps).frame(number)))
