"""Generate in the browser: a prompt becomes a video that plays, and what was made before can be used again."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Page, Route, expect

from tests.conftest import HANG, NodeProcess
from tests.real.browser import HOSTILE, LOOKS, Opened

SMALL = {"width": "64", "height": "64", "num_frames": "8", "fps": "8"}
PICTURE = '<svg xmlns="http://www.w3.org/2000/svg" width="64" height="36"/>'
STAGE = "section[aria-label='The video']"


def ask(url: str, body: Any = None) -> Any:
    """The node's JSON, asked for without a browser."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=HANG) as got:
        return json.load(got)


def made(served: NodeProcess, prompt: str, **fields: int) -> dict[str, Any]:
    """A video that was made before the page is opened."""
    body = {"prompt": prompt, "width": 64, "height": 64, "num_frames": 8, "fps": 8, **fields}
    job_id = ask(f"{served.url}/api/generate", body)["job_id"]
    while (job := ask(f"{served.url}/api/jobs/{job_id}"))["status"] not in ("finished", "failed"):
        ask(f"{served.url}/api/jobs/long_poll?timeout=1")
    return dict(job)


def fill(page: Page, fields: dict[str, str]) -> None:
    page.locator("summary", has_text="Advanced").click()
    for name, value in fields.items():
        page.locator(f"[name={name}]").fill(value)


def plays(page: Page) -> None:
    expect(page.locator(f"{STAGE} video")).not_to_have_js_property("currentTime", 0)


@pytest.mark.parametrize(("size", "theme"), LOOKS)
def test_a_video_is_made_and_plays(served: NodeProcess, opened: Callable[..., Opened], size: str, theme: str) -> None:
    made(served, "soft clouds over green hills", num_frames=12)
    shown = opened(served.url, size, theme)
    page = shown.go("/generate")
    expect(page.get_by_text("Ready", exact=True)).to_be_visible()
    prompt = f"a red fox {HOSTILE} in {theme} {size}"
    page.get_by_label("Prompt", exact=True).fill(prompt)
    fill(page, SMALL)
    shown.check()
    if size == "desktop":
        page.keyboard.press("Control+Enter")
    else:
        page.get_by_role("button", name="Generate").click()
    expect(page.locator(STAGE)).to_contain_text(prompt)
    plays(page)
    card = page.locator("li", has_text=prompt)
    expect(card).to_contain_text("seed ")
    for picture in page.locator("li img").all():
        expect(picture).not_to_have_js_property("naturalWidth", 0)
    assert page.locator("img[src=x]").count() == 0
    expect(page.get_by_label("Prompt", exact=True)).to_have_value(prompt)
    page.locator("summary").click()
    shown.check()
    page.evaluate("scrollTo(0, 0)")
    shown.shoot("generate", whole=True)


def test_again_download_and_delete(served: NodeProcess, opened: Callable[..., Opened]) -> None:
    first = made(served, f"campfire sparks {HOSTILE}")
    page = opened(served.url).go("/generate")
    card = page.locator("li", has_text=f"seed {first['args']['seed']}")
    held: list[Route] = []
    page.route("**/api/generate", lambda route: held.append(route))
    again = card.get_by_role("button", name="Again with a new seed")
    again.click()
    expect(again).to_be_disabled()
    held[0].continue_()
    expect(again).to_be_enabled()
    expect(page.locator("li", has_text="campfire sparks")).to_have_count(2)
    plays(page)
    second = ask(f"{served.url}/api/jobs?limit=1")["jobs"][0]
    same = set(first["args"].items()) - set(second["args"].items())
    assert [name for name, _ in same] == ["seed"], (first["args"], second["args"])
    with page.expect_download() as started:
        card.get_by_role("link", name="Download").click()
    assert started.value.path().read_bytes()[4:8] == b"ftyp"
    for answer, left in (("Keep", 1), ("Delete", 0)):
        card.get_by_role("button", name="Delete").click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text(HOSTILE)
        dialog.get_by_role("button", name=answer).click()
        expect(dialog).to_have_count(0)
        expect(card).to_have_count(left)
    assert first["id"] not in [job["id"] for job in ask(f"{served.url}/api/jobs")["jobs"]]


def test_one_being_made_tells_how_far_it_is_and_ends_when_asked(
    served: NodeProcess, opened: Callable[..., Opened]
) -> None:
    shown = opened(served.url, "desktop", "dark")
    page = shown.go("/generate")
    page.get_by_label("Prompt", exact=True).fill("a slow lighthouse in a storm")
    fill(page, {"width": "640", "height": "360", "num_frames": "2000"})
    page.keyboard.press("Control+Enter")
    bar = page.get_by_role("progressbar", name="Progress", exact=True)
    expect(bar).to_be_visible()
    expect(page.locator(STAGE)).to_contain_text("of 2,000 frames")
    expect(page.locator("header")).to_contain_text("1 job running")
    shown.check()
    shown.shoot("generate-running")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(STAGE)).to_contain_text("It was cancelled.")
    expect(page.locator("header")).not_to_contain_text("running")


