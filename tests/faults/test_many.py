"""10,000 jobs: every view of the list agrees with the others, and of 1,000 waiters each hears of a change, once."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import re
import resource
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from tests.conftest import HANG, Api, NodeProcess, need
from zeus.feed import Feed
from zeus.machine import raise_descriptor_limit
from zeus.model import NewJob, Wish
from zeus.store import Store

JOBS = 10_000
WAITERS = 1_000
UNREAD = 100
AT_ONCE = 100
"""Connections opened together: fewer than the node's backlog."""
MOST_GROWTH = 128 << 20
"""Bytes that a node may be larger than at its start, whatever is asked of its list of 9 MB."""
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Answer = tuple[int, dict[str, str], bytes]
"""Status, headers and body."""


class Full:
    """A node of 10,000 jobs: their ids, the newest first, and those of them that are cancelled and paused."""

    def __init__(self, node: NodeProcess, api: Api, jobs: Sequence[NewJob]) -> None:
        self.node = node
        self.api = api
        self.ids = [job.id for job in jobs]
        self.cancelled, self.paused = self.ids[::50], self.ids[1::100]
        self.video = [job.id for job in jobs if job.renderer == "video"]
        self.base = self.resident()

    def resident(self) -> int:
        assert self.node.process is not None
        return int(psutil.Process(self.node.process.pid).memory_info().rss)

    def check_memory(self) -> None:
        grown = self.resident() - self.base
        assert grown < MOST_GROWTH, f"{grown >> 20} MiB more than at the start"

    async def listed(self, query: str = "") -> list[Any]:
        status, found = await self.api.get(f"/api/jobs{query}")
        assert status == 200, found
        return list(found["jobs"])

    async def walk(self, query: str) -> list[Any]:
        """All pages of a list."""
        page = await self.listed(f"?{query}")
        found = list(page)
        while page:
            page = await self.listed(f"?{query}&after={page[-1]['id']}")
            found += page
        return found


@pytest.fixture
async def full(spawn_node: Callable[..., NodeProcess], session: aiohttp.ClientSession) -> AsyncIterator[Full]:
    node = spawn_node()
    jobs = await fill(node.folder / "storage" / "zeus.db")
    await asyncio.to_thread(node.start)
    made = Full(node, Api(session, node.url), jobs)
    yield made
    assert await asyncio.to_thread(node.stop) == 0


async def fill(database: Path) -> list[NewJob]:
    """Store jobs that start tomorrow, some of them cancelled or paused; the newest first."""
    await asyncio.to_thread(database.parent.mkdir, parents=True)
    failures: list[Exception] = []
    store = await Store.open(database, Feed().announce, failures.append)
    jobs = [new_job(number) for number in range(JOBS)]
    await asyncio.gather(*(store.add_jobs([each]) for each in jobs))
    jobs.reverse()
    await asyncio.gather(*(store.end(each.id, Wish.CANCEL) for each in jobs[::50]))
    await asyncio.gather(*(store.end(each.id, Wish.PAUSE) for each in jobs[1::100]))
    await store.close()
    assert failures == []
    return jobs


def new_job(number: int) -> NewJob:
    now = time.time()
    return NewJob(
        id=str(uuid.uuid4()),
        name=f"job {number}",
        renderer="video" if number % 7 == 3 else "noop",
        renderer_version="latest",
        args=b'{"content":"%s"}' % (b"x" * 300),
        created=now,
        not_before=now + 86400,
        start_frame=1,
        end_frame=number + 1,
    )


def ids_of(jobs: Sequence[Any]) -> list[str]:
    return [job["id"] for job in jobs]


