"""What lies on the way of a request that is passed on: another node's answers, and what clients put in theirs."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec
import pytest
from zeroconf import ServiceInfo

from tests.conftest import Api, config_for
from tests.nodes import a_node, until
from zeus.api.app import Node
from zeus.dispatch import inputs
from zeus.nodes.discovery import TYPE, sighting_of
from zeus.nodes.sightings import Sighting
from zeus.peers.client import DownloadDamaged, RenderServerProxy
from zeus.peers.connection import ServerRefused
from zeus.wire import Introduction, NodeEngine

JOB = "22222222-3333-4444-5555-666666666666"
PEER = "99999999-2222-3333-4444-555555555555"


class RawPeer:
    """An open node that says it holds every job, and answers with whatever bytes it is told to."""

    def __init__(self) -> None:
        self.answer, self.portrait = b"", b""
        self.proof, self.proofs = whole(json.dumps({"id": PEER, "name": "raw", "open": True}).encode()), 0
        self.asked: list[bytes] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = re.search(rb"(?i)\ncontent-length: *([0-9]+)", head)
                await reader.readexactly(int(length[1]) if length else 0)
                writer.write(self.told(head))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def told(self, head: bytes) -> bytes:
        if b"/api/nodes/prove " in head:
            self.proofs += 1
            return self.proof
        if b"/api/nodes/self " in head:
            return whole(self.portrait)
        if head.startswith(b"HEAD /api/jobs/") and not self.asked:
            return b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        self.asked.append(head)
        return self.answer


def whole(body: bytes, *headers: bytes) -> bytes:
    lines = [b"HTTP/1.1 200 OK", b"Content-Type: application/json", b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join([*lines, b"", body])


@asynccontextmanager
async def raw_peer() -> AsyncIterator[RawPeer]:
    made = RawPeer()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()


@pytest.fixture
async def both(tmp_path: Path) -> AsyncIterator[tuple[Node, RawPeer]]:
    async with raw_peer() as peer, a_node(tmp_path, "front", http={"open": True}, network={"patience": 1.0}) as node:
        said = await node.zeus.portraits.portrait()
        peer.portrait = msgspec.json.encode(msgspec.structs.replace(said, id=PEER, name="raw"))
        node.zeus.nodes.sightings.put("raw", Sighting(PEER, "raw", (peer.url,), open=True, typed=True))
        await until(lambda: node.zeus.nodes.online(), "the peer is used")
        yield node, peer


async def said_to(node: Node, request: bytes) -> bytes:
    """All that a node answers to bytes, of which the last request asks to close."""
    port = int(node.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    try:
        async with asyncio.timeout(20):
            return await reader.read()
    finally:
        writer.close()


def get(path: bytes, *headers: bytes, last: bool = True) -> bytes:
    lines = [b"GET %s HTTP/1.1" % path, b"Host: 127.0.0.1", *headers, *([b"Connection: close"] if last else [])]
    return b"\r\n".join([*lines, b"", b""])


DOWNLOAD = b"/api/jobs/%s/download?filename=a" % JOB.encode()


HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
REFUSED = (
    HEAD + b"Content-Length: 100\r\n" + CHUNKED,
    HEAD + b"Content-Length: 5, 5\r\n\r\nhello",
    HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    HEAD + b'ETag: "a\rSet-Cookie: b"\r\nContent-Length: 0\r\n\r\n',
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
    b"HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
)
"""Answers by which one request's could become another's, or with which a client could not do anything."""


async def test_a_broken_answer_is_none(both: tuple[Node, RawPeer]) -> None:
    """It is told to be none, soon, though the other node is heard of all the while; what comes next is in step."""
    node, peer = both
    for answer in REFUSED:
        peer.answer = answer
        out = await said_to(node, get(DOWNLOAD, last=False) + get(b"/api/heartbeat"))
        assert out.startswith(b"HTTP/1.1 503 ") and out.count(b"HTTP/1.1 ") == 2, (answer, out)
        assert b"node_away" in out and b"HTTP/1.1 200 OK" in out, (answer, out)
    assert node.zeus.nodes.online()


async def test_nothing_of_another_nodes_loosens_what_a_browser_may_do(both: tuple[Node, RawPeer]) -> None:
    node, peer = both
    own = b"Set-Cookie: a=b\r\nAccess-Control-Allow-Origin: *\r\nContent-Security-Policy: x\r\nRefresh: 0\r\n"
    for place in (b"/\\evil.example", b"//evil.example", b"http://evil.example/", b"/\x09/evil.example"):
        peer.answer = b"HTTP/1.1 302 Found\r\nLocation: " + place + b"\r\n" + own + b"Content-Length: 0\r\n\r\n"
        out = await said_to(node, get(DOWNLOAD))
        assert out.startswith(b"HTTP/1.1 302 ") and b"evil" not in out, out
        assert not any(line.split(b":")[0] + b":" in out for line in (*own.split(b"\r\n")[:2], b"Refresh: 0")), out
        assert out.count(b"Content-Security-Policy: sandbox; ") == out.count(b"Content-Security-Policy") == 1


async def test_what_a_client_sends_that_no_header_may_hold(both: tuple[Node, RawPeer]) -> None:
    """It never becomes a request of its own there, nor an error here; nothing says who the client is."""
    node, peer = both
    peer.answer = whole(b"{}")
    secret = (b"Cookie: zeus_session=x", b"Authorization: Bearer x", b"X-Forwarded-For: 1.2.3.4", b"TE: trailers")
    for header in (b"Range: bytes=0-\xff", b"Range: a\tb", b'If-Range: "\xc3\xa4"', b"Content-Type: \x80/x"):
        assert (await said_to(node, get(DOWNLOAD, header, *secret))).startswith(b"HTTP/1.1 200 ")
        asked = peer.asked[-1].lower()
        assert b"via: 1.1 zeus" in asked and asked.count(b"host: ") == 1
        assert not any(each.split(b":")[0].lower() + b":" in asked for each in secret), asked


async def test_job_objects_that_are_none(both: tuple[Node, RawPeer]) -> None:
    """Nesting without an end is refused; a proxy before the other node may compress what clients accept so."""
    node, peer = both
    path = b"/api/jobs/" + JOB.encode()
    peer.answer = whole(b'{"x":' + b"[" * 100_000)
    assert b"503 Service Unavailable" in await said_to(node, get(path))
    peer.answer = whole(b'{"id":"x","handled_by":"raw"}')
    assert b'"handled_by":"front"' in await said_to(node, get(path, b"Accept-Encoding: gzip"))
    assert b"gzip" not in peer.asked[-1]


async def test_a_heart_goes_on_beating_whatever_answers(tmp_path: Path) -> None:
    """One who only spoofs a paired node's address must not end the search for it."""
    answers = [
        b'{"x":' + b"[" * 60_000,
        json.dumps({"id": PEER, "name": "x", "open": False, "proof": "\u00e4"}).encode(),
    ]
    async with raw_peer() as peer, a_node(tmp_path, "front") as node:
        known = Introduction(PEER, "raw", (peer.url,))
        await node.zeus.nodes.trust.keep(known, "", shown="secret", taken="other")
        for answer in answers:
            for status in (b"200 OK", b"400 Bad Request"):
                peer.proof = whole(answer).replace(b"200 OK", status)
                proven = peer.proofs
                node.zeus.nodes.settle()
                await until(lambda seen=proven: peer.proofs > seen + 2, f"the next beats after {answer[:20]!r}")
        assert not node.zeus.nodes.online()


