"""What a Blender job may say in `args`, and which of its values contradict each other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta

RenderEngine = Literal["CYCLES", "EEVEE", "WORKBENCH"]
Picture = Literal["PNG", "JPEG", "OPEN_EXR", "OPEN_EXR_MULTILAYER", "TIFF"]
Movie = Literal["mp4", "mov", "webm"]
ExportFormat = Literal[Picture, Movie]
Device = Literal["auto", "CPU", "CUDA", "OPTIX", "HIP", "METAL", "ONEAPI"]
Color = Literal["BW", "RGB", "RGBA"]
Depth = Literal[8, 16, 32]

PICTURES: tuple[str, ...] = get_args(Picture)
MOVIES: tuple[str, ...] = get_args(Movie)
FORMATS = (*PICTURES, *MOVIES)
DEPTHS: dict[str, tuple[int, ...]] = {
    "PNG": (8, 16),
    "JPEG": (8,),
    "TIFF": (8, 16),
    "OPEN_EXR": (16, 32),
    "OPEN_EXR_MULTILAYER": (16, 32),
}

FASTEST = 1000
"""Frames a second that a movie may have."""

Pixels = Annotated[int, Meta(ge=4, le=65536)]
Name = Annotated[str, Meta(min_length=1, max_length=255)]


class BlenderArgs(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A rendering. What is left out is as the scene has it."""

    scene: Annotated[Name | None, Meta(description="Left out: the scene that the file was saved with.")] = None
    camera: Annotated[Name | None, Meta(description="Left out: the scene's, markers included.")] = None
    engine: Annotated[RenderEngine | None, Meta(description="Left out: the scene's.")] = None
    samples: Annotated[int, Meta(ge=1, le=1_000_000, description="For each pixel, with CYCLES and EEVEE.")] | None = (
        None
    )
    resolution: Annotated[tuple[Pixels, Pixels] | None, Meta(description="Width and height, in pixels.")] = None
    resolution_percentage: Annotated[int, Meta(ge=1, le=1000, description="Of the resolution.")] | None = None
    export_format: Annotated[ExportFormat | None, Meta(description="Of the frames, or a movie of them.")] = None
    device: Annotated[Device, Meta(description="What CYCLES renders on; auto: a GPU where there is one.")] = "auto"
    threads: Annotated[int, Meta(ge=1, le=1024, description="Left out: one for each processor.")] | None = None
    color: Annotated[Color | None, Meta(description="The channels of the pictures.")] = None
    color_depth: Annotated[Depth | None, Meta(description="Bits of each channel.")] = None
    seed: Annotated[int, Meta(ge=0, le=2_147_483_647, description="Of the noise, with CYCLES.")] | None = None
    frame_step: Annotated[int, Meta(ge=1, le=10_000, description="Render every how manyth frame.")] | None = None
    fps: (
        Annotated[float, Meta(gt=0, le=FASTEST, description="Frames a second of a movie; left out: the scene's.")]
        | None
    ) = None
    stereo: Annotated[
        bool, Meta(description="Whether a scene for two eyes is rendered for both; a movie never is.")
    ] = True

    def __post_init__(self) -> None:
        for problem in _problems(self):
            raise ValueError(problem)

    @property
    def movie(self) -> str | None:
        """The container to encode the frames into, or None."""
        return self.export_format if self.export_format in MOVIES else None

    @property
    def picture(self) -> str:
        """The format of the frames; those of a movie are PNG."""
        return "PNG" if self.export_format is None or self.movie else self.export_format


def _problems(args: BlenderArgs) -> Iterator[str]:
    yield from engine_problems(args, args.engine)
    if args.export_format is not None:
        yield from format_problems(args, args.export_format)


def engine_problems(args: BlenderArgs, engine: str | None) -> Iterator[str]:
    """What the arguments ask of an engine that it does not have."""
    if engine not in (None, "CYCLES"):
        if args.seed is not None:
            yield f"seed cannot be given with engine {engine}: it is for CYCLES."
        if args.device != "auto":
            yield f"device cannot be given with engine {engine}: it is for CYCLES."
    if engine not in (None, "CYCLES", "EEVEE") and args.samples is not None:
        yield f"samples cannot be given with engine {engine}: it is for CYCLES and EEVEE."


def format_problems(args: BlenderArgs, name: str) -> Iterator[str]:
    """What the arguments ask of a format that it does not have."""
    if args.fps is not None and name not in MOVIES:
        yield f"fps cannot be given with export_format {name}: it is for {', '.join(MOVIES)}."
    if name in MOVIES:
        if args.color == "RGBA" or args.color_depth not in (None, 8):
            yield f"export_format {name} has no transparency and 8 bits a channel."
        return
    if args.color == "RGBA" and name == "JPEG":
        yield "color RGBA cannot be given with export_format JPEG, which has no transparency."
    if args.color is not None and name == "OPEN_EXR_MULTILAYER":
        yield "color cannot be given with export_format OPEN_EXR_MULTILAYER, whose layers have channels of their own."
    if args.color_depth not in (None, *DEPTHS[name]):
        bits = " or ".join(map(str, DEPTHS[name]))
        yield f"color_depth {args.color_depth} cannot be given with export_format {name}: it has {bits} bits."
