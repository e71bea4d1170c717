"""The nodes: this one's portrait, the list of those it knows, and how two of them come to trust each other."""

from __future__ import annotations

import re
import time
from typing import Annotated

import msgspec
from aiohttp import web
from aiohttp.hdrs import AUTHORIZATION
from msgspec import Meta

from zeus.api.bodies import as_object, convert, read_json
from zeus.api.keys import ZEUS
from zeus.api.parameters import number
from zeus.api.responses import json_response
from zeus.errors import BadInput, Forbidden, Unauthorized
from zeus.nodes.addresses import plain_address
from zeus.nodes.history import KEPT
from zeus.nodes.proof import proof
from zeus.peers.connection import NODE_HEADER
from zeus.wire import Challenge, NodeList, NodeUrl, PairConfirm, PairOffer, Proof, time_text

NODE_ID = re.compile(r"[A-Za-z0-9-]{1,64}")


class NewNode(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A node to be paired with this one: by the code that it shows, or by a token of it that may change it."""

    url: NodeUrl
    code: Annotated[str, Meta(min_length=1, max_length=32)] | None = None
    token: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=1000,
                pattern=r"^[!-~]+$(?!\n)",
                title="a token: letters, digits and signs, no spaces",
            ),
        ]
        | None
    ) = None


async def portrait(request: web.Request) -> web.Response:
    """Raises Unauthorized for a node that shows a token which is not good any more, also where none is asked for."""
    if {NODE_HEADER, AUTHORIZATION} <= request.headers.keys() and caller_of(request) is None:
        raise Unauthorized("This node does not trust that one.")
    return json_response(await request.app[ZEUS].portraits.portrait())


async def nodes(request: web.Request) -> web.Response:
    history = number(request, "history", 0.0, 0.0, KEPT)
    views = await request.app[ZEUS].nodes.views(history)
    return json_response(NodeList(nodes=views, timestamp=time_text(time.time()) or ""))


async def add(request: web.Request) -> web.Response:
    """Pair this node with another one."""
    wanted = convert(as_object(await read_json(request)), NewNode)
    if wanted.code is not None and wanted.token is not None:
        raise BadInput("code: give it or the token, not both.", code="invalid_field")
    return json_response(await request.app[ZEUS].pairing.add(wanted.url, wanted.code, wanted.token))


async def remove(request: web.Request) -> web.Response:
    """Forget a node that this one is paired with."""
    node_id = request.match_info["node_id"]
    if not NODE_ID.fullmatch(node_id):
        raise BadInput("A node's id has only letters, digits and hyphens.", code="invalid_node_id")
    await request.app[ZEUS].pairing.remove(node_id)
    return web.Response(status=204)


async def begin_pairing(request: web.Request) -> web.Response:
    return json_response(request.app[ZEUS].pairing.begin())


async def pair(request: web.Request) -> web.Response:
    """Another node says that it knows a code."""
    offer = convert(as_object(await read_json(request)), PairOffer)
    return json_response(await request.app[ZEUS].pairing.offer(offer))


async def confirm(request: web.Request) -> web.Response:
    """It proves it."""
    wanted = convert(as_object(await read_json(request)), PairConfirm)
    await request.app[ZEUS].pairing.confirm(request.match_info["exchange"], wanted.proof)
    return web.Response(status=204)


async def prove(request: web.Request) -> web.Response:
    """Says who this node is, and proves it to one that it is paired with. Raises Forbidden."""
    zeus, challenge = request.app[ZEUS], convert(as_object(await read_json(request)), Challenge)
    if challenge.address and challenge.address != _asked_at(request):
        raise Forbidden("This was asked at another address than it says.", code="other_address")
    key = zeus.nodes.trust.key_of(challenge.node)
    proven = proof(key, zeus.nodes.own_id, challenge) if key is not None else None
    return json_response(Proof(zeus.nodes.own_id, zeus.config.node.name, zeus.config.http.open, proven))


def caller_of(request: web.Request) -> str | None:
    """The id of the trusted node that asks: by its token, or on a node that is open to all by its word.

    No word does for one that is paired with this: it has a token.
    """
    zeus = request.app[ZEUS]
    kind, _, secret = request.headers.get(AUTHORIZATION, "").partition(" ")
    if kind.lower() == "bearer" and (node_id := zeus.nodes.trust.caller(secret.strip())) is not None:
        return node_id
    named = request.headers.get(NODE_HEADER, "")
    if not zeus.config.http.open or named in (zeus.nodes.own_id, *zeus.nodes.trust.known):
        return None
    return named if NODE_ID.fullmatch(named) else None


def _asked_at(request: web.Request) -> str:
    """The address of this node at which a request's connection arrived, past any proxy's word."""
    name = request.transport.get_extra_info("sockname") if request.transport is not None else None
    return plain_address(*name[:2]) if isinstance(name, tuple) else ""
