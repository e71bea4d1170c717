"""Makes a Model of what the data and the configuration say of one that diffusers runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Any, Final

from zeus.engine import ModelSettings, extra
from zeus.errors import ConfigError

from .models import BASIC, Model, Source
from .ready import READY

_NEEDED: Final = ("torch", "diffusers", "transformers", "accelerate", "huggingface_hub")
_HOW: Final = ("pipeline", "dtype", "device", "offload", "vae_tiling", "vae_slicing", "attention", "compile", "memory")
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
    model = Model(
        name=name,
        description=said.description or "a model of this node's owner",
        load=f"{_WORKER}:load",
        generate=f"{_WORKER}:generate",
        arguments={"weights": _weights(name, said), "extra": dict(said.arguments or {})},
        honours=BASIC | {"negative_prompt", "num_inference_steps", "guidance_scale"},
        width=said.width or 512,
        height=said.height or 320,
        num_frames=said.num_frames or 49,
        fps=said.fps or 24.0,
        num_inference_steps=said.num_inference_steps or 30,
        guidance_scale=5.0 if said.guidance_scale is None else said.guidance_scale,
        sizes=(said.size_multiple or 32, most),
        frames=(1, frames),
        size_multiple=said.size_multiple or 32,
        frame_multiple=said.frame_multiple or 1,
        source=Source(said.folder, said.repository, said.revision, said.memory),
        missing=_missing(name),
    )
    _check(model)
    return model


def _weights(name: str, said: ModelSettings) -> dict[str, Any]:
    told = {field: value for field in _HOW if (value := getattr(said, field)) is not None}
    return {"name": name, **told}


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
    count, most = model.num_frames, model.frames[1]
    if count > most or (count - 1) % model.frame_multiple:
        wanted = f"one more than a multiple of {model.frame_multiple}, at most {most}"
        raise ConfigError(f"models.{model.name}.num_frames must be {wanted}, not {count}")
