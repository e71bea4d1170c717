"""How two nodes come to trust each other: one shows a code, the other is told it; and how that ends."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Callable

import msgspec
from yarl import URL

from zeus.errors import BadInput, Forbidden, ZeusError
from zeus.nodes.addresses import is_wide
from zeus.nodes.agreement import Key, Share, is_same, said
from zeus.nodes.book import NodeBook
from zeus.peers.client import RenderServerProxy
from zeus.peers.connection import ServerRefused, ServerUnreachable, decode
from zeus.wire import Introduction, NodeView, PairingCode, PairOffer, PairReply

PATH = "/api/nodes/pair"
LIFE = 60.0
"""Seconds that a code is good for."""
TRIES = 5
"""Exchanges that may be begun with a code, of which one at most ends well."""
MOST_CODES = 16
"""Codes that are good at once, each at a place of its own."""
MOST = 16 << 10
"""Bytes of another node's answer."""
MOST_WORDS = 300
"""Characters of another node's refusal that are passed on."""
WAIT = 10.0
"""Seconds that the other node gets for each answer."""
FIRST_LOOK = 5.0
"""Seconds after which it is told that two nodes are paired, though the one does not reach the other yet."""

OWN = (
    "what is there has this node's id: it is this node itself, or one with a copy of its storage folder,"
    " which needs an empty one of its own."
)


class _Code(msgspec.Struct):
    """A code that is shown: the digits behind its place, until when it is good, and what was begun with it."""

    digits: str
    until: float
    tries: int = 0
    begun: dict[str, tuple[Introduction, Key]] = msgspec.field(default_factory=dict)


