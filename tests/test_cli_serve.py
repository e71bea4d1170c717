"""`zeus serve` and `zeus demo`: real processes until they end or are ended."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from tests.conftest import HANG, need
from tests.console import read_until, start, zeus
from zeus.peers.client import RenderServerProxy


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@asynccontextmanager
async def served(*arguments: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """`zeus serve`, and what it printed up to its URL."""
    process = await start("serve", *arguments)
    assert process.stdout is not None
    async with asyncio.timeout(HANG):
        line = (await process.stdout.readline()).decode()
    try:
        yield process, line.strip()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_serve_answers_until_it_is_told_to_end(tmp_path: Path, number: signal.Signals) -> None:
    async with served("--port", "0", "--storage", str(tmp_path), "--name", "me") as (process, line):
        url = line.rpartition(" ")[2]
        async with RenderServerProxy(url) as server:
            assert (await server.get_status()).hostname == "me"
        process.send_signal(number)
        _, err = await process.communicate()
        assert (process.returncode, b"Traceback" in err) == (0, False)


async def test_the_node_holds_nothing_of_the_command_line(tmp_path: Path) -> None:
    async with served("--port", "0", "--storage", str(tmp_path)) as (process, _):
        libraries = psutil.Process(process.pid).memory_maps()
        assert libraries and not any("pydantic" in each.path for each in libraries)


async def test_serve_tells_what_is_in_use(tmp_path: Path) -> None:
    async with served("--port", "0", "--storage", str(tmp_path / "a")) as (_, line):
        port = line.rpartition(":")[2]
        taken = await zeus("serve", "--port", port, "--storage", str(tmp_path / "b"))
        assert (taken.code, taken.out) == (1, "")
        assert port in taken.err.splitlines()[-1] and "in use" in taken.err.splitlines()[-1]
        twice = await zeus("serve", "--port", "0", "--storage", str(tmp_path / "a"))
        assert twice.code == 1
        assert str(tmp_path / "a") in twice.err.splitlines()[-1] and "Another" in twice.err.splitlines()[-1]


async def test_serve_tells_a_storage_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = await zeus("serve", "--port", "0", "--storage", str(tmp_path / "file" / "below"))
    assert done.code == 1
    assert "cannot be used" in done.err.splitlines()[-1]


async def test_beyond_this_machine_a_token_is_made_and_shown_once(tmp_path: Path) -> None:
    arguments = ["--lan", "--port", "0", "--storage", str(tmp_path)]
    async with served(*arguments) as (process, _):
        assert process.stdout is not None
        token = (await process.stdout.readline()).decode().split()[-1]
        assert (tmp_path / "token").read_text().strip() == token
        assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600
        process.terminate()
        await process.communicate()
    async with served(*arguments) as (process, _):
        process.terminate()
        out, _ = await process.communicate()
        assert token not in out.decode()
    async with served(*arguments[:-1], str(tmp_path / "open"), "--open") as (process, _):
        assert not (tmp_path / "open" / "token").exists()


async def test_the_demo_makes_two_checked_videos(tmp_path: Path) -> None:
    (tmp_path / "fox.mp4").write_text("from before")
    done = await zeus("demo", "a red fox", "--out", str(tmp_path / "fox.mp4"), TMPDIR=str(tmp_path))
    assert done.code == 0, done.err
    rows = [line.split("\t") for line in done.out.splitlines() if "\t" in line]
    assert [row[0] for row in rows] == ["file", str(tmp_path / "fox.mp4"), str(tmp_path / "fox-transcoded.webm")]
    assert [row[2] for row in rows[1:]] == ["h264", "vp9"]
    assert "Generating" in done.out and "Transcoding" in done.out
    assert names_in(tmp_path) == ["fox-transcoded.webm", "fox.mp4"]


async def test_the_demo_tells_programs_what_it_made(tmp_path: Path) -> None:
    done = await zeus("demo", "a fox", "--json", "--out", str(tmp_path / "fox.mp4"))
    first, second = done.json["files"]
    assert (done.code, first["path"], first["codec"]) == (0, str(tmp_path / "fox.mp4"), "h264")
    assert (second["codec"], second["width"]) == ("vp9", 256) and second["size"] > 1000


def without_network() -> list[str]:
    """The command that runs another one with no network at all, not even loopback."""
    for command in (["unshare", "-n"], ["unshare", "-rn"]):
        if shutil.which(command[0]) and subprocess.run([*command, "true"], capture_output=True).returncode == 0:
            return command
    return []


async def test_the_demo_needs_no_network(tmp_path: Path) -> None:
    unshare = without_network()
    need(unshare, "unshare -n", "apt install util-linux, and run where network namespaces are allowed")
    command = [*unshare, sys.executable, "-m", "zeus", "demo", "--out", str(tmp_path / "x.mp4")]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    assert (tmp_path / "x.mp4").stat().st_size > 1000


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_an_interrupted_demo_leaves_nothing(tmp_path: Path, number: signal.Signals, code: int) -> None:
    process = await start("demo", "--out", str(tmp_path / "fox.mp4"), env={"TMPDIR": str(tmp_path)})
    await read_until(process, "Generating")
    process.send_signal(number)
    _, err = await process.communicate()
    assert (process.returncode, b"Traceback" in err) == (code, False)
    assert names_in(tmp_path) == []


async def test_the_demo_says_what_failed(tmp_path: Path) -> None:
    done = await zeus("demo", "--out", str(tmp_path / "none" / "fox.mp4"))
    assert (done.code, done.err) == (1, f"zeus: the demo failed: there is no folder {tmp_path / 'none'}.\n")
    done = await zeus("demo", " ", "--out", str(tmp_path / "fox.mp4"))
    assert done.code == 1
    assert "zeus: the demo failed: prompt" in done.err


async def test_a_token_that_is_empty_is_made_anew_and_shown(tmp_path: Path) -> None:
    (tmp_path / "token").touch()
    async with served("--lan", "--port", "0", "--storage", str(tmp_path)) as (process, line):
        assert process.stdout is not None
        shown = (await process.stdout.readline()).decode().split()[-1]
        assert len(shown) >= 32 and (tmp_path / "token").read_text().strip() == shown
        assert "0.0.0.0" not in line and "http://127.0.0.1:" in line


async def test_tokens_are_made_listed_and_removed(tmp_path: Path) -> None:
    where = ["--storage", str(tmp_path)]
    made = await zeus("token", "add", "ci", *where)
    assert made.code == 0 and len(made.out.strip()) >= 32 and made.out.strip() not in made.err
    assert (await zeus("token", "add", "page", "--scope", "read", "--scope", "admin", *where)).code == 0
    listed = await zeus("token", "list", "--json", *where)
    assert [(each["name"], each["scopes"]) for each in json.loads(listed.out)] == [
        ("ci", ["read", "submit"]), ("page", ["admin", "read"]),
    ]  # fmt: skip
    assert made.out.strip() not in listed.out + (tmp_path / "tokens.json").read_text()
    assert (await zeus("token", "remove", "ci", *where)).code == 0
    assert (await zeus("token", "list", *where)).out.splitlines()[1].startswith("page\tadmin read\t")
    for arguments, code in ((["add", "page"], 1), (["add", "a b"], 2), (["add", "x", "--scope", "y"], 2),
                            (["remove", "ci"], 1), (["add"], 2)):  # fmt: skip
        assert (await zeus("token", *arguments, *where)).code == code, arguments
