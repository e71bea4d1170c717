"""How a split job scales over nodes: 1 to 32 of them on loopback, one five times slower, one that joins late.

.venv/bin/python benchmarks/scaling.py [--nodes 1,2,4,8,16,32] [--frames 80] [--seconds 0.5] [--no-static]

Each node is a process of its own with an engine that sleeps for each frame, so what is measured is how the frames are
shared out and brought home. `--frames` is for each node. Beside it a static split: as many equal ranges as there are
nodes at the start. The plot goes to benchmarks/scaling.svg.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import math
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.simulation import Machine, ideal  # noqa: E402  # it is found only from there on

SLOW = 5.0
LATE = 0.3
"""The part of the ideal time after which the last node is started."""
TRIES = 300.0


class Result(NamedTuple):
    """Speed-ups over one node that is not slow."""

    nodes: int
    ideal: float
    zeus: float
    static: float | None


class Nodes:
    """Nodes in processes of their own that trust each other; the first one is given the jobs, and works too."""

    def __init__(self, folder: Path, count: int) -> None:
        self._folder = folder
        self.urls = [f"http://127.0.0.1:{port}" for port in free_ports(count)]
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, number: int, factor: float = 1.0) -> None:
        """Start one, and wait until it answers."""
        folder = self._folder / str(number)
        folder.mkdir()
        config = {
            "node": {"name": f"node-{number}", "storage": str(folder / "storage")},
            "http": {"port": int(self.urls[number].rpartition(":")[2]), "open": True},
            "network": {"discovery": "off", "peers": self.urls[1:] if number == 0 else self.urls[:1]},
            "plugins": {"folders": [str(ROOT / "tests" / "stubs" / "plugins")]},
            "jobs": {"slots": 1, "chunk_seconds": 60.0},
            "engines": {"frames": {"slots": 1, "factor": factor}, "video": {"offline": True}},
        }
        (folder / "zeus.json").write_text(json.dumps(config))
        program = ROOT / "tests" / "stubs" / "serve.py"
        process = subprocess.Popen(
            [sys.executable, str(program), str(folder / "zeus.json")],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT,
        )  # fmt: skip
        self.processes.append(process)
        assert process.stdout is not None and process.stdout.readline(), f"node {number} does not start"

    def close(self) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait()


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--nodes", default="1,2,4,8,16,32")
    parser.add_argument("--frames", type=int, default=80)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--no-static", action="store_true")
    options = parser.parse_args()
    results = []
    for count in map(int, options.nodes.split(",")):
        frames, seconds = options.frames * count, options.seconds
        took, best = await measure(count, frames, seconds, is_static=False)
        static = None
        if not options.no_static:
            static = frames * seconds / (await measure(count, frames, seconds, is_static=True))[0]
        results.append(Result(count, frames * seconds / best, frames * seconds / took, static))
        shown = f", static {static:.1f}" if static is not None else ""
        print(f"{count} nodes: {took:.1f} s, speed-up {results[-1].zeus:.1f} of {results[-1].ideal:.1f}"
              f" ({best / took:.2f} of ideal){shown}", flush=True)  # fmt: skip
    (Path(__file__).parent / "scaling.svg").write_text(plot(results))


async def measure(count: int, frames: int, seconds: float, *, is_static: bool) -> tuple[float, float]:
    """The seconds that a job takes, and those that it would take at best."""
    machines = machines_of(count, seconds)
    late_after = LATE * ideal(machines, frames)
    async with nodes_in(count, machines) as nodes, aiohttp.ClientSession() as session:
        there = count - 1 if count > 2 else count
        await until_online(session, nodes.urls[0], there)
        start = time.monotonic()
        job_id = await submit(session, nodes.urls[0], frames, seconds, there if is_static else 0)
        ending = asyncio.create_task(until_ended(session, nodes.urls[0], job_id))
        if there < count:
            await asyncio.sleep(late_after)
            await asyncio.to_thread(nodes.start, count - 1)
            if not is_static:
                await until_online(session, nodes.urls[0], count)
                machines[-1] = Machine(seconds, time.monotonic() - start)
        await ending
        return time.monotonic() - start, ideal(machines, frames)


def machines_of(count: int, seconds: float) -> list[Machine]:
    """One of more than one is slow; one of more than two comes late."""
    factors = [1.0, *([SLOW] if count > 1 else []), *[1.0] * (count - 2)]
    return [Machine(seconds * factor) for factor in factors]


@contextlib.asynccontextmanager
async def nodes_in(count: int, machines: Sequence[Machine]) -> AsyncIterator[Nodes]:
    with tempfile.TemporaryDirectory() as made:
        nodes = Nodes(Path(made), count)
        try:
            for number in range(count - 1 if count > 2 else count):
                await asyncio.to_thread(nodes.start, number, machines[number].seconds / machines[0].seconds)
            yield nodes
        finally:
            await asyncio.to_thread(nodes.close)


async def until_online(session: aiohttp.ClientSession, url: str, count: int) -> None:
    """Wait until so many nodes can be used, this one among them."""
    async with asyncio.timeout(TRIES):
        while True:
            found = (await get(session, f"{url}/api/nodes"))["nodes"]
            if sum(node["state"] in ("self", "online") for node in found) >= count:
                return
            await asyncio.sleep(0.1)


async def submit(session: aiohttp.ClientSession, url: str, frames: int, seconds: float, ranges: int) -> str:
    """Add a job, split by Zeus or in so many equal ranges."""
    body: dict[str, Any] = {"renderer": "frames", "start_frame": 1, "end_frame": frames, "args": {"seconds": seconds}}
    if ranges:
        cuts = [frames * number // ranges for number in range(ranges + 1)]
        body["child_jobs"] = [{"start_frame": cuts[n] + 1, "end_frame": cuts[n + 1]} for n in range(ranges)]
    else:
        body["enable_split_jobs"] = True
    async with session.post(f"{url}/api/add_job", json=body) as got:
        assert got.status == 200, await got.text()
        return str((await got.json())["id"])


async def until_ended(session: aiohttp.ClientSession, url: str, job_id: str) -> None:
    while (job := await get(session, f"{url}/api/jobs/{job_id}"))["status"] not in ("finished", "failed", "cancelled"):
        await asyncio.sleep(0.05)
    assert job["status"] == "finished" and job["completed_frames"] == job["total_frames"], job["error"]


async def get(session: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    async with session.get(url) as got:
        return dict(await got.json())


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


WIDTH, HEIGHT, EDGE = 640, 420, 56
LINES = (("ideal", "#888888", "4 4"), ("zeus", "#2266cc", ""), ("static", "#cc6622", ""))
WORDS = {"ideal": "ideal", "zeus": "Zeus", "static": "static split"}


def plot(results: Sequence[Result]) -> str:
    """The speed-ups as lines over the number of nodes."""
    most = max(each.nodes for each in results)
    step = max(most // 4, 1)
    tallest = step * math.ceil(max(each.ideal for each in results) / step)

    def at(nodes: float, value: float) -> tuple[float, float]:
        x = EDGE + (WIDTH - 2 * EDGE) * nodes / most
        return round(x, 1), round(HEIGHT - EDGE - (HEIGHT - 2 * EDGE) * value / tallest, 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
        ' font-family="sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{EDGE}" y="24">Speed-up of a split job; one node is 5 times slower, one joins late</text>',
        f'<text x="{WIDTH / 2}" y="{HEIGHT - 12}" text-anchor="middle">nodes</text>',
    ]
    (left, bottom), (right, top) = at(0, 0), at(most, tallest)
    parts.append(f'<path d="M{left} {top}V{bottom}H{right}" fill="none" stroke="black"/>')
    for each in results:
        x, _ = at(each.nodes, 0)
        parts.append(f'<text x="{x}" y="{bottom + 18}" text-anchor="middle">{each.nodes}</text>')
    for value in range(0, tallest + 1, step):
        _, y = at(0, value)
        parts.append(f'<text x="{left - 8}" y="{y + 4}" text-anchor="end">{value}</text>')
    for number, (name, color, dashes) in enumerate(LINES):
        points = [at(each.nodes, getattr(each, name)) for each in results if getattr(each, name) is not None]
        line = " ".join(f"{x},{y}" for x, y in points)
        parts.append(
            f'<polyline points="{line}" fill="none" stroke="{color}" stroke-width="2" stroke-dasharray="{dashes}"/>'
        )
        parts += [f'<circle cx="{x}" cy="{y}" r="3" fill="{color}"/>' for x, y in points]
        parts.append(f'<text x="{EDGE + 16}" y="{EDGE + 18 * number}" fill="{color}">{WORDS[name]}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


if __name__ == "__main__":
    asyncio.run(main())
