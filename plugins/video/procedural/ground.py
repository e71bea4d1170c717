"""What lies below the horizon: the ground, grass, flowers, a road, mist."""

from __future__ import annotations

import numpy as np

from .canvas import Canvas, splat
from .fields import Dice, Plane, along, grid, line, tile, warped
from .palette import Colour, Palette, mix


class Ground:
    """The earth in front: grass, sand, snow or stone, rough in perspective, lit from the horizon."""

    def __init__(
        self, dice: Dice, palette: Palette, colour: Colour, horizon: float, *, rough: float = 0.5, speed: float = 0.03
    ) -> None:
        self._edge, self._tile = line(dice.rng("edge"), 1.7), tile(dice.rng("ground"), power=1.15)
        self._palette, self._colour, self._horizon, self._rough = palette, colour, horizon, rough
        self._speed = speed * dice.side("pan")

    def paint(self, canvas: Canvas, time: float) -> None:
        part = canvas.below(self._horizon - 0.03)
        if part is None:
            return
        top = self._horizon + (along(self._edge, part.x * 0.22 + time * self._speed * 0.4) - 0.5) * 0.05
        depth = part.y - top
        near = np.clip(depth / (1.02 - self._horizon), 0.001, 1)
        scale = 0.34 / (near[:, :1] + 0.12)
        grain = warped(self._tile, (part.x + time * self._speed * (0.4 + near)) * scale, np.sqrt(near) * 2.2 + 0.1)
        far, close = self._palette.far(self._colour, 0.55), self._palette.lit(mix(self._colour, (0, 0, 0), 0.25))
        shade = 1 + (grain - 0.5) * self._rough * (0.3 + 0.9 * near)
        planes = [(a + (b - a) * near) * shade for a, b in zip(far, close, strict=True)]
        part.blend(np.stack(planes).astype(np.float32), part.edge(-depth))


class Grass:
    """Blades that sway in the wind, in rows towards the viewer."""

    def __init__(self, dice: Dice, palette: Palette, colour: Colour, horizon: float, *, speed: float = 0.03) -> None:
        self._table = dice.rng("grass").uniform(size=(9, 3, 512)).astype(np.float32)
        self._palette, self._colour, self._horizon, self._tall = palette, colour, horizon, 0.13
        self._speed = speed * dice.side("pan")

    def paint(self, canvas: Canvas, time: float) -> None:
        for index, table in enumerate(self._table):
            near = (index + 1) / len(self._table)
            base = self._horizon + 0.03 + (1.04 - self._horizon) * near**1.5
            tall = self._tall * (0.3 + 1.1 * near)
            part = canvas.view(-np.inf, base - tall, np.inf, base)
            if part is not None:
                self._row(part, time, table, near, base, tall)

    def _row(self, part: Canvas, time: float, table: Plane, near: float, base: float, tall: float) -> None:
        up = (base - part.y) / tall
        spacing = 0.008 + 0.016 * near
        wind = np.sin(time * 2.1 + part.x * 4 + near * 5) * 0.5 + np.sin(time * 3.7 + part.x * 9) * 0.2 + 0.35
        lean = wind * up * up * 0.3 * tall
        place = (part.x + time * self._speed * (0.3 + near) - lean) / spacing
        cell = np.floor(place)
        which = cell.astype(np.int64) % 512
        reach = 0.35 + 0.65 * table[0][which]
        wide = 0.42 * np.clip(1 - up / reach, 0, 1)
        alpha = np.clip(0.5 + (wide - np.abs(place - cell - 0.5)) * (spacing / part.pixel), 0, 1) * (up < reach)
        tone = (0.72 + 0.4 * table[1][which]) * (0.72 + 0.5 * up)
        colour = self._palette.far(mix(self._colour, (0, 0, 0), 0.1 * near), 0.5 * (1 - near))
        part.blend(np.stack([channel * tone for channel in colour]).astype(np.float32), alpha.astype(np.float32))


