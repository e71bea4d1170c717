"""Three nodes behind Caddy with least_conn: clients take them for one, also while one is restarted."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.conftest import HANG, Api, NodeProcess, need
from tests.farm import pair

CADDY = shutil.which("caddy")
NAMES = ("anna", "bert", "carl")
SECRET = "the same token for all nodes behind one balancer"
JOBS, POLLERS = 300, 6
SMALL = {"width": 64, "height": 64, "num_frames": 9}
CADDYFILE = """
{
    admin off
    auto_https off
}
http://:%d {
    bind 127.0.0.1
    reverse_proxy %s {
        lb_policy least_conn
        lb_try_duration 60s
        lb_try_interval 250ms
        fail_duration 2s
        flush_interval -1
        transport http {
            keepalive off
        }
    }
}
"""


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


@pytest.fixture
async def nodes(spawn_node: Callable[..., NodeProcess]) -> Sequence[NodeProcess]:
    made = []
    for name, port in zip(NAMES, free_ports(3), strict=True):
        node = spawn_node(name, node={"name": name, "storage": ""}, http={"port": port},
                          network={"heartbeat": 0.5, "patience": HANG},
                          engines={"video": {"offline": True, "slots": 2}})  # fmt: skip
        storage = node.folder / "storage"
        storage.mkdir()
        (storage / "token").write_text(SECRET)
        node.sections = {**node.sections, "node": {"name": name, "storage": str(storage)}}
        node.start()
        made.append(node)
    async with aiohttp.ClientSession() as session:
        apis = [Api(session, node.url) for node in made]
        for number, api in enumerate(apis):
            for other in apis[number + 1 :]:
                await pair(api, other)
    return made


@pytest.fixture
async def front(nodes: Sequence[NodeProcess], tmp_path: Path) -> AsyncIterator[Front]:
    need(CADDY, "Caddy", "apt install caddy")
    [port] = free_ports(1)
    config = tmp_path / "Caddyfile"
    config.write_text(CADDYFILE % (port, " ".join(node.url.removeprefix("http://") for node in nodes)))
    command = [str(CADDY), "run", "--config", str(config), "--adapter", "caddyfile"]
    with (tmp_path / "caddy.log").open("wb") as log:
        caddy = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log, env={"HOME": str(tmp_path)})
        try:
            headers = {"Authorization": f"Bearer {SECRET}"}
            async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=0)) as session:
                made = Front(session, f"http://127.0.0.1:{port}")
                await made.opened()
                yield made
        finally:
            caddy.terminate()
            await asyncio.wait_for(caddy.wait(), HANG)


class Front:
    """A client of what stands behind the balancer, which counts what it is told."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session = session
        self.url = url
        self.statuses: Counter[int] = Counter()
        self.wrong: list[str] = []
        self.handlers: Counter[str] = Counter()

    async def opened(self) -> None:
        deadline = time.monotonic() + HANG
        while time.monotonic() < deadline:
            with contextlib.suppress(aiohttp.ClientConnectionError):
                async with self.session.get(f"{self.url}/api/heartbeat") as got:
                    if got.status == 200:
                        return
            await asyncio.sleep(0.05)
        raise AssertionError("Caddy does not answer")

    async def ask(self, method: str, path: str, **options: Any) -> Any:
        """The JSON or the bytes of an answer."""
        async with self.session.request(method, self.url + path, **options) as got:
            is_json = got.content_type == "application/json"
            body = await got.json() if is_json else await got.read()
            self.statuses[got.status] += 1
            if got.status == 404 or got.status >= 500:
                self.wrong.append(f"{method} {path}: {got.status} {body!r}")
        if is_json and "handled_by" in body:
            self.handlers[body["handled_by"]] += 1
        return body

    async def make(self, number: int, room: asyncio.Semaphore) -> None:
        """A video, from its prompt to its file."""
        async with room:
            key = {"Idempotency-Key": f"video {number}"}
            made = await self.ask("POST", "/api/generate", json={"prompt": f"fox {number}", **SMALL}, headers=key)
            job: dict[str, Any] = {"status": "queued"}
            while job.get("status") not in ("finished", "failed", "cancelled"):
                await asyncio.sleep(0.5)
                job = await self.ask("GET", f"/api/jobs/{made['job_id']}")
            assert job["status"] == "finished", job
            video = await self.ask("GET", f"/files/{made['job_id']}/out.mp4")
            assert video[4:8] == b"ftyp"

    async def follow(self, ended: asyncio.Event) -> None:
        """Long-poll, as a page does. Each answer must bring something new: else this client would spin."""
        token = ""
        while not ended.is_set():
            params = {"token": token, "changes_only": "1", "timeout": "3"}
            news = await self.ask("GET", "/api/jobs/long_poll", params=params)
            if not news:
                continue
            run, _, revision = token.rpartition(".")
            again, _, now = news["token"].rpartition(".")
            assert again != run or int(now) > int(revision), "an answer without news"
            if run and again == run:
                assert "removed" in news or news["jobs"]
            token = news["token"]


async def test_three_nodes_act_as_one(nodes: Sequence[NodeProcess], front: Front) -> None:
    ended, room = asyncio.Event(), asyncio.Semaphore(60)
    async with asyncio.TaskGroup() as group:
        followers = [group.create_task(front.follow(ended)) for _ in range(POLLERS)]
        videos = [group.create_task(front.make(number, room)) for number in range(JOBS)]
        await asyncio.sleep(4.0)
        assert await asyncio.to_thread(nodes[1].stop) == 0
        await asyncio.to_thread(nodes[1].start)
        await asyncio.gather(*videos)
        ended.set()
        await asyncio.gather(*followers)
    assert front.wrong == []
    assert set(front.handlers) == set(NAMES), front.handlers
    assert set(front.statuses) <= {200, 202, 204}, front.statuses
    lists = [(await front.ask("GET", "/api/jobs?fields=id"))["token"].partition(".")[0] for _ in range(30)]
    assert set(lists) == set(NAMES)
