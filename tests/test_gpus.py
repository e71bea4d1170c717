"""GPUs: which a node may use, and that a job has its own to itself, whatever engine it is of. The driver is a stub."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.conftest import STUBS, Api, config_for, stub_blender
from tests.stubs import record
from zeus.api.app import running_node
from zeus.errors import ConfigError
from zeus.gpus import Usable, environment, usable

GIB = 2**30
HEADER = b"BLENDER-v304REND" + bytes(64)
Pretend = Callable[[int], None]
Start = Callable[..., contextlib.AbstractAsyncContextManager[Api]]


@pytest.fixture
def pretend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pretend:
    """Puts an nvidia-smi on PATH that tells of so many GPUs, each with 8 GiB more than the one before."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def write(count: int) -> None:
        folder = tmp_path / "driver"
        folder.mkdir(exist_ok=True)
        lines = [
            f"{number}, GPU-uuid{number}, Card {number}, {8192 * (number + 1)}, 4096, 7" for number in range(count)
        ]
        tool = folder / "nvidia-smi"
        tool.write_text("#!/bin/sh\n" + "".join(f"echo '{line}'\n" for line in lines))
        tool.chmod(0o755)
        monkeypatch.setenv("PATH", str(folder), prepend=":")

    return write


@pytest.fixture
def start(tmp_path: Path, pretend: Pretend, monkeypatch: pytest.MonkeyPatch, session: aiohttp.ClientSession) -> Start:
    """Starts a node on a machine with so many GPUs, with a stub in Blender's place and stub models."""
    monkeypatch.setenv("STUB_RECORD", str(tmp_path / "record"))
    blender = stub_blender(tmp_path / "stub")

    @contextlib.asynccontextmanager
    async def node(count: int, model: str = "any", **own: Any) -> AsyncIterator[Api]:
        pretend(count)
        config = config_for(
            tmp_path,
            node=own,
            plugins={"folders": [str(STUBS / "plugins"), str(STUBS / "gpu")]},
            generate={"engine": "cardvideo"},
            engines={
                "noop": {"slots": 8},
                "blender": {"path": str(blender), "slots": 4},
                "cardvideo": {"model": model, "slots": 4},
            },
        )
        async with running_node(config) as running:
            yield Api(session, running.url)

    return node


async def render(api: Api, name: str = "scene", **args: Any) -> str:
    """Sends a Blender job; its id."""
    form = aiohttp.FormData()
    form.add_field("json", json.dumps({"args": args}))
    form.add_field("file", HEADER, filename=f"{name}.blend")
    status, job = await api.post("/api/add_job", data=form)
    assert status == 200, job
    return str(job["id"])


async def generate(api: Api, prompt: str = "a fox", **args: Any) -> str:
    status, job = await api.post("/api/add_job", json={"renderer": "cardvideo", "args": {"prompt": prompt, **args}})
    assert status == 200, job
    return str(job["id"])


async def loaded(api: Api) -> dict[str, Any]:
    """What model-status says once nothing is being loaded any more."""
    while (said := (await api.get("/api/model-status"))[1])["building"]:
        await asyncio.sleep(0.02)
    return dict(said)


async def why(api: Api, job_id: str) -> list[str]:
    return list((await api.get(f"/api/jobs/{job_id}/why"))[1]["nodes"][0]["reasons"])


def turns() -> list[tuple[str, str]]:
    return [(entry["who"], entry["what"]) for entry in record.read() if entry["what"] != "load"]


@pytest.mark.parametrize(
    ("wanted", "variable", "expected"),
    [
        ("auto", None, Usable({0: 8 * GIB, 1: 16 * GIB})),
        ("auto", "1", Usable({1: 16 * GIB}, only=True)),
        ("auto", "GPU-uuid0", Usable({0: 8 * GIB}, only=True)),
        ("auto", "", Usable({}, only=True)),
        ("none", None, Usable({}, only=True)),
        ("1", None, Usable({1: 16 * GIB}, only=True)),
    ],
)
async def test_which_gpus_may_be_used(pretend: Pretend, wanted: str, variable: str | None, expected: Usable) -> None:
    pretend(2)
    assert await usable(wanted, {} if variable is None else {"CUDA_VISIBLE_DEVICES": variable}) == expected


async def test_a_gpu_that_is_not_there_stops_the_start(pretend: Pretend) -> None:
    pretend(2)
    with pytest.raises(ConfigError, match=r"node\.gpus: there is no GPU 2 here; there are: 0, 1"):
        await usable("0,2", {})


async def test_gpus_that_no_tool_tells_of_can_be_named(pretend: Pretend) -> None:
    pretend(0)
    assert await usable("0,1", {}) == Usable({0: 0, 1: 0}, only=True)


