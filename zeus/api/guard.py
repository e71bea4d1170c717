"""Who may come in: no foreign host name, no foreign page, no stranger without the token."""

from __future__ import annotations

import hmac
import ipaddress
import os
import re
import secrets
import socket
from collections.abc import Iterable
from pathlib import Path

from aiohttp import web

from zeus.api.errors import Handler
from zeus.config import Config
from zeus.errors import BadInput, Forbidden, Unauthorized, UnsupportedMedia

FORWARDED = ("Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP")
"""Headers that a proxy adds: a request that has one does not come from where its connection does."""
PUBLIC = frozenset({"/api/heartbeat"})
"""Paths that are answered without a token."""


class Guard:
    """The checks before every handler. `token` is None where none is asked for."""

    def __init__(self, names: Iterable[str], token: str | None) -> None:
        self._names = {name.lower() for name in names}
        self._token = token

    @web.middleware
    async def check(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._check_target(request)
        self._check_page(request)
        self._check_token(request)
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise UnsupportedMedia("Compressed request bodies are not accepted; send it as it is.")
        return await handler(request)

    def _check_target(self, request: web.Request) -> None:
        """Against DNS rebinding: the host that the client names must be this node."""
        if not request.raw_path.startswith("/"):
            raise BadInput("The request's target must be a path.", code="bad_target")
        hosts = request.headers.getall("Host", [])
        if len(hosts) != 1 or not self._is_ours(hosts[0]):
            raise Forbidden(
                "This node is not known by that host name; http.allowed_hosts adds one.", code="forbidden_host"
            )

    def _check_page(self, request: web.Request) -> None:
        """Against other sites' pages: what a browser says of where a request comes from must be this node itself."""
        origins = request.headers.getall("Origin", [])
        sites = request.headers.getall("Sec-Fetch-Site", [])
        foreign_site = any(site not in ("same-origin", "none") for site in sites)
        host = request.headers["Host"].lower()
        if foreign_site or any(origin.lower() not in (f"http://{host}", f"https://{host}") for origin in origins):
            raise Forbidden("Requests from another site's page are refused.", code="foreign_origin")

    def _check_token(self, request: web.Request) -> None:
        if self._token is None or request.path in PUBLIC or is_local(request):
            return
        kind, _, given = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), self._token.encode()):
            raise Unauthorized()

    def _is_ours(self, host: str) -> bool:
        match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?", host)
        return match is not None and (_is_address(match[1].strip("[]")) or match[1].lower() in self._names)


def make_guard(config: Config, storage: Path) -> Guard:
    """The guard that a configuration asks for. Makes the token when it is needed and not there yet."""
    machine = socket.gethostname().lower()
    names = ["localhost", config.node.name, f"{config.node.name}.local", machine, f"{machine}.local"]
    return Guard([*names, *config.http.allowed_hosts], read_token(storage) if needs_token(config) else None)


def needs_token(config: Config) -> bool:
    """Whether strangers can reach the node and shall not come in without a token."""
    host = config.http.host
    return not config.http.open and host != "localhost" and not (_is_address(host) and _is_loopback(host))


def read_token(storage: Path) -> str:
    """The storage folder's token, made at first use, for its owner's eyes alone."""
    path = storage / "token"
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(24) + "\n")
    return path.read_text().strip()


def is_local(request: web.Request) -> bool:
    """Whether a request comes from this machine, and not by way of a proxy on it."""
    if any(name in request.headers for name in FORWARDED):
        return False
    return not request.remote or _is_loopback(request.remote)  # a Unix socket has no address


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_loopback(address: str) -> bool:
    parsed = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_loopback
