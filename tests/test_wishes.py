"""Holding jobs up and starting them again: pause, resume, retry, priority, dependencies, start times, and why."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.conftest import Api


async def add(api: Api, **fields: Any) -> dict[str, Any]:
    status, job = await api.post("/api/add_job", json={"renderer": "noop", **fields})
    assert status == 200, job
    return dict(job)


async def test_pause_and_resume_a_running_job(api: Api) -> None:
    job = await add(api, args={"seconds": 0.4})
    await api.until(job["id"], "running")
    status, paused = await api.post(f"/api/jobs/{job['id']}/pause")
    assert (status, paused["status"], paused["error"]) == (200, "paused", None)
    await asyncio.sleep(0.6)
    assert (await api.get(f"/api/jobs/{job['id']}"))[1]["status"] == "paused"
    status, _ = await api.post(f"/api/jobs/{job['id']}/resume")
    assert status == 200
    done = await api.until(job["id"])
    assert (done["status"], done["attempt"]) == ("finished", 2)


async def test_a_pause_does_not_count_as_an_attempt(api: Api) -> None:
    job = await add(api, max_attempts=1, args={"seconds": 0.3})
    for _ in range(3):
        await api.until(job["id"], "running")
        assert (await api.post(f"/api/jobs/{job['id']}/pause"))[1]["status"] == "paused"
        await api.post(f"/api/jobs/{job['id']}/resume")
    assert (await api.until(job["id"]))["status"] == "finished"


async def test_pause_cancel_and_resume_of_what_waits(api: Api) -> None:
    blockers = [await add(api, args={"seconds": 30}) for _ in range(8)]
    job = await add(api)
    assert (await api.post(f"/api/jobs/{job['id']}/pause"))[1]["status"] == "paused"
    assert (await api.post(f"/api/jobs/{job['id']}/cancel?confirm=1"))[1]["status"] == "cancelled"
    for each in blockers:
        await api.post(f"/api/jobs/{each['id']}/cancel?confirm=1")


async def test_what_the_status_forbids_is_409(api: Api) -> None:
    job = await add(api)
    await api.until(job["id"])
    for action, code in (("pause", "cannot_pause"), ("resume", "cannot_resume"), ("retry", "cannot_retry"),
                         ("priority?value=5", "job_ended")):  # fmt: skip
        status, error = await api.post(f"/api/jobs/{job['id']}/{action}")
        assert (status, error["error"]) == (409, code) and "finished" in error["message"]
        status, text = await api.post(f"/api/jobs/{job['id']}/{action}", headers={"X-API-Version": "0.1"})
        assert (status, text) == (409, error["message"])


async def test_retry_after_a_failure_and_after_a_cancel(api: Api) -> None:
    failed = await api.until((await add(api, max_attempts=1, args={"fail": "no"}))["id"])
    status, job = await api.post(f"/api/jobs/{failed['id']}/retry")
    assert status == 200 and job["error"] is None and job["end_time"] is None
    again = await api.until(failed["id"])
    assert (again["status"], again["attempt"]) == ("failed", 2)
    job = await add(api, args={"seconds": 0.3})
    await api.post(f"/api/jobs/{job['id']}/cancel?confirm=1")
    await api.post(f"/api/jobs/{job['id']}/retry")
    assert (await api.until(job["id"]))["status"] == "finished"


async def test_priority_moves_a_job_in_the_line(api: Api) -> None:
    blockers = [await add(api, args={"seconds": 0.6}) for _ in range(8)]
    first, second = await add(api, args={"seconds": 0.2}), await add(api, args={"seconds": 0.2})
    status, job = await api.post(f"/api/jobs/{second['id']}/priority?value=99")
    assert (status, job["priority"]) == (200, 99)
    for each in (*blockers, first, second):
        await api.until(each["id"])
    starts = [(await api.get(f"/api/jobs/{each['id']}"))[1]["start_time"] for each in (first, second)]
    assert starts[1] <= starts[0]
    for value in ("", "x", "-1", "101", "1.5", "nan"):
        assert (await api.post(f"/api/jobs/{first['id']}/priority?value={value}"))[0] == 400
    assert (await api.post(f"/api/jobs/{first['id']}/priority"))[0] == 400


async def test_a_dependency_holds_a_job_back(api: Api) -> None:
    first = await add(api, args={"seconds": 0.4})
    second = await add(api, depends_on=[first["id"]])
    third = await add(api, depends_on=[second["id"], first["id"], first["id"]])
    assert (second["status"], second["depends_on"]) == ("waiting", [first["id"]])
    _, why = await api.get(f"/api/jobs/{third['id']}/why")
    assert first["id"] in " ".join(why["reasons"]) and second["id"] in " ".join(why["reasons"])
    done = [await api.until(each["id"]) for each in (third, second, first)]
    assert [each["status"] for each in done] == ["finished"] * 3
    assert done[2]["end_time"] <= done[1]["start_time"] <= done[1]["end_time"] <= done[0]["start_time"]


@pytest.mark.parametrize("how", ["fail", "cancel", "delete"])
async def test_a_dependency_that_fails_ends_all_that_wait_for_it(api: Api, how: str) -> None:
    first = await add(api, max_attempts=1, args={"seconds": 0.4, "fail": "no" if how == "fail" else None})
    second = await add(api, depends_on=[first["id"]])
    third = await add(api, depends_on=[second["id"]])
    if how != "fail":
        await api.post(f"/api/jobs/{first['id']}/{how}?confirm=1")
    for each in (second, third):
        ended = await api.until(each["id"])
        assert (ended["status"], ended["error"]["code"]) == ("cancelled", "dependency_failed")
    if how == "fail":
        status, error = await api.post("/api/add_job", json={"renderer": "noop", "depends_on": [first["id"]]})
        assert (status, error["error"]) == (400, "dependency_failed")
    if how == "cancel":  # all of it can be started again, in order
        for each in (first, second, third):
            assert (await api.post(f"/api/jobs/{each['id']}/retry"))[0] == 200
        assert (await api.until(third["id"]))["status"] == "finished"


async def test_a_job_waits_for_its_start_time(api: Api) -> None:
    start = datetime.now(UTC) + timedelta(seconds=1)
    job = await add(api, not_before=start.isoformat())
    assert job["status"] == "waiting"
    _, why = await api.get(f"/api/jobs/{job['id']}/why")
    assert "not start before" in why["reasons"][0]
    done = await api.until(job["id"])
    assert done["status"] == "finished" and done["start_time"] >= start.isoformat()[:19]


async def test_why_a_job_is_queued(api: Api) -> None:
    blockers = [await add(api, args={"seconds": 30}) for _ in range(8)]
    for each in blockers:
        await api.until(each["id"], "running")
    await add(api)
    job = await add(api)
    status, why = await api.get(f"/api/jobs/{job['id']}/why")
    assert (status, why["status"], why["reasons"]) == (200, "queued", [])
    (node,) = why["nodes"]
    words = " ".join(node["reasons"])
    assert node["node"] == "test-node"
    assert "jobs.slots" in words and "engines.noop.slots" in words and "1 tasks for noop are before it" in words
    assert "running on test-node" in (await api.get(f"/api/jobs/{blockers[0]['id']}/why"))[1]["reasons"][0]
    for each in blockers:
        await api.post(f"/api/jobs/{each['id']}/cancel?confirm=1")


async def test_a_dry_run_stores_nothing(api: Api) -> None:
    body = {"renderer": "noop", "args": {"seconds": 1}}
    status, dry = await api.post("/api/add_job?dry_run=1", json=body)
    assert status == 200 and dry["valid"] and dry["args"]["seconds"] == 1
    assert dry["nodes"] == [{"node": "test-node", "reasons": []}]
    assert (await api.post("/api/add_job?dry_run=1", json={"renderer": "x"}))[0] == 400
    assert (await api.get("/api/jobs"))[1]["jobs"] == []


async def test_subjobs(api: Api) -> None:
    children = [{"start_frame": 1, "end_frame": 4}, {"start_frame": 5, "end_frame": 8, "args": {"content": "other"}}]
    body = {"start_frame": 1, "end_frame": 8, "args": {"seconds": 0.5}, "child_jobs": children}
    parent = await add(api, **body)
    assert parent["status"] == "waiting_for_subjobs"
    ids = [child["id"] for child in parent["children"]]
    assert [(child["start_frame"], child["end_frame"]) for child in parent["children"]] == [(1, 4), (5, 8)]
    child = (await api.get(f"/api/jobs/{ids[0]}"))[1]
    assert child["parent"] == parent["id"]
    update = {**child, "percent_complete": 40, "completed_frames": 2, "attempt": 99}
    status, error = await api.post(f"/api/jobs/{parent['id']}/subjob_update", json=update)
    assert (status, error["error"]) == (409, "stale_attempt")
    running = await api.until(ids[0], "running")
    status, _ = await api.post(f"/api/jobs/{parent['id']}/subjob_update", json={**running, "percent_complete": 90})
    assert status == 200
    assert (await api.get(f"/api/jobs/{ids[0]}"))[1]["percent_complete"] >= 90
    assert (await api.post(f"/api/jobs/{parent['id']}/subjob_update", json={**running, "id": parent["id"]}))[0] == 404
    done = await api.until(parent["id"])
    assert (done["status"], done["percent_complete"], done["completed_frames"], done["file_count"]) == (
        "finished", 100, 8, 2,
    )  # fmt: skip
    assert await api.get(f"/api/jobs/{parent['id']}/files") == (200, ["out-1.txt", "out-2.txt"])
    texts = {(await api.get(f"/api/jobs/{parent['id']}/download?filename=out-{n}.txt"))[1] for n in (1, 2)}
    assert texts == {"done", "other"}
    await api.post(f"/api/jobs/{parent['id']}/delete?confirm=1")
    assert (await api.get("/api/jobs"))[1]["jobs"] == []


async def test_a_subjob_that_fails_and_a_parent_that_is_tried_again(api: Api) -> None:
    children = [{"args": {"fail": "no"}}, {"args": {}}]
    parent = await add(api, max_attempts=1, child_jobs=children)
    failed = await api.until(parent["id"])
    assert (failed["status"], failed["error"]["code"]) == ("failed", "subjob_failed")
    status, again = await api.post(f"/api/jobs/{parent['id']}/retry")
    assert (status, again["status"]) == (200, "waiting_for_subjobs")
    assert (await api.until(parent["id"]))["status"] == "failed"


async def test_cancel_and_pause_of_a_parent_reach_its_subjobs(api: Api) -> None:
    parent = await add(api, args={"seconds": 0.5}, child_jobs=[{}, {}])
    ids = [child["id"] for child in parent["children"]]
    await api.until(ids[0], "running")
    await api.post(f"/api/jobs/{parent['id']}/pause")
    assert {(await api.get(f"/api/jobs/{each}"))[1]["status"] for each in ids} == {"paused"}
    assert (await api.get(f"/api/jobs/{parent['id']}"))[1]["status"] == "waiting_for_subjobs"
    await api.post(f"/api/jobs/{parent['id']}/resume")
    await api.until(ids[0], "running")
    status, ended = await api.post(f"/api/jobs/{parent['id']}/cancel?confirm=1")
    assert (status, ended["status"]) == (200, "cancelled")
