"""`zeus doctor`: whether a node can work on this machine, and what to do where it cannot."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from zeus.cli.output import JsonOption, at_terminal, clean, print_json, print_table
from zeus.cli.settings import ConfigOption
from zeus.config import Config, load
from zeus.errors import ConfigError

if TYPE_CHECKING:
    from zeus.cli.checks import Finding

COLOURS = {"ok": "green", "warning": "yellow", "fatal": "red"}


def command(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Check this machine: engines, codecs, graphics, network, disk, clock, versions. Exit code 1 if any is fatal."""
    from zeus.cli.checks import Finding

    # What the parts would log of a trouble is a finding here.
    logging.getLogger("zeus").addHandler(logging.NullHandler())
    wrong = []
    try:
        settings = load(config, os.environ, {}).config
    except ConfigError as error:
        settings = Config()
        wrong.append(Finding("settings", "fatal", error.message, "Correct it; what follows is with the defaults."))
    findings = [*wrong, *asyncio.run(_look(settings))]
    fatal = any(each.level == "fatal" for each in findings)
    if as_json:
        print_json({"fatal": fatal, "findings": findings})
    else:
        _print(findings)
    raise typer.Exit(1 if fatal else 0)


async def _look(config: Config) -> list[Finding]:
    from zeus import machine
    from zeus.cli.checks import host, network, nodes, tools

    storage = config.storage_path
    seen = await machine.look(host.existing(storage), machine.Meter())
    return [
        host.python(),
        *host.libraries(),
        *await tools.look(config),
        host.graphics(seen.gpus),
        *await asyncio.to_thread(lambda: list(host.disk(storage))),
        host.clock(),
        await network.port(config),
        await asyncio.to_thread(network.multicast, config.network),
        *await nodes.look(config),
    ]


def _print(findings: Sequence[Finding]) -> None:
    if not at_terminal():
        print_table(
            ("level", "check", "finding", "remedy"),
            [(each.level, each.check, each.message, each.remedy) for each in findings],
        )
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False)
    for each in findings:
        text = Text(clean(each.message), overflow="fold")
        if each.remedy:
            text.append(f"\n→ {clean(each.remedy)}", style="bold")
        table.add_row(Text(each.level, style=COLOURS[each.level]), each.check, text)
    Console().print(table)
    count = {level: sum(each.level == level for each in findings) for level in COLOURS}
    print(f"\n{count['ok']} ok, {count['warning']} warnings, {count['fatal']} fatal")
