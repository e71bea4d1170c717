"""Many nodes: pairing, proof of who answers, heartbeats, and what others say of themselves, all over real HTTP."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from zeroconf import ServiceInfo

from tests.conftest import Api, NodeProcess
from tests.nodes import BEAT, a_node, befriend, impostor, peer_of, until
from zeus import portrait as portraits
from zeus.api.app import Node
from zeus.errors import BadInput, ConfigError, Forbidden
from zeus.model import Demand, NewJob
from zeus.model import Share as JobShare
from zeus.nodes import sightings
from zeus.nodes.agreement import PRIME, Share, said
from zeus.nodes.book import MOST_PEERS, unique
from zeus.nodes.discovery import TYPE, announcement, sighting_of
from zeus.nodes.pairing import LIFE, TRIES, Pairing
from zeus.nodes.peer import State
from zeus.nodes.sightings import Sighting
from zeus.nodes.trust import FILE
from zeus.peers.client import RenderServerProxy
from zeus.peers.connection import ServerRefused, ServerUnreachable
from zeus.wire import Challenge, Introduction, NodeEngine, PairOffer, Proof

OTHER = "11111111-2222-3333-4444-555555555555"


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[tuple[Node, Node]]:
    """Two nodes that do not know each other yet."""
    async with a_node(tmp_path, "one") as one, a_node(tmp_path, "two") as two:
        yield one, two


def own_id(node: Node) -> str:
    return node.zeus.nodes.own_id


def storage(node: Node) -> Path:
    return node.zeus.files.root


def introduction(node: Node) -> Introduction:
    return Introduction(own_id(node), "x", [node.url])


async def listed(api: Api) -> dict[str, Any]:
    """The nodes by name."""
    status, body = await api.get("/api/nodes")
    assert status == 200, body
    return {node["name"]: node for node in body["nodes"]}


# Pairing


async def test_a_code_pairs_two_nodes_for_good(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    async with a_node(tmp_path, "one") as one:
        # Both have one name, as two machines fresh from one image do.
        async with a_node(tmp_path, "two", node={"name": "one"}) as two:
            _, shown = await Api(session, one.url).post("/api/nodes/pairing")
            assert len(shown["code"]) == 10 and shown["seconds"] == LIFE
            body = {"url": one.url, "code": shown["code"]}
            status, node = await Api(session, two.url).post("/api/nodes", json=body)
            assert (status, node["name"], node["state"], node["id"]) == (200, "one-2", "online", own_id(one))
            await until(lambda: peer_of(one, two).online, "each sees the other")
            assert [each["state"] for each in (await listed(Api(session, one.url))).values()] == ["self", "online"]
            for mine, theirs in ((one, two), (two, one)):
                file = storage(mine) / FILE
                [known] = json.loads(file.read_text())
                assert (file.stat().st_mode & 0o777, known["id"]) == (0o600, own_id(theirs))
                assert mine.zeus.nodes.trust.caller(known["secret"]) is None
                assert theirs.zeus.nodes.trust.caller(known["secret"]) == own_id(mine)
                [token] = json.loads((storage(theirs) / "tokens.json").read_text())
                assert (token["name"], token["scopes"]) == (f"node-{own_id(mine)}", ["read", "submit"])
            # Once used, the code is worth nothing; a new pairing keeps what is in use alive.
            status, error = await Api(session, two.url).post("/api/nodes", json=body)
            assert (status, error["error"]) == (403, "wrong_code")
            peer, proxy = peer_of(two, one), peer_of(two, one).proxy
            await two.zeus.pairing.add(one.url, one.zeus.pairing.begin().code, None)
            assert peer_of(two, one) is peer and peer.proxy is proxy and (await proxy.get_portrait()).name == "one"
        # After a restart of either, nobody has to be paired again.
        port = two.url.rpartition(":")[2]
        await until(lambda: not peer_of(one, two).online, "one notices that two is gone")
        async with a_node(tmp_path, "two", node={"name": "one"}, http={"port": int(port)}) as two:
            await until(lambda: peer_of(one, two).online and peer_of(two, one).online, "both are back")


async def test_a_code_is_good_once_for_a_minute_and_a_few_tries(two: tuple[Node, Node]) -> None:
    host, guest = two
    now = [0.0]
    pairing = Pairing(host.zeus.nodes, lambda: introduction(host), lambda: now[0])
    place, digits = pairing.begin().code[:2], "x"

    async def offer(code: str) -> Any:
        return await pairing.offer(PairOffer(id=own_id(guest), name="x", place=place, public=Share(code).public))

    for _ in range(TRIES):
        await offer(digits)
    with pytest.raises(Forbidden, match="show a new one"):
        await offer(digits)
    place = pairing.begin().code[:2]
    now[0] = LIFE - 1
    await offer(digits)
    now[0] = LIFE
    with pytest.raises(Forbidden, match="not any more"):
        await offer(digits)
    codes = {pairing.begin().code[:2] for _ in range(30)}
    assert len(codes) > 15  # many may be shown at once, each at a place of its own


async def test_whoever_does_not_know_the_code_learns_nothing(two: tuple[Node, Node]) -> None:
    host, guest = two
    code = host.zeus.pairing.begin().code
    wrong = f"{code[:-1]}{(int(code[-1]) + 1) % 10}"
    with pytest.raises(Forbidden, match="code: it is wrong"):
        await guest.zeus.pairing.add(host.url, wrong, None)
    assert not host.zeus.nodes.peers and not guest.zeus.nodes.peers
    assert not (storage(host) / "tokens.json").exists()
    with pytest.raises(BadInput, match="8 digits"):
        await guest.zeus.pairing.add(host.url, "12", None)
    with pytest.raises(BadInput, match=r"url: .*cannot be reached"):
        await guest.zeus.pairing.add("http://127.0.0.1:9", code, None)
    for bad in ("http://[", "http://a:99999", "http://a:b", "http://[1::2"):
        with pytest.raises(BadInput, match="url: "):
            await guest.zeus.pairing.add(bad, code, None)
    with pytest.raises(BadInput, match="itself"):
        await host.zeus.pairing.add(host.url, host.zeus.pairing.begin().code, None)
    await guest.zeus.pairing.add(host.url, code, None)  # a wrong one before does no harm


def test_the_agreement() -> None:
    one, two = Share("123456"), Share("123456")
    told = said("42", Introduction("a", "a"), Introduction("b", "b"), one.public, two.public)
    here, there = one.key(two.public, told), two.key(one.public, told)
    assert (here.host_proof, here.guest_token) == (there.host_proof, there.guest_token)
    assert len({here.host_proof, here.guest_proof, here.host_token, here.guest_token}) == 4
    other = said("42", Introduction("a", "evil"), Introduction("b", "b"), one.public, two.public)
    assert one.key(two.public, other).host_proof != there.host_proof
    assert Share("123457").key(one.public, told).host_proof != here.host_proof
    for trivial in (0, 1, PRIME - 1, PRIME, PRIME + 1):
        with pytest.raises(BadInput):
            one.key(f"{trivial:x}", told)


async def test_a_node_that_is_forgotten_is_refused(two: tuple[Node, Node], session: aiohttp.ClientSession) -> None:
    one, other = two
    await befriend(one, other)
    api = Api(session, other.url)
    secret = one.zeus.nodes.trust.known[own_id(other)].secret
    assert (await api.request("DELETE", f"/api/nodes/{own_id(one)}"))[0] == 204
    assert other.zeus.nodes.trust.caller(secret) is None and not other.zeus.nodes.peers
    assert json.loads((storage(other) / "tokens.json").read_text()) == []
    assert json.loads((storage(other) / FILE).read_text()) == []
    await until(lambda: peer_of(one, other).state is State.REFUSED, "it is refused")
    assert "pair the two again" in peer_of(one, other).view(0).message
    with pytest.raises(ServerUnreachable):
        await peer_of(one, other).proxy.get_portrait()
    status, error = await api.request("DELETE", f"/api/nodes/{own_id(one)}")
    assert (status, error["error"]) == (404, "node_not_found")
    peer = peer_of(one, other)
    await befriend(one, other)
    assert peer_of(one, other) is peer


async def test_a_damaged_list_is_told_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "one" / "storage").mkdir(parents=True)
    (tmp_path / "one" / "storage" / FILE).write_text("[{]")
    with pytest.raises(ConfigError, match=r"nodes\.json cannot be read"):
        async with a_node(tmp_path, "one"):
            pass


# Who answers


async def test_a_spoofed_address_gets_neither_token_nor_file(tmp_path: Path) -> None:
    """A machine says by multicast that it is a node that is trusted: it is asked to prove it, and nothing else."""
    async with a_node(tmp_path, "one") as one:
        async with a_node(tmp_path, "two") as two:
            await befriend(two, one)
            peer, node_id = peer_of(one, two), own_id(two)
        await until(lambda: not peer.online, "it is gone")
        # When it is back it has another address.
        async with (
            a_node(tmp_path, "two") as two,
            impostor(node_id, "two") as thief,
            RenderServerProxy(two.url) as real,
        ):
            relays: list[str] = []

            async def relayed(challenge: Challenge) -> Proof:
                sent = msgspec.to_builtins(challenge)
                try:
                    answer = await real.request("POST", "/api/nodes/prove", json=sent, once=True)
                except ServerRefused as error:
                    relays.append(error.code)
                    return Proof(node_id, "two", False, "0" * 64)
                return msgspec.json.decode(answer.body, type=Proof)

            thief.prove = relayed
            for number in range(40):
                one.zeus.nodes.sightings.put(f"spoof {number}", Sighting(node_id, "two", (thief.url,)), wanted=True)
            await until(lambda: len(thief.paths) > 3 and peer.state is State.REFUSED, "it was asked and refused")
            assert set(thief.paths) == {"/api/nodes/prove"} and not thief.secrets
            assert set(relays) == {"other_address"}  # the real node proves itself at its own addresses alone
            assert "cannot prove" in peer.view(0).message
            # The real one's own announcement is enough to find it among the others.
            one.zeus.nodes.sightings.put("real", Sighting(node_id, "two", (two.url,)), wanted=True)
            await until(lambda: peer.online and peer.url == two.url, "the real node is found")
            assert not thief.secrets


async def test_only_open_nodes_use_each_other_unpaired(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    is_open = {"http": {"port": 0, "open": True}}
    async with (
        a_node(tmp_path, "one", **is_open) as one,
        a_node(tmp_path, "two", **is_open) as two,
        a_node(tmp_path, "closed") as closed,
        impostor(OTHER) as stranger,
    ):
        for each in (one, closed):
            for other in (one, two, closed):
                seen = Sighting(own_id(other), "two", (other.url,), open=other is not closed)
                each.zeus.nodes.sightings.put(other.url, seen)
            each.zeus.nodes.sightings.put("stranger", Sighting(OTHER, "two", (stranger.url,)))
        await until(lambda: own_id(two) in one.zeus.nodes.peers and peer_of(one, two).online, "one uses two")
        nodes = await listed(Api(session, one.url))
        states = {name: node["state"] for name, node in nodes.items()}
        assert states == {"one": "self", "two": "online", "two-2": "unpaired", "two-3": "unpaired"}
        assert not peer_of(one, two).is_paired and not closed.zeus.nodes.peers
        nodes = await listed(Api(session, closed.url))
        assert [node["state"] for node in nodes.values()] == ["self", "unpaired", "unpaired", "unpaired"]
        # A farewell that anyone can send does not end the use of a node that answers; its end does.
        one.zeus.nodes.sightings.drop(two.url)
        await asyncio.sleep(5 * BEAT)
        assert peer_of(one, two).online
        assert not stranger.paths


async def test_a_thousand_false_announcements(two: tuple[Node, Node], session: aiohttp.ClientSession) -> None:
    one, other = two
    await befriend(one, other)
    discovery, book = one.zeus.discovery, one.zeus.nodes
    async with impostor(OTHER) as stranger:
        port = int(stranger.url.rpartition(":")[2])
        started = time.process_time()
        for number in range(1000):
            text = {"id": f"fake-{number}", "name": "../\x1b[31m" + "x" * 200, "port": "1", "engines": "y" * 100}
            discovery.take(fake(f"fake-{number}", port, text))
        assert time.process_time() - started < 10
        await asyncio.sleep(3 * BEAT)
        await until(lambda: peer_of(one, other).online, "a node that is trusted is still there")
        assert len(list(book.sightings)) == sightings.MOST
        # Though the list is full, it matters where a node is that is trusted.
        discovery.take(fake("real", 1, {"id": own_id(other), "name": "two"}))
        await until(
            lambda: any(each.url == "http://192.0.2.7:1" for each in peer_of(one, other).places), "its address is known"
        )
        nodes = (await Api(session, one.url).get("/api/nodes"))[1]["nodes"]
        assert len(nodes) == sightings.MOST + 1
        assert {node["state"] for node in nodes[2:]} == {"unpaired"}
        assert all(node["name"].isprintable() and len(node["name"]) <= 63 for node in nodes)
        assert len({node["name"] for node in nodes}) == len(nodes)
        assert not stranger.paths


def fake(label: str, port: int, text: dict[str, str]) -> ServiceInfo:
    return ServiceInfo(TYPE, f"{label}.{TYPE}", port=port, addresses=[bytes([192, 0, 2, 7])], properties=text)


def test_what_is_announced() -> None:
    urls = ["http://192.0.2.1:80", "http://[2001:db8::1]:80", "http://127.0.0.1:80"]
    said = {"name": "render.1" * 7, "version": "1", "engines": ",".join(["x" * 40] * 40)}
    info = announcement(OTHER, urls, said)
    assert info is not None and len(info.name.removesuffix(f".{TYPE}")) <= 63
    found = sighting_of(info)
    assert found == Sighting(OTHER, "render.1" * 7, tuple(urls[:2]))
    assert announcement(OTHER, ["http://127.0.0.1:80", "unix:/x"], said) is None
    secure = announcement(OTHER, ["https://192.0.2.1:443"], {**said, "https": "1", "open": "1"})
    assert secure is not None and sighting_of(secure) == Sighting(
        OTHER, "render.1" * 7, ("https://192.0.2.1:443",), open=True
    )
    for bad in ({"name": "x"}, {"id": "a b", "name": "x"}, {"id": "x" * 65}, {"id": ""}):
        assert sighting_of(fake("bad", 80, bad)) is None
    assert sighting_of(fake("bad", 0, {"id": OTHER})) is None
    local = ServiceInfo(TYPE, f"x.{TYPE}", port=80, addresses=[bytes([127, 0, 0, 1])], properties={"id": OTHER})
    assert sighting_of(local) is None
    assert unique("x" * 63, {"x" * 63}) == "x" * 59 + "-2"


# Heartbeats


def _has_answered(engine: NodeEngine) -> bool:
    return engine.reason != "It has not answered yet."


async def test_a_node_that_is_gone_is_noticed(
    tmp_path: Path, spawn_node: Callable[..., NodeProcess], session: aiohttp.ClientSession
) -> None:
    other = spawn_node("other", node={"name": "other"})
    url = await asyncio.to_thread(other.start)
    changes: list[float] = []
    async with a_node(tmp_path, "one") as one:
        _, shown = await Api(session, url).post("/api/nodes/pairing")
        node = await one.zeus.pairing.add(url, shown["code"], None)
        peer = one.zeus.nodes.peers[node.id or ""]
        assert peer.online and one.zeus.nodes.online() == [peer] and one.zeus.nodes.by_name("other") is peer
        await until(
            lambda: peer.portrait and all(_has_answered(each) for each in peer.portrait.engines.values()),
            "its engines know what they can",
        )
        one.zeus.nodes._changed = lambda: changes.append(time.monotonic())
        await asyncio.sleep(10 * BEAT)
        assert not changes  # being busier or not is no news
        assert peer.portrait is not None
        first, killed = peer.portrait.start, time.monotonic()
        other.kill()
        await until(lambda: not peer.online, "it is offline")
        assert 2 * BEAT < time.monotonic() - killed < 5 * BEAT + 2 and changes and min(changes) > killed
        with pytest.raises(ServerUnreachable):
            await peer.proxy.get_portrait()
        started = time.monotonic()
        status, body = await Api(session, one.url).get("/api/full_status")
        assert status == 200 and time.monotonic() - started < 4
        assert body["servers"]["other"] == {**body["servers"]["other"], "offline": True, "status": None, "jobs": []}
        other.sections = {**other.sections, "http": {"port": int(url.rpartition(":")[2])}}
        assert await asyncio.to_thread(other.start) == url
        await until(lambda: peer.online and peer.portrait and peer.portrait.start != first, "it is back")
        status, body = await Api(session, one.url).get("/api/full_status")
        assert body["servers"]["other"]["status"]["hostname"] == "other"
        assert body["servers"]["one"]["offline"] is False
        view = peer.view(60)
        assert view.history and view.last_seen is not None


@pytest.mark.parametrize(
    ("said", "state", "words"),
    [
        (b"x" * (2 << 20), State.OFFLINE, "more than"),
        (b"[" * 100_000, State.OFFLINE, "not one of Zeus"),
        (b'{"id": "other"}', State.OFFLINE, "not one of Zeus"),
    ],
)
async def test_what_a_node_says_is_bounded(tmp_path: Path, said: bytes, state: State, words: str) -> None:
    async with impostor(OTHER) as other:
        other.prove = lambda challenge: Proof(OTHER, "other", True)
        other.portrait = lambda: said
        async with a_node(tmp_path, "one", http={"open": True}, network={"peers": [other.url]}) as one:
            await until(lambda: other.paths.count("/api/nodes/self") > 1, "it was asked")
            peer = one.zeus.nodes.peers[OTHER]
            assert peer.state is state and words in peer.view(0).message


async def test_another_node_at_an_address_is_not_the_one(tmp_path: Path, two: tuple[Node, Node]) -> None:
    one, _ = two
    async with impostor(OTHER) as wrong:
        wrong.prove = lambda challenge: Proof(OTHER, "wrong", True)
        portrait = msgspec.json.encode(await one.zeus.portraits.portrait())
        wrong.portrait = lambda: portrait
        async with a_node(tmp_path, "open", http={"open": True}, network={"peers": [wrong.url, one.url]}) as node:
            await until(lambda: OTHER in node.zeus.nodes.peers, "it is tried")
            await until(lambda: node.zeus.nodes.peers[OTHER].state is State.REFUSED, "it is refused")
            assert "Another node" in node.zeus.nodes.peers[OTHER].view(0).message


async def test_no_more_than_so_many_are_used(tmp_path: Path) -> None:
    async with a_node(tmp_path, "one", http={"open": True}) as one:
        for number in range(MOST_PEERS + 20):
            one.zeus.nodes.sightings.put(f"{number}", Sighting(f"n{number}", "n", ("http://127.0.0.1:9",), open=True))
        await until(lambda: len(one.zeus.nodes.peers) == MOST_PEERS, "as many as may be are used")
        assert len({peer.name for peer in one.zeus.nodes.peers.values()}) == MOST_PEERS


# Portraits


async def test_the_portrait_says_what_a_node_can_do_and_is_at(
    tmp_path: Path, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portraits, "LOOK", 0.05)
    monkeypatch.setattr(portraits, "SECONDS", 0.1)
    async with (
        a_node(tmp_path, "one", node={"tags": ["fast", "ssd"]}, jobs={"slots": 2}) as one,
        a_node(tmp_path, "two") as two,
    ):
        api = Api(session, one.url)
        before = (await api.get("/api/nodes/self"))[1]
        assert (before["id"], before["tags"], before["slots"], before["free"]) == (own_id(one), ["fast", "ssd"], 2, 2)
        assert before["benchmark"] is None and before["engines"]["noop"]["slots"] == 2
        assert before["engines"]["frames"]["publishes"] == "each"
        await befriend(two, one)
        await until(lambda: peer_of(two, one).portrait.benchmark, "the processor was measured")  # type: ignore[union-attr]
        job_id = await api.add(seconds=30)
        await api.until(job_id, "running")
        await until(lambda: peer_of(two, one).portrait.tasks, "the other node knows of it")  # type: ignore[union-attr]
        said = peer_of(two, one).portrait
        assert said is not None and (said.free, said.engines["noop"].free) == (1, 1)
        [task] = said.tasks
        assert (task.job_id, task.renderer, task.origin) == (job_id, "noop", None)
        await api.post(f"/api/jobs/{job_id}/cancel?confirm=1")
        share = JobShare(OTHER, "theirs", 1)
        args, here = b'{"seconds": 30}', Demand(here=True)
        job = NewJob("share", "a share", "noop", "latest", args, time.time(), share=share, demand=here)
        await one.zeus.jobs._store.add_jobs([job])
        await until(
            lambda: [each.origin for each in peer_of(two, one).portrait.tasks] == [OTHER],  # type: ignore[union-attr]
            "it says for whom it works",
        )
        status, body = await api.get("/api/nodes?history=3600")
        assert status == 200 and body["nodes"][0]["history"][0]["memory_percent"] > 0
        assert (await api.get("/api/nodes?history=3601"))[0] == 400
        assert (await api.get("/api/nodes"))[1]["nodes"][0]["history"] == []
        async with RenderServerProxy(one.url) as proxy, aclosing(proxy.events()):
            assert [each.state for each in (await proxy.get_nodes()).nodes] == ["self", "online"]
