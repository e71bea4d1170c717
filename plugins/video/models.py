"""What the engine knows of each model without loading it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from zeus.engine import Demand

BASIC: Final = frozenset({"prompt", "seed", "width", "height", "num_frames", "fps", "export_format"})
"""The arguments that every model honours."""


@dataclass(frozen=True)
class Source:
    """Where a model's weights come from: a folder of the owner's, which goes before a repository and its commit."""

    folder: str | None = None
    repository: str | None = None
    revision: str | None = None
    memory: float | None = None
    """GiB that they need on their device."""


@dataclass(frozen=True)
class Model:
    """One way of making frames from a prompt.

    `load` and `generate` name functions, "package.module:function", that run in a worker process. `load` is called
    with `arguments` before the first generation in a process; it may report {"message": str, "fraction": float}. None:
    there is nothing to load. `generate` is called with `arguments`, the arguments of the job that the model honours
    and `target`, a named pipe to write raw RGB frames to; `image` is then the path of a PNG of `width` × `height`, or
    None. It reports the number of frames written, or {"message": str, "fraction": float} and, once frames are complete,
    {"frame": int}; {"note": str} is for the log.
    """

    name: str
    description: str
    """One sentence for people: it stands in the log of each job, in the docs and on the page."""
    generate: str
    load: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    honours: frozenset[str] = BASIC
    width: int = 512
    height: int = 288
    num_frames: int = 73
    fps: float = 24.0
    sizes: tuple[int, int] = (16, 4096)
    """The least and the most of width and height, in pixels."""
    pixels: int | None = None
    """The most that width times height may be."""
    frames: tuple[int, int] = (2, 36_000)
    rates: tuple[float, float] = (1.0, 240.0)
    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    size_multiple: int | None = None
    """What width and height are rounded to. None: they are taken as they are, and refused where they cannot be."""
    frame_multiple: int = 1
    """The number of frames is rounded to one more than a multiple of this."""
    source: Source | None = None
    """None: it needs no weights. Else `arguments` has {"weights": {"folder": str}}."""
    revision: str = ""
    """The commit of its weights, where it is known."""
    demand: Demand = field(default_factory=Demand)
    """The GPU that it works on where there is one."""
    needs_image: bool = False
    """Whether it makes nothing of a prompt alone."""
    previews: bool = False
    """Whether `generate` takes `preview`, where it may put a JPEG of how far it is, by rename."""
    missing: str | None = None
    """Why this node cannot use it, known without trying."""


PROCEDURAL: Final = Model(
    name="procedural",
    description="the model that needs no download: it draws an animated picture from the words it knows "
    "(no AI, numpy only)",
    generate=f"{__package__}.procedural:generate",
)
