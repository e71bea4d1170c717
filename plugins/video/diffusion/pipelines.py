"""Loads a diffusers pipeline in the worker process, keeps it there, and knows its lower memory modes."""

from __future__ import annotations

import gc
import inspect
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from zeus.engine import Computation
from zeus.errors import TaskFailed

from .preview import Colours, colours
from .reading import pipeline_class, read

_LADDER: Final[Mapping[str, tuple[str, ...]]] = {
    "cuda": ("none", "model", "sequential"),
    "mps": ("none", "tiled"),
    "cpu": ("none", "tiled"),
}
"""The memory modes of a kind of device, from the quickest to the one that needs least of it."""
_OFFLOADED: Final = ("model", "sequential")


@dataclass(frozen=True)
class Weights:
    """What the configuration says of how a model is loaded. `memory` in GiB."""

    name: str
    folder: str
    pipeline: str = "auto"
    image_pipeline: str = ""
    dtype: str = "auto"
    vae_dtype: str = ""
    device: str = "auto"
    offload: str = "none"
    vae_tiling: bool = False
    vae_slicing: bool = False
    attention: str = ""
    compile: bool = False
    memory: float | None = None


@dataclass
class Loaded:
    """A pipeline of diffusers on its device, in a memory mode; and the one of the same parts that takes a picture."""

    weights: Weights
    pipe: Any
    image_pipe: Any
    mode: str
    device: str
    colours: Colours | None = None
    _placed: Any = None

    def place(self, pipe: Any) -> None:
        """Make one of the two the one that moves its parts to the device, where that is done as they are used."""
        if self._placed is None or (self._placed is not pipe and self.mode in _OFFLOADED):
            _place(pipe, self.weights, self.device, self.mode)
            self._placed = pipe


@dataclass
class Shelf:
    """The one pipeline that this process keeps between calls: two would seldom fit a device."""

    loaded: Loaded | None = None

    def mode(self, weights: Weights) -> str:
        """The memory mode that the pipeline is in, or would be loaded in."""
        if self.loaded is not None and self.loaded.weights == weights:
            return self.loaded.mode
        return weights.offload if weights.offload in _ladder(weights) else "none"

    def get(self, job: Computation, weights: Weights, mode: str) -> Loaded:
        """The pipeline in a memory mode, loaded if it is not there."""
        if self.loaded is None or (self.loaded.weights, self.loaded.mode) != (weights, mode):
            self.clear()
            self.loaded = _build(job, weights, mode)
        return self.loaded

    def clear(self) -> None:
        """Free what the pipeline holds."""
        self.loaded = None
        _free()


SHELF: Final = Shelf()  # calls find their function by name, so what outlives a call can only be its module's


def lower(weights: Weights, mode: str) -> str | None:
    """The next lower memory mode, or None when this is the lowest."""
    ladder = _ladder(weights)
    rest = ladder[ladder.index(mode) + 1 :]
    return rest[0] if rest else None


def _ladder(weights: Weights) -> tuple[str, ...]:
    return _LADDER[device_of(weights)]


def _build(job: Computation, weights: Weights, mode: str) -> Loaded:
    """Load a pipeline from its folder; nothing is fetched, and nothing in the folder is run."""
    job.report({"message": "reading weights", "fraction": 0.0})
    device = device_of(weights)
    dtype = _dtype(weights.dtype, device)
    vae_dtype = _dtype(weights.vae_dtype, device) if weights.vae_dtype else dtype
    pipe = read(weights.name, Path(weights.folder), weights.pipeline, dtype, vae_dtype)
    job.check()
    loaded = Loaded(weights, pipe, _for_pictures(weights, pipe), mode, device)
    for each in (pipe, loaded.image_pipe):
        each.set_progress_bar_config(disable=True)
    loaded.place(pipe)
    if weights.compile:
        for transformer in _transformers(pipe):
            transformer.compile()
    job.check()
    loaded.colours = colours(pipe, device)
    return loaded


def _free() -> None:
    """Give back the device's memory that nothing uses any more."""
    gc.collect()
    if (torch := sys.modules.get("torch")) is not None:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        elif torch.backends.mps.is_available():
            torch.mps.empty_cache()


def device_of(weights: Weights) -> str:
    """cuda, mps or cpu. Raises TaskFailed when that is not there."""
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if weights.device == "auto":
        return next(name for name, found in there.items() if found)
    kind, _, _ = weights.device.partition(":")
    if not there[kind]:
        raise TaskFailed(f"{weights.name} is to run on {weights.device}, which is not there", retry=False)
    return kind  # the process sees no other GPU than the one that the job has


def _dtype(name: str, device: str) -> Any:
    import torch

    if name == "auto":
        return torch.float32 if device == "cpu" else torch.bfloat16
    return getattr(torch, name)


def _for_pictures(weights: Weights, pipe: Any) -> Any:
    """The pipeline that begins with a picture, of the same parts; the same one where no other is named."""
    if weights.image_pipeline in ("", "auto"):
        return pipe
    kind = pipeline_class(weights.name, weights.image_pipeline)
    given = {**pipe.config, **pipe.components}
    takes = inspect.signature(kind.__init__).parameters
    try:
        return kind(**{name: given[name] for name in takes if name in given})
    except (TypeError, ValueError, AttributeError) as error:
        reason = f"{kind.__name__} cannot be made of the parts of {type(pipe).__name__}: {error}"[:500]
        raise TaskFailed(f"{weights.name}: {reason}", code="model_refused", retry=False) from error


def _place(pipe: Any, weights: Weights, device: str, mode: str) -> None:
    vae = pipe.vae
    if (weights.vae_tiling or mode != "none") and hasattr(vae, "enable_tiling"):
        vae.enable_tiling()
    if (weights.vae_slicing or mode != "none") and hasattr(vae, "enable_slicing"):
        vae.enable_slicing()
    for transformer in _transformers(pipe) if weights.attention else ():
        transformer.set_attention_backend(weights.attention)
    if mode == "model":
        pipe.enable_model_cpu_offload(device=device)
    elif mode == "sequential":
        pipe.enable_sequential_cpu_offload(device=device)
    else:
        pipe.to(device)


def _transformers(pipe: Any) -> list[Any]:
    """Those that denoise: Wan 2.2 has one for much noise and one for little."""
    found = (pipe.components.get(name) for name in ("transformer", "transformer_2"))
    return [each for each in found if each is not None]
