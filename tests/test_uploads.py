"""Resumable uploads: they outlive connections and crashes, keep their bytes, and become inputs of jobs."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import io
import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.conftest import HANG, Api, NodeProcess
from tests.ffmpeg_samples import movie
from zeus import uploads as storage
from zeus.api.app import Node
from zeus.files import UPLOAD_LIFE

OCTETS = "application/offset+octet-stream"
UNKNOWN = "00000000-0000-0000-0000-000000000000"
DATA = bytes(range(256)) * 40


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def begin(api: Api, size: int = len(DATA), name: str = "a.noop", **fields: Any) -> dict[str, Any]:
    status, view = await api.post("/api/uploads", json={"name": name, "size": size, **fields})
    assert status == 201, view
    return dict(view)


async def send(api: Api, upload_id: str, offset: int | str, data: Any, kind: str = OCTETS) -> tuple[int, Any]:
    headers = {"Upload-Offset": str(offset), "Content-Type": kind}
    return await api.request("PATCH", f"/api/uploads/{upload_id}", data=data, headers=headers)


async def offset_of(api: Api, upload_id: str) -> int:
    async with api.session.head(f"{api.url}/api/uploads/{upload_id}") as got:
        assert got.status == 200 and int(got.headers["Upload-Length"]) > 0
        return int(got.headers["Upload-Offset"])


async def whole(api: Api, data: bytes = DATA, name: str = "a.noop") -> str:
    """A complete upload."""
    upload_id = str((await begin(api, len(data), name))["id"])
    assert (await send(api, upload_id, 0, data))[0] == 204
    return upload_id


async def test_pieces_become_a_jobs_input(node: Node, api: Api) -> None:
    view = await begin(api, sha256=sha(DATA).upper())
    assert view == {**view, "offset": 0, "size": len(DATA), "sha256": sha(DATA), "complete": False, "name": "a.noop"}
    path = f"/api/uploads/{view['id']}"
    for start in (0, 5000):
        async with api.session.patch(
            api.url + path, data=DATA[start : start + 5000 if start == 0 else None],
            headers={"Upload-Offset": str(start), "Content-Type": "application/octet-stream"},
        ) as got:  # fmt: skip
            assert got.status == 204 and got.headers["Upload-Offset"] == str(5000 if start == 0 else len(DATA))
    assert (await api.get(path))[1]["complete"] is True
    body = {"upload": view["id"], "child_jobs": [{}, {}]}
    for _ in range(2):
        status, job = await api.post("/api/add_job", json=body)
        assert status == 200 and job["name"] == "a.noop", job
        assert (await api.until(job["id"]))["status"] == "finished"
        assert node.zeus.files.input(job["id"], "a.noop").read_bytes() == DATA
    assert (await api.request("DELETE", path))[0] == 204
    assert (await api.get(path))[1]["error"] == "upload_not_found"
    assert node.zeus.files.input(job["id"], "a.noop").read_bytes() == DATA
    assert [*node.zeus.files.incoming.iterdir()] == []


async def test_a_list_names_an_upload_each(node: Node, api: Api) -> None:
    one, two = await whole(api), await whole(api, b"two", "b.noop")
    wanted = [{"upload": one}, {"upload": two}, {"renderer": "noop"}, {"upload": two}]
    status, jobs = await api.post("/api/add_job", json=wanted)
    assert status == 200 and [job["name"] for job in jobs] == ["a.noop", "b.noop", "noop", "b.noop"]
    assert node.zeus.files.input(jobs[0]["id"], "a.noop").read_bytes() == DATA
    assert node.zeus.files.input(jobs[3]["id"], "b.noop").read_bytes() == b"two"
    status, error = await api.post("/api/add_job", json=[*wanted, {"upload": UNKNOWN}])
    assert (status, error["error"]) == (400, "unknown_upload") and "Job 4" in error["message"]


async def test_a_killed_node_goes_on_where_it_was(
    spawn_node: Callable[..., NodeProcess], session: aiohttp.ClientSession
) -> None:
    spawned = spawn_node()
    api = Api(session, await asyncio.to_thread(spawned.start))
    data = os.urandom(1 << 20) * 48
    view = await begin(api, len(data), sha256=sha(data))
    sent = asyncio.Event()

    async def stalling() -> AsyncIterator[bytes]:
        for start in range(0, 40 << 20, 1 << 20):
            yield data[start : start + (1 << 20)]
        sent.set()
        await asyncio.sleep(HANG)

    patch = asyncio.create_task(send(api, view["id"], 0, stalling()))
    async with asyncio.timeout(HANG):
        await sent.wait()
        while await offset_of(api, view["id"]) == 0:
            await asyncio.sleep(0.05)
    spawned.kill()
    with pytest.raises(aiohttp.ClientError):
        await patch
    api = Api(session, await asyncio.to_thread(spawned.start))
    offset = await offset_of(api, view["id"])
    assert storage.CHECKPOINT <= offset <= 40 << 20
    assert (await send(api, view["id"], offset, io.BytesIO(data[offset:])))[0] == 204
    assert (await api.get(f"/api/uploads/{view['id']}"))[1]["complete"] is True


async def test_a_broken_connection_keeps_what_arrived(api: Api) -> None:
    view = await begin(api)

    async def broken() -> AsyncIterator[bytes]:
        yield DATA[:3000]
        await asyncio.sleep(0.3)
        raise RuntimeError("the cable")

    with pytest.raises((RuntimeError, aiohttp.ClientError)):
        await send(api, view["id"], 0, broken())
    async with asyncio.timeout(HANG):
        while await offset_of(api, view["id"]) != 3000:
            await asyncio.sleep(0.02)
    assert (await send(api, view["id"], 3000, DATA[3000:]))[0] == 204


async def test_wrong_offsets_and_sizes(api: Api) -> None:
    upload_id = (await begin(api))["id"]
    assert (await send(api, upload_id, 5, DATA))[1]["error"] == "wrong_offset"
    assert (await send(api, upload_id, 0, DATA + b"x"))[0] == 413

    async def unsized() -> AsyncIterator[bytes]:
        yield DATA
        await asyncio.sleep(0.1)
        yield b"x"

    assert (await send(api, upload_id, 0, unsized()))[1]["error"] == "too_large"
    assert await offset_of(api, upload_id) == 0
    assert (await send(api, upload_id, 0, DATA, "text/plain"))[0] == 415
    assert (await api.request("PATCH", f"/api/uploads/{upload_id}", data=b"x"))[1]["error"] == "missing_field"
    assert (await send(api, upload_id, "-1", DATA))[1]["error"] == "invalid_field"
    assert (await send(api, UNKNOWN, 0, DATA))[1]["error"] == "upload_not_found"
    assert (await send(api, "a_b", 0, DATA))[1]["error"] == "invalid_upload_id"
    assert (await send(api, upload_id, 0, DATA))[0] == 204
    assert (await send(api, upload_id, len(DATA), b""))[0] == 204
    assert (await send(api, upload_id, len(DATA), b"x"))[0] == 413


async def test_the_wrong_content_starts_again(api: Api) -> None:
    upload_id = (await begin(api, sha256=sha(DATA)))["id"]
    status, error = await send(api, upload_id, 0, DATA[::-1])
    assert (status, error["error"]) == (400, "digest_mismatch") and "again at 0" in error["message"]
    assert await offset_of(api, upload_id) == 0
    assert (await send(api, upload_id, 0, DATA))[0] == 204


async def test_content_that_is_there_is_not_sent_again(node: Node, api: Api) -> None:
    first = await whole(api)
    body = {"name": "b.noop", "size": len(DATA), "sha256": sha(DATA)}
    status, view = await api.post("/api/uploads", json=body)
    assert (status, view["complete"], view["offset"]) == (200, True, len(DATA)) and view["id"] != first
    assert (node.zeus.files.incoming / f"{view['id']}.part").stat().st_nlink == 2
    await api.request("DELETE", f"/api/uploads/{first}")
    assert (await api.post("/api/add_job", json={"upload": view["id"]}))[0] == 200
    assert (await api.post("/api/uploads", json={**body, "size": 5}))[1]["complete"] is False


async def test_the_same_key_makes_one_upload(node: Node, api: Api) -> None:
    body, headers = {"name": "a.noop", "size": 5}, {"Idempotency-Key": "k"}
    answers = await asyncio.gather(*(api.post("/api/uploads", json=body, headers=headers) for _ in range(10)))
    assert len({view["id"] for _, view in answers}) == 1
    assert sorted(status for status, _ in answers) == [200] * 9 + [201]
    assert len([*node.zeus.files.incoming.iterdir()]) == 2
    status, error = await api.post("/api/uploads", json={**body, "size": 6}, headers=headers)
    assert (status, error["error"]) == (409, "idempotency_conflict")
    assert len([*node.zeus.files.incoming.iterdir()]) == 2


async def test_a_repeated_job_needs_its_upload_no_more(api: Api) -> None:
    body, headers = {"upload": await whole(api)}, {"Idempotency-Key": "k"}
    first = await api.post("/api/add_job", json=body, headers=headers)
    assert (await api.request("DELETE", f"/api/uploads/{body['upload']}"))[0] == 204
    again = await api.post("/api/add_job", json=body, headers=headers)
    assert (first[0], again[0]) == (200, 200) and first[1]["id"] == again[1]["id"]
    assert (await api.post("/api/add_job", json=body, headers={"Idempotency-Key": "other"}))[0] == 400


async def test_only_one_sends_at_a_time(api: Api) -> None:
    upload_id = (await begin(api))["id"]
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield DATA[:10]
        begun.set()
        await go_on.wait()
        yield DATA[10:]

    first = asyncio.create_task(send(api, upload_id, 0, slow()))
    await begun.wait()
    await asyncio.sleep(0.1)
    assert (await send(api, upload_id, 0, DATA))[1]["error"] == "upload_busy"
    assert (await api.request("DELETE", f"/api/uploads/{upload_id}"))[1]["error"] == "upload_busy"
    go_on.set()
    assert (await first)[0] == 204


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"size": 5}, "invalid_field"),
        ({"name": "a", "size": 0}, "invalid_field"),
        ({"name": "a", "size": 5, "sha256": "x"}, "invalid_field"),
        ({"name": "a", "size": 5, "colour": 1}, "unknown_field"),
        ({"name": "..", "size": 5}, "invalid_filename"),
        ({"name": "a", "size": 1 << 62}, "too_large"),
        ([], "invalid_json"),
    ],
)
async def test_bad_beginnings(node: Node, api: Api, body: Any, code: str) -> None:
    status, error = await api.post("/api/uploads", json=body)
    assert (status, error["error"]) == (413 if code == "too_large" else 400, code)
    assert [*node.zeus.files.incoming.iterdir()] == []


async def test_bad_uses(api: Api) -> None:
    half = (await begin(api))["id"]
    for wanted, code in (
        ({"upload": UNKNOWN}, "unknown_upload"),
        ({"upload": half}, "upload_incomplete"),
        ({"upload": "a/b"}, "invalid_field"),
        ({"upload": await whole(api), "local_path": "/etc/passwd"}, "two_inputs"),
    ):
        status, error = await api.post("/api/add_job", json=wanted)
        assert (status, error["error"]) == (400, code)
    form = aiohttp.FormData()
    form.add_field("json", f'{{"upload": "{await whole(api)}"}}')
    form.add_field("file", b"x", filename="x.noop")
    assert (await api.post("/api/add_job", data=form))[1]["error"] == "two_inputs"
    assert (await api.get(f"/api/uploads/{half}/facts"))[1]["error"] == "upload_incomplete"


async def test_a_full_disk(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    upload_id = (await begin(api))["id"]
    assert (await send(api, upload_id, 0, DATA[:100]))[0] == 204

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space")

    with monkeypatch.context() as patch:
        patch.setattr(storage, "_write_at", full)
        assert (await send(api, upload_id, 100, DATA[100:]))[0] == 507
    assert await offset_of(api, upload_id) == 100
    assert (await api.post("/api/uploads", json={"name": "a", "size": 90 << 30}))[0] in (201, 507)
    assert (await send(api, upload_id, 100, DATA[100:]))[0] == 204


async def test_unused_ones_go_after_a_day(node: Node, api: Api) -> None:
    old, young, files = await whole(api), await whole(api), node.zeus.files
    past = time.time() - UPLOAD_LIFE - 60
    os.utime(files.incoming / f"{old}.json", (past, past))
    (files.incoming / "stray.part").write_bytes(b"x")
    strays = {path.name for path in await asyncio.to_thread(files.strays, set())}
    assert strays == {f"{old}.json", f"{old}.part", "stray.part"}
    await node.zeus.uploads.sweep()
    assert (await api.get(f"/api/uploads/{old}"))[0] == 404 and (await api.get(f"/api/uploads/{young}"))[0] == 200
    assert not (files.incoming / f"{old}.part").exists()


async def test_facts_of_a_movie(node: Node, api: Api, tmp_path: Path) -> None:
    film = await asyncio.to_thread(movie, tmp_path / "film.mp4")
    upload_id = await whole(api, film.read_bytes(), "film.mp4")
    status, facts = await api.get(f"/api/uploads/{upload_id}/facts")
    assert status == 200 and facts["engine"] == "ffmpeg", facts
    assert (facts["start_frame"], facts["end_frame"], facts["fps"], facts["width"]) == (1, 10, 10, 64), facts
    assert facts["duration"] == pytest.approx(1, abs=0.1) and facts["missing_files"] == []
    unknown = await whole(api, name="a.unknown")
    assert (await api.get(f"/api/uploads/{unknown}/facts"))[1]["engine"] is None
    torn = await whole(api, name="torn.mp4")
    status, error = await api.get(f"/api/uploads/{torn}/facts")
    assert (status, error["error"]) == (400, "bad_input") and str(tmp_path) not in error["message"]
    assert not [path for path in node.zeus.files.incoming.iterdir() if path.is_dir()]
