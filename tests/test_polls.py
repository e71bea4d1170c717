"""A poll of one job: whatever was answered before it, it shows, however many poll at the same time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.conftest import HANG, Api
from zeus.api.app import Node
from zeus.model import Job

POLLERS = 20


@contextlib.asynccontextmanager
async def polled(api: Api, *job_ids: str) -> AsyncIterator[None]:
    """Many who poll these jobs without a pause, none of whom may ever see a job as it was before."""
    done, seen_by = asyncio.Event(), []

    async def poll(number: int) -> None:
        newest, seen = dict.fromkeys(job_ids, 0), 0
        while not done.is_set():
            job_id = job_ids[(number + seen) % len(job_ids)]
            status, job = await api.get(f"/api/jobs/{job_id}")
            seen += 1
            if status == 404:
                newest[job_id] = 1 << 62
                continue
            assert status == 200 and job["revision"] >= newest[job_id]
            newest[job_id] = job["revision"]
        seen_by.append(seen)

    async with asyncio.TaskGroup() as group:
        for number in range(POLLERS):
            group.create_task(poll(number))
        try:
            yield
        finally:
            done.set()
    assert len(seen_by) == POLLERS and all(seen_by)


async def add_for_later(api: Api) -> str:
    """Add a job that nothing but the test changes; its id."""
    later = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    status, job = await api.post("/api/add_job", json={"renderer": "noop", "not_before": later})
    assert status == 200
    return str(job["id"])


async def test_each_change_is_in_the_next_poll(api: Api) -> None:
    held = await api.add(seconds=600)
    await api.until(held, "running")
    job_id = await add_for_later(api)
    async with polled(api, held, job_id):
        for action, field, value in (
            ("priority?value=70", "priority", 70),
            ("pause", "status", "paused"),
            ("resume", "status", "waiting"),
            ("priority?value=10", "priority", 10),
            ("cancel?confirm=1", "status", "cancelled"),
            ("retry", "status", "waiting"),
        ):
            status, answer = await api.post(f"/api/jobs/{job_id}/{action}")
            assert status == 200 and answer[field] == value
            assert await api.get(f"/api/jobs/{job_id}") == (200, answer)
        status, _ = await api.post(f"/api/jobs/{job_id}/delete?confirm=1")
        assert status == 200 and (await api.get(f"/api/jobs/{job_id}"))[0] == 404
        await api.post(f"/api/jobs/{held}/cancel?confirm=1")
        assert (await api.get(f"/api/jobs/{held}"))[1]["status"] == "cancelled"


async def test_many_changes_at_once_are_each_in_the_next_poll(api: Api) -> None:
    ids = [await add_for_later(api) for _ in range(8)]

    async def change(job_id: str) -> None:
        for value in range(30):
            status, answer = await api.post(f"/api/jobs/{job_id}/priority?value={value}")
            assert (status, answer["priority"]) == (200, value), answer
            assert (await api.get(f"/api/jobs/{job_id}"))[1]["priority"] == value
        await api.post(f"/api/jobs/{job_id}/delete?confirm=1")
        assert (await api.get(f"/api/jobs/{job_id}"))[0] == 404

    async with polled(api, *ids):
        await asyncio.gather(*map(change, ids))


async def test_a_job_s_end_is_in_the_polls_and_its_list_agrees(api: Api) -> None:
    ids = [await api.add(seconds=0.1, fail="x" if number % 2 else None) for number in range(6)]
    async with polled(api, *ids):
        for job_id in ids:
            await api.until(job_id)
    _, listed = await api.get("/api/jobs")
    assert [(await api.get(f"/api/jobs/{job['id']}"))[1] for job in listed["jobs"]] == listed["jobs"]


async def test_progress_is_in_the_next_poll_of_the_job_and_of_its_parent(api: Api) -> None:
    """Progress takes a revision only once a second, and is shown at once."""
    body = {"renderer": "noop", "args": {"seconds": 600}, "start_frame": 1, "end_frame": 10}
    _, parent = await api.post("/api/add_job", json={**body, "child_jobs": [{}]})
    [child] = parent["children"]
    attempt = (await api.until(child["id"], "running"))["attempt"]
    for done in range(1, 10):
        update = {"id": child["id"], "status": "running", "attempt": attempt, "percent_complete": 10 * done}
        status, _ = await api.post(f"/api/jobs/{parent['id']}/subjob_update", json={**update, "completed_frames": done})
        assert status == 200
        for job_id in (child["id"], parent["id"]):
            _, job = await api.get(f"/api/jobs/{job_id}")
            assert (job["percent_complete"], job["completed_frames"]) == (10 * done, done)
    await api.post(f"/api/jobs/{parent['id']}/cancel?confirm=1")
    assert (await api.get(f"/api/jobs/{parent['id']}"))[1]["status"] == "cancelled"


async def test_what_changed_while_it_was_read_is_not_kept(
    node: Node, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id, other = await add_for_later(api), await add_for_later(api)
    read, go_on, get = asyncio.Event(), asyncio.Event(), node.zeus.jobs.get

    async def slow(wanted: str) -> Job:
        job = await get(wanted)
        if wanted == job_id and not read.is_set():
            read.set()
            await go_on.wait()
        return job

    monkeypatch.setattr(node.zeus.jobs, "get", slow)
    first = asyncio.create_task(api.get(f"/api/jobs/{job_id}"))
    await asyncio.wait_for(read.wait(), HANG)
    await api.post(f"/api/jobs/{job_id}/priority?value=77")
    await api.get(f"/api/jobs/{other}")
    go_on.set()
    assert (await first)[0] == 200
    assert (await api.get(f"/api/jobs/{job_id}"))[1]["priority"] == 77


@pytest.mark.parametrize("bound", ["MOST", "LARGEST"])
async def test_jobs_that_are_not_kept_are_polled_alike(api: Api, monkeypatch: pytest.MonkeyPatch, bound: str) -> None:
    monkeypatch.setattr(f"zeus.api.polls.{bound}", 1)
    ids = [await api.add() for _ in range(3)]
    for job_id in ids:
        await api.until(job_id)
    for job_id in ids * 2:
        assert (await api.get(f"/api/jobs/{job_id}"))[1]["id"] == job_id
