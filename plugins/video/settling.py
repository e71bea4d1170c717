"""What a job asks of a model: its own words, the model's where it says nothing, and what the model cannot do."""

from __future__ import annotations

import secrets
from typing import Any, Final

import msgspec

from zeus.errors import BadInput

from .arguments import VideoArgs
from .models import Model

_DEFAULTS: Final = ("width", "height", "num_frames", "fps", "num_inference_steps", "guidance_scale")
_OPTIONS: Final = ("negative_prompt", "num_inference_steps", "guidance_scale", "image")


def settled(model: Model, args: VideoArgs, export_format: str) -> VideoArgs:
    """All arguments of a job, the seed too. Raises BadInput for what the model or the encoder cannot do."""
    _refuse_unsupported(model, args)
    complete = msgspec.structs.replace(
        args,
        model=model.name,
        negative_prompt=args.negative_prompt or None,
        seed=secrets.randbelow(2**32) if args.seed is None else args.seed,
        **{field: _said_or(args, model, field) for field in _DEFAULTS},
        export_format=export_format,
    )
    rounded = _rounded(model, complete)
    _refuse_outside(model, rounded)
    return rounded


def _said_or(args: VideoArgs, model: Model, field: str) -> Any:
    said = getattr(args, field)
    return getattr(model, field) if said is None else said


def _rounded(model: Model, args: VideoArgs) -> VideoArgs:
    """The nearest size and number of frames that the model can make; what is out of its bounds stays so."""
    if model.size_multiple is None:
        return args
    assert args.width and args.height and args.num_frames
    low, high = model.sizes
    sides = {
        field: max(low, round(value / model.size_multiple) * model.size_multiple) if low / 2 <= value <= high else value
        for field, value in (("width", args.width), ("height", args.height))
    }
    count = args.num_frames
    if count <= model.frames[1]:
        count = min(round((count - 1) / model.frame_multiple) * model.frame_multiple + 1, model.frames[1])
    return msgspec.structs.replace(args, num_frames=count, **sides)


def _refuse_unsupported(model: Model, args: VideoArgs) -> None:
    for field in _OPTIONS:
        if getattr(args, field) not in (None, "") and field not in model.honours:
            raise BadInput(f'the model "{model.name}" does not use {field}', code="unsupported_field")
    if model.needs_image and not args.image:
        raise BadInput(f'image: the model "{model.name}" needs a picture to begin with', code="missing_image")
    guidance = _said_or(args, model, "guidance_scale")
    if args.negative_prompt and guidance is not None and guidance <= 1:
        raise BadInput("negative_prompt has no effect where guidance_scale is not above 1")


def _refuse_outside(model: Model, args: VideoArgs) -> None:
    """Raises BadInput for settled numbers that the model or the encoder cannot do."""
    bounds: tuple[tuple[str, tuple[float, float]], ...] = (
        ("width", model.sizes),
        ("height", model.sizes),
        ("num_frames", model.frames),
        ("fps", model.rates),
    )
    for field, (low, high) in bounds:
        value = getattr(args, field)
        if not low <= value <= high:
            raise BadInput(f'{field} is {value:g}: the model "{model.name}" takes {low:g} to {high:g}')
        if args.export_format == "mp4" and field in ("width", "height") and value % 2:
            raise BadInput(f"{field} is {value}: H.264 in yuv420p needs an even number, such as {value + 1}")
    assert args.width and args.height
    if model.pixels is not None and args.width * args.height > model.pixels:
        raise BadInput(
            f'width and height are {args.width} × {args.height}: the model "{model.name}" takes {model.pixels:,} '
            f"pixels at most, such as {model.width} × {model.height}"
        )
