"""The engines over HTTP: what they are, whether they run, and what happens to jobs when they do not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.conftest import STUBS, Api, config_for
from zeus.api.app import Node, running_node

LAME = '''
"""An engine that cannot run, and counts how often it is asked."""
import msgspec
from zeus.engine import Engine, Version
class Args(msgspec.Struct, frozen=True):
    """Nothing."""
class Lame(Engine[Args]):
    name = "lame"
    extensions = frozenset({"lame"})
    needs_input = False
    Args = Args
    fit = False
    async def ready(self, tools):
        self.asked = getattr(self, "asked", 0) + 1
        return None if self.fit else "Its leg is broken."
    async def versions(self, tools): raise RuntimeError("no idea")
    async def run(self, context): (context.out / "out.txt").write_text("done")
'''


@pytest.fixture
async def lame(tmp_path: Path) -> AsyncIterator[Node]:
    """A node with an engine that cannot run, and a plugin that cannot be loaded."""
    for name, text in (("lame", LAME), ("torn", "import nothing_of_this_name")):
        (tmp_path / "engines" / name).mkdir(parents=True)
        (tmp_path / "engines" / name / "__init__.py").write_text(text)
    config = config_for(tmp_path, plugins={"folders": [str(tmp_path / "engines"), str(STUBS / "plugins")]})
    async with running_node(config) as made:
        yield made


@pytest.fixture
def lame_api(lame: Node, session: aiohttp.ClientSession) -> Api:
    return Api(session, lame.url)


async def test_the_list_has_versions_and_availability_and_in_full_all_else(api: Api) -> None:
    status, standard = await api.get("/api/engines")
    assert status == 200 and {"ffmpeg", "video", "noop"} <= set(standard)
    assert set(standard["ffmpeg"]) == {"available", "reason", "versions", "downloads"}
    assert standard["ffmpeg"]["available"] is True
    assert standard["noop"]["versions"] == [{"version": "1", "source": "builtin"}]
    _, full = await api.get("/api/engines", params={"response_type": "full"})
    ffmpeg = full["ffmpeg"]
    assert "mov" in ffmpeg["supported_extensions"] and "webm" in ffmpeg["export_formats"]
    assert ffmpeg["system_info"]["version"].startswith("ffmpeg version")
    assert "hardware_encoders" in ffmpeg["system_info"]
    assert "procedural is ready" in full["video"]["system_info"]["procedural"]
    assert full["noop"]["ui_options"] == (await api.get("/api/engines/noop/args"))[1]
    status, error = await api.get("/api/engines?response_type=half")
    assert (status, error["error"]) == (400, "invalid_field")


async def test_one_engine_and_its_availability(node: Node, api: Api) -> None:
    status, view = await api.get("/api/engines/ffmpeg")
    assert status == 200 and view["versions"][0]["version"] and view["reason"] is None
    _, full = await api.get("/api/engines/video?response_type=full")
    assert full["versions"] == [{"version": "procedural", "source": "builtin"}]
    status, seen = await api.get("/api/engines/noop/availability")
    assert status == 200
    assert (seen["available"], seen["hostname"], seen["free_slots"], seen["slots"]) == (True, "test-node", 8, 8)
    assert seen["cpu_count"] >= 1 and seen["engine"] == "noop"
    job_id = await api.add(seconds=30)
    await api.until(job_id, "running")
    assert (await api.get("/api/engines/noop/availability"))[1]["free_slots"] == 7
    await api.post(f"/api/jobs/{job_id}/cancel?confirm=1")


async def test_arguments_have_a_schema_and_engines_a_help_text(api: Api) -> None:
    _, schema = await api.get("/api/engines/ffmpeg/args")
    name = schema["$ref"].rpartition("/")[2]
    crf = schema["$defs"][name]["properties"]["crf"]
    assert "Constant quality" in str(crf) and schema["$defs"][name]["additionalProperties"] is False
    async with api.session.get(f"{api.url}/api/engines/ffmpeg/help") as got:
        assert (got.status, got.content_type) == (200, "text/plain")
        assert "usage: ffmpeg" in await got.text()
    assert "procedural" in (await api.get("/api/engines/video/help"))[1]
    assert "Arguments: seconds, files" in (await api.get("/api/engines/noop/help"))[1]


async def test_unknown_engines_are_404(api: Api) -> None:
    for path in ("nothing", "nothing/availability", "nothing/args", "nothing/help"):
        status, error = await api.get(f"/api/engines/{path}")
        assert (status, error["error"]) == (404, "engine_not_found")
    assert (await api.get("/api/engines/for_filename?filename=a.nothing"))[0] == 404
    assert await api.get("/api/engines/for_filename?filename=A.MOV") == (200, "ffmpeg")


async def test_a_broken_plugin_is_listed_with_its_reason(lame_api: Api) -> None:
    _, listed = await lame_api.get("/api/engines")
    assert listed["torn"]["available"] is False and "nothing_of_this_name" in listed["torn"]["reason"]
    assert listed["lame"] == {"available": False, "reason": "Its leg is broken.", "versions": [], "downloads": []}
    assert "torn" not in (await lame_api.get("/api/engines/names"))[1]
    _, seen = await lame_api.get("/api/engines/torn/availability")
    assert (seen["available"], seen["slots"]) == (False, 0) and "nothing_of_this_name" in seen["reason"]
    status, error = await lame_api.get("/api/engines/torn/args")
    assert status == 404 and "nothing_of_this_name" in error["message"]


async def test_jobs_for_an_engine_that_cannot_run_are_refused_at_the_door(lame: Node, lame_api: Api) -> None:
    status, error = await lame_api.post("/api/add_job", json={"renderer": "lame"})
    assert (status, error["error"]) == (503, "engine_not_ready") and "Its leg is broken." in error["message"]
    async with lame_api.session.post(f"{lame_api.url}/api/add_job", json={"renderer": "lame"}) as got:
        assert int(got.headers["Retry-After"]) > 0
    form = aiohttp.FormData()
    form.add_field("json", "{}")
    form.add_field("file", b"data", filename="a.lame")
    assert (await lame_api.post("/api/add_job", data=form))[0] == 503
    assert (await lame_api.get("/api/jobs"))[1]["jobs"] == []
    assert list(lame.zeus.files.incoming.iterdir()) == []
    status, dry = await lame_api.post("/api/add_job?dry_run=1", json={"renderer": "lame"})
    assert status == 200 and "broken" in dry["nodes"][0]["reasons"][0]
    status, error = await lame_api.post("/api/add_job", json={"renderer": "nothing"})
    assert (status, error["error"]) == (400, "unknown_engine")


@pytest.fixture
def always_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer of an engine is good for a second question. To stand before the node, which asks once it is up."""
    monkeypatch.setattr("zeus.catalog.FRESH", 0.0)


