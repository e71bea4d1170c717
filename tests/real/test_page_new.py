"""New jobs in the browser: files are dropped, described, checked and started, and large ones survive trouble."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import pytest
from playwright.sync_api import Page, Request, Route, expect

from tests.conftest import HANG, NodeProcess
from tests.real.browser import HOSTILE, LOOKS, Opened

FILES = "main input[type=file]"
BIG = 30_000_000
SLOW = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 9_000_000}
"""A network of nine million bytes a second."""


def ask(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=HANG) as got:
        return json.load(got)


def ended(served: NodeProcess, job_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + 2 * HANG
    while time.monotonic() < deadline:
        job = ask(f"{served.url}/api/jobs/{job_id}")
        if job["status"] in ("finished", "failed", "cancelled"):
            return dict(job)
        ask(f"{served.url}/api/jobs/long_poll?timeout=1")
    raise AssertionError(job)


@pytest.fixture(scope="session")
def movies(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two short movies, of which one has a hostile name."""
    folder = tmp_path_factory.mktemp("movies")
    names = ["clip.mp4", f"{HOSTILE}.mp4"]
    for name in names:
        source = ["-f", "lavfi", "-i", "testsrc=size=64x64:rate=8:duration=1"]
        argv = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", *source, str(folder / name)]
        subprocess.run(argv, check=True, timeout=HANG)
    return [folder / name for name in names]


def field(page: Page, name: str) -> Any:
    return page.locator(f"[data-field={name}]")


def second(page: Page, sent: list[int]) -> None:
    """Wait until a second piece of an upload is on its way; `sent` has where those began that are."""
    deadline = time.monotonic() + HANG
    while max(sent, default=0) == 0 and time.monotonic() < deadline:
        page.wait_for_timeout(100)


def links(page: Page) -> list[str]:
    """The ids of the jobs that the page says it added."""
    page.get_by_role("heading", name="added").wait_for()
    return [str(each.get_attribute("href")).removeprefix("#/jobs/") for each in page.locator(".new-added a").all()]


@pytest.mark.parametrize(("size", "theme"), LOOKS)
def test_a_scene(served: NodeProcess, opened: Callable[..., Opened], scenes: Path, size: str, theme: str) -> None:
    shown = opened(served.url, size, theme)
    page = shown.go("/new")
    shown.check()
    shown.shoot("new-empty")
    page.set_input_files(FILES, scenes / "several.blend")
    first, last = page.get_by_label("First frame"), page.get_by_label("Last frame")
    expect(page.get_by_text("Scene Main: frames 1 to 3")).to_be_visible()
    expect(first).to_have_attribute("placeholder", "1")
    expect(last).to_have_attribute("placeholder", "3")
    field(page, "scene").get_by_role("combobox").select_option("Other")
    expect(page.get_by_text("Scene Other: frames 5 to 11, every 3")).to_be_visible()
    expect(first).to_have_attribute("placeholder", "5")
    expect(last).to_have_attribute("placeholder", "11")
    cameras = field(page, "camera").get_by_role("option")
    expect(cameras).to_have_text(["Automatic (Camera)", "Away", "Camera"])
    expect(field(page, "samples").get_by_role("spinbutton")).to_have_attribute("placeholder", "4")
    expect(page.locator(".new-node")).to_contain_text("test-node")
    page.locator("summary", has_text="Job options").click()
    shown.check()
    shown.shoot("new-scene", whole=True)


