"""The inference executor with real worker processes: one a device, who may call when, and when they end."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from concurrent.futures import wait
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.conftest import HANG
from zeus.child import Children
from zeus.engine import Computation
from zeus.errors import BadInput, NotReady
from zeus.gpus import Usable
from zeus.inference import InferenceExecutor

LOOK, HOLD = f"{__name__}:look", f"{__name__}:hold"


def look(job: Computation) -> list[Any]:
    """The process and what it sees."""
    return [os.getpid(), os.environ.get("CUDA_VISIBLE_DEVICES")]


def hold(job: Computation, path: str) -> None:
    """Work until there is such a file."""
    job.report("begun")
    while not Path(path).exists():
        time.sleep(0.01)


def total(job: Computation, numbers: list[int]) -> int:
    return sum(numbers)


def refuse(job: Computation) -> None:
    raise BadInput("no", code="told_to")


@pytest.fixture
async def children() -> AsyncIterator[Children]:
    made = Children("inference")
    yield made
    await made.close()


@pytest.fixture
async def executor(children: Children) -> AsyncIterator[InferenceExecutor]:
    made = InferenceExecutor(children, [], Usable({0: 0, 1: 0}))
    yield made
    await made.close()


async def test_each_device_has_a_process_that_sees_it_alone(executor: InferenceExecutor) -> None:
    seen = [await executor.call(LOOK, {}, device=device) for device in (0, 1, None, 0, 1, None)]
    assert [visible for _, visible in seen] == ["0", "1", "", "0", "1", ""]
    assert seen[:3] == seen[3:] and len({pid for pid, _ in seen}) == 3


async def test_a_gpu_given_to_another_engine_is_empty_and_closed(executor: InferenceExecutor) -> None:
    pid, _ = await executor.call(LOOK, {}, device=0, engine="video")
    assert executor.is_warm(0, "video") and not executor.is_warm(1, "video") and not executor.is_warm(0, "blender")
    async with executor.given(0, "blender"):
        assert not psutil.pid_exists(pid) and not executor.is_warm(0, "video")
        with pytest.raises(NotReady, match="taken by a job of blender"):
            await executor.call(LOOK, {}, device=0, engine="video")
        await executor.call(LOOK, {}, device=1, engine="video")
        own, _ = await executor.call(LOOK, {}, device=0, engine="blender")
        assert psutil.pid_exists(own)
    again, _ = await executor.call(LOOK, {}, device=0, engine="video")
    assert again == own, "nothing was to be unloaded for it"


async def test_a_gpu_given_to_the_same_engine_keeps_its_process(executor: InferenceExecutor) -> None:
    pid, _ = await executor.call(LOOK, {}, device=0, engine="video")
    async with executor.given(0, "video"):
        assert (await executor.call(LOOK, {}, device=0, engine="video"))[0] == pid


async def test_a_gpu_is_given_after_the_call_that_is_under_way(executor: InferenceExecutor, tmp_path: Path) -> None:
    begun = asyncio.Event()
    call = executor.call(
        HOLD, {"path": str(tmp_path / "go")}, device=0, engine="video", report=lambda value: begun.set()
    )
    loading = asyncio.create_task(call)
    await asyncio.wait_for(begun.wait(), HANG)
    later = asyncio.create_task(executor.call(LOOK, {}, device=0, engine="video"))

    async def take() -> None:
        async with executor.given(0, "blender"):
            assert loading.done() and not executor.is_warm(0, "video")
            with pytest.raises(NotReady):
                await later

    taking = asyncio.create_task(take())
    await asyncio.sleep(0.1)
    assert not taking.done()
    (tmp_path / "go").touch()
    await asyncio.wait_for(taking, HANG)


async def test_each_device_is_unloaded_by_itself(children: Children) -> None:
    executor = InferenceExecutor(children, [], Usable({0: 0}), unload_after=0.2)
    pids = [(await executor.call(LOOK, {}, device=device))[0] for device in (None, 0)]
    async with asyncio.timeout(HANG):
        while any(map(psutil.pid_exists, pids)):
            await asyncio.sleep(0.05)
    await executor.close()


async def test_it_is_an_executor_of_the_standard_library(executor: InferenceExecutor) -> None:
    def in_a_thread() -> list[int]:
        sums = [executor.submit(total, numbers=[number, 1]) for number in range(3)]
        done, pending = wait(sums, timeout=HANG)
        assert not pending and len(done) == 3
        return [each.result() for each in sums]

    assert await asyncio.to_thread(in_a_thread) == [1, 2, 3]
    with pytest.raises(BadInput, match="no"):
        await asyncio.to_thread(lambda: executor.submit(refuse).result(HANG))
    with pytest.raises(TypeError, match="keyword"):
        executor.submit(total, [1])
