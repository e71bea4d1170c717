"""Several nodes that trust each other, for tests of what they do together."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp

from tests.conftest import HANG, Api, NodeProcess, config_for
from zeus.api.app import running_node

QUICK: Mapping[str, Mapping[str, Any]] = {
    "network": {"heartbeat": 0.3, "lease": 3.0, "grace": 3.0},
    "jobs": {"slots": 8, "retry_delay": 0.0},
}
"""Settings with which a lost node is noticed soon."""
ONE: Mapping[str, Mapping[str, Any]] = {**QUICK, "engines": {"noop": {"slots": 1}, "frames": {"slots": 1}}}
"""Those of a controller, which has room for one task of each engine."""


def quick(base: Mapping[str, Mapping[str, Any]] = QUICK, **sections: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Settings of a test node, with others put over them."""
    return {name: {**base.get(name, {}), **sections.get(name, {})} for name in {*base, *sections}}


async def pair(first: Api, second: Api) -> None:
    """Let two nodes trust each other, and wait until both know that the other one answers."""
    status, code = await second.post("/api/nodes/pairing")
    assert status in (200, 201), code
    status, node = await first.post("/api/nodes", json={"url": second.url, "code": code["code"]})
    assert status in (200, 201), node
    for each, other in ((first, second), (second, first)):
        await until_state(each, await id_of(other), "online")


async def id_of(api: Api) -> str:
    return str((await api.get("/api/nodes/self"))[1]["id"])


async def until_state(api: Api, node_id: str, state: str) -> None:
    """Wait until a node says so of another one."""
    deadline = time.monotonic() + HANG
    while time.monotonic() < deadline:
        _, listed = await api.get("/api/nodes")
        if any(node["id"] == node_id and node["state"] == state for node in listed["nodes"]):
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"node {node_id} does not become {state}")


@contextlib.asynccontextmanager
async def node_in(folder: Path, name: str, settings: Mapping[str, Mapping[str, Any]]) -> AsyncIterator[Api]:
    """A node in this process, and a client of it."""
    place = folder / name
    place.mkdir(exist_ok=True)
    settings = {**settings, "node": {"name": name, **settings.get("node", {})}}
    async with running_node(config_for(place, **settings)) as node, aiohttp.ClientSession() as session:
        yield Api(session, node.url)


def spawned(
    spawn_node: Callable[..., NodeProcess], name: str, settings: Mapping[str, Mapping[str, Any]]
) -> NodeProcess:
    """A node in a process of its own, which keeps its address when it is started again."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        http = {"port": free.getsockname()[1]}
    return spawn_node(name, **{**settings, "node": {"name": name}, "http": http})


async def fill(api: Api, renderer: str = "noop") -> str:
    """Take a controller's one slot, so that what comes next goes elsewhere; the id of the job that has it."""
    frames = {"start_frame": 1, "end_frame": 1} if renderer == "frames" else {}
    status, job = await api.post("/api/add_job", json={"renderer": renderer, "args": {"seconds": 600}, **frames})
    assert status == 200, job
    await api.until(job["id"], "running")
    return str(job["id"])


async def empty(api: Api) -> None:
    """Wait until a node has no shares any more."""
    deadline = time.monotonic() + HANG
    while shares := [job for job in (await api.get("/api/jobs"))[1]["jobs"] if job["parent"]]:
        assert time.monotonic() < deadline, shares
        await asyncio.sleep(0.05)
