"""The page when things go wrong: tabs nobody looks at, answers that fail, lost connections, jobs of other nodes."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Request, Route, expect

from tests.conftest import HANG, NodeProcess
from tests.real.asking import add, ask, until
from tests.real.browser import Opened

ROW = ".job-rows > .job-row"
SOON = 1000
"""Milliseconds in which the page does what it does at once."""
HIDE = """(isHidden) => {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => isHidden });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
BUSY = '{"error": "not_ready", "message": "The disk is being looked at."}'
AHEAD = "const now = Date.now; Date.now = () => now() + 3600e3;"
"""A browser whose clock is an hour ahead."""


def log_of(node: NodeProcess, job_id: str, attempt: int) -> Path:
    return node.folder / "storage" / "jobs" / job_id / f"attempt-{attempt}" / "log"


def refuse(route: Route) -> None:
    headers = {"Content-Type": "application/json", "Retry-After": "1"}
    route.fulfill(status=503, headers=headers, body=BUSY)


def test_what_nobody_looks_at_rests_and_goes_on_where_it_was(
    served: NodeProcess, opened: Callable[..., Opened]
) -> None:
    job_id = add(served.url, name="Talks on", args={"tool": ["lines:3000", "sleep:600"]})
    shown = opened(served.url)
    page = shown.go(f"/jobs/{job_id}")
    log = page.get_by_role("region", name="Log")
    expect(log.locator(".log-line", has_text="line 2999")).to_be_in_viewport()
    log.get_by_role("searchbox").fill("line 1500")
    match = log.locator(".log-match")
    expect(match).to_be_in_viewport()
    ranges: list[str] = []
    page.on("request", lambda each: "/logs" in each.url and ranges.append(each.headers["range"]))
    with page.expect_event("requestfailed", predicate=lambda each: "long_poll" in each.url):
        page.evaluate(HIDE, True)
    asked: list[Request] = []
    page.on("request", lambda each: asked.append(each))
    with log_of(served, job_id, 1).open("a") as file:
        file.write("the very last\n")
    ask(f"{served.url}/api/jobs/{job_id}/cancel?confirm=1", {})
    page.wait_for_timeout(300)
    assert not asked, asked
    expect(page.locator(".badge").first).to_have_text("Running")
    page.evaluate(HIDE, False)
    expect(page.locator(".badge").first).to_have_text("Cancelled")
    expect(log.locator(".log-line", has_text="the very last")).to_have_count(0)
    expect(match).to_be_in_viewport()
    expect(log.get_by_label("Follow")).not_to_be_checked()
    log.get_by_label("Follow").check()
    expect(log.locator(".log-line", has_text="the very last")).to_be_in_viewport()
    page.wait_for_timeout(2 * SOON)
    assert ranges and not [each for each in ranges if not re.fullmatch(r"bytes=[1-9]\d*-\d+", each)], ranges
    done = len(ranges)
    page.evaluate(HIDE, True)
    page.evaluate(HIDE, False)
    page.wait_for_timeout(SOON + 200)
    assert len(ranges) == done, "a log that is whole was read again"


def test_of_a_long_log_the_end_is_read(served: NodeProcess, opened: Callable[..., Opened]) -> None:
    job_id = add(served.url, name="Wrote much", args={"fail": "Once more."})
    attempts = until(served.url, job_id)["attempt"]
    log_of(served, job_id, attempts).write_text("".join(f"number {each} é\n" for each in range(400_000)))
    shown = opened(served.url)
    page = shown.page
    with page.expect_response(re.compile("/api/.*/logs")) as got:
        shown.go(f"/jobs/{job_id}")
    assert (got.value.status, got.value.headers["content-length"]) == (206, str(4 << 20))
    log = page.get_by_role("region", name="Log")
    expect(log.locator(".log-line", has_text="number 399999 é")).to_be_in_viewport()
    expect(log).to_contain_text("Only the last 20,000 lines are shown")
    log.get_by_label("Attempt").select_option("1")
    expect(log.locator(".log-line", has_text="failed: Once more.")).to_be_visible()
    expect(log).not_to_contain_text("are shown")
    with page.expect_download() as taken:
        log.get_by_role("link", name="Download").click()
    assert taken.value.path().read_bytes() == log_of(served, job_id, 1).read_bytes()


