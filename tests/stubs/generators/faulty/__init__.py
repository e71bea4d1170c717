"""A test engine: the video engine with real pipelines, whose jobs say in their prompt what goes wrong, and where."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from zeus_plugins.video import Model, VideoEngine

from zeus.engine import ModelSettings

WORK = f"{__name__}.work"


class FaultyVideo(VideoEngine):
    name = "faulty"

    def known(self, settings: Mapping[str, ModelSettings]) -> Mapping[str, Model]:
        return {
            name: dataclasses.replace(model, load=f"{WORK}:load", generate=f"{WORK}:generate") if model.load else model
            for name, model in super().known(settings).items()
        }
