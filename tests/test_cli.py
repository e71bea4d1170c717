"""The command line: help, wrong usage, exit codes, settings, what is printed."""

from __future__ import annotations

import asyncio
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.conftest import need
from tests.console import NOWHERE, Done, zeus
from zeus.api.app import Node
from zeus.cli import follow, submit
from zeus.cli.output import clean, clean_log, duration_text, size_text
from zeus.errors import ZeusError

ROOT = Path(__file__).parent.parent


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "source.noop"
    file.write_text("content")
    return file


@pytest.mark.parametrize(
    "command",
    [
        "",
        "serve",
        "demo",
        "submit",
        "jobs",
        "jobs list",
        "jobs why",
        "top",
        "engines",
        "engines show",
        "doctor",
        "config",
    ],
)
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
        ("submit --prompt x --at noon", "is no time"),
        ("submit --prompt x --at 25:00", "is no time"),
        ("jobs list --limit 0", "--limit"),
        ("jobs logs x --follow --json", "one of the two"),
        ("engines nonsense", "No such command"),
        ("engines show", "Missing argument"),
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


@pytest.mark.parametrize(
    "arguments", ["jobs", "jobs show abc", "jobs pause abc", "submit --prompt x", "submit FILE", "top", "engines"]
)
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


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (7.2, "8 s"), (60, "1:00"), (3599, "59:59"), (7205, "2:00:05")]
)
def test_times_are_for_people(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_a_time_to_start_at_is_the_next_there_is() -> None:
    now = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
    assert submit.start_time("12:01", now).isoformat() == "2026-05-01T12:01:00+00:00"
    assert submit.start_time("9:30", now).isoformat() == "2026-05-02T09:30:00+00:00"
    assert submit.start_time("2026-05-01T22:30+02:00", now) == datetime(2026, 5, 1, 20, 30, tzinfo=UTC)
    assert submit.start_time("2026-05-01T22:30", now).tzinfo is not None


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
async def test_completion_of_each_shell_is_shown(shell: str) -> None:
    env = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    done = await zeus("--show-completion", shell, **env)
    assert done.code == 0
    assert "_ZEUS_COMPLETE" in done.out and "zeus" in done.out


async def test_bash_completes_commands_and_options(tmp_path: Path) -> None:
    bash = shutil.which("bash")
    need(bash, "bash", "apt install bash")
    (tmp_path / "zeus").write_text(f'#!/bin/sh\nexec {sys.executable} -P -m zeus "$@"\n')
    (tmp_path / "zeus").chmod(0o755)
    script = """
        PATH=$1:$PATH HOME=$1
        zeus --install-completion >/dev/null || exit 1
        . "$1/.bashrc" || exit 2
        complete() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _zeus_completion zeus; }
        complete zeus jo; echo "${COMPREPLY[@]}"
        complete zeus jobs re; echo "${COMPREPLY[@]}"
        complete zeus submit --fol; echo "${COMPREPLY[@]}"
    """
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        str(bash), "--norc", "-c", script, "bash", str(tmp_path), stdout=pipe, stderr=pipe
    )
    out, err = await process.communicate()
    assert (process.returncode, out.decode().splitlines()) == (0, ["jobs", "resume retry", "--follow"]), err.decode()
