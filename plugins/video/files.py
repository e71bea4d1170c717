"""What a job makes: in which file or files, and what these say of the job."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from zeus.engine import ZEUS_VERSION, MediaInfo

from .arguments import VideoArgs
from .models import Model

TARGETS: Final[Mapping[str, str]] = MappingProxyType(
    {"mp4": "out.mp4", "gif": "out.gif", "webp": "out.webp", "png": "."}
)
"""Where each export format goes in a job's folder; the last one is a file for each frame."""
_TOLD: Final = (
    "prompt", "negative_prompt", "seed", "width", "height", "num_frames", "fps", "num_inference_steps",
    "guidance_scale",
)  # fmt: skip
_NEAR: Final = 0.005
"""The part of a rate that nobody sees."""


def told(model: Model, args: VideoArgs) -> dict[str, Any]:
    """What `encode` takes to write down what was made, and all that it takes to make it again."""
    said = {field: getattr(args, field) for field in _TOLD}
    metadata = {**said, "model": model.name, "revision": model.revision, "zeus": ZEUS_VERSION}
    return {
        "title": " ".join(args.prompt.split()),
        "metadata": {name: value for name, value in metadata.items() if value not in (None, "")},
    }


def note_rate(note: Callable[[str], None], asked: float, made: MediaInfo) -> None:
    """Say at which rate a file plays whose format cannot have just any."""
    video = made.first("video")
    if video is not None and video.frames and video.duration:
        real = video.frames / video.duration
        if abs(real / asked - 1) > _NEAR:
            note(f"it plays {real:.4g} frames a second instead of {asked:g}, the nearest that its format can have")
