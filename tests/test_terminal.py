"""What a person sees and presses at a terminal: `zeus top`, `zeus submit --follow`, tables, doctor."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.conftest import HANG, NodeProcess
from tests.console import Terminal, at_terminal
from tests.screen import Screen
from zeus.api.app import Node
from zeus.peers.client import RenderServerProxy


@pytest.fixture
async def server(node: Node) -> AsyncIterator[RenderServerProxy]:
    async with RenderServerProxy(node.url) as made:
        yield made


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "source.noop"
    file.write_text("content")
    return file


def test_the_screen_reader() -> None:
    screen = Screen(3, 5)
    screen.feed("one\r\ntwo\x1b[1mX\x1b[0m\r\n\x1b]0;title\x07abcdefg")
    assert screen.text == "twoX\nabcde\nfg"
    screen.feed("\x1b[2A\x1b[2Kthr\x1b[1D!\x1b[?25l\x1b")
    assert (screen.text, screen.cursor_shown) == ("  th!\nabcde\nfg", False)
    screen.feed("[?1049h\x1b[Hnew")
    assert screen.text == "new" and screen.alternate
    screen.feed("\x1b[?1049l")
    assert "abcde" in screen.text


async def test_top_shows_the_node_and_its_jobs_as_they_change(node: Node, server: RenderServerProxy) -> None:
    running = await server.create_job({"renderer": "noop", "name": "fox.mp4", "args": {"seconds": 60}})
    async with at_terminal("top", "--server", node.url) as terminal:
        text = await terminal.until("fox.mp4")
        assert terminal.screen.alternate and not terminal.screen.cursor_shown and terminal.is_raw
        assert node.url in text and "test-node" in text and "1 running" in await terminal.until("1 running")
        assert re.search(rf"{running.id[:8]}\s+running\s+\S*\s*\d+%\s+.*noop\s+fox.mp4\s+test-node", text)
        later = await server.create_job({"renderer": "noop", "name": "second\x1b[31m"})
        assert later.id[:8] in await terminal.until("second?[31m")
        await server.delete_job(later.id)
        await server.cancel_job(running.id)
        assert "second" not in await terminal.until("cancelled")
        terminal.press("q")
        assert await terminal.ended() == 0
        assert not terminal.screen.alternate and terminal.screen.cursor_shown and not terminal.is_raw


@pytest.mark.parametrize(("how", "code"), [("\x03", 0), ("Q", 0), (signal.SIGTERM, 143), (signal.SIGINT, 0)])
async def test_top_ends_with_the_terminal_as_it_was(node: Node, how: str | signal.Signals, code: int) -> None:
    async with at_terminal("top", "--server", node.url) as terminal:
        await terminal.until("q ends")
        if isinstance(how, str):
            terminal.press("x\x1a" + how)
        else:
            terminal.process.send_signal(how)
        assert await terminal.ended() == code
        assert (terminal.screen.alternate, terminal.screen.cursor_shown, terminal.is_raw) == (False, True, False)


async def test_top_shows_as_many_jobs_as_fit(node: Node, server: RenderServerProxy) -> None:
    await server.create_jobs([{"renderer": "noop", "name": f"job-{number}"} for number in range(40)])
    async with at_terminal("top", "--server", node.url, rows=20) as terminal:
        text = await terminal.until("and 28 more; q ends")
        assert len(text.splitlines()) == 20 and text.count("job-") == 12
        terminal.resize(30, 60)
        text = await terminal.until("and 18 more; q ends")
        assert len(text.splitlines()) == 30 and max(map(len, text.splitlines())) <= 60


async def test_top_lives_through_a_restart_of_the_server(spawn_node: Callable[..., NodeProcess]) -> None:
    node = spawn_node()
    url = await asyncio.to_thread(node.start)
    node.sections = {"http": {"port": int(url.rpartition(":")[2])}}
    async with at_terminal("top", "--server", url) as terminal:
        await terminal.until("q ends")
        await asyncio.to_thread(node.kill)
        await terminal.until("cannot be reached")
        await asyncio.to_thread(node.start)
        async with RenderServerProxy(url) as server:
            await server.create_job({"renderer": "noop", "name": "afterwards"})
        async with asyncio.timeout(HANG):  # its jobs come back before its status does
            while "cannot be reached" in await terminal.until("afterwards"):
                await asyncio.sleep(0.1)
        terminal.press("q")
        assert await terminal.ended() == 0


async def test_top_says_at_once_that_there_is_no_server() -> None:
    async with at_terminal("top", "--server", "http://127.0.0.1:9") as terminal:
        await terminal.until("zeus: http://127.0.0.1:9 cannot be reached: Connection refused.")
        assert await terminal.ended() == 3
        assert "\x1b[?1049h" not in terminal.shown


async def test_following_shows_a_bar_and_how_long_it_takes(node: Node, source: Path) -> None:
    words = ["submit", str(source), "--arg", "seconds=4", "--follow", "--server", node.url]
    async with at_terminal(*words) as terminal:
        text = await terminal.until(" left")
        assert re.search(r"[0-9a-f]{8} noop [━╸╺ ]+ +\d+% \d:\d\d:\d\d \d s left", text), text
        await terminal.until("100%")
        assert await terminal.ended() == 0
        assert terminal.screen.text.endswith(" finished") and terminal.screen.cursor_shown


async def test_following_says_what_a_job_waits_for(node: Node, server: RenderServerProxy, source: Path) -> None:
    first = await server.create_job({"renderer": "noop", "args": {"seconds": 60}})
    words = ["submit", str(source), "--depends-on", first.id[:8], "--follow", "--server", node.url]
    async with at_terminal(*words) as terminal:
        assert "0%" in await terminal.until("waiting")
        await server.cancel_job(first.id)
        await terminal.until("dependency_failed")
        assert await terminal.ended() == 1


@asynccontextmanager
async def following(node: Node, source: Path) -> AsyncIterator[tuple[Terminal, str]]:
    """`submit --follow` of a long job, and the job's id."""
    words = ["submit", str(source), "--arg", "seconds=60", "--follow", "--server", node.url]
    async with at_terminal(*words) as terminal:
        text = await terminal.until(" noop ")
        yield terminal, text.partition("Job ")[2][:36]


