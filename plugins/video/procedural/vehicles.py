"""Machines: how each is drawn, and what of it moves."""

from __future__ import annotations

from math import cos, sin

from .palette import Colour, hexed
from .shapes import Pen, deeper, paler, union, within, without

WINDOW = hexed("ffd870")


def boat(pen: Pen, time: float, skin: Colour, rim: Colour) -> None:
    fill = 0.03 * sin(time * 1.7)
    pen.ink(pen.capsule((0.0, -0.2), (0.0, 0.62), 0.018, 0.012), hexed("4a3424"))
    pen.ink(pen.polygon((0.03, 0.58), (0.03, -0.1), (0.42 + fill, -0.06), (0.3 + fill, 0.2)), hexed("fbf4e4"), rim)
    pen.ink(pen.polygon((-0.03, 0.5), (-0.03, -0.1), (-0.3 - fill, -0.08)), hexed("efe0c4"), rim)
    pen.ink(pen.polygon((-0.5, -0.14), (0.56, -0.12), (0.36, -0.4), (-0.36, -0.4)), skin, rim)
    pen.ink(pen.capsule((-0.48, -0.16), (0.53, -0.14), 0.02, 0.02), paler(skin, 0.5))


def car(pen: Pen, time: float, skin: Colour, rim: Colour) -> None:
    bob = 0.008 * sin(time * 9)
    cabin = pen.polygon((-0.32, 0.02 + bob), (-0.2, 0.22 + bob), (0.14, 0.22 + bob), (0.3, 0.02 + bob))
    body = pen.chain(((-0.48, -0.08 + bob), (0.0, -0.06 + bob), (0.5, -0.1 + bob)), (0.1, 0.12, 0.085), 0.05)
    pen.ink(union((body, cabin), 0.04), skin, rim)
    for a, b in ((-0.24, -0.03), (0.0, 0.22)):
        pen.ink(
            pen.polygon((a, 0.04 + bob), (max(a, -0.17), 0.18 + bob), (min(b, 0.12), 0.18 + bob), (b, 0.04 + bob)),
            hexed("b8e4f4"),
        )
    pen.glow((0.6, -0.09), 0.3, hexed("fff4c0"), 0.9)
    pen.ink(pen.ellipse((0.55, -0.08 + bob), 0.03, 0.03), hexed("fffae0"))
    pen.ink(pen.ellipse((-0.56, -0.07 + bob), 0.022, 0.03), hexed("ff4030"))
    for x in (-0.31, 0.32):
        pen.ink(pen.ellipse((x, -0.18), 0.115, 0.115), (0.07, 0.07, 0.09))
        pen.ink(pen.ellipse((x, -0.18), 0.06, 0.06), (0.72, 0.74, 0.78))
        turn = -time * 9
        pen.ink(
            pen.capsule((x, -0.18), (x + 0.05 * cos(turn), -0.18 + 0.05 * sin(turn)), 0.014, 0.014), (0.2, 0.2, 0.24)
        )


def train(pen: Pen, time: float, skin: Colour, rim: Colour) -> None:
    for puff in range(6):
        part = (time * 0.5 + puff / 6) % 1
        pen.ink(
            pen.ellipse((0.42 - 0.9 * part, 0.3 + 0.26 * part), 0.05 + 0.11 * part, 0.05 + 0.08 * part),
            paler(rim, 0.5 - 0.2 * part),
        )
    pen.ink(pen.capsule((-0.95, -0.27), (0.95, -0.27), 0.012, 0.012), (0.25, 0.22, 0.22))
    for x in (-0.72, -0.28):
        pen.ink(pen.polygon((x - 0.2, -0.2), (x - 0.2, 0.1), (x + 0.2, 0.1), (x + 0.2, -0.2)), deeper(skin, 0.3), rim)
        for dx in (-0.1, 0.1):
            pen.ink(
                pen.polygon(
                    (x + dx - 0.06, -0.04), (x + dx - 0.06, 0.06), (x + dx + 0.06, 0.06), (x + dx + 0.06, -0.04)
                ),
                WINDOW,
            )
    pen.ink(pen.capsule((0.15, -0.04), (0.52, -0.04), 0.14, 0.14), skin, rim)
    pen.ink(pen.polygon((-0.06, -0.2), (-0.06, 0.24), (0.18, 0.24), (0.18, -0.2)), skin, rim)
    pen.ink(pen.polygon((-0.02, 0.06), (-0.02, 0.19), (0.12, 0.19), (0.12, 0.06)), WINDOW)
    pen.ink(pen.polygon((0.4, 0.06), (0.37, 0.26), (0.51, 0.26), (0.48, 0.06)), deeper(skin, 0.5))
    pen.ink(pen.polygon((0.6, -0.24), (0.82, -0.25), (0.62, -0.06)), deeper(skin, 0.55))
    pen.glow((0.68, 0.0), 0.28, WINDOW, 0.9)
    for x in (-0.84, -0.6, -0.4, -0.16, 0.04, 0.26, 0.5):
        pen.ink(pen.ellipse((x, -0.2), 0.075, 0.075), (0.1, 0.1, 0.12))
        turn = -time * 7
        pen.ink(
            pen.capsule((x, -0.2), (x + 0.055 * cos(turn), -0.2 + 0.055 * sin(turn)), 0.015, 0.015), (0.75, 0.7, 0.6)
        )


