"""The page in Debian's Chromium: a browser and a node for a module, and pages that tell what went wrong."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, ViewportSize, expect, sync_playwright

from tests.conftest import HANG, NodeProcess, need
from tests.real import calm

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run",
)  # fmt: skip
PATIENCE = HANG / 3 * 1000
"""Milliseconds after which something on a page counts as not coming."""
AXE = "axe-core@4.10.3"
SIZES: Mapping[str, ViewportSize] = {
    "phone": {"width": 390, "height": 844},
    "narrow": {"width": 360, "height": 740},
    "desktop": {"width": 1440, "height": 900},
    "wall": {"width": 3840, "height": 2160},
}
SETTLED = """Promise.race([new Promise((done) => setTimeout(done, 2000)), Promise.allSettled(document.getAnimations()
  .filter((each) => each.effect.getComputedTiming().endTime !== Infinity).map((each) => each.finished))])"""
PAINTED = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
LOOKS = [("phone", "light"), ("phone", "dark"), ("desktop", "light"), ("desktop", "dark")]
HOSTILE = "<img src=x onerror=alert(1)>"
PICTURES = Path(__file__).parents[1] / "screenshots"
HOW = "on Debian and Ubuntu, `apt install chromium npm` brings them, `pip install playwright` the rest"


class Opened:
    """A page in a browser of its own profile. Whatever it complains of fails the test, but for what was allowed."""

    def __init__(self, page: Page, url: str, look: str, axe: str) -> None:
        self.page = page
        self.url = url
        self._look = look
        self._axe = axe
        self._complaints: list[str] = []
        self._allowed: list[str] = []
        page.set_default_timeout(PATIENCE)
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self._complaints.append(f"error: {error}"))
        page.on("dialog", self._stop)

    def go(self, view: str = "") -> Page:
        """Open a view, such as `/settings`, and wait until it is there."""
        self.page.goto(f"{self.url}/#{view}")
        self.page.locator("main h1").first.wait_for()
        self.page.evaluate(PAINTED)  # what is typed before is lost
        return self.page

    def allow(self, pattern: str) -> None:
        """Expect complaints like this: the browser writes down each answer that is an error."""
        self._allowed.append(pattern)

    def shoot(self, name: str, *, whole: bool = False) -> Path:
        """A picture for people to look at, in tests/screenshots."""
        PICTURES.mkdir(exist_ok=True)
        path = PICTURES / f"{name}-{self._look}.png"
        self.page.screenshot(path=path, full_page=whole, animations="disabled")
        return path

    def fits(self) -> None:
        """Nothing is wider than the screen."""
        root = "document.documentElement"
        assert self.page.evaluate(f"{root}.scrollWidth <= {root}.clientWidth"), "the page scrolls sideways"

    def check(self) -> None:
        """What axe-core finds is nothing serious, and all of it fits."""
        self.fits()
        self.page.evaluate(f"if (!globalThis.axe) {{ {self._axe} }}")
        self.page.evaluate(SETTLED)  # what fades in has little contrast for a moment
        found = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        serious = [each for each in found["violations"] if each["impact"] in ("serious", "critical")]
        assert not serious, [(each["id"], [node["html"] for node in each["nodes"]]) for each in serious]

    def complaints(self) -> list[str]:
        """What it complained of and was not allowed."""
        return [each for each in self._complaints if not any(re.search(pattern, each) for pattern in self._allowed)]

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self._complaints.append(f"{message.text} {message.location.get('url', '')}")

    def _stop(self, dialog: Any) -> None:
        self._complaints.append(f"a dialog of the browser's own: {dialog.message}")
        dialog.dismiss()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's browser, for a module: as long as it is there the thread has a loop, and no test can run another."""
    need(Path(CHROMIUM).exists() and shutil.which("npm"), "Chromium or npm", HOW)
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def axe(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> str:
    """axe-core's script, fetched once and kept with pytest's cache."""
    assert pytestconfig.cache is not None
    kept = pytestconfig.cache.mkdir("axe") / f"{AXE}.js"
    if not kept.exists():
        folder = tmp_path_factory.mktemp("axe")
        argv = ["npm", "pack", "--silent", AXE]
        subprocess.run(argv, cwd=folder, check=True, timeout=2 * HANG, stdout=subprocess.DEVNULL)
        with tarfile.open(next(folder.glob("*.tgz"))) as packed:
            script = packed.extractfile("package/axe.min.js")
            assert script is not None
            part = kept.with_name(f"{os.getpid()}.part")
            part.write_bytes(script.read())
        part.replace(kept)  # other processes of the run may want it as well
    return kept.read_text("utf-8")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    """A node in a process of its own, for all tests of a module."""
    node = NodeProcess(tmp_path_factory.mktemp("served"), {})
    node.start()
    yield node
    if node.process is not None and node.process.poll() is None:
        node.stop()


@pytest.fixture
def opened(chromium: Browser, axe: str, request: pytest.FixtureRequest) -> Iterator[Callable[..., Opened]]:
    """Opens pages of a size and a theme. They are closed with the test, and fail it if they complained."""
    made: list[Opened] = []

    def make(url: str, size: str = "desktop", theme: str = "light", **options: Any) -> Opened:
        is_small = size in ("phone", "narrow")
        context = chromium.new_context(
            viewport=SIZES[size], color_scheme="dark" if theme == "dark" else "light", locale="en-GB",
            has_touch=is_small, is_mobile=is_small, **options,
        )  # fmt: skip
        made.append(Opened(context.new_page(), url, f"{size}-{theme}", axe))
        return made[-1]

    with calm.network():
        yield make
        complaints = [each for page in made for each in page.complaints()]
        for page in made:
            page.page.context.close()
    assert not complaints, complaints
