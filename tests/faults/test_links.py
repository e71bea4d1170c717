"""Links that break in the middle of files, both ways: what is through is not sent again, and what arrives is right."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp

from tests.conftest import Api
from tests.farm import ONE, QUICK, empty, fill, id_of, node_in, quick, until_state

MIB = 1 << 20


class Link:
    """A way to a node that breaks off each connection after so many bytes, as long as it has breaks left."""

    def __init__(self, url: str) -> None:
        self._host, _, port = url.removeprefix("http://").partition(":")
        self._port = int(port)
        self.breaks = Counter[str]()
        self.after = MIB
        self.bytes = Counter[str]()
        self._tasks: set[asyncio.Task[None]] = set()
        self.url = ""

    async def open(self) -> asyncio.Server:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        return server

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(self._host, self._port)
        ways = [self._pass(reader, back, "there"), self._pass(there, writer, "back")]
        with suppress(ConnectionError, asyncio.CancelledError):
            await asyncio.wait([asyncio.ensure_future(way) for way in ways], return_when=asyncio.FIRST_COMPLETED)
        for each in (writer, back):
            each.transport.abort()

    async def _pass(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, way: str) -> None:
        passed = 0
        while data := await source.read(1 << 16):
            passed += len(data)
            self.bytes[way] += len(data)
            if passed > self.after and self.breaks[way] > 0:
                self.breaks[way] -= 1
                return
            target.write(data)
            await target.drain()


@asynccontextmanager
async def link_to(url: str) -> AsyncIterator[Link]:
    link = Link(url)
    server = await link.open()
    try:
        yield link
    finally:
        server.close()


async def submit(api: Api, source: Path, args: dict[str, int]) -> dict[str, str]:
    with source.open("rb") as file:
        form = aiohttp.FormData()
        form.add_field("json", json.dumps({"renderer": "noop", "args": args}))
        form.add_field("file", file, filename=source.name)
        status, job = await api.post("/api/add_job", data=form)
    assert status == 200, job
    return dict(job)


async def test_files_come_through_a_link_that_breaks(tmp_path: Path) -> None:
    everybody = {"open": True}
    async with (
        node_in(tmp_path, "render", quick(QUICK, http=everybody)) as peer,
        link_to(peer.url) as link,
        node_in(tmp_path, "control", quick(ONE, http=everybody, network={"peers": [link.url]})) as control,
    ):
        await until_state(control, await id_of(peer), "online")
        await fill(control)
        link.breaks.update(there=3, back=3)
        source = tmp_path / "input.noop"
        source.write_bytes(b"zeus" * (6 * MIB // 4))
        job = await submit(control, source, {"hole": 6_000_000})
        done = await control.until(job["id"])
        assert (done["status"], done["node"], done["attempt"]) == ("finished", "render", 1), done
        _, [file] = await control.get(f"/api/jobs/{job['id']}/files?response_type=full")
        assert file["size"] == 6_000_004
        assert sum(link.breaks.values()) == 0
        assert 6 * MIB <= link.bytes["there"] < 10 * MIB and link.bytes["back"] - 3 * MIB < 6 * MIB
        before = link.bytes["there"]
        again = await submit(control, source, {})
        assert (await control.until(again["id"]))["status"] == "finished"
        assert link.bytes["there"] - before < MIB  # the content is there already
        await empty(peer)
