"""Inputs that are cut off on their way to a peer without a word: what is through is not sent again, or others do it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import HANG, Api
from tests.farm import ONE, QUICK, fill, id_of, node_in, quick, until_state
from tests.faults.test_links import MIB, Link, submit
from zeus.dispatch import inputs

SIZE = 32 * MIB
"""More than what a connection's two ends hold, so that who sends notices that nothing goes on."""


class Silent(Link):
    """A way to a node on which now and then an upload gets no further, and neither side is told."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.uploads: list[int] = []
        """Of each piece of an upload, the bytes that were let through."""
        self._over = asyncio.Event()

    async def _pass(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, way: str) -> None:
        number: int | None = None
        while data := await source.read(1 << 16):
            if number is None and data.startswith(b"PATCH "):
                number = len(self.uploads)
                self.uploads.append(0)
            if number is not None and self.uploads[number] >= self.after and self.breaks[way] > 0:
                self.breaks[way] -= 1
                await self._over.wait()
                return
            if number is not None:
                self.uploads[number] += len(data)
            target.write(data)
            await target.drain()

    def end(self) -> None:
        """Break off what hangs."""
        self._over.set()


class Farm(NamedTuple):
    """A controller whose one slot is taken, a peer, and the link between them."""

    control: Api
    peer: Api
    link: Silent
    filler: str


@pytest.fixture
async def farm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Farm]:
    monkeypatch.setattr(inputs, "STALLED", 1.0)
    everybody = {"open": True}
    there = quick(QUICK, http={**everybody, "body_timeout": 0.5})
    async with AsyncExitStack() as stack:
        peer = await stack.enter_async_context(node_in(tmp_path, "render", there))
        link = Silent(peer.url)
        server = await link.open()
        stack.callback(server.close)
        own = quick(ONE, http=everybody, network={"peers": [link.url], "lease": 60.0})
        control = await stack.enter_async_context(node_in(tmp_path, "control", own))
        await until_state(control, await id_of(peer), "online")
        yield Farm(control, peer, link, await fill(control))
        link.end()


def source(folder: Path) -> Path:
    path = folder / "input.noop"
    path.write_bytes(bytes(range(256)) * (SIZE // 256))
    return path


async def log_of(api: Api, job: dict[str, str]) -> str:
    return str((await api.get(f"/api/jobs/{job['id']}/logs?attempt=1"))[1])


async def test_an_input_that_stalls_is_gone_on_with(farm: Farm, tmp_path: Path) -> None:
    farm.link.after = 6 * MIB
    farm.link.breaks.update(there=2)
    job = await submit(farm.control, source(tmp_path), {})
    done = await farm.control.until(job["id"])
    assert (done["status"], done["node"], done["attempt"]) == ("finished", "render", 1), done
    print([f"{each / MIB:.1f} MiB" for each in farm.link.uploads])
    assert farm.link.breaks["there"] == 0 and len(farm.link.uploads) >= 3
    assert SIZE <= sum(farm.link.uploads) < SIZE + MIB, "what was through has been sent again"


async def test_an_input_that_never_gets_through_is_not_waited_for(
    farm: Farm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "TRIES", 2)
    monkeypatch.setattr(inputs, "STALLED", 0.3)
    farm.link.after = 0
    farm.link.breaks.update(there=1000)
    job = await submit(farm.control, source(tmp_path), {})
    told = "failed: Node render: input.noop does not get through to it; the task goes elsewhere"
    async with asyncio.timeout(HANG):
        while told not in await log_of(farm.control, job):
            await asyncio.sleep(0.1)
    assert farm.link.uploads[:2] == [0, 0]
    assert (await farm.control.post(f"/api/jobs/{farm.filler}/cancel?confirm=1"))[0] in (200, 202)
    done = await farm.control.until(job["id"])
    assert (done["status"], done["node"]) == ("finished", "control"), done
