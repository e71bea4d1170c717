"""Any node answers: what one node holds is to be had from each of three, as if it were there."""

from __future__ import annotations

import asyncio
import io
import time
import zipfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from tests.conftest import HANG, Api
from tests.together import farm, met, named, pair
from zeus import whereabouts
from zeus.api.app import Node, running_node
from zeus.peers.connection import NODE_HEADER
from zeus.tokens import Scope, add_token

UNKNOWN = "00000000-0000-0000-0000-000000000000"
FARM = {"X-API-Version": "0.1"}


@pytest.fixture
async def nodes(tmp_path: Path) -> AsyncIterator[Sequence[Node]]:
    async with farm(*(named(tmp_path, name) for name in ("anna", "bert", "carl"))) as made:
        yield made


@pytest.fixture
def apis(nodes: Sequence[Node], session: aiohttp.ClientSession) -> list[Api]:
    return [Api(session, node.url) for node in nodes]


async def test_a_job_of_one_node_is_answered_by_each(apis: list[Api]) -> None:
    anna, bert, carl = apis
    job_id = await anna.add(files=("Out.txt", "b.txt"), content="0123456789", seconds=0.2)
    status, seen = await bert.get(f"/api/jobs/{job_id}")  # at once: it was never asked for before
    assert (status, seen["handled_by"], seen["id"]) == (200, "bert", job_id)
    _, own = await anna.get(f"/api/jobs/{job_id}")
    assert list(seen) == list(own) and own["handled_by"] == "anna"
    done = await carl.until(job_id)
    assert (done["status"], done["handled_by"], done["node"]) == ("finished", "carl", "anna")
    assert await bert.get(f"/api/jobs/{job_id}/files") == (200, ["Out.txt", "b.txt"])
    assert (await bert.get(f"/api/jobs/{job_id}/why"))[1]["status"] == "finished"
    assert (await bert.get(f"/api/jobs/{job_id}/frames"))[1]["total"] == 0
    url = f"/api/jobs/{job_id}/download?filename=out.TXT"
    async with bert.session.get(bert.url + url) as got, anna.session.get(anna.url + url) as direct:
        assert await got.read() == b"0123456789"
        kept = ("Content-Type", "Content-Length", "Content-Disposition", "ETag", "Repr-Digest", "Accept-Ranges",
                "Last-Modified", "Cache-Control", "X-Content-Type-Options")  # fmt: skip
        assert {name: got.headers[name] for name in kept} == {name: direct.headers[name] for name in kept}
        assert got.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
        etag = got.headers["ETag"]
    async with bert.session.get(bert.url + url, headers={"Range": "bytes=2-4", "If-Range": etag}) as got:
        assert (got.status, got.headers["Content-Range"], await got.read()) == (206, "bytes 2-4/10", b"234")
    async with bert.session.get(bert.url + url, headers={"If-None-Match": etag}) as got:
        assert (got.status, await got.read()) == (304, b"")
    async with bert.session.get(bert.url + url, headers={"Range": "bytes=99-"}) as got:
        assert (got.status, (await got.json())["error"]) == (416, "range_not_satisfiable")
    async with bert.session.head(bert.url + url) as got:
        assert (got.status, got.headers["Content-Length"]) == (200, "10")
    async with bert.session.head(f"{bert.url}/api/jobs/{job_id}") as got:
        assert (got.status, got.content_type) == (200, "application/json")
    async with bert.session.get(f"{bert.url}/api/jobs/{job_id}/download_all") as got:
        assert zipfile.ZipFile(io.BytesIO(await got.read())).namelist() == ["Out.txt", "b.txt"]
    status, told = await bert.post(f"/api/jobs/{job_id}/retry")
    assert (status, told["error"]) == (409, "cannot_retry")
    status, told = await carl.post(f"/api/jobs/{job_id}/delete?confirm=1")
    assert (status, told["handled_by"]) == (200, "carl")
    for api in apis:
        assert (await api.get(f"/api/jobs/{job_id}"))[0] == 404


