"""A test engine: the video engine with models that load slowly, fail to load, or die."""

from __future__ import annotations

from types import MappingProxyType

from zeus_plugins.video import PROCEDURAL, Model, VideoEngine

WORK = f"{__name__}.work"


def model(name: str, load: str) -> Model:
    return Model(
        name=name, description="a test model", load=f"{WORK}:{load}", generate=f"{WORK}:generate",
        width=64, height=36, num_frames=4, fps=4.0,
    )  # fmt: skip


MODELS = (model("slow", "slow"), model("broken", "broken"), model("dying", "dying"), model("quick", "quick"))


class StubVideo(VideoEngine):
    name = "stubvideo"
    built_in = MappingProxyType({PROCEDURAL.name: PROCEDURAL, **{each.name: each for each in MODELS}})