def test_what_the_node_cannot_answer_is_said_and_asked_again(
    served: NodeProcess, opened: Callable[..., Opened]
) -> None:
    job_id = add(served.url, name="Made one", args={"files": ["one.txt"], "tool": ["say:here it is"]})
    framed = add(served.url, name="In frames", renderer="frames", start_frame=1, end_frame=2)
    for each in (job_id, framed):
        until(served.url, each)
    shown = opened(served.url)
    shown.allow("status of (503|401)")
    page = shown.page
    page.route(re.compile("/api/.*(files|logs|long_poll)"), refuse)
    shown.go(f"/jobs/{job_id}")
    told = page.locator(".problem", has_text="The disk is being looked at.")
    expect(told).to_have_count(2)
    expect(told.first).to_have_text("The disk is being looked at.")
    expect(told.last).to_have_text("Outputs: The disk is being looked at.")
    expect(page.locator("#banner")).to_contain_text("The jobs may not be up to date. The disk is being looked at.")
    shown.check()
    shown.shoot("trouble")
    page.unroute_all()
    expect(page.get_by_role("link", name="one.txt")).to_be_visible()
    expect(page.locator(".log-line", has_text=re.compile("^here it is$"))).to_be_visible()
    expect(told).to_have_count(0)
    expect(page.locator("#banner")).to_be_hidden()
    page.route(re.compile("/api/.*/frames"), refuse)
    shown.go(f"/jobs/{framed}")
    expect(told).to_have_text("Frames: The disk is being looked at.")
    page.unroute_all()
    expect(page.locator(".frame-finished")).to_have_count(2)
    expect(told).to_have_count(0)
    page.route(re.compile("/api/.*/logs"), lambda route: route.fulfill(status=401, body='{"message": "Who is it?"}'))
    page.reload()
    expect(page.get_by_role("dialog").get_by_role("heading", name="Sign in to this node")).to_be_visible()


def test_that_the_network_is_gone_is_said_without_being_asked(
    served: NodeProcess, opened: Callable[..., Opened]
) -> None:
    shown = opened(served.url)
    shown.allow("ERR_INTERNET_DISCONNECTED")
    page = shown.go("/jobs")
    expect(page.locator(ROW).first).to_be_visible()
    page.context.set_offline(True)
    expect(page.locator("#banner")).to_contain_text("The node cannot be reached.", timeout=SOON)
    page.context.set_offline(False)
    expect(page.locator("#banner")).to_be_hidden()


def test_a_view_that_never_loads_is_loaded_again_once(served: NodeProcess, opened: Callable[..., Opened]) -> None:
    shown = opened(served.url)
    shown.allow("ERR_FAILED")
    page = shown.page
    loads: list[str] = []
    page.on("framenavigated", lambda frame: loads.append(frame.url))
    page.route(re.compile("views/settings.css"), lambda route: route.abort())
    page.goto(f"{served.url}/#/settings")
    again = page.get_by_role("button", name="Load the page again")
    expect(again).to_be_visible()
    assert len(loads) == 2, loads
    page.wait_for_timeout(SOON)
    assert len(loads) == 2, loads
    shown.fits()
    shown.shoot("not-loaded")
    page.unroute_all()
    again.click()
    expect(page.get_by_role("heading", level=1, name="Settings")).to_be_visible()


