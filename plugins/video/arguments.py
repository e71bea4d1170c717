"""What a job may say to the video engine, and what of it cannot be right whatever the model."""

from __future__ import annotations

import unicodedata
from typing import Annotated

import msgspec
from msgspec import Meta

_SPACES = frozenset("\n\r\t")


def _text(field: str, text: str) -> None:
    """Raises ValueError where a text holds what no person types."""
    for letter in text:
        if unicodedata.category(letter) in ("Cc", "Cs") and letter not in _SPACES:
            raise ValueError(f"{field} holds the control character U+{ord(letter):04X}")


class VideoArgs(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What to make a video of. All but the prompt may be left out; a model refuses what it cannot honour."""

    prompt: Annotated[str, Meta(min_length=1, max_length=10_000, description="What the video shows, in words.")]
    model: Annotated[str | None, Meta(description="Which model makes it. By default the one in the configuration.")] = (
        None
    )
    negative_prompt: Annotated[
        Annotated[str, Meta(max_length=10_000)] | None, Meta(description="What the video must not show.")
    ] = None
    seed: Annotated[
        Annotated[int, Meta(ge=0, le=2**63 - 1)] | None,
        Meta(description="The same seed makes the same video again. By default a random one."),
    ] = None
    width: Annotated[
        Annotated[int, Meta(ge=16, le=8192)] | None, Meta(description="Width in pixels, an even number for mp4.")
    ] = None
    height: Annotated[
        Annotated[int, Meta(ge=16, le=8192)] | None, Meta(description="Height in pixels, an even number for mp4.")
    ] = None
    num_frames: Annotated[
        Annotated[int, Meta(ge=1, le=100_000)] | None, Meta(description="How many frames the video has.")
    ] = None
    fps: Annotated[Annotated[float, Meta(ge=1, le=240)] | None, Meta(description="Frames a second.")] = None
    num_inference_steps: Annotated[
        Annotated[int, Meta(ge=1, le=1000)] | None, Meta(description="Denoising steps: more is slower and finer.")
    ] = None
    guidance_scale: Annotated[
        Annotated[float, Meta(ge=0, le=100)] | None, Meta(description="How closely to follow the prompt.")
    ] = None
    image: Annotated[
        str | None, Meta(description="The name of the picture that the video begins with: the job's file.")
    ] = None
    export_format: Annotated[
        str | None, Meta(description="mp4, gif, webp, or png for a picture of each frame. By default mp4.")
    ] = None

    def __post_init__(self) -> None:
        # Meta's bounds hold for decoded arguments; these also for arguments that were made in Python.
        if not self.prompt.strip():
            raise ValueError("prompt is blank")
        for field in ("prompt", "negative_prompt"):
            text = getattr(self, field)
            if text is not None and len(text) > 10_000:
                raise ValueError(f"{field} is longer than 10,000 characters")
            _text(field, text or "")
