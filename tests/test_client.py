"""The client library against a real node, and against servers that fail in every way that networks do."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import subprocess
import sys
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.conftest import HANG
from zeus import RenderServerProxy
from zeus.api.app import Node
from zeus.errors import BadInput
from zeus.peers import connection as connection_module
from zeus.peers.client import API_VERSION, DownloadDamaged, ServerRefused, ServerUnreachable
from zeus.wire import JobView

NOWHERE = "http://127.0.0.1:9"
CONTENT = bytes(range(256)) * 8192
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture
async def server(node: Node) -> AsyncIterator[RenderServerProxy]:
    async with RenderServerProxy(node.url) as made:
        yield made


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[RenderServerProxy]:
    """A client of a server that answers everything with one handler."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return await handler(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    made = TestServer(app)
    await made.start_server()
    try:
        async with RenderServerProxy(str(made.make_url("/"))) as proxy:
            yield proxy
    finally:
        await made.close()


def names_in(folder: Path, pattern: str = "*") -> list[str]:
    return sorted(path.name for path in folder.glob(pattern))


async def ended(server: RenderServerProxy, job_id: str) -> JobView:
    async with asyncio.timeout(HANG):
        listed = await server.get_jobs()
        while (job := await server.get_job(job_id)).status not in ("finished", "failed", "cancelled"):
            listed = await server.long_poll(listed.token, timeout=1) or listed
    return job


async def test_a_job_from_a_prompt_of_fields_to_its_files(server: RenderServerProxy, tmp_path: Path) -> None:
    job = await server.create_job({"renderer": "noop", "name": "N", "args": {"files": ["a.txt"], "content": "hi"}})
    assert (job.name, job.status, job.id) == ("N", "queued", job.job_id)
    assert (await ended(server, job.id)).status == "finished"
    assert await server.get_job_files(job.id) == ["a.txt"]
    seen: list[tuple[int, int | None]] = []
    await server.download_job_file(job.id, "a.txt", tmp_path / "got.txt", lambda *each: seen.append(each))
    assert ((tmp_path / "got.txt").read_text(), seen) == ("hi", [(2, 2)])
    assert names_in(tmp_path, "*.part") == []
    assert isinstance(await server.get_job_logs(job.id), str)
    await server.delete_job(job.id)
    with pytest.raises(ServerRefused) as refused:
        await server.get_job(job.id)
    assert (refused.value.status, refused.value.code) == (404, "job_not_found")


@pytest.mark.parametrize("name", ["plain.noop", "with space.noop", "ünï-códe 🦊.noop", "per%20cent.noop", "a'b.noop"])
async def test_an_upload_arrives_with_its_name_and_bytes(
    server: RenderServerProxy, node: Node, tmp_path: Path, name: str
) -> None:
    file = tmp_path / name
    file.write_bytes(CONTENT)
    seen: list[tuple[int, int | None]] = []
    job = await server.create_job({"args": {"seconds": 30}}, file, lambda *each: seen.append(each))
    assert job.renderer == "noop"
    stored = [path for path in node.zeus.files.root.glob("jobs/*/input/*") if path.is_file()]
    assert [path.name for path in stored] == [name]
    assert stored[0].read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert (await server.cancel_job(job.id)).status == "cancelled"


async def test_a_large_upload_takes_little_memory(server: RenderServerProxy, tmp_path: Path) -> None:
    file = tmp_path / "large.noop"
    with file.open("wb") as opened:
        opened.truncate(200 << 20)
    tracemalloc.start()
    try:
        job = await server.create_job({}, file)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 64 << 20
    assert (await ended(server, job.id)).status == "finished"


async def test_what_the_server_refuses_is_typed(server: RenderServerProxy, tmp_path: Path) -> None:
    with pytest.raises(ServerRefused) as refused:
        await server.create_job({"renderer": "nope"})
    assert (refused.value.status, refused.value.code) == (400, "unknown_engine")
    assert "noop" in refused.value.message
    with pytest.raises(ServerRefused):
        await server.get_job("../../etc")
    file = tmp_path / "a.noop"
    file.write_bytes(b"")
    with pytest.raises(ServerRefused, match="empty"):
        await server.create_job({}, file)


async def test_status_engines_and_models(server: RenderServerProxy) -> None:
    assert await server.check_connection()
    status = await server.get_status()
    assert (status.hostname, status.api_version) == ("test-node", API_VERSION)
    assert "noop" in await server.get_engine_names()
    assert await server.get_engine_for_filename("A.NOOP") == "noop"
    assert isinstance((await server.get_model_status()).message, str)


async def test_long_poll_tells_a_change_and_a_quiet_time(server: RenderServerProxy) -> None:
    token = (await server.get_jobs()).token
    assert await server.long_poll(token, timeout=1) is None
    waiting = asyncio.create_task(server.long_poll(token))
    await server.create_job({"renderer": "noop"})
    changed = await waiting
    assert changed and changed.token != token and changed.jobs