def test_a_preview_is_of_the_video_that_is_shown(served: NodeProcess, opened: Callable[..., Opened]) -> None:
    """A model with previews is pretended: what draws without weights has none."""
    page = opened(served.url).page

    def pretend(route: Route) -> None:
        got = route.fetch()
        found = got.json()
        route.fulfill(
            response=got, json={**found, "models": [{**each, "source": "synced"} for each in found["models"]]}
        )

    held: list[Route] = []
    page.route("**/api/models", pretend)
    page.route("**/thumbnail?size=big*", lambda route: held.append(route))
    slow = {"width": 640, "height": 360, "num_frames": 2000, "fps": 8}
    ids = [ask(f"{served.url}/api/generate", {"prompt": name, **slow})["job_id"] for name in ("a second", "the first")]
    page.goto(f"{served.url}/#/generate")
    page.get_by_role("button", name="Show “a second”").click()
    with page.expect_request("**/thumbnail?size=big*"):
        pass
    page.get_by_role("button", name="Show “the first”").click()
    expect(page.locator(f"{STAGE} .generate-words")).to_have_text("the first")
    held[0].fulfill(status=200, content_type="image/svg+xml", body=PICTURE)
    page.wait_for_timeout(200)
    expect(page.locator(f"{STAGE} .generate-wait img")).to_be_hidden()
    for job_id in ids:
        ask(f"{served.url}/api/jobs/{job_id}/cancel?confirm=1", {})


def test_a_card_ages(served: NodeProcess, opened: Callable[..., Opened]) -> None:
    first = made(served, "a kite")
    shown = opened(served.url)
    shown.page.clock.install()
    page = shown.go("/generate")
    card = page.locator("li", has_text=f"seed {first['args']['seed']}")
    expect(card).to_contain_text("just now")
    page.clock.fast_forward(120_000)
    expect(card).to_contain_text("2 min ago")


def test_what_the_node_refuses_is_said_where_it_is_wrong(
    served: NodeProcess, opened: Callable[..., Opened], tmp_path: Path
) -> None:
    shown = opened(served.url)
    shown.allow("status of 400")
    shown.allow("status of 503")
    page = shown.go("/generate")
    go = page.get_by_role("button", name="Generate")
    go.click()
    expect(page.locator("#prompt-problem")).to_contain_text("say what the video shall show")
    page.get_by_label("Prompt", exact=True).fill("a fox")
    fill(page, {"negative_prompt": "people"})
    field = page.locator("[data-field=negative_prompt]")
    expect(field).to_contain_text("does not use negative_prompt")
    page.locator("[name=negative_prompt]").fill("")
    expect(field).not_to_contain_text("does not use")
    expect(page.locator("[name=width]")).to_have_attribute("placeholder", "512")
    page.locator("[name=width]").fill("33")
    expect(page.locator("[data-field=width]")).to_contain_text("even number, such as 34")
    page.locator("[name=width]").fill("64")
    Image.new("RGB", (64, 64), "teal").save(tmp_path / "start.png")
    page.set_input_files("input[type=file]", tmp_path / "start.png")
    expect(page.get_by_text("start.png")).to_be_visible()
    go.click()
    expect(page.locator("form .generate-end")).to_contain_text("image")
    page.get_by_role("button", name="Remove the start image").click()
    page.get_by_label("Model", exact=True).select_option("wan-1b")
    expect(page.get_by_text("Not here")).to_be_visible()
    expect(page.locator("#model-status")).to_contain_text("engines.video.offline is set")
    go.click()
    expect(page.locator("form .generate-end")).to_contain_text("wan-1b is not on this node")


def test_a_model_on_its_way_and_one_at_fault(served: NodeProcess, opened: Callable[..., Opened]) -> None:
    """What the node tells is replaced: weights of gigabytes cannot be had here."""
    told = {"ready": False, "building": True, "message": "pulling ltx-13b: 34% of 12.3 GB"}
    shown = opened(served.url, "phone", "light")
    shown.page.route("**/api/model-status", lambda route: route.fulfill(json=told))
    page = shown.go("/generate")
    expect(page.locator("#model-status")).to_contain_text("pulling ltx-13b: 34% of 12.3 GB")
    expect(page.get_by_role("progressbar", name="Progress of the model")).to_have_js_property("value", 34)
    told.update(building=False, message=f"the worker ended {HOSTILE}")
    expect(page.get_by_text("Not ready")).to_be_visible()
    expect(page.locator("#model-status")).to_contain_text(HOSTILE)


def test_nothing_made_yet(served: NodeProcess, opened: Callable[..., Opened]) -> None:
    shown = opened(served.url)

    def empty(route: Route) -> None:
        route.fulfill(json={"jobs": [], "token": "none"})

    shown.page.route("**/api/jobs?*", empty)
    shown.page.route("**/api/jobs/long_poll?*", lambda route: None)
    page = shown.go("/generate")
    expect(page.get_by_role("heading", name="Nothing made yet")).to_be_visible()
    shown.check()
    shown.shoot("generate-empty")
    page.get_by_role("button", name="campfire sparks").click()
    expect(page.get_by_label("Prompt", exact=True)).to_have_value("campfire sparks rising into the night")
