"""What the inference executor calls: loads a pipeline, or runs it by steps and writes its frames to the encoder."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from zeus.engine import Computation
from zeus.errors import TaskFailed

from ..pipe import FramePipe
from .memory import fitted
from .pipelines import Loaded, Weights
from .preview import Preview

_TEXT: Final = 0.05
"""The share of the work that is done when the prompt is encoded; then come the steps."""
_STEPS: Final = 0.85
_DECODED: Final = 0.95
"""And when the frames are decoded; what remains is writing them."""


def load(job: Computation, *, weights: Mapping[str, Any], extra: Mapping[str, Any]) -> None:
    """Load a pipeline before the first job wants it. Raises TaskFailed, saying what is wrong with the folder."""
    job.report({"message": "starting the libraries", "fraction": 0.0})
    fitted(job, Weights(**weights), lambda loaded: None, tries=3)


def generate(
    job: Computation,
    *,
    weights: Mapping[str, Any],
    extra: Mapping[str, Any],
    target: str,
    prompt: str,
    seed: int,
    width: int,
    height: int,
    num_frames: int,
    fps: float,
    image: str | None = None,
    preview: str,
    **rest: Any,
) -> int:
    """Write `num_frames` frames of `height` × `width` × 3 bytes to `target`, a named pipe; how many they were.

    `image` is a picture of that size to begin with, and `preview` where one of the work on its way may be put.
    Raises TaskFailed: `gpu_out_of_memory` when the lowest memory mode does not fit either, `model_refused` when the
    pipeline cannot be loaded or takes other arguments; and WorkerDied `device_fault`.
    """
    wanted = {
        "prompt": prompt, "width": width, "height": height, "num_frames": num_frames, "frame_rate": fps,
        "image": _picture(image), **rest,
    }  # fmt: skip

    def work(loaded: Loaded) -> Any:
        return _frames(job, loaded, wanted, dict(extra), seed, preview)

    frames = fitted(job, Weights(**weights), work, tries=2)
    size = (num_frames, 3, height, width)
    if tuple(frames.shape) != size:
        raise TaskFailed(f"the model made frames of {tuple(frames.shape)}, not {size}", retry=False)
    with FramePipe(Path(target), job.check) as pipe:
        for number, frame in enumerate(frames, 1):
            pipe.write(_bytes(frame))
            share = _DECODED + (1 - _DECODED) * number / num_frames
            job.report({"message": f"frame {number} of {num_frames}", "fraction": share, "frame": number})
    return num_frames


def _frames(
    job: Computation, loaded: Loaded, wanted: dict[str, Any], extra: dict[str, Any], seed: int, preview: str
) -> Any:
    """Run the pipeline: a tensor of frames × 3 × height × width, from 0 to 1."""
    import torch

    chosen = loaded.pipe if wanted["image"] is None else loaded.image_pipe
    arguments = _arguments(loaded, chosen, wanted, extra)
    shown = Preview(chosen, loaded.colours, preview, (wanted["width"], wanted["height"], wanted["num_frames"]))

    def after_step(pipe: Any, step: int, timestep: Any, kept: dict[str, Any]) -> dict[str, Any]:
        job.check()
        shown.show(kept["latents"])
        steps = len(pipe.scheduler.timesteps)
        done = _TEXT + (_STEPS - _TEXT) * (step + 1) / steps
        message = f"step {step + 1} of {steps}" if step + 1 < steps else "decoding"
        job.report({"message": message, "fraction": min(done, _STEPS)})
        return kept

    job.report({"message": "encoding the prompt", "fraction": 0.0})
    loaded.place(chosen)
    try:
        with _heard(job, loaded):
            # The noise comes from the CPU, so that it is the same on every device.
            made = chosen(
                **arguments,
                generator=torch.Generator("cpu").manual_seed(seed),
                callback_on_step_end=after_step,
                output_type="pt",
            )
    finally:
        chosen.maybe_free_model_hooks()
    job.report({"message": "writing frames", "fraction": _DECODED})
    return made.frames[0]


def _picture(image: str | None) -> Any:
    if image is None:
        return None
    from PIL import Image

    with Image.open(image, formats=["PNG"]) as picture:
        return picture.convert("RGB")


def _arguments(loaded: Loaded, chosen: Any, wanted: dict[str, Any], extra: dict[str, Any]) -> dict[str, Any]:
    """What the pipeline is called with: what of the job it knows, and what the configuration adds."""
    kind, known = type(chosen), _known(chosen)
    pictures = ("image",) if wanted["image"] is not None else ()
    if not pictures and "image" in known and known["image"].default is inspect.Parameter.empty:
        raise TaskFailed(f"image: {loaded.weights.name} needs a picture to begin with", retry=False)
    for needed in (
        *pictures,
        "prompt",
        "num_frames",
        "width",
        "height",
        "callback_on_step_end",
        "generator",
        "output_type",
    ):
        if needed not in known:
            message = f"{kind.__name__} takes no {needed}: it makes no such videos in a way that can be followed"
            raise TaskFailed(message, code="model_refused", retry=False)
    both = {*known, *_known(loaded.pipe), *_known(loaded.image_pipe)}
    if unknown := sorted({*extra} - both):
        name = f"models.{loaded.weights.name}.arguments.{unknown[0]}"
        raise TaskFailed(f"{name}: {kind.__name__} knows no such argument", code="model_refused", retry=False)
    said = {name: value for name, value in wanted.items() if value is not None and name in known}
    return {**{name: value for name, value in extra.items() if name in known}, **said}


def _known(pipe: Any) -> Mapping[str, inspect.Parameter]:
    """The arguments that a pipeline takes."""
    return inspect.signature(type(pipe).__call__).parameters


@contextlib.contextmanager
def _heard(job: Computation, loaded: Loaded) -> Iterator[None]:
    """Hear a cancel within a step too, at each layer of each part; on a CPU one step can take minutes."""
    if loaded.weights.compile:
        yield  # a hook in each layer would break the compiled graph into pieces
        return
    parts = [each for each in loaded.pipe.components.values() if hasattr(each, "register_forward_pre_hook")]
    layers = [layer for part in parts for layer in part.modules()]
    hooks = [layer.register_forward_pre_hook(lambda *_: job.check()) for layer in layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _bytes(frame: Any) -> bytes:
    pixels = frame.float().nan_to_num().clamp(0, 1).mul(255).round().byte()
    raw: bytes = pixels.permute(1, 2, 0).contiguous().cpu().numpy().tobytes()
    return raw
