"""Models of a node over HTTP: pulled from a hub, loaded, used, damaged, removed and chosen."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from tests.conftest import HANG, Api, NodeProcess, config_for, need
from tests.console import zeus
from tests.hub import Hub, serving
from tests.real.conftest import LIMIT
from tests.real.test_diffusion import TINY, make, ready
from zeus.api.app import running_node
from zeus.marks import VARIABLE

LTX, WAN = "someone/tiny-ltx", "someone/tiny-wan"
MODELS = {
    "tiny": {"repository": LTX, **TINY},
    "other": {"repository": WAN, **TINY},
}
WEIGHTS = "transformer/diffusion_pytorch_model.safetensors"

pytestmark = pytest.mark.timeout(LIMIT)


@pytest.fixture
async def hub(made: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Hub]:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    async with serving() as serves:
        serves.publish_folder(LTX, made / "ltx")
        serves.publish_folder(WAN, made / "wan")
        yield serves


Start = Callable[..., contextlib.AbstractAsyncContextManager[Api]]


def sections(hub: Hub, models: dict[str, Any] | None = None, **video: Any) -> dict[str, Any]:
    return {"engines": {"noop": {}, "video": {"hub": hub.url, **video}}, "models": MODELS if models is None else models}


@pytest.fixture
def start(hub: Hub, tmp_path: Path, session: aiohttp.ClientSession) -> Start:
    """Starts a node whose hub is this one."""

    @contextlib.asynccontextmanager
    async def node(models: dict[str, Any] | None = None, **video: Any) -> AsyncIterator[Api]:
        async with running_node(config_for(tmp_path, **sections(hub, models, **video))) as running:
            yield Api(session, running.url)

    return node


async def model(api: Api, name: str = "tiny") -> dict[str, Any]:
    _, found = await api.get("/api/models")
    return next(each for each in found["models"] if each["name"] == name)


async def until(api: Api, *states: str, name: str = "tiny") -> dict[str, Any]:
    """Wait for a model to reach one of these states."""
    deadline = time.monotonic() + LIMIT
    while (found := await model(api, name))["state"] not in states:
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.02)
    return found


async def tell(api: Api, action: str, name: str = "tiny") -> tuple[int, Any]:
    return await api.post(f"/api/models/{name}/{action}")


async def refused(api: Api, action: str, name: str = "tiny") -> tuple[int, str]:
    status, error = await tell(api, action, name)
    return status, error["error"]


async def test_the_default_model_comes_by_itself(start: Start, hub: Hub) -> None:
    hub.gate.clear()
    async with start(model="tiny") as api:
        _, status = await api.get("/api/model-status")
        assert (status["ready"], status["building"]) == (False, True)
        coming = await until_half(api)
        _, status = await api.get("/api/model-status")
        assert status["building"] and f"pulling tiny: {percent(coming)}% of " in status["message"]
        assert (coming["is_default"], coming["source"], coming["repository"]) == (True, "synced", LTX)
        code, error = await api.post("/api/generate", json={"prompt": "too early"})
        assert (code, error["error"]) == (503, "model_not_ready")
        hub.gate.set()
        said = await ready(api)
        assert said[-1] == "tiny is ready" and any("loading tiny" in each for each in said)
        await make(api)
        here = await model(api)
        (commit,) = hub.repositories[LTX]
        assert (here["state"], here["revision"], here["done"]) == ("ready", commit, here["size"])
    hub.asked.clear()
    async with start(model="tiny", offline=True) as api:
        assert (await ready(api))[-1] == "tiny is ready"
        await make(api)
    assert not hub.asked, "what is here is not asked for again"


def percent(found: dict[str, Any]) -> int:
    return int(found["done"] * 100 // found["size"])


async def until_half(api: Api, name: str = "tiny") -> dict[str, Any]:
    """Wait until some of the weights have come and no more does."""
    last, since = None, time.monotonic()
    deadline = since + LIMIT
    while time.monotonic() < since + 1 or not last:
        found = await until(api, "pulling", name=name)
        if found["done"] != last:
            last, since = found["done"], time.monotonic()
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.05)
    return found


async def test_another_model_is_pulled_when_it_is_asked_for(start: Start) -> None:
    async with start() as api:
        found = await model(api, "other")
        assert (found["state"], found["done"]) == ("absent", None) and "zeus models pull other" in found["message"]
        status, error = await api.post("/api/generate", json={"prompt": "x", "model": "other"})
        assert (status, error["error"]) == (503, "model_not_ready") and "zeus models pull other" in error["message"]
        await make(api, num_frames=9, width=64, height=64)  # by the default model, all the while
        status, view = await tell(api, "pull", "other")
        assert (status, view["state"], view["name"]) == (202, "pulling", "other")
        assert (await tell(api, "pull", "other"))[0] == 202
        here = await until(api, "here", "fault", name="other")
        assert here["message"] == "other is loaded when a job asks for it"
        await make(api, model="other")
        assert (await model(api, "other"))["state"] == "ready"
        assert (await tell(api, "pull", "other"))[1]["state"] == "ready"


async def test_a_worker_that_is_killed_goes_on(start: Start, hub: Hub) -> None:
    hub.gate.clear()
    async with start() as api:
        await tell(api, "pull")
        half = await until_half(api)
        (worker,) = pulling_processes()
        os.kill(worker, signal.SIGKILL)
        while worker in pulling_processes():
            await asyncio.sleep(0.02)
        hub.gate.set()
        here = await until(api, "here", "fault")
        assert here["state"] == "here" and here["done"] == here["size"] > half["done"]
        assert any(asked for _, asked in hub.asked), "the rest was asked for"
        assert not pulling_processes()


def pulling_processes() -> list[int]:
    """The processes of calls apart."""
    found = []
    for each in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            found += [each.pid] if ":apart:" in each.environ().get(VARIABLE, "") else []
    return found


async def test_a_node_that_is_killed_goes_on(
    hub: Hub, spawn_node: Callable[..., NodeProcess], session: aiohttp.ClientSession
) -> None:
    hub.gate.clear()
    node = spawn_node(**sections(hub, model="tiny"))
    api = Api(session, node.start())
    await until_half(api)
    node.kill()
    hub.gate.set()
    hub.asked.clear()
    api.url = node.start()
    assert (await ready(api))[-1] == "tiny is ready"
    assert any(asked for _, asked in hub.asked), "the rest was asked for"
    await make(api)
    assert node.stop() == 0


async def test_a_stop_ends_a_pull_at_once(start: Start, hub: Hub) -> None:
    hub.gate.clear()
    async with start() as api:
        await tell(api, "pull")
        await until_half(api)
        begun = time.monotonic()
    assert time.monotonic() - begun < HANG / 2 and not pulling_processes()


async def test_bytes_that_are_not_those_that_were_published(start: Start, hub: Hub) -> None:
    (files,) = hub.repositories[LTX].values()
    hub.wrong[WEIGHTS] = files[WEIGHTS][:-1] + b"?"
    async with start(model="tiny") as api:
        said = await ready(api)
        assert f"tiny could not be pulled: {WEIGHTS} is not as it was published" in said[-1]
        status, error = await api.post("/api/generate", json={"prompt": "x"})
        assert (status, error["error"]) == (503, "model_not_ready") and WEIGHTS in error["message"]
        hub.wrong.clear()
        await tell(api, "pull")
        assert (await ready(api))[-1] == "tiny is ready"


async def test_weights_that_are_cut_off_on_the_disk(start: Start, hub: Hub, tmp_path: Path) -> None:
    async with start(model="tiny") as api:
        await ready(api)
    (commit,) = hub.repositories[LTX]
    cut(tmp_path / "storage/models/tiny" / commit / WEIGHTS)
    async with start(model="tiny") as api:
        assert "is cut off: 100 bytes are missing" in (await ready(api))[-1]
        assert (await model(api))["state"] == "fault"
        await tell(api, "pull")
        assert (await ready(api))[-1] == "tiny is ready"
        await make(api)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(("status", "words"), [(403, "answered 403"), (401, "HF_TOKEN"), (500, "answered 500")])
async def test_a_hub_that_refuses(start: Start, hub: Hub, status: int, words: str) -> None:
    hub.statuses["/revision/main"] = status
    async with start(model="tiny") as api:
        assert words in (await ready(api))[-1]
        assert (await model(api))["state"] == "fault"
        hub.statuses.clear()
        await tell(api, "pull")
        await until(api, "here", "loading", "ready")


async def test_a_hub_that_cannot_be_reached(start: Start, hub: Hub) -> None:
    hub.url = "http://127.0.0.1:9"
    async with start(model="tiny") as api:
        assert "someone/tiny-ltx at 127.0.0.1 cannot be read" in (await ready(api))[-1]


async def test_a_disk_that_is_too_small(start: Start, hub: Hub) -> None:
    hub.sizes[WEIGHTS] = 10**18
    async with start(model="tiny") as api:
        assert "The storage folder's disk is too small" in (await ready(api))[-1]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk for the storage with little more room than what has to stay free."""
    need(os.geteuid() == 0, "the right to mount", "run the tests as root, or in a container of your own")
    storage = tmp_path / "storage"
    storage.mkdir()
    argv = ["mount", "-t", "tmpfs", "-o", "size=1100m", "tmpfs", str(storage)]
    mounted = subprocess.run(argv, capture_output=True, text=True, check=False)
    need(mounted.returncode == 0, "tmpfs", f"mount failed: {mounted.stderr}")
    yield storage
    subprocess.run(["umount", "-l", str(storage)], check=True)


