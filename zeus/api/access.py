"""Who may use which route: the scope that the route asks for, and the token or the session that a request shows."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Mapping

from aiohttp import web
from aiohttp.hdrs import AUTHORIZATION
from aiohttp.web_urldispatcher import AbstractRoute, SystemRoute

from zeus.api.errors import Handler
from zeus.api.guard import is_local, is_loopback
from zeus.errors import BadInput, Forbidden, Unauthorized
from zeus.tokens import Scope, Token, Tokens

COOKIE = "zeus_session"
SESSION_SECONDS = 30 * 24 * 3600
MOST_SESSIONS = 1000
FIRST_DELAY, LONGEST_DELAY = 0.1, 4.0
"""Seconds that the answer to a wrong token waits: for an address's first one, and at most."""
FORGOTTEN = 600.0
"""Seconds after which an address's wrong tokens do not count any more."""
MOST_ADDRESSES = 1024

Scopes = Mapping[AbstractRoute, Scope | None]
"""The scope that each route asks for; None asks for nothing, a route that is not here is for nobody."""


class Access:
    """The check before every handler. `tokens` is None where everybody may do everything."""

    def __init__(self, tokens: Tokens | None, *, wide: bool) -> None:
        self._tokens = tokens
        self._wide = wide
        self.scopes: Scopes = {}
        self.sessions = Sessions()
        self._tries = Tries()

    @web.middleware
    async def check(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        route = request.match_info.route
        is_public = route in self.scopes and self.scopes[route] is None
        if not is_public and self._is_guarded(request):
            await self._check_scope(request, route)
        return await handler(request)

    async def admit(self, request: web.Request, secret: str) -> Token:
        """The token of this secret. Raises Unauthorized, later with each wrong one."""
        token = self._tokens.of(secret) if self._tokens is not None else None
        address = _address(request)
        if token is None:
            await self._tries.failed(address)
            raise Unauthorized("This is no token of this node.")
        self._tries.forget(address)
        return token

    def _is_guarded(self, request: web.Request) -> bool:
        """On loopback alone a proxy's clients are strangers as soon as there is a token that they could have."""
        if self._tokens is None or is_local(request):
            return False
        return self._wide or self._tokens.any()

    async def _check_scope(self, request: web.Request, route: AbstractRoute) -> None:
        token = await self._bearer(request)
        if isinstance(route, SystemRoute):
            return  # there is no such route, and the handler says so
        needed = self.scopes.get(route)
        if needed is None or needed not in token.scopes:
            scope = f' has no scope "{needed}", which this needs' if needed else " opens nothing here"
            raise Forbidden(f'The token "{token.name}"{scope}.', code="insufficient_scope")

    async def _bearer(self, request: web.Request) -> Token:
        """The token that a request shows, or that its session began with. Raises Unauthorized or BadInput."""
        if len(request.headers.getall(AUTHORIZATION, [])) > 1:
            raise BadInput("Authorization: given more than once.", code="repeated_field")
        kind, _, secret = request.headers.get(AUTHORIZATION, "").partition(" ")
        if kind.lower() == "bearer" and secret.strip():
            return await self.admit(request, secret.strip())
        digest = self.sessions.of(request.cookies.get(COOKIE, ""))
        token = self._tokens.with_digest(digest) if self._tokens is not None and digest is not None else None
        if token is None:
            raise Unauthorized()
        return token


class Sessions:
    """Browsers that have signed in, by the digest of their cookie. A restart signs all out."""

    def __init__(self) -> None:
        self._open: OrderedDict[bytes, tuple[str, float]] = OrderedDict()

    def begin(self, token: Token) -> str:
        """A new session; its cookie."""
        cookie = secrets.token_urlsafe(32)
        self._open[_key(cookie)] = token.sha256, time.monotonic() + SESSION_SECONDS
        while len(self._open) > MOST_SESSIONS:
            self._open.popitem(last=False)
        return cookie

    def end(self, cookie: str) -> None:
        """End a session, if there is one."""
        self._open.pop(_key(cookie), None)

    def of(self, cookie: str) -> str | None:
        """The sha256 of the token that a session began with: one that was removed since opens nothing."""
        digest, until = self._open.get(_key(cookie), (None, 0.0))
        return digest if time.monotonic() < until else None


class Tries:
    """Wrong tokens by address: each makes the answer to the next one slower. Who has a right one never waits."""

    def __init__(self) -> None:
        self._failed: OrderedDict[str, tuple[int, float]] = OrderedDict()

    async def failed(self, address: str) -> None:
        """Count a wrong token and wait."""
        now = time.monotonic()
        count, last = self._failed.pop(address, (0, 0.0))
        count = count + 1 if now - last < FORGOTTEN else 1
        self._failed[address] = count, now
        if len(self._failed) > MOST_ADDRESSES:
            self._failed.popitem(last=False)
        await asyncio.sleep(min(FIRST_DELAY * 2.0 ** min(count - 1, 10), LONGEST_DELAY))

    def forget(self, address: str) -> None:
        """Whoever has a right token starts anew."""
        self._failed.pop(address, None)


def _key(cookie: str) -> bytes:
    return hashlib.sha256(cookie.encode("utf-8", "surrogateescape")).digest()


def _address(request: web.Request) -> str:
    """Who is counted: behind a proxy on this machine, the last address that it names."""
    remote = request.remote or ""
    named = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
    return named[:64] if named and (not remote or is_loopback(remote)) else remote