async def test_every_view_of_many_jobs_is_the_same(full: Full) -> None:
    whole = await full.listed()
    assert ids_of(whole) == full.ids
    for limit in (997, 5000, JOBS):
        assert await full.walk(f"limit={limit}") == whole
    assert await full.listed(f"?after={full.ids[-5]}") == whole[-4:]
    named = await full.listed("?fields=id,name,total_frames")
    assert named == [{name: job[name] for name in ("id", "name", "total_frames")} for job in whole]
    assert ids_of(await full.walk("renderer=video&limit=150")) == full.video
    cancelled = [job for job in whole if job["status"] == "cancelled"]
    assert ids_of(cancelled) == full.cancelled and await full.walk("status=cancelled&limit=60") == cancelled
    both = [job for job in cancelled if job["renderer"] == "video"]
    assert both and await full.listed("?status=cancelled&renderer=video") == both
    parts = [await full.api.get(f"/api/jobs/status/{word}") for word in ("scheduled", "paused", "cancelled")]
    assert [len(part) for _, part in parts] == [JOBS - JOBS // 50 - JOBS // 100, JOBS // 100, JOBS // 50]
    together = {job["id"]: job for _, part in parts for job in part}
    assert together == {job["id"]: job for job in whole}
    assert (await full.api.get("/api/status"))[1]["job_counts"]["paused"] == len(full.paused)
    full.check_memory()


async def test_the_list_of_many_jobs_costs_little_when_nothing_changed(full: Full) -> None:
    url, session = f"{full.node.url}/api/jobs", full.api.session
    async with session.get(url, headers={"Accept-Encoding": "identity"}) as got:
        etag, plain = got.headers["ETag"], await got.read()
    raw = aiohttp.ClientSession(auto_decompress=False)
    async with raw, raw.get(url, headers={"Accept-Encoding": "gzip"}) as got:
        packed = await got.read()
        assert got.headers["Content-Encoding"] == "gzip" and int(got.headers["Content-Length"]) == len(packed)
    assert gzip.decompress(packed) == plain and len(packed) < len(plain) / 5
    async with session.head(url, headers={"Accept-Encoding": "identity"}) as got:
        assert int(got.headers["Content-Length"]) == len(plain) and await got.read() == b""
    async with session.get(url, headers={"If-None-Match": etag}) as got:
        assert (got.status, await got.read()) == (304, b"")

    status, _ = await full.api.post(f"/api/jobs/{full.ids[5]}/priority?value=7")
    gone, resumed = full.cancelled[3], full.paused[2]
    assert status == (await full.api.post(f"/api/jobs/{gone}/delete?confirm=1"))[0] == 200
    assert (await full.api.post(f"/api/jobs/{resumed}/resume"))[1]["status"] == "waiting"
    token = etag.strip('"')
    _, changes = await full.api.get("/api/jobs/long_poll", params={"token": token, "changes_only": "1"})
    assert ids_of(changes["jobs"]) == [full.ids[5], resumed] and changes["removed"] == [gone]
    changed = {job["id"]: job for job in changes["jobs"]}
    expected = [changed.get(job["id"], job) for job in json.loads(plain)["jobs"] if job["id"] != gone]
    async with session.get(url, headers={"If-None-Match": etag}) as got:
        assert got.status == 200 and (await got.json())["jobs"] == expected
    full.check_memory()


@pytest.mark.parametrize("query", ["", "&changes_only=1"])
async def test_each_of_many_waiters_hears_of_a_change_once(full: Full, query: str) -> None:
    async with parked(full, "gzip", query) as waiters:
        _, changed = await full.api.post(f"/api/jobs/{full.ids[5]}/priority?value=9")
        async with asyncio.timeout(HANG):
            answers = await asyncio.gather(*(answer(reader) for reader, _ in waiters))
        await asyncio.sleep(1)
        assert await unanswered(waiters) == WAITERS  # nobody is told twice
    status, headers, body = answers[0]
    assert status == 200 and {(status, headers["etag"], body) for status, headers, body in answers} == {
        (200, headers["etag"], body)
    }
    found = json.loads(gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body)
    assert changed in found["jobs"] and len(found["jobs"]) == (1 if query else JOBS)
    assert headers["etag"] == f'"{found["token"]}"'
    assert found["token"] == (await full.api.get("/api/jobs"))[1]["token"]
    full.check_memory()


async def test_what_changes_nothing_wakes_nobody(full: Full) -> None:
    async with parked(full, "gzip") as waiters:
        for path, expected in (
            (f"{full.cancelled[0]}/priority?value=9", 409),
            (f"{full.cancelled[0]}/cancel?confirm=1", 200),
            (f"{full.ids[5]}/resume", 409),
            ("nothing/cancel?confirm=1", 404),
        ):
            assert (await full.api.post(f"/api/jobs/{path}"))[0] == expected
        body = {"renderer": "noop", "depends_on": [full.cancelled[0]]}
        assert (await full.api.post("/api/add_job", json=body))[0] == 400
        await asyncio.sleep(1)
        assert await unanswered(waiters) == WAITERS


async def test_waiters_that_do_not_read_cost_little_memory(full: Full) -> None:
    """Uncompressed they are sent 9 MB each, of which the system itself keeps some 5 MB."""
    await full.listed()
    async with parked(full, "identity", count=UNREAD) as waiters:
        before = full.resident()
        await full.api.post(f"/api/jobs/{full.ids[5]}/priority?value=9")
        async with asyncio.timeout(HANG):
            heads = await asyncio.gather(*(reader.readuntil(b"\r\n\r\n") for reader, _ in waiters))
        assert {head[9:12] for head in heads} == {b"200"}
        for _ in range(10):
            assert (await full.api.get("/api/heartbeat"))[0] == 200
            grown = full.resident() - before
            assert grown < 64 << 20, f"{grown >> 20} MiB"
            await asyncio.sleep(0.2)
    assert ids_of(await full.listed()) == full.ids


@contextlib.asynccontextmanager
async def parked(full: Full, encoding: str, query: str = "", count: int = WAITERS) -> AsyncIterator[list[Stream]]:
    """Long polls with the present token, none of which is answered while nothing changes."""
    raise_descriptor_limit()
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    need(files > WAITERS + 512, "1,512 open files a process", "raise the hard limit: ulimit -Hn 4096")
    token = (await full.api.get("/api/jobs"))[1]["token"]
    sent = (
        f"GET /api/jobs/long_poll?timeout=60&token={token}{query} HTTP/1.1\r\n"
        f"Host: localhost\r\nAccept-Encoding: {encoding}\r\n\r\n"
    )
    waiters: list[Stream] = []
    try:
        while len(waiters) < count:
            waiters += await asyncio.gather(*(wait(full.node.url, sent.encode()) for _ in range(AT_ONCE)))
        await asyncio.sleep(1)
        assert await unanswered(waiters) == count
        yield waiters
    finally:
        for _, writer in waiters:
            writer.transport.abort()
        await asyncio.sleep(0)


async def wait(url: str, sent: bytes) -> Stream:
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(sent)
    return reader, writer


async def answer(reader: asyncio.StreamReader) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    headers = {name.lower(): value for name, value in re.findall(r"^([\w-]+): (.*)\r$", head, re.MULTILINE)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return int(head[9:12]), headers, body


async def unanswered(waiters: Sequence[Stream]) -> int:
    """How many connections are open with nothing to read from them."""

    async def is_silent(reader: asyncio.StreamReader) -> bool:
        try:
            async with asyncio.timeout(0.5):
                await reader.readexactly(1)
        except TimeoutError:
            return True
        except asyncio.IncompleteReadError:
            return False
        return False

    return sum(await asyncio.gather(*(is_silent(reader) for reader, _ in waiters)))
