"""Nodes that trust each other, and a server that only says that it is one."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from tests.conftest import HANG, config_for
from zeus.api.app import Node, running_node
from zeus.nodes.peer import Peer
from zeus.wire import Challenge, Proof

BEAT = 0.1


def a_node(folder: Path, name: str, **sections: Any) -> contextlib.AbstractAsyncContextManager[Node]:
    """A node in this process, which looks at others often."""
    own = folder / name
    own.mkdir(exist_ok=True)
    config: dict[str, dict[str, Any]] = {
        "node": {"name": name, "storage": str(own / "storage")},
        "network": {"heartbeat": BEAT, "discovery": "off"},
    }
    for section, values in sections.items():
        config[section] = {**config.get(section, {}), **values}
    return running_node(config_for(own, **config))


async def befriend(one: Node, other: Node) -> None:
    """Pair two nodes, and wait until each sees the other."""
    await one.zeus.pairing.add(other.url, other.zeus.pairing.begin().code, None)
    await until(lambda: peer_of(one, other).online and peer_of(other, one).online, "the nodes see each other")


def peer_of(node: Node, other: Node) -> Peer:
    """What a node has of another one."""
    found = node.zeus.nodes.get(other.zeus.nodes.own_id)
    assert found is not None
    return found


async def until(holds: Callable[[], object], what: str, within: float = HANG / 2) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline, f"not in {within:g} s: {what}"
        await asyncio.sleep(0.02)


class Impostor:
    """A server that says that it is a node, and takes down what it is asked."""

    def __init__(self, node_id: str, name: str = "impostor") -> None:
        self.url = ""
        self.node_id, self.name = node_id, name
        self.paths: list[str] = []
        self.secrets: list[str] = []
        """What came as a token."""
        self.prove: Callable[[Challenge], Any] = lambda challenge: Proof(node_id, name, False, "0" * 64)
        self.portrait: Callable[[], bytes] = lambda: b"{}"

    async def handle(self, request: web.Request) -> web.Response:
        self.paths.append(request.path)
        self.secrets += request.headers.getall("Authorization", [])
        if request.path == "/api/nodes/prove":
            answer = self.prove(msgspec.json.decode(await request.read(), type=Challenge))
            if asyncio.iscoroutine(answer):
                answer = await answer
            return web.json_response(msgspec.to_builtins(answer))
        return web.Response(body=self.portrait(), content_type="application/json")


@contextlib.asynccontextmanager
async def impostor(node_id: str, name: str = "impostor") -> AsyncIterator[Impostor]:
    made = Impostor(node_id, name)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        assert runner.addresses
        made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield made
    finally:
        await runner.cleanup()
