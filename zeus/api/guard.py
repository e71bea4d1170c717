"""The checks before all else: no foreign host name, no foreign page, no body that cannot be taken."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from functools import lru_cache

from aiohttp import HttpVersion11, web
from aiohttp.hdrs import CONTENT_ENCODING, EXPECT, HOST, ORIGIN
from multidict import istr

from zeus.api.errors import Handler
from zeus.config import Config
from zeus.errors import BadInput, Forbidden, UnsupportedMedia
from zeus.nodes.addresses import is_wide

FORWARDED = tuple(
    map(istr, ("Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP"))
)
"""Headers that a proxy adds: a request that has one does not come from where its connection does."""
FETCH_SITE = istr("Sec-Fetch-Site")
FETCH_MODE = istr("Sec-Fetch-Mode")
REMEMBERED = 128
"""Host names, and addresses, whose answer is kept: looking at one costs more than all the rest here."""


class Guard:
    """The checks of where a request says that it goes, and from what page it comes."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = {name.lower() for name in names}
        self._is_ours = lru_cache(REMEMBERED)(self._is_known)

    @web.middleware
    async def check(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._check_target(request)
        self._check_page(request)
        return await handler(request)

    def _check_target(self, request: web.Request) -> None:
        """Against DNS rebinding: the host that the client names must be this node."""
        if not request.raw_path.startswith("/"):
            raise BadInput("The request's target must be a path.", code="bad_target")
        hosts = request.headers.getall(HOST, [])
        if len(hosts) != 1 or not self._is_ours(hosts[0]):
            raise Forbidden(
                "This node is not known by that host name; http.allowed_hosts adds one.", code="forbidden_host"
            )

    def _check_page(self, request: web.Request) -> None:
        """Against other sites' pages: what a browser says of where a request comes from must be this node itself."""
        origins = request.headers.getall(ORIGIN, [])
        sites = request.headers.getall(FETCH_SITE, [])
        if not origins and not sites:
            return
        foreign_site = any(site not in ("same-origin", "none") for site in sites) and not _is_link(request)
        host = request.headers[HOST].lower()
        if foreign_site or any(origin.lower() not in (f"http://{host}", f"https://{host}") for origin in origins):
            raise Forbidden("Requests from another site's page are refused.", code="foreign_origin")

    def _is_known(self, host: str) -> bool:
        match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?", host)
        return match is not None and (_is_address(match[1].strip("[]")) or match[1].lower() in self._names)


def _is_link(request: web.Request) -> bool:
    """Whether a person follows a link to the page, which holds nothing: in a chat or a wiki there may be one."""
    return request.path == "/" and request.method == "GET" and request.headers.get(FETCH_MODE) == "navigate"


def make_guard(config: Config) -> Guard:
    """The guard that a configuration asks for."""
    machine = socket.gethostname().lower()
    names = ["localhost", config.node.name, f"{config.node.name}.local", machine, f"{machine}.local"]
    return Guard([*names, *config.http.allowed_hosts])


@web.middleware
async def accept_body(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The last check: a body that is sent as it is. Only here, past all others, `Expect` gets its answer."""
    if request.headers.get(CONTENT_ENCODING, "identity").lower() != "identity":
        raise UnsupportedMedia("Compressed request bodies are not accepted; send it as it is.")
    expected = request.headers.get(EXPECT)
    if expected and request.version == HttpVersion11:
        if expected.lower() != "100-continue":
            raise web.HTTPExpectationFailed(reason="Of Expect only 100-continue is known")
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # else aiohttp takes the answer for begun
    return await handler(request)


async def expect_later(request: web.Request) -> None:
    """In place of aiohttp's own answer to `Expect`, which goes out before any check."""


def needs_token(config: Config) -> bool:
    """Whether strangers can reach the node and shall not come in without a token."""
    return not config.http.open and is_wide(config.http.host)


def is_local(request: web.Request) -> bool:
    """Whether a request comes from this machine, and not by way of a proxy on it."""
    if any(name in request.headers for name in FORWARDED):
        return False
    return not request.remote or is_loopback(request.remote)  # a Unix socket has no address


@lru_cache(REMEMBERED)
def is_loopback(address: str) -> bool:
    """Whether an IP address is this machine's own."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_loopback


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
