"""`zeus nodes`: the nodes that this one knows, and pairing with others."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from zeus.cli.output import JsonOption, clean, note, print_json, print_table
from zeus.cli.target import ServerOption, TokenOption, client, connect
from zeus.errors import BadInput, NotFound, ZeusError

if TYPE_CHECKING:
    from zeus.peers.client import RenderServerProxy
    from zeus.wire import NodeView, Portrait

app = typer.Typer(help="List the nodes that this one knows; pair it with others, or forget one.")
LOOK_SECONDS = 0.5


@app.callback(invoke_without_command=True)
def _default(
    context: typer.Context, server: ServerOption = None, token: TokenOption = None, as_json: JsonOption = False
) -> None:
    if context.invoked_subcommand is None:
        return list_nodes(server, token, as_json)
    # What stands before the subcommand holds as if it stood behind it.
    given = {"server": server, "token": token, "as_json": as_json}
    context.default_map = {context.invoked_subcommand: {name: value for name, value in given.items() if value}}


@app.command("list")
def list_nodes(server: ServerOption = None, token: TokenOption = None, as_json: JsonOption = False) -> None:
    """List the nodes: their state, their load and what they can run."""

    async def run() -> None:
        async with connect(server, token) as proxy:
            found = (await proxy.get_nodes()).nodes
        if as_json:
            print_json(msgspec.to_builtins(found))
        else:
            print_table(("name", "state", "cpu", "tasks", "runs", "address"), [_row(each) for each in found])
            for each in found:
                if each.message and each.state != "unpaired":
                    note(f"{each.name}: {clean(each.message)}")

    asyncio.run(run())


@app.command()
def add(
    url: Annotated[str, typer.Argument(metavar="URL", help="Where the other node is, such as http://render-1:8080.")],
    code: Annotated[str | None, typer.Option(metavar="CODE", help='What "zeus nodes pair" shows there.')] = None,
    token: Annotated[
        str | None, typer.Option("--token", metavar="T", help="A token of that node with the scope admin.")
    ] = None,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Pair this node with another one: by the code that it shows, or by a token of it."""
    if code and token:
        raise BadInput("--code and --token: give one of the two.")
    if not code and not token and sys.stdin.isatty():
        code = typer.prompt('The code that "zeus nodes pair" shows there', err=True)

    async def run() -> None:
        # ZEUS_TOKEN is this node's; --token belongs to the other one.
        async with client(server, os.environ.get("ZEUS_TOKEN")) as proxy:
            found = await proxy.add_node(_full_url(url), code=code, token=token)
        _say(found, as_json)

    asyncio.run(run())


@app.command()
def pair(server: ServerOption = None, token: TokenOption = None, as_json: JsonOption = False) -> None:
    """Show a code to type at another machine, and wait for its minute until it was. For programs: do not wait."""

    async def run() -> None:
        async with client(server, token) as proxy:
            before = _paired((await proxy.get_nodes()).nodes)
            shown = await proxy.begin_pairing()
            if as_json:
                return print_json(msgspec.to_builtins(shown))
            print(shown.code, flush=True)
            note(f"Type it at the other machine within {shown.seconds:.0f} seconds: zeus nodes add URL-OF-THIS-NODE")
            _say(await _until_paired(proxy, before, shown.seconds), as_json)

    asyncio.run(run())


@app.command()
def remove(
    node: Annotated[str, typer.Argument(metavar="NODE", help="A node's name or id; an id may be shortened.")],
    server: ServerOption = None,
    token: TokenOption = None,
) -> None:
    """Forget a node: neither of the two takes the other's token any more."""

    async def run() -> None:
        async with client(server, token) as proxy:
            found = _find((await proxy.get_nodes()).nodes, node)
            await proxy.remove_node(found.id or "")
        print(f"{clean(found.name)} is forgotten")

    asyncio.run(run())


def _find(nodes: Sequence[NodeView], wanted: str) -> NodeView:
    """The node that a name, an id or the beginning of one means. Raises NotFound or BadInput."""
    others = [each for each in nodes if each.state != "self"]
    found = [each for each in others if wanted in (each.name, each.id)]
    found = found or [each for each in others if each.id and wanted and each.id.startswith(wanted.lower())]
    if not found:
        raise NotFound(f'No node is called "{wanted}", and no node\'s id begins so.')
    if len(found) > 1:
        raise BadInput(f'{len(found)} nodes\' ids begin with "{wanted}".')
    return found[0]


async def _until_paired(proxy: RenderServerProxy, before: dict[str, str], seconds: float) -> NodeView:
    """The node that was paired meanwhile. Raises ZeusError when none was."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        await asyncio.sleep(LOOK_SECONDS)
        nodes = (await proxy.get_nodes()).nodes
        for node_id, state in _paired(nodes).items():
            if node_id not in before or (state == "online" and before[node_id] != "online"):
                return next(each for each in nodes if each.id == node_id)
    raise ZeusError("The minute is over, and no node was paired by this code.", code="pairing_timeout")


def _paired(nodes: Sequence[NodeView]) -> dict[str, str]:
    return {each.id: each.state for each in nodes if each.id and each.state not in ("self", "unpaired")}


def _full_url(url: str) -> str:
    return url if "://" in url else f"http://{url}"


def _say(node: NodeView, as_json: bool) -> None:
    if as_json:
        print_json(msgspec.to_builtins(node))
    else:
        print(f"{clean(node.name)} is paired; it is {node.state}")
        if node.message:
            note(clean(node.message))


def _row(node: NodeView) -> Sequence[str]:
    said = node.portrait if node.state in ("self", "online") else None
    if said is None:
        return node.name, node.state, "", "", "", node.url
    runs = ", ".join(name for name, engine in sorted(said.engines.items()) if engine.available)
    return node.name, node.state, f"{said.status.cpu_percent:.0f}%", _tasks(said), runs or "nothing", node.url


def _tasks(portrait: Portrait) -> str:
    """How many tasks run of how many that could, and which."""
    names = ", ".join(clean(task.name)[:30] for task in portrait.tasks[:3])
    return f"{portrait.slots - portrait.free}/{portrait.slots}" + (f" {names}" if names else "")
