#!/usr/bin/env python3
"""Clone and run: makes .venv beside this file on first use, then hands over to Zeus in it. Standard library only.

It must also be readable for a Python that is too old for Zeus, to say so: no syntax newer than 3.7 here.
"""

import hashlib
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
VENV = HERE / ".venv"
PYTHON = VENV / "bin" / "python"
NEEDED = (3, 11)
CONSTRAINTS = HERE / "tests" / "constraints.txt"
OFFLINE = ("NewConnectionError", "name resolution", "Network is unreachable", "ConnectTimeout", "(from versions: none)")


class Missing(Exception):
    """Something that the person has to provide; the text says what and how."""


def main(arguments: list) -> int:
    testing = arguments[:1] == ["test"]
    extra = wanted_extra() if testing else ""
    try:
        if not is_installed(extra):
            install_once(extra)
    except Missing as missing:
        say(f"zeus: {missing}")
        return 1
    except KeyboardInterrupt:
        say("\nzeus: interrupted; the next start goes on from here")
        return 130
    if testing:
        os.chdir(str(HERE))
        os.execv(str(PYTHON), [str(PYTHON), "-m", "pytest", *arguments[1:]])
    # -P: a folder named zeus where the person happens to be must not be taken for Zeus.
    os.execv(str(PYTHON), [str(PYTHON), "-P", "-m", "zeus", *arguments])
    return 0


def wanted_extra() -> str:
    """What the tests need. Those that generate with real models take a gigabyte more, and are skipped without it."""
    return "test,inference" if os.environ.get("ZEUS_REQUIRE_REAL") == "1" else "test"


def stamp(extra: str) -> Path:
    return VENV / f"zeus-{extra or 'run'}.stamp"


def fingerprint(extra: str) -> str:
    """What an installation depends on; empty where there is no .venv. A moved checkout counts as a change."""
    digest = hashlib.sha256(f"{HERE}\n{extra}\n".encode())
    try:
        for file in (HERE / "setup.py", HERE / "pyproject.toml", CONSTRAINTS, VENV / "pyvenv.cfg"):
            digest.update(file.read_bytes())
        digest.update(str(PYTHON.resolve(strict=True)).encode())
    except OSError:
        return ""
    return digest.hexdigest()


def is_installed(extra: str) -> bool:
    try:
        return stamp(extra).read_text() == fingerprint(extra) != ""
    except OSError:
        return False


def install_once(extra: str) -> None:
    """Install unless another start does it meanwhile. The lock is on this file, so that none is left behind."""
    if os.name != "posix":
        raise Missing("Zeus runs on Linux and macOS; on Windows, use WSL")
    import fcntl

    with Path(__file__).resolve().open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another start is installing; waiting for it...")
            fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_installed(extra):
            install(extra, lock.fileno())


def install(extra: str, lock: int) -> None:
    if not usable(lock):
        make_venv(lock)
    for old in VENV.glob("zeus-*.stamp"):
        old.unlink()
    what = "Zeus and its test tools" if extra else "Zeus"
    if "inference" in extra:
        what += " with PyTorch"
    say(f"Installing {what} into {VENV}; this is done once and takes a minute or so...")
    target = f"{HERE}[{extra}]" if extra else str(HERE)
    options = ["--quiet", "--disable-pip-version-check", "--no-input"]
    if extra:
        options += ["--constraint", str(CONSTRAINTS)]
    done = call([str(PYTHON), "-m", "pip", "install", *options, "--editable", target], lock)
    if done.returncode:
        raise Missing(pip_failure(done.stdout))
    for name in {"", extra.partition(",")[0], extra}:
        stamp(name).write_text(fingerprint(name))
    say("Installed.")


def usable(lock: int) -> bool:
    """Whether .venv has a working Python that is new enough, and a pip, which is put in where only that is missing."""
    if not PYTHON.exists():
        return False
    check = f"import sys, encodings; sys.exit(sys.version_info < {NEEDED})"
    try:
        if call([str(PYTHON), "-c", check], lock).returncode:
            return False
        if call([str(PYTHON), "-m", "pip", "--version"], lock).returncode == 0:
            return True
        return call([str(PYTHON), "-m", "ensurepip", "--upgrade"], lock).returncode == 0
    except OSError:
        return False


def make_venv(lock: int) -> None:
    need_python()
    say(f"Making {VENV} with Python {sys.version.split()[0]}...")
    done = call([sys.executable, "-m", "venv", "--clear", str(VENV)], lock)
    if done.returncode:
        raise Missing(f"{VENV} could not be made:\n{tail(done.stdout)}")


def need_python() -> None:
    if sys.version_info < NEEDED:
        here = f"{sys.version.split()[0]} ({sys.executable})"
        raise Missing(f"Zeus needs Python 3.11 or newer, and this is {here}; start it with one: `python3.12 run.py`")
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError as error:
        hint = "on Debian and Ubuntu, `apt install python3-venv` brings it"
        raise Missing(f"this Python ({sys.executable}) lacks its {error.name} module; {hint}") from None


def call(command: list, lock: int):  # type: ignore[no-untyped-def]
    """Run a command to its end. It holds the lock as well: when this process is killed, none collides with pip."""
    import subprocess

    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "errors": "replace"}
    return subprocess.run(command, stdin=subprocess.DEVNULL, pass_fds=(lock,), check=False, **output)


def pip_failure(output: str) -> str:
    if any(sign in output for sign in OFFLINE):
        return f"what Zeus needs could not be fetched: no network? The first start needs one.\n{tail(output, 4)}"
    return f"pip could not install Zeus; it says:\n{tail(output)}"


def tail(output: str, count: int = 15) -> str:
    lines = [line for line in output.strip().splitlines() if "WARNING: Retrying" not in line]
    return "\n".join("  " + line for line in lines[-count:])


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
