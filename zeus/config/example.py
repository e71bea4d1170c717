"""config.example.toml, written from the settings' own descriptions; a test says when the file is stale."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from msgspec.inspect import Metadata, type_info

from zeus.config.settings import Config, EngineConfig


def example() -> str:
    """The text of config.example.toml."""
    lines = [
        "# Settings of a Zeus node, each at its default. Copy this file to config.toml and change what you need.",
        "# ZEUS_HTTP__PORT=9000 in the environment or --port 9000 goes before what stands here.",
        "# Relative folders start at this file's folder.",
    ]
    for section in msgspec.structs.fields(Config):
        if section.name == "engines":
            continue
        lines += ["", f"# {section.type.__doc__}", f"[{section.name}]"]
        for field in msgspec.structs.fields(section.type):
            value = "my-node" if field.default is msgspec.NODEFAULT else field.default
            lines += [f"# {_description(field.type)}", f"#{field.name} = {json.dumps(value)}"]
    lines += ["", "# An engine's settings: these, and its own, which docs/plugins.md lists", "#[engines.ffmpeg]"]
    for field in msgspec.structs.fields(EngineConfig):
        lines += [f"# {_description(field.type)}", f"#{field.name} = {json.dumps(field.default)}"]
    return "\n".join(lines) + "\n"


def _description(kind: Any) -> str:
    info = type_info(kind)
    return str((info.extra_json_schema or {}).get("description", "")) if isinstance(info, Metadata) else ""