def test_a_scene_is_rendered(served: NodeProcess, opened: Callable[..., Opened], scenes: Path) -> None:
    page = opened(served.url).go("/new")
    page.set_input_files(FILES, scenes / "several.blend")
    page.get_by_label("Preset").select_option("blender-preview")
    expect(page.get_by_label("Preset")).not_to_have_value("")
    field(page, "scene").get_by_role("combobox").select_option("Main")
    page.locator("summary", has_text="Job options").click()
    split = page.get_by_label("Share it among nodes")
    expect(page.get_by_text("Each node takes some of the frames.")).to_be_visible()
    split.check()
    page.get_by_label("First frame").fill("2")
    expect(page.get_by_label("Last frame")).to_have_attribute("placeholder", "3")
    page.get_by_label("Last frame").fill("2")
    page.get_by_label("Name").fill(HOSTILE)
    page.get_by_label("Priority").fill("80")
    expect(split).to_be_disabled()
    expect(split).not_to_be_checked()
    expect(page.locator(".new-node")).to_contain_text("test-node")
    page.get_by_role("button", name="Start 1 job").click()
    (job_id,) = links(page)
    expect(page.locator(".new-added")).to_contain_text(HOSTILE)
    job = ended(served, job_id)
    assert (job["status"], job["name"], job["priority"]) == ("finished", HOSTILE, 80)
    assert (job["start_frame"], job["end_frame"], job["args"]["scene"]) == (2, 2, "Main")
    assert job["enable_split_jobs"] is False, "one frame cannot be shared out"
    expect(page.locator(".new-added .badge")).to_have_text("finished")
    expect(page.get_by_role("button", name="Start")).to_have_count(0)


def test_what_is_wrong_with_a_scene_is_said(
    served: NodeProcess, opened: Callable[..., Opened], scenes: Path, tmp_path: Path
) -> None:
    shown = opened(served.url)
    shown.allow("status of 400")
    page = shown.go("/new")
    page.set_input_files(FILES, scenes / "textured.blend")
    expect(page.locator(".new-missing")).to_contain_text("texture //wood.png")
    expect(page.locator(".new-side")).to_contain_text("Files that the .blend needs are missing")
    page.get_by_role("button", name="Remove textured.blend").click()
    expect(page.locator(".new-group")).to_have_count(0)
    page.set_input_files(FILES, scenes / "cube.blend")
    expect(page.locator(".new-node")).to_contain_text("test-node")
    samples = field(page, "samples")
    samples.get_by_role("spinbutton").fill("-3")
    page.get_by_role("button", name="Start 1 job").click()
    expect(samples).to_contain_text("greater than or equal to 1")
    samples.get_by_role("spinbutton").fill("")
    page.get_by_label("First frame").fill("9")
    page.get_by_label("Last frame").fill("2")
    expect(page.locator(".new-group")).to_contain_text("frame")
    expect(page.locator(".new-verdict")).to_contain_text("Nowhere as it is")
    shown.check()
    shown.shoot("new-wrong", whole=True)
    page.get_by_role("button", name="Remove cube.blend").click()
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as packed:
        for name, inside in (("cube.blend", "cube, by day.blend"), ("several.blend", "several.blend")):
            packed.write(scenes / name, inside)
    page.set_input_files(FILES, tmp_path / "two.zip")
    expect(page.locator("li", has_text="two.zip")).to_contain_text("say which of cube, by day.blend, several.blend")
    choice = page.get_by_label("Project in two.zip")
    expect(choice.get_by_role("option")).to_have_text(["Choose the project…", "cube, by day.blend", "several.blend"])
    choice.select_option("several.blend")
    expect(page.get_by_text("Scene Main: frames 1 to 3")).to_be_visible()
    expect(page.locator(".new-node")).to_contain_text("test-node")


def test_a_project_that_is_not_listed_can_be_named(
    served: NodeProcess, opened: Callable[..., Opened], tmp_path: Path
) -> None:
    shown = opened(served.url)
    shown.allow("status of 400")
    page = shown.go("/new")
    with zipfile.ZipFile(tmp_path / "many.zip", "w") as packed:
        for number in range(30):
            packed.writestr(f"{number:02}.frames", f"{number}-50")
    page.set_input_files(FILES, tmp_path / "many.zip")
    choice = page.get_by_label("Project in many.zip")
    expect(page.locator("datalist option")).to_have_count(20)
    choice.fill("29.frames")
    choice.press("Enter")
    expect(page.get_by_label("First frame")).to_have_attribute("placeholder", "29")