async def test_a_repeated_job_is_answered_though_its_engine_cannot_run_now(
    always_asked: None, lame: Node, lame_api: Api
) -> None:
    engine, headers = lame.zeus.registry.engines["lame"], {"Idempotency-Key": "k"}
    engine.fit = True  # type: ignore[attr-defined]
    first = await lame_api.post("/api/add_job", json={"renderer": "lame"}, headers=headers)
    engine.fit = False  # type: ignore[attr-defined]
    assert (await lame_api.post("/api/add_job", json={"renderer": "lame"}))[0] == 503
    again = await lame_api.post("/api/add_job", json={"renderer": "lame"}, headers=headers)
    assert (first[0], again[0]) == (200, 200) and first[1]["id"] == again[1]["id"]


async def test_an_engine_is_asked_once_for_many(lame: Node, lame_api: Api) -> None:
    await asyncio.gather(*(lame_api.post("/api/add_job", json={"renderer": "lame"}) for _ in range(50)))
    assert lame.zeus.registry.engines["lame"].asked == 1  # type: ignore[attr-defined]


async def test_without_an_ffmpeg_a_job_for_it_is_refused(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    config = config_for(tmp_path, engines={"ffmpeg": {"path": str(tmp_path / "nowhere")}})
    async with running_node(config) as node:
        api = Api(session, node.url)
        form = aiohttp.FormData()
        form.add_field("json", "{}")
        form.add_field("file", b"data", filename="a.mov")
        status, error = await api.post("/api/add_job", data=form)
        assert (status, error["error"]) == (503, "engine_not_ready") and "engines.ffmpeg.path" in error["message"]
        assert (await api.get("/api/engines/ffmpeg?response_type=full"))[1]["available"] is False


async def test_generate_refuses_when_its_engine_cannot_run(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    text = LAME.replace("import Engine,", "import GenerationEngine, ModelState,")
    text = text.replace("Engine[", "GenerationEngine[")
    text = text.replace('"""Nothing."""', "prompt: str").replace('"lame"', '"dumb"')
    text += "    def model_state(self, model=None): return ModelState(True, False, 'ready')\n"
    (tmp_path / "engines" / "dumb").mkdir(parents=True)
    (tmp_path / "engines" / "dumb" / "__init__.py").write_text(text)
    config = config_for(tmp_path, plugins={"folders": [str(tmp_path / "engines")]}, generate={"engine": "dumb"})
    config.engines.pop("noop")
    async with running_node(config) as node:
        status, error = await Api(session, node.url).post("/api/generate", json={"prompt": "a fox"})
        assert (status, error["error"]) == (503, "engine_not_ready")
