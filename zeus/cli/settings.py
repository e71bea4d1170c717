"""`zeus config`: the settings in force and where each came from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from zeus.cli.output import JsonOption, print_json, print_table
from zeus.config import Settings, checkout, default_file, example, load

ConfigOption = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="The settings file.")]


def command(
    config: ConfigOption = None,
    write_example: Annotated[bool, typer.Option("--example", help="Write config.example.toml instead.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show the settings in force and where each came from."""
    if write_example:
        target = (checkout() or Path.cwd()) / "config.example.toml"
        target.write_text(example(), "utf-8")
        print(f"Wrote {target}")
        return
    settings = load(config, os.environ, {})
    if as_json:
        print_json({"settings": settings.config, "origins": settings.origins})
        return
    print_table(("setting", "value", "from"), _rows(settings))
    file = config or default_file()
    print(f"\nSettings file: {file}{'' if file.exists() else ' (there is none)'}")
    print(f"Storage folder: {settings.config.storage_path}")


def _rows(settings: Settings) -> list[tuple[str, str, str]]:
    values: dict[str, Any] = msgspec.to_builtins(settings.config)
    rows = []
    for name, origin in settings.origins.items():
        value: Any = values
        for part in name.split("."):
            value = value[part]
        rows.append((name, msgspec.json.encode(value).decode(), origin))
    return rows
