"""Connections: those that send no request are closed, there are never too many, and the node knows its addresses."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import time
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest

from tests.conftest import Api, NodeProcess, config_for
from zeus.api.app import Node, running_node
from zeus.config import HttpConfig
from zeus.nodes.addresses import lan_urls

SHUTDOWN = 5.0
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connect(url: str, text: bytes = b"") -> Stream:
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(text)
    return reader, writer


async def closed_within(stream: Stream, seconds: float) -> bool:
    with contextlib.suppress(TimeoutError, ConnectionResetError):
        async with asyncio.timeout(seconds):
            return await stream[0].read(1) == b""
    return False


async def test_half_a_head_is_given_up(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    async with running_node(config_for(tmp_path, http={"port": 0, "header_timeout": 0.4})) as node:
        api = Api(session, node.url)
        token = (await api.get("/api/jobs"))[1]["token"]
        poll = asyncio.create_task(api.get("/api/jobs/long_poll", params={"token": token, "timeout": 3}))
        whole = await connect(node.url, b"GET /api/heartbeat HTTP/1.1\r\nHost: localhost\r\n\r\n")
        body = await connect(
            node.url, b"POST /api/add_job HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 20\r\n\r\n{",
        )  # fmt: skip
        silent = [await connect(node.url, text) for text in (b"", b"G", b"GET /api/jobs HTTP/1.1\r\nHost: loc")]
        dripping = await connect(node.url, b"GET / HTTP/1.1\r\n")
        for _ in range(6):
            await asyncio.sleep(0.05)
            dripping[1].write(b"X: y\r\n")
        for each in (*silent, dripping):
            assert await closed_within(each, 30)
        assert (await whole[0].readline()).startswith(b"HTTP/1.1 200")
        assert not await closed_within(body, 0.5) and (await poll)[0] == 204
        for each in (*silent, dripping, whole, body):
            each[1].close()


async def test_beyond_the_cap_clients_wait(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    config = config_for(tmp_path, http={"port": 0, "max_connections": 5, "header_timeout": 1.0})
    async with running_node(config) as node:
        silent = [await connect(node.url) for _ in range(12)]
        began = time.monotonic()
        # Those that are silent make room in turn, and then it is this one's.
        assert (await Api(session, node.url).get("/api/heartbeat"))[0] == 200
        assert 0.5 < time.monotonic() - began < 30
        for _, writer in silent:
            writer.close()


async def test_many_clients_at_once(node: Node, api: Api) -> None:
    answers = await asyncio.gather(*(api.get("/api/heartbeat") for _ in range(500)))
    assert [status for status, _ in answers] == [200] * 500


async def test_a_node_that_ends_lets_nobody_in(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    async with running_node(config_for(tmp_path)) as node:
        assert (await Api(session, node.url).get("/api/heartbeat"))[0] == 200
    with pytest.raises(OSError):
        await connect(node.url)


async def test_a_download_that_nobody_reads_holds_a_stop_no_longer_than_is_said(
    session: aiohttp.ClientSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zeus.api.app.SHUTDOWN", SHUTDOWN)
    async with running_node(config_for(tmp_path)) as node:
        api = Api(session, node.url)
        job_id = await api.add()
        assert (await api.until(job_id))["status"] == "finished"
        (node.zeus.files.out(job_id) / "out.txt").write_bytes(b"x" * (64 << 20))  # more than any buffer takes
        head = f"GET /api/jobs/{job_id}/download?filename=out.txt HTTP/1.1\r\nHost: localhost\r\n\r\n"
        unread = await connect(node.url, head.encode())
        assert (await unread[0].readline()).startswith(b"HTTP/1.1 200")
        began = time.monotonic()
    assert SHUTDOWN / 2 < time.monotonic() - began < 2 * SHUTDOWN
    unread[1].close()


async def test_status_tells_the_real_port(node: Node, api: Api) -> None:
    assert (await api.get("/api/status"))[1]["port"] == int(node.url.rpartition(":")[2])


async def test_a_wide_node_is_reached_by_what_it_announces(
    spawn_node: Callable[..., NodeProcess], session: aiohttp.ClientSession
) -> None:
    url = spawn_node(http={"host": "0.0.0.0"}).start()
    assert url.startswith("http://127.0.0.1:")
    for each in [url, *lan_urls(HttpConfig(host="0.0.0.0"), int(url.rpartition(":")[2]))]:
        assert (await Api(session, each).get("/api/heartbeat"))[0] == 200


def test_only_a_wide_node_has_addresses_for_others() -> None:
    assert lan_urls(HttpConfig(), 80) == []
    assert lan_urls(HttpConfig(host="192.0.2.1"), 80) == ["http://192.0.2.1:80"]
    for url in lan_urls(HttpConfig(host="0.0.0.0"), 80):
        assert not ipaddress.ip_address(url.removeprefix("http://").removesuffix(":80")).is_loopback
