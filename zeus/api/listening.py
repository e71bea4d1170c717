"""Where a node listens: its sockets, and the addresses at which it can be reached there."""

from __future__ import annotations

import asyncio
import errno
import socket
from pathlib import Path

from zeus.config import HttpConfig
from zeus.errors import ConfigError
from zeus.nodes.addresses import LOOPBACK, Address, lan_urls, url_of


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
    return sockets, _address(limits, host, port)


def _address(http: HttpConfig, host: str, port: int) -> Address:
    url = url_of(host, port, https=bool(http.certificate))
    return Address(url, port, tuple(lan_urls(http, port)) or (url,))


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