async def test_a_disk_that_fills_up_while_weights_come(small_disk: Path, start: Start, hub: Hub) -> None:
    hub.gate.clear()
    async with start(model="tiny") as api:
        await until_half(api)
        ballast = small_disk / "ballast"
        await asyncio.to_thread(fill, ballast)
        hub.gate.set()
        said = (await ready(api))[-1]
        assert "disk is full" in said and "have come and are kept" in said
        assert (await api.get("/api/jobs"))[0] == 200
        ballast.unlink()
        assert (await tell(api, "pull"))[0] == 202
        assert (await ready(api))[-1] == "tiny is ready"
        await make(api)


def fill(ballast: Path) -> None:
    """Leave no byte of a disk free."""
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096):
            with contextlib.suppress(OSError):
                while file.write(b"\0" * size):
                    pass


async def test_a_snapshot_of_pickles(start: Start, hub: Hub) -> None:
    (files,) = hub.repositories[LTX].values()
    spoiled = {path.replace(WEIGHTS, WEIGHTS.replace(".safetensors", ".bin")): data for path, data in files.items()}
    hub.publish(LTX, spoiled)
    async with start(model="tiny") as api:
        assert "only as the pickle transformer/diffusion_pytorch_model.bin" in (await ready(api))[-1]


async def test_a_node_that_is_offline(start: Start, hub: Hub) -> None:
    async with start(model="tiny", offline=True) as api:
        _, status = await api.get("/api/model-status")
        assert (status["ready"], status["building"]) == (False, False)
        assert "engines.video.offline is set" in status["message"]
        assert await refused(api, "pull") == (409, "cannot_pull")
        assert not hub.asked


