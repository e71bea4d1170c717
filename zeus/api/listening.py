"""Where a node listens: its sockets, and the addresses at which it can be reached there."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil

from zeus.config import HttpConfig
from zeus.errors import ConfigError

LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""For each address that stands for all, the one that reaches it from this machine."""
VIRTUAL = ("br-", "cni", "docker", "flannel", "veth", "virbr", "vmnet")
"""Beginnings of the names of interfaces that lead to no other machine."""


class Address(msgspec.Struct):
    """Where a node listens; known once it does."""

    url: str = ""
    """From this machine: http://HOST:PORT, or unix:PATH where there is no loopback network."""
    port: int = 0


async def listen(limits: HttpConfig, unix_path: Path) -> tuple[list[socket.socket], Address]:
    """Bound sockets and their address. Raises ConfigError."""
    try:
        sockets = await _bound(limits.host, limits.port)
        for each in sockets:
            each.listen()
    except OSError as error:
        reason = "it is in use" if error.errno == errno.EADDRINUSE else error.strerror
        raise ConfigError(f"http.port: {limits.host}:{limits.port} cannot be listened on: {reason}.") from error
    host, port = sockets[0].getsockname()[:2]
    host = LOOPBACK.get(host, host)
    if limits.port == 0 and not await asyncio.to_thread(_reachable, host, port):
        for each in sockets:
            each.close()
        return [_unix(unix_path)], Address(f"unix:{unix_path}")
    return sockets, Address(_url(host, port), port)


def lan_urls(limits: HttpConfig, port: int) -> list[str]:
    """The URLs by which other machines reach a node that listens everywhere. Nothing is sent to find them."""
    if limits.host not in LOOPBACK:
        return []
    return [_url(each, port) for each in _own_addresses(6 if ":" in limits.host else 4)]


async def _bound(host: str, port: int) -> list[socket.socket]:
    """A socket for each address of a host, bound as asyncio does it."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(asyncio.Protocol, host, port, start_serving=False)
    try:
        return [each.dup() for each in server.sockets]
    finally:
        server.close()


def _unix(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    made = socket.socket(socket.AF_UNIX)
    made.bind(str(path))
    return made


def _reachable(host: str, port: int) -> bool:
    """Whether this machine can reach itself: without any network not even loopback is up."""
    try:
        socket.create_connection((host, port), timeout=2).close()
    except OSError:
        return False
    return True


def _own_addresses(version: int) -> Iterator[str]:
    up = psutil.net_if_stats()
    for name, addresses in psutil.net_if_addrs().items():
        if name.startswith(VIRTUAL) or (name in up and not up[name].isup):
            continue
        for each in addresses:
            if each.family in (socket.AF_INET, socket.AF_INET6):
                parsed = ipaddress.ip_address(each.address.partition("%")[0])
                if parsed.version == version and not (parsed.is_loopback or parsed.is_link_local):
                    yield str(parsed)


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
