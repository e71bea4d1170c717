"""`zeus models`: which generation models there are and how they stand; pulling, removing and choosing them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from zeus.cli.follow import Display, display
from zeus.cli.output import JsonOption, clean, print_json, print_table, size_text
from zeus.cli.target import ServerOption, TokenOption, connect
from zeus.errors import ZeusError

if TYPE_CHECKING:
    from zeus.peers.client import RenderServerProxy
    from zeus.wire import ModelView

app = typer.Typer(help="List the node's generation models; pull, remove or choose one.")
POLL_SECONDS = 0.3
Name = Annotated[str, typer.Argument(metavar="NAME", help="A model's name.")]


@app.callback(invoke_without_command=True)
def _default(
    context: typer.Context, server: ServerOption = None, token: TokenOption = None, as_json: JsonOption = False
) -> None:
    if context.invoked_subcommand is None:
        return list_models(server, token, as_json)
    # What stands before the subcommand holds as if it stood behind it.
    given = {"server": server, "token": token, "as_json": as_json}
    context.default_map = {context.invoked_subcommand: {name: value for name, value in given.items() if value}}


@app.command("list")
def list_models(server: ServerOption = None, token: TokenOption = None, as_json: JsonOption = False) -> None:
    """List the models, the state of each, and why one cannot be used."""

    async def run() -> None:
        async with connect(server, token) as proxy:
            found = await proxy.get_models()
        if as_json:
            print_json(msgspec.to_builtins(found))
        else:
            print_table(("model", "state", "size", "about"), [_row(each) for each in found])

    asyncio.run(run())


@app.command()
def pull(name: Name, server: ServerOption = None, token: TokenOption = None, as_json: JsonOption = False) -> None:
    """Have the node fetch and verify a model's weights; try again what is at fault."""

    async def run() -> None:
        async with connect(server, token) as proxy:
            with display(silent=as_json) as shown:
                found = await _follow(proxy, await proxy.pull_model(name), shown)
        _say(found, f"{name} is here", as_json)

    asyncio.run(run())


@app.command()
def remove(name: Name, server: ServerOption = None, token: TokenOption = None, as_json: JsonOption = False) -> None:
    """Remove the weights that the node pulled, or end their coming."""

    async def run() -> None:
        async with connect(server, token) as proxy:
            found = await proxy.remove_model(name)
        _say(found, f"{name} is removed", as_json)

    asyncio.run(run())


@app.command()
def use(name: Name, server: ServerOption = None, token: TokenOption = None, as_json: JsonOption = False) -> None:
    """Make a model the one of jobs that name none; it is pulled where that is needed, and loaded."""

    async def run() -> None:
        async with connect(server, token) as proxy:
            found = await proxy.use_model(name)
        _say(found, f"{name} is the model of jobs that name none", as_json)

    asyncio.run(run())


async def _follow(proxy: RenderServerProxy, coming: ModelView, shown: Display) -> ModelView:
    """Show how far a model has come, until it is here. Raises ZeusError when it cannot come."""
    name = coming.name
    while coming.state == "pulling":
        shown.show(clean(name), _percent(coming), 100, _size(coming) or "asking what there is")
        await asyncio.sleep(POLL_SECONDS)
        coming = next((each for each in await proxy.get_models() if each.name == name), coming)
    if coming.state in ("absent", "fault"):
        raise ZeusError(coming.message)
    shown.show(clean(name), 100, 100, coming.state)
    return coming


def _percent(model: ModelView) -> int:
    return (model.done or 0) * 100 // model.size if model.size else 0


def _size(model: ModelView) -> str:
    return size_text(model.size) if model.size is not None else ""


def _say(found: ModelView, text: str, as_json: bool) -> None:
    if as_json:
        print_json(msgspec.to_builtins(found))
    else:
        print(clean(text))


def _row(model: ModelView) -> Sequence[str]:
    state = f"{model.state} {_percent(model)}%" if model.state == "pulling" else model.state
    about = model.message if model.state == "fault" else model.description
    return f"{model.name} (default)" if model.is_default else model.name, state, _size(model), about
