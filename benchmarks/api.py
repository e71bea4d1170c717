"""Measures what the HTTP API costs, beside a bare aiohttp server and the Flask stacks of the two original APIs.

python benchmarks/api.py [--quick | --full] [--flask-python VENV/bin/python]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import contestants
from client import Waiters, fetch, request, seconds
from contestants import GENERATE, Server
from table import Row, markdown

from zeus.machine import raise_descriptor_limit

STORED, MANY = 1_000, 10_000
CLIENTS = 16
REQUESTS = 1_000
"""Polls, and submissions, of one figure. What all rounds submit stays below MANY."""
SPREAD = 50
"""How many different jobs are polled, evenly over the list."""
Measure = Callable[[Server], Awaitable[float]]


@dataclass
class Run:
    """One run: what takes part, how often, and until when another round may begin."""

    servers: Sequence[Server]
    rounds: int
    few: int
    deadline: float
    rows: list[Row] = field(default_factory=list)

    async def row(
        self, what: str, measure: Measure, rounds: int, *, aim: str = "–", digits: int = 0, without: str = ""
    ) -> None:
        """Measure all in turn, round by round, so that other load on the machine meets each alike."""
        figures: dict[str, list[float]] = {each.name: [] for each in self.servers if each.name != without}
        for number in range(rounds):
            if number and time.monotonic() > self.deadline:
                print("   out of time: fewer rounds", file=sys.stderr)
                break
            for server in self.servers:
                if server.name in figures:
                    await server.rest()
                    figures[server.name].append(await measure(server))
        self.rows.append(Row(what, figures, aim, digits))
        print(f"   {what}: measured", file=sys.stderr)

    async def poll(self, server: Server) -> float:
        ids = server.ids[:: max(len(server.ids) // SPREAD, 1)]
        asks = [request("GET", f"/api/jobs/{ids[number % len(ids)]}") for number in range(REQUESTS)]
        return len(asks) / await seconds(server.port, asks, CLIENTS)

    async def submit(self, server: Server, clients: int) -> float:
        asks = [server.submission()] * (REQUESTS // (1 if clients > 1 else 4))
        server.stored += len(asks)
        return len(asks) / await seconds(server.port, asks, clients)

    async def list_jobs(self, server: Server) -> float:
        return 1000 * await seconds(server.port, [request("GET", "/api/jobs")] * 4, 1) / 4

    async def list_changed(self, server: Server) -> float:
        """The first list after a change."""
        await fetch(server.port, _change(server))
        return 1000 * await seconds(server.port, [request("GET", "/api/jobs")], 1)

    async def wake(self, server: Server, count: int) -> float:
        token = (await fetch(server.port, request("GET", "/api/jobs")))["token"]
        waiters = Waiters(server.port)
        try:
            await waiters.park(request("GET", f"/api/jobs/long_poll?token={token}&timeout=60"), count)
            await server.rest()
            return await waiters.wake(_change(server))
        finally:
            waiters.close()


def _change(server: Server) -> bytes:
    """Another priority for the last job that the fill made, never the one that it has."""
    server.changes += 1
    return request("POST", f"/api/jobs/{server.ids[-1]}/priority?value={server.changes % 50}")


async def measure(run: Run, waiters: Sequence[int]) -> None:
    for server in run.servers:
        await server.rest()
    idle = {server.name: [server.resident()] for server in run.servers}
    run.rows.append(Row("idle memory, MB", idle, "Zeus ≤ 60 MB"))
    for server in run.servers:
        await server.fill(STORED)
    for count in waiters:
        aim, rounds = ("≤ 0.5 × bare", run.few) if count == waiters[0] else ("–", 2)
        what = f"a change to the last of {count:,} waiters, {STORED:,} jobs, s"
        await run.row(what, partial(run.wake, count=count), rounds, aim=aim, digits=2, without=GENERATE)
    await run.row(f"poll, {CLIENTS} clients, 1/s", run.poll, run.rounds, aim="≥ 0.7 × bare")
    await run.row(
        f"submit, {CLIENTS} clients, 1/s", partial(run.submit, clients=CLIENTS), run.rounds, aim="≥ 5 × Flask + Redis"
    )
    await run.row("submit, 1 client, 1/s", partial(run.submit, clients=1), run.rounds)
    for server in run.servers:
        if server.has_list:
            await server.fill(MANY)
    await run.row(f"list of {MANY:,}, ms", run.list_jobs, run.rounds, digits=1, without=GENERATE)
    await run.row(f"list of {MANY:,} after a change, ms", run.list_changed, run.rounds, digits=1, without=GENERATE)


async def start(stack: contextlib.ExitStack, folder: Path, python: str, threads: int) -> list[Server]:
    def started(server: Server) -> Server:
        stack.callback(server.stop)
        return server

    later = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    job = {"renderer": "noop", "name": "benchmark", "args": {}, "not_before": later}
    zeus = started(contestants.zeus(folder, job))
    template = folder / "template.json"
    template.write_text(json.dumps(await fetch(zeus.port, request("POST", "/api/add_job", job))))
    zeus.stored += 1
    servers = [zeus, started(contestants.bare(template, job))]
    if (made := contestants.generate(python, folder)) is not None:
        servers.append(started(made))
    else:
        print("There is no redis-server: the generate API's stack is left out.", file=sys.stderr)
    return [*servers, started(contestants.farm(python, template, job, threads))]


async def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the HTTP API beside a bare server and two Flask stacks.")
    parser.add_argument("--quick", action="store_true", help="few rounds: less than 4 minutes")
    parser.add_argument("--full", action="store_true", help="3,000 waiters too")
    parser.add_argument("--flask-python", default=sys.executable, help="the Python that has requirements.txt")
    chosen = parser.parse_args()
    raise_descriptor_limit()
    waiters = (1_000, 3_000) if chosen.full else (1_000,)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="zeus-benchmark-") as folder, contextlib.ExitStack() as stack:
        servers = await start(stack, Path(folder), chosen.flask_python, waiters[-1] + CLIENTS)
        rounds, few, budget = (5, 3, 150.0) if chosen.quick else (7, 5, 900.0)
        run = Run(servers, rounds, few, began + budget)
        await measure(run, waiters)
    print(markdown(run.rows))
    rounds_said = f"{run.few} rounds of waiters, {run.rounds} of the rest"
    print(f"\nMedians (least–most) of {rounds_said}, {time.monotonic() - began:.0f} s in all.")


if __name__ == "__main__":
    asyncio.run(main())
