"""One other node that this one uses: finding the address at which it proves itself, and its heartbeat."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import Iterable, Sequence
from enum import StrEnum

import msgspec

from zeus.errors import BadInput
from zeus.nodes.history import History
from zeus.nodes.proof import ask_for_proof, challenge_for, is_proven
from zeus.peers.client import RenderServerProxy
from zeus.peers.connection import ServerRefused, ServerUnreachable, decode
from zeus.tokens import digest_of
from zeus.wire import Load, NodeView, Portrait, Snapshot, time_text

MOST_PORTRAIT = 1 << 20
"""Bytes of what a node says of itself."""
MOST_SNAPSHOT = 64 << 20
"""Bytes of a node's status with all its jobs."""
MOST_TEXT = 200
"""Characters that are shown of what another node says."""
AT_ONCE = 8
"""Addresses that are asked at once for a node."""


class State(StrEnum):
    """How a node stands to this one, as the API says it."""

    SELF = "self"
    ONLINE = "online"
    OFFLINE = "offline"
    UNPAIRED = "unpaired"
    REFUSED = "refused"


class Place(msgspec.Struct, frozen=True):
    """Where a node may be; the owner `typed` it, or it was found."""

    url: str
    typed: bool = False


class NotProven(Exception):
    """The node at an address is not the one that is looked for, or does not trust this one."""


