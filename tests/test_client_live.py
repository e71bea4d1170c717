"""The client's live parts against a real node: the list kept up to date, events, logs; and steering jobs."""

from __future__ import annotations

import asyncio
import zipfile
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.conftest import HANG, NodeProcess
from tests.test_client import CONTENT, hasty, names_in, server, serving
from zeus import RenderServerProxy
from zeus.peers.client import JobEvent, ServerRefused, ServerUnreachable
from zeus.wire import JobView, SubjobUpdate

__all__ = ["hasty", "server"]
LONG = {"renderer": "noop", "args": {"seconds": 60}}
HOLD: dict[str, Any] = {"renderer": "noop", "not_before": "2040-01-01T00:00:00Z"}


async def until(server: RenderServerProxy, condition: Callable[[dict[str, JobView]], bool]) -> dict[str, JobView]:
    """Wait for the job list to fulfil a condition."""
    async with asyncio.timeout(HANG):
        while not condition(jobs := {job.id: job for job in (await server.get_jobs()).jobs}):
            await asyncio.sleep(0.02)
    return jobs


async def test_the_list_is_kept_up_to_date_without_asking(server: RenderServerProxy) -> None:
    first = await server.create_job(HOLD)
    async with server.updates():
        listed = await server.get_jobs()
        assert [job.id for job in listed.jobs] == [first.id] and await server.get_jobs() is listed
        second = await server.create_job(HOLD)
        await until(server, lambda jobs: second.id in jobs)
        await server.pause_job(first.id)
        await until(server, lambda jobs: jobs[first.id].status == "paused")
        assert [job.id for job in (await server.get_jobs()).jobs] == [second.id, first.id]
        assert [job.id for job in (await server.get_jobs(status="paused")).jobs] == [first.id]
        await server.delete_job(first.id)
        await until(server, lambda jobs: first.id not in jobs)
    third = await server.create_job(HOLD)
    assert [job.id for job in (await server.get_jobs()).jobs] == [third.id, second.id]
    server.start_updates()
    server.start_updates()
    assert len((await server.get_jobs()).jobs) == 2
    await server.stop_updates()


async def test_updates_outlive_a_restart_of_the_server(spawn_node: Callable[..., NodeProcess], hasty: None) -> None:
    node = spawn_node()
    url = await asyncio.to_thread(node.start)
    node.sections = {"http": {"port": int(url.rpartition(":")[2])}}
    async with RenderServerProxy(url) as server, server.updates():
        kept = await server.create_job(HOLD)
        await until(server, lambda jobs: kept.id in jobs)
        await asyncio.to_thread(node.kill)
        async with asyncio.timeout(HANG):
            while server.updates_error is None:
                await asyncio.sleep(0.02)
        assert isinstance(server.updates_error, ServerUnreachable)
        assert [job.id for job in (await server.get_jobs()).jobs] == [kept.id]
        await asyncio.to_thread(node.start)
        async with RenderServerProxy(url) as other:
            fresh = await other.create_job(HOLD)
        assert set(await until(server, lambda jobs: fresh.id in jobs)) == {kept.id, fresh.id}
        assert server.updates_error is None


async def test_updates_tell_a_server_that_is_not_there_or_refuses() -> None:
    async with RenderServerProxy("http://127.0.0.1:9") as server, server.updates():
        with pytest.raises(ServerUnreachable):
            await server.get_jobs()

    async def stranger(request: web.Request) -> web.Response:
        return web.json_response({"error": "unauthorized", "message": "A token, please."}, status=401)

    async with serving(stranger) as server, server.updates():
        for _ in range(2):
            with pytest.raises(ServerRefused, match="A token, please"):
                await server.get_jobs()


