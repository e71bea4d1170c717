"""Colours: the light of each time of day, harmonies from chance, and what a colour word does to them."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from .fields import Dice

Colour = tuple[float, float, float]


def hexed(text: str) -> Colour:
    red, green, blue = (int(text[index : index + 2], 16) / 255 for index in (0, 2, 4))
    return red, green, blue


def mix(first: Colour, second: Colour, part: float) -> Colour:
    red, green, blue = (a + (b - a) * part for a, b in zip(first, second, strict=True))
    return red, green, blue


def times(first: Colour, second: Colour) -> Colour:
    red, green, blue = (a * b for a, b in zip(first, second, strict=True))
    return red, green, blue


def hue(turn: float, saturation: float, value: float) -> Colour:
    return colorsys.hsv_to_rgb(turn % 1, saturation, value)


@dataclass(frozen=True)
class Palette:
    """The colours of one picture: of the sky from top to horizon, of the light, and what light does to the rest."""

    zenith: Colour
    middle: Colour
    horizon: Colour
    light: Colour
    ambient: Colour
    accent: Colour
    dark: bool = False

    def lit(self, colour: Colour) -> Colour:
        """A thing's own colour as it looks in this light."""
        return times(colour, self.ambient)

    def far(self, colour: Colour, distance: float) -> Colour:
        """A lit colour seen through `distance` (0..1) of haze."""
        return mix(self.lit(colour), mix(self.horizon, self.middle, 0.35), distance)


def _row(text: str) -> tuple[Colour, ...]:
    return tuple(hexed(part) for part in text.split())


# zenith, middle, horizon, light, ambient, accent
_LIGHTS: Final[dict[str, Sequence[tuple[Colour, ...]]]] = {
    "dawn": (
        _row("3d4f9a c08fc0 ffd0a0 fff2cf d8bccc ff8fa0"),
        _row("6fa8d8 f0bccb fff0c8 ffffff d8c4c8 e8709a"),
        _row("27406e 7f8fc8 ffb4a0 ffe0d0 c0b0d0 f0a060"),
    ),
    "day": (
        _row("1160cc 5cb0f4 dff4ff fffce6 fffaf0 ffb030"),
        _row("0a88b4 6ccfe0 f8f6d8 fffbe0 f8fff4 ff7050"),
        _row("3450c0 88b0f4 ffe8d8 fff6e0 fff4f0 f05090"),
        _row("4aa0e0 a8dcf4 ffffff ffffff ffffff f0c020"),
    ),
    "sunset": (
        _row("2a1a62 c83c70 ffb444 fff0b0 d8a0a8 ff5a4a"),
        _row("17386e e2604c ffd468 fff4c0 d0a8a4 40c0c0"),
        _row("4c104e f04838 ffcc54 fff0a0 d89c98 ffa0c0"),
        _row("0b5a78 f09a78 ffe488 fffbd0 dcb8a8 d84a78"),
    ),
    "night": (
        _row("040a2c 10307a 4a86c8 eef6ff 5468a8 ffd070"),
        _row("0c0428 48187a c04ca0 ffe8ff 6c58a8 60e0ff"),
        _row("02141f 065060 3cbca0 e8fff4 48808c ffb060"),
        _row("0b0a22 302860 e09058 fff0d0 6c6494 70c0ff"),
    ),
    "storm": (
        _row("161e2c 3c4c5c a8bcb4 f0fbff 8a98a4 e0e060"),
        _row("141220 463e60 c09c84 fff0e0 908aa0 80d0ff"),
    ),
}
TINTS: Final[dict[str, Colour]] = {
    "red": hexed("e0202c"),
    "orange": hexed("ff7a14"),
    "gold": hexed("f8c020"),
    "green": hexed("1fa046"),
    "teal": hexed("0ca8a8"),
    "blue": hexed("1c58e8"),
    "purple": hexed("8028d0"),
    "pink": hexed("ff6cb0"),
    "white": hexed("f8f8ff"),
    "black": hexed("0c0c14"),
    "brown": hexed("7a4a24"),
    "silver": hexed("a8b4c4"),
}


def _harmony(dice: Dice) -> Palette:
    """A palette that no word asked for: two or three hues that go together, dark or bright, either end up."""
    turn, value = dice.between("hue", 0, 1), dice.rng("values").uniform(size=3)
    other = turn + (0.08, 0.36, 0.5, 0.62, -0.14)[dice.pick("harmony", 5)]
    dark = dice.pick("key", 2) == 0
    low = hue(turn, 0.6 + 0.25 * float(value[0]), 0.16 + 0.3 * float(value[1]))
    high = hue(other, 0.25 + 0.35 * float(value[2]), 1.0)
    between = hue((turn + other) / 2 if dice.pick("way", 2) else turn, 0.55, 0.72)
    top, bottom = (low, high) if dice.pick("end", 3) else (high, mix(low, high, 0.25))
    ambient = mix(high, (1, 1, 1), 0.5) if not dark else mix(low, high, 0.45)
    return Palette(top, between, bottom, mix(high, (1, 1, 1), 0.6), ambient, hue(other + 0.45, 0.8, 1.0), dark)


def palette(dice: Dice, time: str | None, *, natural: bool = False) -> Palette:
    """The colours of a time of day (a key of this table); without one, of any (`natural`) or of none."""
    if time is None and natural:
        time = ("dawn", "day", "day", "sunset", "sunset", "night")[dice.pick("hour", 6)]
    if time is None:
        return _harmony(dice)
    rows = _LIGHTS[time]
    zenith, middle, horizon, light, ambient, accent = rows[dice.pick("light", len(rows))]
    made = Palette(zenith, middle, horizon, light, ambient, accent, time == "night")
    return _turned(made, dice.between("turn", -0.04, 0.04))


def _turned(made: Palette, turn: float) -> Palette:
    def shifted(colour: Colour) -> Colour:
        tone, saturation, value = colorsys.rgb_to_hsv(*colour)
        return hue(tone + turn, saturation, value)

    return replace(made, zenith=shifted(made.zenith), middle=shifted(made.middle), horizon=shifted(made.horizon))


def tinted(made: Palette, tints: Sequence[Colour], amount: float) -> Palette:
    """The palette drawn towards colours that the prompt names: the last of them rules the horizon."""
    if not tints:
        return made
    first, last = tints[0], tints[-1]
    return replace(
        made,
        zenith=mix(made.zenith, mix(first, (0, 0, 0), 0.45), amount),
        middle=mix(made.middle, first, amount),
        horizon=mix(made.horizon, mix(last, (1, 1, 1), 0.3), amount),
        ambient=mix(made.ambient, mix(last, (1, 1, 1), 0.3), amount * 0.7),
        accent=mix(made.accent, last, amount),
    )
