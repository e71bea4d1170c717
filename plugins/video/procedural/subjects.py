"""The subjects of pictures: where each animal or thing is at home, and how it takes its place."""

from __future__ import annotations

from dataclasses import dataclass
from math import sin
from typing import Final

from . import buildings, creatures, plants, vehicles
from .beasts import BEASTS, Draw, beast
from .canvas import Canvas
from .palette import Colour, hexed
from .shapes import Pen, Point


@dataclass(frozen=True)
class Role:
    """How a subject takes part: where it is at home, its height above the origin of its pen, size and colour."""

    draw: Draw
    home: str
    """ground (stands), run (the ground passes by), air, sea (below the surface), float (on it)"""
    foot: float
    size: float
    colour: Colour


def _beasts() -> dict[str, Role]:
    colours = {
        "fox": "e8641c",
        "dog": "b07840",
        "wolf": "727c8c",
        "cat": "e09a4c",
        "lion": "d8a048",
        "horse": "8a4c28",
        "deer": "a86c3c",
        "bear": "6a4630",
        "elephant": "8a8e9a",
        "rabbit": "c8b4a0",
    }
    feet = {kind: build.leg + build.girth * 0.65 + 0.02 for kind, build in BEASTS.items()}
    sizes = {"elephant": 0.72, "rabbit": 0.42, "bear": 0.62, "cat": 0.5}
    return {
        kind: Role(beast(kind), "run", feet[kind], sizes.get(kind, 0.56), hexed(colour))
        for kind, colour in colours.items()
    }


ROLES: Final[dict[str, Role]] = _beasts() | {
    "person": Role(creatures.person, "run", 0.56, 0.46, hexed("d84848")),
    "bird": Role(creatures.bird, "air", 0, 0.44, hexed("3478c8")),
    "owl": Role(creatures.owl, "air", 0, 0.5, hexed("8a6038")),
    "butterfly": Role(creatures.butterfly, "air", 0, 0.46, hexed("f08020")),
    "dragon": Role(creatures.dragon, "air", 0, 0.56, hexed("2c9a58")),
    "balloon": Role(vehicles.balloon, "air", 0, 0.46, hexed("e04038")),
    "rocket": Role(vehicles.rocket, "air", 0, 0.44, hexed("e03838")),
    "fish": Role(creatures.fish, "sea", 0, 0.46, hexed("ff8a1c")),
    "whale": Role(creatures.whale, "sea", 0, 0.6, hexed("3c648c")),
    "shark": Role(creatures.shark, "sea", 0, 0.5, hexed("74889c")),
    "jellyfish": Role(creatures.jellyfish, "sea", 0, 0.5, hexed("e070e0")),
    "turtle": Role(creatures.turtle, "sea", 0, 0.5, hexed("3c9a5c")),
    "boat": Role(vehicles.boat, "float", 0.3, 0.4, hexed("a03c2c")),
    "house": Role(buildings.house, "ground", 0.42, 0.4, hexed("b04838")),
    "castle": Role(buildings.castle, "ground", 0.45, 0.5, hexed("a49aa8")),
    "lighthouse": Role(buildings.lighthouse, "ground", 0.55, 0.5, hexed("d83030")),
    "windmill": Role(buildings.windmill, "ground", 0.48, 0.48, hexed("a05a3c")),
    "tree": Role(plants.tree, "ground", 0.6, 0.46, hexed("3c8c3c")),
    "palm": Role(plants.palm, "ground", 0.6, 0.52, hexed("2c8c4c")),
    "flower": Role(plants.flower, "ground", 0.7, 0.5, hexed("f04878")),
    "mushroom": Role(plants.mushroom, "ground", 0.5, 0.46, hexed("d8302c")),
    "car": Role(vehicles.car, "run", 0.29, 0.44, hexed("d83038")),
    "train": Role(vehicles.train, "run", 0.28, 0.5, hexed("2c5c4c")),
    "robot": Role(vehicles.robot, "ground", 0.56, 0.44, hexed("90a0b4")),
}


@dataclass(frozen=True)
class Subject:
    """One animal or thing, moving a little around its place."""

    role: Role
    place: Point
    size: float
    facing: float
    skin: Colour
    rim: Colour
    phase: float

    def paint(self, canvas: Canvas, time: float) -> None:
        own = time + self.phase
        free = self.role.home in ("air", "sea")
        x = self.place[0] + (0.05 if free else 0.02 * (self.role.home == "run")) * sin(own * 0.9)
        y = self.place[1] + (0.03 * sin(own * 1.3) if free else 0.008 * sin(own * 1.7) * (self.role.home == "float"))
        turn = 0.04 * sin(own * 1.1) if self.role.home == "float" else 0.0
        pen = Pen(canvas, (x, y), self.size, facing=self.facing, turn=turn, reach=1.45)
        if pen.canvas is not None:
            self.role.draw(pen, own, self.skin, self.rim)
