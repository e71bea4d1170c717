"""A job's way over HTTP: add, watch, download, cancel, delete, retry."""

from __future__ import annotations

import asyncio
import hashlib
import time

import aiohttp

from tests.conftest import Api
from zeus.api.app import Node


async def test_a_job_runs_and_its_file_comes_back(api: Api) -> None:
    job_id = await api.add(content="hello", files=["A.txt", "b.txt"])
    job = await api.until(job_id)
    assert (job["status"], job["percent_complete"], job["file_count"], job["attempt"]) == ("finished", 100, 2, 1)
    assert (job["node"], job["handled_by"]) == ("test-node", "test-node")
    assert await api.get(f"/api/jobs/{job_id}/files") == (200, ["A.txt", "b.txt"])
    assert await api.get(f"/api/jobs/{job_id}/download", params={"filename": "a.TXT"}) == (200, "hello")


async def test_a_download_has_ranges_a_digest_and_a_safe_disposition(api: Api) -> None:
    job_id = await api.add(content="0123456789", files=["ä b.txt"])
    await api.until(job_id)
    url = f"{api.url}/api/jobs/{job_id}/download"
    async with api.session.get(url, params={"filename": "ä b.txt"}, headers={"Range": "bytes=2-4"}) as got:
        assert (got.status, await got.text()) == (206, "234")
        assert got.headers["Content-Disposition"].startswith('attachment; filename="_ b.txt"')
        assert "%C3%A4" in got.headers["Content-Disposition"]
        digest = hashlib.sha256(b"0123456789").digest()
        assert got.headers["Repr-Digest"] == f"sha-256=:{__import__('base64').b64encode(digest).decode()}:"
    async with api.session.head(url, params={"filename": "ä b.txt"}) as got:
        assert (got.status, got.headers["Content-Length"]) == (200, "10")


async def test_if_range_with_the_etag_of_another_file_sends_all(api: Api) -> None:
    job_id = await api.add(content="0123456789")
    await api.until(job_id)
    url = f"{api.url}/api/jobs/{job_id}/download?filename=out.txt"
    async with api.session.head(url) as got:
        etag = got.headers["ETag"]
    for named, status, text in ((etag, 206, "89"), ('"other"', 200, "0123456789"), ('W/"x"', 200, "0123456789")):
        async with api.session.get(url, headers={"Range": "bytes=8-", "If-Range": named}) as got:
            assert (got.status, await got.text()) == (status, text)


async def test_two_names_that_differ_in_case_need_the_exact_one(api: Api) -> None:
    job_id = await api.add(files=["Same.txt", "same.txt"])
    await api.until(job_id)
    path = f"/api/jobs/{job_id}/download"
    assert (await api.get(path, params={"filename": "same.txt"}))[0] == 200
    status, error = await api.get(path, params={"filename": "SAME.txt"})
    assert (status, error["error"]) == (409, "ambiguous_filename")


async def test_a_compressed_neighbour_is_not_served_in_a_files_place(api: Api) -> None:
    job_id = await api.add(files=["a.txt", "a.txt.gz"], content="plain")
    await api.until(job_id)
    url = f"{api.url}/api/jobs/{job_id}/download?filename=a.txt"
    async with api.session.get(url, headers={"Accept-Encoding": "gzip"}) as got:
        assert (await got.text(), got.headers.get("Content-Encoding")) == ("plain", None)


async def test_long_poll_wakes_on_each_change(api: Api) -> None:
    _, listed = await api.get("/api/jobs")
    waiting = asyncio.create_task(api.get("/api/jobs/long_poll", params={"token": listed["token"]}))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    job_id = await api.add(seconds=0.3)
    status, woken = await waiting
    assert status == 200 and [job["id"] for job in woken["jobs"]] == [job_id]
    seen = [woken["jobs"][0]["status"]]
    while seen[-1] != "finished":
        _, woken = await api.get("/api/jobs/long_poll", params={"token": woken["token"]})
        seen.append(woken["jobs"][0]["status"])
    assert seen[-2:] == ["running", "finished"]


