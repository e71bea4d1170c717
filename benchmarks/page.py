"""How smooth the page's list of jobs is with 10,000 jobs and 20 changes a second, beside a plain table of them all.

.venv/bin/python benchmarks/page.py [--jobs 10000] [--rounds 3] [--seconds 10] [--long]
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from client import connect, request
from contestants import Server, zeus
from playwright.async_api import CDPSession, Page, async_playwright

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run", "--enable-precise-memory-info",
)  # fmt: skip
CHANGES = 20
"""A second."""
AIM = 16.0
JOB = {"renderer": "noop", "name": "A shot that waits", "not_before": "2090-01-01T00:00:00Z"}
HANG = 600.0
VIEWPORT = {"width": 1440, "height": 900}

SCROLL = """
async (seconds) => {
  const [frames, long, end] = [[], [], performance.now() + seconds * 1000];
  const seen = new PerformanceObserver((list) => long.push(...list.getEntries().map((each) => each.duration)));
  seen.observe({ type: "long-animation-frame" });
  let [before, down] = [performance.now(), 1];
  await new Promise((done) => requestAnimationFrame(function step(now) {
    frames.push(now - before);
    before = now;
    const root = document.scrollingElement;
    if (root.scrollTop + innerHeight >= root.scrollHeight - 2) down = -1;
    else if (root.scrollTop < 2) down = 1;
    scrollBy(0, down * 120);
    if (now < end) requestAnimationFrame(step);
    else done();
  }));
  seen.disconnect();
  return { frames: frames.slice(1), long };
}
"""
PLAIN = """
async () => {
  const { jobs, token } = await (await fetch("/api/jobs")).json();
  const columns = ["name", "renderer", "status", "percent_complete", "node", "priority", "date_created"];
  const [rows, table] = [new Map(), document.createElement("table")];
  const show = (job) => {
    const row = rows.get(job.id) ?? table.insertRow(0);
    rows.set(job.id, row);
    row.replaceChildren(...columns.map((name) => {
      const cell = document.createElement("td");
      cell.textContent = job[name];
      return cell;
    }));
  };
  document.getElementById("main").replaceChildren(table);
  for (const job of jobs.reverse()) show(job);
  (async () => {
    for (let at = token; ;) {
      const answer = await fetch(`/api/jobs/long_poll?changes_only=1&token=${at}`);
      if (answer.status !== 200) continue;
      const news = await answer.json();
      at = news.token;
      news.jobs.forEach(show);
      await new Promise((done) => setTimeout(done, 200));
    }
  })();
}
"""


@dataclass
class Figures:
    """What the rounds of one list gave: frames in ms, those that Chromium calls long, and the document's elements."""

    rounds: list[list[float]] = field(default_factory=list)
    long: list[list[float]] = field(default_factory=list)
    elements: int = 0
    busy: list[float] = field(default_factory=list)
    """Of the page's own thread, ms of computing for each frame."""
    first: list[float] = field(default_factory=list)
    """Seconds until all jobs were shown."""

    @property
    def late(self) -> list[float]:
        return [quantiles(each, n=100)[98] for each in self.rounds]

    def row(self, name: str) -> str:
        middle, most = [median(each) for each in self.rounds], [max(each) for each in self.rounds]
        cells = [f"{median(each):.1f} ({min(each):.1f}–{max(each):.1f})" for each in (middle, self.late, most)]
        slow = median([len(each) for each in self.long])
        rest = f"{median(self.busy):.1f} | {slow:.0f} | {self.elements:,} | {median(self.first):.1f}"
        return f"| {name} | {' | '.join(cells)} | {rest} |"


async def change(port: int, ids: Sequence[str]) -> None:
    """Give one job after the other another priority, so many a second, until it is cancelled."""
    [connection] = await connect(port, 1)
    begun, number = time.perf_counter(), 0
    try:
        while True:
            path = f"/api/jobs/{ids[number * 7919 % len(ids)]}/priority?value={number % 101}"
            if await connection.ask(request("POST", path)) != 200:
                raise RuntimeError("a change was refused")
            number += 1
            await asyncio.sleep(max(0.0, begun + number / CHANGES - time.perf_counter()))
    finally:
        connection.close()


