"""The servers that are compared: each in processes of its own on loopback, ended by their ids."""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
from client import fetch, request

HERE = Path(__file__).parent
ROOT = HERE.parent
ZEUS, BARE, GENERATE, FARM = "Zeus", "bare aiohttp", "Flask + Redis", "Flask + list + SQLite"
AT_ONCE = 500
"""Jobs that are added with one request while a server is filled."""
QUIET, LOOK, LONGEST = 0.05, 0.25, 20.0
"""A server rests once it used less than this share of a core over `LOOK` seconds; it gets `LONGEST` for that."""


class Server:
    """One contestant. `submit` is the route and the body that add a job which does not start."""

    def __init__(self, name: str, argv: Sequence[str], submit: tuple[str, Mapping[str, Any]]) -> None:
        self.name = name
        self.stored = 0
        self.changes = 0
        self.ids: list[str] = []
        self._path, self._body = submit
        self._process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        self._helpers: list[subprocess.Popen[str]] = []
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        found = re.search(r":(\d+)\s*$", line)
        if found is None:
            self.stop()
            raise RuntimeError(f"{name} did not start; it said {line!r}")
        self.port = int(found[1])

    @property
    def has_list(self) -> bool:
        return self.name != GENERATE

    def submission(self) -> bytes:
        return request("POST", self._path, self._body)

    async def fill(self, target: int) -> None:
        """Add jobs until `target` are stored."""
        while self.stored < target:
            count = min(AT_ONCE, target - self.stored) if self.has_list else 1
            body = [self._body] * count if self.has_list else self._body
            answer = await fetch(self.port, request("POST", self._path, body))
            self.ids += [job["job_id"] for job in (answer if self.has_list else [answer])]
            self.stored += count

    async def rest(self) -> None:
        """Wait until the server has nothing to do."""
        deadline = time.monotonic() + LONGEST
        while time.monotonic() < deadline:
            before = self._cpu()
            await asyncio.sleep(LOOK)
            if self._cpu() - before < QUIET * LOOK:
                return

    def resident(self) -> float:
        """MB of memory of all its processes."""
        return sum(each.memory_info().rss for each in self._processes()) / 1e6

    def own_resident(self) -> float:
        """MB of memory of its first process alone."""
        return psutil.Process(self._process.pid).memory_info().rss / 1e6

    def helped_by(self, process: subprocess.Popen[str]) -> None:
        self._helpers.append(process)

    def stop(self) -> None:
        for process in (self._process, *self._helpers):
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _cpu(self) -> float:
        return sum(sum(each.cpu_times()[:2]) for each in self._processes())

    def _processes(self) -> list[psutil.Process]:
        own = psutil.Process(self._process.pid)
        return [own, *own.children(recursive=True), *(psutil.Process(each.pid) for each in self._helpers)]


def zeus(folder: Path, job: Mapping[str, Any]) -> Server:
    """The node as users start it, with the test engine that does nothing besides its own."""
    config = folder / "zeus.toml"
    config.write_text(f'[plugins]\nfolders = ["{(ROOT / "tests/stubs/plugins").as_posix()}"]\n')
    argv = [sys.executable, "-m", "zeus", "serve", "--port", "0", "--config", str(config), "--storage"]
    return Server(ZEUS, [*argv, str(folder / "storage")], ("/api/add_job", job))


def bare(template: Path, job: Mapping[str, Any]) -> Server:
    return Server(BARE, [sys.executable, str(HERE / "bare.py"), str(template)], ("/api/add_job", job))


def farm(python: str, template: Path, job: Mapping[str, Any], threads: int) -> Server:
    argv = [python, str(HERE / "flask_farm.py"), str(template), str(template.with_name("farm.db")), str(threads)]
    return Server(FARM, argv, ("/api/add_job", job))


def generate(python: str, folder: Path) -> Server | None:
    """The generate API's stack, or None without a redis-server."""
    program = shutil.which("redis-server")
    if program is None:
        return None
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    argv = [program, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(folder)]
    redis = subprocess.Popen(argv, stdout=subprocess.DEVNULL, text=True)
    try:
        argv = [python, str(HERE / "flask_generate.py"), port]
        made = Server(GENERATE, argv, ("/api/generate", {"prompt": "A fox in the snow"}))
    except BaseException:
        redis.terminate()
        redis.wait()
        raise
    made.helped_by(redis)
    return made
