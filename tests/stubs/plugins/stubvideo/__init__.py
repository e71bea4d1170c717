"""A test engine: the video engine with models that load slowly, fail to load, or die."""

from __future__ import annotations

from types import MappingProxyType

from zeus_plugins.video import BASIC, PROCEDURAL, Model, VideoEngine

WORK = f"{__name__}.work"


def model(name: str, load: str, *more: str) -> Model:
    return Model(
        name=name, description="a test model", load=f"{WORK}:{load}", generate=f"{WORK}:generate",
        width=64, height=36, num_frames=4, fps=4.0, honours=BASIC | {*more},
    )  # fmt: skip


MODELS = (
    *(model(name, name) for name in ("slow", "broken", "dying", "quick")),
    model("pictured", "quick", "image"),
)


class StubVideo(VideoEngine):
    name = "stubvideo"
    built_in = MappingProxyType({PROCEDURAL.name: PROCEDURAL, **{each.name: each for each in MODELS}})
