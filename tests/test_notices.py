"""News of shares: told at least once, after a restart too, by either of two ways; and shares that nobody wants."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.conftest import HANG, Api, NodeProcess
from tests.farm import ONE, QUICK, empty, fill, node_in, pair, quick, spawned
from zeus.dispatch import watch
from zeus.errors import NoSpace
from zeus.shares import Shares
from zeus.store import Store


@asynccontextmanager
async def two(tmp_path: Path, **sections: Any) -> AsyncIterator[tuple[Api, Api]]:
    """A controller whose one slot is taken, and a peer."""
    async with (
        node_in(tmp_path, "control", quick(ONE, **sections)) as control,
        node_in(tmp_path, "render", quick(QUICK, **sections)) as peer,
    ):
        await pair(control, peer)
        await fill(control)
        yield control, peer


async def silent(*_: object) -> None:
    await asyncio.sleep(3600)


@pytest.mark.parametrize("silenced", ["poll", "update"])
async def test_either_way_of_news_alone_suffices(
    tmp_path: Path, silenced: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if silenced == "poll":
        monkeypatch.setattr(watch.Watch, "_run", silent)
    else:
        monkeypatch.setattr(Shares, "run", silent)
    async with two(tmp_path) as (control, peer):
        job_id = await control.add(seconds=0.5)
        begun = time.monotonic()
        job = await control.until(job_id)
        assert (job["status"], job["node"]) == ("finished", "render")
        assert time.monotonic() - begun < 8  # without any news it is asked about every ten seconds
        await empty(peer)


async def test_what_was_not_fetched_goes_after_a_while(
    tmp_path: Path, spawn_node: Callable[..., NodeProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The controller goes and does not come back; the share ends, is held, and goes, once the disk has room."""
    refused = []

    async def full_at_first(store: Store, job_id: str) -> list[str]:
        if len(refused) < 2:
            refused.append(job_id)
            raise NoSpace
        return await delete(store, job_id)

    delete = Store.delete
    monkeypatch.setattr(Store, "delete", full_at_first)
    node = spawned(spawn_node, "control", ONE)
    await asyncio.to_thread(node.start)
    held = quick(QUICK, network={"hold": 2.0})
    async with node_in(tmp_path, "render", held) as peer, aiohttp.ClientSession() as session:
        control = Api(session, node.url)
        await pair(control, peer)
        await fill(control)
        await control.add(seconds=0.5)
        share = await share_of(peer)
        node.kill()
        ended = await peer.until(share["id"])
        assert ended["status"] == "finished" and ended["file_count"] == 1
        assert (await peer.get(f"/api/jobs/{share['id']}"))[0] == 200
        await empty(peer)
        assert refused == [share["id"]] * 2


async def test_a_restarted_peer_tells_what_it_has_not_told(
    tmp_path: Path, spawn_node: Callable[..., NodeProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The controller heard of no end; the news of it come after the peer's restart."""
    monkeypatch.setattr(watch.Watch, "_run", silent)
    node = spawned(spawn_node, "render", QUICK)
    await asyncio.to_thread(node.start)
    lasting = quick(ONE, network={"lease": 60.0})
    async with node_in(tmp_path, "control", lasting) as control, aiohttp.ClientSession() as session:
        peer = Api(session, node.url)
        await pair(control, peer)
        await fill(control)
        job_id = await control.add(seconds=1.0)
        await share_of(peer)
        await control.until(job_id, "running")
        await asyncio.to_thread(node.stop)
        await asyncio.to_thread(node.start)
        assert (await control.until(job_id))["attempt"] == 1
        await empty(peer)


async def test_a_share_whose_answer_was_lost_does_not_stay(tmp_path: Path) -> None:
    """The controller never hears that its offer was taken, and gives up: the peer is told that nobody wants it."""
    async with (
        node_in(tmp_path, "control", ONE) as control,
        node_in(tmp_path, "render", QUICK) as peer,
        deaf_to_answers(peer.url) as url,
    ):
        await pair(control, Api(peer.session, url))
        await fill(control)
        job_id = await control.add(seconds=600)
        share = await share_of(peer)
        assert share["parent"] == job_id
        status, job = await control.post(f"/api/jobs/{job_id}/cancel?confirm=1")
        assert (status, job["status"]) == (200, "cancelled")
        await empty(peer)


@asynccontextmanager
async def deaf_to_answers(url: str) -> AsyncIterator[str]:
    """A way to a node on which the answers to add_job get lost."""
    session = aiohttp.ClientSession(auto_decompress=False)

    async def passed(request: web.Request) -> web.StreamResponse:
        headers = {name: value for name, value in request.headers.items() if name != "Host"}
        body = await request.read()
        async with session.request(request.method, url + request.path_qs, headers=headers, data=body) as got:
            if request.path == "/api/add_job":
                await asyncio.sleep(3600)
            kept = {name: value for name, value in got.headers.items() if name not in ("Transfer-Encoding", "Date")}
            return web.Response(status=got.status, headers=kept, body=await got.read())

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", passed)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    try:
        yield f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"  # type: ignore[attr-defined]
    finally:
        await runner.cleanup()
        await session.close()


async def share_of(peer: Api) -> dict[str, Any]:
    """The one share that a node has, as soon as it has it."""
    deadline = time.monotonic() + HANG
    while True:
        for job in (await peer.get("/api/jobs"))[1]["jobs"]:
            if job["parent"]:
                return dict(job)
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