async def test_ctrl_c_while_following_cancels_on_request(node: Node, server: RenderServerProxy, source: Path) -> None:
    async with following(node, source) as (terminal, job_id):
        terminal.press("\x03")
        await terminal.until("leave it running (Enter)?")
        assert terminal.screen.cursor_shown
        terminal.press("c\n")
        assert await terminal.ended() == 130
        assert f"{job_id} cancelled" in terminal.screen.text
        assert (await server.get_job(job_id)).status == "cancelled"


@pytest.mark.parametrize("answer", ["\n", "l\n", "\x03", "\x04"])
async def test_ctrl_c_while_following_else_leaves_it_running(
    node: Node, server: RenderServerProxy, source: Path, answer: str
) -> None:
    async with following(node, source) as (terminal, job_id):
        terminal.press("\x03")
        await terminal.until("leave it running (Enter)?")
        terminal.press(answer)
        assert await terminal.ended("\x03" if answer == "\x03" else "") == 130
        assert f"Job {job_id} runs on" in terminal.screen.text
        assert (await server.get_job(job_id)).status == "running"
        await server.cancel_job(job_id)


async def test_a_person_sees_tables(node: Node, server: RenderServerProxy) -> None:
    job = await server.create_job({"renderer": "noop"})
    async with asyncio.timeout(HANG):
        while (await server.get_job(job.id)).status != "finished":
            await asyncio.sleep(0.05)
    async with at_terminal("jobs", "--server", node.url) as terminal:
        assert await terminal.ended() == 0
        assert re.search(rf"{job.id[:8]} +finished +100% +noop", terminal.screen.text)
    async with at_terminal("engines", "--server", node.url, columns=160) as terminal:
        assert await terminal.ended() == 0
        assert re.search(r"noop +yes +1 \(builtin\)", terminal.screen.text)


async def test_doctor_at_a_terminal(tmp_path: Path) -> None:
    async with at_terminal("doctor", rows=60, env={"ZEUS_NODE__STORAGE": str(tmp_path)}) as terminal:
        assert await terminal.ended() in (0, 1)
        assert re.search(r"\d+ ok, \d+ warnings, \d+ fatal$", terminal.screen.text)
        assert re.search(r"^ok +video +A test video", terminal.screen.text, re.M)
