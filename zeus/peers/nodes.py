"""The client's methods for nodes: what a node says of itself, which others it knows, and pairing it with them."""

from __future__ import annotations

from urllib.parse import quote

from zeus.peers.calls import SLOW_SECONDS, Calls
from zeus.peers.connection import decode
from zeus.wire import NodeList, NodeView, PairingCode, Portrait


class NodeCalls(Calls):
    """Nodes."""

    async def get_portrait(self) -> Portrait:
        """What the node says of itself."""
        return decode(await self.request("GET", "/api/nodes/self"), Portrait)

    async def get_nodes(self, *, history: float = 0) -> NodeList:
        """The node and those that it knows, each with its load of the last `history` seconds, at most 3600."""
        params = {"history": f"{history:g}"} if history else {}
        return decode(await self.request("GET", "/api/nodes", params=params), NodeList)

    async def add_node(self, url: str, *, token: str | None = None, code: str | None = None) -> NodeView:
        """Have the node trust another one and the other way round: by a token of the other one that may change it, or
        by the code that it shows.
        """
        fields = {"url": url, "token": token, "code": code}
        sent = {name: value for name, value in fields.items() if value is not None}
        return decode(await self.request("POST", "/api/nodes", json=sent, wait=SLOW_SECONDS), NodeView)

    async def remove_node(self, node_id: str) -> None:
        """Have the node forget another one, and take no token of it any more."""
        await self.request("DELETE", f"/api/nodes/{quote(node_id, safe='')}")

    async def begin_pairing(self) -> PairingCode:
        """A code by which another node can be paired with this one, once and for a minute."""
        return decode(await self.request("POST", "/api/nodes/pairing"), PairingCode)