async def test_long_poll_without_a_change_is_204(api: Api) -> None:
    _, listed = await api.get("/api/jobs")
    assert await api.get("/api/jobs/long_poll", params={"token": listed["token"], "timeout": 1}) == (204, "")


async def test_long_poll_with_a_foreign_token_answers_at_once(api: Api) -> None:
    for token in ("", "other.abc.5", "test-node.old.99", listed_with_no_number(await api.get("/api/jobs"))):
        status, body = await api.get("/api/jobs/long_poll", params={"token": token})
        assert status == 200 and body["jobs"] == []


def listed_with_no_number(answer: tuple[int, dict[str, str]]) -> str:
    return answer[1]["token"].rpartition(".")[0] + ".x"


async def test_cancel_of_a_queued_running_and_ended_job(api: Api) -> None:
    running = [await api.add(seconds=30) for _ in range(8)]
    queued = await api.add()
    await api.until(running[0], "running")
    status, job = await api.post(f"/api/jobs/{queued}/cancel?confirm=1")
    assert (status, job["status"]) == (200, "cancelled")
    for job_id in running:
        status, job = await api.post(f"/api/jobs/{job_id}/cancel?confirm=yes")
        assert (status, job["status"]) == (200, "cancelled")
    ended = await api.add()
    await api.until(ended)
    status, job = await api.post(f"/api/jobs/{ended}/cancel?confirm=1")
    assert (status, job["status"]) == (200, "finished")


async def test_cancel_redirects_when_asked(api: Api) -> None:
    job_id = await api.add(seconds=30)
    url = f"{api.url}/api/jobs/{job_id}/cancel?confirm=1&redirect=1"
    async with api.session.post(url, allow_redirects=False) as got:
        assert (got.status, got.headers["Location"]) == (303, "/")


async def test_delete_ends_a_job_and_removes_all_of_it(node: Node, api: Api) -> None:
    job_id = await api.add(seconds=30)
    await api.until(job_id, "running")
    status, _ = await api.post(f"/api/jobs/{job_id}/delete?confirm=1")
    assert status == 200
    assert (await api.get(f"/api/jobs/{job_id}"))[0] == 404
    assert list(node.zeus.files.jobs.iterdir()) == list(node.zeus.files.trash.iterdir()) == []


async def test_a_failing_task_is_tried_again_and_then_fails_with_its_reason(api: Api) -> None:
    job = await api.until(await api.add(fail="no luck"))
    assert (job["status"], job["attempt"]) == ("failed", 3)
    assert job["error"] == {"code": "told_to_fail", "message": "no luck"}
    job = await api.until(await api.add(fail="no use", retry=False))
    assert (job["status"], job["attempt"]) == ("failed", 1)


async def test_max_attempts_of_a_job_count(api: Api) -> None:
    body = {"renderer": "noop", "max_attempts": 2, "args": {"fail": "no"}}
    _, job = await api.post("/api/add_job", json=body)
    assert (await api.until(job["id"]))["attempt"] == 2


async def test_an_engine_without_output_fails(api: Api) -> None:
    job = await api.until(await api.add(files=[]))
    assert (job["status"], job["error"]["code"]) == ("failed", "output_invalid")
    job = await api.until(await api.add(content=""))
    assert (job["status"], job["error"]["code"]) == ("failed", "output_invalid")


async def test_an_output_whose_name_cannot_be_shown_fails(api: Api) -> None:
    job = await api.until(await api.add(files=["a\nb.txt"]))
    assert (job["status"], job["attempt"], job["error"]["code"]) == ("failed", 1, "output_invalid")


async def test_an_engine_that_cancels_itself_has_failed(api: Api) -> None:
    job = await api.until(await api.add(fail="cancel itself"))
    assert (job["status"], job["attempt"]) == ("failed", 3)


async def test_a_cancelled_job_keeps_its_progress(api: Api) -> None:
    job_id = await api.add(seconds=4)
    while (await api.get(f"/api/jobs/{job_id}"))[1]["percent_complete"] == 0:
        await asyncio.sleep(0.05)
    _, job = await api.post(f"/api/jobs/{job_id}/cancel?confirm=1")
    assert job["status"] == "cancelled" and job["percent_complete"] > 0