async def test_actions_dialects_and_refusals_are_as_at_home(apis: list[Api]) -> None:
    anna, bert, carl = apis
    job_id = await anna.add(seconds=60.0)
    status, told = await bert.post(f"/api/jobs/{job_id}/priority?value=7")
    assert (status, told["priority"], told["handled_by"]) == (200, 7, "bert")
    assert (await bert.post(f"/api/jobs/{job_id}/priority?value=700"))[1]["error"] == "invalid_field"
    assert (await bert.post(f"/api/jobs/{job_id}/cancel"))[1]["error"] == "confirm_missing"
    status, text = await bert.post(f"/api/jobs/{job_id}/cancel", headers=FARM)
    assert status == 400 and text.startswith("confirm: ")
    url = f"{carl.url}/api/jobs/{job_id}/cancel?confirm=1&redirect=1"
    async with carl.session.post(url, allow_redirects=False) as got:
        assert (got.status, got.headers["Location"]) == (303, "/")
    assert (await bert.get(f"/api/jobs/{job_id}"))[1]["status"] == "cancelled"
    update = {"id": UNKNOWN, "status": "running", "attempt": 1, "percent_complete": 5}
    assert (await bert.post(f"/api/jobs/{job_id}/subjob_update", json=update))[1]["error"] == "stale_attempt"
    assert (await bert.post(f"/api/jobs/{job_id}/subjob_update", json=[update]))[1]["error"] == "invalid_json"
    status, told = await bert.get(f"/v1/videos/{job_id}")
    assert (status, told["error"]["code"]) == (404, "job_not_found")
    start = time.monotonic()
    assert (await bert.get(f"/api/jobs/{UNKNOWN}"))[1]["error"] == "job_not_found"
    status, text = await bert.get(f"/api/jobs/{UNKNOWN}", headers=FARM)
    assert (status, UNKNOWN in text) == (400, True)
    assert (await bert.get(f"/v1/videos/{UNKNOWN}"))[1]["error"]["code"] == "job_not_found"
    assert (await bert.get(f"/files/{UNKNOWN}/out.mp4"))[0] == 404
    assert (await bert.get("/api/jobs/a%2Fb"))[1]["error"] == "invalid_job_id"
    assert (await bert.get("/files/a%2Fb/out.mp4"))[1]["error"] == "invalid_job_id"
    assert time.monotonic() - start < 5


async def test_a_video_is_made_by_one_and_shown_by_another(apis: list[Api]) -> None:
    anna, bert, _ = apis
    small = {"width": 64, "height": 36, "num_frames": 4}
    status, accepted = await anna.post("/api/generate", json={"prompt": "a fox", **small})
    assert (status, accepted["handled_by"]) == (202, "anna")
    assert (await bert.get(f"/v1/videos/{accepted['job_id']}"))[1]["object"] == "video"
    await bert.until(accepted["job_id"])
    async with bert.session.get(f"{bert.url}/files/{accepted['job_id']}/out.mp4") as got:
        assert (got.status, got.content_type, (await got.read())[4:8]) == (200, "video/mp4", b"ftyp")
    status, gone = await bert.request("DELETE", f"/v1/videos/{accepted['job_id']}")
    assert (status, gone["deleted"]) == (200, True)


async def test_a_list_goes_on_where_it_began(nodes: Sequence[Node], apis: list[Api]) -> None:
    anna, bert, carl = apis
    first = await anna.add()
    await anna.until(first)
    _, listed = await anna.get("/api/jobs")
    token = listed["token"]
    async with bert.session.get(f"{bert.url}/api/jobs", headers={"If-None-Match": f'"{token}"'}) as got:
        assert (got.status, got.headers["ETag"]) == (304, f'"{token}"')
    assert (await bert.get("/api/jobs"))[1]["jobs"] == []
    start = time.monotonic()
    assert (await bert.get(f"/api/jobs/long_poll?token={token}&timeout=1"))[0] == 204
    assert time.monotonic() - start > 0.8, "a client with another node's token must not spin"
    waiting = asyncio.create_task(carl.get(f"/api/jobs/long_poll?token={token}&timeout=60&changes_only=1"))
    await asyncio.sleep(0.3)
    second = await anna.add()
    status, news = await waiting
    assert (status, [job["id"] for job in news["jobs"]]) == (200, [second])
    assert news["token"].startswith(f"anna.{nodes[0].zeus.start}.") and news["removed"] == []
    status, page = await bert.get(f"/api/jobs?limit=5&after={second}")
    assert (status, [job["id"] for job in page["jobs"]]) == (200, [first])
    assert (await bert.get(f"/api/jobs?after={UNKNOWN}"))[1]["error"] == "invalid_field"
    status, anew = await bert.get("/api/jobs/long_poll?token=nobody.0123456789ab.7&timeout=60")
    assert (status, anew["token"].partition(".")[0]) == (200, "bert")


async def test_who_goes_away_is_not_waited_for(nodes: Sequence[Node], apis: list[Api]) -> None:
    anna, bert, _ = apis
    fields = {"renderer": "noop", "not_before": "2099-01-01T00:00:00Z"}
    job_id = (await anna.post("/api/add_job", json=fields))[1]["id"]
    got = await bert.session.get(f"{bert.url}/api/jobs/{job_id}/logs?follow=1")
    assert got.status == 200
    token = (await anna.get("/api/jobs"))[1]["token"]
    poll = asyncio.create_task(bert.get(f"/api/jobs/long_poll?token={token}"))
    await asyncio.sleep(0.5)
    before = _connections(nodes[0])
    got.close()
    poll.cancel()
    deadline = time.monotonic() + HANG
    while _connections(nodes[0]) > before - 2:
        assert time.monotonic() < deadline, "the other node is still asked"
        await asyncio.sleep(0.1)


