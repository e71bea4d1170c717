"""Presets: Zeus's own work as they stand, the owner's come over them, and a broken file stops nobody."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import msgspec
import pytest
import yaml

from tests.conftest import Api, config_for
from tests.ffmpeg_samples import movie
from zeus.api.app import Node, running_node
from zeus.presets import OWN, Presets
from zeus.registry import Registry, own_folders

NAMES = {name: preset["renderer"] for name, preset in yaml.safe_load(OWN.read_text("utf-8")).items()}
TINY = {"num_frames": 2, "width": 64, "height": 64}


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry.load(own_folders([]), {})


async def test_the_list_is_json_or_the_file_as_it_stands(api: Api) -> None:
    status, listed = await api.get("/api/presets")
    assert status == 200 and listed["problems"] == [] and set(listed["presets"]) == set(NAMES)
    web = listed["presets"]["web-h264"]
    assert (web["renderer"], web["args"]["video_codec"], web["available"]) == ("ffmpeg", "h264", True)
    async with api.session.get(f"{api.url}/api/presets", headers={"Accept": "application/yaml"}) as got:
        assert (got.content_type, await got.text()) == ("application/yaml", OWN.read_text("utf-8"))


@pytest.mark.parametrize("name", NAMES)
async def test_each_of_zeus_own_presets_fits_its_engine(name: str, registry: Registry) -> None:
    known = await Presets(registry, Path("nowhere")).all()
    preset = known.presets[name]
    assert known.problems == [] and preset.description and preset.available
    prompt = {"prompt": "a fox"} if preset.renderer == "video" else {}
    engine = registry.engines[preset.renderer]
    engine.settle(msgspec.convert({**prompt, **preset.args}, engine.Args), None)


@pytest.mark.parametrize("name", [name for name, renderer in NAMES.items() if renderer == "ffmpeg"])
async def test_each_ffmpeg_preset_makes_files(api: Api, name: str, tmp_path: Path) -> None:
    form = aiohttp.FormData()
    form.add_field("json", msgspec.json.encode({"preset": name}).decode())
    form.add_field("file", movie(tmp_path / "in.mp4", frames=4).read_bytes(), filename="in.mp4")
    status, job = await api.post("/api/add_job", data=form)
    assert status == 200, job
    job = await api.until(job["id"])
    assert job["status"] == "finished", job["error"]
    if name == "poster":
        assert job["file_count"] == 1


async def test_a_jobs_own_arguments_win_over_the_presets(api: Api) -> None:
    body = {"preset": "square", "args": {"prompt": "a fox", **TINY}}
    status, job = await api.post("/api/add_job", json=body)
    assert status == 200, job
    assert job["renderer"] == "video" and (job["args"]["num_frames"], job["args"]["fps"]) == (2, 24)
    assert (await api.until(job["id"]))["status"] == "finished"


async def test_presets_that_do_not_fit_are_refused(api: Api) -> None:
    status, error = await api.post("/api/add_job", json={"preset": "nothing"})
    assert (status, error["error"]) == (400, "unknown_preset") and "web-h264" in error["message"]
    status, error = await api.post("/api/add_job", json=[{"renderer": "noop"}, {"preset": "gif", "renderer": "video"}])
    assert (status, error["error"]) == (400, "invalid_field") and "Job 1" in error["message"]
    status, error = await api.post("/api/add_job", json={"preset": "square"})
    assert (status, error["error"]) == (400, "invalid_args") and "prompt" in error["message"]
    assert (await api.get("/api/jobs"))[1]["jobs"] == []


async def test_the_owners_file_comes_over_zeus_own(node: Node, api: Api) -> None:
    theirs = node.zeus.files.root / "presets.yaml"
    theirs.write_text(
        "gif: {renderer: noop, description: mine, args: {files: [mine.txt]}}\n"
        "other: {renderer: absent, args: {samples: 4}}\n"
        "typo: {renderer: noop, args: {sekonds: 4}}\n"
        "torn: {args: {}}\n"
        "'a b': {renderer: noop}\n"
    )
    _, listed = await api.get("/api/presets")
    presets = listed["presets"]
    assert presets["gif"]["renderer"] == "noop" and "web-h264" in presets and "torn" not in presets
    assert (presets["other"]["available"], presets["gif"]["available"]) == (False, True)
    assert len(listed["problems"]) == 3
    for word in ("typo: noop has no argument sekonds", "torn is left out", "a b is left out"):
        assert any(word in problem for problem in listed["problems"])
    _, job = await api.post("/api/add_job", json={"preset": "gif"})
    assert (await api.until(job["id"]))["status"] == "finished"
    assert (await api.get(f"/api/jobs/{job['id']}/files"))[1] == ["mine.txt"]
    status, error = await api.post("/api/add_job", json={"preset": "other"})
    assert (status, error["error"]) == (400, "unknown_engine")
    async with api.session.get(f"{api.url}/api/presets", headers={"Accept": "application/yaml"}) as got:
        assert (got.content_type, await got.read()) == ("application/yaml", theirs.read_bytes())
    theirs.write_text("gif: {renderer: noop, description: newer}\n")
    assert (await api.get("/api/presets"))[1]["presets"]["gif"]["description"] == "newer"


@pytest.mark.parametrize(
    "text", ["a: [", "- a\n- b\n", "a: !!python/object/apply:os.system ['true']\n", "a: \0", "[" * 3000, "'"]
)
async def test_a_broken_file_is_told_and_the_rest_is_listed(
    session: aiohttp.ClientSession, tmp_path: Path, text: str
) -> None:
    (tmp_path / "storage").mkdir()
    (tmp_path / "storage" / "presets.yaml").write_text(text)
    async with running_node(config_for(tmp_path)) as node:
        _, listed = await Api(session, node.url).get("/api/presets")
        assert set(listed["presets"]) == set(NAMES) and len(listed["problems"]) == 1
        assert "presets.yaml" in listed["problems"][0] and str(tmp_path) not in listed["problems"][0]


async def test_a_file_that_cannot_be_read_is_told(node: Node, api: Api) -> None:
    (node.zeus.files.root / "presets.yaml").mkdir()
    listed = (await api.get("/api/presets"))[1]
    assert set(listed["presets"]) == set(NAMES) and "cannot be read" in listed["problems"][0]
    status, error = await api.get("/api/presets", headers={"Accept": "application/yaml"})
    assert (status, error["error"]) == (404, "file_not_found") and str(node.zeus.files.root) not in error["message"]


async def test_bytes_that_are_no_text_are_told_too(node: Node, api: Api) -> None:
    (node.zeus.files.root / "presets.yaml").write_bytes(b"\xff\xfe\xfa: 1")
    listed = (await api.get("/api/presets"))[1]
    assert set(listed["presets"]) == set(NAMES) and len(listed["problems"]) == 1
