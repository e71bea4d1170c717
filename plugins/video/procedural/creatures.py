"""Birds, fish, people and dragons: how each is drawn, and how it moves."""

from __future__ import annotations

from math import cos, pi, sin

from .palette import Colour, hexed
from .shapes import Pen, deeper, paler, union, without


def bird(pen: Pen, time: float, skin: Colour, rim: Colour) -> None:
    beat = sin(time * 7.5)
    far, near = 0.5 * beat, 0.55 * sin(time * 7.5 - 0.35)
    for lift, x, tone in ((far, 0.06, deeper(skin, 0.35)), (near, -0.04, deeper(skin, 0.08))):
        tip = (x - 0.24, 0.1 + lift * 1.05)
        pen.ink(pen.polygon((x + 0.16, 0.02), (x + 0.1, 0.12 + lift * 0.65), tip, (x - 0.12, 0.0)), tone)
    pen.ink(pen.polygon((-0.2, 0.05), (-0.5, 0.1), (-0.52, -0.04), (-0.22, -0.04)), deeper(skin, 0.2))
    body = union((pen.ellipse((0, 0), 0.28, 0.095, 0.1), pen.ellipse((0.25, 0.07), 0.085, 0.08)), 0.08)
    pen.ink(body, skin, rim)
    pen.ink(pen.polygon((0.31, 0.1), (0.31, 0.03), (0.44, 0.05)), hexed("f0a020"))
    pen.ink(pen.ellipse((0.28, 0.09), 0.017, 0.017), (0.04, 0.04, 0.05))


def owl(pen: Pen, time: float, skin: Colour, rim: Colour) -> None:
    turn = 0.05 * sin(time * 1.3)
    pen.ink(pen.capsule((-0.7, -0.42), (0.7, -0.38), 0.04, 0.03), hexed("3a2a20"))
    ears = [pen.polygon((turn + s * 0.1, 0.4), (turn + s * 0.24, 0.3), (turn + s * 0.24, 0.56)) for s in (-1, 1)]
    pen.ink(union([pen.ellipse((0, -0.05), 0.24, 0.36), pen.ellipse((turn, 0.28), 0.23, 0.19), *ears], 0.06), skin, rim)
    pen.ink(pen.ellipse((0, -0.1), 0.14, 0.24), paler(skin, 0.45))
    shut = 0.015 if time % 2.4 > 2.25 else 0.075
    for side in (-1, 1):
        pen.ink(pen.ellipse((turn + side * 0.1, 0.3), 0.095, 0.095), paler(skin, 0.6))
        pen.ink(pen.ellipse((turn + side * 0.1, 0.3), 0.07, shut), hexed("ffc020"))
        pen.ink(pen.ellipse((turn + side * 0.1, 0.3), 0.035, min(shut, 0.035)), (0.03, 0.03, 0.03))
        wing = 0.2 + 0.02 * sin(time * 2)
        pen.ink(pen.ellipse((side * wing, -0.1), 0.07, 0.26, side * 0.15), deeper(skin, 0.3))
    pen.ink(pen.polygon((turn - 0.035, 0.25), (turn + 0.035, 0.25), (turn, 0.16)), hexed("d89020"))


def butterfly(pen: Pen, time: float, skin: Colour, rim: Colour) -> None:
    fold = 0.35 + 0.65 * abs(sin(time * 5))
    for side in (-1, 1):
        for x, y, rx, ry, lean in ((0.3, 0.22, 0.3, 0.21, 0.7), (0.2, -0.18, 0.2, 0.15, -0.7)):
            at = (side * x * fold, y)
            pen.ink(pen.ellipse(at, rx * max(fold, 0.3), ry * 1.15, side * lean), deeper(skin, 0.55))
            pen.ink(pen.ellipse(at, rx * max(fold, 0.3) * 0.84, ry * 0.92, side * lean), skin, rim)
            pen.ink(pen.ellipse((at[0] * 1.25, at[1] * 1.2), 0.05 * fold + 0.01, 0.05), paler(skin, 0.75))
        pen.ink(
            pen.chain(((0, 0.2), (side * 0.06, 0.36), (side * 0.14, 0.44)), (0.012, 0.01, 0.016)), (0.08, 0.06, 0.08)
        )
    pen.ink(pen.capsule((0, -0.24), (0, 0.22), 0.025, 0.04), (0.08, 0.06, 0.08))