async def test_remove(start: Start, hub: Hub, tmp_path: Path) -> None:
    hub.gate.clear()
    async with start(model="tiny") as api:
        await until_half(api)
        status, view = await tell(api, "remove")
        assert (status, view["state"], view["done"]) == (200, "absent", None), "its coming is ended"
        assert not weights_in(tmp_path) and not pulling_processes()
        hub.gate.set()
        await tell(api, "pull")
        assert (await ready(api))[-1] == "tiny is ready"
        _, accepted = await api.post("/api/generate", json={"prompt": "x", "num_inference_steps": 1000})
        await api.until(accepted["job_id"], "running")
        await until_used(api, accepted["job_id"])
        assert await refused(api, "remove") == (409, "model_in_use")
        await api.post(f"/api/jobs/{accepted['job_id']}/cancel?confirm=1")
        assert (await tell(api, "remove"))[1]["state"] == "absent"
        assert not weights_in(tmp_path)
        assert (await tell(api, "remove"))[0] == 200, "once more is no error"
        assert await refused(api, "remove", "procedural") == (400, "not_managed")
        for action in ("pull", "remove", "use"):
            assert await refused(api, action, "nothing") == (404, "model_not_found")


async def until_used(api: Api, job_id: str) -> None:
    while (await api.get(f"/api/jobs/{job_id}"))[1]["percent_complete"] < 1:
        await asyncio.sleep(0.02)


