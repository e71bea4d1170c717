"""Schemathesis against a running node, from the node's own OpenAPI document: no 5xx, nothing outside the document."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import NodeProcess
from tests.releases import publisher

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
STREAMS = ("/api/events", "/api/jobs/long_poll")
"""These answer when something happens: tests of their own have them."""
SLOW = ("/api/cpu_benchmark", "/api/disk_benchmark")


@pytest.mark.timeout(3000)
async def test_the_node_keeps_to_its_document(
    spawn_node: Callable[..., NodeProcess], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    examples, least = (240, 10_000) if request.config.getoption("--long") else (8, 1_000)
    async with publisher() as mirror:
        # versions within reach and models out of it, so that no case goes out for one
        mirror.files["/checksums.sha256"] = f"{'0' * 64}  ffmpeg-n8.0-latest-linux64-gpl-8.0.tar.xz\n".encode()
        mirror.publish("4.2.3")
        near = {name: {"mirror": mirror.url} for name in ("blender", "ffmpeg")}
        node = spawn_node(
            jobs={"slots": 4, "retry_delay": 0.0}, engines={"noop": {"slots": 4}, "video": {"offline": True}, **near}
        )
        node.start()
        excluded = [word for path in (*STREAMS, *SLOW) for word in ("--exclude-path", path)]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "schemathesis.cli", "run", f"{node.url}/api/openapi.json",
            "--max-examples", str(examples), "--checks", CHECKS, "--request-timeout", "20", "--no-color", *excluded,
            cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        output = (await process.communicate())[0].decode()
        cases = re.search(r"(\d+) generated", output)
        print(cases and cases[0])
        assert process.returncode == 0, output[-8000:]
        assert cases and int(cases[1]) >= least, output[-2000:]
        assert await asyncio.to_thread(node.stop) == 0