async def test_an_unreachable_server_is_typed() -> None:
    async with RenderServerProxy(NOWHERE) as server:
        with pytest.raises(ServerUnreachable, match=r"127.0.0.1:9 cannot be reached: Connection refused"):
            await server.get_jobs()
        with pytest.raises(ServerUnreachable):
            await server.create_job({})
        assert not await server.check_connection()


async def test_a_server_that_does_not_answer_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(request: web.Request) -> web.Response:
        await asyncio.sleep(1)
        return web.Response()

    async with serving(silent) as server:
        with pytest.raises(ServerUnreachable, match="took too long"):
            await server.request("POST", "/", wait=0.1)


@pytest.mark.parametrize("url", ["", "ftp://a", "http://", "http://a:b", "http://[::1", "://"])
def test_what_is_no_url_is_told(url: str) -> None:
    with pytest.raises(BadInput, match="is not a server's URL"):
        RenderServerProxy(url)


@pytest.mark.parametrize(("method", "expected"), [("GET", 3), ("POST", 1)])
async def test_only_reads_are_retried(method: str, expected: int) -> None:
    calls = 0

    async def busy(request: web.Request) -> web.Response:
        nonlocal calls
        calls += 1
        return web.json_response({"error": "busy", "message": "Later."}, status=503)

    async with serving(busy) as server:
        with pytest.raises(ServerRefused, match="Later") as refused:
            await server.request(method, "/")
    assert (refused.value.code, calls) == ("busy", expected)


async def test_a_cut_connection_is_retried_for_reads_alone() -> None:
    calls: list[str] = []

    async def cut(request: web.Request) -> web.Response:
        calls.append(request.method)
        if len(calls) < 3 and request.transport:
            request.transport.abort()
        return web.json_response({"ready": True, "building": False, "message": ""})

    async with serving(cut) as server:
        assert (await server.get_model_status()).ready
        assert calls == ["GET"] * 3
        calls.clear()
        with pytest.raises(ServerUnreachable):
            await server.generate("a fox")
        assert calls == ["POST"]


@pytest.mark.parametrize("body", [b"<html>not json", b"{}", b'{"jobs": 3, "token": ""}', b"\xff"])
async def test_another_program_at_that_address_is_told(body: bytes) -> None:
    async def other(request: web.Request) -> web.Response:
        return web.Response(body=body)

    async with serving(other) as server:
        with pytest.raises(ServerRefused, match="not one of Zeus's API") as refused:
            await server.get_jobs()
    assert refused.value.code == "unexpected_answer"


async def test_unknown_fields_are_left_aside_and_plain_errors_told() -> None:
    async def newer(request: web.Request) -> web.Response:
        if request.path == "/api/model-status":
            return web.json_response({"ready": True, "building": False, "message": "", "more": 1})
        return web.Response(status=404, text="nothing\nhere")

    async with serving(newer) as server:
        assert (await server.get_model_status()).ready
        with pytest.raises(ServerRefused, match="The server answered 404: nothing") as refused:
            await server.get_jobs()
    assert refused.value.code == "http_404"


async def test_the_token_is_sent_and_the_version_header_is_not() -> None:
    seen: list[web.Request] = []

    async def look(request: web.Request) -> web.Response:
        seen.append(request)
        return web.Response(status=302, headers={"Location": NOWHERE})

    async with serving(look) as plain, aiohttp.ClientSession() as session:
        server = RenderServerProxy(plain.url, token="s3cret", session=session)
        with pytest.raises(ServerRefused) as refused:
            await server.get_jobs()
        await server.close()
        assert not session.closed
    assert refused.value.status == 302
    assert seen[0].headers["Authorization"] == "Bearer s3cret"
    assert "X-API-Version" not in seen[0].headers


async def test_a_unix_socket_serves_as_well(tmp_path: Path) -> None:
    async def hello(request: web.Request) -> web.Response:
        return web.Response(text=request.headers["Host"])

    app = web.Application()
    app.router.add_get("/api/heartbeat", hello)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, tmp_path / "socket").start()
    async with RenderServerProxy(f"unix:{tmp_path}/socket") as server:
        assert (await server.request("GET", "/api/heartbeat")).body == b"localhost"
    await runner.cleanup()
    async with RenderServerProxy(f"unix:{tmp_path}/socket") as server:
        with pytest.raises(ServerUnreachable):
            await server.get_jobs()