def test_each_file_keeps_its_frames_and_is_added_once(
    served: NodeProcess, opened: Callable[..., Opened], tmp_path: Path
) -> None:
    shown = opened(served.url)
    page = shown.go("/new")
    for name, frames in (("a", "1-25"), ("b", "3-5"), ("c", "1-9")):
        (tmp_path / f"{name}.frames").write_text(frames)
    added: list[Route] = []
    page.route("**/api/add_job", lambda route: added.append(route))
    page.set_input_files(FILES, [tmp_path / "a.frames", tmp_path / "b.frames"])
    first, last = page.get_by_label("First frame"), page.get_by_label("Last frame")
    expect(last).to_have_attribute("placeholder", "Its own")
    first.fill("4")
    page.locator("summary", has_text="Job options").click()
    priority = page.get_by_label("Priority")
    priority.press_sequentially("8e")
    page.get_by_role("button", name="Start 2 jobs").click()
    expect(priority).to_be_focused()
    expect(priority).to_have_attribute("aria-invalid", "true")
    assert not added
    priority.fill("")
    page.get_by_label("Share it among nodes").check()
    start = page.get_by_role("button", name="Start 2 jobs")
    start.click()
    expect(start).to_be_disabled()
    page.set_input_files(FILES, tmp_path / "c.frames")
    more = page.get_by_role("button", name="Start 3 jobs")
    expect(more).to_be_disabled()
    more.evaluate("button => button.form.requestSubmit()")
    assert len(added) == 1
    added[0].continue_()
    ids = links(page)
    assert [(job["start_frame"], job["end_frame"]) for job in (ended(served, each) for each in ids)] == [
        (4, 5),
        (4, 25),
    ]
    expect(page.get_by_role("heading", name="Frames · 1 file")).to_be_visible()


def test_what_the_nodes_said_is_renewed(served: NodeProcess, opened: Callable[..., Opened], tmp_path: Path) -> None:
    """What the node tells of sharing is replaced, as is a node that cannot say anything for a moment."""
    shown = opened(served.url)
    shown.allow("ERR_FAILED|status of 503")
    page = shown.go("/new")
    told: dict[str, Any] = {"ways": ["", ""], "fails": False, "lost": False}

    def answer(route: Route) -> None:
        if told["lost"]:
            route.abort()
            return
        if told["fails"]:
            route.fulfill(
                status=503, headers={"Retry-After": "1"}, json={"error": "node_away", "message": "It is away."}
            )
            told["fails"] = False
            return
        got = route.fetch()
        found = [{**each, "can_split": way} for each, way in zip(got.json(), told["ways"], strict=False)]
        route.fulfill(response=got, json=found)

    page.route("**/api/add_job?dry_run=1", answer)
    for name in ("a", "b"):
        (tmp_path / f"{name}.frames").write_text("1-9")
    page.set_input_files(FILES, [tmp_path / "a.frames", tmp_path / "b.frames"])
    verdict = page.locator(".new-verdict")
    expect(verdict).to_contain_text("test-node")
    page.locator("summary", has_text="Job options").click()
    split = page.get_by_label("Share it among nodes")
    expect(split).to_be_disabled()
    expect(page.get_by_text("this runs in one piece")).to_be_visible()
    told["ways"] = ["frames", ""]
    page.get_by_label("First frame").fill("2")
    expect(page.get_by_text("1 of 2 files: each node takes some of the frames.")).to_be_visible()
    split.check()
    told["ways"] = ["", ""]
    page.get_by_label("First frame").fill("3")
    expect(split).not_to_be_checked()
    told["ways"] = ["parts", "parts"]
    page.get_by_label("First frame").fill("4")
    expect(split).to_be_checked()
    expect(page.get_by_text("a part of the film, where the film allows it")).to_be_visible()
    told["fails"] = True
    page.get_by_label("First frame").fill("5")
    expect(page.locator(".new-side")).to_contain_text("It is away.")
    expect(verdict).to_contain_text("Not known at the moment")
    expect(verdict).to_contain_text("test-node")
    told["lost"] = True
    page.get_by_label("First frame").fill("6")
    expect(verdict).to_contain_text("Not known at the moment")
    told["lost"] = False
    expect(verdict).to_contain_text("test-node")
    shown.check()


