"""What stands on the horizon: ridges, rows of trees, trunks, cities."""

from __future__ import annotations

import numpy as np

from .canvas import Canvas
from .fields import Dice, Plane, along, line, smooth
from .palette import Colour, Palette, mix
from .shapes import Point


class Ridges:
    """Mountains, hills or waves of paper, one row behind the other, paler the farther away."""

    def __init__(
        self,
        dice: Dice,
        palette: Palette,
        colour: Colour,
        horizon: float,
        *,
        rows: int = 4,
        rough: float = 0.5,
        tall: float = 0.3,
        snow: float = 0.0,
        light: Point = (0.0, 0.0),
        speed: float = 0.02,
        spread: float = 0.0,
        name: str = "ridges",
    ) -> None:
        """`rough` 0..1 from dunes to peaks, `tall` in heights of the picture, `spread` how far down the rows reach."""
        self._rows = [line(dice.rng(f"{name}{index}"), 2.5 - rough * 1.05) for index in range(rows)]
        self._palette, self._colour, self._horizon = palette, colour, horizon
        self._rough, self._tall, self._snow, self._spread = rough, tall, snow, spread
        self._side = 1.0 if light[0] > 0 else -1.0
        self._speed = speed * dice.side("pan")

    def _profile(self, index: int, x: Plane) -> Plane:
        values = along(self._rows[index], x)
        peaks = 1 - np.abs(2 * values - 1)
        return np.asarray(values + (peaks - values) * self._rough, np.float32)

    def paint(self, canvas: Canvas, time: float) -> None:
        for index in range(len(self._rows)):
            self._row(canvas, time, index, (index + 0.5) / len(self._rows))

    def _row(self, canvas: Canvas, time: float, index: int, near: float) -> None:
        base = self._horizon + 0.02 + self._spread * near
        tall = self._tall * (1.15 - 0.75 * near if not self._spread else 1)
        part = canvas.view(-np.inf, base - tall - 0.02, np.inf, np.inf)
        if part is None:
            return
        run = part.x * (0.30 - 0.1 * near) + time * self._speed * (0.3 + near) + index * 0.31
        height = self._profile(index, run)
        depth = part.y - (base - tall * height)
        lean = run + depth * (0.22 * self._side)
        slope = (self._profile(index, lean + 0.012) - self._profile(index, lean)) * (26 * self._side)
        cover = part.edge(-depth)
        haze = (1 - near) * 0.72
        low = self._palette.far(self._colour, min(1.0, haze + 0.2))
        high = self._palette.far(mix(self._colour, self._palette.light, 0.12), haze * 0.85)
        fade = np.clip(depth / (tall + 0.1), 0, 1)
        shade = 1 + (0.1 + 0.2 * self._rough) * np.clip(slope, -1, 1) * (1 - fade * 0.8)
        part.blend(np.stack([(a + (b - a) * fade) * shade for a, b in zip(high, low, strict=True)]), cover)
        if self._snow:
            jag = along(self._rows[index], run * 7) * 0.07 + along(self._rows[index], lean * 5) * 0.05
            line_of_snow = base - tall * (1 - self._snow * 1.7)
            cap = cover * smooth(0.012, -0.012, part.y - line_of_snow - jag + 0.06)
            white = mix(self._palette.lit((1, 1, 1)), self._palette.light, 0.55)
            part.blend(mix(white, self._palette.middle, haze * 0.35), cap * np.clip(0.72 + 0.28 * slope, 0.35, 1))


class Trees:
    """Rows of firs, or of round trees, on the horizon; taller and darker in front."""

    def __init__(
        self,
        dice: Dice,
        palette: Palette,
        colour: Colour,
        horizon: float,
        *,
        tall: float = 0.3,
        rows: int = 3,
        speed: float = 0.03,
    ) -> None:
        self._tables = dice.rng("trees").uniform(size=(rows * 2, 3, 256)).astype(np.float32)
        self._palette, self._colour, self._horizon, self._tall = palette, colour, horizon, tall
        self._speed = speed * dice.side("pan")

    def paint(self, canvas: Canvas, time: float) -> None:
        for index, table in enumerate(self._tables):
            near = (index + 1) / len(self._tables)
            self._row(canvas, time, table, near)

    def _row(self, canvas: Canvas, time: float, table: Plane, near: float) -> None:
        base = self._horizon + 0.035 + 0.16 * near * near
        tall = self._tall * (0.45 + 0.75 * near)
        part = canvas.view(-np.inf, base - tall * 1.05, np.inf, base + 0.03)
        if part is None:
            return
        place = (part.x + time * self._speed * near + near * 3.7) / (tall * 0.34)
        cell = np.floor(place)
        which = cell.astype(np.int64) % 256
        height = tall * (0.55 + 0.45 * table[0][which])
        sway = 0.02 * np.sin(time * 1.4 + table[2][which] * 6.3)
        down = (part.y - (base - height)) / height
        centre = 0.5 + (table[1][which] - 0.5) * 0.5 + sway * (1 - down)
        steps = down * 7 + table[2][which]
        wide = np.clip(down, 0, 1) * (0.34 + 0.2 * (steps - np.floor(steps)))
        distance = (np.abs(place - cell - centre) - wide) * tall * 0.34
        alpha = part.edge(distance) * (down > 0)
        haze = (1 - near) * 0.75
        part.blend(self._palette.far(mix(self._colour, (0, 0, 0), near * 0.55), haze), alpha)


