"""The colours of latents: found by encoding, for a row of latents as LTX has them and for both orders of others."""

from __future__ import annotations

import importlib
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image
from zeus_plugins.video.diffusion.preview import Preview, colours

from tests.conftest import need
from tests.real.conftest import HOW

SIDE, CHANNELS, FRAMES = 8, 6, 3
SIZE = (64, 32, 17)
"""Width, height and frames of a video, of which a latent covers 8 × 8 and 8."""


@pytest.fixture(scope="module")
def torch() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module("torch")
    except ImportError:
        need(None, "torch", HOW)


class Encoder:
    """A VAE that mixes the means of 8 × 8 pixels into six channels, each with a scale and a mean of its own."""

    dtype: Any

    def __init__(self, torch: Any) -> None:
        self.dtype, generator = torch.float32, torch.Generator().manual_seed(3)
        self.mix = torch.randn((CHANNELS, 3), generator=generator)
        self.mean, self.spread = torch.arange(CHANNELS) * 1.0, torch.arange(1, CHANNELS + 1) * 0.5
        self.config = {"latents_mean": self.mean.tolist(), "latents_std": self.spread.tolist(), "scaling_factor": 2.0}
        self._buffers: dict[str, Any] = {}
        self._torch = torch

    def encode(self, clip: Any) -> Any:
        means = self._torch.nn.functional.avg_pool2d(clip[:, :, 0], SIDE)
        mixed = self._torch.einsum("kc,bchw->bkhw", self.mix, means).unsqueeze(2)
        latents = mixed * self._wide(self.spread) + self._wide(self.mean)
        return SimpleNamespace(latent_dist=SimpleNamespace(mode=lambda: latents))

    def _wide(self, values: Any) -> Any:
        return values.view(1, -1, 1, 1, 1)


def row(latents: Any) -> Any:
    """Channels-first latents in one row, behind those of a picture that came before them."""
    flat = latents.flatten(2).transpose(1, 2)
    return importlib.import_module("torch").cat([flat[:, :5] * 0, flat], 1)


def unpacked(latents: Any, frames: int, height: int, width: int, side: int, depth: int) -> Any:
    assert (side, depth) == (1, 1)
    return latents.transpose(1, 2).reshape(len(latents), -1, frames, height, width)


ORDERS = {"channels": lambda latents: latents, "frames": lambda latents: latents.transpose(1, 2), "row": row}


@pytest.mark.parametrize("order", ORDERS)
def test_a_picture_has_the_colours_of_the_latents(torch: Any, tmp_path: Path, order: str) -> None:
    encoder = Encoder(torch)
    pipe = SimpleNamespace(
        vae=encoder, vae_spatial_compression_ratio=SIDE, vae_temporal_compression_ratio=8,
        transformer_spatial_patch_size=1, transformer_temporal_patch_size=1, _unpack_latents=unpacked,
    )  # fmt: skip
    found = colours(pipe, "cpu")
    assert found is not None and found.matrix.shape == (CHANNELS + 1, 3)
    orange, teal = torch.tensor([0.9, 0.2, -0.8]), torch.tensor([-0.7, 0.3, 0.4])
    frame = torch.stack([teal.repeat(4, 1), orange.repeat(4, 1)]).permute(2, 1, 0).repeat_interleave(4, 2)
    mixed = torch.einsum("kc,chw->khw", encoder.mix, frame) * 2.0
    latents = torch.zeros((1, CHANNELS, FRAMES, 4, 8))
    latents[0, :, 1] = mixed
    target = tmp_path / "preview.jpg"
    Preview(pipe, found, str(target), SIZE).show(ORDERS[order](latents))
    made = Image.open(target)
    assert (made.format, made.size) == ("JPEG", SIZE[:2])
    for place, colour in ((8, teal), (56, orange)):
        wanted, got = ((colour + 1) * 127.5).tolist(), made.getpixel((place, 16))
        assert max(abs(a - b) for a, b in zip(wanted, got, strict=True)) < 12, (wanted, got)  # type: ignore[arg-type]


def test_what_cannot_be_shown_is_left_out(torch: Any, tmp_path: Path) -> None:
    pipe = SimpleNamespace(vae=Encoder(torch), vae_spatial_compression_ratio=SIDE)
    assert colours(SimpleNamespace(vae=pipe.vae), "cpu") is None
    target = tmp_path / "preview.jpg"
    shown = Preview(pipe, colours(pipe, "cpu"), str(target), SIZE)
    shown.show(torch.zeros((1, 4, 4, 4)))
    assert not target.exists()
    Preview(pipe, None, str(target), SIZE).show(torch.zeros((1, CHANNELS, FRAMES, 4, 8)))
    assert not target.exists()


def test_pictures_are_seldom_enough(torch: Any, tmp_path: Path) -> None:
    pipe = SimpleNamespace(vae=Encoder(torch), vae_spatial_compression_ratio=SIDE)
    target = tmp_path / "preview.jpg"
    shown = Preview(pipe, colours(pipe, "cpu"), str(target), SIZE)
    latents = torch.zeros((1, CHANNELS, FRAMES, 4, 8))
    shown.show(latents)
    target.unlink()
    shown.show(latents)
    assert not target.exists(), "the next one is due in a second"
