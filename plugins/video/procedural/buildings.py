"""Buildings: how each is drawn, and what of it moves."""

from __future__ import annotations

from math import cos, pi, sin

from .palette import Colour, hexed
from .shapes import Pen, deeper, paler, union

WINDOW = hexed("ffd870")


def house(pen: Pen, time: float, skin: Colour, rim: Colour) -> None:
    for puff in range(4):
        part = (time * 0.25 + puff / 4) % 1
        pen.ink(
            pen.ellipse((0.22 + 0.25 * part, 0.5 + 0.4 * part), 0.05 + 0.07 * part, 0.04 + 0.06 * part), paler(rim, 0.3)
        )
    pen.ink(pen.polygon((0.16, 0.2), (0.16, 0.5), (0.27, 0.5), (0.27, 0.2)), deeper(skin, 0.5))
    pen.ink(pen.polygon((-0.38, -0.42), (-0.38, 0.1), (0.38, 0.1), (0.38, -0.42)), paler(skin, 0.45), rim)
    pen.ink(pen.polygon((-0.5, 0.06), (0, 0.46), (0.5, 0.06)), deeper(skin, 0.25), rim)
    pen.ink(pen.polygon((-0.07, -0.42), (-0.07, -0.12), (0.09, -0.12), (0.09, -0.42)), deeper(skin, 0.65))
    for x in (-0.24, 0.25):
        pen.glow((x, -0.1), 0.24, WINDOW, 0.5 + 0.08 * sin(time * 3 + x))
        pen.ink(pen.polygon((x - 0.07, -0.18), (x - 0.07, -0.02), (x + 0.07, -0.02), (x + 0.07, -0.18)), WINDOW)


def castle(pen: Pen, time: float, skin: Colour, rim: Colour) -> None:
    for x, top, wide in ((0.0, 0.5, 0.13), (-0.42, 0.28, 0.1), (0.42, 0.28, 0.1), (-0.2, 0.1, 0.14), (0.2, 0.1, 0.14)):
        tone = deeper(skin, 0.18 if abs(x) == 0.2 else 0.0)
        teeth = [
            pen.polygon(
                (x - wide + k * wide * 0.8, top),
                (x - wide + k * wide * 0.8, top + 0.07),
                (x - wide * 0.6 + k * wide * 0.8, top + 0.07),
                (x - wide * 0.6 + k * wide * 0.8, top),
            )
            for k in range(3)
        ]
        wall = pen.polygon((x - wide, -0.45), (x - wide, top), (x + wide, top), (x + wide, -0.45))
        pen.ink(union([wall, *teeth]), tone, rim)
        if abs(x) != 0.2:
            pen.ink(
                pen.polygon((x - wide * 1.2, top + 0.06), (x, top + 0.36), (x + wide * 1.2, top + 0.06)),
                hexed("7a3048"),
                rim,
            )
            wave = 0.03 * sin(time * 6 + x * 5)
            pen.ink(pen.polygon((x, top + 0.46), (x + 0.15, top + 0.42 + wave), (x, top + 0.37)), hexed("e84040"))
            pen.ink(pen.capsule((x, top + 0.34), (x, top + 0.46), 0.008, 0.008), deeper(skin, 0.6))
        pen.ink(pen.ellipse((x, top - 0.14), 0.026, 0.05), WINDOW)
    pen.ink(
        union(
            (
                pen.ellipse((0, -0.27), 0.09, 0.12),
                pen.polygon((-0.09, -0.45), (-0.09, -0.27), (0.09, -0.27), (0.09, -0.45)),
            )
        ),
        deeper(skin, 0.75),
    )


def lighthouse(pen: Pen, time: float, skin: Colour, rim: Colour) -> None:
    turn = time * 1.5
    for side in (0.0, pi):
        reach = cos(turn + side)
        far = (1.9 * reach, 0.5 + 0.1 * sin(turn + side))
        if abs(reach) > 0.08:
            beam = pen.polygon((0, 0.5), (far[0], far[1] + 0.22), (far[0], far[1] - 0.12))
            pen.ink(beam, paler(WINDOW, 0.35))
    pen.ink(pen.ellipse((0, -0.58), 0.62, 0.2), hexed("3c3a44"), rim)
    pen.ink(pen.polygon((-0.17, -0.5), (-0.1, 0.4), (0.1, 0.4), (0.17, -0.5)), hexed("f6f2ea"), rim)
    for stripe in range(3):
        low, wide = -0.42 + stripe * 0.29, 0.163 - stripe * 0.023
        pen.ink(
            pen.polygon((-wide, low), (-wide + 0.01, low + 0.14), (wide - 0.01, low + 0.14), (wide, low)), skin, rim
        )
    pen.ink(pen.polygon((-0.14, 0.4), (-0.14, 0.44), (0.14, 0.44), (0.14, 0.4)), deeper(skin, 0.6))
    pen.ink(pen.polygon((-0.08, 0.44), (-0.08, 0.58), (0.08, 0.58), (0.08, 0.44)), WINDOW)
    pen.ink(pen.polygon((-0.12, 0.57), (0, 0.73), (0.12, 0.57)), deeper(skin, 0.3), rim)
    pen.glow((0, 0.5), 0.45, WINDOW, 0.9)


def windmill(pen: Pen, time: float, skin: Colour, rim: Colour) -> None:
    pen.ink(pen.polygon((-0.2, -0.48), (-0.11, 0.2), (0.11, 0.2), (0.2, -0.48)), paler(skin, 0.55), rim)
    pen.ink(pen.polygon((-0.14, 0.18), (0, 0.36), (0.14, 0.18)), deeper(skin, 0.3), rim)
    pen.ink(pen.polygon((-0.05, -0.48), (-0.05, -0.3), (0.05, -0.3), (0.05, -0.48)), deeper(skin, 0.7))
    for arm in range(4):
        turn = time * 1.2 + arm * pi / 2
        c, s = cos(turn), sin(turn)
        at = [(0.05, 0.0), (0.12, 0.09), (0.58, 0.12), (0.6, 0.0)]
        pen.ink(pen.polygon(*[(x * c - y * s, 0.2 + x * s + y * c) for x, y in at]), hexed("fff8ec"))
        pen.ink(pen.capsule((0, 0.2), (0.62 * c, 0.2 + 0.62 * s), 0.016, 0.012), hexed("4a3424"))
