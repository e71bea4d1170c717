"""`/api/session`: a page signs in by a token, gets a cookie that it cannot read, and signs out."""

from __future__ import annotations

from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from zeus.api.access import COOKIE, SESSION_SECONDS
from zeus.api.bodies import as_object, convert, read_json
from zeus.api.keys import ACCESS
from zeus.api.responses import json_response
from zeus.wire import SessionView


class SignIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a page sends to sign in."""

    token: Annotated[Annotated[str, Meta(min_length=1, max_length=1000)], Meta(description="A token of this node")]


async def sign_in(request: web.Request) -> web.Response:
    """Begin a session. Raises Unauthorized."""
    access = request.app[ACCESS]
    wanted = convert(as_object(await read_json(request)), SignIn)
    token = await access.admit(request, wanted.token.strip())
    response = json_response(SessionView(token.name, sorted(token.scopes)))
    response.set_cookie(
        COOKIE, access.sessions.begin(token), max_age=SESSION_SECONDS,
        path="/", httponly=True, samesite="Strict", secure=_by_https(request),
    )  # fmt: skip
    return response


async def sign_out(request: web.Request) -> web.Response:
    """End the session, if there is one."""
    request.app[ACCESS].sessions.end(request.cookies.get(COOKIE, ""))
    response = web.Response(status=204)
    response.del_cookie(COOKIE, path="/", httponly=True, samesite="Strict", secure=_by_https(request))
    return response


def _by_https(request: web.Request) -> bool:
    """Whether the browser speaks TLS, with the proxy in front: a cookie that is Secure never goes without."""
    return request.secure or request.headers.get("X-Forwarded-Proto", "").strip().lower() == "https"
