"""Makes real pipelines of diffusers that are tiny: one layer, few channels, random weights, the same each time.

Run as `python -m tests.tiny_models FOLDER`: makes FOLDER/ltx, FOLDER/wan and the like.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

WORDS = ("▁a", "▁fox", "▁in", "▁snow", "▁", *"abcdefghijklmnopqrstuvwxyz")


def tokenizer() -> Any:
    from transformers import T5TokenizerFast

    vocabulary = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *((word, -float(len(word))) for word in WORDS)]
    return T5TokenizerFast(vocab=vocabulary, extra_ids=0)


def ltx(pipeline: str = "LTXPipeline") -> Any:
    import diffusers
    import torch
    from diffusers import AutoencoderKLLTXVideo, FlowMatchEulerDiscreteScheduler, LTXVideoTransformer3DModel
    from transformers import T5Config, T5EncoderModel

    torch.manual_seed(0)
    transformer = LTXVideoTransformer3DModel(
        in_channels=8, out_channels=8, patch_size=1, patch_size_t=1, num_attention_heads=4, attention_head_dim=8,
        cross_attention_dim=32, num_layers=1, caption_channels=32,
    )  # fmt: skip
    vae = AutoencoderKLLTXVideo(
        in_channels=3, out_channels=3, latent_channels=8, block_out_channels=(8, 8, 8, 8),
        decoder_block_out_channels=(8, 8, 8, 8), layers_per_block=(1, 1, 1, 1, 1),
        decoder_layers_per_block=(1, 1, 1, 1, 1), spatio_temporal_scaling=(True, True, False, False),
        decoder_spatio_temporal_scaling=(True, True, False, False), decoder_inject_noise=(False,) * 5,
        upsample_residual=(False,) * 4, upsample_factor=(1, 1, 1, 1), timestep_conditioning=False, patch_size=1,
        patch_size_t=1, encoder_causal=True, decoder_causal=False,
    )  # fmt: skip
    vae.use_framewise_encoding = vae.use_framewise_decoding = False
    tokens = tokenizer()
    text = T5EncoderModel(
        T5Config(vocab_size=len(tokens), d_model=32, d_kv=8, d_ff=37, num_layers=1, num_heads=4)
    ).eval()
    return getattr(diffusers, pipeline)(
        scheduler=FlowMatchEulerDiscreteScheduler(), vae=vae.eval(), text_encoder=text, tokenizer=tokens,
        transformer=transformer.eval(),
    )  # fmt: skip


def wan(transformers: int = 1, **config: Any) -> Any:
    """With two transformers, the second takes over where less noise is left than `boundary_ratio` says."""
    import torch
    from diffusers import AutoencoderKLWan, FlowMatchEulerDiscreteScheduler, WanPipeline, WanTransformer3DModel
    from transformers import T5Config, T5EncoderModel

    torch.manual_seed(1)
    vae = AutoencoderKLWan(
        base_dim=3, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True]
    )
    parts = [
        WanTransformer3DModel(
            patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=12, in_channels=16, out_channels=16,
            text_dim=32, freq_dim=256, ffn_dim=32, num_layers=1, cross_attn_norm=True, qk_norm="rms_norm_across_heads",
            rope_max_seq_len=32,
        ).eval()
        for _ in range(transformers)
    ]  # fmt: skip
    tokens = tokenizer()
    text = T5EncoderModel(
        T5Config(vocab_size=len(tokens), d_model=32, d_kv=8, d_ff=37, num_layers=1, num_heads=4)
    ).eval()
    return WanPipeline(
        vae=vae.eval(), scheduler=FlowMatchEulerDiscreteScheduler(shift=7.0), text_encoder=text, tokenizer=tokens,
        **dict(zip(("transformer", "transformer_2"), parts, strict=False)), **config,
    )  # fmt: skip


def cogvideox() -> Any:
    """One that makes nothing without a picture: its transformer takes the picture's latents beside the noise."""
    import torch
    from diffusers import (
        AutoencoderKLCogVideoX,
        CogVideoXDDIMScheduler,
        CogVideoXImageToVideoPipeline,
        CogVideoXTransformer3DModel,
    )
    from transformers import T5Config, T5EncoderModel

    torch.manual_seed(2)
    transformer = CogVideoXTransformer3DModel(
        num_attention_heads=2, attention_head_dim=16, in_channels=8, out_channels=4, time_embed_dim=2,
        text_embed_dim=32, num_layers=1, sample_width=8, sample_height=8, sample_frames=9, patch_size=2,
        temporal_compression_ratio=4, max_text_seq_length=226, use_rotary_positional_embeddings=True,
        use_learned_positional_embeddings=True,
    )  # fmt: skip
    vae = AutoencoderKLCogVideoX(
        in_channels=3, out_channels=3, block_out_channels=(8, 8, 8, 8), latent_channels=4, layers_per_block=1,
        down_block_types=("CogVideoXDownBlock3D",) * 4, up_block_types=("CogVideoXUpBlock3D",) * 4,
        norm_num_groups=2, temporal_compression_ratio=4,
    )  # fmt: skip
    tokens = tokenizer()
    text = T5EncoderModel(
        T5Config(vocab_size=len(tokens), d_model=32, d_kv=8, d_ff=37, num_layers=1, num_heads=4)
    ).eval()
    return CogVideoXImageToVideoPipeline(
        tokenizer=tokens, text_encoder=text, vae=vae.eval(), transformer=transformer.eval(),
        scheduler=CogVideoXDDIMScheduler(),
    )  # fmt: skip


MODELS: Mapping[str, Callable[[], Any]] = {
    "ltx": ltx,
    "ltx-condition": lambda: ltx("LTXConditionPipeline"),
    "wan": wan,
    "wan-two": lambda: wan(2, boundary_ratio=0.9),
    "wan-ti2v": lambda: wan(expand_timesteps=True),
    "cogvideox": cogvideox,
}

if __name__ == "__main__":
    for name, make in MODELS.items():
        make().save_pretrained(Path(sys.argv[1]) / name, safe_serialization=True)
