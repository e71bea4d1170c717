"""Child processes: every wait is bounded, whatever a tool does, and nothing of it outlives its attempt or its node."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest

from tests.conftest import HANG, STUBS, Api
from zeus.child import Children, uncancelled
from zeus.engine import Completed
from zeus.errors import ToolFailed
from zeus.joblog import JobLog
from zeus.marks import VARIABLE, marked
from zeus.tool import run_tool

UUID = f"test-{uuid.uuid4()}"
KILLED = f"killed-{uuid.uuid4()}"
"""Of this run alone: other runs of the tests may be under way."""


@pytest.fixture
async def children() -> AsyncIterator[Children]:
    made = Children(UUID)
    yield made
    await made.close()
    assert marked(UUID) == []


async def run(children: Children, *words: str, **options: object) -> Completed:
    argv = [sys.executable, str(STUBS / "tool.py"), *words]
    return await asyncio.wait_for(run_tool(children, argv, label="job.1", **options), HANG)  # type: ignore[arg-type]


@pytest.mark.parametrize("words", [["exit:0"], ["silent", "sleep:0.1"], ["garbage"], ["fork"], ["daemon"]])
async def test_tools_that_end_well(children: Children, words: list[str]) -> None:
    assert (await run(children, *words)).exit == 0
    await children.sweep("job.1")
    assert marked(UUID) == []


@pytest.mark.parametrize(
    ("words", "reason"),
    [(["exit:3"], "exit code 3"), (["die:9"], "SIGKILL"), (["die:11"], "SIGSEGV"), (["garbage", "exit:1"], "bad")],
)
async def test_tools_that_fail_say_how(children: Children, words: list[str], reason: str) -> None:
    with pytest.raises(ToolFailed, match=reason):
        await run(children, *words)


async def test_a_tool_that_is_not_there(children: Children) -> None:
    with pytest.raises(ToolFailed, match="cannot be started: No such file") as caught:
        await run_tool(children, ["/nowhere/tool"], label="job.1")
    assert not caught.value.retry


async def test_a_flood_neither_blocks_nor_fills(children: Children, tmp_path: Path) -> None:
    log = JobLog(tmp_path / "log", 1 << 20)
    log.open()
    lag = asyncio.create_task(worst_lag())
    lines: list[int] = []
    await run(children, f"flood:{200 << 20}", log=log, parse=lambda line: lines.append(len(line)))
    log.close()
    assert (tmp_path / "log").stat().st_size < (1 << 20) + 100
    assert sum(lines) == 200 << 20 and max(lines) <= 8192
    lag.cancel()
    assert await lag < 5


async def worst_lag() -> float:
    worst = 0.0
    try:
        while True:
            start = time.monotonic()
            await asyncio.sleep(0.01)
            worst = max(worst, time.monotonic() - start)
    except asyncio.CancelledError:
        return worst


async def test_a_parser_that_fails_does_not_end_the_tool(children: Children, tmp_path: Path) -> None:
    log = JobLog(tmp_path / "log", 1 << 20)
    log.open()
    calls = []

    def parse(line: str) -> None:
        calls.append(line)
        raise ValueError("my mistake")

    assert (await run(children, "garbage", log=log, parse=parse)).exit == 0
    log.close()
    assert len(calls) == 1 and (tmp_path / "log").read_text().count(" bad\n") == 10


async def test_progress_lines_stay_out_of_the_log(children: Children, tmp_path: Path) -> None:
    log = JobLog(tmp_path / "log", 1 << 20)
    log.open()
    completed = await run(children, "garbage", log=log, parse=lambda line: "bad" in line)
    log.close()
    assert " bad" not in (tmp_path / "log").read_text() and " bad" in completed.tail[-1]


async def test_a_time_limit(children: Children) -> None:
    with pytest.raises(ToolFailed, match=r"more than 0\.2 seconds"):
        await run(children, "sleep:600", timeout=0.2)


async def test_cancel_ends_a_deaf_tool_and_all_of_its_own(children: Children, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zeus.tool.GRACE", 0.5)
    task = asyncio.create_task(run(children, "deaf", "fork", "daemon", "sleep:600"))
    while len(marked(UUID)) < 3:
        await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await children.sweep("job.1")
    assert marked(UUID) == []


async def test_work_that_must_end_does_even_when_cancelled_twice() -> None:
    ended = []

    async def work() -> None:
        await asyncio.sleep(0.1)
        ended.append(True)

    task = asyncio.create_task(uncancelled(work()))
    for _ in range(2):
        await asyncio.sleep(0.01)
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == [True]


def test_the_guardian_ends_all_that_a_killed_node_started(tmp_path: Path) -> None:
    """The node dies by SIGKILL; its tools ignore SIGTERM, fork, and leave their session with closed descriptors."""
    program = tmp_path / "node.py"
    program.write_text(
        "import asyncio, sys\n"
        "from zeus.child import Children\nfrom zeus.tool import run_tool\n"
        "async def main():\n"
        f"    children = Children({KILLED!r})\n"
        f"    argv = [sys.executable, {str(STUBS / 'tool.py')!r}, 'deaf', 'fork', 'daemon', 'sleep:600']\n"
        "    await run_tool(children, argv, label='job.1')\n"
        "asyncio.run(main())\n"
    )
    bystander = subprocess.Popen(["sleep", "600"], env={**os.environ, VARIABLE: "other-node:job.1"})
    node = subprocess.Popen([sys.executable, str(program)])
    try:
        wait_for(lambda: len(marked(KILLED)) >= 3)
        node.kill()
        node.wait()
        wait_for(lambda: not marked(KILLED))
        wait_for(lambda: not guardians(KILLED))
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def guardians(uuid: str) -> list[psutil.Process]:
    return [each for each in psutil.process_iter() if _is_guardian(each, uuid)]


def _is_guardian(process: psutil.Process, uuid: str) -> bool:
    try:
        line = process.cmdline()
    except psutil.Error:
        return False
    return "zeus.guardian" in line and line[-1].startswith(uuid)


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + HANG
    while not condition():
        assert time.monotonic() < deadline, "hangs"
        time.sleep(0.05)


async def test_a_guardian_that_was_killed_is_replaced_at_once(children: Children) -> None:
    task = asyncio.create_task(run(children, "sleep:600"))
    while not marked(UUID):
        await asyncio.sleep(0.05)
    first = children._guardian
    assert first is not None
    first.kill()
    async with asyncio.timeout(HANG):
        while children._guardian is first:
            await asyncio.sleep(0.05)
    assert children._guardian is not None and children._guardian.returncode is None
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_group_is_off_the_record_as_soon_as_it_is_empty(children: Children) -> None:
    process = await children.launch([sys.executable, "-c", "pass"], label="worker")
    await process.wait()
    async with asyncio.timeout(HANG):
        while children._groups:
            await asyncio.sleep(0.01)
    await children.end(process)


async def test_cancel_over_http_answers_when_everything_is_gone(api: Api) -> None:
    job_id = await api.add(tool=["fork", "daemon", "sleep:600"])
    await asyncio.sleep(1.0)
    status, job = await api.post(f"/api/jobs/{job_id}/cancel?confirm=1")
    assert (status, job["status"]) == (200, "cancelled")
    assert [each for each in psutil.process_iter() if _mentions(each, job_id)] == []


def _mentions(process: psutil.Process, job_id: str) -> bool:
    try:
        return job_id in process.environ().get(VARIABLE, "")
    except psutil.Error:
        return False


async def test_what_a_finished_tool_leaves_behind_is_ended(api: Api) -> None:
    job_id = await api.add(tool=["fork", "daemon", "exit:0"])
    assert (await api.until(job_id))["status"] == "finished"
    assert [each for each in psutil.process_iter() if _mentions(each, job_id)] == []
