"""Several nodes that trust each other, for tests of what they do together."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.conftest import HANG, config_for
from zeus.api.app import Node, running_node
from zeus.wire import Introduction

FAST: Mapping[str, Any] = {"heartbeat": 0.2, "discovery": "off"}


def named(folder: Path, name: str, **sections: Mapping[str, Any]) -> Any:
    """A node's configuration: of this name, with a folder of its own, and a quick heartbeat."""
    sections = {**sections, "network": {**FAST, **sections.get("network", {})}}
    config = config_for(
        folder / name,
        **{**sections, "node": {**sections.get("node", {}), "name": name, "storage": str(folder / name / "storage")}},
    )
    return config


async def pair(one: Node, other: Node) -> None:
    """Have two nodes trust each other, as pairing by a code does in the end."""
    secret, answer = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
    for node, whom, shown, taken in ((one, other, secret, answer), (other, one, answer, secret)):
        them = Introduction(whom.zeus.nodes.own_id, whom.zeus.config.node.name, (whom.url,))
        await node.zeus.nodes.trust.keep(them, whom.url, shown=shown, taken=taken)
        node.zeus.nodes.settle()


async def met(*nodes: Node) -> None:
    """Wait until each of some nodes that all trust each other has heard of the others."""
    deadline = time.monotonic() + HANG
    while not all(len(node.zeus.nodes.online()) == len(nodes) - 1 for node in nodes):
        assert time.monotonic() < deadline, "the nodes do not find each other"
        await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def farm(*configs: Any) -> AsyncIterator[Sequence[Node]]:
    """Nodes in this process, all paired with each other, which have met."""
    async with contextlib.AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(running_node(config)) for config in configs]
        for number, node in enumerate(nodes):
            for other in nodes[number + 1 :]:
                await pair(node, other)
        await met(*nodes)
        yield nodes
