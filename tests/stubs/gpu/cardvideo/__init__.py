"""A test engine: the video engine with models that write down which GPU they work on, and when."""

from __future__ import annotations

from types import MappingProxyType

from zeus_plugins.video import BASIC, PROCEDURAL, Model, VideoEngine

from zeus.engine import Demand

WORK = f"{__name__}.work"


def model(name: str, demand: Demand) -> Model:
    return Model(
        name=name, description="a test model", load=f"{WORK}:load", generate=f"{WORK}:generate",
        width=64, height=36, num_frames=4, fps=4.0, honours=BASIC, demand=demand,
    )  # fmt: skip


MODELS = (
    model("any", Demand("gpu")),
    model("second", Demand("gpu:1")),
    model("huge", Demand("gpu", memory=2**50, least=2**45)),
    model("plain", Demand()),
)


class CardVideo(VideoEngine):
    name = "cardvideo"
    built_in = MappingProxyType({PROCEDURAL.name: PROCEDURAL, **{each.name: each for each in MODELS}})
