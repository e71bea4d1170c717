"""`zeus doctor`: what it finds on this machine, and on machines with troubles of every kind."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.conftest import config_for
from tests.console import zeus
from tests.nodes import a_node, befriend, peer_of, until
from zeus.api.app import Node
from zeus.cli.checks import Finding, host, network, nodes, tools
from zeus.config import Config, NetworkConfig
from zeus.gpus import Gpu

CHECKS = {"python", "sqlite", "libraries", "engine blender", "engine ffmpeg", "engine video", "video", "ffmpeg", 
          "codecs", "hardware encoders", "gpu", "disk", "disk speed", "clock", "port", "multicast"}  # fmt: skip


async def test_a_machine_that_can_run_a_node(tmp_path: Path) -> None:
    env = {"ZEUS_NODE__STORAGE": str(tmp_path / "not" / "yet"), "ZEUS_HTTP__PORT": "0"}
    done = await zeus("doctor", "--json", **env)
    found = {each["check"]: each for each in done.json["findings"]}
    assert set(found) == CHECKS
    assert (done.code, done.json["fatal"], done.err) == (0, False, "")
    assert all(each["remedy"] for each in found.values() if each["level"] != "ok")
    assert not (tmp_path / "not").exists()
    lines = (await zeus("doctor", **env)).out.splitlines()
    assert lines[0] == "level\tcheck\tfinding\tremedy" and len(lines) == len(CHECKS) + 1


async def test_fatal_findings_are_exit_code_1(tmp_path: Path) -> None:
    (tmp_path / "zeus.toml").write_text("[engines.nonsense]\nslots = 1")
    done = await zeus("doctor", "--config", str(tmp_path / "zeus.toml"))
    assert (done.code, done.err) == (1, "")
    assert "fatal\tengines\tengines.nonsense: there is no such engine" in done.out
    done = await zeus("doctor", "--json", ZEUS_HTTP__PORT="x")
    assert (done.code, done.json["findings"][0]["check"], done.json["fatal"]) == (1, "settings", True)


async def test_the_port(node: Node, tmp_path: Path) -> None:
    number = int(node.url.rpartition(":")[2])
    answered = await network.port(config_for(tmp_path, http={"port": number}))
    assert answered == Finding("port", "ok", f"A node answers at 127.0.0.1:{number}.")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        refused = await network.port(config_for(tmp_path, http={"port": number, "host": "localhost"}))
        assert refused.level == "fatal" and "Another program" in refused.message
    free = await network.port(config_for(tmp_path, http={"port": number}))
    assert free == Finding("port", "ok", f"127.0.0.1:{number} is free.")
    foreign = await network.port(config_for(tmp_path, http={"port": number, "host": "192.0.2.1"}))
    assert foreign.level == "fatal" and "cannot be listened on" in foreign.message


async def test_a_missing_ffmpeg_and_a_broken_plugin(tmp_path: Path) -> None:
    (tmp_path / "plugins" / "bad").mkdir(parents=True)
    (tmp_path / "plugins" / "bad" / "__init__.py").write_text("import nothing_like_this")
    config = config_for(tmp_path, plugins={"folders": [str(tmp_path / "plugins")]})
    config = Config(plugins=config.plugins, engines={"ffmpeg": {"path": "/nowhere/ffmpeg"}})
    found = {each.check: each for each in await tools.look(config)}
    assert found["ffmpeg"].level == "fatal" and "FFmpeg" in found["ffmpeg"].remedy
    assert found["engine ffmpeg"].level == "warning" and found["engine video"].level == "ok"
    assert found["engine bad"].level == "warning" and "nothing_like_this" in found["engine bad"].message


def test_a_build_that_lacks_codecs() -> None:
    lines = [f" V....D {name}   described" for name in tools.CODECS]
    assert tools._codecs(lines).level == "ok"
    assert tools._codecs(lines[:-1]).level == "warning" and "Vorbis" in tools._codecs(lines[:-1]).message
    assert tools._codecs(lines[1:]).level == "fatal"
    assert (tools._age("4.4.1", "/x").level, tools._age("8.1.3", "/x").level) == ("warning", "ok")
    assert tools._age("N-12345-gabc", "/x").level == "ok"


def test_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [each.check for each in host.disk(tmp_path / "not" / "yet")] == ["disk", "disk speed"]
    monkeypatch.setattr(host, "_measure", lambda folder: (10.0, 0.2))
    monkeypatch.setattr(host, "LOW_DISK", 1 << 60)
    low, slow = host.disk(tmp_path)
    assert (low.level, slow.level) == ("warning", "warning") and slow.message.startswith("slow: ")
    monkeypatch.setattr(host, "FULL_DISK", 1 << 60)
    assert [each.level for each in host.disk(tmp_path)] == ["fatal"]
    assert [each.level for each in host.disk(Path("/proc/self"))] == ["fatal"]


def test_versions_clock_and_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    assert all(each.level == "ok" for each in host.libraries())
    assert host._problem("aiohttp>=999.1") is not None and host._problem("no-such-thing>=1") is not None
    assert host._problem("aiohttp>=3.0") is None and host._problem("aiohttp") is None
    assert (host.numbers("3.14.5rc1"), host.numbers("N-1")) == ((3, 14, 5), ())
    monkeypatch.setattr(sys, "version_info", (3, 12, 1, "final", 0))
    assert "3.12.11" in host.python().remedy
    monkeypatch.setattr("zeus.cli.checks.host.time.time", lambda: 0.0)
    assert host.clock().level == "warning"
    assert "GeForce" in host.graphics([Gpu(0, "", "GeForce", None, None, None)]).message


def test_multicast_is_tried_where_nodes_are_looked_for() -> None:
    found = network.multicast(NetworkConfig())
    assert found.check == "multicast" and found.level in ("ok", "warning")
    assert network.multicast(NetworkConfig(discovery="off")).message == 'It is not used: network.discovery is "off".'
    missing = network.multicast(NetworkConfig(interfaces=("lo", "none0")))
    assert missing.message == "network.interfaces: there is no none0." and "there are lo" in missing.remedy
    nowhere = network.multicast(NetworkConfig(interfaces=("lo",)))
    assert nowhere.level == "warning" and "leads to other machines" in nowhere.message
    assert network._send("127.0.0.1") == "" and network._send("192.0.2.99") == "No such device"


async def test_paired_nodes_that_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ZEUS_TOKEN", raising=False)
    async with a_node(tmp_path, "one") as one:
        number = int(one.url.rpartition(":")[2])
        own = {"node": {"storage": str(tmp_path / "one" / "storage")}, "http": {"port": number}}
        config = config_for(tmp_path, **own)
        assert await nodes.look(config) == []
        async with a_node(tmp_path, "two") as two:
            await befriend(one, two)
            assert await nodes.look(config) == [Finding("nodes", "ok", "1 answers.")]
            await two.zeus.pairing.remove(one.zeus.nodes.own_id)
            await until(lambda: peer_of(one, two).state == "refused", "it is refused")
            [refused] = await nodes.look(config)
            assert refused.level == "warning" and "two is refused: " in refused.message
            assert f"zeus nodes add {two.url}" in refused.remedy and "zeus nodes remove two" in refused.remedy
        await until(lambda: peer_of(one, two).state == "offline", "it is offline")
        [offline] = await nodes.look(config)
        assert offline.level == "warning" and "two is offline: " in offline.message and "Start its" in offline.remedy
    assert await nodes.look(config) == []


async def test_a_node_that_does_not_tell_its_nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZEUS_TOKEN", "given")
    shown = []

    async def handle(request: web.Request) -> web.Response:
        shown.append((request.path, request.headers.get("Authorization")))
        status = 200 if request.path == "/api/heartbeat" else 401
        return web.json_response({"error": "unauthorized", "message": "No."}, status=status, headers=answering)

    answering = {"X-API-Version": "0.1"}
    app = web.Application()
    app.router.add_get("/{path:.*}", handle)
    async with TestServer(app) as server:
        config = config_for(tmp_path, http={"port": server.port})
        [untold] = await nodes.look(config)
        assert untold.level == "warning" and untold.message.endswith("tell its nodes: No.")
        # What may be another program's port gets no token.
        assert shown == [("/api/heartbeat", None), ("/api/nodes", "Bearer given")]
        answering.clear()
        assert await nodes.look(config) == []
