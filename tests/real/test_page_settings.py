"""The page's frame and its settings: the themes, the node's own words, sign-in, and a node that goes away."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.conftest import NodeProcess
from tests.real.browser import LOOKS, Opened


@pytest.mark.parametrize(("size", "theme"), LOOKS)
def test_the_settings(served: NodeProcess, opened: Callable[..., Opened], size: str, theme: str) -> None:
    shown = opened(served.url, size, theme)
    page = shown.go("/settings")
    expect(page.get_by_text("test-node")).to_be_visible()
    expect(page).to_have_title("Settings · Zeus")
    shown.check()
    shown.shoot("settings")