async def test_on_an_open_node_a_paired_ones_name_is_not_enough(tmp_path: Path) -> None:
    async with a_node(tmp_path, "open", http={"open": True}) as node:
        known = Introduction(PEER, "raw", ())
        await node.zeus.nodes.trust.keep(known, "http://127.0.0.1:9", shown="secret", taken="other")
        share = b'{"renderer": "noop", "share": {"node": "%s", "job_id": "x", "attempt": 1}}' % PEER.encode()
        for token, status in ((b"wrong", b"400"), (b"other", b"200")):
            lines = [b"POST /api/add_job HTTP/1.1", b"Host: 127.0.0.1", b"Connection: close",
                     b"Content-Type: application/json", b"X-Zeus-Node: " + PEER.encode(),
                     b"Authorization: Bearer " + token, b"Content-Length: %d" % len(share), b"", share]  # fmt: skip
            out = await said_to(node, b"\r\n".join(lines))
            assert out.startswith(b"HTTP/1.1 " + status), out


async def test_pairing_says_which_field_is_wrong(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    async with a_node(tmp_path, "one") as one, a_node(tmp_path, "two") as two:
        api = Api(session, one.url)
        for url in ("http://h:0", "http://h:99999", "http://[::1", "http://:8080", "http://a:b:c"):
            status, told = await api.post("/api/nodes", json={"url": url, "code": "12345678"})
            assert (status, told["message"].partition(":")[0]) == (400, "url"), told
        status, told = await api.post("/api/nodes", json={"url": one.url})
        assert (status, told["error"]) == (400, "own_node") and "copy of its storage" in told["message"]
        (two.zeus.files.root / "tokens.json").write_text("[{")
        code = two.zeus.pairing.begin().code
        status, told = await Api(session, two.url).post(
            "/api/nodes", json={"url": one.url, "code": one.zeus.pairing.begin().code}
        )
        assert (status, told["error"], "tokens.json" in told["message"]) == (503, "tokens_damaged", True), told
        status, told = await api.post("/api/nodes", json={"url": two.url, "code": code})
        assert (status, told["error"]) == (400, "node_unreachable") and "tokens.json" in told["message"], told
        assert str(tmp_path) not in json.dumps(told)


def test_loopback_by_another_spelling_is_not_announced() -> None:
    for address in ("::ffff:127.0.0.1", "::ffff:0.0.0.0", "::1", "127.0.0.1", "169.254.1.1", "::ffff:224.0.0.1"):
        packed = ipaddress.ip_address(address).packed
        info = ServiceInfo(TYPE, f"x.{TYPE}", port=80, addresses=[packed], properties={"id": PEER, "name": "x"})
        assert sighting_of(info) is None, address


async def test_an_address_of_the_settings_that_is_none_hides_no_other(tmp_path: Path) -> None:
    with pytest.raises(msgspec.ValidationError, match="peers"):
        config_for(tmp_path, network={"peers": ["http://me:secret@render-1:8080"]})
    async with a_node(tmp_path, "one") as one:
        network = {"peers": ["http://h:99999", "http://[::1", one.url]}
        async with a_node(tmp_path, "two", network=network) as two:
            await until(lambda: list(two.zeus.nodes.sightings), "the right one is seen")


async def test_an_answer_about_an_upload_has_an_end() -> None:
    async with raw_peer() as peer:
        peer.asked = [b""]
        peer.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n" + b"[" * (1 << 20)
        async with RenderServerProxy(peer.url) as proxy, asyncio.timeout(20):
            with pytest.raises(ServerRefused, match="more than"):
                await proxy.begin_upload("a", 1, "0" * 64)
            with pytest.raises(ServerRefused, match="more than"):
                await proxy.get_upload("x")


async def test_a_download_with_odd_headers(tmp_path: Path) -> None:
    """Neither names of versions nor digests that cannot be break more than the download."""
    target = tmp_path / ("x" * 200)
    async with raw_peer() as peer, RenderServerProxy(peer.url) as proxy:
        peer.asked = [b""]
        for tag in (b"a" * 4000, b"/" * 48, b"../../evil", b"\xc3\xa4", b"\xff"):
            peer.answer = whole(b"hello", b'ETag: "%s"' % tag)
            await proxy.download_job_file("a", "b", target)
            assert target.read_bytes() == b"hello"
            target.unlink()
        peer.answer = whole(b"hello", b"Repr-Digest: sha-256=:A:")
        with pytest.raises(DownloadDamaged):
            await proxy.download_job_file("a", "b", target)
    assert not await asyncio.to_thread(lambda: list(tmp_path.iterdir()))


async def test_a_file_that_cannot_be_sent_to_be_checked(
    both: tuple[Node, RawPeer], session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the other node says of it, or this machine's disk, it is a clear answer."""
    node, peer = both
    api, said = Api(session, node.url), await node.zeus.portraits.portrait()
    able = NodeEngine(available=True, slots=1, free=1, inspects=True, extensions=["else"])
    changed = msgspec.structs.replace(said, id=PEER, name="raw", engines={"elsewhere": able})
    peer.portrait = msgspec.json.encode(changed)
    await until(lambda: "elsewhere" in node.zeus.foreign.names(), "its engine is known")
    _, upload = await api.post("/api/uploads", json={"name": "a.else", "size": 1})
    headers = {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
    assert (await api.request("PATCH", f"/api/uploads/{upload['id']}", data=b"x", headers=headers))[0] == 204
    peer.asked = [b""]
    for code in ("digest_mismatch", "wrong_offset", "job_not_found", "no\nsuch"):
        body = json.dumps({"error": code, "message": "it is so"}).encode()
        peer.answer = whole(body).replace(b"200 OK", b"409 Conflict")
        status, told = await api.post("/api/add_job", json={"renderer": "elsewhere", "upload": upload["id"]})
        assert (status, told["error"]) == (503, "engine_not_ready"), told
        status, told = await api.get(f"/api/uploads/{upload['id']}/facts")
        assert status in (200, 503), told

    def gone(path: Path) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(inputs, "digest", gone)
    node.zeus.foreign._inputs._digests.clear()
    status, told = await api.post("/api/add_job", json={"renderer": "elsewhere", "upload": upload["id"]})
    assert (status, told["error"]) == (400, "file_not_found") and "/" not in told["message"], told
