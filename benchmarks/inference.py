"""How the node answers while videos are generated on all cores, and what the inference extra costs its memory.

.venv/bin/python benchmarks/inference.py [--rounds 5] [--seconds 5] [--without VENV/bin/python]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles

import psutil
from client import connect, fetch, request
from contestants import ROOT, Server

PAUSE = 0.01
"""Seconds between two heartbeats."""
BURN = "while True: sum(number * number for number in range(10_000))"
MODEL = """
[models.ltx-2b]
folder = "{folder}"
width = 128
height = 128
num_frames = 9
fps = 8.0
max_size = 512
"""
TINY = {"model": "ltx-2b", "num_inference_steps": 1000, "num_frames": 33}
DRAWN = {"model": "procedural", "num_frames": 3_000, "width": 1280, "height": 720}
Load = Callable[[Server], AbstractAsyncContextManager[None]]


@dataclass
class Figures:
    """What a load's rounds gave: heartbeats in ms, and the cores that were busy meanwhile."""

    rounds: list[list[float]] = field(default_factory=list)
    cores: list[float] = field(default_factory=list)

    def row(self, name: str) -> str:
        cuts = [quantiles(each, n=100) for each in self.rounds]
        middle, late = ([cut[place] for cut in cuts] for place in (49, 98))
        most = [max(each) for each in self.rounds]
        cells = [f"{median(each):.1f} ({min(each):.1f}–{max(each):.1f})" for each in (middle, late, most)]
        return f"| {name} | {' | '.join(cells)} | {median(self.cores):.1f} |"


async def heartbeats(port: int, seconds: float) -> list[float]:
    """How long each heartbeat took, in ms, over one connection."""
    [connection] = await connect(port, 1)
    sent, taken, end = request("GET", "/api/heartbeat"), [], time.perf_counter() + seconds
    try:
        while time.perf_counter() < end:
            begun = time.perf_counter()
            if await connection.ask(sent) != 200:
                raise RuntimeError("a heartbeat was refused")
            taken.append(1000 * (time.perf_counter() - begun))
            await asyncio.sleep(PAUSE)
    finally:
        connection.close()
    return taken


@contextlib.asynccontextmanager
async def nothing(server: Server) -> AsyncIterator[None]:
    await server.rest()
    yield


@contextlib.asynccontextmanager
async def arithmetic(server: Server) -> AsyncIterator[None]:
    """Processes that the node knows nothing of, one for each core."""
    start = asyncio.create_subprocess_exec
    processes = [await start(sys.executable, "-c", BURN) for _ in range(psutil.cpu_count() or 1)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            await process.wait()


def generations(*wanted: dict[str, object]) -> Load:
    """Generations that are longer than the round, cancelled at its end."""

    @contextlib.asynccontextmanager
    async def running(server: Server) -> AsyncIterator[None]:
        ids = []
        for args in wanted:
            job = {"renderer": "video", "args": {"prompt": "a fox in snow", **args}}
            ids.append((await fetch(server.port, request("POST", "/api/add_job", job)))["id"])
        for job_id in ids[:1]:
            while not (job := await fetch(server.port, request("GET", f"/api/jobs/{job_id}")))["percent_complete"]:
                if job["status"] not in ("queued", "running"):
                    raise RuntimeError(f"the generation is {job['status']}: {job['error']}")
                await asyncio.sleep(0.1)
        yield
        for job_id in reversed(ids):
            ended = await fetch(server.port, request("POST", f"/api/jobs/{job_id}/cancel?confirm=1"))
            if ended["status"] != "cancelled":
                raise RuntimeError(f"the generation did not last: {ended['status']}")
        await server.rest()

    return running


LOADS: dict[str, Load] = {
    "nothing else": nothing,
    "plain arithmetic, a process a core": arithmetic,
    "`procedural`, 1280 × 720": generations(DRAWN),
    "LTX by diffusers, tiny": generations(TINY),
}


async def answers(server: Server, rounds: int, seconds: float) -> dict[str, Figures]:
    """All loads in turn, round by round, so that other work on the machine meets each alike."""
    found = {name: Figures() for name in LOADS}
    for _ in range(rounds):
        for name, load in LOADS.items():
            async with load(server):
                psutil.cpu_percent()
                found[name].rounds.append(await heartbeats(server.port, seconds))
                found[name].cores.append(psutil.cpu_percent() / 100 * (psutil.cpu_count() or 1))
        print("   a round of heartbeats: measured", file=sys.stderr)
    return found


def serve(python: str, folder: Path, more: str = "") -> Server:
    folder.mkdir()
    (folder / "zeus.toml").write_text(f"[jobs]\nslots = 4\n[engines.video]\nslots = 2\n{more}")
    argv = [python, "-m", "zeus", "serve", "--port", "0", "--config", str(folder / "zeus.toml")]
    return Server("Zeus", [*argv, "--storage", str(folder / "storage")], ("/api/add_job", {}))


async def memory(python: str, folder: Path) -> tuple[float, float]:
    """MB of memory of the server process alone: idle, and after a generation."""
    server = serve(python, folder)
    try:
        await server.rest()
        idle = server.own_resident()
        job = {"renderer": "video", "args": {"prompt": "a fox", "num_frames": 8}}
        job_id = (await fetch(server.port, request("POST", "/api/add_job", job)))["id"]
        while (await fetch(server.port, request("GET", f"/api/jobs/{job_id}")))["status"] != "finished":
            await asyncio.sleep(0.1)
        await server.rest()
        return idle, server.own_resident()
    finally:
        server.stop()


async def memories(pythons: Sequence[str], folder: Path, rounds: int) -> list[list[tuple[float, float]]]:
    found: list[list[tuple[float, float]]] = [[] for _ in pythons]
    for number in range(rounds):
        for place, python in enumerate(pythons):
            found[place].append(await memory(python, folder / f"memory-{number}-{place}"))
    return found


def _spread(values: Sequence[float]) -> str:
    return f"{median(values):.1f} ({min(values):.1f}–{max(values):.1f})"


def tiny_models(folder: Path) -> None:
    argv = [sys.executable, "-m", "tests.tiny_models", str(folder)]
    subprocess.run(argv, check=True, cwd=ROOT, stderr=subprocess.DEVNULL)


async def main() -> None:
    parser = argparse.ArgumentParser(description="Measure heartbeats during generations, and the server's memory.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each load in each round")
    parser.add_argument("--without", help="a Python with Zeus but without its inference extra")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="zeus-benchmark-") as made:
        folder = Path(made)
        await asyncio.to_thread(tiny_models, folder / "models")
        server = serve(sys.executable, folder / "node", MODEL.format(folder=(folder / "models/ltx").as_posix()))
        try:
            found = await answers(server, chosen.rounds, chosen.seconds)
        finally:
            server.stop()
        print("| beside the node | p50, ms | p99, ms | longest, ms | busy cores |\n| --- | --- | --- | --- | --- |")
        print("\n".join(figures.row(name) for name, figures in found.items()))
        if chosen.without is not None:
            pythons = {"with": sys.executable, "without": chosen.without}
            print("\n| the inference extra | idle, MB | after a generation, MB |\n| --- | --- | --- |")
            for name, each in zip(pythons, await memories([*pythons.values()], folder, chosen.rounds), strict=True):
                print(f"| {name} | {_spread([one[0] for one in each])} | {_spread([one[1] for one in each])} |")


if __name__ == "__main__":
    asyncio.run(main())
