"""Presets: arguments under a name. Zeus's own, and over them the owner's, read anew whenever the file has changed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from zeus.errors import BadInput, NotFound
from zeus.registry import Registry
from zeus.wire import PresetList, PresetView

OWN = Path(__file__).with_name("presets.yaml")
LARGEST = 1 << 20
"""Bytes of a presets file."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Preset(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An entry of a presets file."""

    renderer: str
    description: str = ""
    args: dict[str, Any] = {}


class _Read(msgspec.Struct, frozen=True):
    """What stands in a file, and what is wrong with it."""

    presets: Mapping[str, Preset] = {}
    problems: tuple[str, ...] = ()


class Presets:
    """The presets of one node: Zeus's own and those of `theirs`, which need not be there."""

    def __init__(self, registry: Registry, theirs: Path, own: Path = OWN) -> None:
        self._registry = registry
        self._theirs = theirs
        self._own = own
        self._seen: dict[Path, tuple[tuple[int, int], _Read]] = {}

    async def all(self) -> PresetList:
        """All presets by name, those of absent engines included; a file that is wrong is a problem, not an error."""
        own, theirs = await asyncio.to_thread(lambda: (self._read(self._own), self._read(self._theirs)))
        merged = {**own.presets, **theirs.presets}
        views = {name: self._view(preset) for name, preset in merged.items()}
        problems = [f"{name}: {problem}" for name, preset in merged.items() if (problem := self._problem(preset))]
        return PresetList(presets=views, problems=[*own.problems, *theirs.problems, *problems])

    async def file(self) -> bytes:
        """The owner's file as it stands, right or wrong; Zeus's own where there is none. Raises NotFound."""
        try:
            return await asyncio.to_thread(_content, self._theirs)
        except FileNotFoundError:
            return await asyncio.to_thread(_content, self._own)
        except OSError as error:
            raise NotFound(_unreadable(self._theirs, error), code="file_not_found") from error

    def _view(self, preset: Preset) -> PresetView:
        return PresetView(preset.description, preset.renderer, preset.args, preset.renderer in self._registry.engines)

    def _problem(self, preset: Preset) -> str | None:
        """What is wrong with a preset of an engine that there is; of another one nothing is known."""
        engine = self._registry.engines.get(preset.renderer)
        known = {field.encode_name for field in msgspec.structs.fields(engine.Args)} if engine is not None else set()
        wrong = sorted(str(name) for name in preset.args if engine is not None and name not in known)
        return f"{preset.renderer} has no argument {', '.join(wrong)}." if wrong else None

    def _read(self, path: Path) -> _Read:
        try:
            facts = path.stat()
            age = facts.st_mtime_ns, facts.st_size
            if path not in self._seen or self._seen[path][0] != age:
                self._seen[path] = age, _read(path, facts.st_size)
            return self._seen[path][1]
        except FileNotFoundError:
            return _Read()
        except (OSError, UnicodeDecodeError) as error:
            return _Read(problems=(_unreadable(path, error),))


def apply(presets: PresetList, name: str, renderer: str | None, args: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The engine and the arguments of a job that names a preset. Raises BadInput."""
    preset = presets.presets.get(name)
    if preset is None:
        known = ", ".join(sorted(presets.presets)) or "none"
        raise BadInput(f'preset: there is no "{name[:80]}"; there are: {known}.', code="unknown_preset")
    if renderer not in (None, preset.renderer):
        raise BadInput(f'preset: "{name}" is for {preset.renderer}, not for {renderer}.', code="invalid_field")
    return preset.renderer, {**preset.args, **args}


def _read(path: Path, size: int) -> _Read:
    if size > LARGEST:
        return _Read(problems=(f"{path.name} is larger than {LARGEST} bytes.",))
    import yaml  # a megabyte that a node without questions for presets does without

    try:
        found = yaml.safe_load(path.read_text("utf-8"))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        return _Read(problems=(f"{path.name} is not valid YAML{_place(error)}; all of it is left out.",))
    if found is None:
        return _Read()
    if not isinstance(found, dict):
        return _Read(problems=(f"{path.name} must be a mapping of names to presets; all of it is left out.",))
    return _sorted_out(path.name, found)


def _content(path: Path) -> bytes:
    """A file's first LARGEST bytes: what comes after them is read nowhere."""
    with path.open("rb") as file:
        return file.read(LARGEST)


def _unreadable(path: Path, error: Exception) -> str:
    return f"{path.name} cannot be read: {type(error).__name__}."


def _sorted_out(file: str, found: Mapping[Any, Any]) -> _Read:
    presets, problems = {}, []
    for name, value in found.items():
        try:
            if not isinstance(name, str) or not NAME.fullmatch(name):
                raise ValueError("a name has letters, digits, dots, hyphens and underscores, 64 at most")
            preset = msgspec.convert(value, Preset)
            msgspec.json.encode(preset.args)
            presets[name] = preset
        except (msgspec.ValidationError, TypeError, ValueError, RecursionError) as error:
            problems.append(f"{file}: {str(name)[:80]} is left out: {error}.")
    return _Read(presets, tuple(problems))


def _place(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    return f" (line {mark.line + 1})" if mark is not None else ""
