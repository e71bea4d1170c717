"""The nodes that the one on this machine is paired with: which of them it cannot use, and what to do."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from zeus.cli.checks import Finding
from zeus.cli.checks.network import answers
from zeus.cli.target import own_client
from zeus.config import Config
from zeus.errors import ZeusError
from zeus.wire import NodeView

REMEDIES = {
    "offline": "Start its node, or mend the network between; `zeus nodes remove {name}` forgets it.",
    "refused": "Pair them again: `zeus nodes pair` there, `zeus nodes add {url}` here; or `zeus nodes remove {name}`.",
}
"""By the states of a node that is paired and cannot be used."""


async def look(config: Config) -> list[Finding]:
    """What there is to say; nothing where no node runs here."""
    if not await answers(config):
        return []
    try:
        async with own_client(config, os.environ.get("ZEUS_TOKEN")) as server:
            return list(_findings((await server.get_nodes()).nodes))
    except ZeusError as error:
        remedy = "Run this as the user that the node runs as, or give a token in ZEUS_TOKEN."
        return [Finding("nodes", "warning", f"This machine's node does not tell its nodes: {error.message}", remedy)]


def _findings(nodes: Sequence[NodeView]) -> Iterator[Finding]:
    for each in nodes:
        if remedy := REMEDIES.get(each.state):
            text = f"{each.name} is {each.state}: {each.message or 'it does not answer.'}"
            yield Finding("nodes", "warning", text, remedy.format(name=each.name, url=each.url))
    online = sum(each.state == "online" for each in nodes)
    if online:
        yield Finding("nodes", "ok", f"{online} {'answers' if online == 1 else 'answer'}.")
