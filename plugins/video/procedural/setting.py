"""What a whole picture has in common: the hour, the light, the colours, the height of the horizon."""

from __future__ import annotations

from .fields import Dice
from .palette import TINTS, Palette, hexed, palette, tinted
from .shapes import Point
from .subjects import ROLES
from .words import Reading


class Setting:
    """The hour, light and colours of one picture."""

    def __init__(self, said: Reading, dice: Dice, aspect: float) -> None:
        self.said, self.dice, self.aspect = said, dice, aspect
        self.time = self._time()
        tints = [TINTS[word] for word in said.of("colour")]
        self.tints = tints
        self.open = bool(
            said.of("place") or said.of("subject") or said.any("fire", "spark", "firefly", "petal", "leaf")
        )
        made = palette(dice, self.time, natural=self.open)
        self.palette: Palette = tinted(made, tints, 0.62)
        if "forest" in said and made.dark and not tints:
            made = tinted(made, [hexed("10707c")], 0.5)
            self.palette = made
        self.night = self.time == "night" or (self.time is None and made.dark and self.open)
        self.horizon = dice.between("horizon", 0.5, 0.72)
        self.light: Point = (
            dice.side("light-side") * dice.between("light-x", 0.1, 0.38) * self.aspect,
            self._light_height(),
        )
        self.runs = any(ROLES[word].home == "run" for word in said.of("subject"))
        self.speed = 0.3 if self.runs else 0.04

    def _time(self) -> str | None:
        said = self.said
        if said.of("time"):
            return said.of("time")[-1]
        if said.any("moon", "star", "aurora", "firefly", "firework", "galaxy", "meteor"):
            return "night"
        if "lightning" in said:
            return "storm"
        if said.any("fire", "spark"):
            return "night"
        if said.any("sun", "rainbow"):
            return "day"
        return None

    def _light_height(self) -> float:
        low = {"sunset": 0.84, "dawn": 0.78, "day": 0.3, "storm": 0.35}
        part = low.get(self.time or "", 0.42)
        return self.horizon * (part + self.dice.between("light-y", -0.1, 0.1))
