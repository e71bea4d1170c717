"""Animals on four legs: how each is built of limbs, and how it walks and runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, pi, sin
from typing import Final

from .palette import Colour
from .shapes import Pen, Point, deeper, paler, union

Draw = Callable[[Pen, float, Colour, Colour], None]
"""Draws with a pen, at a time in seconds, in a colour, with a light of another colour on its rim."""


@dataclass(frozen=True)
class Beast:
    """The build of an animal on four legs; lengths in units of the pen, whose origin is the middle of the trunk."""

    length: float = 0.27
    girth: float = 0.12
    leg: float = 0.4
    limb: float = 0.045
    neck: Point = (0.14, 0.14)
    head: float = 0.085
    snout: tuple[float, float, float] = (0.15, -0.05, 0.025)
    ears: str = "pointed"
    tail: str = "thin"
    pace: float = 1.7
    stride: float = 0.6
    mark: str = ""


BEASTS: Final[dict[str, Beast]] = {
    "fox": Beast(
        girth=0.105,
        leg=0.34,
        neck=(0.12, 0.12),
        head=0.088,
        snout=(0.17, -0.06, 0.012),
        tail="bushy",
        pace=2.1,
        mark="bib",
    ),
    "dog": Beast(leg=0.36, neck=(0.13, 0.17), snout=(0.14, -0.04, 0.04), ears="floppy", tail="up", pace=2.0),
    "wolf": Beast(girth=0.13, leg=0.4, neck=(0.17, 0.08), snout=(0.17, -0.05, 0.02), tail="brush", pace=1.8),
    "cat": Beast(
        length=0.23,
        girth=0.095,
        leg=0.28,
        neck=(0.09, 0.12),
        head=0.095,
        snout=(0.055, -0.03, 0.04),
        tail="high",
        pace=1.5,
        stride=0.45,
    ),
    "lion": Beast(
        girth=0.13,
        leg=0.35,
        neck=(0.13, 0.12),
        head=0.1,
        snout=(0.11, -0.04, 0.05),
        ears="round",
        tail="tuft",
        pace=1.2,
        stride=0.45,
        mark="mane",
    ),
    "horse": Beast(
        length=0.28,
        girth=0.135,
        leg=0.48,
        neck=(0.2, 0.32),
        head=0.07,
        snout=(0.17, -0.13, 0.04),
        tail="flowing",
        pace=1.9,
        stride=0.7,
        mark="crest",
    ),
    "deer": Beast(
        length=0.24,
        girth=0.105,
        leg=0.46,
        limb=0.032,
        neck=(0.13, 0.27),
        head=0.06,
        snout=(0.12, -0.05, 0.025),
        tail="stub",
        pace=1.9,
        stride=0.65,
        mark="antlers",
    ),
    "bear": Beast(
        length=0.27,
        girth=0.19,
        leg=0.34,
        limb=0.078,
        neck=(0.16, 0.05),
        head=0.115,
        snout=(0.13, -0.05, 0.045),
        ears="round",
        tail="none",
        pace=1.0,
        stride=0.4,
    ),
    "elephant": Beast(
        length=0.27,
        girth=0.23,
        leg=0.42,
        limb=0.085,
        neck=(0.17, 0.1),
        head=0.15,
        snout=(0.05, -0.05, 0.08),
        ears="sail",
        tail="thin",
        pace=0.8,
        stride=0.35,
        mark="trunk",
    ),
    "rabbit": Beast(
        length=0.16,
        girth=0.13,
        leg=0.22,
        limb=0.045,
        neck=(0.1, 0.12),
        head=0.09,
        snout=(0.06, -0.03, 0.045),
        ears="long",
        tail="puff",
        pace=1.9,
        stride=0.6,
    ),
}


def beast(kind: str) -> Draw:
    """How to draw one of BEASTS walking or running."""
    build = BEASTS[kind]

    def draw(pen: Pen, time: float, skin: Colour, rim: Colour) -> None:
        phase = time * build.pace * 2 * pi / 1.6
        bob = 0.025 * sin(phase * 2)
        _legs(pen, build, phase + 2.6, bob, deeper(skin, 0.45), None)
        _tail(pen, build, time, bob, skin, rim)
        _trunk(pen, build, bob, skin, rim)
        _legs(pen, build, phase, bob, deeper(skin, 0.12), rim)
        _head(pen, build, time, bob, skin, rim)

    return draw


def _legs(pen: Pen, build: Beast, phase: float, bob: float, colour: Colour, rim: Colour | None) -> None:
    half = build.leg / 2
    for hip, beat in ((-build.length * 0.92, 0.0), (build.length * 0.88, 1.9)):
        swing = sin(phase + beat) * build.stride
        bend = max(0.0, cos(phase + beat)) * build.stride * 1.5 * (1 if hip < 0 else -0.4)
        top = (hip, bob - build.girth * 0.35)
        knee = (top[0] + half * sin(swing), top[1] - half * cos(swing) - build.girth * 0.3)
        foot = (knee[0] + half * sin(swing - bend), knee[1] - half * cos(swing - bend))
        toe = (foot[0] + build.limb * 0.8, foot[1] - 0.004)
        thick = build.limb
        shape = pen.chain((top, knee, foot, toe), (thick * 1.75, thick, thick * 0.72, thick * 0.7), 0.04)
        pen.ink(shape, colour, rim)


def _trunk(pen: Pen, build: Beast, bob: float, skin: Colour, rim: Colour) -> None:
    back, front = (-build.length * 0.85, bob), (build.length * 0.8, bob + 0.01)
    neck = (front[0] + build.neck[0], front[1] + build.neck[1])
    body = pen.capsule(back, front, build.girth * 0.9, build.girth)
    throat = pen.capsule((front[0], front[1] + 0.02), neck, build.girth * 0.85, build.head * 0.75)
    if build.mark == "mane":
        mane = pen.ellipse((neck[0] - 0.05, neck[1] - 0.02), 0.2, 0.21)
        pen.ink(union((body, throat), 0.1), skin, rim)
        pen.ink(mane, deeper(skin, 0.4), rim)
        return
    pen.ink(union((body, throat), 0.12), skin, rim)
    if build.mark == "crest":
        hair = [(front[0] - 0.04, front[1] + 0.1), (neck[0] - 0.12, neck[1] - 0.02), (neck[0] - 0.02, neck[1] + 0.08)]
        pen.ink(pen.chain(hair, (0.05, 0.06, 0.03)), deeper(skin, 0.55))
    if build.mark == "bib":
        pen.ink(
            pen.capsule((front[0] + 0.1, bob - 0.01), (front[0] + 0.04, bob - 0.07), 0.03, 0.035), paler(skin, 0.75)
        )


def _tail(pen: Pen, build: Beast, time: float, bob: float, skin: Colour, rim: Colour) -> None:
    root = (-build.length - build.girth * 0.5, bob + build.girth * 0.35)
    wag = sin(time * 5) * 0.05
    shapes: dict[str, tuple[tuple[Point, ...], tuple[float, ...]]] = {
        "bushy": (
            ((0.05, -0.02), (-0.16, -0.02 + wag), (-0.34, 0.05 + wag * 1.6), (-0.5, 0.13 + wag * 2)),
            (0.035, 0.08, 0.095, 0.015),
        ),
        "brush": (((0.05, 0), (-0.14, -0.1 + wag), (-0.27, -0.2 + wag)), (0.035, 0.06, 0.015)),
        "up": (((0.05, 0), (-0.08, 0.12), (-0.06 + wag * 2, 0.27)), (0.035, 0.035, 0.015)),
        "high": (((0.05, 0), (-0.1, 0.1), (-0.13 + wag, 0.3), (-0.05 + wag * 2, 0.42)), (0.035, 0.03, 0.028, 0.018)),
        "thin": (((0.03, 0), (-0.08, -0.14), (-0.08 + wag, -0.3)), (0.028, 0.018, 0.012)),
        "tuft": (((0.03, 0), (-0.16, -0.02), (-0.28, -0.14 + wag), (-0.33, -0.12 + wag)), (0.03, 0.02, 0.02, 0.045)),
        "flowing": (((0.04, 0.02), (-0.16, 0.0 + wag), (-0.3, -0.16 + wag), (-0.36, -0.34)), (0.03, 0.06, 0.06, 0.01)),
        "stub": (((0.03, 0), (-0.05, 0.05)), (0.03, 0.02)),
        "puff": (((-0.02, 0), (-0.04, 0.02)), (0.06, 0.06)),
    }
    if build.tail in shapes:
        points, radii = shapes[build.tail]
        placed = [(root[0] + x, root[1] + y) for x, y in points]
        dark = 0.5 if build.tail == "flowing" else 0.08
        pen.ink(pen.chain(placed, radii, 0.05), paler(skin, 0.8) if build.tail == "puff" else deeper(skin, dark), rim)
        if build.tail == "bushy":
            pen.ink(pen.chain(placed[2:], (0.055, 0.01)), paler(skin, 0.8))


def _head(pen: Pen, build: Beast, time: float, bob: float, skin: Colour, rim: Colour) -> None:
    x, y = build.length * 0.8 + build.neck[0] + 0.02, bob + build.neck[1] + 0.03
    size = build.head
    _ears(pen, build, (x, y), skin)
    nose = (x + build.snout[0], y + build.snout[1])
    skull = pen.ellipse((x, y), size * 1.1, size)
    pen.ink(union((skull, pen.capsule((x, y - size * 0.2), nose, size * 0.6, build.snout[2])), 0.05), skin, rim)
    if build.mark == "bib":
        pen.ink(pen.capsule((x + 0.02, y - 0.055), (nose[0] - 0.02, nose[1] - 0.004), 0.025, 0.01), paler(skin, 0.8))
    if build.mark == "antlers":
        _antlers(pen, (x, y + size * 0.6), deeper(skin, 0.35))
    if build.mark == "trunk":
        curl = 0.06 * sin(time * 1.3)
        points = ((x + 0.08, y), (x + 0.2, y - 0.14), (x + 0.21 + curl, y - 0.34), (x + 0.29 + curl, y - 0.42))
        pen.ink(pen.chain(points, (0.1, 0.065, 0.045, 0.03), 0.05), skin, rim)
        pen.ink(
            pen.chain(((x + 0.1, y - 0.12), (x + 0.24, y - 0.2), (x + 0.33, y - 0.14)), (0.03, 0.025, 0.008)),
            (0.96, 0.94, 0.86),
        )
    else:
        pen.ink(pen.ellipse(nose, 0.026, 0.022), (0.06, 0.05, 0.06))
    pen.ink(pen.ellipse((x + size * 0.42, y + size * 0.22), 0.019, 0.021), (0.05, 0.04, 0.04))
    pen.ink(pen.ellipse((x + size * 0.47, y + size * 0.3), 0.007, 0.007), (1, 1, 1))


def _ears(pen: Pen, build: Beast, at: Point, skin: Colour) -> None:
    (x, y), size = at, build.head
    if build.ears == "pointed":
        for offset, colour in ((0.02, deeper(skin, 0.4)), (-0.05, skin)):
            root = x + offset
            pen.ink(
                pen.polygon(
                    (root - 0.045, y + size * 0.45),
                    (root + 0.05, y + size * 0.6),
                    (root - 0.005, y + size * 1.1 + 0.085),
                ),
                colour,
            )
            pen.ink(
                pen.polygon(
                    (root - 0.02, y + size * 0.7), (root + 0.025, y + size * 0.7), (root, y + size * 1.1 + 0.03)
                ),
                deeper(colour, 0.5),
            )
    elif build.ears == "round":
        for offset, colour in ((0.05, deeper(skin, 0.3)), (-0.06, skin)):
            pen.ink(pen.ellipse((x + offset, y + size * 0.95), 0.042, 0.042), colour)
    elif build.ears == "floppy":
        pen.ink(
            pen.chain(((x - 0.05, y + size * 0.7), (x - 0.1, y - 0.02), (x - 0.08, y - 0.08)), (0.03, 0.04, 0.025)),
            deeper(skin, 0.4),
        )
    elif build.ears == "long":
        for offset, colour in ((0.0, deeper(skin, 0.25)), (-0.06, skin)):
            pen.ink(pen.capsule((x + offset, y + size * 0.7), (x + offset * 2 - 0.03, y + 0.34), 0.025, 0.035), colour)
    elif build.ears == "sail":
        pen.ink(pen.ellipse((x - 0.12, y + 0.0), 0.14, 0.2, 0.25), deeper(skin, 0.22))


def _antlers(pen: Pen, root: Point, colour: Colour) -> None:
    for lean, tone in ((0.05, deeper(colour, 0.3)), (-0.04, colour)):
        x, y = root
        beam = ((x, y), (x + lean - 0.08, y + 0.13), (x + lean - 0.02, y + 0.3))
        tines = [
            pen.capsule((x + lean - 0.07, y + 0.1 + k * 0.08), (x + lean + 0.05, y + 0.17 + k * 0.09), 0.014, 0.006)
            for k in range(2)
        ]
        pen.ink(union([pen.chain(beam, (0.018, 0.015, 0.007)), *tines]), tone)
