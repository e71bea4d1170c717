"""run.py: what it does the first time, every other time, and when something is missing or was interrupted."""

from __future__ import annotations

import ast
import os
import runpy
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from tests.conftest import HANG, need

ROOT = Path(__file__).parent.parent
STUB = """#!/bin/sh
# Stands in for the Python of a .venv: writes down how it is called.
here="$(cd "$(dirname "$0")/../.." && pwd)"
echo "$$ $*" >> "$here/calls"
case "$*" in *"pip install"*)
    sleep "${PIP_SECONDS:-0}"
    if [ -f "$here/failure" ]; then cat "$here/failure"; exit 1; fi
    echo "$$ pip is done" >> "$here/calls";;
esac
case "$*" in *"pip --version"*) [ ! -f "$here/no-pip" ] || exit 1;; esac
"""


OFFLINE = {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0"}


class Checkout:
    """A copy of what run.py needs, with a stub in place of .venv's Python."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("run.py", "setup.py", "pyproject.toml", "README.md"):
            shutil.copy(ROOT / name, folder / name)
        for name in ("zeus", "plugins", "tests"):
            (folder / name).mkdir()
        shutil.copy(ROOT / "tests/constraints.txt", folder / "tests/constraints.txt")
        shutil.copy(ROOT / "zeus/__init__.py", folder / "zeus/__init__.py")

    def stub_venv(self) -> None:
        python = self.folder / ".venv/bin/python"
        python.parent.mkdir(parents=True)
        python.write_text(STUB)
        python.chmod(0o755)
        (self.folder / ".venv/pyvenv.cfg").write_text("version = 3.11.7\n")

    def start(
        self, *arguments: str, program: list[str] | None = None, env: Mapping[str, str] = MappingProxyType({})
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, *(program or [str(self.folder / "run.py")]), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "ZEUS_"))}
            | dict(env),
        )

    def run(
        self, *arguments: str, program: list[str] | None = None, env: Mapping[str, str] = MappingProxyType({})
    ) -> tuple[int, str]:
        """The exit code, and what a person reads."""
        process = self.start(*arguments, program=program, env=env)
        out, err = process.communicate(timeout=HANG)
        return process.returncode, out + err

    def calls(self) -> list[str]:
        """How .venv's Python was called since the last look."""
        file = self.folder / "calls"
        text = file.read_text() if file.exists() else ""
        file.write_text("")
        return [line.partition(" ")[2] for line in text.splitlines()]

    def installs(self) -> list[str]:
        return [call for call in self.calls() if "pip install" in call]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    made = Checkout(tmp_path)
    made.stub_venv()
    return made


def test_a_python_that_is_too_old_can_read_it() -> None:
    ast.parse((ROOT / "run.py").read_text(), feature_version=(3, 7))


def test_the_first_start_installs_and_hands_over(checkout: Checkout) -> None:
    code, text = checkout.run("serve", "--port", "1")
    assert (code, checkout.calls()[-1]) == (0, "-P -m zeus serve --port 1")
    assert "Installing Zeus into" in text and "Installed." in text


def test_later_starts_only_hand_over(checkout: Checkout) -> None:
    checkout.run("--help")
    checkout.calls()
    assert checkout.run("jobs", "a b", "") == (0, "")
    assert checkout.calls() == ["-P -m zeus jobs a b "]


def test_zeus_takes_its_place_and_keeps_its_process_id(checkout: Checkout) -> None:
    process = checkout.start("serve")
    process.communicate(timeout=HANG)
    last = (checkout.folder / "calls").read_text().splitlines()[-1]
    assert last == f"{process.pid} -P -m zeus serve"


def test_tests_install_their_tools_once(checkout: Checkout) -> None:
    checkout.run("serve")
    assert checkout.installs()[0].endswith(f"--editable {checkout.folder}")
    checkout.run("test", "-q", "--long")
    calls = checkout.calls()
    assert any(call.endswith(f"--editable {checkout.folder}[test]") for call in calls)
    assert calls[-1] == "-m pytest -q --long"
    checkout.run("test")
    assert checkout.calls() == ["-m pytest"]
    checkout.run("serve")
    assert checkout.installs() == []


def test_tests_that_may_skip_nothing_bring_the_inference_extra(checkout: Checkout) -> None:
    checkout.run("test", env={"ZEUS_REQUIRE_REAL": "1"})
    (install,) = checkout.installs()
    assert install.endswith(
        f"--constraint {checkout.folder}/tests/constraints.txt --editable {checkout.folder}[test,inference]"
    )
    checkout.run("test")
    checkout.run("serve")
    assert checkout.installs() == [], "what is more serves those that need less"


@pytest.mark.parametrize("name", ["setup.py", "pyproject.toml", "tests/constraints.txt", ".venv/pyvenv.cfg"])
def test_a_change_of_what_is_needed_installs_again(checkout: Checkout, name: str) -> None:
    checkout.run()
    checkout.installs()
    with (checkout.folder / name).open("a") as file:
        file.write("\n# changed\n")
    checkout.run()
    assert len(checkout.installs()) == 1
    checkout.run()
    assert checkout.installs() == []


def test_a_moved_checkout_installs_again(checkout: Checkout, tmp_path_factory: pytest.TempPathFactory) -> None:
    checkout.run()
    moved = tmp_path_factory.mktemp("moved") / "zeus"
    checkout.folder.rename(moved)
    checkout.folder = moved
    checkout.calls()
    checkout.run()
    assert len(checkout.installs()) == 1


def test_a_venv_without_pip_gets_one(checkout: Checkout) -> None:
    (checkout.folder / "no-pip").touch()
    checkout.run()
    assert "-m ensurepip --upgrade" in checkout.calls()


def test_what_pip_says_is_shown_when_it_fails_and_the_next_start_tries_again(checkout: Checkout) -> None:
    noise = "".join(f"noise {number}\n" for number in range(50))
    (checkout.folder / "failure").write_text(noise + "ERROR: the disk is full\n")
    code, text = checkout.run()
    assert code == 1
    assert "pip could not install Zeus; it says:" in text and "ERROR: the disk is full" in text
    assert "noise 3\n" not in text
    (checkout.folder / "failure").unlink()
    checkout.calls()
    assert checkout.run()[0] == 0
    assert len(checkout.installs()) == 1


def test_two_starts_at_once_install_once(checkout: Checkout) -> None:
    both = [checkout.start("serve", env={"PIP_SECONDS": "1"}) for _ in range(2)]
    texts = [process.communicate(timeout=HANG)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert len(checkout.installs()) == 1
    assert any("Another start is installing" in text for text in texts)


def wait_for_pip(checkout: Checkout) -> None:
    deadline = time.monotonic() + HANG
    while "pip install" not in (checkout.folder / "calls").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_start_after_a_killed_one_waits_for_its_pip_and_installs_again(checkout: Checkout) -> None:
    (checkout.folder / "calls").touch()
    first = checkout.start("serve", env={"PIP_SECONDS": "2"})
    wait_for_pip(checkout)
    first.kill()
    second = checkout.start("serve")
    second.communicate(timeout=HANG)
    first.communicate(timeout=HANG)
    calls = checkout.calls()
    installs = [index for index, call in enumerate(calls) if "pip install" in call]
    assert second.returncode == 0 and len(installs) == 2
    assert calls.index("pip is done") < installs[1]


def test_an_interrupted_install_ends_quietly(checkout: Checkout) -> None:
    (checkout.folder / "calls").touch()
    first = checkout.start("serve", env={"PIP_SECONDS": "2"})
    wait_for_pip(checkout)
    first.send_signal(signal.SIGINT)
    _, text = first.communicate(timeout=HANG)
    assert first.returncode == 130
    assert "interrupted" in text and "Traceback" not in text
    assert checkout.run()[0] == 0


def test_an_old_python_is_told(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    program = "import runpy, sys; sys.version_info = (3, 9, 2); runpy.run_path(sys.argv[1], run_name='__main__')"
    code, text = checkout.run(program=["-c", program, str(tmp_path / "run.py")])
    assert code == 1
    assert "Zeus needs Python 3.11 or newer" in text and "Traceback" not in text


@pytest.mark.parametrize("module", ["venv", "ensurepip"])
def test_a_python_without_its_venv_module_is_told(tmp_path: Path, module: str) -> None:
    checkout = Checkout(tmp_path)
    folder = tmp_path / "shadow"
    folder.mkdir()
    (folder / f"{module}.py").write_text(f"raise ImportError('no {module} here', name='{module}')")
    code, text = checkout.run(env={"PYTHONPATH": str(folder)})
    assert code == 1
    assert f"lacks its {module} module" in text and "apt install python3-venv" in text and "Traceback" not in text


def test_a_half_made_venv_is_made_anew_and_a_missing_network_told(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    half = tmp_path / ".venv/bin/python"
    half.parent.mkdir(parents=True)
    half.symlink_to("/nonexistent/python3")
    (tmp_path / ".venv/rubbish").touch()
    code, text = checkout.run(env=OFFLINE)
    assert code == 1
    assert f"Making {tmp_path / '.venv'} with Python" in text
    assert "no network?" in text and "Traceback" not in text
    assert not (tmp_path / ".venv/rubbish").exists()
    code, text = checkout.run(env=OFFLINE)
    assert (code, "Making" in text) == (1, False)


def test_this_checkout_starts() -> None:
    # Not while it would have to install: that would change the packages under the running tests.
    need(runpy.run_path(str(ROOT / "run.py"))["is_installed"](""), "an installation by run.py", "python3 run.py test")
    done = subprocess.run(
        [sys.executable, str(ROOT / "run.py"), "--help"], capture_output=True, text=True, timeout=HANG, check=True
    )
    assert "serve" in done.stdout


@pytest.mark.long
def test_a_clone_installs_and_runs_for_real(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    ignored = shutil.ignore_patterns(".git", ".venv", "storage", "*.egg-info", ".*_cache", "__pycache__")
    shutil.copytree(ROOT, clone, ignore=ignored)
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, str(clone / "run.py"), "--version"], capture_output=True, text=True, check=True
        )
        assert done.stdout.startswith("zeus ")
    assert done.stderr == ""