def test_a_job_is_shown_while_its_own_answer_is_late(served: NodeProcess, opened: Callable[..., Opened]) -> None:
    job_id = add(served.url, name="Here by the list", args={"seconds": 600})
    page = opened(served.url).page
    page.route(f"**/api/jobs/{job_id}", lambda route: None)
    page.add_init_script(AHEAD)
    page.goto(f"{served.url}/#/jobs/{job_id}")
    heading = page.get_by_role("heading", level=1, name="Here by the list")
    expect(heading).to_be_visible()
    page.wait_for_timeout(SOON)
    expect(heading).to_be_visible()
    expect(page.locator(".job-far")).to_contain_text(re.compile(r"^\D*\d+ %.* s so far"))
    held: list[Route] = []
    page.route("**/delete*", lambda route: held.append(route))
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    page.get_by_role("link", name="Settings").click()
    with page.expect_response("**/delete*"):
        held[0].continue_()
    page.wait_for_timeout(100)
    expect(page.get_by_role("heading", level=1, name="Settings")).to_be_visible()


def test_pieces_keep_the_focus_while_they_are_made(served: NodeProcess, opened: Callable[..., Opened]) -> None:
    pieces = [{"name": "The short one", "args": {"seconds": 3}}, {"name": "The long one", "args": {"seconds": 600}}]
    job_id = add(served.url, name="In two", child_jobs=pieces)
    page = opened(served.url).go(f"/jobs/{job_id}")
    reasons = page.get_by_role("region", name="Why it is not running")
    expect(reasons).to_contain_text("It ends with its subjobs, of which 2 have not ended.")
    page.get_by_text("All pieces").click()
    link = page.get_by_role("region", name="Table of pieces").get_by_role("link", name="The long one")
    link.focus()
    expect(page.get_by_role("row", name="The short one")).to_contain_text("Finished")
    expect(link).to_be_focused()
    ask(f"{served.url}/api/jobs/{job_id}/delete?confirm=1", {})


@pytest.fixture
def two(tmp_path: Path) -> Iterator[list[NodeProcess]]:
    """Two nodes that are paired."""
    made = []
    for name in ("anna", "bert"):
        (tmp_path / name).mkdir()
        made.append(NodeProcess(tmp_path / name, {"node": {"name": name}, "network": {"heartbeat": 0.2}}))
        made[-1].start()
    anna, bert = made
    code = ask(f"{bert.url}/api/nodes/pairing", {})["code"]
    ask(f"{anna.url}/api/nodes", {"url": bert.url, "code": code})
    yield made
    for each in made:
        each.stop()


def test_the_job_of_another_node_moves(two: list[NodeProcess], opened: Callable[..., Opened]) -> None:
    anna, bert = two
    job_id = add(bert.url, name="Elsewhere", args={"seconds": 600})
    until(bert.url, job_id, "running")
    deadline = time.monotonic() + HANG
    while not all(each["state"] in ("self", "online") for each in ask(f"{anna.url}/api/nodes")["nodes"]):
        assert time.monotonic() < deadline
    shown = opened(anna.url)
    page = shown.go(f"/jobs/{job_id}")
    badge = page.locator(".badge").first
    expect(badge).to_have_text("Running")
    page.get_by_role("button", name="Pause").click()
    expect(badge).to_have_text("Paused")
    ask(f"{bert.url}/api/jobs/{job_id}/resume", {})
    expect(badge).to_have_text("Running")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Cancel the work").click()
    expect(badge).to_have_text("Cancelled")
    page.get_by_role("link", name="Jobs", exact=True).first.click()
    expect(page.get_by_role("heading", name="No jobs yet")).to_be_visible()


def test_a_page_whose_modules_do_not_come_says_so(served: NodeProcess, opened: Callable[..., Opened]) -> None:
    shown = opened(served.url)
    shown.allow("ERR_FAILED")
    page = shown.page
    page.route("**/static/router.js", lambda route: route.abort())
    page.goto(served.url)
    expect(page.locator("main")).to_contain_text("The page did not load")
    page.unroute("**/static/router.js")
    page.get_by_role("button", name="Load the page again").click()
    expect(page.locator("main h1")).to_be_visible()
