"""A zip of a project as a job's input: unpacked, its project file found, hostile ones refused without a trace."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import aiohttp
import pytest

from tests.conftest import Api
from zeus.api.app import Node


def zipped(files: dict[str, str]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return made.getvalue()


ONE = zipped({"show/shot.frames": "1-2", "show/textures/wood.txt": "brown", "__MACOSX/shot.frames": "junk"})
TWO = zipped({"show/a.frames": "1-2", "show/b.frames": "5-6"})


async def send(api: Api, data: bytes, query: str = "", name: str = "show.zip", **fields: Any) -> tuple[int, Any]:
    form = aiohttp.FormData()
    form.add_field("json", json.dumps(fields.pop("jobs", fields)))
    form.add_field("file", data, filename=name)
    return await api.post("/api/add_job" + query, data=form)


async def test_the_project_file_is_found_and_its_neighbours_are_there(node: Node, api: Api) -> None:
    status, job = await send(api, ONE)
    assert (status, job["renderer"], job["name"]) == (200, "frames", "shot.frames"), job
    assert (job["start_frame"], job["end_frame"]) == (1, 2)
    await api.until(job["id"], "finished")
    folder = node.zeus.files.input(job["id"], "show")
    assert (folder / "shot.frames").read_text() == "1-2" and (folder / "textures/wood.txt").read_text() == "brown"
    assert list(node.zeus.files.incoming.iterdir()) == []


async def test_of_several_one_must_be_chosen(node: Node, api: Api) -> None:
    status, error = await send(api, TWO)
    assert (status, error["error"]) == (400, "several_project_files")
    assert "show/a.frames" in error["message"] and "show/b.frames" in error["message"]
    status, error = await send(api, TWO, project_file="show/c.frames")
    assert (status, error["error"]) == (400, "unknown_project_file") and "show/b.frames" in error["message"]
    status, dry = await send(api, TWO, "?dry_run=1", project_file="show/b.frames")
    assert (status, dry["start_frame"]) == (200, 5)
    chosen = [{"project_file": "show/b.frames"}, {"project_file": "show/a.frames"}]
    status, jobs = await send(api, TWO, jobs=chosen)
    assert status == 200 and [job["start_frame"] for job in jobs] == [5, 1]
    for job in jobs:
        await api.until(job["id"], "finished")
        assert len([*node.zeus.files.input(job["id"], "show").iterdir()]) == 2
    assert list(node.zeus.files.incoming.iterdir()) == []


@pytest.mark.parametrize(
    ("data", "fields", "code"),
    [
        (zipped({"show/notes.txt": "no project"}), {}, "no_project_file"),
        (zipped({"../x.frames": "1"}), {"renderer": "frames"}, "hostile_archive"),
        (ONE[:-30], {}, "invalid_archive"),
        (b"no zip at all", {}, "invalid_archive"),
        (zipped({"show/shot.frames": "nothing"}), {}, "invalid_input"),
    ],
)
async def test_what_is_wrong_with_an_archive_is_said_and_nothing_is_left(
    node: Node, api: Api, data: bytes, fields: dict[str, Any], code: str
) -> None:
    status, error = await send(api, data, **fields)
    assert (status, error["error"]) == (400, code), error
    assert "/" not in error["message"].replace("show/", "") or code == "hostile_archive"
    assert list(node.zeus.files.incoming.iterdir()) == list(node.zeus.files.jobs.iterdir()) == []


async def test_a_project_file_without_an_archive_is_refused(api: Api) -> None:
    status, error = await send(api, b"1-2", name="a.frames", project_file="a.frames")
    assert (status, error["error"]) == (400, "no_archive")
    status, error = await send(api, ONE, renderer="noop", project_file="a")
    assert (status, error["error"]) == (400, "no_archive")
    status, error = await api.post("/api/add_job", json={"renderer": "noop", "project_file": "a"})
    assert (status, error["error"]) == (400, "no_archive")


async def test_an_uploaded_archive_serves_several_requests(node: Node, api: Api) -> None:
    _, upload = await api.post("/api/uploads", json={"name": "show.zip", "size": len(ONE)})
    headers = {"Upload-Offset": "0", "Content-Type": "application/octet-stream"}
    await api.request("PATCH", f"/api/uploads/{upload['id']}", data=ONE, headers=headers)
    status, facts = await api.get(f"/api/uploads/{upload['id']}/facts")
    assert (status, facts["engine"], facts["end_frame"]) == (200, "frames", 2)
    for _ in range(2):
        status, job = await api.post("/api/add_job", json={"upload": upload["id"]})
        assert (status, job["end_frame"]) == (200, 2)
        await api.until(job["id"], "finished")
    assert [path.suffix for path in sorted(node.zeus.files.incoming.iterdir())] == [".json", ".part"]
    await api.post(f"/api/jobs/{job['id']}/delete?confirm=1")
    assert not node.zeus.files.job(job["id"]).exists()