def test_what_processes_see() -> None:
    assert environment([1])["CUDA_VISIBLE_DEVICES"] == environment([1])["HIP_VISIBLE_DEVICES"] == "1"
    unknown, found, limited = Usable(), Usable({0: 0, 1: 0}), Usable({1: 0}, only=True)
    assert [each.environment(None) for each in (unknown, found)] == [{}, {}], "all that there is"
    assert limited.environment(None) == environment([1])
    assert found.environment(0) == found.worker_environment(0) == environment([0])
    assert unknown.worker_environment(None) == {}, "as it was before anyone looked"
    assert found.worker_environment(None) == limited.worker_environment(None) == environment([])


async def test_blender_and_generations_never_meet_on_one_gpu(start: Start) -> None:
    async with start(1) as api:
        assert (await loaded(api))["ready"]
        ids = [await make(api) for make in (generate, render, generate, generate, render, render, generate)]
        for job_id in ids:
            assert (await api.until(job_id))["status"] == "finished"
        assert (await loaded(api))["ready"]
    entries = [entry for entry in record.read() if entry["what"] != "load"]
    assert {entry["visible"] for entry in record.read()} == {"0"}
    assert [entry["what"] for entry in entries] == ["start", "end"] * len(ids), "one after the other"
    for begin, end in zip(entries[::2], entries[1::2], strict=True):
        assert (begin["who"], begin["pid"]) == (end["who"], end["pid"])
    assert [entry["who"] for entry in entries].count("blender") == 2 * 3
    assert not [entry for entry in entries if entry["alive"]], "the other one's process is gone"


async def test_the_model_stays_loaded_until_blender_wants_the_gpu(start: Start) -> None:
    async with start(1) as api:
        assert (await loaded(api))["message"] == "any is ready"
        for _ in range(2):
            await api.until(await generate(api))
        assert len({entry["pid"] for entry in record.read()}) == 1, "loaded once"
        await api.until(await render(api))
        state = await loaded(api)
        assert state["ready"] and state["message"] == "any is loaded when a job asks for it"
        await api.until(await generate(api))
        assert (await loaded(api))["message"] == "any is ready"


async def test_two_gpus_work_at_once(start: Start) -> None:
    async with start(2) as api:
        await loaded(api)
        ids = [await render(api, "meet"), await generate(api, "meet blender")]  # each waits for the other
        for job_id in ids:
            assert (await api.until(job_id))["status"] == "finished"
    assert len({entry["visible"] for entry in record.read() if entry["what"] == "start"}) == 2


async def test_what_needs_no_gpu_is_not_held_back(start: Start) -> None:
    async with start(1) as api:
        holder = await render(api, "meet")
        await api.until(holder, "running")
        waiting = [await render(api) for _ in range(12)]
        plain = [await api.add(), await render(api, device="CPU"), await generate(api, model="procedural")]
        for job_id in plain:
            assert (await api.until(job_id))["status"] == "finished"
        assert f"GPU 0 is taken by job {holder}." in await why(api, waiting[0])
        assert (await api.get("/api/engines/blender/availability"))[1]["gpus"] == [{"index": 0, "job": holder}]
        [card] = (await api.get("/api/status"))[1]["gpus"]
        assert (card["index"], card["job"], card["name"]) == (0, holder, "Card 0")
        await api.post(f"/api/jobs/{holder}/cancel?confirm=1")
        for job_id in waiting:
            assert (await api.until(job_id))["status"] == "finished"
    pairs = [entry["what"] for entry in record.read() if entry["visible"] == "0" and entry["who"] == "blender"]
    assert pairs == ["start"] + ["start", "end"] * len(waiting), "two of one engine do not meet either"


async def test_a_demand_that_the_node_cannot_meet_is_told(start: Start) -> None:
    async with start(1) as api:
        second, huge = await generate(api, model="second"), await generate(api, model="huge")
        await api.until(await generate(api))
        assert "It has no GPU 1 that jobs may use (node.gpus); there are: 0." in await why(api, second)
        assert "None of its GPUs has the 32768.0 GiB of memory that it needs." in await why(api, huge)


async def test_a_certain_gpu_is_that_one(start: Start) -> None:
    async with start(2, "second") as api:
        await loaded(api)
        await api.until(await generate(api))
    assert {entry["visible"] for entry in record.read()} == {"1"}


async def test_a_model_for_the_processor_sees_no_gpu(start: Start) -> None:
    async with start(1, "plain") as api:
        await loaded(api)
        job_id = await render(api, "meet")
        await api.until(await generate(api))
        assert (await api.until(job_id))["status"] == "finished"
    assert {(entry["who"], entry["visible"]) for entry in record.read()} == {("video", ""), ("blender", "0")}


@pytest.mark.parametrize(("count", "own", "visible"), [(0, {}, None), (1, {"gpus": "none"}, "")])
async def test_without_gpus_all_runs_on_the_processor(
    start: Start, count: int, own: dict[str, str], visible: str | None
) -> None:
    async with start(count, **own) as api:
        await loaded(api)
        ids = [await render(api, "meet"), await generate(api, "meet blender")]
        for job_id in ids:
            assert (await api.until(job_id))["status"] == "finished"
    assert {entry["visible"] for entry in record.read()} == {visible}
