"""Pictures of nothing that has a name: silk that flows, orbs of light, glowing polygons."""

from __future__ import annotations

from math import cos, pi, sin

import numpy as np

from .canvas import Canvas
from .fields import Dice, Plane, grid, tile, warped
from .palette import Colour, Palette, hue, mix


def _gradient(stops: tuple[Colour, ...], part: Plane) -> Plane:
    places = np.linspace(0, 1, len(stops))
    planes = [np.interp(part, places, [stop[channel] for stop in stops]) for channel in range(3)]
    return np.stack(planes).astype(np.float32)


class Silk:
    """Folds of cloth: noise that is bent by noise, in bands of the palette."""

    def __init__(self, dice: Dice, palette: Palette, *, wild: bool = False) -> None:
        self._tile, self._bend = tile(dice.rng("silk"), power=2.2), tile(dice.rng("bend"), power=2.4)
        deep = mix(palette.zenith, (0, 0, 0), 0.35)
        self._stops = (
            deep,
            palette.zenith,
            palette.middle,
            palette.accent,
            palette.horizon,
            palette.light,
            palette.middle,
        )
        self._scale, self._turn = (
            dice.between("silk-scale", 0.22, 0.4) * (1.5 if wild else 1),
            dice.between("silk-turn", 0, pi),
        )
        self._folds, self._way = dice.between("folds", 1.4, 2.6) * (1.7 if wild else 1), dice.side("pan")

    def paint(self, canvas: Canvas, time: float) -> None:
        u, v = canvas.x * self._scale, canvas.y * self._scale
        sway = grid(self._bend, u + 0.011 * time * self._way, v + 0.2)
        other = grid(self._bend, u * 1.3 + 0.5, v * 1.3 - 0.014 * time)
        c, s = cos(self._turn), sin(self._turn)
        x = (u * c + v * s) * 0.55 + sway * 0.5
        y = (v * c - u * s) * 1.5 + other * 0.42 + time * 0.008
        fold = warped(self._tile, x, y)
        bands = (fold * self._folds + time * 0.035) % 2
        part = np.where(bands > 1, 2 - bands, bands)
        canvas.rgb[:] = _gradient(self._stops, part)
        beside = warped(self._tile, x + 0.007, y + 0.007)
        canvas.rgb *= np.clip(1 + (fold - beside) * 9, 0.35, 1.45)


class Orbs:
    """Large soft discs of light that float over a gradient."""

    def __init__(self, dice: Dice, palette: Palette, aspect: float) -> None:
        rng = dice.rng("orbs")
        self._discs = rng.uniform(size=(20, 6))
        self._palette, self._aspect = palette, aspect
        self._turn = dice.between("orb-turn", -1.2, 1.2)

    def paint(self, canvas: Canvas, time: float) -> None:
        made = self._palette
        part = np.clip(0.5 + (canvas.y - 0.5) * cos(self._turn) + canvas.x / self._aspect * sin(self._turn), 0, 1)
        canvas.rgb[:] = _gradient((made.zenith, made.middle, made.horizon), part)
        colours = (made.accent, made.light, made.horizon, mix(made.zenith, (0, 0, 0), 0.3), made.middle)
        for index, (x, y, size, phase, tempo, tone) in enumerate(self._discs.tolist()):
            radius = 0.05 + 0.24 * size**1.6
            cx = (x - 0.5) * self._aspect * 1.1 + 0.09 * sin(time * (0.3 + tempo * 0.5) + phase * 6.3)
            cy = y * 1.1 - 0.05 + 0.07 * cos(time * (0.35 + tempo * 0.4) + phase * 9)
            part_of = canvas.view(cx - radius, cy - radius, cx + radius, cy + radius)
            if part_of is None:
                continue
            away = np.sqrt((part_of.x - cx) ** 2 + (part_of.y - cy) ** 2)
            body = part_of.edge(away - radius * 0.97)
            alpha = body * (0.28 + 0.5 * tone * (away / radius) ** 3 + 0.25 * tone)
            part_of.blend(colours[index % len(colours)], np.asarray(alpha, np.float32))


class Polygons:
    """Glowing outlines that turn and breathe, one in the other, over a grid that runs to the horizon."""

    def __init__(self, dice: Dice, palette: Palette, *, grid_floor: bool) -> None:
        self._sides, self._count = 3 + dice.pick("sides", 4), 6
        turn = dice.between("neon", 0, 1)
        self._hues = [hue(turn + 0.07 * index, 0.85, 1.0) for index in range(self._count)]
        self._floor, self._way = grid_floor, dice.side("pan")
        self._deep = mix(palette.zenith, (0.02, 0.01, 0.06), 0.75)
        self._low = mix(palette.middle, hue(turn + 0.3, 0.9, 0.35), 0.6)
        self._centre = (dice.between("poly-x", -0.16, 0.16), dice.between("poly-y", 0.38, 0.52))

    def paint(self, canvas: Canvas, time: float) -> None:
        part = np.clip(canvas.y, 0, 1)
        for channel in range(3):
            canvas.rgb[channel] = self._deep[channel] + (self._low[channel] - self._deep[channel]) * part
        if self._floor:
            self._lines(canvas, time)
        px, py = canvas.x - self._centre[0], canvas.y - self._centre[1]
        radius, angle = np.sqrt(px * px + py * py), np.arctan2(py, px)
        for index, colour in enumerate(self._hues):
            sides = 3 + (self._sides + index) % 5
            size = (0.07 + 0.068 * index) * (1 + 0.09 * sin(time * 1.1 + index))
            turn = angle + self._way * time * (0.45 - 0.1 * index) + index
            wedge = 2 * pi / sides
            away = np.abs(radius * np.cos(turn % wedge - wedge / 2) - size)
            canvas.add(colour, np.clip(0.0075 / (away + 0.004), 0, 1.6) ** 1.15)

    def _lines(self, canvas: Canvas, time: float) -> None:
        floor = canvas.below(0.62)
        if floor is None:
            return
        depth = np.maximum(floor.y - 0.6, 0.01)
        across, along = floor.x / depth * 0.9, 0.35 / depth + time * 0.9
        thin = 0.012 / depth
        line_x = np.clip(1 - np.abs(across - np.round(across)) / (0.02 + thin * 0.25), 0, 1)
        line_y = np.clip(1 - np.abs(along - np.round(along)) / (0.03 + thin * 0.5), 0, 1)
        fade = np.clip((floor.y - 0.62) * 5, 0, 1)
        floor.add(self._hues[3], (np.maximum(line_x, line_y) * fade * 0.9).astype(np.float32))
