"""What tests share: a node in this process, a node in a process of its own, and the rule about missing real parts."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from zeus.api.app import Node, running_node
from zeus.config import Config

STUBS = Path(__file__).parent / "stubs"
HANG = 60.0
"""Seconds after which something counts as hanging."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the tests that take minutes to hours too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--long"):
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(pytest.mark.skip(reason="takes long: --long runs it"))


def need(found: object, what: str, how: str) -> None:
    """Skip when a real part is missing, saying how to get it; fail where CI requires it."""
    if not found:
        text = f"{what} is missing: {how}"
        if os.environ.get("ZEUS_REQUIRE_REAL") == "1":
            pytest.fail(text)
        pytest.skip(text)


def config_for(folder: Path, **sections: Mapping[str, Any]) -> Config:
    """A test node's configuration: the stub engines beside Zeus's own, any free port."""
    base: dict[str, dict[str, Any]] = {
        "node": {"name": "test-node", "storage": str(folder / "storage")},
        "http": {"port": 0},
        "network": {"discovery": "off"},
        "plugins": {"folders": [str(STUBS / "plugins")]},
        "jobs": {"slots": 8, "retry_delay": 0.0},
        "engines": {"noop": {"slots": 8}, "video": {"offline": True}},
    }
    for name, values in sections.items():
        base[name] = {**base.get(name, {}), **values}
    if not base["plugins"]["folders"]:
        base["engines"].pop("noop", None)  # without the stub engines, their settings are of nobody
    return msgspec.convert(base, Config)


def stub_blender(folder: Path) -> Path:
    """tests/stubs/blender.py as a program in a folder of its own."""
    folder.mkdir()
    start = f"#!/usr/bin/env -S PYTHONPATH={STUBS.parents[1]} {sys.executable}"
    text = (STUBS / "blender.py").read_text("utf-8").replace("#!/usr/bin/env python3", start, 1)
    (folder / "blender").write_text(text)
    (folder / "blender").chmod(0o755)
    return folder / "blender"


class Api:
    """A plain HTTP client of one node."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session = session
        self.url = url

    async def get(self, path: str, **options: Any) -> tuple[int, Any]:
        return await self.request("GET", path, **options)

    async def post(self, path: str, **options: Any) -> tuple[int, Any]:
        return await self.request("POST", path, **options)

    async def request(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        """Status and body: decoded when it is JSON, else text."""
        async with self.session.request(method, self.url + path, **options) as response:
            if response.content_type == "application/json":
                return response.status, await response.json()
            return response.status, await response.text()

    async def add(self, **args: Any) -> str:
        """Add a noop job with these arguments; its id."""
        status, job = await self.post("/api/add_job", json={"renderer": "noop", "args": args})
        assert status == 200, job
        return str(job["id"])

    async def until(self, job_id: str, *wanted: str) -> dict[str, Any]:
        """Wait for a job to reach one of these statuses, or any end."""
        wanted = wanted or ("finished", "failed", "cancelled")
        deadline = time.monotonic() + HANG
        token = ""
        while time.monotonic() < deadline:
            _, job = await self.get(f"/api/jobs/{job_id}")
            if job["status"] in wanted:
                return dict(job)
            async with self.session.get(f"{self.url}/api/jobs/long_poll", params={"token": token, "timeout": 1}) as got:
                token = (await got.json())["token"] if got.status == 200 else token
        raise AssertionError(f"job {job_id} hangs as {job['status']}")


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as made:
        yield made


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    """A node in this process."""
    async with running_node(config_for(tmp_path)) as made:
        yield made


@pytest.fixture
def api(node: Node, session: aiohttp.ClientSession) -> Api:
    return Api(session, node.url)


class NodeProcess:
    """A node in a process of its own, which can be killed."""

    def __init__(self, folder: Path, sections: Mapping[str, Any]) -> None:
        self.folder = folder
        self.config = folder / "zeus.json"
        self.sections = sections
        self.prefix: list[str] = []
        """What is put before its command."""
        self.process: subprocess.Popen[str] | None = None
        self.url = ""

    def start(self, **env: str) -> str:
        """Start it and wait for its URL."""
        config = config_for(self.folder, **self.sections)
        self.config.write_bytes(msgspec.json.encode(config))
        program = Path(__file__).parent / "stubs" / "serve.py"
        self.process = subprocess.Popen(
            [*self.prefix, sys.executable, str(program), str(self.config)],
            stdout=subprocess.PIPE, text=True, env={**os.environ, **env},
        )  # fmt: skip
        assert self.process.stdout is not None
        if not select.select([self.process.stdout], [], [], HANG)[0]:
            self.kill()
            raise AssertionError(f"the node in {self.folder} did not say within {HANG:g} s where it is")
        self.url = self.process.stdout.readline().strip()
        return self.url

    def kill(self) -> None:
        """End it by SIGKILL, and be sure that it is gone."""
        assert self.process is not None
        self.process.kill()
        self.gone()

    def gone(self) -> int:
        """Wait for its end; how it ended."""
        assert self.process is not None and self.process.stdout is not None
        code = self.process.wait(HANG)
        self.process.stdout.close()
        return code

    def stop(self) -> int:
        """End it by SIGTERM; its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.gone()


@pytest.fixture
def spawn_node(tmp_path: Path) -> Iterator[Callable[..., NodeProcess]]:
    """Makes nodes in processes of their own, ended with the test."""
    made: list[NodeProcess] = []

    def make(name: str = "spawned", **sections: Mapping[str, Any]) -> NodeProcess:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        made.append(NodeProcess(folder, sections))
        return made[-1]

    yield make
    for each in made:
        if each.process is not None and each.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                each.kill()