def fish(pen: Pen, time: float, skin: Colour, rim: Colour) -> None:
    wag = 0.14 * sin(time * 6)
    pen.ink(pen.polygon((-0.26, 0.0), (-0.56, 0.22 + wag), (-0.46, wag), (-0.56, -0.22 + wag)), deeper(skin, 0.25))
    pen.ink(pen.polygon((0.14, 0.14), (-0.05, 0.32), (-0.22, 0.1)), deeper(skin, 0.2))
    pen.ink(pen.polygon((0.05, -0.12), (-0.08, -0.28), (-0.16, -0.1)), deeper(skin, 0.2))
    body = union((pen.ellipse((0.03, 0), 0.36, 0.19), pen.capsule((-0.2, 0), (-0.34, wag * 0.4), 0.1, 0.04)), 0.06)
    pen.ink(body, skin, rim)
    for stripe in (0.14, -0.06):
        pen.ink(union((pen.capsule((stripe, -0.12), (stripe, 0.12), 0.028, 0.028),)), paler(skin, 0.8))
    flap = 0.05 * sin(time * 8)
    pen.ink(pen.polygon((0.06, -0.02), (-0.1, -0.1 + flap), (-0.08, 0.04 + flap)), deeper(skin, 0.35))
    pen.ink(pen.ellipse((0.25, 0.05), 0.042, 0.042), (1, 1, 1))
    pen.ink(pen.ellipse((0.262, 0.05), 0.022, 0.022), (0.03, 0.03, 0.05))


def whale(pen: Pen, time: float, skin: Colour, rim: Colour) -> None:
    beat = 0.12 * sin(time * 2.2)
    spine = ((0.42, 0.02), (0.1, 0.03), (-0.3, 0.0 + beat * 0.2), (-0.62, 0.06 + beat))
    tail = (-0.62, 0.06 + beat)
    fluke = [
        pen.chain(
            (tail, (tail[0] - 0.1, tail[1] + 0.07 * s + beat * 0.5), (tail[0] - 0.25, tail[1] + 0.15 * s + beat)),
            (0.04, 0.05, 0.008),
        )
        for s in (1, -0.5)
    ]
    pen.ink(union([pen.chain(spine, (0.17, 0.22, 0.14, 0.035), 0.1), *fluke], 0.05), skin, rim)
    pen.ink(pen.chain(((0.5, -0.1), (0.2, -0.145), (-0.1, -0.11)), (0.045, 0.055, 0.015)), paler(skin, 0.6))
    pen.ink(
        pen.chain(((0.14, -0.1), (0.04, -0.24 - beat), (-0.1, -0.3 - beat)), (0.05, 0.045, 0.01)), deeper(skin, 0.3)
    )
    pen.ink(pen.ellipse((0.38, -0.01), 0.016, 0.016), (0.03, 0.03, 0.05))


def shark(pen: Pen, time: float, skin: Colour, rim: Colour) -> None:
    wag = 0.1 * sin(time * 3)
    pen.ink(pen.polygon((-0.5, 0.0), (-0.78, 0.26 + wag), (-0.64, wag), (-0.74, -0.16 + wag)), deeper(skin, 0.15))
    pen.ink(pen.polygon((0.12, 0.1), (-0.12, 0.36), (-0.14, 0.08)), deeper(skin, 0.1))
    pen.ink(
        pen.chain(((0.6, 0.0), (0.15, 0.0), (-0.3, 0.0), (-0.58, wag * 0.4)), (0.03, 0.15, 0.09, 0.03), 0.08), skin, rim
    )
    pen.ink(pen.chain(((0.48, -0.045), (0.15, -0.09), (-0.2, -0.05)), (0.015, 0.05, 0.01)), paler(skin, 0.7))
    pen.ink(pen.polygon((0.2, -0.08), (0.0, -0.32), (0.04, -0.08)), deeper(skin, 0.3))
    pen.ink(pen.ellipse((0.43, 0.03), 0.016, 0.016), (0.02, 0.02, 0.03))


def jellyfish(pen: Pen, time: float, skin: Colour, rim: Colour) -> None:
    pulse = 0.05 * sin(time * 2.6)
    pen.glow((0, 0.1), 0.75, skin, 0.45)
    for arm in range(7):
        x = (arm - 3) * 0.085
        points = [(x + 0.07 * sin(time * 2 + arm + k * 0.9) * k / 3, 0.08 - k * 0.13) for k in range(7)]
        pen.ink(
            pen.chain(points, (0.022, 0.02, 0.018, 0.016, 0.014, 0.01, 0.004)), paler(skin, 0.25 + 0.05 * (arm % 3))
        )
    bell = pen.ellipse((0, 0.16), 0.34 + pulse, 0.28 - pulse)
    floor = pen.capsule((-0.5, -0.12), (0.5, -0.12), 0.18, 0.18)
    shape = union((pen.ellipse((0, 0.08), 0.35 + pulse, 0.06), without(bell, floor)), 0.05)
    pen.ink(shape, skin, rim)
    pen.ink(pen.ellipse((0, 0.2), 0.16, 0.12), paler(skin, 0.45))


