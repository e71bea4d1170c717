"""Who is let in: host names, other sites' pages, tokens, and what a proxy in front changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Api, NodeProcess
from zeus.api.app import Node

OURS = [
    "127.0.0.1",
    "localhost",
    "LOCALHOST:1234",
    "192.168.1.5:8080",
    "[::1]",
    "[::1]:80",
    "test-node",
    "test-node.local",
]
FOREIGN = [
    "evil.example",
    "localhost.evil.example",
    "",
    "127.0.0.1.evil.example",
    "a b",
    "127.0.0.1:x",
    "[::1",
    "user@localhost",
]
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


async def raw(node: Node, request: str) -> bytes:
    host, port = node.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request.encode("latin-1"))
    answer = await asyncio.wait_for(reader.read(4096), 30)
    writer.close()
    return answer


@pytest.mark.parametrize("host", OURS)
async def test_our_names(api: Api, host: str) -> None:
    assert (await api.get("/api/jobs", headers={"Host": host}))[0] == 200


@pytest.mark.parametrize("host", FOREIGN)
@pytest.mark.parametrize("method", METHODS)
async def test_foreign_names(api: Api, host: str, method: str) -> None:
    status, _ = await api.request(method, "/api/jobs", headers={"Host": host})
    assert status in (400, 403)


async def test_no_host_two_hosts_and_absolute_targets(node: Node) -> None:
    assert b" 403 " in (await raw(node, "GET /api/jobs HTTP/1.0\r\n\r\n"))[:30]
    two = await raw(node, "GET /api/jobs HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n")
    assert two[9:12] in (b"400", b"403")
    absolute = await raw(node, "GET http://localhost/api/jobs HTTP/1.1\r\nHost: evil.example\r\n\r\n")
    assert absolute[9:12] in (b"400", b"403")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("headers", [
    {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1:1"},
    {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
    {"Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"},
])  # fmt: skip
async def test_pages_of_other_sites(api: Api, method: str, headers: dict[str, str]) -> None:
    for path in ("/api/jobs", "/api/add_job", "/api/heartbeat", "/files/a/out.mp4", "/nothing"):
        assert (await api.request(method, path, headers=headers))[0] == 403


async def test_our_own_page_and_plain_programs(api: Api) -> None:
    own = {"Origin": api.url, "Sec-Fetch-Site": "same-origin"}
    for headers in ({}, own, {"Sec-Fetch-Site": "none"}):
        assert (await api.get("/api/jobs", headers=headers))[0] == 200
        assert (await api.post("/api/add_job", json={"renderer": "noop"}, headers=headers))[0] == 200


@pytest.mark.parametrize("path", ["/api/add_job", "/api/generate"])
async def test_only_who_may_come_in_is_told_to_go_on(node: Node, path: str) -> None:
    body = "Content-Type: application/json\r\nContent-Length: 2\r\n"
    head = f"POST {path} HTTP/1.1\r\nHost: %s\r\n{body}Expect: %s\r\nConnection: close\r\n\r\n"
    assert (await raw(node, head % ("evil.example", "100-continue") + "{}")).startswith(b"HTTP/1.1 403")
    assert (await raw(node, head % ("localhost", "100-continue"))) == b"HTTP/1.1 100 Continue\r\n\r\n"
    answer = await raw(node, head % ("localhost", "200-ok") + "{}")
    assert answer.startswith(b"HTTP/1.1 417") and b'{"error":"bad_request"' in answer
    plain = await raw(node, (head % ("localhost", "x")).replace("Connection", "X-API-Version: 0.1\r\nConnection"))
    assert plain.startswith(b"HTTP/1.1 417") and b"text/plain" in plain


async def test_beyond_loopback_a_token_is_needed(
    spawn_node: Callable[..., NodeProcess], api: Api, tmp_path: Path
) -> None:
    node = spawn_node(http={"host": "0.0.0.0"})
    wide = Api(api.session, node.start().replace("0.0.0.0", "127.0.0.1"))
    path = tmp_path / "spawned/storage/token"
    assert path.stat().st_mode & 0o777 == 0o600
    token = path.read_text().strip()
    assert (await wide.get("/api/jobs"))[0] == 200  # loopback stays open
    proxied = {"X-Forwarded-For": "127.0.0.1"}
    status, error = await wide.get("/api/jobs", headers=proxied)
    assert (status, error["error"]) == (401, "unauthorized")
    for wrong in ("Bearer x", "Bearer", f"Basic {token}", f"Bearer {token}x", "Bearer ü"):
        assert (await wide.get("/api/jobs", headers={**proxied, "Authorization": wrong}))[0] == 401
    assert (await wide.get("/api/jobs", headers={**proxied, "Authorization": f"Bearer {token}"}))[0] == 200
    assert (await wide.get("/api/heartbeat", headers=proxied))[0] == 200


async def test_open_asks_for_no_token(spawn_node: Callable[..., NodeProcess], api: Api, tmp_path: Path) -> None:
    node = spawn_node(http={"host": "0.0.0.0", "open": True})
    wide = Api(api.session, node.start().replace("0.0.0.0", "127.0.0.1"))
    assert (await wide.get("/api/jobs", headers={"X-Forwarded-For": "1.2.3.4"}))[0] == 200
    assert not (tmp_path / "spawned/storage/token").exists()
