"""A job's page in the browser: frames, player, log, pieces, why it waits, and all that can be done with it."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.conftest import NodeProcess
from tests.real.asking import add, ask, until
from tests.real.browser import HOSTILE, LOOKS, Opened

FRAMES = 4
MANY = 12_000
LINES = 30_000


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory, scenes: Path) -> Iterator[NodeProcess]:
    """A node that may read the scenes."""
    node = NodeProcess(tmp_path_factory.mktemp("farm"), {"files": {"local_roots": [str(scenes)]}})
    node.start()
    yield node
    node.stop()


@pytest.fixture(scope="module")
def rendered(farm: NodeProcess, scenes: Path) -> str:
    """A job of the real Blender; its id."""
    fields = {"start_frame": 1, "end_frame": FRAMES, "args": {"export_format": "PNG"}}
    path = str(scenes / "cube.blend")
    return add(farm.url, renderer="blender", name="Cube, turning in the light", local_path=path, **fields)


@pytest.fixture
def look(farm: NodeProcess, opened: Callable[..., Opened]) -> Callable[..., Opened]:
    """Opens the page of a job."""

    def open_job(job_id: str, size: str = "desktop", theme: str = "light") -> Opened:
        shown = opened(farm.url, size, theme)
        shown.go(f"/jobs/{job_id}")
        return shown

    return open_job


def part(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=name, exact=True)


def act(farm: NodeProcess, job_id: str, deed: str) -> None:
    ask(f"{farm.url}/api/jobs/{job_id}/{deed}?confirm=1", {})


def test_frames_fill_in_while_it_renders(rendered: str, look: Callable[..., Opened]) -> None:
    page = look(rendered).page
    expect(page.get_by_role("heading", level=1)).to_have_text("Cube, turning in the light")
    made = page.locator(".frame-finished")
    expect(made.first).to_be_visible(timeout=120_000)
    expect(made).to_have_count(FRAMES)
    expect(part(page, "Frames")).to_contain_text(f"{FRAMES} of {FRAMES} frames")
    expect(page.locator(".badge").first).to_have_text("Finished")
    expect(part(page, "What it looks like").locator("img")).not_to_have_js_property("naturalWidth", 0)
    expect(part(page, "Log").locator(".log-line", has_text="Saved:").first).to_be_visible()


@pytest.mark.parametrize(("size", "theme"), LOOKS)
def test_a_rendering_to_look_at(
    farm: NodeProcess, rendered: str, look: Callable[..., Opened], size: str, theme: str
) -> None:
    until(farm.url, rendered)
    shown = look(rendered, size, theme)
    page = shown.page
    expect(page.locator(".frame-finished")).to_have_count(FRAMES)
    expect(part(page, "What it looks like").locator("img")).not_to_have_js_property("naturalWidth", 0)
    expect(part(page, "Outputs").get_by_text("kB").first).to_be_visible()
    shown.check()
    shown.shoot("job", whole=True)
    page.get_by_role("option").nth(1).click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("img")).to_have_attribute("alt", "Frame 2")
    page.keyboard.press("ArrowRight")
    expect(dialog.get_by_role("img")).to_have_attribute("alt", "Frame 3")
    expect(dialog.get_by_role("heading")).to_have_text("Frame 3")
    shown.check()
    shown.shoot("job-frame")
    dialog.get_by_role("button", name="The frame before").click()
    expect(dialog.get_by_role("img")).to_have_attribute("alt", "Frame 2")
    page.keyboard.press("Escape")
    expect(page.get_by_role("listbox")).to_be_focused()


def test_one_some_or_all_are_downloaded(farm: NodeProcess, rendered: str, look: Callable[..., Opened]) -> None:
    until(farm.url, rendered)
    names = ask(f"{farm.url}/api/jobs/{rendered}/files")
    page = look(rendered).page
    outputs = part(page, "Outputs")
    with page.expect_download() as started:
        outputs.get_by_role("link", name=names[0]).click()
    assert started.value.path().read_bytes()[:4] == b"\x89PNG"
    for name in names[:2]:
        outputs.get_by_label(f"Select {name}").check()
    taken: list[str] = []
    page.on("download", lambda download: taken.append(download.suggested_filename))
    outputs.get_by_role("button", name="2 files one by one").click()
    with page.expect_event("download", predicate=lambda download: download.suggested_filename == names[1]):
        pass
    assert taken == names[:2]
    with page.expect_download() as started:
        outputs.get_by_role("link", name="All as a zip").click()
    with zipfile.ZipFile(started.value.path()) as packed:
        assert sorted(packed.namelist()) == sorted(names)


def test_frames_around_zero_have_their_own_pictures(farm: NodeProcess, look: Callable[..., Opened]) -> None:
    args = {"name": "shot{:+d}_take7.txt"}
    job_id = add(farm.url, renderer="frames", name="Around zero", start_frame=-2, end_frame=2, args=args)
    until(farm.url, job_id)
    page = look(job_id).page
    expect(page.locator(".frame-finished")).to_have_count(5)
    expect(part(page, "Outputs").get_by_text("bytes")).to_have_count(5)
    page.get_by_role("option", name="Frame -1").click()
    file = page.get_by_role("dialog").get_by_role("link")
    expect(file).to_have_attribute("title", "shot-1_take7.txt")
    page.keyboard.press("End")
    expect(file).to_have_attribute("title", "shot+2_take7.txt")
    expect(file).to_have_count(1)


def test_what_shows_survives_an_outage(
    farm: NodeProcess, look: Callable[..., Opened], opened: Callable[..., Opened]
) -> None:
    fields = {"prompt": "soft clouds", "num_frames": 16, "fps": 8, "width": 64, "height": 64}
    job_id = add(farm.url, renderer="video", args=fields, name="Soft clouds")
    until(farm.url, job_id)
    shown = opened(farm.url)
    shown.allow("ERR_FAILED")
    page = shown.page
    for lost in ("**/out.mp4", "**/thumbnail?*"):
        page.route(lost, lambda route: route.abort())
    shown.go(f"/jobs/{job_id}")
    banner = page.get_by_role("alert").filter(has_text="The node cannot be reached.")
    expect(banner).to_be_visible()
    page.unroute("**/out.mp4")
    expect(page.locator("video")).to_have_js_property("duration", 2)
    page.get_by_role("link", name="Jobs", exact=True).first.click()
    row = page.get_by_role("row", name="Soft clouds")
    expect(row).to_be_visible()
    page.wait_for_timeout(300)
    page.unroute("**/thumbnail?*")
    expect(row.locator("img")).not_to_have_js_property("naturalWidth", 0)


def test_a_video_plays_from_any_moment(farm: NodeProcess, look: Callable[..., Opened]) -> None:
    fields = {"prompt": "campfire sparks", "num_frames": 48, "fps": 24, "width": 64, "height": 64}
    job_id = add(farm.url, renderer="video", args=fields)
    until(farm.url, job_id)
    page = look(job_id).page
    video = page.locator("video")
    expect(video).to_have_js_property("duration", 2)
    video.evaluate("video => { video.currentTime = 1.5; }")
    expect(video).to_have_js_property("currentTime", 1.5)
    video.evaluate("video => video.play()")
    expect(video).not_to_have_js_property("currentTime", 1.5)
    expect(part(page, "Arguments")).to_contain_text("campfire sparks")


def test_nothing_hostile_is_html(farm: NodeProcess, look: Callable[..., Opened]) -> None:
    name = f"{HOSTILE}.txt"
    said = add(farm.url, name=HOSTILE, args={"files": [name], "tool": [f"say:{HOSTILE}", f"say:\x1b[31m{HOSTILE}\x07"]})
    failed = add(farm.url, name=HOSTILE, args={"fail": f"{HOSTILE} Bring another one.", "retry": False})
    until(farm.url, said)
    until(farm.url, failed)
    page = look(said).page
    expect(page.get_by_role("heading", level=1)).to_have_text(HOSTILE)
    lines = part(page, "Log").locator(".log-line", has_text=re.compile(f"^{re.escape(HOSTILE)}$"))
    expect(lines).to_have_count(2)
    expect(part(page, "Outputs").get_by_role("link", name=name)).to_be_visible()
    part(page, "Log").get_by_role("searchbox").fill("<IMG src")
    expect(part(page, "Log").locator("mark").first).to_have_text("<img src")
    assert page.title() == f"{HOSTILE} · Zeus"
    page = look(failed, "phone", "dark").page
    trouble = page.get_by_role("alert", name="What went wrong")
    expect(trouble).to_contain_text(f"{HOSTILE} Bring another one.")
    expect(trouble).to_contain_text("told_to_fail")
    assert page.locator("img[src=x]").count() == 0
    name_of = page.get_by_role("button", name="Delete")
    name_of.click()
    expect(page.get_by_role("dialog")).to_contain_text(HOSTILE)


def test_the_log_is_followed_and_searched(farm: NodeProcess, look: Callable[..., Opened]) -> None:
    tool = [f"lines:{LINES}", "sleep:2", "say:the very last", "sleep:600"]
    job_id = add(farm.url, name="Talks much", args={"tool": tool})
    page = look(job_id).page
    log = part(page, "Log")
    expect(log.locator(".log-line", has_text="the very last")).to_be_in_viewport()
    expect(log).to_contain_text("Only the last 20,000 lines are shown")
    assert log.locator(".log-line").count() < 60
    log.get_by_role("searchbox").fill("line 2999")
    expect(log).to_contain_text("10 of 10")
    expect(log.get_by_label("Follow")).not_to_be_checked()
    log.get_by_role("searchbox").press("Enter")
    expect(log).to_contain_text("1 of 10")
    expect(log.locator(".log-match")).to_have_text("line 29990")
    log.get_by_role("button", name="The match before").click()
    expect(log.locator(".log-match")).to_have_text("line 29999")
    log.get_by_label("Follow").check()
    expect(log.locator(".log-line", has_text="the very last")).to_be_in_viewport()
    act(farm, job_id, "cancel")
    expect(page.locator(".badge").first).to_have_text("Cancelled")
    expect(log.locator(".log-line", has_text="the very last")).to_be_in_viewport()


def test_what_can_be_done(farm: NodeProcess, look: Callable[..., Opened]) -> None:
    job_id = add(farm.url, name="Stop and go", args={"seconds": 600})
    until(farm.url, job_id, "running")
    shown = look(job_id)
    page = shown.page
    badge = page.locator(".badge").first
    page.get_by_role("button", name="Pause").click()
    expect(badge).to_have_text("Paused")
    expect(part(page, "Why it is not running")).to_contain_text("It is paused: resume it.")
    page.get_by_label("Priority").fill("77")
    page.get_by_label("Priority").press("Enter")
    page.get_by_role("button", name="Resume").click()
    expect(badge).to_have_text("Running")
    expect(part(page, "Why it is not running")).to_be_hidden()
    assert ask(f"{farm.url}/api/jobs/{job_id}")["priority"] == 77
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Keep").click()
    expect(badge).to_have_text("Running")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Cancel the work").click()
    expect(badge).to_have_text("Cancelled")
    page.get_by_role("button", name="Try again").click()
    expect(badge).to_have_text("Running")
    shown.allow("404")  # what was asked for at that very moment
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Jobs")
    assert job_id not in [job["id"] for job in ask(f"{farm.url}/api/jobs")["jobs"]]


def test_pieces_stand_on_a_line_of_time(farm: NodeProcess, look: Callable[..., Opened]) -> None:
    pieces = [{"name": f"Piece {number}", "args": {"seconds": 0.1 * number}} for number in range(1, 6)]
    job_id = add(farm.url, name="In five", child_jobs=pieces)
    until(farm.url, job_id)
    shown = look(job_id)
    lanes = part(shown.page, "Pieces")
    expect(lanes.get_by_role("group", name="test-node: 5 pieces")).to_be_visible()
    expect(lanes.locator(".lane-finished")).to_have_count(5)
    lanes.get_by_text("All pieces").click()
    expect(lanes.get_by_role("row")).to_have_count(6)
    shown.check()
    shown.shoot("job-pieces")
    lanes.get_by_role("link", name="Piece 3").last.click()
    expect(shown.page.get_by_role("heading", level=1)).to_have_text("Piece 3")
    shown.page.get_by_role("link", name="In five").first.click()
    expect(shown.page.get_by_role("heading", level=1)).to_have_text("In five")


def test_more_frames_than_one_answer_holds_and_why_they_wait(farm: NodeProcess, look: Callable[..., Opened]) -> None:
    span = {"start_frame": 1, "end_frame": MANY, "not_before": "2090-01-01T00:00:00Z"}
    job_id = add(farm.url, name="Twelve thousand", renderer="frames", **span)
    shown = look(job_id, "phone", "light")
    page = shown.page
    expect(part(page, "Why it is not running")).to_contain_text("It shall not start before 2090-01-01")
    expect(part(page, "Frames")).to_contain_text("0 of 12,000 frames")
    assert page.get_by_role("option").count() < 1500
    page.get_by_role("listbox").focus()
    page.keyboard.press("End")
    expect(page.get_by_role("option", name="Frame 12000")).to_be_in_viewport()
    assert page.get_by_role("option").count() < 1500
    shown.check()
    shown.allow("404")  # what was asked for at that very moment
    act(farm, job_id, "delete")
    expect(page.get_by_role("heading", name="This job is gone")).to_be_visible()


def test_an_unknown_job_is_said_to_be_one(opened: Callable[..., Opened], farm: NodeProcess) -> None:
    shown = opened(farm.url)
    shown.allow("404")
    page = shown.go("/jobs/0aa1b2c3-0000-4000-8000-000000000000")
    expect(page.get_by_role("heading", name="There is no such job")).to_be_visible()
    expect(page.get_by_text("No job has the id")).to_be_visible()