def _connections(node: Node) -> int:
    """How many connections to a node are open."""
    found = psutil.Process().net_connections("tcp")
    return sum(each.status == psutil.CONN_ESTABLISHED and each.laddr.port == node.zeus.address.port for each in found)


async def test_a_large_file_and_a_log_come_through_as_they_are_made(apis: list[Api]) -> None:
    anna, bert, _ = apis
    job_id = await anna.add(hole=32 << 20, content="x")
    await bert.until(job_id)
    async with bert.session.get(f"{bert.url}/api/jobs/{job_id}/download?filename=out.txt") as got:
        assert len(await got.read()) == (32 << 20) + 1
    speaking = await anna.add(tool=("say", "one", "two"), seconds=0.5)
    async with bert.session.get(f"{bert.url}/api/jobs/{speaking}/logs?follow=1") as got:
        assert b"[zeus]" in await got.read()


async def test_what_a_node_asks_makes_no_second_hop(nodes: Sequence[Node], apis: list[Api]) -> None:
    anna, bert, _ = apis
    job_id = await anna.add()
    assert (await bert.get(f"/api/jobs/{job_id}", headers={NODE_HEADER: nodes[0].zeus.nodes.own_id}))[0] == 200
    peer = nodes[0].zeus.nodes.get(nodes[1].zeus.nodes.own_id)
    assert peer is not None
    async with peer.proxy.exchange("GET", f"/api/jobs/{job_id}") as got:
        assert got.status == 404


async def test_the_token_counts_where_the_client_asks(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    """What a client may do is decided by the node that it asks; the other one goes by that node's token."""
    async with farm(*(named(tmp_path, name) for name in ("anna", "bert"))) as (anna, bert):
        job_id = await Api(session, anna.url).add(seconds=60.0)
        secret = add_token(bert.zeus.files.root, "wall", [Scope.READ])
        client = Api(session, bert.url)
        through: dict[str, str] = {"X-Forwarded-For": "192.0.2.7"}
        assert (await client.get(f"/api/jobs/{job_id}", headers=through))[0] == 401
        reader = {**through, "Authorization": f"Bearer {secret}"}
        status, job = await client.get(f"/api/jobs/{job_id}", headers=reader)
        assert (status, job["handled_by"]) == (200, "bert")
        status, told = await client.post(f"/api/jobs/{job_id}/cancel?confirm=1", headers=reader)
        assert (status, told["error"]) == (403, "insufficient_scope")
        stolen = {**reader, "Cookie": "zeus_session=x", "Origin": "http://evil.example"}
        assert (await client.get(f"/api/jobs/{job_id}", headers=stolen))[0] == 403


async def test_a_node_that_is_restarted_is_waited_for(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    config = named(tmp_path, "bert", http={"port": 0})
    async with running_node(named(tmp_path, "anna", network={"patience": HANG})) as anna:
        api = Api(session, anna.url)
        async with running_node(config) as bert:
            await pair(anna, bert)
            await met(anna, bert)
            known, unknown = [await Api(session, bert.url).add() for _ in range(2)]
            assert (await api.get(f"/api/jobs/{known}"))[0] == 200
            port = int(bert.url.rpartition(":")[2])
            token = (await Api(session, bert.url).get("/api/jobs"))[1]["token"]
        waiting = [asyncio.create_task(api.get(f"/api/jobs/{job_id}")) for job_id in (known, unknown, UNKNOWN)]
        # Of a list there is another one to begin anew with.
        status, anew = await api.get(f"/api/jobs/long_poll?token={token}&timeout=60")
        assert (status, anew["token"].partition(".")[0]) == (200, "anna")
        assert not any(task.done() for task in waiting)
        async with running_node(named(tmp_path, "bert", http={"port": port})):
            assert [(await task)[0] for task in waiting] == [200, 200, 404]


async def test_a_node_that_stays_away(
    tmp_path: Path, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_node(named(tmp_path, "anna", network={"patience": 1.0})) as anna:
        api = Api(session, anna.url)
        async with running_node(named(tmp_path, "bert")) as bert:
            await pair(anna, bert)
            await met(anna, bert)
            known, unknown = [await Api(session, bert.url).add() for _ in range(2)]
            assert (await api.get(f"/api/jobs/{known}"))[0] == 200
        for job_id in (known, unknown):
            async with session.get(f"{anna.url}/api/jobs/{job_id}") as got:
                told: dict[str, Any] = await got.json()
                assert (got.status, told["error"], "bert" in told["message"]) == (503, "node_away", True)
                assert int(got.headers["Retry-After"]) > 0
        own = await api.add()
        assert (await api.get(f"/api/jobs/{own}"))[0] == 200
        monkeypatch.setattr(whereabouts, "GONE", 1.0)
        assert (await api.get(f"/api/jobs/{unknown}"))[0] == 404
        assert (await api.get(f"/api/jobs/{known}"))[0] == 503  # it is known to be there
