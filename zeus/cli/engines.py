"""`zeus engines`: what the node can run, and why not."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from zeus.cli.output import JsonOption, print_json, print_table
from zeus.cli.target import ServerOption, TokenOption, connect

if TYPE_CHECKING:
    from zeus.wire import EngineDetails

app = typer.Typer(help="List the node's engines, or show all about some of them.")
Names = Annotated[list[str], typer.Argument(metavar="NAME...", help="Names of engines.")]


@app.callback(invoke_without_command=True)
def _default(
    context: typer.Context, server: ServerOption = None, token: TokenOption = None, as_json: JsonOption = False
) -> None:
    if context.invoked_subcommand is None:
        return list_engines(server, token, as_json)
    # What stands before the subcommand holds as if it stood behind it.
    given = {"server": server, "token": token, "as_json": as_json}
    context.default_map = {context.invoked_subcommand: {name: value for name, value in given.items() if value}}


@app.command("list")
def list_engines(server: ServerOption = None, token: TokenOption = None, as_json: JsonOption = False) -> None:
    """List the engines, their versions, and why one cannot run."""

    async def run() -> None:
        async with connect(server, token) as proxy:
            found = await proxy.get_engines()
        if as_json:
            print_json(_shapes(found))
        else:
            print_table(("engine", "can run", "versions"), [_row(name, each) for name, each in found.items()])

    asyncio.run(run())


@app.command()
def show(names: Names, server: ServerOption = None, token: TokenOption = None, as_json: JsonOption = False) -> None:
    """Show all that is known of engines: what they take and make, what they found on that machine, their arguments."""

    async def run() -> None:
        async with connect(server, token) as proxy:
            for name in names:
                found = await proxy.get_engine(name, full=True)
                print_json({"name": name, **msgspec.to_builtins(found)}) if as_json else _print(name, found)

    asyncio.run(run())


def _shapes(found: Mapping[str, EngineDetails]) -> dict[str, object]:
    """The fields that the list has; the rest is `show`'s."""
    return {name: {"available": each.available, "reason": each.reason, "versions": each.versions}
            for name, each in found.items()}  # fmt: skip


def _row(name: str, engine: EngineDetails) -> tuple[str, ...]:
    return name, "yes" if engine.available else f"no: {engine.reason}", _versions(engine)


def _versions(engine: EngineDetails) -> str:
    return ", ".join(f"{each.version} ({each.source})" for each in engine.versions)


def _print(name: str, engine: EngineDetails) -> None:
    rows = [
        ("name", name),
        ("can run", _row(name, engine)[1]),
        ("versions", _versions(engine)),
        ("takes", ", ".join(engine.supported_extensions)),
        ("makes", ", ".join(engine.export_formats)),
        *((key.replace("_", " "), value) for key, value in engine.system_info.items() if key != "version"),
    ]
    print_table(("about", "value"), [row for row in rows if row[1]])
    print()
    print_table(("argument", "type", "default"), arguments(engine.ui_options))


def arguments(schema: Mapping[str, object]) -> list[tuple[str, str, str]]:
    """Name, type and default of each argument in an engine's JSON Schema."""
    options = msgspec.convert(schema, _Schema)
    name = options.ref.rpartition("/")[2]
    return [(key, _type(each), _default_of(each)) for key, each in options.inner(name).items()]


class _Schema(msgspec.Struct):
    """As much of a JSON Schema as a table needs."""

    ref: str = msgspec.field(name="$ref", default="")
    definitions: dict[str, dict[str, object]] = msgspec.field(name="$defs", default_factory=dict)
    properties: dict[str, dict[str, object]] = msgspec.field(default_factory=dict)

    def inner(self, name: str) -> dict[str, dict[str, object]]:
        return msgspec.convert(self.definitions.get(name, {}).get("properties", self.properties), type(self.properties))


def _type(field: Mapping[str, object]) -> str:
    if isinstance(choices := field.get("enum"), list):
        return " | ".join("null" if each is None else str(each) for each in choices)
    if isinstance(kinds := field.get("anyOf"), list):
        return " | ".join(_type(each) for each in kinds)
    if field.get("type") == "array":
        return "list"
    return str(field.get("type", "")) or "any"


def _default_of(field: Mapping[str, object]) -> str:
    return msgspec.json.encode(field["default"]).decode() if "default" in field else ""
