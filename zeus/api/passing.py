"""Any node answers: requests about what another node holds are passed to it, and its answers back, as they come."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping

import aiohttp
import msgspec
from aiohttp import web

from zeus.api.bodies import read_body
from zeus.api.errors import PREPARED, VERSION_HEADER, Handler
from zeus.api.keys import LISTS
from zeus.api.nodes import caller_of
from zeus.api.parameters import flag, listed
from zeus.api.responses import JOB_ID, json_body
from zeus.nodes.peer import Peer
from zeus.peers.connection import ServerUnreachable
from zeus.server import Zeus
from zeus.whereabouts import AGAIN, NodeAway

LOOK = 0.5
"""Seconds between two looks whether the client, and the node that is asked, are still there."""
CHUNK = 1 << 18
LARGEST_JOB = 16 << 20
"""Bytes of a job object: with a thousand subjobs it has some hundred thousand."""

JOB = "/api/jobs/{job_id}"
HELD = (JOB, "/files/{job_id", "/v1/videos/{job_id}")
"""How the routes begin that are about a job."""
POLLED = frozenset({"/api/jobs", "/api/jobs/long_poll"})
"""The routes that take a list's token."""
PAGED = frozenset({"/api/jobs", "/v1/videos"})
"""The routes whose `after` is a job."""
ENGINE = "/api/engines/{engine}"

SENT = ("Accept", "Accept-Encoding", "Content-Type", "If-Match", "If-Modified-Since", "If-None-Match", "If-Range",
        "If-Unmodified-Since", "Range", VERSION_HEADER)  # fmt: skip
"""The client's headers that the other node gets: none that says who the client is."""
KEPT = ("Accept-Ranges", "Allow", "Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Length",
        "Content-Range", "Content-Type", "ETag", "Last-Modified", "Location", "Repr-Digest", "Retry-After", "Vary",
        "X-Accel-Buffering")  # fmt: skip
"""The other node's headers that the client gets; none by which it could loosen what browsers may do here."""
SANDBOX = "sandbox; default-src 'none'; frame-ancestors 'none'"


