"""The models that Zeus knows how to run, as data. Sizes, steps and guidance are what their publishers recommend."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from zeus.engine import ModelSettings

# The decoder of LTX denoises a little itself and wants to know how much, and so does a picture to begin with.
_LTX_NOISE: Final = {"decode_timestep": 0.05, "decode_noise_scale": 0.025, "image_cond_noise_scale": 0.025}
_LTX_DISTILLED: Final = [1000, 993, 987, 981, 975, 909, 725, 0.03]
"""The timesteps that its distilled models were made for."""
_LTX: Final = ModelSettings(
    pipeline="LTXConditionPipeline", image_pipeline="auto", width=704, height=480, num_frames=121, fps=24.0,
    size_multiple=32, frame_multiple=8, max_size=1280, max_pixels=1280 * 704, max_frames=257, arguments=_LTX_NOISE,
)  # fmt: skip
_WAN: Final = ModelSettings(pipeline="WanPipeline", vae_dtype="float32", frame_multiple=4)
_WAN_14B: Final = ModelSettings(
    width=832, height=480, num_frames=81, fps=16.0, num_inference_steps=40, size_multiple=16, max_size=1280,
    max_pixels=1280 * 720, max_frames=81, memory=80.0,
).over(_WAN)  # fmt: skip
_COG: Final = ModelSettings(
    pipeline="CogVideoXPipeline", width=720, height=480, num_frames=49, fps=8.0, num_inference_steps=50,
    guidance_scale=6.0, size_multiple=16, frame_multiple=4, max_size=720, max_pixels=720 * 480, max_frames=49,
    vae_tiling=True, vae_slicing=True,
)  # fmt: skip

READY: Final[Mapping[str, ModelSettings]] = MappingProxyType(
    {
        "ltx-2b": ModelSettings(
            description="LTX-Video 2B: quick, from text or a picture",
            repository="Lightricks/LTX-Video-0.9.5",
            num_inference_steps=40, guidance_scale=3.0, memory=18.0,
        ).over(_LTX),
        "ltx-2b-distilled": ModelSettings(
            description="LTX-Video 2B distilled: the quickest, eight steps without guidance, from text or a picture",
            guidance_scale=1.0, memory=18.0,
            arguments={**_LTX_NOISE, "timesteps": _LTX_DISTILLED},
        ).over(_LTX),
        "ltx-13b": ModelSettings(
            description="LTX-Video 13B: finer and slower than 2B, from text or a picture",
            repository="Lightricks/LTX-Video-0.9.7-dev",
            num_inference_steps=30, guidance_scale=5.0, memory=40.0,
            arguments={**_LTX_NOISE, "guidance_rescale": 0.7},
        ).over(_LTX),
        "ltx-13b-distilled": ModelSettings(
            description="LTX-Video 13B distilled: eight steps without guidance, from text or a picture",
            repository="Lightricks/LTX-Video-0.9.8-13B-distilled",
            guidance_scale=1.0, memory=40.0,
            arguments={**_LTX_NOISE, "timesteps": _LTX_DISTILLED},
        ).over(_LTX),
        "wan-1b": ModelSettings(
            description="Wan 2.1 1.3B: small, from text alone",
            repository="Wan-AI/Wan2.1-T2V-1.3B-Diffusers",
            width=832, height=480, num_frames=81, fps=16.0, num_inference_steps=50, guidance_scale=5.0,
            size_multiple=16, max_size=832, max_pixels=832 * 480, max_frames=81, memory=16.0,
        ).over(_WAN),
        "wan-5b": ModelSettings(
            description="Wan 2.2 5B: 720p at 24 frames a second, from text or a picture",
            repository="Wan-AI/Wan2.2-TI2V-5B-Diffusers",
            image_pipeline="WanImageToVideoPipeline", width=1280, height=704, num_frames=121, fps=24.0,
            num_inference_steps=50, guidance_scale=5.0, size_multiple=32, max_size=1280, max_pixels=1280 * 704,
            max_frames=121, memory=32.0,
        ).over(_WAN),
        "wan-14b": ModelSettings(
            description="Wan 2.2 14B: the finest of them, from text alone; two transformers, one after the other",
            repository="Wan-AI/Wan2.2-T2V-A14B-Diffusers",
            guidance_scale=4.0, arguments={"guidance_scale_2": 3.0},
        ).over(_WAN_14B),
        "wan-14b-image": ModelSettings(
            description="Wan 2.2 14B for pictures: begins with one, and makes nothing without",
            repository="Wan-AI/Wan2.2-I2V-A14B-Diffusers",
            pipeline="WanImageToVideoPipeline", image_pipeline="auto", guidance_scale=3.5,
        ).over(_WAN_14B),
        "cogvideox-2b": ModelSettings(
            description="CogVideoX 2B: six seconds at eight frames a second",
            repository="zai-org/CogVideoX-2b", dtype="float16", memory=14.0,
        ).over(_COG),
        "cogvideox-5b": ModelSettings(
            description="CogVideoX 5B: as 2B, and finer",
            repository="zai-org/CogVideoX-5b", dtype="bfloat16", memory=26.0,
        ).over(_COG),
        "cogvideox-5b-image": ModelSettings(
            description="CogVideoX 5B for pictures: begins with one, and makes nothing without",
            repository="zai-org/CogVideoX-5b-I2V",
            pipeline="CogVideoXImageToVideoPipeline", image_pipeline="auto", dtype="bfloat16", memory=26.0,
        ).over(_COG),
    }
)  # fmt: skip
"""By name. `memory` is in GiB on the device with nothing offloaded, text encoder included."""