async def test_hidden_names_are_never_outputs(api: Api) -> None:
    job_id = await api.add(files=[".hidden", "seen.txt"])
    await api.until(job_id)
    assert (await api.get(f"/api/jobs/{job_id}/files"))[1] == ["seen.txt"]
    assert (await api.get(f"/api/jobs/{job_id}/download?filename=.hidden"))[0] == 404


async def test_higher_priority_runs_first_then_age(api: Api) -> None:
    blockers = [await api.add(seconds=0.5) for _ in range(8)]
    ids = {}
    for name, priority in (("low", 10), ("old", 50), ("young", 50), ("high", 90)):
        body = {"renderer": "noop", "name": name, "priority": priority, "args": {"seconds": 0.2}}
        _, job = await api.post("/api/add_job", json=body)
        ids[name] = job["id"]
    for job_id in [*blockers, *ids.values()]:
        await api.until(job_id)
    starts = {name: (await api.get(f"/api/jobs/{job_id}"))[1]["start_time"] for name, job_id in ids.items()}
    assert starts["high"] <= starts["old"] <= starts["young"] <= starts["low"]


async def test_progress_rises_and_reaches_the_job(api: Api) -> None:
    job_id = await api.add(seconds=2.5)
    percents = []
    _, listed = await api.get("/api/jobs")
    while listed["jobs"][0]["status"] in ("queued", "running"):
        percents.append(listed["jobs"][0]["percent_complete"])
        _, listed = await api.get("/api/jobs/long_poll", params={"token": listed["token"]})
    assert percents == sorted(percents) and any(0 < percent < 100 for percent in percents)
    assert (await api.get(f"/api/jobs/{job_id}"))[1]["percent_complete"] == 100


async def test_a_list_is_added_whole_or_not_at_all(api: Api) -> None:
    good = {"renderer": "noop"}
    status, error = await api.post("/api/add_job", json=[good, {"renderer": "nothing"}])
    assert (status, error["error"]) == (400, "unknown_engine") and "Job 1" in error["message"]
    assert (await api.get("/api/jobs"))[1]["jobs"] == []
    status, jobs = await api.post("/api/add_job", json=[good, good])
    assert status == 200 and len({job["id"] for job in jobs}) == 2


async def test_one_upload_serves_a_whole_list(node: Node, api: Api) -> None:
    form = aiohttp.FormData()
    form.add_field("json", '[{"renderer": "noop"}, {}]')
    form.add_field("file", b"data", filename="scene.noop")
    status, jobs = await api.post("/api/add_job", data=form)
    assert status == 200
    assert [job["renderer"] for job in jobs] == ["noop", "noop"]
    for job in jobs:
        assert node.zeus.files.input(job["id"], "scene.noop").read_bytes() == b"data"


async def test_the_log_has_the_tools_output(api: Api) -> None:
    job_id = await api.add(tool=["garbage"])
    await api.until(job_id)
    status, text = await api.get(f"/api/jobs/{job_id}/logs")
    assert status == 200 and "bad" in text and "tool.py garbage" in text


async def test_outputs_of_an_unfinished_job_are_not_there(api: Api) -> None:
    job_id = await api.add(seconds=5)
    await api.until(job_id, "running")
    assert await api.get(f"/api/jobs/{job_id}/files") == (200, [])
    assert (await api.get(f"/files/{job_id}/out.mp4"))[0] == 404
    await api.post(f"/api/jobs/{job_id}/cancel?confirm=1")


async def test_the_node_closes_while_long_polls_wait(node: Node, api: Api) -> None:
    _, listed = await api.get("/api/jobs")
    polls = [asyncio.create_task(api.get("/api/jobs/long_poll", params={"token": listed["token"]})) for _ in range(100)]
    await asyncio.sleep(0.3)
    start = time.monotonic()
    node.zeus.feed.close()
    assert {status for status, _ in await asyncio.gather(*polls)} == {204}
    assert time.monotonic() - start < 10
