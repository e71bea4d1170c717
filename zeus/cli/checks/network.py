"""The network below Zeus: its port, and multicast, by which nodes find each other."""

from __future__ import annotations

import asyncio
import errno
import socket

import psutil

from zeus.cli.checks import Finding
from zeus.cli.target import own_url
from zeus.config import Config, NetworkConfig
from zeus.errors import ZeusError
from zeus.nodes.addresses import interface_addresses
from zeus.nodes.certificates import believed_here
from zeus.peers.client import RenderServerProxy

GROUP = "224.0.0.251"
"""That of mDNS."""
PATIENCE = 1.0


async def port(config: Config) -> Finding:
    """Whether a node can listen, or one does already."""
    host, number = config.http.host, config.http.port
    if number == 0:
        return Finding("port", "ok", "Any that is free.")
    problem = await asyncio.to_thread(_bind, host, number)
    if problem is None:
        return Finding("port", "ok", f"{host}:{number} is free.")
    if problem.errno != errno.EADDRINUSE:
        text = f"{host}:{number} cannot be listened on: {problem.strerror}."
        return Finding("port", "fatal", text, "Choose another by --host and --port, or http.host and http.port.")
    if await _is_zeus(config):
        return Finding("port", "ok", f"A node answers at {host}:{number}.")
    remedy = "End that program, or choose another port: --port N, or http.port."
    return Finding("port", "fatal", f"Another program holds {host}:{number}.", remedy)


def _bind(host: str, number: int) -> OSError | None:
    try:
        for family, kind, protocol, _, address in socket.getaddrinfo(
            host, number, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            with socket.socket(family, kind, protocol) as made:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                made.bind(address)
    except OSError as error:
        return error
    return None


async def answers(config: Config) -> bool:
    """Whether a node answers at this machine's own port."""
    host, number = config.http.host, config.http.port
    problem = await asyncio.to_thread(_bind, host, number) if number else None
    return problem is not None and problem.errno == errno.EADDRINUSE and await _is_zeus(config)


async def _is_zeus(config: Config) -> bool:
    """Ask what holds the port. It is shown no token: it may be another program."""
    trust = believed_here(config) if config.http.certificate else None
    async with RenderServerProxy(own_url(config), trust=trust) as server:
        try:
            answer = await server.request("GET", "/api/heartbeat", wait=5.0, once=True)
        except ZeusError:
            return False
        return "X-API-Version" in answer.headers


def multicast(config: NetworkConfig) -> Finding:
    """Send a packet to this machine itself by multicast on each interface of discovery; it does not leave it."""
    if config.discovery == "off":
        return Finding("multicast", "ok", 'It is not used: network.discovery is "off".')
    there = psutil.net_if_addrs()
    missing = ", ".join(each for each in config.interfaces if each not in there)
    if missing:
        remedy = f"Correct network.interfaces; there are {', '.join(there)}."
        return Finding("multicast", "warning", f"network.interfaces: there is no {missing}.", remedy)
    addresses = interface_addresses(config.interfaces)
    if not addresses:
        remedy = "Connect this machine to a network, or name an interface that is up in network.interfaces."
        return Finding("multicast", "warning", "No network interface of discovery leads to other machines.", remedy)
    tried = {str(each): _send(str(each)) for each in addresses if each.version == 4}
    problems = "; ".join(f"{problem} ({address})" for address, problem in tried.items() if problem)
    if problems:
        remedy = "Let UDP port 5353 through the firewall; until then nodes are used by their URLs."
        return Finding("multicast", "warning", f"Nodes cannot find each other by multicast: {problems}.", remedy)
    if not tried:
        return Finding("multicast", "ok", "Nodes find each other by IPv6 alone; whether that works was not tried.")
    return Finding("multicast", "ok", f"It works ({', '.join(tried)}), so nodes can find each other.")


def _send(address: str) -> str:
    """Send a packet by the interface of this IPv4 address; what the trouble is, or ""."""
    own = socket.inet_aton(address)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
            made.settimeout(PATIENCE)
            made.bind(("", 0))
            made.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(GROUP) + own)
            made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, own)
            made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 0)
            made.sendto(b"zeus doctor", (GROUP, made.getsockname()[1]))
            made.recv(64)
    except TimeoutError:
        return "what is sent does not arrive"
    except OSError as error:
        return error.strerror or str(error)
    return ""