def test_several_movies_are_one_job_each(
    served: NodeProcess, opened: Callable[..., Opened], movies: list[Path], tmp_path: Path
) -> None:
    shown = opened(served.url, "phone", "dark")
    shown.allow("status of 404")
    page = shown.go("/new")
    (tmp_path / "notes.xyz").write_text("nothing that an engine takes")
    page.set_input_files(FILES, [*movies, tmp_path / "notes.xyz"])
    unknown = page.locator("li", has_text="notes.xyz")
    expect(unknown).to_contain_text("No engine takes files of that kind.")
    expect(unknown.get_by_role("combobox")).to_be_visible()
    unknown.get_by_role("button", name="Remove").click()
    expect(page.get_by_role("heading", name="FFmpeg · 2 files")).to_be_visible()
    page.get_by_label("Preset").select_option("web-small")
    expect(page.get_by_text("A small movie for mail and chat")).to_be_visible()
    expect(field(page, "crf").get_by_role("spinbutton")).to_have_value("28")
    field(page, "container").get_by_role("combobox").select_option("mkv")
    expect(page.get_by_label("Preset")).to_have_value("")
    shown.check()
    shown.shoot("new-movies", whole=True)
    page.get_by_role("button", name="Start 2 jobs").click()
    ids = links(page)
    jobs = [ended(served, each) for each in ids]
    assert [job["status"] for job in jobs] == ["finished", "finished"]
    assert {job["args"]["container"] for job in jobs} == {"mkv"} and {job["args"]["crf"] for job in jobs} == {28}
    assert page.locator("img[src=x]").count() == 0
    expect(page.locator(".new-added")).to_contain_text("img src=x")


def test_an_engine_of_a_plugin_has_its_form(served: NodeProcess, opened: Callable[..., Opened], tmp_path: Path) -> None:
    shown = opened(served.url)
    shown.allow("status of 409")  # it may be looked at while it is removed, which is tried again
    page = shown.go("/new")
    dragged = page.evaluate_handle(
        "() => { const all = new DataTransfer(); all.items.add(new File(['x'], 'dropped.noop')); return all; }"
    )
    page.dispatch_event("main h1", "dragenter", {"dataTransfer": dragged})
    expect(page.locator(".new.is-over")).to_be_visible()
    page.dispatch_event("main h1", "drop", {"dataTransfer": dragged})
    expect(page.locator(".new.is-over")).to_have_count(0)
    page.get_by_role("button", name="Remove dropped.noop").click()
    (tmp_path / "words.noop").write_text("hello")
    with page.expect_file_chooser() as chosen:
        page.get_by_role("button", name="Choose files").click()
    chosen.value.set_files(tmp_path / "words.noop")
    expect(page.get_by_role("heading", name="Noop · 1 file")).to_be_visible()
    field(page, "files").get_by_role("textbox").fill("one.txt\ntwo.txt")
    field(page, "retry").get_by_role("checkbox").uncheck()
    expect(page.locator(".new-node")).to_contain_text("test-node")
    page.keyboard.press("Control+Enter")
    (job_id,) = links(page)
    job = ended(served, job_id)
    assert (job["status"], job["file_count"]) == ("finished", 2)
    assert (job["args"]["files"], job["args"]["retry"]) == (["one.txt", "two.txt"], False)