async def test_events_tell_each_change_in_order(server: RenderServerProxy) -> None:
    events: list[JobEvent] = []

    async def listen() -> None:
        async with aclosing(server.events()) as stream:
            async for event in stream:
                events.append(event)
                if event.kind == "removed":
                    return

    listening = asyncio.create_task(listen())
    await asyncio.sleep(0.3)
    job = await server.create_job({"renderer": "noop", "name": "ü" * 200})
    await until(server, lambda jobs: jobs[job.id].status == "finished")
    await server.delete_job(job.id)
    await asyncio.wait_for(listening, HANG)
    assert {event.job_id for event in events} == {job.id}
    assert [event.id for event in events] == sorted(event.id for event in events)
    assert "finished" in [event.job.status for event in events if event.job]
    async with aclosing(server.events(last_id=0)) as stream:
        assert (await anext(stream)).id > 0


async def test_events_are_resumed_where_they_broke(hasty: None) -> None:
    asked: list[str | None] = []

    async def breaking(request: web.Request) -> web.StreamResponse:
        if request.path == "/api/jobs":
            return web.json_response({"jobs": [], "token": "n.s.7"})
        asked.append(request.headers.get("Last-Event-ID"))
        if len(asked) == 3:
            return web.json_response({"error": "busy", "message": "Later."}, status=503)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        text = f': hello\n\nid: {len(asked) * 10}\nevent: removed\ndata: {{"id": "a"}}\n\nid: 99\nevent: job\nda'
        for piece in (text[:30], text[30:]):
            await response.write(piece.encode())
            await asyncio.sleep(0.05)
        return response

    async with serving(breaking) as server, aclosing(server.events()) as stream:
        assert [(await anext(stream)).id for _ in range(3)] == [10, 20, 40]
    assert asked == ["7", "10", "20", "20"]


@pytest.mark.parametrize("data", ["{}", "no json"])
async def test_an_event_of_another_program_is_told(data: str) -> None:
    async def other(request: web.Request) -> web.Response:
        return web.Response(text=f"id: 1\nevent: unknown\ndata: x\n\nid: 2\nevent: job\ndata: {data}\n\n")

    async with serving(other) as server, aclosing(server.events(0)) as stream:
        with pytest.raises(ServerRefused, match="not one of Zeus's API"):
            await anext(stream)


async def test_a_key_makes_a_job_once_however_often_it_is_sent(server: RenderServerProxy, tmp_path: Path) -> None:
    file = tmp_path / "a.noop"
    file.write_bytes(CONTENT)
    jobs = [await server.create_job(HOLD, file, key="k1") for _ in range(3)]
    assert len({job.id for job in jobs}) == 1
    with pytest.raises(ServerRefused) as refused:
        await server.create_job({**HOLD, "name": "another"}, file, key="k1")
    assert refused.value.status == 409
    videos = [await server.generate("a fox", key="k2", num_frames=8) for _ in range(2)]
    assert videos[0].job_id == videos[1].job_id


async def test_with_a_key_a_lost_answer_is_asked_for_again(hasty: None, tmp_path: Path) -> None:
    file = tmp_path / "a.noop"
    file.write_bytes(CONTENT[:1000])
    seen: list[tuple[str, bytes]] = []

    async def losing(request: web.Request) -> web.Response:
        seen.append((request.headers["Idempotency-Key"], await request.read()))
        if len(seen) < 3 and request.transport:
            request.transport.abort()
        return web.json_response({"error": "refused", "message": "No."}, status=400)

    async with serving(losing) as server:
        with pytest.raises(ServerRefused):
            await server.create_job({}, file, key="k")
    assert [key for key, _ in seen] == ["k"] * 3 and all(CONTENT[:1000] in body for _, body in seen)


