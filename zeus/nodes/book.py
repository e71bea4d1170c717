"""The nodes that this one knows: which of them it uses, how they are, and what they are called here."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import re
import ssl
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

import msgspec

from zeus.config import Config
from zeus.errors import NotFound, ZeusError
from zeus.nodes.addresses import Address
from zeus.nodes.history import EVERY, History
from zeus.nodes.peer import Peer, Place, State
from zeus.nodes.proof import ask_for_proof, challenge_for
from zeus.nodes.sightings import Sighting, Sightings, clean_name
from zeus.nodes.trust import Trust
from zeus.wire import NodeView, Portrait, time_text

MOST_PEERS = 64
"""Nodes that are used at once."""
MISSED = 5
"""Heartbeats without an answer after which a node is offline."""
LEAST_WAIT = 1.0
"""Seconds that a node gets for an answer at the least."""

SETTLE = 0.1
"""Seconds after which what was seen is acted upon, together with what is seen meanwhile."""

log = logging.getLogger(__name__)


class NodeBook:
    """All nodes but this one. `changed` is called when one that is used comes, goes or can do something else."""

    def __init__(self, config: Config, own_id: str, trust: Trust, ssl_trust: ssl.SSLContext | None,
                 address: Address, changed: Callable[[], None]) -> None:  # fmt: skip
        self.trust = trust
        self.address = address
        self.own_id = own_id
        self.sightings = Sightings(self._settle_soon)
        self.ssl_trust = ssl_trust
        self._config = config
        self._changed = changed
        self._peers: dict[str, Peer] = {}
        self._beating: dict[str, asyncio.Task[None]] = {}
        self._loops: list[asyncio.Task[None]] = []
        self._ending: set[asyncio.Task[None]] = set()
        self._woken = asyncio.Event()
        self._history = History()
        self._settling: asyncio.TimerHandle | None = None
        self._own: Callable[[], Awaitable[Portrait]] | None = None

    @property
    def peers(self) -> Mapping[str, Peer]:
        """The nodes that are used, or would be if they answered, by id."""
        return self._peers

    def online(self) -> list[Peer]:
        """The nodes that answer."""
        return [peer for peer in self._peers.values() if peer.online]

    def get(self, node_id: str) -> Peer | None:
        """A node that is used."""
        return self._peers.get(node_id)

    def by_name(self, name: str) -> Peer | None:
        """A node that is used, by this node's word for it."""
        return next((peer for peer in self._peers.values() if peer.name == name), None)

    def start(self, own: Callable[[], Awaitable[Portrait]]) -> None:
        """Begin to look at the nodes, the address being known now. `own` is this node's portrait."""
        self._own = own
        self._loops = [asyncio.create_task(each) for each in (self._sample(), self._scout())]
        self._settle()

    async def close(self) -> None:
        """Look no more."""
        if self._settling is not None:
            self._settling.cancel()
        tasks = [*self._loops, *self._beating.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, *self._ending, return_exceptions=True)
        await asyncio.gather(*(peer.close() for peer in self._peers.values()))

    def settle(self) -> None:
        """Trust was given or taken: use the nodes that are trusted now, and look at them at once."""
        self._settle()

    async def first_view(self, node_id: str, wait: float) -> NodeView:
        """A node that is used, once it has answered; or as it is after so many seconds. Raises NotFound."""
        peer = self._peers.get(node_id)
        if peer is None:
            raise NotFound(f"The node is paired, but {MOST_PEERS} are used already.", code="too_many_nodes")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await peer.answered.wait()
        return peer.view(0)

    async def views(self, history: float = 0.0) -> list[NodeView]:
        """All nodes as they are listed: this one, those that are used, those that were seen."""
        assert self._own is not None
        now = time_text(time.time())
        own = NodeView(id=self.own_id, name=self._config.node.name, url=self._own_url(), state=State.SELF.value,
                       last_seen=now, portrait=await self._own(),
                       history=self._history.last(history) if history else ())  # fmt: skip
        return [own, *(peer.view(history) for peer in self._peers.values()), *self._strangers()]

    def _own_url(self) -> str:
        return next(iter(self.address.urls), self.address.url)

    def _strangers(self) -> Iterable[NodeView]:
        """Those that were seen and are not used, each once."""
        seen: dict[str, Sighting] = {}
        for each in self.sightings:
            if each.id not in (self.own_id, *self._peers):
                seen.setdefault(each.id, each)
        taken = {self._config.node.name, *(peer.name for peer in self._peers.values())}
        for each in seen.values():
            name = unique(each.name, taken)
            taken.add(name)
            yield NodeView(id=each.id, name=name, url=next(iter(each.urls), ""), state=State.UNPAIRED.value,
                           message="It was seen, but nothing is sent to it: pair the two.")  # fmt: skip

    def is_wanted(self, node_id: str) -> bool:
        """Whether it matters where a node of this id is seen."""
        return node_id in self._peers or node_id in self.trust.known

    def _settle_soon(self) -> None:
        """Sightings changed: a thousand of them at once are no more work than one."""
        if self._settling is None and self._own is not None:
            self._settling = asyncio.get_running_loop().call_later(SETTLE, self._settle)

    def _settle(self) -> None:
        """Have a peer for each node that is to be used, and none besides."""
        if self._settling is not None:
            self._settling.cancel()
            self._settling = None
        wanted, seen = self._wanted(), self._seen_at()
        for node_id in [each for each in self._peers if each not in wanted]:
            self._drop(node_id)
        for node_id, (name, secret) in wanted.items():
            peer = self._peers.get(node_id)
            if peer is None:
                taken = {self._config.node.name, *(each.name for each in self._peers.values())}
                peer = Peer(node_id, unique(name, taken), self.own_id, secret, self.ssl_trust)
                self._peers[node_id] = peer
                self._beating[node_id] = asyncio.create_task(self._beat(peer))
            peer.trust(secret)
            peer.places = self._places(node_id, seen.get(node_id, []))
        self._woken.set()
        self._woken = asyncio.Event()

    def _wanted(self) -> dict[str, tuple[str, str | None]]:
        """The nodes to be used by id: what each calls itself, and the secret that is shown there."""
        wanted: dict[str, tuple[str, str | None]] = {
            each.id: (each.name, each.secret) for each in self.trust.known.values()
        }
        if self._config.http.open:
            # A spoofed farewell must not end the use of a node that answers.
            wanted |= {each.id: (each.name, None) for each in self.online() if each.id not in wanted}
            for each in self.sightings:
                if each.open and each.id != self.own_id and len(wanted) < MOST_PEERS:
                    wanted.setdefault(each.id, (each.name, None))
        return dict(list(wanted.items())[:MOST_PEERS])

    def _seen_at(self) -> dict[str, list[Place]]:
        seen: dict[str, list[Place]] = {}
        for each in self.sightings:
            seen.setdefault(each.id, []).extend(Place(url, each.typed) for url in each.urls)
        return seen

    def _places(self, node_id: str, seen: Sequence[Place]) -> list[Place]:
        """Where a node may be: what its owner typed, where it was before, and where one of its id was seen."""
        known, places = self.trust.known.get(node_id), [each for each in seen if each.typed]
        if known is not None:
            typed = [Place(known.url, typed=True)] if known.url else []
            places = [*typed, *places, *map(Place, known.urls)]
        return list({each.url: each for each in reversed([*places, *seen])}.values())[::-1]

    def _drop(self, node_id: str) -> None:
        peer, task = self._peers.pop(node_id), self._beating.pop(node_id)

        async def end() -> None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await peer.close()

        ending = asyncio.create_task(end())
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)
        self._changed()

    async def _beat(self, peer: Peer) -> None:
        """Look at a node for as long as it is used: less often while it does not answer, unless something is new."""
        every, loop = self._config.network.heartbeat, asyncio.get_running_loop()
        lapsing, failures = loop.call_later(0, lambda: None), 0
        try:
            while True:
                before, seen, woken = _what_matters(peer), peer.seen, self._woken
                await peer.beat(max(2 * every, LEAST_WAIT))
                if peer.seen != seen:
                    lapsing.cancel()
                    lapsing = loop.call_later(MISSED * every, self._lapse, peer)
                    self._name(peer)
                    await self._learn(peer)
                failures = 0 if peer.seen != seen else failures + 1
                if _what_matters(peer) != before:
                    log.info("node %s is %s at %s", peer.name, peer.state, peer.url)
                    self._changed()
                pause = every * min(max(1, failures - MISSED), MISSED) * random.uniform(0.9, 1.1)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await (woken.wait() if failures else asyncio.sleep(pause))
        finally:
            lapsing.cancel()

    async def _learn(self, peer: Peer) -> None:
        """Keep where a node is now, for the next start."""
        try:
            await self.trust.learn(peer.id, _own_name(peer), peer.url)
        except (OSError, ZeusError) as error:
            log.warning("where node %s is now cannot be kept: %s", peer.name, error)

    def _lapse(self, peer: Peer) -> None:
        if peer.online:
            log.warning("node %s does not answer any more", peer.name)
            peer.lapse()
            self._changed()

    def _name(self, peer: Peer) -> None:
        """Call a node as it calls itself now, or nearly so."""
        if re.sub(r"-\d+$", "", peer.name) != _own_name(peer) and peer.name != _own_name(peer):
            taken = {self._config.node.name, *(each.name for each in self._peers.values() if each is not peer)}
            peer.name = unique(_own_name(peer), taken)

    async def _sample(self) -> None:
        """Take down this node's own load."""
        assert self._own is not None
        while True:
            try:
                self._history.take(await self._own())
            except ZeusError as error:
                log.warning("the node's own load is not known: %s", error.message)
            await asyncio.sleep(EVERY)

    async def _scout(self) -> None:
        """Ask who answers at the addresses of the configuration, until it is known."""
        urls = dict.fromkeys(url.rstrip("/") for url in self._config.network.peers)
        while True:
            missing = [url for url in urls if not any(self._is_at(peer, url) for peer in self.online())]
            await asyncio.gather(*(self._look_at(url) for url in missing))
            await asyncio.sleep(self._config.network.heartbeat * (1 if missing else MISSED))

    def _is_at(self, peer: Peer, url: str) -> bool:
        return any(each.typed and url in each.urls and each.id == peer.id for each in self.sightings)

    async def _look_at(self, url: str) -> None:
        wait = max(2 * self._config.network.heartbeat, LEAST_WAIT)
        try:
            async with asyncio.timeout(wait):
                answer = await ask_for_proof(url, challenge_for(self.own_id, url, typed=True), self.ssl_trust, wait)
        except (ZeusError, TimeoutError, ValueError):  # the last for what is no URL
            return
        sighting = Sighting(answer.id, clean_name(answer.name), (url,), open=answer.open, typed=True)
        self.sightings.put(url, sighting, wanted=True)


def unique(name: str, taken: Iterable[str]) -> str:
    """The name, or where it is taken, with the first number behind it that makes it another."""
    names = {name, *(f"{name[:59]}-{number}" for number in range(2, MOST_PEERS * 8))} - set(taken)
    if name in names:
        return name
    return min(names, key=lambda each: (len(each), each))


def _own_name(peer: Peer) -> str:
    return clean_name(peer.portrait.name) if peer.portrait is not None else peer.name


def _what_matters(peer: Peer) -> object:
    """What of a node others have to know when it changes: not how far its tasks are, nor how busy it is."""
    said = peer.portrait
    if said is None:
        return peer.state, peer.name
    engines = {name: msgspec.structs.replace(each, seconds=None) for name, each in said.engines.items()}
    tasks = [(task.job_id, task.origin) for task in said.tasks]
    return peer.state, peer.name, said.start, engines, said.slots, said.free, tasks, said.tags, said.benchmark