class Peer:
    """A node that is used. It is the same object for as long as its id is known, whatever its address and token."""

    def __init__(self, node_id: str, name: str, own_id: str, secret: str | None, trust: ssl.SSLContext | None) -> None:
        self.id = node_id
        self.name = name
        """This node's word for it, unlike any other's."""
        self.proxy = RenderServerProxy(None, trust=trust, node=own_id)
        """Its client. While no address has proven itself since the last failure, each request is ServerUnreachable."""
        self.portrait: Portrait | None = None
        self.seen: float | None = None
        """When it last answered, by time.monotonic()."""
        self.answered = asyncio.Event()
        """Set once it has answered."""
        self.places: Sequence[Place] = ()
        """Where it may be, the likeliest first."""
        self._own_id = own_id
        self._secret = secret
        self._trust = trust
        self._last_seen: float | None = None
        self._turn = 0
        self.state = State.OFFLINE
        self._message = "It has not answered yet."
        self._history = History()

    @property
    def online(self) -> bool:
        return self.state is State.ONLINE

    @property
    def refusal(self) -> str:
        """Why it is not to be used though something answers; "" where nothing does."""
        return self._message if self.state is State.REFUSED else ""

    @property
    def url(self) -> str:
        """Where it is, or may be."""
        return self.proxy.url or (self.places[0].url if self.places else "")

    @property
    def is_paired(self) -> bool:
        """Whether it proves who it is; otherwise it is used since both nodes are open to all."""
        return self._secret is not None

    def trust(self, secret: str | None) -> None:
        """Show this secret from now on. Requests under way go on."""
        if secret != self._secret:
            self._secret = secret
            self.answered.clear()
            self.proxy.move(None, None)

    async def beat(self, wait: float) -> None:
        """Look at it once, for `wait` seconds at most. What becomes of it is in `state`."""
        try:
            async with asyncio.timeout(wait):
                if not self.proxy.url:
                    self.proxy.move(await self._find(wait / 2), self._secret)
                self._take(await self._ask(wait))
        except NotProven as error:
            self._lose(State.REFUSED, str(error))
        except ServerRefused as error:
            refused = error.status in (401, 403)
            text = "It does not take this node's token any more; pair the two again, or remove it."
            self._lose(State.REFUSED if refused else None, text if refused else error.message)
        except (ServerUnreachable, TimeoutError) as error:
            self._lose(None, error.message if isinstance(error, ServerUnreachable) else "It takes too long to answer.")

    def lapse(self) -> None:
        """It has been silent for too long."""
        if self.state is State.ONLINE:
            self.state = State.OFFLINE
            self._message = self._message or "It does not answer."

    def view(self, history: float) -> NodeView:
        """The node as it is listed."""
        return NodeView(
            id=self.id, name=self.name, url=self.url, state=self.state.value,
            message="" if self.online else self._message, last_seen=time_text(self._last_seen),
            portrait=self.portrait, history=self.history(history),
        )  # fmt: skip

    def history(self, seconds: float) -> list[Load]:
        """How busy it was in so many last seconds."""
        return self._history.last(seconds) if seconds else []

    async def snapshot(self, wait: float) -> Snapshot | None:
        """Its status and jobs now; None where it does not answer within so many seconds."""
        try:
            async with asyncio.timeout(wait):
                answer = await self.proxy.request("GET", "/api/snapshot", most=MOST_SNAPSHOT, once=True, wait=wait)
                return await asyncio.to_thread(decode, answer, Snapshot)
        except (ServerUnreachable, ServerRefused, TimeoutError):
            return None

    async def close(self) -> None:
        await self.proxy.close()

    async def _ask(self, wait: float) -> Portrait:
        answer = await self.proxy.request("GET", "/api/nodes/self", most=MOST_PORTRAIT, once=True, wait=wait)
        portrait = decode(answer, Portrait)
        if portrait.id != self.id:
            raise NotProven(f"Another node answers at {self.url}.")
        return portrait

    def _take(self, portrait: Portrait) -> None:
        self.portrait, self.state, self._message = portrait, State.ONLINE, ""
        self.seen, self._last_seen = time.monotonic(), time.time()
        self._history.take(portrait)
        self.answered.set()

    def _lose(self, state: State | None, message: str) -> None:
        """The next beat begins with a proof again. Silence alone is no state yet: `lapse` says when it is."""
        self.proxy.move(None, None)
        self._message = _clean(message)
        if state is not None:
            self.state = state
        elif self.state is State.REFUSED:
            self.state = State.OFFLINE

    async def _find(self, wait: float) -> str:
        """An address at which the node proves itself. Raises NotProven, or ServerUnreachable where none answers."""
        turn, self._turn = self._turn, self._turn + 1
        asked = [asyncio.ensure_future(self._try(place, wait)) for place in _some(self.places, turn)]
        try:
            return await _first(asked, wait)
        finally:
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)

    async def _try(self, place: Place, wait: float) -> str:
        try:
            challenge = challenge_for(self._own_id, place.url, typed=place.typed)
            if not (place.typed or challenge.address):
                raise ServerUnreachable(f"{place.url} names no address.")
            answer = await ask_for_proof(place.url, challenge, self._trust, wait)
        except (BadInput, ValueError) as error:
            raise ServerUnreachable(f"{place.url} is no address.") from error
        if answer.id == self._own_id:
            raise ServerUnreachable(f"{place.url} leads to this node itself.")
        if answer.id != self.id:
            raise NotProven(f"Another node answers at {place.url}.")
        if self._secret is None:
            return place.url
        if answer.proof is None:
            raise NotProven("It does not know this node any more; pair the two again, or remove it.")
        if not is_proven(answer, digest_of(self._secret), challenge):
            raise NotProven(f"What answers at {place.url} has its name, but cannot prove that it is this node.")
        return place.url


def _some(places: Sequence[Place], turn: int) -> Iterable[Place]:
    """The likeliest places, and of the others a few in turn: thousands may be told, but only some are asked."""
    first, others = places[: AT_ONCE // 2], places[AT_ONCE // 2 :]
    start = turn * (AT_ONCE // 2) % len(others) if others else 0
    return [*first, *(others[start:] + others[:start])[: AT_ONCE // 2]]  # type: ignore[operator]


async def _first(asked: Sequence[asyncio.Future[str]], wait: float) -> str:
    """The first good answer. Raises NotProven before ServerUnreachable, which says less."""
    problem: Exception = ServerUnreachable("It does not answer." if asked else "Its address is not known.")
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(wait):
            for each in asyncio.as_completed(asked):
                try:
                    return await each
                except NotProven as error:
                    problem = error
                except (ServerUnreachable, ServerRefused) as error:
                    if not isinstance(problem, NotProven):
                        problem = ServerUnreachable(error.message)
    raise problem


def _clean(text: str) -> str:
    """A text of another node's, bounded, and in one printable line."""
    return "".join(each if each.isprintable() else "?" for each in text[:MOST_TEXT])
