"""Nodes on a network of their own: real multicast, real addresses, real tokens, links that are cut."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.conftest import HANG, STUBS, Api
from tests.real.machines import Machine, Node, ip, machines
from zeus.tokens import Scope, add_token

BEAT = {"heartbeat": 0.2}
FOUND = 15.0
"""Seconds in which nodes find each other; they aim at 5."""


@pytest.fixture
def three(tmp_path: Path) -> Iterator[list[Machine]]:
    with machines(tmp_path, "a", "b", "c") as made:
        yield made


async def test_nodes_find_each_other_and_are_paired(three: list[Machine], tmp_path: Path) -> None:
    a, b, c = three
    for machine in (a, b):
        machine.run(network=BEAT, node={"debug": True})
    # Another one has the same name, and can be reached by IPv6 alone.
    c.run(network=BEAT, node={"name": "b"}, http={"host": "::"})
    await asyncio.gather(*(found(one, other) for one in three for other in three if one is not other))
    assert sorted(node["name"] for node in await a.nodes()) == ["a", "b", "b-2"]
    async with a.client() as api:
        assert (await api.get("/api/_debug/detected_clients"))[1] == ["a", "b"]
    await pair_by_token(a, b)
    assert (await c.pair(a))["state"] == "online"
    await asyncio.gather(b.sees("a", "online"), a.sees("b", "online"), a.sees("b-2", "online"))
    nodes = {node["url"]: node for node in await a.nodes()}
    assert len({node["name"] for node in nodes.values()}) == 3
    await a_node_token_opens_little(a, b)
    await nothing_for_a_spoofer(a, b, c, nodes[b.url], tmp_path)
    await a_forgotten_node_is_told(a, b, nodes[b.url]["name"])


async def found(one: Machine, other: Machine) -> None:
    """Wait until a node lists another one."""
    deadline = time.monotonic() + FOUND
    while other.url not in [node["url"] for node in await one.nodes()]:
        assert time.monotonic() < deadline, f"{one.name} does not see {other.url}"
        await asyncio.sleep(0.1)


async def pair_by_token(a: Machine, b: Machine) -> None:
    async with a.client() as api:
        reader = add_token(b.folder / "storage", "reader", [Scope.READ])
        for told, sent in (("no token there", {"token": reader}), ("no token there", {"token": "x"}),
                           ("asks for one, or a code", {})):  # fmt: skip
            status, error = await api.post("/api/nodes", json={"url": b.url, **sent})
            assert (status, error["error"]) == (400, "token_refused") and told in error["message"]
        status, node = await api.post("/api/nodes", json={"url": b.url, "token": b.token})
        assert (status, node["state"], node["url"]) == (200, "online", b.url)


async def a_node_token_opens_little(a: Machine, b: Machine) -> None:
    """What one node shows another lets it read and submit there, and nothing elsewhere."""
    known = json.loads((a.folder / "storage" / "nodes.json").read_text())
    [secret] = [each["secret"] for each in known if each["url"] == b.url]
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {secret}"}) as session:
        assert (await Api(session, b.url).get("/api/nodes/self"))[0] == 200
        assert (await Api(session, b.url).post("/api/nodes/pairing"))[0] == 403
        assert (await Api(session, a.url).get("/api/nodes/self"))[0] == 401


async def nothing_for_a_spoofer(a: Machine, b: Machine, c: Machine, trusted: Node, folder: Path) -> None:
    """A machine announces itself as a node that `a` trusts, which is out of reach for a while."""
    with spoofer(c, trusted, folder / "heard") as heard:
        b.cut()
        await a.sees(trusted["name"], "refused", "offline", within=15)
        deadline = time.monotonic() + HANG
        while len(requests(heard)) < 3:
            assert time.monotonic() < deadline, "the spoofer was never asked"
            await asyncio.sleep(0.1)
        assert (await a.sees(trusted["name"], "refused"))["message"].endswith("cannot prove that it is this node.")
        b.heal()
        assert (await a.sees(trusted["name"], "online", within=15))["url"] == b.url
    assert set(requests(heard)) == {"/api/nodes/prove -"}


async def a_forgotten_node_is_told(a: Machine, b: Machine, name: str) -> None:
    own = (await a.nodes())[0]["id"]
    async with b.client() as api:
        assert (await api.request("DELETE", f"/api/nodes/{own}"))[0] == 204
    assert "pair the two again" in (await a.sees(name, "refused"))["message"]
    b.kill()
    b.again()
    assert "pair the two again" in (await a.sees(name, "refused"))["message"]


@contextlib.contextmanager
def spoofer(machine: Machine, trusted: Node, heard: Path) -> Iterator[Path]:
    """Runs tests/stubs/spoof.py on a machine; what it hears is in a file."""
    argv = [*machine.prefix, sys.executable, str(STUBS / "spoof.py"), trusted["id"], trusted["name"], machine.address]
    with heard.open("w") as file, subprocess.Popen([*argv, "9999"], stdout=file) as process:
        try:
            deadline = time.monotonic() + HANG
            while not heard.read_text():
                assert time.monotonic() < deadline and process.poll() is None
                time.sleep(0.05)
            yield heard
        finally:
            process.kill()


def requests(heard: Path) -> list[str]:
    """The path of each request, and its token."""
    return [" ".join(line.split(" ", 2)[:2]) for line in heard.read_text().splitlines()[1:]]


async def test_open_nodes_are_one_farm_without_a_word(three: list[Machine]) -> None:
    a, b, c = three
    for machine in (a, b):
        machine.run(network=BEAT, http={"open": True})
    c.run(network=BEAT)
    await a.sees("b", "online", within=FOUND)
    await a.sees("c", "unpaired", within=FOUND)
    await b.sees("a", "online", within=FOUND)
    b.suspend()
    started = time.monotonic()
    await a.sees("b", "offline", within=HANG)
    assert time.monotonic() - started < 3  # of five heartbeats of 0.2 seconds
    b.resume()
    await a.sees("b", "online", within=FOUND)
    assert [node["state"] for node in await c.nodes()] == ["self", "unpaired", "unpaired"]


LOOK = "from zeus.nodes.addresses import interface_addresses as find; print(*find({}))"


def test_interfaces_that_lead_to_no_other_machine_are_left_out(tmp_path: Path) -> None:
    """Each is one end of a pair, and so is up and runs, but for one that is taken down."""
    with machines(tmp_path, "a") as [machine]:
        inside = ("-n", machine.space)
        names = ("wlan0", "docker0", "br-4f1c2d3e4a5b", "veth12ab34c", "virbr0", "cni0", "flannel.1", "vmnet8", "down0")
        for number, name in enumerate(names, 1):
            ip(*inside, "link", "add", name, "type", "veth", "peer", "name", f"other{number}")
            ip(*inside, "address", "add", f"172.31.{number}.1/24", "dev", name)
            ip(*inside, "address", "add", f"fd99::{number}/128", "dev", name, "nodad")
            for each in (name, f"other{number}"):
                ip(*inside, "link", "set", each, "up")
        ip(*inside, "link", "set", "down0", "down")
        own = {machine.address, machine.six}
        assert seen(machine) == {*own, "172.31.1.1", "fd99::1"}
        assert seen(machine, "eth0") == own
        assert seen(machine, "docker0", "wlan0") == {"172.31.1.1", "fd99::1", "172.31.2.1", "fd99::2"}
        assert seen(machine, "lo", "down0", "none0") == set()


def seen(machine: Machine, *interfaces: str) -> set[str]:
    """The addresses of a machine by which others reach it, of these interfaces where some are named."""
    argv = [*machine.prefix, sys.executable, "-c", LOOK.format(interfaces)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=HANG, check=True)
    found = done.stdout.split()
    assert len(set(found)) == len(found), found
    return set(found)


async def test_nodes_meet_on_the_interfaces_that_are_named(three: list[Machine]) -> None:
    """One uses only its second network card, which leads nowhere, and so neither finds the others nor is found."""
    a, b, c = three
    ip("-n", b.space, "link", "add", "eth1", "type", "veth", "peer", "name", "nowhere")
    ip("-n", b.space, "address", "add", "172.31.1.1/24", "dev", "eth1")
    for each in ("eth1", "nowhere"):
        ip("-n", b.space, "link", "set", each, "up")
    b.run(network={**BEAT, "interfaces": ["eth1"]})  # first: when the others have met, they would have met it too
    await asyncio.gather(*(asyncio.to_thread(each.run, network=BEAT) for each in (a, c)))
    await asyncio.gather(found(c, a), found(a, c))
    for machine, known in ((a, ["a", "c"]), (b, ["b"]), (c, ["c", "a"])):
        assert [node["name"] for node in await machine.nodes()] == known
    assert (await b.nodes())[0]["url"] == "http://172.31.1.1:8080"
