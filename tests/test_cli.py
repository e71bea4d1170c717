"""The command line as a person or a program uses it: real processes, a real node, a real terminal."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.conftest import HANG, need
from zeus.api.app import Node
from zeus.cli import follow
from zeus.cli.output import clean, clean_log, size_text
from zeus.errors import ZeusError
from zeus.peers.client import RenderServerProxy, ServerUnreachable

ROOT = Path(__file__).parent.parent
NOWHERE = "http://127.0.0.1:9"
IN_TERMINAL = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"


class Done(msgspec.Struct, frozen=True):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


async def start(
    *arguments: str, terminal: bool = False, env: Mapping[str, str] | None = None
) -> asyncio.subprocess.Process:
    command = [sys.executable, "-m", "zeus", *arguments]
    if terminal:
        command = [sys.executable, "-c", IN_TERMINAL, *command]
    pipe = asyncio.subprocess.PIPE
    merged = {**os.environ, "NO_COLOR": "1", "COLUMNS": "200", "TERM": "xterm", **(env or {})}
    return await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe, env=merged)


async def zeus(*arguments: str, **env: str) -> Done:
    """Run a command to its end."""
    process = await start(*arguments, env=env)
    async with asyncio.timeout(HANG):
        out, err = await process.communicate()
    assert process.returncode is not None
    assert b"Traceback" not in err, err.decode()
    return Done(process.returncode, out.decode(), err.decode())


async def read_until(process: asyncio.subprocess.Process, text: str) -> str:
    """What a process prints, up to and with a text."""
    assert process.stdout is not None
    got = ""
    async with asyncio.timeout(HANG):
        while text not in got:
            chunk = await process.stdout.read(4096)
            assert chunk, f"ended before {text!r}: {got}"
            got += chunk.decode("utf-8", "replace")
    return got


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
async def server(node: Node) -> AsyncIterator[RenderServerProxy]:
    async with RenderServerProxy(node.url) as made:
        yield made


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "source.noop"
    file.write_text("content")
    return file


@pytest.mark.parametrize("command", ["", "serve", "demo", "submit", "jobs", "jobs list", "jobs download", "config"])
async def test_each_command_has_help(command: str) -> None:
    done = await zeus(*command.split(), "--help")
    assert (done.code, done.err) == (0, "")
    assert "Usage: zeus" in done.out


async def test_the_version_is_told() -> None:
    assert (await zeus("--version")).out.startswith("zeus ")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("nonsense", "No such command"),
        ("jobs nonsense", "No such command"),
        ("jobs show", "Missing argument"),
        ("submit", "one of the two"),
        ("submit a.mp4 --prompt b", "one of the two"),
        ("submit no-such-file.mp4", "There is no file"),
        ("submit --prompt x --frames 9-1", "is no range"),
        ("submit --prompt x --frames x", "is no range"),
        ("submit --prompt x --arg novalue", "NAME=VALUE"),
        ("submit --prompt x --priority 101", "--priority"),
        ("submit --prompt x --preset p", "No such option"),
        ("jobs list --server nonsense://", "is not a server's URL"),
        ("serve --port x", "--port"),
        ("serve --port 99999", "--port: http.port must be a whole number from 0 to 65535"),
        ("serve --lan --host 127.0.0.1", "one of the two"),
        ("serve --name a/b", "--name: node.name must be 1 to 63 letters"),
        ("serve --config no-such-file.toml", "cannot be read"),
        ("config --config no-such-file.toml", "cannot be read"),
    ],
)
async def test_wrong_usage_is_told_with_exit_code_2(arguments: str, told: str) -> None:
    done = await zeus(*arguments.split())
    assert (done.code, done.out) == (2, "")
    assert told in done.err


@pytest.mark.parametrize("arguments", ["jobs", "jobs show abc", "jobs cancel abc", "submit --prompt x", "submit FILE"])
async def test_an_unreachable_server_is_exit_code_3(arguments: str, source: Path) -> None:
    words = [str(source) if word == "FILE" else word for word in arguments.split()]
    done = await zeus(*words, "--server", NOWHERE)
    assert (done.code, done.out, done.err) == (3, "", f"zeus: {NOWHERE} cannot be reached: Connection refused.\n")


async def test_the_server_on_this_machine_is_the_default(node: Node) -> None:
    port = node.url.rpartition(":")[2]
    for host in ("127.0.0.1", "0.0.0.0"):
        assert (await zeus("jobs", ZEUS_HTTP__PORT=port, ZEUS_HTTP__HOST=host)).code == 0
    assert (await zeus("jobs", ZEUS_HTTP__PORT="0")).code == 2
    assert (await zeus("jobs", ZEUS_HTTP__PORT="x")).code == 2


async def test_config_tells_each_setting_and_its_origin(tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text("[jobs]\nslots = 3\n[engines.ffmpeg]\npath = '/x'")
    done = await zeus("config", "--config", str(file), ZEUS_HTTP__PORT="9000")
    assert done.code == 0
    lines = done.out.splitlines()
    assert "http.port\t9000\tZEUS_HTTP__PORT" in lines
    assert "jobs.slots\t3\tmy.toml" in lines
    assert 'engines.ffmpeg.path\t"/x"\tmy.toml' in lines
    assert f"Settings file: {file}" in lines
    told = (await zeus("config", "--json", "--config", str(file))).json
    assert (told["settings"]["jobs"]["slots"], told["origins"]["jobs.slots"]) == (3, "my.toml")


async def test_config_writes_the_example() -> None:
    before = (ROOT / "config.example.toml").read_text()
    done = await zeus("config", "--example")
    assert (done.code, done.out) == (0, f"Wrote {ROOT / 'config.example.toml'}\n")
    assert (ROOT / "config.example.toml").read_text() == before


async def test_submit_prints_the_id_and_leaves(node: Node, server: RenderServerProxy, source: Path) -> None:
    options = ["--frames", "1-5", "--priority", "7", "--split", "--arg", "seconds=30", "--arg", "content=text"]
    done = await zeus("submit", str(source), *options, "--server", node.url)
    assert done.code == 0
    job = await server.get_job(done.out.strip())
    assert (job.start_frame, job.end_frame, job.priority, job.enable_split_jobs) == (1, 5, 7, True)
    assert (job.args["seconds"], job.args["content"], job.renderer) == (30, "text", "noop")
    await server.cancel_job(job.id)


async def test_submit_follows_and_downloads(node: Node, source: Path, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    done = await zeus("submit", str(source), "--download", str(folder), "--server", node.url)
    assert done.code == 0
    assert "100%" in done.out and " finished\n" in done.out and f"{folder / 'out.txt'} (4 bytes)" in done.out
    assert (folder / "out.txt").read_text() == "done"


async def test_submit_prints_json_alone(node: Node, source: Path) -> None:
    done = await zeus("submit", str(source), "--follow", "--json", "--server", node.url)
    assert (done.code, done.err) == (0, "")
    assert (done.json["status"], done.json["percent_complete"]) == ("finished", 100)


async def test_a_failed_job_is_exit_code_1(node: Node) -> None:
    arguments = ["--renderer", "noop", "--arg", "fail=told to", "--arg", "retry=false", "--arg", "prompt=x"]
    done = await zeus("submit", "--prompt", "x", *arguments, "--server", node.url)
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "prompt" in done.err  # noop has no such argument: the server says so
    plain = [word for word in arguments if word != "prompt=x"][:-1]
    assert plain[-1] == "retry=false"
    file = node.zeus.files.root / "a.noop"
    file.write_text("x")
    done = await zeus("submit", str(file), *plain, "--follow", "--server", node.url)
    assert done.code == 1
    assert "failed: told to (told_to_fail)" in done.out


async def test_what_the_server_refuses_is_exit_code_1(node: Node, source: Path) -> None:
    done = await zeus("submit", str(source), "--renderer", "nope", "--server", node.url)
    assert (done.code, done.out) == (1, "")
    assert 'zeus: There is no engine "nope" here' in done.err
    done = await zeus("jobs", "show", "0" * 8 + "-0000-0000-0000-" + "0" * 12, "--server", node.url)
    assert done.code == 1


async def test_jobs_are_listed_shown_and_deleted_by_shortened_ids(node: Node, server: RenderServerProxy) -> None:
    made = await server.create_job({"renderer": "noop", "name": "a\x1b[31mname"})
    while (await server.get_job(made.id)).status != "finished":
        await asyncio.sleep(0.05)
    short = made.id[:6]
    for listing in (["jobs"], ["jobs", "list"]):
        done = await zeus(*listing, "--server", node.url)
        assert done.out.splitlines() == [
            "id\tstatus\tdone\tengine\tname\tnode",
            f"{made.id}\tfinished\t100%\tnoop\ta?[31mname\ttest-node",
        ]
    for words in (["--json", "list", "--server", node.url], ["--server", node.url, "--json", "list"], ["list"]):
        extra = [] if "--json" in words else ["--json", "--server", node.url]
        assert (await zeus("jobs", *words, *extra)).json["jobs"][0]["id"] == made.id
    assert f"id\t{made.id}" in (await zeus("jobs", "show", short, "--server", node.url)).out.splitlines()
    assert (await zeus("jobs", "show", short, "--json", "--server", node.url)).json["status"] == "finished"
    assert (await zeus("jobs", "logs", short, "--server", node.url)).code == 0
    assert "finished" in (await zeus("jobs", "cancel", short, "--server", node.url)).out
    assert (await zeus("jobs", "delete", short, "--server", node.url)).out == f"{made.id} deleted\n"
    done = await zeus("jobs", "show", short, "--server", node.url)
    assert (done.code, done.err) == (1, f'zeus: No job\'s id begins with "{short}".\n')


async def test_a_shortened_id_of_several_jobs_is_refused(node: Node, server: RenderServerProxy) -> None:
    ids = [(await server.create_job({"renderer": "noop"})).id for _ in range(17)]
    twice = next(each for each in "0123456789abcdef" if sum(job.startswith(each) for job in ids) > 1)
    done = await zeus("jobs", "cancel", twice, "--server", node.url)
    assert done.code == 2
    assert f'jobs\' ids begin with "{twice}"' in done.err


async def test_jobs_cancel_ends_several(node: Node, server: RenderServerProxy) -> None:
    ids = [(await server.create_job({"renderer": "noop", "args": {"seconds": 60}})).id for _ in range(2)]
    done = await zeus("jobs", "cancel", *ids, "--server", node.url)
    assert done.code == 0
    for job_id in ids:
        assert f"{job_id} cancelled" in done.out
        assert (await server.get_job(job_id)).status == "cancelled"


async def test_jobs_download_takes_one_folder_or_one_each(
    node: Node, server: RenderServerProxy, tmp_path: Path
) -> None:
    ids = []
    for content in ("one", "two"):
        job = await server.create_job({"renderer": "noop", "args": {"content": content, "files": ["ä b.txt"]}})
        ids.append(job.id)
        while (await server.get_job(job.id)).status != "finished":
            await asyncio.sleep(0.05)
    assert (await zeus("jobs", "download", ids[0], "--to", str(tmp_path), "--server", node.url)).code == 0
    assert (tmp_path / "ä b.txt").read_text() == "one"
    done = await zeus("jobs", "download", *ids, "--to", str(tmp_path / "both"), "--json", "--server", node.url)
    told = [json.loads(line)["files"] for line in done.out.splitlines()]
    assert told == [[str(tmp_path / "both" / each[:8] / "ä b.txt")] for each in ids]
    assert (tmp_path / "both" / ids[1][:8] / "ä b.txt").read_text() == "two"


@asynccontextmanager
async def following(node: Node, source: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """`submit --follow` of a long job at a terminal, and the job's id."""
    words = ["submit", str(source), "--arg", "seconds=60", "--follow", "--server", node.url]
    process = await start(*words, terminal=True)
    got = await read_until(process, " noop ")
    job_id = got.partition("Job ")[2][:36]
    try:
        yield process, job_id
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def press(process: asyncio.subprocess.Process, keys: str) -> None:
    assert process.stdin is not None
    process.stdin.write(keys.encode())
    await process.stdin.drain()


