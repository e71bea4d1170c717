"""Whether a request comes from another node that this one uses."""

from __future__ import annotations

from aiohttp import web
from aiohttp.hdrs import AUTHORIZATION

from zeus.api.keys import ZEUS


def is_peer(request: web.Request) -> bool:
    """Whether a request shows a peer's token; on a node that is open to all, everyone's word counts."""
    zeus = request.app[ZEUS]
    if zeus.config.http.open:
        return True
    kind, _, secret = request.headers.get(AUTHORIZATION, "").partition(" ")
    return kind.lower() == "bearer" and zeus.book.trust.caller(secret.strip()) is not None