class FlakyFile:
    """Serves CONTENT, as far as each of `cuts` says before it breaks the connection; no cut: to the end."""

    def __init__(self, file: Path, *cuts: int, digest: bytes = CONTENT) -> None:
        file.write_bytes(CONTENT)
        self.file = file
        self.cuts = list(cuts)
        self.digest = base64.b64encode(hashlib.sha256(digest).digest()).decode()
        self.ranges: list[str | None] = []

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        self.ranges.append(request.headers.get("Range"))
        headers = {"Repr-Digest": f"sha-256=:{self.digest}:"}
        if not self.cuts:
            return web.FileResponse(self.file, headers=headers)
        start = int((self.ranges[-1] or "bytes=0-")[6:-1])
        stat = self.file.stat()
        headers |= {"Content-Length": str(len(CONTENT) - start), "ETag": f'"{stat.st_mtime_ns:x}-{stat.st_size:x}"'}
        response = web.StreamResponse(status=206 if start else 200, headers=headers)
        await response.prepare(request)
        await response.write(CONTENT[start : start + self.cuts.pop(0)])
        await asyncio.sleep(0.2)  # what has arrived unread when the connection breaks is lost
        assert request.transport
        request.transport.close()
        return response


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "FIRST_DELAY", 0.001)


async def test_a_cut_download_is_resumed(tmp_path: Path, hasty: None) -> None:
    flaky = FlakyFile(tmp_path / "source", 100_000, 500_000, 1, 1)
    async with serving(flaky) as server:
        await server.download_job_file("j", "f", tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == CONTENT
    assert flaky.ranges == [None, "bytes=100000-", "bytes=600000-", "bytes=600001-", "bytes=600002-"]
    assert names_in(tmp_path) == ["got", "source"]


async def test_a_download_is_resumed_by_a_later_program(tmp_path: Path, hasty: None) -> None:
    target = tmp_path / "got[1] é.mp4"
    async with serving(FlakyFile(tmp_path / "source", 1000, 0, 0)) as server:
        with pytest.raises(ServerUnreachable):
            await server.download_job_file("j", "f", target)
    assert not target.exists()
    second = FlakyFile(tmp_path / "source2")
    (tmp_path / "source2").unlink()
    second.file = tmp_path / "source"
    async with serving(second) as server:
        await server.download_job_file("j", "f", target)
    assert second.ranges == ["bytes=1000-"]
    assert target.read_bytes() == CONTENT


async def test_a_part_of_another_version_is_thrown_away(tmp_path: Path) -> None:
    (tmp_path / "got.other-version.part").write_bytes(b"stale")
    async with serving(FlakyFile(tmp_path / "source")) as server:
        await server.download_job_file("j", "f", tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == CONTENT
    assert names_in(tmp_path) == ["got", "source"]


async def test_a_part_that_is_whole_already_does_no_harm(tmp_path: Path) -> None:
    flaky = FlakyFile(tmp_path / "source")
    stat = flaky.file.stat()
    (tmp_path / f"got.{stat.st_mtime_ns:x}-{stat.st_size:x}.part").write_bytes(CONTENT)
    async with serving(flaky) as server:
        await server.download_job_file("j", "f", tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == CONTENT


async def test_damage_on_the_way_is_told(tmp_path: Path) -> None:
    (tmp_path / "got").write_text("before")
    async with serving(FlakyFile(tmp_path / "source", digest=b"another")) as server:
        with pytest.raises(DownloadDamaged):
            await server.download_job_file("j", "f", tmp_path / "got")
    assert (tmp_path / "got").read_text() == "before"
    assert names_in(tmp_path, "*.part") == []


async def test_a_resumed_part_that_was_damaged_is_told(tmp_path: Path) -> None:
    flaky = FlakyFile(tmp_path / "source")
    stat = flaky.file.stat()
    (tmp_path / f"got.{stat.st_mtime_ns:x}-{stat.st_size:x}.part").write_bytes(b"x" * 1000)
    async with serving(flaky) as server:
        with pytest.raises(DownloadDamaged):
            await server.download_job_file("j", "f", tmp_path / "got")
        await server.download_job_file("j", "f", tmp_path / "got")
    assert flaky.ranges == ["bytes=1000-", None]


async def test_a_download_that_never_gets_on_is_given_up(tmp_path: Path, hasty: None) -> None:
    flaky = FlakyFile(tmp_path / "source", *[0] * 20)
    async with serving(flaky) as server:
        with pytest.raises(ServerUnreachable):
            await server.download_generated("j", tmp_path / "got")
    assert len(flaky.ranges) == 3


def test_importing_zeus_and_its_command_line_loads_nothing_heavy() -> None:
    program = (
        "import sys, zeus, zeus.cli\n"
        "heavy = {'aiohttp', 'rich.console', 'av', 'numpy', 'PIL', 'torch'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "from zeus import RenderServerProxy\n"
        "assert 'aiohttp' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    with pytest.raises(AttributeError):
        __import__("zeus").nothing  # noqa: B018
