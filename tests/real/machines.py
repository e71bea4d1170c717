"""Machines for tests: network namespaces on one bridge, a node in each, links that can be cut.

The bridge is in the namespace of the tests, which so reach every node by its address. It needs root and iproute2.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp

from tests.conftest import HANG, Api, NodeProcess, need
from tests.real import calm

PORT = 8080
HOW = "as root, with iproute2, where network namespaces may be made"
Node = dict[str, Any]
_numbers = itertools.count(os.getpid() % 2000 * 16)
"""Networks are numbered, so that test runs at one time do not meet."""


class Machine(NodeProcess):
    """A namespace and the node in it, which listens on its network as `--lan` does."""

    def __init__(self, name: str, space: str, link: str, bridge: str, address: str, folder: Path) -> None:
        super().__init__(folder, {})
        self.prefix = ["ip", "netns", "exec", space]
        self.name = name
        self.address = address
        self.six = address6(address)
        self.space, self.link, self.bridge = space, link, bridge
        self.url = f"http://{address}:{PORT}"

    def run(self, **sections: Mapping[str, Any]) -> str:
        """Start its node with these settings beside the usual ones; its URL from the other machines."""
        usual: dict[str, dict[str, Any]] = {
            "node": {"name": self.name, "storage": str(self.folder / "storage")},
            "http": {"host": "0.0.0.0", "port": PORT},
            "network": {"discovery": "auto"},
        }
        self.sections = {name: {**usual.get(name, {}), **sections.get(name, {})} for name in {*usual, *sections}}
        self.again()
        return self.url

    def again(self) -> None:
        """Start its node as it was started before."""
        printed = self.start()
        assert printed, f"the node {self.name} did not start"
        host = f"[{self.six}]" if ":" in self.sections["http"]["host"] else self.address
        self.url = f"{printed.partition(':')[0]}://{host}:{PORT}"

    def suspend(self) -> None:
        """SIGSTOP: nothing of its node goes on until `resume`."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def cut(self) -> None:
        """From now on what is sent is lost, and neither side is told."""
        ip("link", "set", self.link, "nomaster")

    def heal(self) -> None:
        ip("link", "set", self.link, "master", self.bridge)

    @property
    def token(self) -> str:
        """The owner's token; "" where the node asks for none."""
        file = self.folder / "storage" / "token"
        return file.read_text().strip() if file.exists() else ""

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[Api]:
        """A client of its node, as its owner."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        async with aiohttp.ClientSession(headers=headers) as session:
            yield Api(session, self.url)

    async def nodes(self) -> list[Node]:
        """The nodes as its node lists them, itself first."""
        async with self.client() as api:
            status, body = await api.get("/api/nodes")
            assert status == 200, body
            return list(body["nodes"])

    async def sees(self, name: str, *states: str, within: float = HANG) -> Node:
        """Wait until its node lists another one in one of these states; that node."""
        deadline = time.monotonic() + within
        while True:
            listed = await self.nodes()
            for node in listed:
                if node["name"] == name and node["state"] in states:
                    return node
            assert time.monotonic() < deadline, [(node["name"], node["state"], node["message"]) for node in listed]
            await asyncio.sleep(0.1)

    async def pair(self, other: Machine) -> Node:
        """Have its owner pair it with another machine's node, by a code; that node as it is listed."""
        async with other.client() as api:
            status, shown = await api.post("/api/nodes/pairing")
            assert status == 200, shown
        async with self.client() as api:
            status, node = await api.post("/api/nodes", json={"url": other.url, "code": shown["code"]})
            assert status == 200, node
            return dict(node)

    def _signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)


@contextlib.contextmanager
def machines(folder: Path, *names: str) -> Iterator[list[Machine]]:
    """So many machines on one network; their nodes are yet to be started."""
    need(shutil.which("ip") and os.geteuid() == 0, "network namespaces", HOW)
    number = next(_numbers)
    bridge, net = f"zt{number}", f"10.{77 + number // 256 % 100}.{number % 256}"
    made: list[Machine] = []
    try:
        with calm.network(changes=True):
            _make_bridge(bridge, f"{net}.1")
            for index, name in enumerate(names, 2):
                (folder / name).mkdir()
                made.append(
                    Machine(name, f"{bridge}n{index}", f"{bridge}v{index}", bridge, f"{net}.{index}", folder / name)
                )
                _make_space(made[-1])
        yield made
    finally:
        for machine in made:
            if machine.process is not None and machine.process.poll() is None:
                machine.resume()
                machine.kill()
        with calm.network(changes=True):
            for machine in made:
                # The link before the namespace, which stays for as long as an engine in it does.
                ip("link", "delete", machine.link, check=False)
                ip("netns", "delete", machine.space, check=False)
            ip("link", "delete", bridge, check=False)


def _make_bridge(bridge: str, address: str) -> None:
    done = subprocess.run(
        ["ip", "link", "add", bridge, "type", "bridge", "mcast_snooping", "0"], capture_output=True, text=True
    )
    need(done.returncode == 0, f"a network bridge ({done.stderr.strip()})", HOW)
    ip("link", "set", bridge, "addrgenmode", "none")  # or it would have one more address two seconds later
    _add_addresses(address, bridge)
    ip("link", "set", bridge, "up")


def _make_space(machine: Machine) -> None:
    ip("netns", "add", machine.space)
    ip("link", "add", machine.link, "type", "veth", "peer", "name", "eth0", "netns", machine.space)
    ip("link", "set", machine.link, "addrgenmode", "none")
    ip("link", "set", machine.link, "master", machine.bridge, "up")
    inside = ("-n", machine.space)
    _add_addresses(machine.address, "eth0", *inside)
    ip(*inside, "link", "set", "lo", "up")
    ip(*inside, "link", "set", "eth0", "up")
    ip(*inside, "route", "add", "default", "via", f"{machine.address.rpartition('.')[0]}.1")


def _add_addresses(address: str, interface: str, *inside: str) -> None:
    ip(*inside, "address", "add", f"{address}/24", "dev", interface)
    # Without the wait for others that have it already.
    ip(*inside, "address", "add", f"{address6(address)}/64", "dev", interface, "nodad", check=False)


def address6(address: str) -> str:
    """The IPv6 address that a machine has beside its other one."""
    _, high, low, own = address.split(".")
    return f"fd00:{high}:{low}::{own}"


def ip(*arguments: str, check: bool = True) -> None:
    """Run iproute2."""
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    assert done.returncode == 0 or not check, f"ip {' '.join(arguments)}: {done.stderr}"