class Pairing:
    """Both sides of it at one node. Whoever may call `begin` and `add` decides whom this node trusts."""

    def __init__(self, book: NodeBook, own: Callable[[], Introduction], clock: Callable[[], float] = time.monotonic):
        self._book = book
        self._own = own
        self._clock = clock
        self._codes: dict[str, _Code] = {}

    def begin(self) -> PairingCode:
        """A new code: two digits that say which one it is, and six that are its secret."""
        self._sweep()
        while len(self._codes) >= MOST_CODES:
            del self._codes[next(iter(self._codes))]
        place = secrets.choice([text for number in range(100) if (text := f"{number:02}") not in self._codes])
        digits = f"{secrets.randbelow(1_000_000):06}"
        self._codes[place] = _Code(digits, self._clock() + LIFE)
        return PairingCode(f"{place}-{digits[:3]}-{digits[3:]}", LIFE)

    async def offer(self, offer: PairOffer) -> PairReply:
        """Another node says that it knows a code. Raises Forbidden or BadInput."""
        self._sweep()
        code = self._codes.get(offer.place)
        if code is None or code.tries >= TRIES:
            raise Forbidden("No such code is shown here, or not any more: show a new one.", code="wrong_code")
        if offer.id == self._book.own_id:
            raise BadInput(f"id: {OWN}", code="own_node")
        code.tries += 1
        own, exchange = self._own(), secrets.token_hex(16)
        share, key = await asyncio.to_thread(_answer, code.digits, offer, own)
        code.begun[exchange] = offer, key
        return PairReply(exchange, own, share.public, key.host_proof)

    async def confirm(self, exchange: str, proof: str) -> None:
        """It has the same key, so it does: trust it. Raises Forbidden."""
        self._sweep()
        for place, code in self._codes.items():
            node, key = code.begun.get(exchange, (None, None))
            if node is not None and key is not None and is_same(proof, key.guest_proof):
                del self._codes[place]
                return await self._trust(node, "", shown=key.guest_token, taken=key.host_token)
        raise Forbidden("The code is wrong, or it was used, or its minute is over.", code="wrong_code")

    async def add(self, url: str, code: str | None, token: str | None) -> NodeView:
        """Trust the node at a URL and have it trust this one: by a code that it shows, or by a token of it that may
        have it show one. Raises BadInput, or Forbidden `wrong_code`.
        """
        try:
            is_url = bool(URL(url).port)  # 0 is none
        except ValueError:
            is_url = False
        if not is_url:
            raise BadInput(f"url: {url[:80]} is no URL.", code="invalid_field")
        digits = re.sub(r"[\s-]", "", code) if code is not None else await self._fetch_code(url, token)
        if not re.fullmatch(r"[0-9]{8}", digits):
            raise BadInput("code: it has 8 digits.", code="invalid_field")
        node, key = await self._join(url, digits[:2], digits[2:])
        await self._trust(node, url.rstrip("/"), shown=key.host_token, taken=key.guest_token)
        return await self._book.first_view(node.id, FIRST_LOOK)

    async def remove(self, node_id: str) -> None:
        """Trust a node no more. Raises NotFound."""
        await self._book.trust.forget(node_id)
        self._book.settle()

    async def _fetch_code(self, url: str, token: str | None) -> str:
        """A code by a token of the other node, or without one where it asks for none."""
        async with RenderServerProxy(url, token=token, trust=self._book.ssl_trust) as server:
            try:
                answer = await server.request("POST", "/api/nodes/pairing", wait=WAIT, most=MOST, once=True)
                return re.sub(r"-", "", decode(answer, PairingCode).code)
            except ServerRefused as error:
                if error.status not in (401, 403):
                    raise _told(url, error) from error
                text = "it is no token there that may change the node" if token else "that node asks for one, or a code"
                raise BadInput(f"token: {text}.", code="token_refused") from error
            except ServerUnreachable as error:
                raise _told(url, error) from error

    async def _join(self, url: str, place: str, digits: str) -> tuple[Introduction, Key]:
        """Both halves of the exchange, as the node at which the code is typed. Raises BadInput or Forbidden."""
        own, share = _told_to(url, self._own()), await asyncio.to_thread(Share, digits)
        offer = PairOffer(id=own.id, name=own.name, urls=own.urls, place=place, public=share.public)
        async with RenderServerProxy(url, trust=self._book.ssl_trust) as server:
            try:
                answer = await server.request("POST", PATH, json=msgspec.to_builtins(offer), wait=WAIT, most=MOST)
                reply = decode(answer, PairReply)
                if reply.node.id == own.id:
                    raise BadInput(f"url: {OWN}", code="own_node")
                told = said(place, own, reply.node, share.public, reply.public)
                key = await asyncio.to_thread(share.key, reply.public, told)
                if not is_same(reply.proof, key.host_proof):
                    raise Forbidden("code: it is wrong.", code="wrong_code")
                sent = {"proof": key.guest_proof}
                await server.request("POST", f"{PATH}/{reply.exchange}", json=sent, wait=WAIT, most=MOST)
            except (ServerRefused, ServerUnreachable) as error:
                raise _told(url, error) from error
        return reply.node, key

    async def _trust(self, node: Introduction, url: str, *, shown: str, taken: str) -> None:
        await self._book.trust.keep(node, url, shown=shown, taken=taken)
        self._book.settle()

    def _sweep(self) -> None:
        """Forget the codes whose time is over."""
        for place in [place for place, code in self._codes.items() if self._clock() >= code.until]:
            del self._codes[place]


def _answer(digits: str, offer: PairOffer, own: Introduction) -> tuple[Share, Key]:
    share = Share(digits)
    return share, share.key(offer.public, said(offer.place, offer, own, offer.public, share.public))


def _told_to(url: str, own: Introduction) -> Introduction:
    """This node as one at that URL is to know it: this machine's loopback means nothing to another."""
    if is_wide(URL(url).host or ""):
        return Introduction(own.id, own.name, [each for each in own.urls if is_wide(URL(each).host or "")])
    return own


def _told(url: str, error: ZeusError) -> ZeusError:
    """What another node's refusal is to the client that named it."""
    if isinstance(error, ServerRefused) and error.code in ("wrong_code", "own_node"):
        kind = Forbidden if error.code == "wrong_code" else BadInput
        field = "code" if kind is Forbidden else "url"
        return kind(f"{field}: {error.message[:MOST_WORDS]}", code=error.code)
    return BadInput(f"url: {error.message[:MOST_WORDS]}", code="node_unreachable")