class Blooms:
    """Flowers all over the ground, larger in front."""

    def __init__(
        self, dice: Dice, palette: Palette, horizon: float, aspect: float, colour: Colour | None, speed: float = 0.03
    ) -> None:
        rng = dice.rng("blooms")
        count = int(170 * max(1.0, aspect))
        near = np.sort(rng.uniform(0.02, 1, count)) ** 0.8
        self._near, self._y = near.astype(np.float32), (horizon + 0.04 + (0.98 - horizon) * near).astype(np.float32)
        self._x = ((rng.uniform(size=count) - 0.5) * aspect * 1.2).astype(np.float32)
        self._kind = rng.integers(0, 3, count)
        base = colour or palette.accent
        self._colours = (base, mix(base, (1, 1, 1), 0.6), mix(base, (1, 0.8, 0.1), 0.6))
        self._palette = palette
        self._speed, self._wide = speed * dice.side("pan"), aspect * 1.2

    def paint(self, canvas: Canvas, time: float) -> None:
        x = self._x - time * self._speed * (0.3 + self._near)
        x = (x + self._wide / 2) % self._wide - self._wide / 2
        x = x + 0.01 * self._near * np.sin(time * 2.1 + self._x * 9)
        size = 0.004 + 0.017 * self._near
        for kind, colour in enumerate(self._colours):
            some = self._kind == kind
            tone = mix(self._palette.lit(colour), colour, 0.5)
            for petal in range(5):
                angle = petal * 1.2566 + self._x[some] * 5
                px, py = x[some] + np.cos(angle) * size[some] * 0.75, self._y[some] + np.sin(angle) * size[some] * 0.5
                full = np.ones(len(px), np.float32)
                canvas.blend(tone, splat(canvas, px, py, (size[some] * 0.7).astype(np.float32), full, 0.6))
            heart = (size[some] * 0.45).astype(np.float32)
            middle = splat(canvas, x[some], self._y[some], heart, np.ones(len(heart), np.float32), 0.5)
            canvas.blend(self._palette.lit((1, 0.85, 0.25)), middle)


class Road:
    """A road to the horizon with a broken line."""

    def __init__(self, dice: Dice, palette: Palette, horizon: float) -> None:
        self._palette, self._horizon = palette, horizon
        self._bend = dice.between("road", -0.5, 0.5)

    def paint(self, canvas: Canvas, time: float) -> None:
        part = canvas.below(self._horizon + 0.01)
        if part is None:
            return
        near = np.maximum(part.y - self._horizon, 0.001) / (1 - self._horizon)
        middle = self._bend * (1 - near) ** 2 * 0.5
        wide = 0.008 + 0.42 * near
        away = np.abs(part.x - middle)
        part.blend(self._palette.lit((0.27, 0.27, 0.31)), part.edge(away - wide))
        part.blend(self._palette.lit((0.95, 0.95, 0.9)), part.edge(np.abs(away - wide * 0.92) - wide * 0.02))
        dash = ((0.5 / near + time * 1.3) % 1 < 0.5) * part.edge(away - wide * 0.03)
        part.blend(self._palette.lit((1.0, 0.85, 0.3)), dash.astype(np.float32))


class Fog:
    """Banks of mist that drift over the ground."""

    def __init__(self, dice: Dice, palette: Palette, horizon: float, thick: float = 1.0) -> None:
        self._thick = thick
        self._tile, self._horizon = tile(dice.rng("fog"), power=1.9), horizon
        self._colour = mix(mix(palette.horizon, palette.light, 0.35), (0.8, 0.82, 0.86), 0.4)

    def paint(self, canvas: Canvas, time: float) -> None:
        banks = grid(self._tile, canvas.x * 0.25 + time * 0.03, canvas.y * 0.8)
        more = grid(self._tile, canvas.x * 0.55 - time * 0.04, canvas.y * 1.5 + 0.4)
        depth = np.exp(-(((canvas.y - self._horizon - 0.06) / 0.3) ** 2))
        canvas.blend(
            self._colour, np.clip((0.3 + 0.5 * banks + 0.35 * more) * (0.12 + depth * 0.88), 0, 0.93) * self._thick
        )
