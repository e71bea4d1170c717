"""The HTTP application: its routes, its middleware, and running it with a node behind it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.hdrs import SERVER
from multidict import istr

import zeus as package
from zeus.api.access import Access
from zeus.api.connections import Connections
from zeus.api.errors import API_VERSION, PREPARED, VERSION_HEADER, answer_errors
from zeus.api.guard import accept_body, make_guard, needs_token
from zeus.api.keys import ACCESS, BODIES, DOCUMENT, LISTS, ZEUS
from zeus.api.listening import listen
from zeus.api.lists import JobLists
from zeus.api.once import refuse_repeats
from zeus.api.openapi import document
from zeus.api.passing import Passing
from zeus.api.polls import JobBodies
from zeus.api.routes import ROUTES, add_routes
from zeus.api.site import SITE, Site, read_site
from zeus.config import Config
from zeus.errors import ConfigError
from zeus.nodes.addresses import is_wide
from zeus.nodes.certificates import server_context
from zeus.server import Zeus, open_zeus
from zeus.tokens import Tokens, ensure_owner

EXIT_STORE_FAILED = 70
SHUTDOWN = 15.0
"""Seconds that open requests get at the end; long polls are let go at once. aiohttp spends its timeout twice: before it
ends the bodies that still arrive, and after."""
KEEP_ALIVE = 75.0
"""Seconds that a connection may wait for its next request: longer than proxies keep theirs."""

SERVED_BY = f"Zeus/{package.__version__}"
HEADERS = {
    istr(VERSION_HEADER): API_VERSION,
    istr("X-Content-Type-Options"): "nosniff",
    istr("X-Frame-Options"): "DENY",
    istr("Referrer-Policy"): "no-referrer",
    istr("Cross-Origin-Resource-Policy"): "same-origin",
    istr("Content-Security-Policy"): "default-src 'none'; frame-ancestors 'none'",
    istr("Cache-Control"): "no-store",
}
"""What every answer has unless its handler says otherwise. An istr is folded once, not at every look-up."""

log = logging.getLogger(__name__)


class Node(msgspec.Struct, frozen=True):
    """A node that answers. `url` is http://HOST:PORT, or unix:PATH where this machine has no loopback network."""

    url: str
    zeus: Zeus


def make_app(zeus: Zeus, site: Site) -> web.Application:
    """The application in front of a node."""
    http, wide = zeus.config.http, needs_token(zeus.config)
    guard, access = make_guard(zeus.config), Access(None if http.open else Tokens(zeus.files.root), wide=wide)
    passing = Passing(zeus)
    app = web.Application(
        middlewares=[answer_errors, guard.check, access.check, refuse_repeats, accept_body, passing.pass_on],
        client_max_size=http.max_json_bytes,
    )
    app[ZEUS], app[LISTS], app[BODIES] = zeus, JobLists(zeus), JobBodies(zeus)
    app[ACCESS], app[SITE] = access, site
    app[DOCUMENT] = document((route.method, route.path, route.scope is None) for route in ROUTES)
    access.scopes = add_routes(app, ROUTES)
    app.on_response_prepare.append(_add_headers)
    app.on_shutdown.append(_let_go)
    return app


@contextlib.asynccontextmanager
async def running_node(config: Config) -> AsyncIterator[Node]:
    """A node with its HTTP door open: opened last, closed first. Raises ConfigError, StorageInUse or StoreFailed."""
    tls = await asyncio.to_thread(server_context, config.http)
    async with open_zeus(config) as zeus, contextlib.AsyncExitStack() as stack:
        if needs_token(config):
            await _make_token(zeus)
        app = make_app(zeus, await asyncio.to_thread(read_site))
        runner = web.AppRunner(
            app, handle_signals=False, access_log=None, auto_decompress=False,
            shutdown_timeout=SHUTDOWN / 2, keepalive_timeout=KEEP_ALIVE,
        )  # fmt: skip
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        assert runner.server is not None
        sockets, address = await listen(config.http, zeus.files.root / "socket")
        zeus.address.take(address)
        connections = Connections(runner.server, config.http, tls)
        stack.push_async_callback(connections.close)
        connections.open(sockets)
        zeus.nodes.start(zeus.portraits.portrait)
        if is_discovered(config):
            zeus.discovery.start()
        yield Node(address.url, zeus)


async def serve(config: Config, *, announce: Callable[[str], None]) -> int:
    """Run a node until SIGINT or SIGTERM; the exit code. `announce` gets its URL once it answers."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with running_node(config) as node:
        announce(node.url)
        stopped = asyncio.ensure_future(stop.wait())
        ends: list[asyncio.Future[Any]] = [stopped, node.zeus.failed]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if node.zeus.failed.done():
            log.critical("%s", node.zeus.failed.result().message)
            return EXIT_STORE_FAILED
    return 0


def is_discovered(config: Config) -> bool:
    """Whether the node announces itself and looks for others."""
    wanted = config.network.discovery
    return wanted == "on" or (wanted == "auto" and is_wide(config.http.host))


async def _make_token(zeus: Zeus) -> None:
    try:
        await asyncio.to_thread(ensure_owner, zeus.files.root)
    except OSError as error:
        raise ConfigError(f"node.storage: the token cannot be kept: {error.strerror}.") from error


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    request[PREPARED] = True
    headers = response.headers
    headers[SERVER] = SERVED_BY
    for name, value in HEADERS.items():
        headers.setdefault(name, value)


async def _let_go(app: web.Application) -> None:
    app[ZEUS].feed.close()
