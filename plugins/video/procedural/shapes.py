"""Silhouettes: simple shapes, joined smoothly and inked with a soft light on their rims."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import cos, sin

import numpy as np

from .canvas import Canvas
from .fields import Plane
from .palette import Colour, mix

Point = tuple[float, float]


@dataclass(frozen=True)
class Shape:
    """A shape by its distance: how far outside (or, negative, inside) each point (x, y) is."""

    bounds: tuple[float, float, float, float]
    """Left, bottom, right, top."""
    distance: Callable[[Plane, Plane], Plane]


class Pen:
    """Draws in a frame of its own: the origin at `place`, x to the front, y up, 1 unit long as `size`."""

    def __init__(
        self, canvas: Canvas, place: Point, size: float, *, facing: float = 1.0, turn: float = 0.0, reach: float = 1.0
    ) -> None:
        """`reach` is how far around the origin it draws, in units."""
        far = reach * size
        self.canvas = canvas.view(place[0] - far, place[1] - far, place[0] + far, place[1] + far)
        self.size, self._turn = size, turn
        if self.canvas is not None:
            across = (self.canvas.x - place[0]) * (facing / size)
            up = (place[1] - self.canvas.y) / size
            self.x = across if not turn else across * cos(turn) + up * sin(turn)
            self.y = up if not turn else up * cos(turn) - across * sin(turn)

    def capsule(self, a: Point, b: Point, ra: float, rb: float) -> Shape:
        """A limb from `a` to `b` with a radius at either end."""
        dx, dy = b[0] - a[0], b[1] - a[1]
        scale = 1 / (dx * dx + dy * dy + 1e-9)

        def distance(x: Plane, y: Plane) -> Plane:
            px, py = x - a[0], y - a[1]
            part = np.clip((px * dx + py * dy) * scale, 0, 1)
            rest = (px - part * dx) ** 2 + (py - part * dy) ** 2
            return np.asarray(np.sqrt(rest) - (part * (rb - ra) + ra), np.float32)

        left, right = min(a[0] - ra, b[0] - rb), max(a[0] + ra, b[0] + rb)
        return Shape((left, min(a[1] - ra, b[1] - rb), right, max(a[1] + ra, b[1] + rb)), distance)

    def chain(self, points: Sequence[Point], radii: Sequence[float], soft: float = 0.02) -> Shape:
        """Limbs joined end to end."""
        limbs = zip(points, points[1:], radii, radii[1:], strict=False)
        return union([self.capsule(a, b, ra, rb) for a, b, ra, rb in limbs], soft)

    def ellipse(self, centre: Point, rx: float, ry: float, turn: float = 0.0) -> Shape:
        c, s, far = cos(turn), sin(turn), max(rx, ry) if turn else 0.0

        def distance(x: Plane, y: Plane) -> Plane:
            px, py = x - centre[0], y - centre[1]
            scaled = np.sqrt(((px * c + py * s) / rx) ** 2 + ((py * c - px * s) / ry) ** 2)
            return np.asarray((scaled - 1) * min(rx, ry), np.float32)

        wide, tall = max(rx, far), max(ry, far)
        return Shape((centre[0] - wide, centre[1] - tall, centre[0] + wide, centre[1] + tall), distance)

    def polygon(self, *points: Point) -> Shape:
        """Any polygon without holes."""
        edges = list(zip(points, (points[-1], *points[:-1]), strict=True))

        def distance(x: Plane, y: Plane) -> Plane:
            nearest: Plane = np.full((1, 1), 1e9, np.float32)
            outside = np.ones((1, 1), np.bool_)
            for (ax, ay), (bx, by) in edges:
                ex, ey, wx, wy = bx - ax, by - ay, x - ax, y - ay
                part = np.clip((wx * ex + wy * ey) / (ex * ex + ey * ey + 1e-12), 0, 1)
                nearest = np.minimum(nearest, (wx - part * ex) ** 2 + (wy - part * ey) ** 2)
                above, under, turning = y >= ay, y < by, ex * wy > ey * wx
                outside = outside ^ ((above & under & turning) | ~(above | under | turning))
            return np.asarray(np.sqrt(nearest) * np.where(outside, 1, -1), np.float32)

        across, up = [x for x, _ in points], [y for _, y in points]
        return Shape((min(across), min(up), max(across), max(up)), distance)

    def ink(self, shape: Shape, colour: Colour, rim: Colour | None = None, light: Point = (-0.5, 0.8)) -> None:
        """Fill a shape; with `rim`, round it by a light of that colour from the direction `light`."""
        crop = self._crop(shape)
        if crop is None:
            return
        rgb, x, y, pixel = crop
        distance = shape.distance(x, y)
        alpha = np.clip(0.5 - distance / pixel, 0, 1)
        fill: Colour | Plane = colour
        if rim is not None and min(distance.shape) > 2:
            fill = _rounded(distance, pixel, colour, rim, light)
        for channel in range(3):
            rgb[channel] += alpha * (fill[channel] - rgb[channel])

    def _crop(self, shape: Shape) -> tuple[Plane, Plane, Plane, float] | None:
        """The part of the canvas that a shape can touch: its colours, points, and the size of a pixel."""
        assert self.canvas is not None
        pixel = self.canvas.pixel / self.size
        if self._turn:
            return self.canvas.rgb, self.x, self.y, pixel
        left, bottom, right, top = shape.bounds
        margin = 2.5 * pixel + 0.015
        columns = np.flatnonzero((self.x[0] > left - margin) & (self.x[0] < right + margin))
        rows = np.flatnonzero((self.y[:, 0] > bottom - margin) & (self.y[:, 0] < top + margin))
        if not len(columns) or not len(rows):
            return None
        across, down = slice(columns[0], columns[-1] + 1), slice(rows.min(), rows.max() + 1)
        return self.canvas.rgb[:, down, across], self.x[:, across], self.y[down], pixel

    def glow(self, centre: Point, radius: float, colour: Colour, strength: float = 1.0) -> None:
        """Light around a point."""
        if self.canvas is not None:
            square = (self.x - centre[0]) ** 2 + (self.y - centre[1]) ** 2
            fade = np.clip(1 - square / radius**2, 0, 1) ** 2
            self.canvas.add(colour, np.asarray(fade * strength, np.float32))


def _rounded(distance: Plane, pixel: float, colour: Colour, rim: Colour, light: Point) -> Plane:
    """A colour for each point of a shape, as if it were round."""
    inner = np.clip(1 + distance / 0.07, 0, 1)
    slope_y, slope_x = np.gradient(distance, pixel)
    facing = np.clip(slope_x * light[0] - slope_y * light[1], -1, 1) * inner
    shade = np.clip(0.82 + 0.4 * facing, 0.35, 1.3)
    shine = np.clip(facing, 0, 1) ** 2 * 0.75
    planes = [np.clip(shade * c + shine * (r - c), 0, 1) for c, r in zip(colour, rim, strict=True)]
    return np.stack(planes).astype(np.float32)


def union(shapes: Sequence[Shape], soft: float = 0.0) -> Shape:
    """All shapes as one, with rounded joints as wide as `soft`."""

    def distance(x: Plane, y: Plane) -> Plane:
        joined = shapes[0].distance(x, y)
        for shape in shapes[1:]:
            other = shape.distance(x, y)
            nearer = np.minimum(joined, other)
            if soft:
                blend = np.maximum(soft - np.abs(joined - other), 0)
                nearer = nearer - blend * blend / (4 * soft)
            joined = nearer
        return joined

    lefts, bottoms, rights, tops = zip(*(shape.bounds for shape in shapes), strict=True)
    return Shape((min(lefts) - soft, min(bottoms) - soft, max(rights) + soft, max(tops) + soft), distance)


def without(shape: Shape, hole: Shape) -> Shape:
    return Shape(shape.bounds, lambda x, y: np.maximum(shape.distance(x, y), -hole.distance(x, y)))


def within(shape: Shape, frame: Shape) -> Shape:
    return Shape(shape.bounds, lambda x, y: np.maximum(shape.distance(x, y), frame.distance(x, y)))


def paler(colour: Colour, part: float) -> Colour:
    return mix(colour, (1, 1, 1), part)


def deeper(colour: Colour, part: float) -> Colour:
    return mix(colour, (0, 0, 0), part)
