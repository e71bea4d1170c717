"""`zeus engines install` and `remove`: in a pipe, at a terminal, for programs; and the client's own methods."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.conftest import STUBS, config_for
from tests.console import at_terminal, start, zeus
from tests.releases import ENGINES, Publisher, publisher
from zeus.api.app import Node, running_node
from zeus.peers.client import RenderServerProxy, ServerRefused


@pytest.fixture
async def mirror() -> AsyncIterator[Publisher]:
    async with publisher() as made:
        for version in ("4.2.3", "4.5.1", "5.0.0"):
            made.publish(version)
        yield made


@pytest.fixture
async def node(tmp_path: Path, mirror: Publisher) -> AsyncIterator[Node]:
    plugins = {"folders": [str(STUBS / "plugins"), str(ENGINES)]}
    async with running_node(config_for(tmp_path, plugins=plugins, engines={"tooled": {"mirror": mirror.url}})) as made:
        yield made


async def test_install_and_remove_in_a_pipe(node: Node) -> None:
    done = await zeus("engines", "install", "tooled", "4.2", "--server", node.url)
    assert (done.code, done.err) == (0, "")
    assert re.fullmatch(r"(tooled 4\.2\.3 \d+%\n)*tooled 4\.2\.3 100%\ntooled 4\.2\.3 is installed\n", done.out)
    again = await zeus("engines", "install", "tooled", "4.2.3", "--json", "--server", node.url)
    assert again.code == 0 and again.json == {"engine": "tooled", "version": "4.2.3", "installed": True}
    newest = await zeus("engines", "install", "tooled", "--server", node.url)
    assert newest.out.endswith("tooled 5.0.0 is installed\n")
    listed = await zeus("engines", "--server", node.url)
    assert "tooled\tyes\t5.0.0 (managed), 4.2.3 (managed)" in listed.out
    done = await zeus("engines", "remove", "tooled", "4.2.3", "--server", node.url)
    assert (done.code, done.out) == (0, "tooled 4.2.3 is removed\n")
    done = await zeus("engines", "remove", "tooled", "4.2.3", "--server", node.url)
    assert done.code == 1 and "has not installed" in done.err
    listed = await zeus("engines", "list", "--json", "--server", node.url)
    assert listed.json["tooled"]["versions"] == [{"version": "5.0.0", "source": "managed"}]


async def test_what_cannot_be_installed_is_exit_code_1(node: Node, mirror: Publisher) -> None:
    done = await zeus("engines", "install", "tooled", "9.9", "--server", node.url)
    assert done.code == 1 and "there are: 5.0, 4.5, 4.2" in done.err
    done = await zeus("engines", "install", "noop", "--server", node.url)
    assert done.code == 1 and "manages no versions of noop" in done.err
    mirror.publish("4.2.3", sha256="1" * 64)
    done = await zeus("engines", "install", "tooled", "4.2.3", "--server", node.url)
    assert done.code == 1 and "tooled 4.2.3 was not installed: " in done.err and "1" * 64 in done.err
    listed = await zeus("engines", "--server", node.url)
    assert "4.2.3 (failed" in listed.out


async def test_a_person_sees_a_bar(node: Node, mirror: Publisher) -> None:
    mirror.gate.clear()
    async with at_terminal("engines", "install", "tooled", "lts", "--server", node.url) as terminal:
        shown = await terminal.until("downloading")
        assert "tooled 4.5.1" in shown and "%" in shown
        mirror.gate.set()
        assert await terminal.ended() == 0
        assert "tooled 4.5.1 is installed" in terminal.screen.text


async def test_an_interrupt_leaves_the_node_at_it(node: Node, mirror: Publisher) -> None:
    mirror.gate.clear()
    process = await start("engines", "install", "tooled", "--server", node.url)
    while not node.zeus.downloads.under_way("tooled"):
        await asyncio.sleep(0.02)
    process.terminate()
    await process.communicate()
    mirror.gate.set()
    while not node.zeus.downloads.managed("tooled"):
        await asyncio.sleep(0.02)


async def test_the_clients_methods(node: Node) -> None:
    async with RenderServerProxy(node.url) as server:
        found = await server.get_engine_release("tooled", "4")
        assert (found.version, found.versions, found.available) == ("4.5.1", ["4.5.1", "4.2.3"], True)
        assert not (await server.get_engine_release("tooled", system_os="macos")).available
        newest = await server.get_most_recent_version("tooled")
        assert (newest.version, newest.lts) == ("5.0.0", "4.5.1")
        coming = await server.download_engine("tooled", "4.5.1")
        assert coming.version == "4.5.1"
        while (engine := await server.get_engine("tooled")).downloads:
            assert engine.downloads[0].reason is None
            await asyncio.sleep(0.05)
        assert [each.version for each in engine.versions] == ["4.5.1"]
        await server.delete_engine_download("tooled", "4.5.1")
        with pytest.raises(ServerRefused) as refused:
            await server.delete_engine_download("tooled", "4.5.1")
        assert refused.value.code == "version_not_found"
