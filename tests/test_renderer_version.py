"""A job's wish for a version: what it means, what is refused, and what is installed for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.conftest import Api, config_for
from tests.releases import Publisher, engines, installed, opened, publisher, settings
from zeus.api.app import Node, running_node


@pytest.fixture
async def mirror() -> AsyncIterator[Publisher]:
    async with publisher() as made:
        yield made


@pytest.fixture
async def node(tmp_path: Path, mirror: Publisher) -> AsyncIterator[Node]:
    async with running_node(config_for(tmp_path, **settings(mirror, slots=4))) as made:
        yield made


async def test_a_wish_is_held_against_what_is_installed(
    tmp_path: Path, session: aiohttp.ClientSession, mirror: Publisher
) -> None:
    for version in ("4.2.3", "4.5.1", "5.0.0"):
        mirror.publish(version)
    async with opened(tmp_path, mirror, session, own="3.4.1") as api:
        for version in ("4.2.3", "5.0.0"):
            await installed(api, version)
        used = {}
        for wish in ("latest", "lts", "4", "5.0.0", "3.4"):
            status, job = await api.post(
                "/api/add_job", json={"renderer": "tooled", "renderer_version": wish, "max_attempts": 1}
            )
            assert status == 200, job
            job = await api.until(job["id"])
            log = (await api.get(f"/api/jobs/{job['id']}/logs"))[1]
            used[wish] = log.partition("version: tooled ")[2].partition(" (")[0]
            assert job["renderer_version"] == wish
        assert used == {"latest": "3.4.1", "lts": "4.2.3", "4": "4.2.3", "5.0.0": "5.0.0", "3.4": "3.4.1"}
        for wish in ("4.5", "4.2.4", "nothing", "42"):
            body = {"renderer": "tooled", "renderer_version": wish}
            status, error = await api.post("/api/add_job", json=body)
            assert (status, error["error"]) == (400, "unknown_version")
            assert wish in error["message"] and "3.4.1, 5.0.0, 4.2.3" in error["message"]
            assert (await api.post("/api/add_job?dry_run=1", json=body))[0] == 400
        status, error = await api.post("/api/add_job", json=[{"renderer": "tooled"}, body])
        assert error["message"].startswith("Job 1 of the list: renderer_version")


async def test_what_a_job_needs_is_installed_for_it(
    tmp_path: Path, session: aiohttp.ClientSession, mirror: Publisher
) -> None:
    mirror.publish("4.2.3")
    mirror.publish("5.0.0")
    async with opened(tmp_path, mirror, session, auto_install=True, slots=2) as api:
        assert (await api.get("/api/engines/tooled"))[1]["available"] is True
        mirror.gate.clear()
        jobs = []
        for wish in ("4.2", "lts"):
            status, job = await api.post("/api/add_job", json={"renderer": "tooled", "renderer_version": wish})
            assert status == 200, job
            jobs.append(job["id"])
        while not (await api.get("/api/engines/tooled"))[1]["downloads"]:
            await asyncio.sleep(0.02)
        mirror.gate.set()
        for job_id in jobs:
            assert (await api.until(job_id))["status"] == "finished"
            assert (await api.get(f"/api/jobs/{job_id}/download?filename=out.txt"))[1] == "4.2.3\n"
        assert mirror.count("/Blender4.2/blender-4.2.3-linux-x64.tar.xz") == 1
        status, job = await api.post("/api/add_job", json={"renderer": "tooled"})
        assert (await api.until(job["id"]))["status"] == "finished"
        assert mirror.count("/Blender5.0/blender-5.0.0-linux-x64.tar.xz") == 0, "latest is what is here"
        status, error = await api.post("/api/add_job", json={"renderer": "tooled", "renderer_version": "6"})
        assert (status, error["error"]) == (400, "unknown_version") and "5.0, 4.2" in error["message"]


async def test_a_file_is_not_held_against_a_version_that_another_one_is_to_be_installed_for(
    tmp_path: Path, session: aiohttp.ClientSession, mirror: Publisher
) -> None:
    mirror.publish("5.0.0")
    async with opened(tmp_path, mirror, session, own="3.4.1", auto_install=True) as api:

        async def send(wish: str) -> tuple[int, Any]:
            form = aiohttp.FormData()
            form.add_field("json", json.dumps({"renderer_version": wish}))
            form.add_field("file", b"5.0.0", filename="a.tooled")
            return await api.post("/api/add_job", data=form)

        assert (await send("latest"))[1]["error"] == "newer_version_needed"
        status, job = await send("5.0")
        assert status == 200, job
        assert (await api.until(job["id"]))["status"] == "finished"


async def test_the_first_job_of_all_brings_the_newest(
    tmp_path: Path, session: aiohttp.ClientSession, mirror: Publisher
) -> None:
    mirror.publish("4.2.3")
    mirror.publish("5.0.0")
    async with opened(tmp_path, mirror, session, auto_install=True) as api:
        status, job = await api.post("/api/add_job", json={"renderer": "tooled"})
        assert status == 200, job
        assert (await api.until(job["id"]))["status"] == "finished" and engines(tmp_path) == ["5.0.0"]


async def test_a_version_that_cannot_be_installed_fails_its_job(
    tmp_path: Path, session: aiohttp.ClientSession, mirror: Publisher
) -> None:
    path = mirror.publish("4.2.3", sha256="1" * 64)
    async with opened(tmp_path, mirror, session, auto_install=True) as api:
        _, job = await api.post("/api/add_job", json={"renderer": "tooled"})
        job = await api.until(job["id"])
        assert (job["status"], job["error"]["code"], job["attempt"]) == ("failed", "install_failed", 1)
        assert "1" * 64 in job["error"]["message"] and mirror.count(path) == 1
        mirror.statuses["/"] = 404
        status, _ = await api.post("/api/add_job", json={"renderer": "tooled", "renderer_version": "4.2"})
        assert status == 200, "the listing is fresh enough"


async def test_a_version_that_went_meanwhile_fails_its_job(api: Api, mirror: Publisher) -> None:
    mirror.publish("4.2.3")
    await installed(api, "4.2.3")
    _, first = await api.post("/api/add_job", json={"renderer": "noop", "args": {"seconds": 0.5}})
    status, job = await api.post(
        "/api/add_job", json={"renderer": "tooled", "renderer_version": "4.2", "depends_on": [first["id"]]}
    )
    assert status == 200, job
    assert (await api.post("/api/engines/delete", json={"engine": "tooled", "version": "4.2.3"}))[0] == 200
    job = await api.until(job["id"])
    assert (job["status"], job["error"]["code"], job["attempt"]) == ("failed", "unknown_version", 1)
