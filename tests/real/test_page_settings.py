"""The page's frame and its settings: themes, keyboard, sign-in, and a node that cannot be reached."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import NodeProcess
from tests.real.browser import LOOKS, Opened
from zeus.tokens import Scope, add_token

STRANGER = {"X-Forwarded-For": "203.0.113.7"}
"""What a proxy on this machine says of a browser elsewhere."""
BACKGROUND = "getComputedStyle(document.documentElement).backgroundColor"


@pytest.mark.parametrize(("size", "theme"), LOOKS)
def test_the_settings(served: NodeProcess, opened: Callable[..., Opened], size: str, theme: str) -> None:
    shown = opened(served.url, size, theme)
    page = shown.go("/settings")
    expect(page).to_have_title("Settings · Zeus")
    expect(page.locator("dl")).to_contain_text("test-node")
    expect(page.get_by_role("link", name="HTTP API")).to_have_attribute("href", "/api/docs")
    shown.check()
    shown.shoot("settings")


def test_a_theme_is_chosen_and_kept(served: NodeProcess, opened: Callable[..., Opened]) -> None:
    page = opened(served.url, "desktop", "light").go("/settings")
    light = page.evaluate(BACKGROUND)
    page.get_by_role("radio", name="Dark").check()
    dark = page.evaluate(BACKGROUND)
    assert light != dark
    page.reload()
    expect(page.get_by_role("radio", name="Dark")).to_be_checked()
    assert page.evaluate(BACKGROUND) == dark
    page.get_by_role("radio", name="System").check()
    assert page.evaluate(BACKGROUND) == light


@pytest.mark.parametrize("size", ["narrow", "wall"])
def test_every_view_fits(served: NodeProcess, opened: Callable[..., Opened], size: str) -> None:
    shown = opened(served.url, size)
    page = shown.go()
    names = page.locator("nav a").all_inner_texts()
    assert len(names) >= 3
    for name in names:
        page.get_by_role("link", name=name.strip(), exact=True).click()
        expect(page.locator("main h1").first).to_be_attached()
        shown.fits()
        shown.shoot(f"fits-{name.strip().lower().replace(' ', '-')}")


def test_the_keyboard_alone(served: NodeProcess, opened: Callable[..., Opened]) -> None:
    page = opened(served.url).go("/settings")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.get_by_role("link", name="New job").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="New job")).to_be_visible()
    expect(page.locator("main")).to_be_focused()
    expect(page.get_by_role("link", name="New job")).to_have_attribute("aria-current", "page")
    expect(page.locator("#live")).to_have_text("New job")
    page.goto(f"{page.url.partition('#')[0]}#/nowhere")
    expect(page.get_by_role("link", name="Generate")).to_have_attribute("aria-current", "page")


def sign_in(page: Page, token: str) -> None:
    page.get_by_role("dialog").get_by_label("Token").fill(token)
    page.keyboard.press("Enter")


@pytest.mark.parametrize(("size", "theme"), [("phone", "light"), ("desktop", "dark")])
def test_a_stranger_signs_in_and_out(served: NodeProcess, opened: Callable[..., Opened], size: str, theme: str) -> None:
    storage = served.folder / "storage"
    secret = add_token(storage, f"clerk-{size}", [Scope.READ])
    shown = opened(served.url, size, theme, extra_http_headers=STRANGER)
    shown.allow("status of 40[13]")
    page = shown.page
    page.goto(f"{served.url}/#/settings")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading", name="Sign in to this node")).to_be_visible()
    shown.check()
    shown.shoot("sign-in")
    sign_in(page, "wrong")
    expect(dialog).to_contain_text("This is no token of this node.")
    for _ in range(3):  # a browser lets nobody prevent the second one
        page.keyboard.press("Escape")
        page.wait_for_timeout(50)
    expect(dialog).to_be_visible()
    sign_in(page, secret)
    expect(dialog).to_have_count(0)
    expect(page.locator("dl")).to_contain_text("test-node")
    (cookie,) = page.context.cookies()
    assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == ("zeus_session", True, "Strict")
    assert not page.evaluate("document.cookie + Object.values(localStorage).join()").count(cookie["value"])
    page.reload()
    expect(page.get_by_text(f"clerk-{size}")).to_be_visible()
    page.get_by_role("link", name="Generate").click()
    page.get_by_label("Prompt", exact=True).fill("a fox")
    page.get_by_role("button", name="Generate").click()
    expect(page.locator("form .generate-end")).to_contain_text('has no scope "submit"')
    page.get_by_role("link", name="Settings").click()
    page.get_by_role("button", name="Sign out").click()
    expect(dialog).to_be_visible()
    assert page.context.cookies() == []
    sign_in(page, add_token(storage, f"other-{size}", [Scope.READ, Scope.SUBMIT]))
    expect(page.get_by_text(f"other-{size}")).to_be_visible()


def test_a_lost_connection_is_said_and_nothing_is_lost(served: NodeProcess, opened: Callable[..., Opened]) -> None:
    shown = opened(served.url, "phone", "dark")
    shown.allow("ERR_INTERNET_DISCONNECTED")
    page = shown.go("/generate")
    expect(page.get_by_text("Ready", exact=True)).to_be_visible()
    page.get_by_label("Prompt", exact=True).fill("kept")
    expect(page.locator("link[href='/static/views/settings.css']")).to_be_attached()
    page.context.set_offline(True)
    page.get_by_role("button", name="Generate").click()
    banner = page.get_by_role("alert").filter(has_text="The node cannot be reached.")
    expect(banner).to_contain_text("Trying again in")
    page.get_by_role("link", name="New job").click()
    expect(page.get_by_role("heading", name="New job")).to_be_visible()
    page.get_by_role("link", name="Generate").click()
    expect(page.get_by_label("Prompt", exact=True)).to_have_value("kept")
    banner.get_by_role("button", name="Try now").click()
    expect(banner).to_be_visible()
    shown.shoot("lost")
    page.context.set_offline(False)
    expect(banner).to_be_hidden()
    expect(page.locator("section[aria-label='The video']")).to_contain_text("kept")