class Passing:
    """The last middleware: a request that another node is to answer does not reach its handler here."""

    def __init__(self, zeus: Zeus) -> None:
        self._zeus = zeus

    @web.middleware
    async def pass_on(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not self._zeus.nodes.peers:
            return await handler(request)
        resource = request.match_info.route.resource
        route = resource.canonical if resource is not None else ""
        if route.startswith(HELD):
            return await self._about_job(request, handler, route)
        if route in POLLED and (peer := self._whose_list(request)) is not None:
            return await self._or_here(request, handler, peer)
        if route in PAGED and JOB_ID.fullmatch(after := request.query.get("after", "")):
            peer = await self._holder(request, after)
            return await (handler(request) if peer is None else self._passed(request, peer))
        if route.startswith(ENGINE) and (peer := self._with_engine(request)) is not None:
            return await self._passed(request, peer)
        return await handler(request)

    async def _about_job(self, request: web.Request, handler: Handler, route: str) -> web.StreamResponse:
        job_id = request.match_info["job_id"]
        peer = await self._holder(request, job_id) if JOB_ID.fullmatch(job_id) else None
        if peer is None:
            return await handler(request)
        is_job = route == JOB or (route.startswith(JOB) and request.method == "POST")
        return await self._passed(request, peer, is_job=is_job)

    async def _holder(self, request: web.Request, job_id: str) -> Peer | None:
        """The peer that holds a job; None where this node does, or nobody. Raises NodeAway.

        None too for what a peer asks: it means this node, and nothing makes a second hop.
        """
        where = self._zeus.whereabouts
        if await where.here(job_id) or caller_of(request) is not None:
            return None
        return await where.holder(job_id)

    def _whose_list(self, request: web.Request) -> Peer | None:
        """The peer that gave out the list's token that a client shows; None where this node did, or nobody known."""
        if caller_of(request) is not None:
            return None
        entries = [entry.removeprefix("W/").strip('"') for entry in listed(request, "If-None-Match")]
        for token in (request.query.get("token", ""), *entries):
            if request.app[LISTS].revision_of(token) is None and (peer := self._whose_token(token)) is not None:
                return peer
        return None

    def _whose_token(self, token: str) -> Peer | None:
        """The peer whose token this is: that of this run, else the one of this name, which has been started anew."""
        name, start, _ = (*token.rsplit(".", 2), "", "")[:3]
        said = [(peer, peer.portrait) for peer in self._zeus.nodes.online() if peer.portrait is not None]
        alike = [(peer, portrait) for peer, portrait in said if portrait.name == name]
        same_run = [peer for peer, portrait in alike if portrait.start == start]
        return next(iter(same_run or [peer for peer, _ in alike if name != self._zeus.config.node.name]), None)

    def _with_engine(self, request: web.Request) -> Peer | None:
        """A peer to ask about an engine that is not here: one that can run it, where there is any."""
        catalog, name = self._zeus.catalog, request.match_info["engine"]
        if name in catalog.engines or name in catalog.broken or caller_of(request) is not None:
            return None
        having = [(peer, peer.portrait.engines[name]) for peer in self._zeus.nodes.online()
                  if peer.portrait is not None and name in peer.portrait.engines]  # fmt: skip
        able = [peer for peer, engine in having if engine.available]
        return next(iter(able or [peer for peer, _ in having]), None)

    async def _or_here(self, request: web.Request, handler: Handler, peer: Peer) -> web.StreamResponse:
        """Another node's list, or where it does not answer, this one's: a client begins anew with that."""
        try:
            return await self._watched(request, peer, is_job=False)
        except (ServerUnreachable, NodeAway):
            return await handler(request)

    async def _passed(self, request: web.Request, peer: Peer, *, is_job: bool = False) -> web.StreamResponse:
        """The other node's answer. Raises NodeAway; one that has just gone may be restarting and is waited for."""
        where, first = self._zeus.whereabouts, 0.0
        while True:
            try:
                return await self._watched(request, peer, is_job=is_job)
            except ServerUnreachable as error:
                first = first or time.monotonic()
                may_repeat = request.method in ("GET", "HEAD") or _is_unsent(error)
                # One may be heard of all the while, and yet answer this with nonsense.
                is_over = not where.may_return(peer) or time.monotonic() - first > where.patience
                if not may_repeat or is_over or _is_gone(request):
                    raise NodeAway(f"{peer.name}, which holds this, does not answer.") from error
            await asyncio.sleep(AGAIN)

    async def _watched(self, request: web.Request, peer: Peer, *, is_job: bool) -> web.StreamResponse:
        """Pass a request on and its answer back, for as long as both sides are there.

        Raises ServerUnreachable before the answer has begun, ConnectionResetError after.
        """
        work = asyncio.ensure_future(self._exchange(request, peer, is_job))
        try:
            while not (await asyncio.wait([work], timeout=LOOK))[0]:
                if _is_gone(request):
                    raise ConnectionResetError("the client went away")
                if not self._zeus.whereabouts.may_return(peer):
                    raise ServerUnreachable(f"{peer.name} does not answer.")
                if self._zeus.feed.closed and _waits(request):
                    return await _ended(request)
            return work.result()
        except ServerUnreachable as error:
            if PREPARED in request:
                raise ConnectionResetError("the other node went away") from error
            raise
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    async def _exchange(self, request: web.Request, peer: Peer, is_job: bool) -> web.StreamResponse:
        body = await read_body(request) if request.can_read_body else None
        names = [name for name in SENT if name in request.headers and not (is_job and name == "Accept-Encoding")]
        sent = {name: ", ".join(request.headers.getall(name)) for name in names}
        # Via: whoever asks there from this very machine has no rights of this machine's by it.
        headers = {**sent, "Via": "1.1 zeus"}
        async with peer.proxy.exchange(
            request.method, request.raw_path, wait=None, headers=headers, data=body, auto_decompress=False,
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type"),
        ) as answer:  # fmt: skip
            if not 200 <= answer.status < 600:
                raise NodeAway(f"{peer.name}, which holds this, does not answer as one of Zeus's does.")
            if answer.status in (401, 403):
                raise NodeAway(f"{peer.name}, which holds this, does not take this node's token.")
            if is_job and answer.status < 300 and answer.content_type == "application/json":
                return await self._as_handled_here(request, answer)
            return await _streamed(request, answer)

    async def _as_handled_here(self, request: web.Request, answer: aiohttp.ClientResponse) -> web.Response:
        """A job object, which says that this node has answered."""
        if request.method == "HEAD":
            return web.Response(status=answer.status, content_type="application/json")
        body = bytearray()
        async for chunk in answer.content.iter_any():
            body += chunk
            if len(body) > LARGEST_JOB:
                raise NodeAway("The node that holds this answers without an end.")
        try:
            fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        except (msgspec.MsgspecError, RecursionError) as error:
            raise NodeAway("The node that holds this does not answer as one of Zeus's does.") from error
        if "handled_by" in fields:
            fields["handled_by"] = msgspec.Raw(msgspec.json.encode(self._zeus.config.node.name))
        return json_body(msgspec.json.encode(fields), answer.status)


async def _streamed(request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, headers=_headers(answer.headers))
    await response.prepare(request)
    if request.method != "HEAD":
        async for chunk in answer.content.iter_chunked(CHUNK):
            await response.write(chunk)
    await response.write_eof()
    return response


def _headers(theirs: Mapping[str, str]) -> dict[str, str]:
    kept = {name: theirs[name] for name in KEPT if name in theirs and theirs[name].isprintable()}
    if re.match(r"/(?![/\\])", kept.get("Location", "/")) is None:  # browsers take /\ for //, which is another host
        del kept["Location"]
    return {**kept, "Content-Security-Policy": SANDBOX}


def _waits(request: web.Request) -> bool:
    """Whether an answer may come only when something happens."""
    return request.path == "/api/jobs/long_poll" or flag(request, "follow")


async def _ended(request: web.Request) -> web.StreamResponse:
    """What who waits gets when this node stops: nothing has changed; a log that has begun breaks off."""
    if PREPARED in request:
        raise ConnectionResetError("this node is stopping")
    return web.Response(status=204)


def _is_unsent(error: ServerUnreachable) -> bool:
    """Whether nothing of a request can have reached the other node."""
    return error.__cause__ is None or isinstance(error.__cause__, aiohttp.ClientConnectorError)


def _is_gone(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()
