"""Export formats of generated videos over HTTP: what is made, what it says, how it is fetched, and what is refused."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import av
import pytest
from PIL import Image

from tests.conftest import Api, NodeProcess, config_for
from tests.console import zeus
from zeus.api.app import Node, running_node

ODD = {"prompt": 'a "red" fox 狐', "seed": 7, "width": 65, "height": 37, "num_frames": 6, "fps": 12}
EVEN = {**ODD, "width": 66, "height": 38}


async def job_of(api: Api, form: str, **fields: Any) -> dict[str, Any]:
    said = {**(EVEN if form == "mp4" else ODD), "export_format": form, **fields}
    status, accepted = await api.post("/api/generate", json=said)
    assert status == 202, accepted
    job = await api.until(accepted["job_id"])
    assert job["status"] == "finished", job["error"]
    return job


async def files_of(api: Api, job: dict[str, Any]) -> dict[str, bytes]:
    """What a job made, by name."""
    found = {}
    for name in (await api.get(f"/api/jobs/{job['id']}/files"))[1]:
        async with api.session.get(f"{api.url}/api/jobs/{job['id']}/download", params={"filename": name}) as got:
            assert got.status == 200
            found[name] = await got.read()
    return found


async def test_each_format_is_made_and_says_what_made_it(api: Api) -> None:
    for form, kind in (("gif", "GIF"), ("webp", "WEBP")):
        (data,) = (await files_of(api, await job_of(api, form))).values()
        with Image.open(io.BytesIO(data)) as image:
            assert (image.format, image.size, image.n_frames) == (kind, (65, 37), 6)  # type: ignore[attr-defined]
            assert b"procedural" in image.info["comment" if form == "gif" else "xmp"]
    files = await files_of(api, await job_of(api, "png"))
    assert list(files) == [f"frame_{number:04}.png" for number in range(1, 7)]
    for data in files.values():
        with Image.open(io.BytesIO(data)) as image:
            assert (image.format, image.size) == ("PNG", (65, 37))
            said = json.loads(image.info["Comment"])
    assert (said["prompt"], said["seed"], said["model"]) == (ODD["prompt"], 7, "procedural")
    (data,) = (await files_of(api, await job_of(api, "mp4"))).values()
    with av.open(io.BytesIO(data)) as container:
        assert container.metadata["title"] == ODD["prompt"]
        said = json.loads(container.metadata["comment"])
        assert (said["width"], said["num_frames"], said["fps"]) == (66, 6, 12)
        assert sum(1 for _ in container.decode(video=0)) == 6


async def test_files_say_nothing_where_the_owner_wants_that(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    config = config_for(tmp_path, engines={"noop": {"slots": 8}, "video": {"metadata": False, "crf": 40}})
    async with running_node(config) as node:
        api = Api(session, node.url)
        for form in ("mp4", "gif", "webp", "png"):
            for data in (await files_of(api, await job_of(api, form, prompt="UNSAID"))).values():
                assert b"UNSAID" not in data and b"procedural" not in data
                assert form == "mp4" or not {"comment", "xmp", "Title", "Comment"} & {
                    *Image.open(io.BytesIO(data)).info
                }


async def test_two_nodes_make_the_same_files(
    spawn_node: Callable[..., NodeProcess], session: aiohttp.ClientSession
) -> None:
    hashes = []
    for name in ("one", "two"):
        api = Api(session, spawn_node(name).start())
        made = [await files_of(api, await job_of(api, form)) for form in ("mp4", "gif", "webp", "png")]
        hashes.append({each: hashlib.sha256(data).hexdigest() for files in made for each, data in files.items()})
    assert hashes[0] == hashes[1] and len(hashes[0]) == 9


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"export_format": "avi"}, "export_format"),
        ({"export_format": "mp4"}, "width"),
        ({"width": 66}, "height"),
        ({"export_format": "gif", "width": 8}, "width"),
    ],
)
async def test_what_no_format_can_be_is_refused(api: Api, fields: dict[str, Any], words: str) -> None:
    status, error = await api.post("/api/generate", json={**ODD, **fields})
    assert status == 400 and words in error["message"]


async def test_a_job_without_an_mp4_says_where_its_files_are(api: Api) -> None:
    for form, first, more in (("gif", "out.gif", ""), ("png", "frame_0001.png", " and 5 more")):
        job = await job_of(api, form)
        status, error = await api.get(f"/files/{job['id']}/out.mp4")
        path = f"/api/jobs/{job['id']}/download?filename={first}"
        assert (status, error["error"]) == (404, "output_not_found")
        assert f"it has {first}{more}: {path}" in error["message"]
        assert (await api.session.get(api.url + path)).status == 200
        assert (await api.get(f"/v1/videos/{job['id']}/content"))[0] == 404


async def test_openai_videos_are_always_mp4(api: Api) -> None:
    status, video = await api.post("/v1/videos", json={"prompt": "a fox", "size": "64x36", "seconds": "1"})
    assert status == 200
    await api.until(video["id"], "finished")
    assert (await api.get(f"/api/jobs/{video['id']}/files"))[1] == ["out.mp4"]


async def test_each_format_has_a_thumbnail(api: Api) -> None:
    for form in ("gif", "webp", "png"):
        job = await job_of(api, form)
        async with api.session.get(f"{api.url}/api/jobs/{job['id']}/thumbnail") as got:
            assert (got.status, got.content_type) == (200, "image/jpeg")
            assert Image.open(io.BytesIO(await got.read())).width >= 65


async def test_the_log_says_what_became_of_the_rate(api: Api) -> None:
    for form, fps, note in (("gif", 60, "50 frames a second instead of 60"), ("gif", 12, ""), ("webp", 60, "")):
        job = await job_of(api, form, fps=fps, num_frames=30)
        _, log = await api.get(f"/api/jobs/{job['id']}/logs")
        assert note in log if note else "instead of" not in log


async def test_the_command_line_fetches_any_format(node: Node, tmp_path: Path) -> None:
    small = ("--arg", "width=65", "--arg", "height=37", "--arg", "num_frames=3")
    for form, names in (("gif", ["out.gif"]), ("png", [f"frame_000{number}.png" for number in (1, 2, 3)])):
        folder = tmp_path / f"got {form}"
        options = ("--arg", f"export_format={form}", "--download", str(folder), "--server", node.url)
        done = await zeus("submit", "--prompt", "a fox", *small, *options)
        assert done.code == 0, done
        assert sorted(path.name for path in folder.iterdir()) == names
