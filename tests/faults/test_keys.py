"""Keys under kill -9: however often a POST with an Idempotency-Key is tried, there is one job of it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from tests.conftest import HANG, NodeProcess

TRIES = 5
KEYS_AT_ONCE = 8


class Tries:
    """Clients that try each key several times at once, again and again until they are answered."""

    def __init__(self, node: NodeProcess, session: aiohttp.ClientSession) -> None:
        self.node = node
        self.session = session
        self.later = (datetime.now(UTC) + timedelta(days=1)).isoformat()
        self.answers: dict[int, set[str]] = {}
        self.up = asyncio.Event()
        self.answered = 0
        self.cut = 0

    async def work(self, keys: Iterator[int]) -> None:
        for key in keys:
            ids = await asyncio.gather(*(self._until_answered(key) for _ in range(TRIES)))
            self.answers[key] = set(ids)

    async def reach(self, answered: int, clients: asyncio.Future[Any]) -> bool:
        """Wait until so many tries are answered; False when the clients are done before."""
        deadline = time.monotonic() + HANG
        while self.answered < answered and not clients.done():
            assert time.monotonic() < deadline, "nothing is answered any more"
            await asyncio.sleep(0.001)
        return not clients.done()

    async def kill_the_node(self) -> None:
        """And start it again."""
        self.up.clear()
        await asyncio.to_thread(self.node.kill)
        await asyncio.to_thread(self.node.start)
        self.up.set()

    async def _until_answered(self, key: int) -> str:
        while True:
            try:
                status, job = await self._post(key)
            except (aiohttp.ClientError, ConnectionError):
                self.cut += 1
                await asyncio.sleep(0.01)
                await self.up.wait()
                continue
            assert status == 200, job
            self.answered += 1
            return str(job["id"])

    async def _post(self, key: int) -> tuple[int, Any]:
        """Every second one comes with a file."""
        job = {"renderer": "noop", "name": f"job {key}", "not_before": self.later}
        headers = {"Idempotency-Key": f"key {key}"}
        if key % 2:
            form = aiohttp.FormData()
            form.add_field("json", aiohttp.JsonPayload(job))
            form.add_field("file", f"input {key}".encode(), filename="a.noop")
            sent: dict[str, Any] = {"data": form}
        else:
            sent = {"json": job}
        async with self.session.post(f"{self.node.url}/api/add_job", headers=headers, **sent) as response:
            return response.status, await response.json()


@pytest.mark.parametrize("count", [50, pytest.param(1000, marks=[pytest.mark.long, pytest.mark.timeout(3600)])])
async def test_a_key_makes_one_job_whatever_is_killed(
    count: int, spawn_node: Callable[..., NodeProcess], session: aiohttp.ClientSession
) -> None:
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    dice = random.Random(seed)
    node = spawn_node()
    await asyncio.to_thread(node.start)
    tries, keys = Tries(node, session), iter(range(count))
    tries.up.set()
    clients, kills = asyncio.gather(*(tries.work(keys) for _ in range(KEYS_AT_ONCE))), 0
    while await tries.reach(tries.answered + dice.randint(10, 80), clients):
        await tries.kill_the_node()
        kills += 1
    await clients
    print(f"{kills} kills, {tries.cut} tries cut")
    assert kills >= count * TRIES // 80 - 1 and tries.cut >= kills

    assert sorted(tries.answers) == list(range(count)) and {len(ids) for ids in tries.answers.values()} == {1}
    made = {ids.pop(): key for key, ids in tries.answers.items()}
    async with session.get(f"{node.url}/api/jobs") as got:
        jobs = (await got.json())["jobs"]
    assert len(jobs) == count and {job["id"]: job["name"] for job in jobs} == {
        job_id: f"job {key}" for job_id, key in made.items()
    }
    await tries.kill_the_node()  # the start after it clears what tries that were cut left behind
    storage = node.folder / "storage"
    deadline = time.monotonic() + 30
    while list((storage / "incoming").iterdir()) + list((storage / "trash").iterdir()):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)
    inputs = {path.parents[1].name: path.read_text() for path in storage.glob("jobs/*/input/a.noop")}
    assert inputs == {job_id: f"input {key}" for job_id, key in made.items() if key % 2}
    assert {path.name for path in (storage / "jobs").iterdir()} == set(inputs)
