"""Water: a surface that mirrors what is above it, rolling waves, and the world below the surface."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .canvas import Canvas, Layer
from .fields import Dice, along, grid, line, smooth, tile, warped
from .palette import Colour, Palette, hue, mix
from .shapes import Pen, Point, deeper


class Mirror:
    """A calm or rippled surface below the horizon, with the layers behind it upside down."""

    def __init__(
        self, dice: Dice, palette: Palette, horizon: float, behind: Sequence[Layer], *, light: Point, tint: Colour
    ) -> None:
        self._tile = tile(dice.rng("ripples"), power=1.3)
        self._behind, self._horizon, self._light = behind, horizon, light
        self._tint, self._shine = palette.lit(tint), palette.light

    def paint(self, canvas: Canvas, time: float) -> None:
        part = canvas.below(self._horizon)
        if part is None:
            return
        depth = part.y - self._horizon
        ripple = np.sin(70 * np.sqrt(depth + 0.002) - time * 3.1) + 0.6 * np.sin(150 * np.sqrt(depth) + time * 4.3)
        height = self._horizon - depth * 1.05 - ripple * 0.006 * (0.3 + depth * 6)
        image = Canvas(part.rgb, part.x, height.astype(np.float32), part.pixel, part.aspect)
        for layer in self._behind:
            layer.paint(image, time)
        near = depth / (1.001 - self._horizon)
        waves = grid(self._tile, part.x * 0.7 + time * 0.05, 0.9 * np.log(depth + 0.03) + time * 0.07)
        part.blend(self._tint, 0.16 + 0.34 * near * waves + 0.2 * near)
        away = np.abs(part.x - self._light[0]) / (0.05 + depth * 0.5)
        sparkle = smooth(0.5, 0.8, waves + 0.12 * ripple) * np.clip(1.25 - away, 0, 1)
        part.add(self._shine, np.asarray(sparkle * (0.9 - 0.4 * near), np.float32))


class Waves:
    """Rows of swell rolling in, with foam on their crests."""

    def __init__(self, dice: Dice, palette: Palette, horizon: float, tint: Colour, light: Point) -> None:
        self._lines = [line(dice.rng(f"wave{index}"), 1.3) for index in range(7)]
        self._foam = tile(dice.rng("foam"), power=1.0)
        self._horizon, self._palette, self._tint, self._light = horizon, palette, tint, light
        self._way = dice.side("swell")

    def paint(self, canvas: Canvas, time: float) -> None:
        for index, profile in enumerate(self._lines):
            near = (index + 0.25) / len(self._lines)
            base = self._horizon + (1.0 - self._horizon) * near**1.35
            tall = 0.012 + 0.15 * near**1.3
            part = canvas.below(base - tall * 1.2)
            if part is None:
                continue
            run = part.x * (0.34 - 0.2 * near) + self._way * time * (0.025 + 0.03 * near) + index * 0.23
            swell = along(profile, run) * 0.7 + 0.3 * np.sin(part.x * (9 - 5 * near) + time * 1.6 + index * 2)
            crest = base - tall * (swell + 0.18 * np.sin(time * 1.1 + index * 1.7))
            self._row(part, time, crest, tall, near)

    def _row(self, part: Canvas, time: float, crest: np.ndarray, tall: float, near: float) -> None:
        depth = part.y - crest
        cover = part.edge(-depth) * 0.96
        made = self._palette
        high = mix(mix(made.lit(self._tint), made.middle, 0.45), made.horizon, 0.5 * (1 - near) + 0.1)
        low = mix(deeper(made.lit(self._tint), 0.35), made.zenith, 0.5)
        fade = np.clip(depth / (tall * 1.3 + 0.02), 0, 1) ** 0.7
        part.blend(np.stack([a + (b - a) * fade for a, b in zip(high, low, strict=True)]).astype(np.float32), cover)
        foam = warped(self._foam, part.x * 0.9 + time * 0.06, depth * 3.5 + near)
        lip = np.clip(1 - np.abs(depth) / (0.005 + tall * 0.42), 0, 1)
        white = smooth(0.42, 0.75, foam * (0.55 + 0.75 * lip)) * lip * cover
        part.blend(mix(self._palette.lit((1, 1, 1)), self._palette.light, 0.45), white * (0.3 + 0.6 * near))
        glint = smooth(0.62, 0.82, foam) * np.clip(1 - np.abs(part.x - self._light[0]) / (0.16 + near * 0.3), 0, 1)
        part.add(self._palette.light, np.asarray(glint * cover * 0.6 * (1 - fade * 0.6), np.float32))


class Depths:
    """Below the surface: blue that deepens, and shafts of light from above."""

    def __init__(self, dice: Dice, palette: Palette, tints: Sequence[Colour]) -> None:
        turn = dice.between("sea", 0.46, 0.62)
        top, deep = hue(turn - 0.04, 0.5, 1.0), hue(turn + 0.07, 0.95, 0.34)
        if tints:
            top, deep = mix(top, tints[-1], 0.6), mix(deep, deeper(tints[0], 0.6), 0.6)
        if palette.dark:
            top, deep = deeper(top, 0.5), deeper(deep, 0.5)
        self._top, self._deep = top, deep
        self._rays, self._tile = line(dice.rng("shafts"), 0.9), tile(dice.rng("caustics"), power=1.5)
        self._sun = dice.between("shaft-sun", -0.6, 0.6)

    def paint(self, canvas: Canvas, time: float) -> None:
        part = np.clip(canvas.y * 1.05, 0, 1) ** 0.8
        for channel in range(3):
            canvas.rgb[channel] = self._top[channel] + (self._deep[channel] - self._top[channel]) * part
        slant = (canvas.x - self._sun) / (canvas.y + 0.5)
        shaft = along(self._rays, slant * 0.13 + time * 0.006) * along(self._rays, slant * 0.22 - time * 0.011 + 0.4)
        canvas.add((0.85, 1.0, 1.0), (smooth(0.12, 0.7, shaft) * (1 - part) * 0.85).astype(np.float32))
        surface = canvas.above(0.16)
        if surface is not None:
            shine = warped(self._tile, surface.x * 0.6 + time * 0.04, 0.12 / (surface.y + 0.07) + time * 0.05)
            surface.add((1, 1, 1), smooth(0.45, 0.9, shine) * (1 - surface.y / 0.16) * 0.7)


class Reef:
    """The sea floor with corals, and weed that sways with the current."""

    def __init__(self, dice: Dice, palette: Palette, aspect: float, *, corals: bool) -> None:
        rng = dice.rng("reef")
        count = max(3, int((11 if corals else 5) * max(aspect, 0.6)))
        self._floor, self._tile = line(dice.rng("floor"), 1.7), tile(dice.rng("sand"), power=1.2)
        self._places = (np.linspace(-0.53, 0.53, count) + rng.uniform(-0.03, 0.03, count)) * aspect
        self._sizes = rng.uniform(0.11, 0.3 if corals else 0.2, count)
        self._kinds = rng.integers(0, 3 if corals else 1, count)
        self._hues = (rng.uniform(0.8, 1.16, count) if corals else rng.uniform(0.24, 0.42, count)) % 1
        self._dark = palette.dark
        self._angles = rng.uniform(-0.25, 0.25, (count, 16))

    def paint(self, canvas: Canvas, time: float) -> None:
        part = canvas.below(0.76)
        if part is not None:
            self._sand(part, time)
        for index in np.argsort(self._sizes):
            self._coral(canvas, time, int(index))

    def _sand(self, part: Canvas, time: float) -> None:
        height = 0.86 - along(self._floor, part.x * 0.2 + 0.1) * 0.08
        depth = part.y - height
        grain = warped(self._tile, part.x * 0.8, depth * 3 + 0.02 * np.sin(time + part.x * 7))
        sand = (0.86, 0.84, 0.66) if not self._dark else (0.12, 0.2, 0.28)
        shade = 0.6 + 0.55 * grain - 0.7 * np.clip(depth, 0, 1)
        part.blend(np.stack([channel * shade for channel in sand]).astype(np.float32), part.edge(-depth))

    def _coral(self, canvas: Canvas, time: float, index: int) -> None:
        size, kind = float(self._sizes[index]), int(self._kinds[index])
        x, foot = float(self._places[index]), 0.95 - 0.12 * float(self._sizes[index])
        if canvas.view(x - size, foot - size * 1.3, x + size, foot + 0.1) is None:
            return
        pen = Pen(canvas, (x, foot), size, reach=1.4)
        colour = hue(float(self._hues[index]), 0.78, 0.6 if self._dark else 1.0)
        angles = [float(value) for value in self._angles[index]]
        (self._weed, self._fan, self._tubes)[kind](pen, time + index, colour, angles)

    def _weed(self, pen: Pen, time: float, colour: Colour, angles: Sequence[float]) -> None:
        for blade in range(4):
            points = [(-0.3 + 0.2 * blade, -0.1)]
            for joint in range(1, 7):
                sway = 0.1 * np.sin(time * 1.5 + joint * 0.8 + blade)
                points.append((points[0][0] + float(sway) * joint / 3 + angles[blade] * joint / 6, joint * 0.2))
            pen.ink(pen.chain(points, (0.05, 0.06, 0.06, 0.05, 0.04, 0.03, 0.01)), deeper(colour, 0.15 * blade))

    def _fan(self, pen: Pen, time: float, colour: Colour, angles: Sequence[float]) -> None:
        tips: list[tuple[Point, Point, float]] = [((0.0, -0.1), (0.0, 0.3), 0.07)]
        for branch in range(7):
            lean = (branch - 3) * 0.32 + angles[branch] + 0.03 * float(np.sin(time * 1.3 + branch))
            middle = (0.35 * float(np.sin(lean)), 0.25 + 0.35 * float(np.cos(lean)))
            tips.append(((0.0, 0.15), middle, 0.05))
            tips.append((middle, (middle[0] + 0.3 * float(np.sin(lean * 1.5)), middle[1] + 0.26), 0.04))
        for start, end, wide in tips:
            pen.ink(pen.capsule(start, end, wide, wide * 0.7), colour)

    def _tubes(self, pen: Pen, time: float, colour: Colour, angles: Sequence[float]) -> None:
        for tube in range(5):
            x = (tube - 2) * 0.2
            top = (x * 1.4 + angles[tube] * 0.4, 0.35 + 0.35 * abs(angles[tube + 5]) * 3)
            pen.ink(pen.capsule((x, -0.1), top, 0.09, 0.12), deeper(colour, 0.12 * (tube % 3)), (1, 1, 1))
            pen.ink(pen.ellipse(top, 0.08, 0.04), deeper(colour, 0.65))
