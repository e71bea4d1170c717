"""config.example.toml, written from the settings' own descriptions; a test says when the file is stale."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from msgspec.inspect import Metadata, type_info

from zeus.config.settings import NAMED, Config, EngineConfig, PathConfig
from zeus.engine import ModelSettings

EXAMPLES = {
    name: value if isinstance(value, str) and value == "{}" else json.dumps(value)
    for name, value in {
        "description": "what it is", "repository": "owner/name", "revision": "0" * 40, "folder": "models/my-model",
        "pipeline": "auto", "image_pipeline": "auto", "dtype": "auto", "vae_dtype": "float32", "device": "auto",
        "offload": "none", "vae_tiling": False, "vae_slicing": False,
        "attention": "", "compile": False, "memory": 12.0, "width": 512, "height": 320,
        "num_frames": 49, "fps": 24.0, "num_inference_steps": 30, "guidance_scale": 5.0, "max_size": 1280,
        "max_pixels": 901120, "max_frames": 257, "size_multiple": 32, "frame_multiple": 8, "arguments": "{}",
    }.items()
}  # fmt: skip
"""A value for each setting of a model, in TOML."""
PLACES = {"linux": "/mnt/farm", "windows": "Z:\\farm", "macos": "/Volumes/farm"}


def example() -> str:
    """The text of config.example.toml."""
    lines = [
        "# Settings of a Zeus node, each at its default. Copy this file to config.toml and change what you need.",
        "# ZEUS_HTTP__PORT=9000 in the environment or --port 9000 goes before what stands here.",
        "# Relative folders start at this file's folder.",
    ]
    for section in msgspec.structs.fields(Config):
        if section.name in NAMED:
            continue
        lines += ["", f"# {section.type.__doc__}", f"[{section.name}]"]
        for field in msgspec.structs.fields(section.type):
            value = "my-node" if field.default is msgspec.NODEFAULT else field.default
            lines += [f"# {_description(field.type)}", f"#{field.name} = {json.dumps(value)}"]
    lines += ["", "# An engine's settings: these, and its own, which docs/plugins.md lists", "#[engines.ffmpeg]"]
    for field in msgspec.structs.fields(EngineConfig):
        lines += [f"# {_description(field.type)}", f"#{field.name} = {json.dumps(field.default)}"]
    lines += [
        "",
        "# A video model's settings, which go before what Zeus knows of a model of this name; the values are examples",
        "#[models.my-model]",
    ]
    for field in msgspec.structs.fields(ModelSettings):
        lines += [f"# {_description(field.type)}", f"#{field.name} = {EXAMPLES[field.name]}"]
    lines += ["", f"# {PathConfig.__doc__}; see docs/operations.md", "#[paths.textures]"]
    for field in msgspec.structs.fields(PathConfig):
        lines += [f"# {_description(field.type)}", f"#{field.name} = {json.dumps(PLACES[field.name])}"]
    return "\n".join(lines) + "\n"


def _description(kind: Any) -> str:
    info = type_info(kind)
    return str((info.extra_json_schema or {}).get("description", "")) if isinstance(info, Metadata) else ""
