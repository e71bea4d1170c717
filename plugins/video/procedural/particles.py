"""Many small things in the air: rain, snow, petals, sparks, fireflies, bubbles, fireworks."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, sin

import numpy as np

from .canvas import Canvas, splat, streaks
from .fields import Dice, Plane
from .palette import Colour, hexed, hue, mix
from .shapes import Pen, Point, union


class _Swarm:
    """Places at random, spread over the picture, each with a size 0..1 and a phase 0..1."""

    def __init__(self, dice: Dice, name: str, aspect: float, count: int) -> None:
        rng = dice.rng(name)
        count = max(8, int(count * max(0.5, min(aspect, 3.0))))
        self.wide = aspect + 0.3
        self.x, self.y, self.phase = (rng.uniform(size=count).astype(np.float32) for _ in range(3))
        self.size = (rng.uniform(size=count) ** 2).astype(np.float32)

    def at(self, time: float, across: Plane, down: Plane) -> tuple[Plane, Plane]:
        """Where they are, having moved by `across` and `down` a second; they come in again on the other side."""
        x = (self.x * self.wide + across * time) % self.wide - self.wide / 2
        y = (self.y * 1.3 + down * time) % 1.3 - 0.15
        return x.astype(np.float32), y.astype(np.float32)


class Rain:
    """Slanted drops, near and far."""

    def __init__(self, dice: Dice, aspect: float, colour: Colour, wind: float) -> None:
        self._drops = _Swarm(dice, "rain", aspect, 420)
        self._colour = mix(colour, (0.86, 0.92, 1), 0.6)
        self._slant = 0.16 * dice.side("wind") * (1 + wind * 2)

    def paint(self, canvas: Canvas, time: float) -> None:
        drops = self._drops
        fall = 1.3 + 1.5 * drops.size
        x, y = drops.at(time, fall * self._slant, fall)
        long = 0.05 + 0.11 * drops.size
        canvas.blend(self._colour, streaks(canvas, x, y, -long * self._slant, -long, 0.0021, 0.35 + 0.5 * drops.size))


class Snow:
    """Flakes that sway as they fall."""

    def __init__(self, dice: Dice, aspect: float, wind: float) -> None:
        self._flakes = _Swarm(dice, "snow", aspect, 300)
        self._blow = dice.side("wind") * (0.03 + 0.5 * wind)

    def paint(self, canvas: Canvas, time: float) -> None:
        flakes = self._flakes
        x, y = flakes.at(time, self._blow * (0.4 + flakes.size), 0.07 + 0.26 * flakes.size)
        x = x + 0.015 * np.sin(time * 1.8 + flakes.phase * 6.3)
        size = 0.003 + 0.013 * flakes.size
        canvas.blend((1, 1, 1), splat(canvas, x, y, size, 0.95 - 0.35 * flakes.size, 0.3))


@dataclass(frozen=True)
class Drift:
    """How petals, leaves or confetti move: speeds in heights a second."""

    colours: tuple[Colour, ...]
    fall: float
    blow: float
    size: float
    count: int


DRIFTS = {
    "petals": Drift((hexed("ffb8d4"), hexed("ff90b8"), hexed("ffe4ee")), 0.12, 0.22, 0.015, 170),
    "leaves": Drift((hexed("e0701c"), hexed("c83820"), hexed("f0b428")), 0.16, 0.16, 0.016, 90),
    "confetti": Drift((hexed("ff4070"), hexed("40c8ff"), hexed("ffe040"), hexed("60e070")), 0.3, 0.04, 0.011, 160),
    "dust": Drift((hexed("ffe8c0"), hexed("f0c890")), 0.0, 0.5, 0.004, 220),
}


class Drifting:
    """Flat things that tumble through the air."""

    def __init__(self, dice: Dice, aspect: float, kind: str, wind: float) -> None:
        self._kind, self._swarm = DRIFTS[kind], _Swarm(dice, kind, aspect, DRIFTS[kind].count)
        self._blow = dice.side("wind") * self._kind.blow * (1 + 2.5 * wind)

    def paint(self, canvas: Canvas, time: float) -> None:
        swarm, kind = self._swarm, self._kind
        near = 0.35 + 0.9 * swarm.size
        x, y = swarm.at(time, self._blow * near, kind.fall * near + 0.01)
        y = y + 0.03 * np.sin(time * 2.2 + swarm.phase * 6.3)
        turn = time * (1.5 + 2 * swarm.phase) + swarm.phase * 6.3
        size = (kind.size * near).astype(np.float32)
        reach = size * 0.9 * np.sin(turn * 1.3)
        for index, colour in enumerate(kind.colours):
            some = np.arange(len(x)) % len(kind.colours) == index
            ends = [
                splat(
                    canvas,
                    (x + reach * side * np.cos(turn))[some],
                    (y + reach * side * np.sin(turn))[some],
                    size[some] * 0.8,
                    np.full(int(some.sum()), 0.95, np.float32),
                    0.55,
                )
                for side in (-1, 0, 1)
            ]
            canvas.blend(colour, np.maximum(np.maximum(ends[0], ends[1]), ends[2]))


class Fireflies:
    """Warm lights that wander and blink."""

    def __init__(self, dice: Dice, aspect: float, colour: Colour) -> None:
        self._flies = _Swarm(dice, "fireflies", aspect, 60)
        self._colour = colour

    def paint(self, canvas: Canvas, time: float) -> None:
        flies = self._flies
        x = (flies.x - 0.5) * flies.wide + 0.09 * np.sin(time * (0.5 + flies.phase) + flies.phase * 40)
        y = 0.3 + 0.65 * flies.y + 0.06 * np.sin(time * (0.7 + flies.x) + flies.phase * 25)
        glow = np.clip(0.6 + 0.6 * np.sin(time * (1.2 + 2 * flies.x) + flies.phase * 6.3), 0.05, 1).astype(np.float32)
        size = 0.004 + 0.008 * flies.size
        canvas.add(self._colour, splat(canvas, x, y, size * 7, glow * 0.38) * 1.2)
        canvas.add(mix(self._colour, (1, 1, 1), 0.6), splat(canvas, x, y, size, glow, 0.35) * 1.5)


class Sparks:
    """Embers that rise from a place, cooling on their way."""

    def __init__(self, dice: Dice, aspect: float, place: Point, spread: float = 0.5) -> None:
        self._embers = _Swarm(dice, "sparks", max(aspect, 1.2), 130)
        self._place, self._spread = place, spread

    def paint(self, canvas: Canvas, time: float) -> None:
        embers = self._embers
        part = (embers.phase + time * (0.22 + 0.3 * embers.y)) % 1
        x = self._place[0] + (embers.x - 0.5) * (0.1 + self._spread * part)
        x = x + 0.05 * part * np.sin(time * 3 + embers.phase * 50)
        y = self._place[1] - part * (0.25 + 0.75 * embers.x * embers.y * 2)
        glow = (np.clip((1 - part) * 1.6, 0, 1) * (0.55 + 0.45 * np.sin(time * 13 + embers.phase * 90))).astype(
            np.float32
        )
        size = (0.0035 + 0.0045 * embers.size).astype(np.float32)
        canvas.add((1, 0.45, 0.1), splat(canvas, x, y, size * 4, glow * 0.3))
        tail = (0.012 + 0.03 * embers.size).astype(np.float32)
        canvas.add(
            (1.4, 0.85, 0.35),
            streaks(canvas, x, y, tail * np.sin(time * 3 + embers.phase * 50), tail * 1.5, 0.0026, glow),
        )


class Bubbles:
    """Rings that rise and wobble, with a spot of light on each."""

    def __init__(self, dice: Dice, aspect: float) -> None:
        self._bubbles = _Swarm(dice, "bubbles", aspect, 30)

    def paint(self, canvas: Canvas, time: float) -> None:
        swarm = self._bubbles
        x, y = swarm.at(time, 0 * swarm.x, -(0.09 + 0.15 * swarm.size))
        x = x + 0.014 * np.sin(time * 2.5 + swarm.phase * 6.3)
        size = (0.008 + 0.036 * swarm.size).astype(np.float32)
        full = np.ones(len(x), np.float32)
        outer, inner = splat(canvas, x, y, size, full, 0.86), splat(canvas, x, y, size * 0.84, full, 0.5)
        canvas.add((0.85, 1, 1), np.clip(outer - inner * 0.88, 0, 1) * 0.85)
        canvas.add((1, 1, 1), splat(canvas, x - size * 0.35, y - size * 0.35, size * 0.22, full, 0.4))


class Fireworks:
    """Bursts in the sky, one after another."""

    def __init__(self, dice: Dice, aspect: float) -> None:
        rng = dice.rng("fireworks")
        self._places = [
            (float(x), float(y))
            for x, y in zip(rng.uniform(-0.38, 0.38, 6) * aspect, rng.uniform(0.14, 0.42, 6), strict=True)
        ]
        self._hues = [float(value) for value in rng.uniform(0, 1, 6)]
        self._turns, self._reach = (
            rng.uniform(0, 6.3, 72).astype(np.float32),
            rng.uniform(0.35, 1, 72).astype(np.float32),
        )

    def paint(self, canvas: Canvas, time: float) -> None:
        for index, (x, y) in enumerate(self._places):
            part = (time * 0.42 + index / len(self._places) + 0.18) % 1
            spread = 0.3 * (1 - (1 - part) ** 3) * self._reach
            px, py = x + spread * np.cos(self._turns), y + spread * np.sin(self._turns) + 0.14 * part * part
            glow = np.full(72, max(0.0, 1 - part) ** 1.3, np.float32)
            tail = 0.4 * (1 - part)
            light = streaks(canvas, px, py, (x - px) * tail, (y - py) * tail, 0.0045, glow)
            colour = hue(self._hues[index], 0.75, 1.0)
            canvas.add(colour, light * 1.5)
            canvas.add(mix(colour, (1, 1, 1), 0.5), splat(canvas, px, py, np.full(72, 0.008, np.float32), glow, 0.2))
            flash = np.clip(1 - ((canvas.x - x) ** 2 + (canvas.y - y) ** 2) / 0.2, 0, 1) ** 2
            canvas.add(colour, flash * (0.4 * (1 - part) ** 4))


class Campfire:
    """Logs, flames that lick, and the light that they throw around."""

    def __init__(self, dice: Dice, place: Point, size: float) -> None:
        self._place, self._size = place, size
        self._phases = dice.rng("flames").uniform(0, 6.3, 9)

    def paint(self, canvas: Canvas, time: float) -> None:
        flicker = 1 + 0.12 * sin(time * 11) + 0.08 * sin(time * 17.3)
        x, y = self._place
        square = (canvas.x - x) ** 2 + ((canvas.y - y + 0.1) * 1.2) ** 2
        canvas.add((1, 0.5, 0.15), np.asarray(0.6 * flicker / (1 + square * 14), np.float32))
        pen = Pen(canvas, self._place, self._size, reach=1.6)
        if pen.canvas is None:
            return
        for scale, colour in ((1.0, "f0400c"), (0.74, "ff8a18"), (0.5, "ffd048"), (0.26, "fff8d8")):
            tongues = []
            for index, phase in enumerate(self._phases):
                foot = (index - 4) * 0.085 * scale
                tall = (1.15 - 0.2 * abs(index - 4)) * scale * (0.8 + 0.3 * sin(time * 6 + phase))
                lean = 0.1 * sin(time * 5 + phase * 2)
                points = ((foot, 0.0), (foot * 0.9 + lean * 0.4, tall * 0.45), (foot * 0.3 + lean, tall))
                tongues.append(pen.chain(points, (0.13 * scale, 0.1 * scale, 0.008), 0.03))
            pen.ink(union(tongues, 0.06), hexed(colour))
        for turn in (0.25, -0.25, 0.05):
            reach = (0.5 * cos(turn), 0.5 * sin(turn))
            pen.ink(
                pen.capsule((-reach[0], -0.06 - reach[1]), (reach[0], -0.06 + reach[1]), 0.07, 0.06),
                hexed("2c1a12"),
                (1, 0.5, 0.2),
            )
