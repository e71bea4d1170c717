"""Shows how far a video is: turns latents into a small picture by a linear map, found once for each pipeline."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_SQUARES: Final = 8
"""On each side of the picture that the map is found with; each is of one colour."""
_SQUARE: Final = 2
"""Latents on each side of such a square."""
_DAMPING: Final = 0.01
"""How much less an unsure channel counts: latents are noise at first."""
_REST: Final = 1.0
"""Seconds from one picture to the next, at least."""
_SHARE: Final = 0.02
"""The part of the time that pictures may take."""
_BOX: Final = 512
"""Pixels that a picture fits into."""


@dataclass(frozen=True)
class Colours:
    """A linear map from latents, as pipelines hold them between steps, to colours from -1 to 1.

    `matrix` is channels + 1 × 3, the last row a constant; `ratio` the pixels that a latent stands for on each side.
    """

    matrix: Any
    ratio: int


def colours(pipe: Any, device: str) -> Colours | None:
    """Find the map by encoding a picture of coloured squares; None for a pipeline where this cannot be done."""
    import torch

    try:
        with torch.no_grad():
            return _found(pipe.vae, _ratio(pipe), device)
    except (RuntimeError, ValueError, TypeError, AttributeError, KeyError):
        return None


def _ratio(pipe: Any) -> int:
    """How many pixels a latent stands for on each side. Raises AttributeError where the pipeline does not say."""
    names = ("vae_spatial_compression_ratio", "vae_scale_factor_spatial")
    said = next((each for name in names if (each := getattr(pipe, name, None))), None)
    if said is None:
        raise AttributeError(f"{type(pipe).__name__} does not say how large its latents are")
    return int(said)


def _found(vae: Any, ratio: int, device: str) -> Colours:
    import torch

    squares = torch.rand((1, 3, _SQUARES, _SQUARES), generator=torch.Generator().manual_seed(0)) * 2 - 1
    latent = squares.repeat_interleave(_SQUARE, 2).repeat_interleave(_SQUARE, 3)
    picture = latent.repeat_interleave(ratio, 2).repeat_interleave(ratio, 3)
    encoded = vae.encode(picture.unsqueeze(2).to(device, vae.dtype)).latent_dist.mode()
    latents = _normal(vae, encoded.float().cpu())[0, :, 0]
    known, seen = _with_constant(latents.flatten(1).T), latent[0].flatten(1).T
    damping = torch.eye(known.shape[1]) * _DAMPING * len(known)
    damping[-1, -1] = 0
    return Colours(torch.linalg.solve(known.T @ known + damping, known.T @ seen), ratio)


def _normal(vae: Any, latents: Any) -> Any:
    """Latents as the decoder's counterpart gives them, brought to the scale in which pipelines hold them."""
    mean, spread = (_per_channel(vae, name) for name in ("latents_mean", "latents_std"))
    scale = vae.config.get("scaling_factor") or 1.0
    return (latents - (0.0 if mean is None else mean)) * scale / (1.0 if spread is None else spread)


def _per_channel(vae: Any, name: str) -> Any:
    import torch

    said = vars(vae)["_buffers"].get(name)  # to ask the module itself for what its config says is deprecated
    said = vae.config.get(name) if said is None else said
    return None if said is None else torch.as_tensor(said).float().cpu().view(1, -1, 1, 1, 1)


def _with_constant(values: Any) -> Any:
    import torch

    return torch.cat([values, torch.ones((len(values), 1))], 1)


class Preview:
    """The pictures of one video on its way. `size` is its width and height in pixels, and its number of frames."""

    def __init__(self, pipe: Any, found: Colours | None, target: str, size: tuple[int, int, int]) -> None:
        self._pipe = pipe
        self._colours = found
        self._target = Path(target)
        self._size = size
        self._begun = time.monotonic()
        self._next = 0.0
        self._spent = 0.0

    def show(self, latents: Any) -> None:
        """Write a picture, if it is time for one; what goes wrong with it is no matter of the video's."""
        begun = time.monotonic()
        if self._colours is None or begun < self._next or self._spent > _SHARE * (begun - self._begun) > 0:
            return
        with contextlib.suppress(OSError, RuntimeError, ValueError, AttributeError):
            self._write(self._colours, latents)
        self._next = begun + _REST
        self._spent += time.monotonic() - begun

    def _write(self, found: Colours, latents: Any) -> None:
        from PIL import Image

        frame = self._frame(found, latents)
        if frame is None:
            return
        height, width = frame.shape[1:]
        values = _with_constant(frame.float().cpu().flatten(1).T) @ found.matrix
        pixels = ((values + 1) * 127.5).round().clamp(0, 255).byte().view(height, width, 3)
        scale = min(1.0, _BOX / max(self._size[:2]))
        shown = (max(1, round(self._size[0] * scale)), max(1, round(self._size[1] * scale)))
        aside = self._target.with_suffix(".part")
        Image.fromarray(pixels.numpy()).resize(shown, Image.Resampling.BICUBIC).save(aside, "JPEG", quality=85)
        aside.replace(self._target)

    def _frame(self, found: Colours, latents: Any) -> Any:
        """Channels × height × width of the latents in the middle of the video; None where their shape is unknown."""
        if latents.ndim == 3 and hasattr(self._pipe, "_unpack_latents"):
            latents = self._unpacked(found, latents)
        channels = len(found.matrix) - 1
        if latents.ndim != 5:
            return None
        if latents.shape[1] == channels:
            return latents[0, :, latents.shape[2] // 2]
        return latents[0, latents.shape[1] // 2] if latents.shape[2] == channels else None

    def _unpacked(self, found: Colours, latents: Any) -> Any:
        """Latents that stand in one row, as LTX has them; those of pictures to begin with may come before them."""
        pipe, (width, height, frames) = self._pipe, self._size
        side, depth = pipe.transformer_spatial_patch_size, pipe.transformer_temporal_patch_size
        long = (frames - 1) // pipe.vae_temporal_compression_ratio + 1
        high, wide = height // found.ratio, width // found.ratio
        count = (long // depth) * (high // side) * (wide // side)
        return pipe._unpack_latents(latents[:, -count:], long // depth, high // side, wide // side, side, depth)
