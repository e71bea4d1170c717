"""A part of one frame while it is painted: its colours, and where its points lie in the picture."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from .fields import Plane
from .palette import Colour


class Canvas:
    """Rows of a frame.

    `rgb` is (3, rows, columns), 0..1. `y` (rows, 1) runs from 0 at the top of the picture to 1 at its bottom, `x`
    (1, columns) is 0 in its middle; both in units of the picture's height. `pixel` is the size of a pixel there.
    """

    def __init__(self, rgb: Plane, x: Plane, y: Plane, pixel: float, aspect: float) -> None:
        self.rgb = rgb
        self.x = x
        self.y = y
        self.pixel = pixel
        self.aspect = aspect

    @classmethod
    def band(cls, width: int, height: int, top: int, rows: int) -> Canvas:
        """The `rows` rows of a picture from row `top` on."""
        x = ((np.arange(width, dtype=np.float32) + 0.5) / height - width / height / 2)[None, :]
        y = ((np.arange(top, top + rows, dtype=np.float32) + 0.5) / height)[:, None]
        return cls(np.zeros((3, rows, width), np.float32), x, y, 1 / height, width / height)

    def view(self, left: float, top: float, right: float, bottom: float) -> Canvas | None:
        """The part within these bounds, sharing its colours with this canvas; None when there is none."""
        columns = np.flatnonzero((self.x[0] >= left) & (self.x[0] <= right))
        rows = np.flatnonzero((self.y[:, 0] >= top) & (self.y[:, 0] <= bottom))
        if not len(columns) or not len(rows):
            return None
        across = slice(int(columns[0]), int(columns[-1]) + 1)
        down = slice(int(rows.min()), int(rows.max()) + 1)
        return Canvas(self.rgb[:, down, across], self.x[:, across], self.y[down], self.pixel, self.aspect)

    def below(self, y: float) -> Canvas | None:
        """The part from the height `y` down."""
        return self.view(-np.inf, y, np.inf, np.inf)

    def above(self, y: float) -> Canvas | None:
        """The part above the height `y`."""
        return self.view(-np.inf, -np.inf, np.inf, y)

    def blend(self, colour: Colour | Plane, alpha: Plane | float) -> None:
        """Cover with a colour (or three planes of it) as much as `alpha` says."""
        for channel in range(3):
            plane = self.rgb[channel]
            plane += alpha * (colour[channel] - plane)

    def add(self, colour: Colour | Plane, amount: Plane | float) -> None:
        """Add light, less where it is bright already."""
        for channel in range(3):
            plane = self.rgb[channel]
            plane += (amount * colour[channel]) * np.maximum(1.15 - plane, 0)

    def edge(self, distance: Plane) -> Plane:
        """How much of a pixel is inside, for a distance (negative inside) in units of the picture's height."""
        return np.asarray(np.clip(0.5 - distance / self.pixel, 0, 1))


class Layer(Protocol):
    """One thing in the picture, painted over what is there already."""

    def paint(self, canvas: Canvas, time: float) -> None:
        """Paint as it is `time` seconds after the start."""


def splat(canvas: Canvas, x: Plane, y: Plane, radius: Plane, weight: Plane, hard: float = 0.0) -> Plane:
    """How much of each pixel is covered by discs; `hard` is how much of a radius is solid, the rest fades."""
    rows, columns = canvas.rgb.shape[1:]
    size = np.maximum(radius / canvas.pixel, 0.75)
    reach = int(np.ceil(float(size.max()))) if len(size) else 0
    px = (x - canvas.x[0, 0]) / canvas.pixel
    upright = 1.0 if rows < 2 or canvas.y[-1, 0] > canvas.y[0, 0] else -1.0  # reflections are painted upside down
    py = (y - canvas.y[0, 0]) / canvas.pixel * upright
    near = (px > -reach) & (px < columns + reach) & (py > -reach) & (py < rows + reach)
    px, py, size, weight = px[near], py[near], size[near], weight[near]
    step = np.arange(-reach, reach + 1)
    column = np.round(px).astype(np.int64)[:, None, None] + step[None, None, :]
    row = np.round(py).astype(np.int64)[:, None, None] + step[None, :, None]
    distance = np.sqrt((column - px[:, None, None]) ** 2 + (row - py[:, None, None]) ** 2) / size[:, None, None]
    value = np.clip((1 - distance) / (1.001 - hard), 0, 1)
    value = value * value * (3 - 2 * value) * weight[:, None, None]
    inside = (value > 0) & (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
    where = (row * columns + column)[inside]
    total = np.bincount(where, value[inside], rows * columns).reshape(rows, columns)
    return np.minimum(total, 1).astype(np.float32)


def streaks(canvas: Canvas, x: Plane, y: Plane, dx: Plane, dy: Plane, width: float, weight: Plane) -> Plane:
    """How much of each pixel is covered by lines from (x, y), fading towards (x + dx, y + dy)."""
    longest = float(np.max(np.hypot(dx, dy))) if len(x) else 0.0
    count = max(2, min(96, int(longest / max(width * 0.7, canvas.pixel * 0.8)) + 1))
    along = np.linspace(0, 1, count, dtype=np.float32)[None, :]
    px = (x[:, None] + dx[:, None] * along).ravel()
    py = (y[:, None] + dy[:, None] * along).ravel()
    faded = (weight[:, None] * (1 - along * 0.9)).ravel()
    return splat(canvas, px, py, np.full(len(px), width, np.float32), faded)