async def test_several_jobs_share_a_file_and_all_are_made_or_none(server: RenderServerProxy, tmp_path: Path) -> None:
    file = tmp_path / "a.noop"
    file.write_bytes(b"x")
    made = await server.create_jobs([{"name": "one"}, {"name": "two"}], file)
    assert [job.name for job in made] == ["one", "two"]
    with pytest.raises(ServerRefused, match="1"):
        await server.create_jobs([{"renderer": "noop"}, {"renderer": "nope"}])
    assert len((await server.get_jobs()).jobs) == 2
    checked = await server.check_job({"renderer": "noop", "args": {"seconds": 1}})
    assert checked.valid and checked.nodes[0].reasons == []
    assert len((await server.get_jobs()).jobs) == 2


async def test_jobs_are_steered(server: RenderServerProxy) -> None:
    job = await server.create_job(HOLD)
    assert (await server.why(job.id)).status == "waiting"
    framed = await server.create_job({"renderer": "noop", "start_frame": 1, "end_frame": 5})
    page = await server.get_job_frames(framed.id, start=3, limit=2)
    assert ([frame.frame for frame in page.frames], page.total) == ([3, 4], 5)
    assert (await server.set_priority(job.id, 80)).priority == 80
    assert (await server.pause_job(job.id)).status == "paused"
    assert (await server.resume_job(job.id)).status in ("waiting", "queued")
    assert (await server.cancel_job(job.id)).status == "cancelled"
    assert (await server.retry_job(job.id)).status in ("waiting", "queued")
    with pytest.raises(ServerRefused) as refused:
        await server.retry_job(job.id)
    assert refused.value.status == 409


async def test_a_subjobs_news_reach_its_parents_node(server: RenderServerProxy) -> None:
    span = {"start_frame": 1, "end_frame": 4}
    children = [{"start_frame": 1, "end_frame": 2}, {"start_frame": 3, "end_frame": 4}]
    parent = await server.create_job({**HOLD, **span, "child_jobs": children})
    child = await server.get_job(parent.children[0].id)
    told = await server.send_subjob_update_notification(parent.id, child)
    assert told.id == parent.id
    late = SubjobUpdate(child.id, "running", child.attempt + 1, 50)
    with pytest.raises(ServerRefused) as refused:
        await server.send_subjob_update_notification(parent.id, late)
    assert (refused.value.status, refused.value.code) == (409, "stale_attempt")


async def test_a_log_is_followed_and_all_files_fetched(server: RenderServerProxy, tmp_path: Path) -> None:
    args = {"seconds": 0.5, "tool": ["write:x"], "files": ["a.txt", "b.txt"]}
    job = await server.create_job({"renderer": "noop", "args": args})
    text = "".join([piece async for piece in server.follow_job_logs(job.id)])
    assert "tool.py write:x" in text and text == await server.get_job_logs(job.id, attempt=1)
    await server.download_all_job_files(job.id, tmp_path / "all.zip")
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        assert archive.testzip() is None and sorted(archive.namelist()) == ["a.txt", "b.txt"]
    assert names_in(tmp_path, "all*") == ["all.zip"]


async def test_engines_presets_and_the_whole_state(server: RenderServerProxy) -> None:
    engines = await server.get_engines()
    assert engines["noop"].available and engines["noop"].versions[0].version == "1" and not engines["noop"].ui_options
    noop = await server.get_engine("noop", full=True)
    assert list(noop.supported_extensions) == ["noop"] and noop.ui_options
    room = await server.get_engine_availability("noop")
    assert (room.available, room.free_slots, room.slots) == (True, 8, 8)
    assert await server.get_engine_args("noop") == noop.ui_options
    assert "seconds" in await server.get_engine_help("noop")
    with pytest.raises(ServerRefused) as refused:
        await server.get_engine("a/b?c")
    assert refused.value.status == 404
    with pytest.raises(ServerRefused) as refused:
        await server.delete_engine_download("blender", "4.5")
    assert refused.value.status in (404, 405)
    job = await server.create_job(HOLD)
    assert [each.id for each in (await server.get_snapshot()).jobs] == [job.id]
    state = await server.get_full_status()
    assert [each.id for each in state.servers["test-node"].jobs] == [job.id]
    assert (await server.get_presets()).problems == []