async def test_ctrl_c_while_following_cancels_on_request(node: Node, server: RenderServerProxy, source: Path) -> None:
    async with following(node, source) as (process, job_id):
        await press(process, "\x03")
        await read_until(process, "leave it running (Enter)?")
        await press(process, "c\n")
        out, _ = await process.communicate()
        assert process.returncode == 130
        assert "cancelled" in out.decode()
        assert (await server.get_job(job_id)).status == "cancelled"


@pytest.mark.parametrize("answer", ["\n", "l\n", "\x03", "\x04"])
async def test_ctrl_c_while_following_else_leaves_it_running(
    node: Node, server: RenderServerProxy, source: Path, answer: str
) -> None:
    async with following(node, source) as (process, job_id):
        await press(process, "\x03")
        await read_until(process, "leave it running (Enter)?")
        await press(process, answer)
        out, _ = await process.communicate()
        assert process.returncode == 130
        assert f"Job {job_id} runs on" in out.decode() and "Traceback" not in out.decode()
        assert (await server.get_job(job_id)).status == "running"
        await server.cancel_job(job_id)


async def test_an_interrupt_without_a_terminal_leaves_the_job(
    node: Node, server: RenderServerProxy, source: Path
) -> None:
    process = await start("submit", str(source), "--arg", "seconds=60", "--follow", "--server", node.url)
    await read_until(process, "noop 0%")
    process.send_signal(signal.SIGINT)
    _, err = await process.communicate()
    assert (process.returncode, b"runs on" in err, b"Traceback" in err) == (130, True, False)
    assert [job.status for job in (await server.get_jobs()).jobs] == ["running"]


