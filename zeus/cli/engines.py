"""`zeus engines`: what the node can run, and why not; versions that it shall install or remove."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from zeus.cli.follow import Display, display
from zeus.cli.output import JsonOption, clean, print_json, print_table, size_text
from zeus.cli.target import ServerOption, TokenOption, connect
from zeus.errors import ZeusError

if TYPE_CHECKING:
    from zeus.peers.client import RenderServerProxy
    from zeus.wire import DownloadView, EngineDetails

app = typer.Typer(help="List the node's engines, show all about some of them, install or remove versions.")
POLL_SECONDS = 0.3
Name = Annotated[str, typer.Argument(metavar="NAME", help="An engine's name.")]
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


@app.command()
def install(
    name: Name,
    version: Annotated[
        str, typer.Argument(metavar="[VERSION]", help="latest, lts, the beginning of a version such as 4.2, or exact.")
    ] = "latest",
    server: ServerOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have the node fetch, verify and install a version of an engine."""

    async def run() -> None:
        async with connect(server, token) as proxy:
            with display(silent=as_json) as shown:
                found = await _follow(proxy, name, await proxy.download_engine(name, version), shown)
        if as_json:
            print_json({"engine": name, "version": found, "installed": True})
        else:
            print(f"{name} {clean(found)} is installed")

    asyncio.run(run())


@app.command()
def remove(
    name: Name,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="The whole version, as the list has it.")],
    server: ServerOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove a version that the node installed."""

    async def run() -> None:
        async with connect(server, token) as proxy:
            await proxy.delete_engine_download(name, version)
        if as_json:
            print_json({"engine": name, "version": version, "installed": False})
        else:
            print(f"{name} {version} is removed")

    asyncio.run(run())


async def _follow(proxy: RenderServerProxy, name: str, coming: DownloadView | None, shown: Display) -> str:
    """Show how far a version has come, until it is installed; which one. Raises ZeusError when it failed."""
    assert coming is not None
    version = coming.version
    while coming is not None and coming.state != "installed":
        if coming.state == "failed":
            raise ZeusError(f"{name} {version} was not installed: {coming.reason}")
        note = coming.state if coming.size is None else f"{coming.state}, {size_text(coming.size)}"
        shown.show(clean(f"{name} {version}"), coming.percent, 100, note)
        await asyncio.sleep(POLL_SECONDS)
        engine = await proxy.get_engine(name)
        coming = next((each for each in engine.downloads if each.version == version), None)
        if coming is None and version not in [each.version for each in engine.versions if each.source == "managed"]:
            raise ZeusError(
                f"{name} {version} was not installed: the node was stopped. Try again: it goes on from there."
            )
    shown.show(clean(f"{name} {version}"), 100, 100, "installed")
    return version


def _shapes(found: Mapping[str, EngineDetails]) -> dict[str, object]:
    """The fields that the list has; the rest is `show`'s."""
    return {name: {"available": each.available, "reason": each.reason, "versions": each.versions,
                   "downloads": each.downloads} for name, each in found.items()}  # fmt: skip


def _row(name: str, engine: EngineDetails) -> tuple[str, ...]:
    return name, "yes" if engine.available else f"no: {engine.reason}", _versions(engine)


def _versions(engine: EngineDetails) -> str:
    coming = [f"{each.version} ({each.state} {each.percent}%)" for each in engine.downloads]
    return ", ".join([*(f"{each.version} ({each.source})" for each in engine.versions), *coming])


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
