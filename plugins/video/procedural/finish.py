"""The last step of a frame: contrast, the look that a style word asks for, a vignette, grain, and bytes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .canvas import Canvas
from .fields import Dice, Plane
from .palette import hexed
from .words import Reading

_GREY = (0.299, 0.587, 0.114)


def _luma(rgb: Plane) -> Plane:
    return np.asarray(rgb[0] * _GREY[0] + rgb[1] * _GREY[1] + rgb[2] * _GREY[2], np.float32)


class Finish:
    """Turns a painted canvas into rows of a frame. `probe` is a small one, to measure the contrast on."""

    def __init__(self, reading: Reading, dice: Dice, probe: Canvas) -> None:
        self._reading = reading
        self._grain = (dice.rng("grain").standard_normal((3, 128, 128)) * 1.3).astype(np.float32)
        self._black, self._gain = 0.0, 1.0
        self._look(probe.rgb)
        light = _luma(probe.rgb)
        low, high = (float(value) for value in np.percentile(light, (1.5, 98.5)))
        spread = float(light.std())
        wanted = max(0.9 / max(high - low, 0.1), 0.235 / max(spread, 0.02))
        self._gain = min(max(wanted, 1.0), 2.1)
        self._calm = np.float32(1 - self._gain**-0.45)  # contrast makes colours louder: take that back
        middle = float(light.mean())
        aim = min(max(middle, 0.36), 0.6)
        self._black = middle - aim / self._gain

    def _look(self, rgb: Plane) -> None:
        """What style words do to the colours."""
        said = self._reading
        if "pastel" in said:
            grey = _luma(rgb)
            rgb += (grey * 0.35 + 0.65 - rgb) * 0.42
        if "neon" in said:
            grey = _luma(rgb)
            rgb += (rgb - grey) * 0.9
            rgb[0] += 0.16 * grey
            rgb[2] += 0.3 * (1 - grey) * grey + 0.08
            rgb[1] *= 0.8
        if "vintage" in said:
            self._toned(rgb, hexed("2c1c10"), hexed("ffe8b8"), 0.8)
        if "noir" in said:
            self._toned(rgb, (0, 0, 0), (1, 1, 1), 1.0)
        if "dreamy" in said:
            rgb += (1 - rgb) * np.clip(rgb, 0, 1) * np.array((0.5, 0.28, 0.55), np.float32)[:, None, None]

    def _toned(
        self, rgb: Plane, low: tuple[float, float, float], high: tuple[float, float, float], part: float
    ) -> None:
        grey = np.clip(_luma(rgb), 0, 1)
        for channel in range(3):
            rgb[channel] += (low[channel] + (high[channel] - low[channel]) * grey - rgb[channel]) * part

    def rows(self, canvas: Canvas, number: int, first: int) -> NDArray[np.uint8]:
        """The canvas as (rows, columns, 3); `number` is the frame's, `first` its first row's."""
        rgb = canvas.rgb
        np.clip(rgb, -0.05, 1.3, out=rgb)
        self._look(rgb)
        rgb -= self._black
        rgb *= self._gain
        rgb += (_luma(rgb) - rgb) * self._calm
        self._exposed(rgb)
        square = (canvas.x / max(canvas.aspect, 0.4)) ** 2 + (canvas.y - 0.5) ** 2
        rgb *= 255 * (1.04 - 0.42 * np.asarray(square, np.float32))
        rgb += self._noise(rgb.shape[1], rgb.shape[2], number, first)
        np.clip(rgb, 0, 255, out=rgb)
        return np.ascontiguousarray(np.moveaxis(rgb, 0, 2)).astype(np.uint8)

    def _exposed(self, rgb: Plane) -> None:
        if "dark" in self._reading:
            rgb *= 0.62
        if "bright" in self._reading:
            rgb *= 1.3
            rgb += 0.06

    def _noise(self, rows: int, columns: int, number: int, first: int) -> Plane:
        """Grain that is another one in each frame, so that no two frames are the same."""
        down = (np.arange(first, first + rows) + number * 37) % 128
        across = (np.arange(columns) + number * 61) % 128
        return self._grain[:, down[:, None], across[None, :]] + np.float32(0.5)
