"""docs/cli.md is held to the command line: every command and every option, and no other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
from typer.core import TyperGroup

from zeus.cli import app

TEXT = (Path(__file__).parents[1] / "docs" / "cli.md").read_text("utf-8")
COMMON = {"--server", "--token", "--json", "--help", "--version", "--install-completion", "--show-completion"}
"""Options that the page's beginning describes once for all."""


def commands() -> Iterator[tuple[str, set[str]]]:
    """Each command with its options."""
    root = typer.main.get_command(app)
    assert isinstance(root, TyperGroup)
    for name, command in root.commands.items():
        yield f"zeus {name}", options(command)
        for inner, subcommand in getattr(command, "commands", {}).items():
            yield f"zeus {name} {inner}", options(subcommand)


def options(command: object) -> set[str]:
    return {name for each in getattr(command, "params", []) for name in each.opts if name.startswith("--")} - COMMON


def test_every_command_has_its_section_and_no_other() -> None:
    described = re.findall(r"^###? `(zeus [a-z ]+)`$", TEXT, re.M)
    assert sorted(described) == sorted(name for name, _ in commands())


@pytest.mark.parametrize(("name", "wanted"), [*commands()], ids=lambda each: each if isinstance(each, str) else "")
def test_every_option_is_described(name: str, wanted: set[str]) -> None:
    match = re.search(rf"^(###?) `{name}`$(.*?)(?=^##|\Z)", TEXT, re.M | re.S)
    assert match
    missing = {option for option in wanted if not re.search(rf"`[^`\n]*{option}\b", match[2])}
    if name.startswith("zeus token"):
        missing -= {"--storage", "--config"}  # those of `zeus serve`
    assert not missing


def test_every_command_has_an_example_or_its_subcommands_have() -> None:
    for section in re.split(r"^(?=##)", TEXT, flags=re.M)[1:]:
        heading = section.splitlines()[0]
        assert "```console\n$ " in section or f"\n#{heading[:-1]} " in TEXT, heading


def test_the_beginning_describes_what_all_share() -> None:
    beginning = TEXT.partition("\n## ")[0]
    assert all(option in beginning for option in COMMON)
