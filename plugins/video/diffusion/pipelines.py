"""Loads a diffusers pipeline in the worker process, keeps it there, and knows its lower memory modes."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from zeus.engine import Computation
from zeus.errors import TaskFailed

from .folder import checked

_LADDER: Final[Mapping[str, tuple[str, ...]]] = {
    "cuda": ("none", "model", "sequential"),
    "mps": ("none", "tiled"),
    "cpu": ("none", "tiled"),
}
"""The memory modes of a kind of device, from the quickest to the one that needs least of it."""
_QUIET: Final = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DIFFUSERS_VERBOSITY": "error",
    "TRANSFORMERS_VERBOSITY": "error",
}


@dataclass(frozen=True)
class Weights:
    """What the configuration says of how a model is loaded. `memory` in GiB."""

    name: str
    folder: str
    pipeline: str = "auto"
    dtype: str = "auto"
    device: str = "auto"
    offload: str = "none"
    vae_tiling: bool = False
    vae_slicing: bool = False
    attention: str = ""
    compile: bool = False
    memory: float | None = None


@dataclass(frozen=True)
class Loaded:
    """A pipeline of diffusers on its device, in a memory mode."""

    weights: Weights
    pipe: Any
    mode: str


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
    job.report({"message": "looking through the folder", "fraction": 0.0})
    kind = checked(weights.name, Path(weights.folder))
    device = device_of(weights)
    job.check()
    job.report({"message": "reading weights", "fraction": 0.0})
    pipe = _read(weights, kind, _dtype(weights.dtype, device))
    _check_complete(weights, pipe)
    job.check()
    _place(pipe, weights, device, mode)
    return Loaded(weights, pipe, mode)


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


def _read(weights: Weights, kind: str, dtype: Any) -> Any:
    os.environ.update(_QUIET)  # before the libraries are imported, which read these once
    import diffusers
    import transformers

    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()
    wanted = kind if weights.pipeline == "auto" else weights.pipeline
    found = getattr(diffusers, wanted, None)
    if not (isinstance(found, type) and issubclass(found, diffusers.DiffusionPipeline)):
        raise TaskFailed(f"{weights.name}: diffusers has no pipeline {wanted}", code="model_refused", retry=False)
    read: Any = found
    try:
        return read.from_pretrained(
            weights.folder, dtype=dtype, use_safetensors=True, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = str(error).replace(weights.folder, Path(weights.folder).name)[:500]
        raise TaskFailed(f"{weights.name} cannot be loaded: {reason}", code="model_refused", retry=False) from error


def _check_complete(weights: Weights, pipe: Any) -> None:
    """Raises TaskFailed for a part that got no weights: diffusers says nothing, and leaves it without numbers."""
    for part, module in pipe.components.items():
        for name, tensor in module.named_parameters() if hasattr(module, "named_parameters") else ():
            if tensor.is_meta:
                message = f"{weights.name} cannot be loaded: the weights of {part} are not this model's: no {name}"
                raise TaskFailed(message, code="model_refused", retry=False)


def _place(pipe: Any, weights: Weights, device: str, mode: str) -> None:
    pipe.set_progress_bar_config(disable=True)
    vae = pipe.vae
    if (weights.vae_tiling or mode != "none") and hasattr(vae, "enable_tiling"):
        vae.enable_tiling()
    if (weights.vae_slicing or mode != "none") and hasattr(vae, "enable_slicing"):
        vae.enable_slicing()
    if weights.attention:
        pipe.transformer.set_attention_backend(weights.attention)
    if mode == "model":
        pipe.enable_model_cpu_offload(device=device)
    elif mode == "sequential":
        pipe.enable_sequential_cpu_offload(device=device)
    else:
        pipe.to(device)
    if weights.compile:
        pipe.transformer.compile()
