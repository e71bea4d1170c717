"""Machines that are not what they should be, while a job is shared out: of another's name, lying, or spoofing."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.conftest import HANG, Api
from tests.real.machines import Machine, machines
from tests.real.sharing import SETTINGS, Sleeper, add, fetched, nothing_is_left, told, why
from tests.real.test_network import requests, spoofer

DAMAGED = r"failed: Node stranger: frame_\d+\.txt is not what it should be: .+; the task goes elsewhere"
TOO_OFTEN = "lost or failed the job too often"
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def formed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Machine]]:
    """A controller, two nodes that are both called beta, and a machine with nothing on it."""
    with machines(tmp_path_factory.mktemp("strangers"), "alpha", "beta", "twin", "stranger") as nodes:
        asyncio.run(form(*nodes[:3]))
        yield nodes


async def form(alpha: Machine, beta: Machine, twin: Machine) -> None:
    own = {beta: {"node": {"tags": ["near"]}}, twin: {"node": {"name": "beta"}}}
    nodes = (alpha, beta, twin)
    await asyncio.gather(*(asyncio.to_thread(node.run, **SETTINGS, **own.get(node, {})) for node in nodes))
    assert [(await alpha.pair(node))["name"] for node in (beta, twin)] == ["beta", "beta-2"]


@pytest.fixture
async def four(formed: list[Machine]) -> list[Machine]:
    for name in ("beta", "beta-2"):
        await formed[0].sees(name, "online")
    return formed


@pytest.fixture
async def api(four: list[Machine]) -> AsyncIterator[Api]:
    async with four[0].client() as made:
        yield made


async def frames_are_right(api: Api, sleeper: Sleeper, folder: Path) -> None:
    for number, path in enumerate(await fetched(api, sleeper.job, folder), 1):
        assert (path.name, path.read_text()) == (f"frame_{number:04}.txt", f"frame {number}")


async def test_two_nodes_of_one_name_share_a_job(four: list[Machine], api: Api, tmp_path: Path) -> None:
    _, beta, twin, _ = four
    sleeper = Sleeper(api, tmp_path / "record", count=40)
    await sleeper.begin(0.1)
    shares = await sleeper.ends_whole(twice=0)
    assert shares.keys() == {"alpha", "beta", "beta-2"}, shares
    await frames_are_right(api, sleeper, tmp_path / "made")
    log = await told(api, sleeper.job)
    assert "goes to node beta\n" in log and "goes to node beta-2\n" in log
    await nothing_is_left(beta, twin)


@pytest.fixture
async def liar(four: list[Machine]) -> AsyncIterator[Machine]:
    """A node whose files become others on its disk as soon as they are published."""
    alpha, *_, liar = four
    engines = {"frames": {"slots": 1, "spoils": True}}
    await asyncio.to_thread(liar.run, **{**SETTINGS, "engines": engines}, node={"tags": ["odd"]})
    node_id = (await alpha.pair(liar))["id"]
    yield liar
    async with alpha.client() as api:
        assert (await api.request("DELETE", f"/api/nodes/{node_id}"))[0] == 204
    liar.kill()


async def test_a_node_that_publishes_wrong_files(liar: Machine, api: Api, tmp_path: Path) -> None:
    """Nothing of it is taken; after some tries it gets no more of a job, and others make all of it."""
    sleeper = Sleeper(api, tmp_path / "record")
    await sleeper.begin(0.15)
    shares = await sleeper.ends_whole(twice=30)
    assert shares.keys() == {"alpha", "beta", "beta-2"}, shares
    await frames_are_right(api, sleeper, tmp_path / "made")
    log = await told(api, sleeper.job)
    damaged = re.findall(DAMAGED, log)
    assert len(damaged) == log.count("goes to node stranger\n") > 0, log
    only = await add(api, renderer="frames", tags=["odd"], start_frame=1, end_frame=3)
    deadline = time.monotonic() + HANG
    while not any(TOO_OFTEN in reason for reason in (await why(api, only)).get("stranger", ())):
        assert time.monotonic() < deadline, await why(api, only)
        await asyncio.sleep(0.1)
    _, job = await api.get(f"/api/jobs/{only['id']}")
    assert (job["status"], job["completed_frames"], job["file_count"]) == ("queued", 0, 0), job
    assert (await api.post(f"/api/jobs/{only['id']}/cancel?confirm=1"))[0] in (200, 202)
    await nothing_is_left(liar)


async def test_a_spoofer_gets_nothing_of_a_job_that_is_shared_out(
    four: list[Machine], api: Api, tmp_path: Path
) -> None:
    """A machine says by multicast that it is beta, which has a share, is lost in the midst of it, and is waited for."""
    alpha, beta, twin, stranger = four
    secrets = [each["secret"] for each in json.loads((alpha.folder / "storage" / "nodes.json").read_text())]
    source = tmp_path / "shot.frames"
    source.write_text("1-60" + " " * 5000)
    trusted = next(node for node in await alpha.nodes() if node["name"] == "beta")
    with spoofer(stranger, trusted, tmp_path / "heard") as heard:
        sleeper = Sleeper(api, tmp_path / "record")
        await sleeper.begin(0.2, source)
        await sleeper.made_by("beta", 4)
        lost = await sleeper.before_the_loss_of("beta")
        beta.cut()
        try:
            said = (await alpha.sees("beta", "refused", within=15))["message"]
            assert said.endswith("cannot prove that it is this node.")
            waiting = await add(api, source, renderer="frames", tags=["near"], start_frame=1, end_frame=2)
            shares = await sleeper.ends_whole(twice=lost)
            assert (await api.get(f"/api/jobs/{waiting['id']}"))[1]["status"] == "queued"
            assert (await why(api, waiting))["beta"]
        finally:
            beta.heal()
        ended = await api.until(waiting["id"])
        assert (ended["status"], ended["node"]) == ("finished", "beta"), ended
    assert shares["beta"] >= 4 and shares["beta-2"] and shares["alpha"]
    assert "Node beta did not answer for 4 s" in await told(api, sleeper.job)
    assert set(requests(heard)) == {"/api/nodes/prove -"}
    for secret in (*secrets, alpha.token, beta.token, " " * 50, "renderer", "record"):
        assert secret and secret not in heard.read_text()
    await nothing_is_left(beta, twin)
    sleeper.nothing_is_made_again()
