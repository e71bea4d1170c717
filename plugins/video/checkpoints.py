"""Makes a Model of what the data and the configuration say of one that diffusers runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Any, Final

from zeus.engine import Demand, ModelSettings, extra
from zeus.errors import ConfigError

from .models import BASIC, Model, Source
from .ready import READY

_NEEDED: Final = ("torch", "diffusers", "transformers", "accelerate", "ftfy", "huggingface_hub")
_HOW: Final = (
    "pipeline", "image_pipeline", "dtype", "vae_dtype", "device", "offload", "vae_tiling", "vae_slicing", "attention",
    "compile", "memory",
)  # fmt: skip
"""What the worker has to know to load it."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_WORKER: Final = f"{__package__}.diffusion"


def checkpoints(configured: Mapping[str, ModelSettings]) -> Iterator[Model]:
    """Every model that diffusers runs: those that Zeus knows, as the configuration changes them, and those it adds.

    Raises ConfigError for one that cannot be right.
    """
    for name in {**READY, **configured}:
        yield _model(name, configured.get(name, ModelSettings()).over(READY.get(name, ModelSettings())))


def _model(name: str, said: ModelSettings) -> Model:
    if not _NAME.fullmatch(name):
        raise ConfigError(f"models.{name[:80]}: a name has up to 64 letters, digits, dots, dashes and underscores")
    most, frames = said.max_size or 1280, said.max_frames or 257
    arguments = dict(said.arguments or {})
    # Where the timesteps are fixed, their number is too.
    steps = None if "timesteps" in arguments else said.num_inference_steps or 30
    model = Model(
        name=name,
        description=said.description or "a model of this node's owner",
        load=f"{_WORKER}:load",
        generate=f"{_WORKER}:generate",
        arguments={"weights": _weights(name, said), "extra": arguments},
        honours=_honours(said, steps),
        width=said.width or 512,
        height=said.height or 320,
        num_frames=said.num_frames or 49,
        fps=said.fps or 24.0,
        num_inference_steps=steps,
        guidance_scale=5.0 if said.guidance_scale is None else said.guidance_scale,
        sizes=(said.size_multiple or 32, most),
        pixels=said.max_pixels,
        frames=(1, frames),
        size_multiple=said.size_multiple or 32,
        frame_multiple=said.frame_multiple or 1,
        source=Source(said.folder, said.repository, said.revision, said.memory),
        demand=_demand(said),
        needs_image=said.image_pipeline is not None and (said.pipeline or "").endswith("ImageToVideoPipeline"),
        previews=True,
        missing=_missing(name),
    )
    _check(model)
    return model


def _honours(said: ModelSettings, steps: int | None) -> frozenset[str]:
    more = {"negative_prompt": True, "guidance_scale": True, "num_inference_steps": steps, "image": said.image_pipeline}
    return BASIC | {field for field, honoured in more.items() if honoured}


def _weights(name: str, said: ModelSettings) -> dict[str, Any]:
    told = {field: value for field in _HOW if (value := getattr(said, field)) is not None}
    return {"name": name, **told}


def _demand(said: ModelSettings) -> Demand:
    """It needs no `least`: the lowest memory mode holds a layer at a time on the GPU."""
    kind, _, number = (said.device or "auto").partition(":")
    if kind == "cpu":
        return Demand()
    return Demand(f"gpu:{number}" if number else "gpu", round((said.memory or 0) * 2**30))


def _missing(name: str) -> str | None:
    """The libraries that this node lacks to use it, for people."""
    absent = [each for each in _NEEDED if find_spec(each) is None]
    if absent:
        return f"{name} needs {', '.join(absent)}, which {extra('inference')} brings"
    return None


def _check(model: Model) -> None:
    """Raises ConfigError where the defaults are none that a job could ask for."""
    low, high = model.sizes
    for field in ("width", "height"):
        value = getattr(model, field)
        if not low <= value <= high or value % model.size_multiple:
            where = f"models.{model.name}.{field}"
            raise ConfigError(f"{where} must be a multiple of {model.size_multiple} from {low} to {high}, not {value}")
    if model.pixels is not None and model.width * model.height > model.pixels:
        raise ConfigError(f"models.{model.name}.max_pixels is less than its own {model.width} × {model.height}")
    count, most = model.num_frames, model.frames[1]
    if count > most or (count - 1) % model.frame_multiple:
        wanted = f"one more than a multiple of {model.frame_multiple}, at most {most}"
        raise ConfigError(f"models.{model.name}.num_frames must be {wanted}, not {count}")