def turtle(pen: Pen, time: float, skin: Colour, rim: Colour) -> None:
    row = sin(time * 2.4)
    for x, reach, tone in ((0.2, 0.36, 0.3), (-0.26, 0.22, 0.35)):
        pen.ink(
            pen.chain(((x, -0.05), (x - 0.08, -0.16 - 0.12 * row), (x - 0.2, -0.12 - reach * row)), (0.07, 0.07, 0.02)),
            deeper(skin, tone),
        )
    pen.ink(
        union((pen.capsule((0.25, 0.02), (0.45, 0.08), 0.07, 0.075), pen.ellipse((0.48, 0.09), 0.095, 0.075)), 0.05),
        paler(skin, 0.3),
        rim,
    )
    shell = hexed("6a4a28")
    pen.ink(pen.ellipse((0, 0.03), 0.38, 0.2), shell, rim)
    for x, y in ((0.18, 0.06), (0.0, 0.1), (-0.18, 0.06), (-0.09, -0.03), (0.09, -0.03)):
        pen.ink(pen.ellipse((x, y), 0.075, 0.055), paler(shell, 0.22))
    pen.ink(pen.ellipse((0.52, 0.11), 0.016, 0.016), (0.03, 0.03, 0.03))


def person(pen: Pen, time: float, skin: Colour, rim: Colour) -> None:
    phase = time * 5.2
    for turn, tone in ((pi, 0.45), (0.0, 0.15)):
        swing = 0.5 * sin(phase + turn)
        bend = max(0.0, cos(phase + turn)) * 0.8
        knee = (0.24 * sin(swing), -0.05 - 0.24 * cos(swing))
        foot = (knee[0] + 0.24 * sin(swing - bend), knee[1] - 0.24 * cos(swing - bend))
        legs = ((0.0, -0.04), knee, foot, (foot[0] + 0.07, foot[1]))
        pen.ink(pen.chain(legs, (0.065, 0.05, 0.036, 0.03), 0.02), deeper(hexed("2c3a5c"), tone))
        elbow = (-0.16 * sin(swing), 0.27 - 0.17)
        hand = (elbow[0] + 0.14 * sin(-swing + 0.5), elbow[1] - 0.12)
        pen.ink(pen.chain(((0.0, 0.29), elbow, hand), (0.045, 0.036, 0.03), 0.02), deeper(skin, tone))
    pen.ink(pen.capsule((0.0, 0.0), (0.02, 0.26), 0.075, 0.09), skin, rim)
    pen.ink(pen.ellipse((0.03, 0.46), 0.078, 0.092), hexed("d8a078"), rim)
    pen.ink(pen.ellipse((0.015, 0.5), 0.086, 0.07), hexed("3a2418"))


def dragon(pen: Pen, time: float, skin: Colour, rim: Colour) -> None:
    flap = sin(time * 3.6)
    for x, tone, late in ((0.1, 0.45, 0.0), (-0.02, 0.12, 0.3)):
        lift = 0.45 * sin(time * 3.6 - late)
        wing = (
            (x + 0.12, 0.04),
            (x + 0.08, 0.36 + lift * 0.5),
            (x - 0.44, 0.48 + lift * 1.1),
            (x - 0.25, 0.27 + lift * 0.7),
            (x - 0.38, 0.2 + lift * 0.55),
            (x - 0.2, 0.15 + lift * 0.3),
            (x - 0.2, 0.04),
        )
        pen.ink(pen.polygon(*wing), deeper(skin, tone))
    spine = [(0.3 - 0.2 * k, 0.05 * sin(time * 3.6 + k * 0.9) * k * 0.4 - 0.02 * flap) for k in range(6)]
    neck = ((0.25, 0.0), (0.4, 0.1), (0.5, 0.2))
    head = pen.chain(((0.5, 0.21), (0.66, 0.17)), (0.065, 0.03))
    body = union(
        [
            pen.chain(spine, (0.1, 0.12, 0.085, 0.055, 0.035, 0.01), 0.05),
            pen.chain(neck, (0.08, 0.055, 0.05), 0.05),
            head,
        ],
        0.04,
    )
    pen.ink(
        pen.polygon((-0.66, spine[-1][1]), (-0.86, spine[-1][1] + 0.1), (-0.82, spine[-1][1] - 0.08)), deeper(skin, 0.2)
    )
    pen.ink(body, skin, rim)
    for horn in (0.0, 0.045):
        pen.ink(pen.capsule((0.48 + horn, 0.25), (0.37 + horn, 0.34), 0.018, 0.004), paler(skin, 0.6))
    pen.ink(pen.ellipse((0.54, 0.225), 0.016, 0.016), hexed("ffe060"))
    puff = time * 0.9 % 1
    pen.glow((0.74 + puff * 0.12, 0.15), 0.1 + 0.2 * puff, hexed("ff9030"), 1.4 * (1 - puff))
