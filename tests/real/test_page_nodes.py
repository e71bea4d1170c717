"""The nodes in the browser: their load and engines, versions and models that come and go, and pairing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.conftest import STUBS, NodeProcess
from tests.hub import serving
from tests.real.asking import add, ask, beside
from tests.real.browser import HOSTILE, LOOKS, Opened
from tests.real.test_diffusion import TINY
from tests.releases import ENGINES, publisher

REPOSITORY = "someone/tiny-ltx"


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    """A node that is at something."""
    node = NodeProcess(
        tmp_path_factory.mktemp("farm"),
        {"node": {"name": "studio", "tags": ["gpu-room", "night"]}, "network": {"heartbeat": 0.5}},
    )
    node.start()
    add(node.url, name=HOSTILE, args={"seconds": 600})
    yield node
    node.stop()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., NodeProcess]]:
    """Starts further nodes."""
    made: list[NodeProcess] = []

    def begin(name: str, **sections: object) -> NodeProcess:
        folder = tmp_path / name
        folder.mkdir()
        made.append(NodeProcess(folder, {"node": {"name": name}, **sections}))  # type: ignore[dict-item]
        made[-1].start()
        return made[-1]

    yield begin
    for each in made:
        if each.process is not None and each.process.poll() is None:
            each.stop()


def entry(part: Locator, name: str) -> Locator:
    """An engine or a model of this node."""
    return part.locator(".node-engine", has=part.page.locator("strong").get_by_text(name, exact=True))


def card(page: Page, name: str) -> Locator:
    return page.get_by_role("article", name=name, exact=True)


@pytest.mark.parametrize(("size", "theme"), LOOKS)
def test_a_node_and_its_last_hour(farm: NodeProcess, opened: Callable[..., Opened], size: str, theme: str) -> None:
    shown = opened(farm.url, size, theme)
    page = shown.go("/nodes")
    own = card(page, "studio")
    expect(own).to_contain_text("This node")
    expect(own).to_contain_text("gpu-room")
    expect(own.get_by_role("link", name=HOSTILE)).to_be_visible()
    expect(own.locator(".node-meter", has_text="Memory").locator("progress")).not_to_have_js_property("value", 0)
    expect(entry(own, "Blender").locator(".node-version")).to_have_text(re.compile(r"\d+\.\d+"))
    expect(entry(own, "procedural")).to_contain_text("Ready")
    expect(entry(own, "Stubvideo").locator(".node-version")).to_have_text("procedural and 5 more")
    hour = page.get_by_role("region", name="The last hour")
    expect(hour.locator(".hour-line").first).to_be_attached()
    hour.get_by_text("Running").click()
    expect(hour.get_by_role("img")).to_have_attribute("aria-label", "Running in the last hour; now: studio 1")
    assert page.locator("img[src=x]").count() == 0
    shown.check()
    shown.shoot("nodes", whole=True)
    own.get_by_role("link", name=HOSTILE).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(HOSTILE)


def test_two_nodes_are_paired_by_a_code_and_parted(
    farm: NodeProcess, start: Callable[..., NodeProcess], opened: Callable[..., Opened]
) -> None:
    other = start("render-2")
    there = opened(other.url, "phone").go("/nodes")
    there.get_by_role("button", name="Pair a node").click()
    there.get_by_role("button", name="Show a code").click()
    code = there.get_by_label("Code", exact=True).inner_text()
    there.goto("about:blank")
    shown = opened(farm.url)
    page = shown.go("/nodes")
    page.get_by_role("button", name="Pair a node").click()
    dialog = page.get_by_role("dialog")
    shown.allow("40[03]")
    dialog.get_by_label("Its address").fill(other.url)
    dialog.get_by_label("Its code, or a token of it").fill("1234")
    dialog.get_by_role("button", name="Pair", exact=True).click()
    expect(dialog.get_by_text("it has 8 digits")).to_be_visible()
    shown.check()
    shown.shoot("nodes-pairing")
    dialog.get_by_label("Its code, or a token of it").fill(f"{code[:4]} {code[4:]}")
    dialog.get_by_role("button", name="Pair", exact=True).click()
    expect(dialog).to_be_hidden()
    expect(card(page, "render-2")).to_contain_text("Online")
    expect(page.locator(".node-count")).to_have_text("2 of 2 nodes here")
    expect(card(page, "render-2").locator(".node-engine", has_text="Blender")).to_be_visible()
    expect(page.locator(".hour-legend")).to_contain_text("render-2", timeout=60_000)
    shown.check()
    shown.shoot("nodes-two")
    other.kill()
    expect(card(page, "render-2")).to_contain_text("Offline", timeout=60_000)
    card(page, "render-2").get_by_role("button", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(card(page, "render-2")).to_have_count(0)
    assert [node["name"] for node in ask(f"{farm.url}/api/nodes")["nodes"]] == ["studio"]


def test_a_version_is_installed_and_removed(start: Callable[..., NodeProcess], opened: Callable[..., Opened]) -> None:
    with beside(publisher()) as (mirror, call):
        for version in ("4.2.3", "4.5.1", "5.0.0"):
            mirror.publish(version)
        call(mirror.gate.clear)
        plugins = {"folders": [str(STUBS / "plugins"), str(ENGINES)]}
        engines = {"noop": {}, "video": {"offline": True}, "tooled": {"mirror": mirror.url}}
        node = start("versions", plugins=plugins, engines=engines)
        shown = opened(node.url)
        page = shown.go("/nodes")
        engine = entry(card(page, "versions"), "Tooled")
        expect(engine).to_contain_text("It has no tool.")
        engine.locator("summary").click()
        engine.get_by_label("Version of tooled").select_option("4.5.1")
        engine.get_by_role("button", name="Install").click()
        expect(engine.locator(".node-download")).to_contain_text("tooled 4.5.1")
        shown.check()
        shown.shoot("nodes-install")
        call(mirror.gate.set)
        expect(engine.locator(".node-version")).to_have_text("4.5.1")
        expect(engine.get_by_text("installed by Zeus")).to_be_visible()
        engine.get_by_role("button", name="Remove tooled 4.5.1").click()
        page.get_by_role("dialog").get_by_role("button", name="Remove").click()
        expect(engine.locator(".node-version")).to_have_text("none installed")
        mirror.publish("4.2.3", sha256="1" * 64)
        engine.get_by_label("Version of tooled").select_option("4.2.3")
        engine.get_by_role("button", name="Install").click()
        expect(engine.get_by_text("1" * 64)).to_be_visible()
        expect(engine.get_by_role("button", name="Try again")).to_be_visible()


def test_a_model_is_pulled_and_removed(
    made: Path, start: Callable[..., NodeProcess], opened: Callable[..., Opened]
) -> None:
    with beside(serving()) as (hub, call):
        hub.publish_folder(REPOSITORY, made / "ltx")
        call(hub.gate.clear)
        models = {"tiny": {"repository": REPOSITORY, **TINY}}
        node = start("models", engines={"noop": {}, "video": {"hub": hub.url}}, models=models)
        shown = opened(node.url)
        page = shown.go("/nodes")
        model = entry(card(page, "models"), "tiny")
        page.get_by_text("models not here").click()
        expect(model).to_contain_text("Not here")
        model.get_by_role("button", name="Pull tiny").click()
        expect(model).to_contain_text("Pulling")
        expect(model.get_by_role("progressbar")).to_be_visible()
        shown.check()
        shown.shoot("nodes-pull")
        call(hub.gate.set)
        expect(model.locator(".badge")).to_have_text("Here")
        model.get_by_role("button", name="Remove tiny").click()
        page.get_by_role("dialog").get_by_role("button", name="Remove").click()
        expect(model.locator(".badge")).to_have_text("Not here")
