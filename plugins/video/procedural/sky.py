"""What is above the horizon: the sky's colours, sun and moon, stars, clouds, northern lights, galaxies."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi, sin

import numpy as np

from .canvas import Canvas, splat, streaks
from .fields import Dice, Plane, along, grid, line, smooth, tile, warped
from .palette import Colour, Palette, hue, mix
from .shapes import Pen, Point


@dataclass(frozen=True)
class Sky:
    """The gradient from the zenith to the horizon, and the light that one side of it is full of."""

    palette: Palette
    light: Point
    horizon: float
    glow: float

    def paint(self, canvas: Canvas, time: float) -> None:
        made, height = self.palette, self.horizon
        rows = canvas.y[:, 0]
        stops = (0.0, height * 0.55, height)
        for channel in range(3):
            levels = (made.zenith[channel], made.middle[channel], made.horizon[channel])
            canvas.rgb[channel] = np.interp(rows, stops, levels).astype(np.float32)[:, None]
        breath = 1 + 0.06 * sin(time * 0.9)
        square = (canvas.x - self.light[0]) ** 2 * 0.7 + (canvas.y - self.light[1]) ** 2
        canvas.add(made.light, (self.glow * breath) / (1 + square * 22))


@dataclass(frozen=True)
class Disc:
    """The sun, or with `moon` the moon with its seas."""

    place: Point
    radius: float
    colour: Colour
    moon: bool
    spots: Plane

    def paint(self, canvas: Canvas, time: float) -> None:
        x, y = self.place
        near = canvas.view(x - self.radius * 5, y - self.radius * 5, x + self.radius * 5, y + self.radius * 5)
        if near is None:
            return
        distance = np.sqrt((near.x - x) ** 2 + (near.y - y) ** 2)
        halo = np.clip(1 - distance / (self.radius * 5), 0, 1) ** 3
        near.add(self.colour, halo * (0.5 if self.moon else 0.95 + 0.1 * sin(time * 1.7)))
        near.blend(mix(self.colour, (1, 1, 1), 0.35), near.edge(distance - self.radius))
        if self.moon:
            seas = grid(self.spots, (near.x - x) / self.radius * 0.16, (near.y - y) / self.radius * 0.16)
            dark = smooth(0.5, 0.8, seas) * 0.3 * near.edge(distance - self.radius)
            near.blend(mix(self.colour, (0.4, 0.45, 0.6), 0.7), dark)


class Stars:
    """Many small twinkling stars and a few large ones."""

    def __init__(self, dice: Dice, aspect: float, depth: float, count: int = 150, colour: Colour = (1, 1, 1)) -> None:
        rng = dice.rng("stars")
        count = max(12, int(count * max(aspect, 0.5)))
        self._x = ((rng.uniform(size=count) - 0.5) * aspect * 1.1).astype(np.float32)
        self._y = (rng.uniform(size=count) ** 1.2 * depth).astype(np.float32)
        self._size = (0.0016 + 0.0052 * rng.uniform(size=count) ** 5).astype(np.float32)
        self._phase = rng.uniform(0, 6.3, count).astype(np.float32)
        self._speed = rng.uniform(1, 4, count).astype(np.float32)
        self._colour = colour
        self._drift, self._aspect = 0.012 * dice.side("drift"), aspect * 1.1

    def paint(self, canvas: Canvas, time: float) -> None:
        bright = 0.65 + 0.35 * np.sin(self._phase + time * self._speed)
        x = (self._x + self._drift * time + self._aspect / 2) % self._aspect - self._aspect / 2
        canvas.add(self._colour, splat(canvas, x, self._y, self._size, bright, 0.1))
        large = self._size > 0.0045
        canvas.add(self._colour, splat(canvas, x[large], self._y[large], self._size[large] * 5, bright[large] * 0.3))


class Clouds:
    """Two sheets of cloud that drift, lit from where the light is, flatter towards the horizon."""

    def __init__(self, dice: Dice, palette: Palette, horizon: float, amount: float, light: Point) -> None:
        self._tile, self._fine = tile(dice.rng("clouds"), power=1.9), tile(dice.rng("wisps"), power=1.5)
        self._horizon, self._amount, self._light = horizon, amount, light
        self._speed = 0.03 * dice.side("wind")
        bright = mix(palette.light, palette.horizon, 0.3)
        self._lit, self._shade = bright, mix(palette.middle, palette.zenith, 0.55 if amount > 0.6 else 0.25)

    def paint(self, canvas: Canvas, time: float) -> None:
        upper = canvas.above(self._horizon)
        if upper is None:
            return
        depth = 0.55 / (self._horizon - np.minimum(upper.y, self._horizon - 0.001) + 0.22)
        x = upper.x * 0.45 + time * self._speed
        body = grid(self._tile, x, depth) * 0.68 + grid(self._fine, x * 2.3 + time * 0.012, depth * 2.6) * 0.32
        toward = 0.03 if self._light[0] > 0 else -0.03
        beside = grid(self._tile, x + toward, depth - 0.03)
        cover = smooth(0.78 - self._amount * 0.6, 1.02 - self._amount * 0.45, body)
        bright = np.clip(0.5 + (body - beside) * 2.6 + (0.5 - cover) * 0.5, 0, 1)
        planes = [low + (high - low) * bright for low, high in zip(self._shade, self._lit, strict=True)]
        fade = np.clip((self._horizon - upper.y) * 9, 0.25, 1)
        upper.blend(np.stack(planes), cover * fade * 0.94)


class Aurora:
    """Northern lights: curtains with rays that wander."""

    def __init__(self, dice: Dice, horizon: float) -> None:
        self._rays, self._path = line(dice.rng("rays"), 0.9), line(dice.rng("path"), 1.9)
        self._base = horizon * dice.between("aurora", 0.55, 0.8)
        self._low, self._high = hue(dice.between("low", 0.36, 0.47), 0.85, 1.0), hue(0.82, 0.65, 0.95)
        self._way = dice.side("aurora-way")

    def paint(self, canvas: Canvas, time: float) -> None:
        for index in range(3):
            run = canvas.x * 0.16 + index * 0.37 + time * 0.012 * self._way
            base = self._base * (1 - 0.2 * index) + (along(self._path, run) - 0.5) * 0.34
            rays = along(self._rays, canvas.x * 0.3 + index * 0.3 + along(self._path, run + 0.3) * 0.4 + time * 0.02)
            above = base - canvas.y
            shine = np.where(above > 0, np.exp(-np.maximum(above, 0) * (4 + index)), np.exp(np.minimum(above, 0) * 30))
            shine = shine * (0.18 + 0.95 * rays * rays) * (1.05 - 0.25 * index)
            tint = np.clip(above * 2.6, 0, 1)
            planes = [a + (b - a) * tint for a, b in zip(self._low, self._high, strict=True)]
            canvas.add(np.stack(planes), shine.astype(np.float32))


class Nebula:
    """Coloured gas between the stars."""

    def __init__(self, dice: Dice, palette: Palette) -> None:
        self._tile, self._other = tile(dice.rng("nebula"), power=1.8), tile(dice.rng("gas"), power=1.6)
        turn = dice.between("nebula-hue", 0.48, 0.98)
        self._colours = (hue(turn, 0.75, 0.9), hue(turn + dice.side("nebula-two") * 0.22, 0.8, 0.85))
        self._deep = mix(palette.zenith, (0.01, 0.01, 0.05), 0.75)

    def paint(self, canvas: Canvas, time: float) -> None:
        for channel in range(3):
            canvas.rgb[channel] = self._deep[channel]
        x, y = canvas.x * 0.42, canvas.y * 0.42
        sway = grid(self._other, x + time * 0.01, y)
        gas = warped(self._tile, x + sway * 0.22 + time * 0.014, y - sway * 0.2)
        canvas.add(self._colours[0], smooth(0.42, 1.0, gas) * 0.95)
        canvas.add(self._colours[1], smooth(0.5, 1.0, sway * 0.6 + (1 - gas) * 0.5) * 0.8)


class Galaxy:
    """A spiral seen at an angle, turning slowly."""

    def __init__(self, dice: Dice, aspect: float, centre: Point, size: float) -> None:
        self._centre, self._size = centre, size
        self._turn, self._flat = dice.between("tilt", -0.6, 0.6), dice.between("flat", 0.45, 0.7)
        self._way = dice.side("spin")
        self._dust = tile(dice.rng("dust"), power=1.4)
        turn = dice.between("galaxy-hue", 0.5, 0.95)
        self._arm, self._heart = hue(turn, 0.55, 1.0), (1.0, 0.88, 0.68)

    def paint(self, canvas: Canvas, time: float) -> None:
        px, py = (canvas.x - self._centre[0]) / self._size, (canvas.y - self._centre[1]) / self._size
        turn = self._turn
        u, v = px * cos(turn) + py * sin(turn), (py * cos(turn) - px * sin(turn)) / self._flat
        radius = np.sqrt(u * u + v * v) + 0.02
        angle = np.arctan2(v, u) * self._way
        arms = np.cos(2 * angle - 5.2 * np.log(radius) + time * 0.7) * 0.5 + 0.5
        spin = time * 0.05 * self._way
        dust = warped(self._dust, u * 0.5 * cos(spin) - v * 0.5 * sin(spin), u * 0.5 * sin(spin) + v * 0.5 * cos(spin))
        fade = np.exp(-radius * 2.1)
        canvas.add(self._arm, np.clip(arms**1.5 * (0.25 + 1.5 * dust * dust) * fade * 1.9, 0, 1.1))
        canvas.add(self._heart, np.exp(-radius * radius * 26) * 1.3 + fade * 0.25)


@dataclass(frozen=True)
class Planet:
    """A banded planet with a ring."""

    place: Point
    radius: float
    colour: Colour
    bands: Plane
    turn: float

    def paint(self, canvas: Canvas, time: float) -> None:
        pen = Pen(canvas, self.place, self.radius, turn=self.turn, reach=2.4)
        if pen.canvas is None:
            return
        square = pen.x**2 + pen.y**2
        ring = np.sqrt((pen.x / 2.0) ** 2 + (pen.y / 0.5) ** 2)
        ring_alpha = smooth(0.62, 0.68, ring) * smooth(1.0, 0.94, ring) * (0.55 + 0.35 * np.sin(ring * 60))
        pen.canvas.blend(mix(self.colour, (1, 1, 1), 0.6), ring_alpha)
        flow = along(self.bands, pen.y * 0.35 + 0.02 * np.sin(pen.x * 3 + time * 0.8))
        light = np.clip(1.15 - np.sqrt((pen.x + 0.45) ** 2 + (pen.y - 0.45) ** 2) * 0.8, 0.06, 1)
        low, high = mix(self.colour, (0, 0, 0), 0.25), mix(self.colour, (1, 0.95, 0.85), 0.6)
        planes = np.stack([(a + (b - a) * flow) * light for a, b in zip(low, high, strict=True)])
        body = np.clip(0.5 - (np.sqrt(square) - 1) * (self.radius / pen.canvas.pixel), 0, 1)
        pen.canvas.blend(planes.astype(np.float32), body)
        pen.canvas.blend(mix(self.colour, (1, 1, 1), 0.6), ring_alpha * (pen.y < 0))


@dataclass(frozen=True)
class Rainbow:
    """Seven colours in an arc."""

    centre: Point
    radius: float

    def paint(self, canvas: Canvas, time: float) -> None:
        radius = np.sqrt((canvas.x - self.centre[0]) ** 2 + (canvas.y - self.centre[1]) ** 2)
        part = (radius - self.radius) / 0.12
        alpha = smooth(0, 0.15, part) * smooth(1, 0.85, part) * (0.62 + 0.06 * sin(time * 1.3))
        turn = (1 - np.clip(part, 0, 1)) * 0.78 * 2 * pi
        planes = [0.5 + 0.5 * np.cos(turn - shift) for shift in (0, 2.1, 4.2)]
        canvas.blend(np.stack(planes).astype(np.float32), alpha)


class Meteors:
    """Shooting stars, one every second or so."""

    def __init__(self, dice: Dice, aspect: float) -> None:
        rng = dice.rng("meteors")
        self._x = (rng.uniform(-0.6, 0.6, 7) * aspect).astype(np.float32)
        self._y = rng.uniform(0.02, 0.4, 7).astype(np.float32)
        self._phase = (np.arange(7) / 7 + rng.uniform(0, 0.08, 7)).astype(np.float32)
        self._way = dice.side("meteor-way")

    def paint(self, canvas: Canvas, time: float) -> None:
        part = (self._phase + time * 0.22) % 1
        shown = np.clip(1 - part * 1.8, 0, 1) * np.clip(part * 14, 0, 1)
        x, y = self._x + part * 1.1 * self._way, self._y + part * 0.6
        tail = (0.1 + 0.22 * shown).astype(np.float32)
        light = streaks(canvas, x, y, -0.88 * tail * self._way, -0.48 * tail, 0.006, shown)
        canvas.add((1, 0.97, 0.85), light * 1.6)
        canvas.add((1, 0.9, 0.7), splat(canvas, x, y, np.full(7, 0.03, np.float32), shown) * 0.7)


class Lightning:
    """A forked bolt now and then, and a flash with each."""

    def __init__(self, dice: Dice, aspect: float, horizon: float) -> None:
        rng = dice.rng("bolt")
        steps = 22
        self._bolts = []
        for start in rng.uniform(-0.38, 0.38, 3) * aspect:
            x = start + np.cumsum(rng.normal(0, 0.03, steps))
            self._bolts.append((x.astype(np.float32), np.linspace(-0.02, horizon, steps, dtype=np.float32)))
        self._forks = rng.integers(4, 14, 3)

    def paint(self, canvas: Canvas, time: float) -> None:
        beat = time / 1.5 + 0.86
        index, part = int(beat) % len(self._bolts), beat % 1
        flash = (1 - part) ** 6 + 0.8 * max(0.0, 1 - abs(part - 0.86) * 7) + 0.16
        canvas.add((0.75, 0.8, 1), 0.32 * min(flash, 1))
        x, y = self._bolts[index]
        fork = int(self._forks[index])
        count = len(x) - fork - 4
        lean = np.linspace(0, 0.2, count, dtype=np.float32) * (1 if index % 2 else -1)
        self._bolt(canvas, x, y, 0.0058, flash)
        self._bolt(canvas, x[fork : fork + count] + lean, y[fork : fork + count], 0.0034, flash * 0.8)

    def _bolt(self, canvas: Canvas, x: Plane, y: Plane, width: float, flash: float) -> None:
        steps = max(2, min(24, int(0.06 / max(canvas.pixel, 0.0015))))
        part = np.linspace(0, 1, steps, dtype=np.float32)[None, :]
        px = (x[:-1, None] + (x[1:] - x[:-1])[:, None] * part).ravel()
        py = (y[:-1, None] + (y[1:] - y[:-1])[:, None] * part).ravel()
        weight = np.full(len(px), min(flash, 1.0), np.float32)
        canvas.add((0.6, 0.65, 1), splat(canvas, px, py, np.full(len(px), width * 6, np.float32), weight * 0.12))
        canvas.add((1.6, 1.6, 1.7), splat(canvas, px, py, np.full(len(px), width, np.float32), weight, 0.3))
