"""Finding engines: folders and entry points; whatever a plugin does wrong is shown and stops nobody."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from zeus.errors import BadInput, ConfigError
from zeus.registry import PARENT, Registry, make_parent, own_folders

GOOD = """
import msgspec
from zeus.engine import Engine, Version
class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    speed: int = 1
class Args(msgspec.Struct, frozen=True):
    pass
class Good(Engine[Args]):
    name = "{name}"
    extensions = frozenset({{"{name}"}})
    Args = Args
    Settings = Settings
    async def versions(self, tools): return []
    async def run(self, context): pass
"""


@pytest.fixture(autouse=True)
def clean_modules() -> Iterator[None]:
    """Plugins of one test must not be there in the next."""
    before = {name: module for name, module in sys.modules.items() if name.startswith(PARENT)}
    yield
    for name in [name for name in sys.modules if name.startswith(PARENT)]:
        del sys.modules[name]
    sys.modules.update(before)


def plugin(folder: Path, name: str, text: str) -> Path:
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text(text)
    return folder


BROKEN = {
    "syntax": ("def (", "SyntaxError"),
    "imports": ("import nothing_of_this_name", "ModuleNotFoundError"),
    "raises": ("raise RuntimeError('my own fault')", "my own fault"),
    "exits": ("raise SystemExit(3)", "SystemExit"),
    "empty": ("", "holds 0"),
    "two": (GOOD.format(name="one") + GOOD.format(name="two").replace("Good", "Other"), "holds 2"),
    "nameless": (GOOD.format(name="x").replace('name = "x"', ""), "no `name`"),
    "old": (GOOD.format(name="old") + "Good.api = 99\n", "version 99"),
    "abstract": (GOOD.format(name="abstract").replace("async def run", "async def walk"), "abstract"),
}


def test_broken_plugins_are_listed_with_their_reason(tmp_path: Path) -> None:
    for name, (text, _) in BROKEN.items():
        plugin(tmp_path, name, text)
    plugin(tmp_path, "good", GOOD.format(name="good"))
    (tmp_path / "no_package").mkdir()
    (tmp_path / "a_file.py").write_text("raise RuntimeError")
    registry = Registry.load([tmp_path], {})
    assert list(registry.engines) == ["good"]
    reasons = {each.name: each.reason for each in registry.broken}
    assert set(reasons) == set(BROKEN)
    for name, (_, reason) in BROKEN.items():
        assert reason in reasons[name]
    with pytest.raises(BadInput, match="my own fault"):
        registry.get("raises")
    with pytest.raises(BadInput, match="there are: good"):
        registry.get("nothing")


def test_of_two_engines_of_one_name_the_first_stays(tmp_path: Path) -> None:
    first, second = (
        plugin(tmp_path / "1", "a", GOOD.format(name="same")),
        plugin(tmp_path / "2", "b", GOOD.format(name="same")),
    )
    registry = Registry.load([first, second], {})
    assert type(registry.engines["same"]).__module__ == f"{PARENT}.a"
    assert [each.name for each in registry.broken] == ["b"]


def test_settings_reach_the_engine_and_wrong_ones_are_refused(tmp_path: Path) -> None:
    plugin(tmp_path, "good", GOOD.format(name="good"))
    registry = Registry.load([tmp_path], {"good": {"slots": 3, "speed": 5}})
    assert registry.engines["good"].settings.speed == 5
    for settings, words in [({"good": {"pace": 1}}, "pace"), ({"good": {"speed": "x"}}, "int"), ({"god": {}}, "god")]:
        with pytest.raises(ConfigError, match=words):
            Registry.load([tmp_path], settings)
    with pytest.raises(ConfigError, match="there is no folder"):
        Registry.load([tmp_path / "nowhere"], {})


def test_entry_points(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin(tmp_path, "some_package", GOOD.format(name="pointed"))
    info = tmp_path / "some_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: some-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[zeus.engines]\npointed = some_package:Good\nlost = some_package:Bad\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    registry = Registry.load([], {})
    assert list(registry.engines) == ["pointed"]
    assert [each.name for each in registry.broken] == ["lost"]
    sys.modules.pop("some_package")


def test_zeus_finds_its_own_engines() -> None:
    registry = Registry.load(own_folders([]), {})
    assert {"ffmpeg", "video"} <= set(registry.engines) and registry.broken == []
    assert registry.for_filename("a.b.MP4") is registry.engines["ffmpeg"]
    assert registry.for_filename("mp4") is None
    assert registry.for_filename("a.unknown") is None
    make_parent(own_folders([]))