def weights_in(folder: Path) -> list[Path]:
    return [path for path in (folder / "storage").rglob("*") if "safetensors" in path.name]


async def test_a_folder_of_the_owner_is_left_alone(start: Start, made: Path) -> None:
    folder = {"tiny": {"folder": str(made / "ltx"), **TINY}}
    async with start(folder, model="procedural") as api:
        view = (await tell(api, "pull"))[1]
        assert (view["source"], view["state"], view["revision"]) == ("configured", "here", None)
        assert await refused(api, "remove") == (400, "not_managed")
        assert (made / "ltx" / WEIGHTS).exists()
        assert await refused(api, "use") == (409, "model_configured")


async def test_use_outlives_the_node(start: Start) -> None:
    async with start() as api:
        assert (await model(api, "procedural"))["is_default"]
        status, view = await tell(api, "use")
        assert (status, view["is_default"], view["state"]) == (200, True, "pulling")
        await until(api, "here", "loading", "ready")
        assert not (await model(api, "procedural"))["is_default"]
    async with start() as api:
        assert (await ready(api))[-1] == "tiny is ready"
        await make(api)
        assert (await tell(api, "use", "procedural"))[1]["is_default"]
        assert (await api.get("/api/model-status"))[1]["message"] == "procedural is ready"
    async with start({}) as api:
        assert (await api.get("/api/model-status"))[1]["message"] == "procedural is ready"
        assert await refused(api, "use", "ltx-2b-distilled") == (409, "cannot_pull")


async def test_the_command_line(start: Start, hub: Hub) -> None:
    async with start() as api:
        listed = await zeus("models", "--server", api.url)
        assert "procedural (default)\tready\t" in listed.out and "tiny\tabsent\t" in listed.out
        done = await zeus("models", "pull", "tiny", "--server", api.url)
        assert done.code == 0 and done.out.endswith("tiny 100%\ntiny is here\n"), done.out + done.err
        listed = await zeus("models", "list", "--json", "--server", api.url)
        assert {each["name"]: each["state"] for each in listed.json}["tiny"] == "here"
        done = await zeus("models", "use", "procedural", "--server", api.url)
        assert (done.code, done.out) == (0, "procedural is the model of jobs that name none\n")
        done = await zeus("models", "use", "procedural", "--json", "--server", api.url)
        assert done.json["is_default"] is True
        done = await zeus("models", "remove", "tiny", "--server", api.url)
        assert (done.code, done.out) == (0, "tiny is removed\n")
        done = await zeus("models", "pull", "nothing", "--server", api.url)
        assert done.code == 1 and "There is no model" in done.err
        hub.statuses["/revision/main"] = 403
        done = await zeus("models", "pull", "tiny", "--server", api.url)
        assert done.code == 1 and "answered 403" in done.err