async def test_following_waits_for_a_server_that_restarts_but_not_forever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "GRACE_SECONDS", 0.1)
    async with RenderServerProxy(NOWHERE) as server:
        with pytest.raises(ServerUnreachable):
            await follow.follow(server, "x", follow.Silent())


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


async def run_test_command(folder: str) -> Done:
    """`zeus test -x --help` with that checkout, or with none."""
    program = (
        "import sys, zeus.cli, zeus.cli.tests; from pathlib import Path; "
        "folder = sys.argv[1]; sys.argv = ['zeus', 'test', '-x', '--help']; "
        "zeus.cli.tests.checkout = lambda: Path(folder) if folder else None; zeus.cli.main()"
    )
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, folder, stdout=pipe, stderr=pipe)
    out, err = await process.communicate()
    return Done(process.returncode or 0, out.decode(), err.decode())


async def test_test_needs_a_checkout() -> None:
    done = await run_test_command("")
    assert (done.code, "part of a checkout" in done.err) == (2, True)


async def test_test_hands_everything_on_to_run_py(tmp_path: Path) -> None:
    (tmp_path / "run.py").write_text("import sys; print(sys.argv[1:])")
    assert (await run_test_command(str(tmp_path))).out == "['test', '-x', '--help']\n"


async def test_the_demo_makes_two_checked_videos(tmp_path: Path) -> None:
    (tmp_path / "fox.mp4").write_text("from before")
    done = await zeus("demo", "a red fox", "--out", str(tmp_path / "fox.mp4"), TMPDIR=str(tmp_path))
    assert done.code == 0, done.err
    rows = [line.split("\t") for line in done.out.splitlines() if "\t" in line]
    assert [row[0] for row in rows] == ["file", str(tmp_path / "fox.mp4"), str(tmp_path / "fox-transcoded.webm")]
    assert [row[2] for row in rows[1:]] == ["h264", "vp9"]
    assert "Generating" in done.out and "Transcoding" in done.out
    assert names_in(tmp_path) == ["fox-transcoded.webm", "fox.mp4"]


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


async def test_a_person_sees_a_table_and_a_bar(node: Node, source: Path) -> None:
    process = await start("submit", str(source), "--follow", "--server", node.url, terminal=True)
    out, _ = await process.communicate()
    assert process.returncode == 0
    assert "100%" in out.decode() and "━" in out.decode()
    process = await start("jobs", "--server", node.url, terminal=True)
    out, _ = await process.communicate()
    assert "finished" in out.decode() and "\t" not in out.decode()


def test_what_others_wrote_does_not_reach_the_terminal_raw() -> None:
    assert clean("a\x1b]0;b\x07\nc\td\x9b") == "a?]0;b? c d?"
    assert clean_log("a\n\tb\x1b[2J\r") == "a\n\tb?[2J?"


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/b", ".hidden", "", "..", "a\0b"])
def test_a_servers_file_name_cannot_lead_out_of_the_folder(name: str) -> None:
    with pytest.raises(ZeusError, match="no name for a file"):
        follow._safe(name)


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 KB"), (250_000_000, "250 MB"), (10**15, "1000.0 TB")],
)
def test_sizes_are_for_people(count: int, text: str) -> None:
    assert size_text(count) == text