def rocket(pen: Pen, time: float, skin: Colour, rim: Colour) -> None:
    flame = 0.34 + 0.06 * sin(time * 23) + 0.04 * sin(time * 37)
    pen.glow((0, -0.45), 0.6, hexed("ff9030"), 0.9)
    for size, colour in ((1.0, "ff5a1c"), (0.68, "ffb030"), (0.4, "fff4c0")):
        pen.ink(
            pen.chain(
                ((0, -0.34), (0, -0.42 - flame * 0.4 * size), (0, -0.45 - flame * size)),
                (0.1 * size, 0.085 * size, 0.01),
            ),
            hexed(colour),
        )
    for side in (-1, 1):
        pen.ink(pen.polygon((side * 0.12, -0.05), (side * 0.3, -0.4), (side * 0.1, -0.3)), deeper(skin, 0.15))
    pen.ink(union((pen.chain(((0, -0.3), (0, 0.1), (0, 0.5)), (0.11, 0.17, 0.015)),), 0.1), hexed("f4f4f8"), rim)
    pen.ink(pen.polygon((-0.085, 0.3), (0, 0.54), (0.085, 0.3)), skin, rim)
    pen.ink(pen.ellipse((0, 0.12), 0.085, 0.085), deeper(skin, 0.4))
    pen.ink(pen.ellipse((0, 0.12), 0.06, 0.06), hexed("90dcff"))


def balloon(pen: Pen, time: float, skin: Colour, rim: Colour) -> None:
    for side in (-1, 1):
        pen.ink(pen.capsule((side * 0.16, -0.12), (side * 0.07, -0.46), 0.008, 0.008), hexed("4a3424"))
    envelope = union(
        (pen.ellipse((0, 0.2), 0.4, 0.4), pen.polygon((-0.33, 0.02), (0.33, 0.02), (0.1, -0.24), (-0.1, -0.24))), 0.12
    )
    pen.ink(envelope, skin, rim)
    turn = 0.03 * sin(time)
    for wide in (0.26, 0.09):
        panel = within(pen.ellipse((turn, 0.18), wide, 0.5), envelope)
        pen.ink(without(panel, pen.ellipse((turn, 0.18), wide * 0.62, 0.5)), paler(skin, 0.7), rim)
    pen.ink(pen.polygon((-0.09, -0.46), (-0.07, -0.6), (0.07, -0.6), (0.09, -0.46)), hexed("8a5a30"), rim)
    pen.glow((0, -0.32), 0.2, hexed("ffb040"), 0.5 + 0.4 * sin(time * 5))


def robot(pen: Pen, time: float, skin: Colour, rim: Colour) -> None:
    wave, step = sin(time * 4), sin(time * 5)
    for side in (-1, 1):
        lift = 0.05 * max(0.0, side * step)
        pen.ink(pen.capsule((side * 0.12, -0.2), (side * 0.12, -0.48 + lift), 0.05, 0.05), deeper(skin, 0.45), rim)
        pen.ink(pen.capsule((side * 0.1, -0.52 + lift), (side * 0.19, -0.52 + lift), 0.05, 0.04), deeper(skin, 0.6))
        hand = (side * 0.42, 0.25 + 0.12 * wave) if side > 0 else (-0.36, -0.15 + 0.05 * step)
        pen.ink(pen.chain(((side * 0.22, 0.1), (side * 0.36, 0.0), hand), (0.045, 0.04, 0.05)), deeper(skin, 0.3), rim)
    pen.ink(pen.chain(((0, -0.16), (0, 0.12)), (0.2, 0.22)), skin, rim)
    pen.ink(pen.ellipse((0, 0.02), 0.075, 0.075), hexed("60f0ff") if time % 0.8 < 0.5 else hexed("208898"))
    pen.ink(pen.capsule((-0.12, 0.44), (0.12, 0.44), 0.14, 0.14), paler(skin, 0.2), rim)
    pen.ink(pen.capsule((-0.11, 0.45), (0.11, 0.45), 0.085, 0.085), (0.05, 0.07, 0.12))
    for side in (-1, 1):
        pen.ink(pen.ellipse((side * 0.09, 0.45), 0.038, 0.008 if time % 2.2 > 2.08 else 0.045), hexed("60f0ff"))
    pen.ink(pen.capsule((0, 0.56), (0.03 * wave, 0.7), 0.012, 0.012), deeper(skin, 0.4))
    pen.ink(pen.ellipse((0.03 * wave, 0.71), 0.034, 0.034), hexed("ff5040"))