def test_a_large_file_survives_the_nodes_death_and_can_be_called_off(
    spawn_node: Callable[..., NodeProcess], opened: Callable[..., Opened], tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    node = spawn_node(http={"port": port})
    shown = opened(node.start())
    shown.allow("ERR_|status of 40[09]")
    page = shown.go("/new")
    wire = page.context.new_cdp_session(page)
    wire.send("Network.enable")
    wire.send("Network.emulateNetworkConditions", SLOW)
    sent: list[int] = []

    def note(request: Request) -> None:
        if request.method == "PATCH":
            sent.append(int(request.headers["upload-offset"]))

    page.on("request", note)
    big = tmp_path / "long.mp4"
    big.write_bytes(b"\0" * BIG)
    page.set_input_files(FILES, big)
    row = page.locator("li", has_text="long.mp4")
    expect(row).to_contain_text("MB/s")
    expect(row).to_contain_text("left")
    expect(row.get_by_role("progressbar")).to_be_visible()
    second(page, sent)
    shown.shoot("new-sending")
    node.kill()
    banner = page.get_by_role("alert").filter(has_text="cannot be reached")
    expect(banner).to_be_visible()
    shown.shoot("lost")
    shown.check()
    sent.clear()
    node.start()
    expect(banner).to_be_hidden()
    expect(row.locator(".problem")).not_to_be_empty(timeout=HANG * 1000)
    expect(row).to_contain_text("30 MB")
    assert sent[0] > 0, sent
    row.get_by_role("button", name="Remove").click()
    big.write_bytes(b"\1" * (BIG + 1))
    page.set_input_files(FILES, big)
    sent.clear()
    second(page, sent)
    sent.clear()
    page.reload()
    page.set_input_files(FILES, big)
    expect(row).to_contain_text("MB/s")
    assert sent[0] > 0, "a closed page's upload goes on where it was"
    with page.expect_response(lambda each: each.request.method == "DELETE" and each.status == 204):
        row.get_by_role("button", name="Remove").click()
    expect(row).to_have_count(0)


def test_what_passes_ends_no_upload_and_the_rest_can_be_tried_again(
    served: NodeProcess, opened: Callable[..., Opened], tmp_path: Path
) -> None:
    shown = opened(served.url)
    shown.allow("status of (400|408|503|507)|ERR_FAILED")
    page = shown.go("/new")
    page.clock.install()
    answers = [(408, "request_timeout"), (400, "incomplete_body"), (503, "busy"), (507, "disk_full"), (0, ""), (1, "")]
    held: list[Route] = []

    def answer(route: Route) -> None:
        if route.request.method != "PATCH" or not answers:
            return route.continue_()
        status, code = answers.pop(0)
        if status == 1:
            return held.append(route)
        if status == 0:
            return route.abort()
        return route.fulfill(status=status, json={"error": code, "message": f"It is {code}."})

    page.route("**/api/uploads/*", answer)
    (tmp_path / "words.noop").write_text("hello")
    page.set_input_files(FILES, tmp_path / "words.noop")
    row = page.locator("li", has_text="words.noop")
    expect(row).to_contain_text("It is disk_full.")
    shown.shoot("new-refused")
    page.set_input_files(FILES, tmp_path / "words.noop")
    while not held:
        page.wait_for_timeout(50)
    expect(page.locator(".new-node")).to_have_count(0)
    page.clock.fast_forward(60_000)
    expect(page.locator(".new-node")).to_contain_text("test-node")
    shown.check()
    gone: list[str] = []
    page.on("request", lambda request: gone.append(request.url) if request.method == "DELETE" else None)
    row.first.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("button", name="Start 2 jobs")).to_be_enabled()
    row.first.get_by_role("button", name="Remove").click()
    expect(row).to_have_count(1)
    page.wait_for_timeout(200)
    assert not gone, "the other one still has what was sent"
    with page.expect_response(lambda each: each.request.method == "DELETE" and each.status == 204):
        row.get_by_role("button", name="Remove").click()


def test_a_file_that_changes_ends_its_upload_alone(
    served: NodeProcess, opened: Callable[..., Opened], movies: list[Path], tmp_path: Path
) -> None:
    shown = opened(served.url)
    shown.allow("ERR_UPLOAD_FILE_CHANGED|ERR_FILE_NOT_FOUND|ERR_FAILED")
    page = shown.go("/new")
    wire = page.context.new_cdp_session(page)
    wire.send("Network.enable")
    wire.send("Network.emulateNetworkConditions", SLOW)
    big = tmp_path / "long.mp4"
    big.write_bytes(b"\0" * BIG)
    page.set_input_files(FILES, [big, movies[0]])
    row = page.locator("li", has_text="long.mp4")
    expect(row).to_contain_text("MB/s")
    big.write_bytes(b"\1" * (BIG - 1))
    expect(row).to_contain_text("The file has changed, or cannot be read any more.")
    expect(row.get_by_role("button", name="Try again")).to_be_visible()
    expect(page.locator(".new-node")).to_contain_text("test-node")
