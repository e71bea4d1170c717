"""The list of jobs in the browser: live, searched, sorted, gone through by keys, ended in bulk, and never HTML."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import NodeProcess
from tests.real.asking import add, ask, until
from tests.real.browser import HOSTILE, LOOKS, Opened

MANY = 400
ROW = ".job-rows > .job-row"


@pytest.fixture(scope="module")
def filled(served: NodeProcess) -> NodeProcess:
    """A node with a job of each kind, and many that wait."""
    later = {"renderer": "noop", "not_before": "2090-01-01T00:00:00Z"}
    for start in range(1, MANY, 100):
        ask(f"{served.url}/api/add_job", [{**later, "name": f"Shot {start + each:04}"} for each in range(100)])
    failed = add(served.url, name=HOSTILE, args={"fail": HOSTILE, "retry": False})
    fields = {"prompt": "a red fox in fresh snow", "num_frames": 8, "width": 64, "height": 64}
    video = add(served.url, name="A red fox in fresh snow", renderer="video", args=fields)
    add(served.url, name="A long way to go", args={"seconds": 600}, priority=80)
    frames = add(served.url, name="Kitchen, morning light", renderer="frames", start_frame=1, end_frame=40)
    for job_id in (failed, video, frames):
        until(served.url, job_id)
    return served


def names(page: Page) -> list[str]:
    return page.locator(f"{ROW} .job-name").all_inner_texts()


def listed(shown: Opened) -> Page:
    """The list, once it has all jobs."""
    page = shown.go("/jobs")
    expect(page.get_by_role("grid")).to_have_attribute("aria-rowcount", str(MANY + 5))
    expect(page.locator(ROW).first).to_be_visible()
    return page


def row(page: Page, name: str) -> object:
    return page.locator(ROW, has_text=name)


@pytest.mark.parametrize(("size", "theme"), LOOKS)
def test_all_jobs_are_there_and_few_are_in_the_document(
    filled: NodeProcess, opened: Callable[..., Opened], size: str, theme: str
) -> None:
    shown = opened(filled.url, size, theme)
    page = shown.go("/jobs")
    expect(page.get_by_role("grid")).to_have_attribute("aria-rowcount", str(MANY + 5))
    fox = page.locator(ROW, has_text="A red fox in fresh snow")
    expect(fox).to_contain_text("Finished")
    expect(fox.locator("img")).not_to_have_js_property("naturalWidth", 0)
    bad = page.locator(ROW, has_text=HOSTILE)
    expect(bad.locator(".job-told")).to_have_text(HOSTILE)
    assert page.locator("img[src=x]").count() == 0
    assert page.locator(ROW).count() < 60
    expect(page.locator(ROW, has_text="A long way to go").locator("progress")).to_be_visible()
    shown.check()
    shown.shoot("jobs")
    page.mouse.move(200, 400)
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    expect(page.locator(ROW, has_text="Shot 0001")).to_be_in_viewport()
    assert page.locator(ROW).count() < 60
    shown.check()


def test_searching_filtering_and_sorting(filled: NodeProcess, opened: Callable[..., Opened]) -> None:
    page = listed(opened(filled.url))
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("shot 039")
    expect(page.locator(ROW)).to_have_count(10)
    expect(page.locator("#live")).to_have_text("10 jobs found")
    page.get_by_label("Order").select_option("name")
    assert names(page) == [f"Shot {number:04}" for number in range(390, 400)]
    page.reload()
    expect(page.locator(ROW)).to_have_count(10)
    expect(page.get_by_role("searchbox")).to_have_value("shot 039")
    page.get_by_label("Engine").select_option("video")
    expect(page.get_by_role("heading", name="No job is like that")).to_be_visible()
    page.get_by_role("button", name="Show all jobs").click()
    page.get_by_label("Failed").check()
    expect(page.locator(ROW)).to_have_count(1)
    page.get_by_label("Failed").press("ArrowLeft")
    expect(page.get_by_label("Waiting")).to_be_checked()
    page.get_by_role("radio", name="All").check()
    page.get_by_role("button", name="Priority").click()
    expect(page.get_by_role("columnheader", name="Priority")).to_have_attribute("aria-sort", "descending")
    assert names(page)[0] == "A long way to go"


def test_the_keyboard_is_enough(filled: NodeProcess, opened: Callable[..., Opened]) -> None:
    page = listed(opened(filled.url))
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.press("ArrowDown")
    grid = page.get_by_role("grid")
    expect(grid).to_be_focused()
    page.keyboard.press("End")
    last = page.locator(ROW, has_text="Shot 0001")
    expect(last).to_be_in_viewport()
    expect(grid).to_have_attribute("aria-activedescendant", str(last.get_attribute("id")))
    page.keyboard.press("Space")
    expect(page.get_by_text("1 selected")).to_be_visible()
    page.keyboard.press("Shift+ArrowUp")
    expect(page.get_by_text("2 selected")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_text("2 selected")).to_be_hidden()
    page.keyboard.press("Shift+Home")
    expect(page.get_by_text(f"{MANY + 3} selected")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("End")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Shot 0002")
    page.go_back()
    expect(last).to_be_in_viewport()


def test_some_are_deleted_after_a_question(filled: NodeProcess, opened: Callable[..., Opened]) -> None:
    ids = [add(filled.url, name=f"Not wanted {number}", args={"seconds": 600}) for number in range(3)]
    shown = opened(filled.url)
    shown.allow("ERR_FAILED")
    page = shown.go("/jobs")
    page.get_by_label("Select Not wanted 0").check()
    page.get_by_label("Select Not wanted 2").click(modifiers=["Shift"])
    bar = page.get_by_role("region", name="Selected jobs")
    expect(bar).to_contain_text("3 selected")
    bar.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Cancel the work").click()
    for number, job_id in enumerate(ids):
        expect(page.locator(ROW, has_text=f"Not wanted {number}")).to_contain_text("Cancelled")
        assert ask(f"{filled.url}/api/jobs/{job_id}")["status"] == "cancelled"
    expect(bar).to_be_hidden()
    page.get_by_label("Select Not wanted 0").check()
    page.get_by_label("Select Not wanted 1").check()
    bar.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Keep").click()
    expect(page.locator(ROW, has_text="Not wanted")).to_have_count(3)
    lost = f"**/{ids[0]}/delete*"
    page.route(lost, lambda route: route.abort())
    bar.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("1 of 2 jobs could not be deleted. The node cannot be reached.")).to_be_visible()
    expect(bar).to_contain_text("1 selected")
    page.unroute(lost)
    bar.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator(ROW, has_text="Not wanted")).to_have_count(1)
    expect(page.get_by_text("1 job deleted")).to_have_count(2)
    assert [job["name"] for job in ask(f"{filled.url}/api/jobs?limit=1")["jobs"]] == ["Not wanted 2"]
    ask(f"{filled.url}/api/jobs/{ids[2]}/delete?confirm=1", {})
    expect(page.locator(ROW, has_text="Not wanted")).to_have_count(0)


def test_it_is_live_and_stays_where_one_looks(filled: NodeProcess, opened: Callable[..., Opened]) -> None:
    page = opened(filled.url).go("/jobs")
    expect(page.locator(ROW).first).to_be_visible()
    page.evaluate("scrollTo(0, 6000)")
    middle = page.locator(ROW, has_text="Shot 0315")
    expect(middle).to_be_in_viewport()
    before = middle.bounding_box()
    job_id = add(filled.url, name="Came just now", args={"seconds": 0.3})
    expect(page.get_by_role("grid")).to_have_attribute("aria-rowcount", str(MANY + 6))
    expect(middle).to_have_attribute("aria-rowindex", re.compile(r"\d+"))
    assert middle.bounding_box() == before
    page.evaluate("scrollTo(0, 0)")
    expect(page.locator(ROW, has_text="Came just now")).to_contain_text("Finished")
    ask(f"{filled.url}/api/jobs/{job_id}/delete?confirm=1", {})
    expect(page.locator(ROW, has_text="Came just now")).to_have_count(0)


def test_pieces_are_within_their_job(filled: NodeProcess, opened: Callable[..., Opened]) -> None:
    family = add(filled.url, name="In two", child_jobs=[{"name": "First half"}, {"name": "Second half"}])
    until(filled.url, family)
    page = opened(filled.url).go("/jobs?q=half")
    expect(page.get_by_role("heading", name="No job is like that")).to_be_visible()
    page.goto(f"{filled.url}/#/jobs?parent={family}")
    expect(page.locator(ROW)).to_have_count(2)
    expect(page.get_by_text("The pieces of")).to_contain_text("In two")
    page.get_by_role("button", name="Show all jobs").click()
    expect(page.locator(ROW, has_text="In two")).to_contain_text("2 pieces")
    ask(f"{filled.url}/api/jobs/{family}/delete?confirm=1", {})


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[NodeProcess]:
    node = NodeProcess(tmp_path, {})
    node.start()
    yield node
    node.stop()


def test_an_empty_list_leads_on(bare: NodeProcess, opened: Callable[..., Opened]) -> None:
    shown = opened(bare.url, "narrow", "dark")
    page = shown.go("/jobs")
    expect(page.get_by_role("heading", name="No jobs yet")).to_be_visible()
    shown.check()
    shown.shoot("jobs-empty")
    expect(page.get_by_role("link", name="Generate a video")).to_have_attribute("href", "#/generate")
    add(bare.url, name="The first")
    expect(page.locator(ROW, has_text="The first")).to_be_visible()
