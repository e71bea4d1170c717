"""Composition: which layers a prompt becomes, from the far ones to the near ones."""

from __future__ import annotations

from .abstract import Orbs, Polygons, Silk
from .canvas import Layer
from .fields import Dice, line, tile
from .ground import Blooms, Fog, Grass, Ground, Road
from .land import City, Ridges, Trees, Trunks
from .palette import TINTS, Colour, hexed, hue, mix
from .particles import Bubbles, Campfire, Drifting, Fireflies, Fireworks, Rain, Snow, Sparks
from .plants import volcano
from .setting import Setting
from .sky import Aurora, Clouds, Disc, Galaxy, Lightning, Meteors, Nebula, Planet, Rainbow, Sky, Stars
from .subjects import ROLES, Role, Subject
from .water import Depths, Mirror, Reef, Waves
from .words import Reading

GRASS, SAND, SNOW, EARTH, SEA = hexed("4e8c34"), hexed("e0b070"), (1.12, 1.16, 1.24), hexed("6a5848"), hexed("16688c")
FIR, ROCK = hexed("1e4a34"), hexed("5c6478")


class Composer(Setting):
    """Collects the layers of one picture."""

    def __init__(self, said: Reading, dice: Dice, aspect: float) -> None:
        super().__init__(said, dice, aspect)
        self.layers: list[Layer] = []

    def add(self, *layers: Layer) -> None:
        self.layers.extend(layers)

    def compose(self) -> list[Layer]:
        said = self.said
        places = said.of("place")
        sea = any(ROLES[word].home == "sea" for word in said.of("subject"))
        outdoors = said.of("weather") or said.any("fire", "spark", "firefly", "petal", "leaf", "firework", "storm")
        if said.any("underwater", "coral") or (sea and not places):
            self._underwater()
        elif said.any("abstract", "geometry") and not places:
            self._abstract()
        elif "space" in said or (said.any("galaxy", "planet", "rocket") and not places):
            self._space()
        elif not places and not said.of("subject") and not said.of("sky") and not outdoors:
            self._anything()
        else:
            self._land()
        self._subjects()
        self._air()
        return self.layers

    # The worlds

    def _underwater(self) -> None:
        self.horizon = 0.8
        self.add(Depths(self.dice, self.palette, self.tints))
        self.add(Reef(self.dice, self.palette, self.aspect, corals="coral" in self.said))
        self.add(Bubbles(self.dice, self.aspect))

    def _abstract(self) -> None:
        if "geometry" in self.said:
            self.add(
                Polygons(self.dice, self.palette, grid_floor="neon" in self.said or not self.dice.pick("floor", 2))
            )
        else:
            self.add(Silk(self.dice, self.palette, wild=True))
        self._heaven()

    def _space(self) -> None:
        said, dice = self.said, self.dice
        self.add(Nebula(dice, self.palette), Stars(dice, self.aspect, 1.0, 340))
        self.horizon = 0.9
        if "galaxy" in said:
            centre = (dice.between("galaxy-x", -0.2, 0.2) * self.aspect, dice.between("galaxy-y", 0.4, 0.6))
            self.add(Galaxy(dice, self.aspect, centre, 0.62))
        if "planet" in said or "galaxy" not in said:
            self._planet(0.2 if "planet" in said else 0.09)
        if "sun" in said or "moon" in said:
            self._disc()
        if "meteor" in said:
            self.add(Meteors(dice, self.aspect))
        if "aurora" in said:
            self.add(Aurora(dice, 0.9))

    def _planet(self, size: float) -> None:
        dice = self.dice
        place = (-self.light[0] * 0.8, dice.between("planet-y", 0.25, 0.45))
        colour = self.tints[0] if self.tints else hue(dice.between("planet-hue", 0, 1), 0.6, 0.85)
        self.add(
            Planet(
                place,
                size * min(1.0, self.aspect),
                colour,
                line(dice.rng("bands"), 1.1),
                dice.between("ring", -0.5, 0.5),
            )
        )

    def _anything(self) -> None:
        """For prompts of which no word says what to show."""
        kind = self.dice.pick("world", 4)
        if kind == 0:
            self.add(Silk(self.dice, self.palette))
        elif kind == 1:
            self.add(Orbs(self.dice, self.palette, self.aspect))
        else:
            self._land()
            return
        self._heaven()

    # The land and its sky

    def _land(self) -> None:
        glow = 0.55 if self.time in ("sunset", "dawn") else 0.32
        self.add(Sky(self.palette, self.light, self.horizon, glow))
        self._heaven()
        self._country()

    def _heaven(self) -> None:
        said, dice, night = self.said, self.dice, self.night
        if "star" in said or night:
            self.add(Stars(dice, self.aspect, self.horizon, 320 if "star" in said else 110))
        if "galaxy" in said:
            self.add(Galaxy(dice, self.aspect, (-self.light[0] * 0.6, 0.32), 0.5))
        if "aurora" in said:
            self.add(Aurora(dice, self.horizon))
        if "planet" in said:
            self._planet(0.13)
        if (
            said.any("sun", "moon")
            or self.time in ("sunset", "dawn")
            or (night and not said.any("aurora", "galaxy"))
            or (not self.said.of("sky") and self.time is None and "fog" not in said and dice.pick("disc", 3))
        ):
            self._disc()
        amount = 0.85 if "cloud" in said else 0.68 if said.any("storm", "lightning", "rain") else 0.4
        if said.any("cloud", "storm", "lightning", "rain") or (self.open and not self.night):
            self.add(Clouds(dice, self.palette, self.horizon, amount, self.light))
        if "rainbow" in said:
            self.add(Rainbow((-self.light[0] * 0.4, self.horizon + 0.12), 0.42))
        if "meteor" in said:
            self.add(Meteors(dice, self.aspect))
        if said.any("lightning") or "storm" in said.of("time"):
            self.add(Lightning(dice, self.aspect, self.horizon + 0.02))
        if "firework" in said:
            self.add(Fireworks(dice, self.aspect))

    def _disc(self) -> None:
        moon = "moon" in self.said or (self.night and "sun" not in self.said)
        named = self.said.any("sun", "moon")
        size = (0.1 if named else 0.065) * min(1.0, self.aspect + 0.2)
        self.add(Disc(self.light, size, self.palette.light, moon, tile(self.dice.rng("moon"), 64, 1.6)))

    def _country(self) -> None:
        said, dice, made = self.said, self.dice, self.palette
        snow = "snow" in said
        water = said.any("ocean", "lake", "beach") or ("boat" in said or "lighthouse" in said)
        if "mountain" in said or "volcano" in said:
            self.add(self._ridges(ROCK, rough=0.9, tall=0.46, snow=0.3 if "mountain" in said else 0.0))
        if "volcano" in said:
            self._volcano()
        if "hill" in said:
            self.add(
                self._ridges(mix(GRASS, FIR, 0.3) if not snow else SNOW, rough=0.05, tall=0.24, spread=0.16, rows=5)
            )
        if "forest" in said:
            self.add(Trees(dice, made, mix(FIR, SNOW, 0.5) if snow else FIR, self.horizon, tall=0.36, speed=self.speed))
        if "city" in said:
            self.add(City(dice, made, self.horizon))
        if not said.any("mountain", "volcano", "hill", "forest", "city", "ocean", "desert", "beach"):
            self._unnamed(snow)
        self._front(snow, water)

    def _ridges(
        self, colour: Colour, *, rough: float, tall: float, snow: float = 0.0, spread: float = 0.0, rows: int = 4
    ) -> Ridges:
        return Ridges(
            self.dice,
            self.palette,
            colour,
            self.horizon,
            rough=rough,
            tall=tall,
            snow=snow,
            spread=spread,
            rows=rows,
            light=self.light,
            speed=0.02 + self.speed * 0.15,
        )

    def _unnamed(self, snow: bool) -> None:
        """Ridges like cut paper, where no word names what is on the horizon."""
        made, dice = self.palette, self.dice
        if self.open:
            self.add(
                self._ridges(
                    SNOW if snow else mix(FIR, made.zenith, 0.4), rough=dice.between("rough", 0, 0.5), tall=0.2, rows=3
                )
            )
        else:
            colour = SNOW if snow else mix(made.zenith, made.accent, dice.between("paper", 0.05, 0.5))
            self.add(
                self._ridges(
                    colour,
                    rough=dice.between("rough", 0, 0.8),
                    tall=dice.between("tall", 0.18, 0.34),
                    spread=1.06 - self.horizon,
                    rows=6,
                )
            )

    def _volcano(self) -> None:
        place = (-self.light[0] * 0.5, self.horizon - 0.33)
        self.add(Sparks(self.dice, self.aspect, (place[0], place[1] + 0.02), 0.9))
        role = Role(volcano, "ground", 0, 0.5, hexed("3a2c30"))
        self.add(
            Subject(
                role, (place[0], self.horizon - 0.02), 0.62, 1, self.palette.lit(hexed("54403c")), self.palette.light, 0
            )
        )

    def _front(self, snow: bool, water: bool) -> None:
        said, dice, made, behind = self.said, self.dice, self.palette, list(self.layers)
        colour = SNOW if snow else SAND if said.any("desert", "beach") else GRASS
        alone = "mountain" in said and len(said.of("place")) == 1 and not snow and not self.runs
        tarn = alone and dice.pick("tarn", 3) > 0
        if (said.any("lake", "boat") or tarn) and not said.any("ocean", "beach", "lighthouse"):
            self.add(Mirror(dice, made, self.horizon + 0.02, behind, light=self.light, tint=SEA))
        elif water:
            self.add(Waves(dice, made, self.horizon, SEA, self.light))
            if "beach" in said:
                self.add(Ground(dice, made, SAND, min(self.horizon + 0.24, 0.85), rough=0.3))
        elif "city" in said:
            self.add(Mirror(dice, made, self.horizon + 0.05, behind, light=self.light, tint=hexed("20242e")))
        elif "desert" in said:
            self.add(self._ridges(SAND if not snow else SNOW, rough=0.25, tall=0.2, spread=1.05 - self.horizon, rows=5))
        elif self.open:
            ground = colour if not said.any("volcano") else EARTH
            self.add(Ground(dice, made, ground, self.horizon + 0.04, rough=0.25 if snow else 0.5, speed=self.speed))
        self._growth(snow)

    def _growth(self, snow: bool) -> None:
        said, dice, made = self.said, self.dice, self.palette
        if "road" in said:
            self.add(Road(dice, made, self.horizon + 0.06))
        if said.any("meadow", "garden"):
            self.add(Grass(dice, made, SNOW if snow else hexed("6aa83c"), self.horizon + 0.04, speed=self.speed))
        if "garden" in said:
            self.add(
                Blooms(dice, made, self.horizon + 0.04, self.aspect, self.tints[0] if self.tints else None, self.speed)
            )
        if "forest" in said and self.night:
            self.add(Fog(dice, made, self.horizon - 0.08, 0.5))
        if "forest" in said and not self.said.of("subject"):
            self.add(Trunks(dice, made, hexed("3a2c24"), self.speed))
        if "fog" in said:
            self.add(Fog(dice, made, self.horizon))

    # What is in front

    def _subjects(self) -> None:
        said, dice = self.said, self.dice
        if "petal" in said and not said.of("subject"):
            self._blossom()
        kinds = said.of("subject")[:4]
        facing = dice.side("pan")
        for index, kind in enumerate(kinds):
            role = ROLES[kind]
            size = role.size * min(1.0, self.aspect * 0.8 + 0.1) * (1.0 if len(kinds) == 1 else 0.78)
            spread = (index - (len(kinds) - 1) / 2) * 0.62 / max(len(kinds) - 1, 1)
            x = (spread + dice.between(f"at-{kind}", -0.1, 0.1)) * self.aspect
            skin = TINTS[said.skins[kind]] if kind in said.skins else role.colour
            lit = mix(self.palette.lit(skin), skin, 0.55)
            self.add(
                Subject(
                    role,
                    (x, self._height(role, size, kind)),
                    size,
                    facing,
                    lit,
                    self.palette.light,
                    dice.between(f"phase-{kind}", 0, 9),
                )
            )

    def _blossom(self) -> None:
        """The trees that petals come from, one near and one far."""
        side, role = self.dice.side("blossom"), ROLES["tree"]
        for x, size, foot in ((-0.2, 0.34, 0.12), (0.3, 0.62, 0.28)):
            place = (x * side * self.aspect, self.horizon + foot - role.foot * size)
            pink = mix(self.palette.lit(hexed("ff9cc4")), hexed("ff9cc4"), 0.6)
            self.add(Subject(role, place, size, side, pink, hexed("fff0f6"), 2.0 * x))

    def _height(self, role: Role, size: float, kind: str) -> float:
        if role.home in ("air", "sea"):
            return self.dice.between(f"high-{kind}", 0.36, 0.52)
        if role.home == "float":
            return self.horizon + 0.13 - role.foot * size
        foot = min(0.93, self.horizon + (0.24 if role.home == "run" else 0.17))
        return foot - role.foot * size

    def _air(self) -> None:
        said, dice, aspect = self.said, self.dice, self.aspect
        wind = 1.0 if "wind" in said or "storm" in said.of("time") else 0.0
        if "fire" in said:
            place = (dice.between("fire-x", -0.12, 0.12) * aspect, 0.88)
            self.add(Campfire(dice, place, 0.32), Sparks(dice, aspect, place))
        elif "spark" in said:
            self.add(Sparks(dice, aspect, (dice.between("spark-x", -0.2, 0.2) * aspect, 1.02), 1.2))
        if "firefly" in said:
            self.add(Fireflies(dice, aspect, hexed("e8f060")))
        for word, kind in (("petal", "petals"), ("leaf", "leaves"), ("confetti", "confetti"), ("dust", "dust")):
            if word in said:
                self.add(Drifting(dice, aspect, kind, wind))
        if "wind" in said and not said.any("petal", "leaf", "dust", "snow", "rain"):
            self.add(Drifting(dice, aspect, "leaves", 0.6), Drifting(dice, aspect, "dust", 1.0))
        if "bubble" in said:
            self.add(Bubbles(dice, aspect), Bubbles(Dice(b"more"), aspect))
        if "rain" in said or "storm" in said.of("time"):
            self.add(Rain(dice, aspect, self.palette.horizon, wind))
        if "snow" in said:
            self.add(Snow(dice, aspect, wind))


def compose(said: Reading, dice: Dice, aspect: float) -> list[Layer]:
    """The layers of a picture that is `aspect` times as wide as it is high, the farthest first."""
    return Composer(said, dice, aspect).compose()