async def measure(page: Page, url: str, count: int, seconds: float, figures: Figures, *, plain: bool) -> None:
    await page.goto("about:blank")
    await page.goto(f"{url}/#/{'settings' if plain else 'jobs'}")
    started = time.perf_counter()
    if plain:
        await page.evaluate(PLAIN)
    await page.locator("tr" if plain else ".job-row").nth(5).wait_for(timeout=HANG * 1000)
    if not plain:
        await page.locator(f'.job-list[aria-rowcount="{count + 1}"]').wait_for(timeout=HANG * 1000)
    figures.first.append(time.perf_counter() - started)
    await page.wait_for_timeout(2000)
    session = await page.context.new_cdp_session(page)
    await session.send("Performance.enable", {"timeDomain": "threadTicks"})
    before = await computed(session)
    found: dict[str, list[float]] = await page.evaluate(SCROLL, seconds)
    figures.busy.append(1000 * (await computed(session) - before) / len(found["frames"]))
    await session.detach()
    figures.rounds.append(found["frames"])
    figures.long.append(found["long"])
    figures.elements = await page.evaluate("document.querySelectorAll('*').length")


async def computed(session: CDPSession) -> float:
    """Seconds that the page's thread has computed: unlike a frame's time, whatever else the machine does."""
    told = await session.send("Performance.getMetrics")
    return float(next(each["value"] for each in told["metrics"] if each["name"] == "TaskDuration"))


async def heap(page: Page) -> float:
    """Megabytes of the page's objects, after all garbage is gone."""
    session = await page.context.new_cdp_session(page)
    await session.send("HeapProfiler.collectGarbage")
    used: float = (await session.send("Runtime.getHeapUsage"))["usedSize"]
    await session.detach()
    return used / 1e6


async def growth(page: Page, url: str, seconds: float) -> list[float]:
    """The heap every tenth of a time in which the list is scrolled, once it has been for a while."""
    await page.goto("about:blank")
    await page.goto(f"{url}/#/jobs")
    await page.locator(".job-row").nth(5).wait_for()
    await page.evaluate(SCROLL, max(5.0, seconds / 10))
    found = [await heap(page)]
    for _ in range(10):
        await page.evaluate(SCROLL, seconds / 10)
        found.append(await heap(page))
    return found


async def run(arguments: argparse.Namespace, server: Server) -> dict[str, Any]:
    await server.fill(arguments.jobs)
    changing = asyncio.create_task(change(server.port, server.ids))
    ours, theirs = Figures(), Figures()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = await browser.new_page(viewport=VIEWPORT)
        url = f"http://127.0.0.1:{server.port}"
        for _ in range(arguments.rounds):
            await measure(page, url, arguments.jobs, arguments.seconds, ours, plain=False)
            await measure(page, url, arguments.jobs, arguments.seconds, theirs, plain=True)
        memory = await growth(page, url, 600.0 if arguments.long else arguments.memory)
        await browser.close()
    if changing.done():
        changing.result()
    changing.cancel()
    await asyncio.gather(changing, return_exceptions=True)
    return {"ours": ours, "theirs": theirs, "memory": memory}


async def main(arguments: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        server = zeus(Path(folder), JOB)
        try:
            found = await run(arguments, server)
        finally:
            server.stop()
    ours, theirs, memory = found["ours"], found["theirs"], found["memory"]
    columns = ("list", "frame p50, ms", "p99, ms", "longest, ms", "computing a frame, ms", "long frames", "elements")
    head = f"| {' | '.join(columns)} | shown after, s |"
    print(
        f"{arguments.jobs:,} jobs, {CHANGES} changes a second, {arguments.rounds} rounds of {arguments.seconds:g} s\n"
    )
    print(f"{head}\n|{' --- |' * 8}\n{ours.row('the page')}\n{theirs.row('a plain table of all')}\n")
    ratio = median(a / b for a, b in zip(ours.late, theirs.late, strict=True))
    print(f"p99 of the page / plain table: {ratio:.2f}. Aim: a frame in {AIM:g} ms.")
    print(f"heap while scrolling, MB: {' '.join(f'{each:.1f}' for each in memory)}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0, help="of scrolling in a round")
    parser.add_argument("--memory", type=float, default=60.0, help="seconds in which the memory is watched")
    parser.add_argument("--long", action="store_true", help="watch the memory for ten minutes")
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(main(parse()))
