"""`zeus nodes`: listing, pairing from both ends, forgetting; and HTTPS between two nodes and their command line."""

from __future__ import annotations

import asyncio
import re
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.conftest import Api, need
from tests.console import at_terminal, read_until, start, zeus
from tests.nodes import a_node, befriend, peer_of, until
from zeus.api.app import Node
from zeus.errors import ConfigError
from zeus.nodes.sightings import Sighting


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[tuple[Node, Node]]:
    async with a_node(tmp_path, "one") as one, a_node(tmp_path, "two") as two:
        yield one, two


async def test_two_people_pair_two_machines(two: tuple[Node, Node]) -> None:
    one, other = two
    shown = await start("nodes", "pair", "--server", one.url)
    code = (await read_until(shown, "\n")).strip()
    assert re.fullmatch(r"\d\d-\d\d\d-\d\d\d", code)
    done = await zeus("nodes", "add", one.url.removeprefix("http://"), "--code", "00-000-000", "--server", other.url)
    assert done.code == 1 and "show a new one" in done.err
    done = await zeus("nodes", "add", one.url.removeprefix("http://"), "--code", code, "--server", other.url)
    assert (done.code, done.out) == (0, "one is paired; it is online\n"), done.err
    out, err = await shown.communicate()
    assert shown.returncode == 0 and b"two is paired" in out and b"within 60 seconds" in err
    listed = await zeus("nodes", "--server", one.url)
    head, own, row = (line.split("\t") for line in listed.out.splitlines())
    assert head == ["name", "state", "cpu", "tasks", "runs", "address"]
    assert own[:2] == ["one", "self"] and "noop" in own[4]
    assert (row[:2], row[3], row[5]) == (["two", "online"], "0/8", other.url)
    listed = await zeus("nodes", "list", "--json", "--server", one.url)
    assert [node["state"] for node in listed.json] == ["self", "online"]
    done = await zeus("nodes", "remove", "two", "--server", one.url)
    assert (done.code, done.out) == (0, "two is forgotten\n")
    await until(lambda: not peer_of(other, one).online, "the other one is told")
    listed = await zeus("nodes", "--server", other.url)
    assert "one\trefused" in listed.out and "pair the two again" in listed.err
    done = await zeus("nodes", "remove", "nobody", "--server", other.url)
    assert done.code == 1 and 'No node is called "nobody"' in done.err


async def test_a_phone_shows_the_nodes_whole(two: tuple[Node, Node]) -> None:
    one, other = two
    await befriend(one, other)
    one.zeus.nodes.sightings.put("far", Sighting("far", "far" * 20, ("http://192.0.2.1:8080",)))
    async with at_terminal("nodes", "--server", one.url, rows=60, columns=40) as terminal:
        assert await terminal.ended() == 0
        lines = terminal.screen.text.splitlines()
    assert lines[0] == "one" and max(map(len, lines)) <= 40
    assert f"  address  {other.url}" in lines and "  state    unpaired" in lines
    assert lines.index("two") > lines.index("one") and lines.count("  tasks    0/8") == 2
    assert "noop" in " ".join(line[11:] for line in lines if line.startswith((" " * 11, "  runs ")))
    async with at_terminal("nodes", "--server", one.url, columns=100) as terminal:
        assert await terminal.ended() == 0 and terminal.screen.text.startswith("name ")


async def test_nodes_speak_https(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    certificate, key = made(tmp_path / "first")
    stranger, _ = made(tmp_path / "stranger")
    tls = {"http": {"certificate": str(certificate), "key": str(key)}}
    believing = {"network": {"ca": str(certificate)}}
    async with (
        a_node(tmp_path, "one", **tls, **believing) as one,
        a_node(tmp_path, "two", **tls, **believing) as two,
        a_node(tmp_path, "three", network={"ca": str(stranger)}) as three,
    ):
        assert one.url.startswith("https://")
        await befriend(one, two)
        # A file goes out whole, and ranges of it too.
        api = Api(session, one.url)
        trust = ssl.create_default_context(cafile=str(certificate))
        status, job = await api.post(
            "/api/add_job", json={"renderer": "noop", "args": {"content": "x" * 300_000}}, ssl=trust
        )
        assert status == 200, job
        while (await api.get(f"/api/jobs/{job['id']}", ssl=trust))[1]["status"] != "finished":
            await asyncio.sleep(0.05)
        path = f"{one.url}/api/jobs/{job['id']}/download?filename=out.txt"
        async with session.get(path, ssl=trust) as got:
            assert await got.text() == "x" * 300_000
        async with session.get(path, ssl=trust, headers={"Range": "bytes=299990-"}) as got:
            assert (got.status, await got.text()) == (206, "x" * 10)
        # A node that does not believe the certificate sends nothing; nor does the command line.
        code = one.zeus.pairing.begin().code
        status, error = await Api(session, three.url).post("/api/nodes", json={"url": one.url, "code": code})
        assert (status, error["error"]) == (400, "node_unreachable") and "certificate" in error["message"].lower()
        done = await zeus("nodes", "--server", one.url, ZEUS_NETWORK__CA=str(stranger))
        assert done.code == 3 and "certificate" in done.err.lower()
        done = await zeus("nodes", "--server", one.url, ZEUS_NETWORK__CA=str(certificate))
        assert done.code == 0 and "two\tonline" in done.out
        port = one.url.rpartition(":")[2]
        # Its own machine knows its certificate, whatever name it is for.
        own = {"ZEUS_HTTP__CERTIFICATE": str(certificate), "ZEUS_HTTP__PORT": port, "ZEUS_NODE__STORAGE": str(tmp_path)}
        done = await zeus("nodes", **own)
        assert done.code == 0 and "two\tonline" in done.out


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (("none.pem", "first.key"), r"http.certificate: .*none\.pem cannot be read: No such file"),
        (("first.pem", "none.key"), r"http.key: .*none\.key cannot be read: No such file"),
        (("first.pem", "second.key"), "the key is not that of the certificate"),
        (("text.pem", "first.key"), r"http.certificate: .*text\.pem cannot be used"),
        (("", "first.key"), "http.certificate: it is missing"),
    ],
)
async def test_a_certificate_that_cannot_be_used(tmp_path: Path, files: tuple[str, str], told: str) -> None:
    for name in ("first", "second"):
        made(tmp_path / name)
    (tmp_path / "text.pem").write_text("no certificate")
    certificate, key = (str(tmp_path / name) if name else "" for name in files)
    with pytest.raises(ConfigError, match=told):
        async with a_node(tmp_path, "one", http={"certificate": certificate, "key": key}):
            pass


async def test_what_is_believed_must_be_readable(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"network.ca: .* cannot be read"):
        async with a_node(tmp_path, "one", network={"ca": str(tmp_path / "none.pem")}):
            pass


def made(path: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 and its key."""
    need(shutil.which("openssl"), "openssl", "on Debian and Ubuntu, `apt install openssl` brings it")
    certificate, key = path.with_suffix(".pem"), path.with_suffix(".key")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-days", "30", "-subj", "/CN=zeus test", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    return certificate, key
