"""The list of jobs in use for a while: what the page holds in memory does not grow with what has changed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import HANG, NodeProcess
from tests.real.asking import ask
from tests.real.browser import Opened

MANY, AT_ONCE = 10_000, 1000
CHANGES = 20
"""A second."""
ALLOWED = 2e6
"""Bytes: a page that kept what each change brought would hold more after a minute."""
SCROLL = """() => new Promise((done) => {
  let left = 120;
  requestAnimationFrame(function step() {
    scrollBy(0, left > 60 ? 400 : -400);
    if (--left) requestAnimationFrame(step);
    else done();
  });
})"""


@pytest.mark.parametrize(
    "seconds",
    [
        pytest.param(60, marks=pytest.mark.timeout(60 + 4 * HANG)),
        pytest.param(600, marks=[pytest.mark.long, pytest.mark.timeout(600 + 4 * HANG)]),
    ],
)
def test_many_jobs_that_change_all_the_time(served: NodeProcess, opened: Callable[..., Opened], seconds: int) -> None:
    later = {"renderer": "noop", "name": "A shot that waits", "not_before": "2090-01-01T00:00:00Z"}
    there = len(ask(f"{served.url}/api/jobs?fields=id")["jobs"])
    for _ in range(there, MANY, AT_ONCE):
        ask(f"{served.url}/api/add_job", [later] * AT_ONCE)
    ids = [job["id"] for job in ask(f"{served.url}/api/jobs?fields=id")["jobs"]]
    shown = opened(served.url)
    shown.allow("ERR_NETWORK_CHANGED")  # in so long a time another test may change it
    page = shown.go("/jobs")
    expect(page.get_by_role("grid")).to_have_attribute("aria-rowcount", str(MANY + 1))
    stop = threading.Event()
    changing = threading.Thread(target=change, args=(served.url, ids, stop))
    changing.start()
    try:
        use(page, 10)  # until all that is made once has been
        first = heap(page)
        use(page, seconds)
        grown = heap(page) - first
    finally:
        stop.set()
        changing.join(HANG)
    print(f"{first / 1e6:.1f} MB at first, {grown / 1e6:+.2f} MB after {seconds} s")
    assert grown < ALLOWED


def use(page: Page, seconds: float) -> None:
    """Scroll down and up for a while."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        page.evaluate(SCROLL)


def change(url: str, ids: Sequence[str], stop: threading.Event) -> None:
    """Give one job after the other another priority."""
    number = 0
    while not stop.wait(1 / CHANGES):
        ask(f"{url}/api/jobs/{ids[number * 7919 % len(ids)]}/priority?value={number % 101}", method="POST")
        number += 1


def heap(page: Page) -> float:
    """Bytes of the page's objects, without garbage."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    used = float(session.send("Runtime.getHeapUsage")["usedSize"])
    session.detach()
    return used
