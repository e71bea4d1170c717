"""Nodes that lie, whole crowds of them: nothing wrong is published, each is avoided, and the job ends elsewhere."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path

from tests.conftest import HANG
from tests.farm import ONE, fill, node_in, quick
from tests.stubs.hostile import KINDS, hostile_node


async def test_a_job_ends_well_among_nodes_that_lie(tmp_path: Path) -> None:
    """One job of three frames is tried by each of them three times, and is made here in the end."""
    async with AsyncExitStack() as stack:
        hostile = {kind: await stack.enter_async_context(hostile_node(kind)) for kind in KINDS}
        peers = {"peers": [url for _, url in hostile.values()]}
        api = await stack.enter_async_context(
            node_in(tmp_path, "control", quick(ONE, http={"open": True}, network=peers))
        )
        filler = await fill(api, "frames")
        body = {"renderer": "frames", "args": {}, "start_frame": 1, "end_frame": 3}
        _, job = await api.post("/api/add_job", json=body)
        deadline = time.monotonic() + HANG
        while missing := {kind: node.taken for kind, (node, _) in hostile.items() if node.taken < 3}:
            assert time.monotonic() < deadline, missing
            await asyncio.sleep(0.1)
        await api.post(f"/api/jobs/{filler}/cancel?confirm=1")
        job = await api.until(job["id"])
        assert (job["status"], job["node"], job["file_count"]) == ("finished", "control", 3), job
        assert {kind: node.taken for kind, (node, _) in hostile.items()} == dict.fromkeys(KINDS, 3)
        logs = [
            (await api.get(f"/api/jobs/{job['id']}/logs", params={"attempt": number}))[1]
            for number in range(1, job["attempt"] + 1)
        ]
        for kind, reason in KINDS.items():
            told = [log for log in logs if f"failed: Node {kind}: " in log]
            assert len(told) == 3 and all(reason in log for log in told), (kind, told)
        for number in (1, 2, 3):
            name = f"frame_{number:04}.txt"
            assert (await api.get(f"/api/jobs/{job['id']}/download?filename={name}"))[1] == f"frame {number}"
    assert not await asyncio.to_thread(lambda: list(tmp_path.rglob("*evil*")))