class Trunks:
    """The trunks of a near forest, bare and dark, passing by."""

    def __init__(self, dice: Dice, palette: Palette, colour: Colour, speed: float = 0.05) -> None:
        self._table = dice.rng("trunks").uniform(size=(2, 3, 64)).astype(np.float32)
        self._bend = line(dice.rng("bend"), 1.8)
        self._palette, self._colour = palette, colour
        self._speed = speed * dice.side("pan")

    def paint(self, canvas: Canvas, time: float) -> None:
        for index, near in enumerate((0.45, 1.0)):
            table, spacing = self._table[index], 0.3 + 0.22 * near
            place = (canvas.x + time * self._speed * near + 7.3 * near) / spacing
            cell = np.floor(place)
            which = cell.astype(np.int64) % 64
            centre = 0.3 + 0.4 * table[0][which] + (along(self._bend, canvas.y * 0.3 + near) - 0.5) * 0.16
            flare = np.clip(canvas.y - 0.7 - 0.12 * near, 0, 1) ** 2 * 0.9
            wide = (0.018 + 0.04 * table[1][which]) * near + flare
            distance = np.abs(place - cell - centre) * spacing - wide
            end = np.clip((0.76 + 0.2 * near - canvas.y) * 40, 0, 1)
            colour = self._palette.far(mix(self._colour, (0, 0, 0), 0.35 + 0.4 * near), 0.5 * (1 - near))
            canvas.blend(colour, canvas.edge(distance) * end * (table[2][which] > 0.25))


class City:
    """Blocks of towers with lit windows, some going on and off."""

    def __init__(self, dice: Dice, palette: Palette, horizon: float, *, tall: float = 0.5) -> None:
        rng = dice.rng("city")
        self._towers = rng.uniform(size=(3, 4, 64)).astype(np.float32)
        self._lamps = rng.uniform(size=4096).astype(np.float32)
        self._palette, self._horizon, self._tall = palette, horizon, tall
        self._speed = 0.012 * dice.side("pan")

    def paint(self, canvas: Canvas, time: float) -> None:
        for index, towers in enumerate(self._towers):
            self._row(canvas, time, towers, (index + 1) / 3)

    def _row(self, canvas: Canvas, time: float, towers: Plane, near: float) -> None:
        base, tall = self._horizon + 0.06 * near * near + 0.01, self._tall * (1.15 - 0.45 * near)
        part = canvas.view(-np.inf, base - tall, np.inf, base)
        if part is None:
            return
        spacing = 0.09 + 0.06 * near
        place = (part.x + time * self._speed * near + 5.1 * near) / spacing
        cell = np.floor(place)
        which = cell.astype(np.int64) % 64
        inside = place - cell
        gap = 0.5 - (0.34 + 0.16 * towers[1][which])
        height = tall * (0.25 + 0.75 * towers[0][which] ** 1.6)
        roof = height * np.where(towers[2][which] > 0.7, 1 - 0.18 * (np.abs(inside - 0.5) > 0.26), 1.0)
        top = base - roof + np.where(np.abs(inside - 0.5) < 0.02, -0.05 * (towers[3][which] > 0.6), 0)
        solid = part.edge(top - part.y) * ((inside > gap) & (inside < 1 - gap))
        dark = self._palette.far((0.13, 0.15, 0.22) if self._palette.dark else (0.42, 0.46, 0.56), 0.75 * (1 - near))
        lower = mix(dark, self._palette.horizon, 0.2)
        fade = np.clip((part.y - base + tall) / tall, 0, 1)
        part.blend(np.stack([a + (b - a) * fade for a, b in zip(dark, lower, strict=True)]), solid)
        self._windows(part, time, place, which, solid * (part.y > base - height + 0.012), near)

    def _windows(self, part: Canvas, time: float, place: Plane, which: Plane, solid: Plane, near: float) -> None:
        across, down = place * 7, part.y * (62 - 22 * near)
        column, row = np.floor(across), np.floor(down)
        number = (column.astype(np.int64) * 37 + row.astype(np.int64) * 113) % 4096
        lamp = self._lamps[number]
        share = 0.5 if self._palette.dark else 0.32
        lit = lamp + 0.05 * np.sin(time * 0.8 + lamp * 300) < share
        pane = (np.abs(across - column - 0.5) < 0.3) & (np.abs(down - row - 0.5) < 0.27)
        warm = np.stack([np.full_like(lamp, 1.0), 0.72 + 0.28 * (lamp * 9 % 1), 0.32 + 0.6 * (lamp * 23 % 1) ** 2])
        strength = solid * pane * lit * ((0.5 + 0.5 * near) if self._palette.dark else 0.6 * near)
        part.blend(warm.astype(np.float32), strength.astype(np.float32))
