"""Plants that stand alone, and a volcano: how each is drawn, and what of it moves."""

from __future__ import annotations

from math import cos, pi, sin

from .palette import Colour, hexed
from .shapes import Pen, deeper, union


def tree(pen: Pen, time: float, skin: Colour, rim: Colour) -> None:
    sway = 0.02 * sin(time * 1.5)
    bark = hexed("4c3424")
    pen.ink(pen.chain(((0, -0.62), (0.01, -0.2), (sway, 0.15)), (0.09, 0.06, 0.05)), bark, rim)
    for side in (-1, 1):
        pen.ink(pen.capsule((0, -0.15), (side * 0.24 + sway, 0.12), 0.04, 0.025), bark)
    crown = (
        (0.0, 0.1, 0.25),
        (-0.28, 0.05, 0.18),
        (0.28, 0.07, 0.19),
        (-0.14, 0.24, 0.2),
        (0.2, 0.27, 0.19),
        (0.02, 0.34, 0.2),
        (-0.34, 0.2, 0.14),
        (0.38, 0.2, 0.13),
        (-0.22, 0.42, 0.15),
        (0.16, 0.47, 0.16),
        (-0.03, 0.56, 0.13),
    )
    for index, (x, y, size) in enumerate(crown):
        at = (x + sway * (1 + y * 3), y + 0.012 * sin(time * 1.9 + index))
        clump = [
            pen.ellipse(
                (at[0] + size * 0.75 * cos(k * 1.26 + index), at[1] + size * 0.7 * sin(k * 1.26 + index)),
                size * 0.42,
                size * 0.4,
            )
            for k in range(5)
        ]
        pen.ink(union([pen.ellipse(at, size, size * 0.86), *clump], 0.05), deeper(skin, 0.36 - 0.036 * index), rim)


def palm(pen: Pen, time: float, skin: Colour, rim: Colour) -> None:
    sway = 0.03 * sin(time * 1.3)
    top = (0.17 + sway, 0.42)
    pen.ink(
        pen.chain(((-0.08, -0.62), (-0.02, -0.2), (0.08, 0.15), top), (0.06, 0.045, 0.038, 0.032)), hexed("6a4a30"), rim
    )
    for leaf in range(9):
        turn = leaf * 2 * pi / 9 + 0.3
        reach, droop = 0.46, 0.2 + 0.03 * sin(time * 2 + leaf)
        middle = (top[0] + reach * 0.6 * cos(turn), top[1] + 0.17 + 0.13 * sin(turn))
        end = (top[0] + reach * 1.05 * cos(turn) + sway, top[1] - droop + 0.24 * sin(turn))
        pen.ink(pen.chain((top, middle, end), (0.025, 0.05, 0.008)), deeper(skin, 0.06 * (leaf % 4)))


def flower(pen: Pen, time: float, skin: Colour, rim: Colour) -> None:
    sway = 0.05 * sin(time * 1.4)
    green = hexed("2f8a3c")
    pen.ink(pen.chain(((0, -0.75), (sway * 0.3, -0.35), (sway, 0.15)), (0.025, 0.022, 0.02)), green)
    for side, y in ((-1, -0.45), (1, -0.3)):
        pen.ink(
            pen.chain(((0, y - 0.08), (side * 0.15, y + 0.04), (side * 0.27, y + 0.05)), (0.02, 0.05, 0.005)), green
        )
    for ring, (size, tone) in enumerate(((0.27, 0.18), (0.2, 0.0))):
        for petal in range(8):
            turn = petal * pi / 4 + ring * 0.39 + 0.1 * sin(time * 0.9)
            pen.ink(
                pen.ellipse((sway + size * cos(turn), 0.2 + size * sin(turn)), 0.15, 0.085, turn),
                deeper(skin, tone),
                rim,
            )
    pen.ink(pen.ellipse((sway, 0.2), 0.12, 0.12), hexed("ffc830"), rim)


def mushroom(pen: Pen, time: float, skin: Colour, rim: Colour) -> None:
    for x, size in ((-0.33, 0.5), (0.34, 0.42), (0.0, 1.0)):
        lift = 0.02 * sin(time * 2 + x * 9)
        foot = -0.5
        top = foot + 0.52 * size + lift
        pen.glow((x, top), 0.5 * size, skin, 0.35)
        pen.ink(pen.capsule((x, foot), (x, top), 0.1 * size, 0.07 * size), hexed("f4e8d4"), rim)
        cap = union(
            (
                pen.ellipse((x, top + 0.1 * size), 0.34 * size, 0.19 * size),
                pen.ellipse((x, top + 0.2 * size), 0.2 * size, 0.16 * size),
            ),
            0.08,
        )
        pen.ink(cap, skin, rim)
        for dx, dy, dot in ((0.0, 0.2, 0.05), (-0.17, 0.11, 0.04), (0.17, 0.12, 0.045), (0.07, 0.04, 0.03)):
            pen.ink(pen.ellipse((x + dx * size, top + dy * size), dot * size, dot * size * 0.8), hexed("fff8ea"))


def volcano(pen: Pen, time: float, skin: Colour, rim: Colour) -> None:
    pen.ink(pen.polygon((-0.95, -0.05), (-0.3, 0.42), (-0.14, 0.6), (0.14, 0.6), (0.3, 0.42), (0.95, -0.05)), skin, rim)
    glow = 0.8 + 0.2 * sin(time * 4)
    pen.glow((0, 0.66), 0.6, hexed("ff6a1c"), glow)
    pen.ink(pen.ellipse((0, 0.6), 0.14, 0.03), hexed("ffd060"))
    for x, end, wide in ((-0.05, -0.24, 0.03), (0.06, 0.18, 0.036), (0.0, 0.02, 0.025)):
        low = 0.22 + 0.08 * sin(time * 0.6 + x * 30)
        points = ((x, 0.6), (x * 1.4 + 0.02 * sin(time + x * 40), 0.45), ((x + end) / 2, 0.34), (end, low))
        pen.ink(pen.chain(points, (wide, wide, wide * 0.8, 0.012), 0.02), hexed("ff5a14"))
        pen.ink(pen.chain(points, (wide * 0.5, wide * 0.5, wide * 0.4, 0.004), 0.02), hexed("ffc040"))
