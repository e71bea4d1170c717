"""Lists, pages, changes, events and keys: what clients use to follow many jobs without asking twice."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest

from tests.conftest import HANG, Api, NodeProcess
from zeus.api.app import Node


async def test_pages_filters_and_fields(api: Api) -> None:
    ids = [await api.add() for _ in range(5)]
    for job_id in ids:
        await api.until(job_id)
    held = await api.add(seconds=30)
    _, page = await api.get("/api/jobs?limit=2")
    assert [job["id"] for job in page["jobs"]] == [held, ids[4]]
    seen = []
    after = held
    while page["jobs"]:
        _, page = await api.get(f"/api/jobs?limit=2&after={after}")
        seen += [job["id"] for job in page["jobs"]]
        after = seen[-1]
    assert seen == ids[::-1]
    _, found = await api.get("/api/jobs?status=completed&fields=id,status")
    assert [job["id"] for job in found["jobs"]] == ids[::-1] and set(found["jobs"][0]) == {"id", "status"}
    assert (await api.get("/api/jobs?renderer=ffmpeg"))[1]["jobs"] == []
    status, jobs = await api.get("/api/jobs/status/finished")
    assert status == 200 and [job["id"] for job in jobs] == ids[::-1]
    await api.post(f"/api/jobs/{held}/cancel?confirm=1")


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=x", "limit=-1", "limit=99999999", "status=odd", "after=none", "fields=", "fields=id,odd",
     "limit=nan"],
)  # fmt: skip
async def test_wrong_filters(api: Api, query: str) -> None:
    status, error = await api.get(f"/api/jobs?{query}")
    assert status == 400 and error["message"]


async def test_status_words(api: Api) -> None:
    for word, code in (("finished", "no_matching_jobs"), ("odd", "invalid_status")):
        status, error = await api.get(f"/api/jobs/status/{word}")
        assert (status, error["error"]) == (400, code)


async def test_nothing_new_is_304_and_bodies_are_packed_when_asked(api: Api) -> None:
    for _ in range(5):
        await api.until(await api.add())
    async with api.session.get(f"{api.url}/api/jobs", headers={"Accept-Encoding": "identity"}) as got:
        etag, plain = got.headers["ETag"], await got.read()
        assert json.loads(plain)["token"] == etag.strip('"') and "Content-Encoding" not in got.headers
    async with api.session.get(f"{api.url}/api/jobs", headers={"If-None-Match": etag}) as got:
        assert (got.status, await got.read()) == (304, b"")
    raw = aiohttp.ClientSession(auto_decompress=False)
    async with raw, raw.get(f"{api.url}/api/jobs", headers={"Accept-Encoding": "gzip"}) as got:
        assert got.headers["Content-Encoding"] == "gzip" and gzip.decompress(await got.read()) == plain
    await api.add()
    async with api.session.get(f"{api.url}/api/jobs", headers={"If-None-Match": etag}) as got:
        assert got.status == 200


async def test_only_what_changed(api: Api) -> None:
    old = await api.add()
    await api.until(old)
    _, listed = await api.get("/api/jobs")
    new = await api.add()
    await api.until(new)
    await api.post(f"/api/jobs/{old}/delete?confirm=1")
    path = f"/api/jobs/long_poll?changes_only=1&token={listed['token']}"
    _, changed = await api.get(path)
    assert [job["id"] for job in changed["jobs"]] == [new] and changed["removed"] == [old]
    assert changed["token"] != listed["token"]
    _, listed = await api.get("/api/jobs")
    assert [job["id"] for job in listed["jobs"]] == [new]


async def test_a_list_kept_by_changes_equals_the_list(api: Api) -> None:
    """A client that only ever asks for changes sees what a client that asks for all sees."""
    mine: dict[str, Any] = {}
    _, listed = await api.get("/api/jobs")
    token = listed["token"]
    ids = [await api.add(seconds=0.1 * (number % 3), fail="x" if number % 4 == 0 else None) for number in range(12)]
    for number in range(200):
        if number % 20 == 5:
            await api.post(f"/api/jobs/{ids.pop()}/delete?confirm=1")
        status, changes = await api.get(f"/api/jobs/long_poll?changes_only=1&timeout=1&token={token}")
        if status == 204:
            break
        token = changes["token"]
        for job in changes["jobs"]:
            mine[job["id"]] = job
        for job_id in changes["removed"]:
            mine.pop(job_id, None)
    _, listed = await api.get("/api/jobs")
    assert mine == {job["id"]: job for job in listed["jobs"]}


async def test_the_same_key_makes_one_job(api: Api) -> None:
    body = {"renderer": "noop"}
    headers = {"Idempotency-Key": "order 1"}
    answers = await asyncio.gather(*(api.post("/api/add_job", json=body, headers=headers) for _ in range(20)))
    assert {status for status, _ in answers} == {200} and len({job["id"] for _, job in answers}) == 1
    status, error = await api.post("/api/add_job", json={**body, "name": "other"}, headers=headers)
    assert (status, error["error"]) == (409, "idempotency_conflict")
    assert len((await api.get("/api/jobs"))[1]["jobs"]) == 1
    generated = [await api.post("/api/generate", json={"prompt": "fox", "num_frames": 2, "width": 16, "height": 16},
                                headers={"Idempotency-Key": "g"}) for _ in range(2)]  # fmt: skip
    assert generated[0][1]["job_id"] == generated[1][1]["job_id"]
    for key in ("", "x" * 201):
        assert (await api.post("/api/add_job", json=body, headers={"Idempotency-Key": key}))[0] == 400


async def test_a_key_covers_the_uploaded_file(api: Api) -> None:
    async def send(data: bytes) -> tuple[int, Any]:
        form = aiohttp.FormData()
        form.add_field("json", "{}")
        form.add_field("file", data, filename="a.noop")
        return await api.post("/api/add_job", data=form, headers={"Idempotency-Key": "k"})

    first, again, other = await send(b"one"), await send(b"one"), await send(b"two")
    assert first[1]["id"] == again[1]["id"] and other[0] == 409


async def read_events(response: aiohttp.ClientResponse) -> AsyncIterator[tuple[int, str, Any]]:
    event: dict[str, str] = {}
    async for line in response.content:
        text = line.decode().rstrip("\n")
        if text.startswith(":"):
            continue
        if text:
            name, _, value = text.partition(": ")
            event[name] = value
        elif event:
            yield int(event["id"]), event["event"], json.loads(event["data"])
            event = {}


async def until_event(response: aiohttp.ClientResponse, job_id: str, status: str) -> tuple[list[int], list[str]]:
    ids, statuses = [], []
    async with asyncio.timeout(HANG):
        async for revision, _, data in read_events(response):
            ids.append(revision)
            if data["id"] == job_id:
                statuses.append(data.get("status", "removed"))
                if statuses[-1] == status:
                    return ids, statuses
    raise AssertionError(statuses)


async def test_events_and_their_resumption_over_a_restart(
    spawn_node: Callable[..., NodeProcess], session: aiohttp.ClientSession
) -> None:
    node = spawn_node()
    node.start()
    api = Api(session, node.url)
    async with session.get(f"{node.url}/api/events") as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        job_id = await api.add(seconds=0.2)
        ids, statuses = await until_event(stream, job_id, "finished")
    assert ids == sorted(ids) and statuses[-2:] == ["running", "finished"]
    last = ids[-1]
    missed = await api.add()
    await api.until(missed)
    await api.post(f"/api/jobs/{job_id}/delete?confirm=1")
    await asyncio.to_thread(node.stop)
    node.start()
    async with session.get(f"{node.url}/api/events", headers={"Last-Event-ID": str(last)}) as stream:
        assert (await until_event(stream, missed, "finished"))[0][0] > last
    async with session.get(f"{node.url}/api/events", headers={"Last-Event-ID": str(last)}) as stream:
        await until_event(stream, job_id, "removed")
    for wrong in ("x", "-1", "1.5", "9" * 30):
        async with session.get(f"{node.url}/api/events", headers={"Last-Event-ID": wrong}) as stream:
            assert stream.status == 400
    async with session.get(f"{node.url}/api/events") as stream:
        assert await asyncio.to_thread(node.stop) == 0
        await asyncio.wait_for(stream.read(), HANG)


async def test_the_head_of_a_stream_ends(api: Api) -> None:
    job_id = await api.add(seconds=600)
    for path in ("/api/events", f"/api/jobs/{job_id}/logs?follow=1"):
        for _ in range(2):  # on one connection: the first leaves nothing behind its head
            async with api.session.head(api.url + path) as got:
                assert (got.status, await asyncio.wait_for(got.read(), HANG)) == (200, b"")


async def test_a_log_can_be_followed_and_read_in_ranges(api: Api) -> None:
    job_id = await api.add(tool=["garbage", "sleep:0.5", "garbage"])
    async with api.session.get(f"{api.url}/api/jobs/{job_id}/logs?follow=1") as got:
        text = await asyncio.wait_for(got.text(), HANG)
    assert text.count(" bad\n") == 20
    _, log = await api.get(f"/api/jobs/{job_id}/logs")
    assert log == text and await api.get(f"/api/jobs/{job_id}/logs?attempt=1") == (200, text)
    async with api.session.get(f"{api.url}/api/jobs/{job_id}/logs", headers={"Range": "bytes=0-5"}) as got:
        assert (got.status, await got.text()) == (206, text[:6])
    for attempt in ("2", "-1", "x"):
        assert (await api.get(f"/api/jobs/{job_id}/logs?attempt={attempt}"))[0] == 400


async def test_of_a_log_without_a_byte_any_range_is_right(node: Node, api: Api) -> None:
    job_id = await api.add()
    await api.until(job_id)
    node.zeus.files.log(job_id, 1).write_bytes(b"")
    async with api.session.get(f"{api.url}/api/jobs/{job_id}/logs", headers={"Range": "bytes=-10"}) as got:
        assert (got.status, await got.text()) == (200, "")


async def test_when_too_much_was_removed_clients_begin_anew(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zeus.store.adding.TOMBSTONES", 4)
    monkeypatch.setattr("zeus.store.adding.SLACK", 2)
    kept = await api.add()
    await api.until(kept)
    _, listed = await api.get("/api/jobs")
    for _ in range(8):
        job_id = await api.add()
        await api.until(job_id)
        await api.post(f"/api/jobs/{job_id}/delete?confirm=1")
    _, answer = await api.get(f"/api/jobs/long_poll?changes_only=1&token={listed['token']}")
    assert [job["id"] for job in answer["jobs"]] == [kept] and "removed" not in answer
    _, answer = await api.get(f"/api/jobs/long_poll?changes_only=1&token={answer['token']}&timeout=1")
    assert answer == ""
