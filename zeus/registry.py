"""Finding engines: in plugin folders and behind entry points; and which failed to load, with the reason."""

from __future__ import annotations

import importlib
import importlib.metadata
import logging
import sys
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from zeus.config.settings import ENGINE_SETTINGS
from zeus.engine import API_VERSION, Engine, GenerationEngine, ModelSettings
from zeus.errors import BadInput, ConfigError
from zeus.mismatch import mismatch
from zeus.names import without_folders

PARENT = "zeus_plugins"
GROUP = "zeus.engines"
OWN_FOLDER = Path(__file__).parent.parent / "plugins"

log = logging.getLogger(__name__)


class Broken(msgspec.Struct, frozen=True):
    """A plugin that could not be loaded."""

    name: str
    reason: str


class Registry:
    """The engines of one node, by name."""

    def __init__(self, engines: Mapping[str, Engine[Any]], broken: Sequence[Broken]) -> None:
        self.engines = engines
        self.broken = broken

    @classmethod
    def load(
        cls,
        folders: Sequence[Path],
        settings: Mapping[str, Mapping[str, Any]],
        models: Mapping[str, ModelSettings] = MappingProxyType({}),
    ) -> Registry:
        """Load every engine. `settings` are those of `[engines.NAME]`, `models` those of `[models.NAME]`.

        A plugin that fails is left out and listed. Raises ConfigError when settings are wrong or of no known engine.
        """
        engines: dict[str, Engine[Any]] = {}
        broken: list[Broken] = []
        make_parent(folders)
        for name, load in [*_in_folders(folders), *_entry_points()]:
            try:
                kind = _checked(load())
                if kind.name in engines:
                    raise ImportError(f'there is an engine "{kind.name}" already')
                engines[kind.name] = _made(kind, _settings(kind, settings.get(kind.name, {})), models)
            except ConfigError:
                raise
            except (Exception, SystemExit) as error:
                log.warning("plugin %s is left out: %s: %s", name, type(error).__name__, error)
                broken.append(Broken(name, without_folders(f"{type(error).__name__}: {error}")))
        # Zeus's own engines may be left out (plugins.own), but their settings may stay.
        own = {path.name for path in own_folders([])[0].iterdir()}
        _refuse_unknown(settings, {*engines, *(each.name for each in broken)}, own)
        return cls(engines, broken)

    def get(self, name: str) -> Engine[Any]:
        """An engine by name. Raises BadInput, which names those that there are."""
        if name in self.engines:
            return self.engines[name]
        reason = next((f" It could not be loaded: {each.reason}." for each in self.broken if each.name == name), "")
        known = ", ".join(sorted(self.engines)) or "none"
        raise BadInput(f'There is no engine "{name[:80]}" here; there are: {known}.{reason}', code="unknown_engine")

    def for_filename(self, filename: str) -> Engine[Any] | None:
        """The engine that takes files of this name, or None."""
        _, dot, extension = filename.lower().rpartition(".")
        return next((each for each in self.engines.values() if dot and extension in each.extensions), None)


def own_folders(more: Iterable[Path], *, own: bool = True) -> list[Path]:
    """Zeus's `own` plugin folder, then those that the configuration adds."""
    folder = OWN_FOLDER if OWN_FOLDER.is_dir() else Path(__file__).parent.parent / PARENT
    return [*([folder] if own else []), *more]


def make_parent(folders: Sequence[Path]) -> None:
    """Make the package that all plugin folders' packages belong to, for imports and across processes."""
    parent = types.ModuleType(PARENT)
    parent.__path__ = [str(folder) for folder in folders]
    sys.modules[PARENT] = parent


def _in_folders(folders: Sequence[Path]) -> Iterator[tuple[str, Any]]:
    for folder in folders:
        if not folder.is_dir():
            raise ConfigError(f"plugins.folders: there is no folder {folder}.")
        for path in sorted(folder.iterdir()):
            if (path / "__init__.py").is_file():
                yield path.name, lambda name=path.name: importlib.import_module(f"{PARENT}.{name}")


def _entry_points() -> Iterator[tuple[str, Any]]:
    for point in importlib.metadata.entry_points(group=GROUP):
        yield point.name, point.load


def _checked(found: Any) -> type[Engine[Any]]:
    """The engine class that a plugin's module holds, or the class itself."""
    kinds = [found] if isinstance(found, type) else _classes(found)
    if len(kinds) != 1:
        raise ImportError(f"it must hold one class derived from zeus.engine.Engine, and holds {len(kinds)}")
    kind: type[Engine[Any]] = kinds[0]
    if kind.api != API_VERSION:
        raise ImportError(f"it is written for version {kind.api} of the plugin interface; this Zeus has {API_VERSION}")
    for attribute in ("name", "Args"):
        if not hasattr(kind, attribute):
            raise ImportError(f"its class {kind.__name__} has no `{attribute}`")
    return kind


def _classes(module: types.ModuleType) -> list[type[Engine[Any]]]:
    return [
        each
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, Engine) and each.__module__.startswith(module.__name__)
    ]


def _made(kind: type[Engine[Any]], settings: msgspec.Struct, models: Mapping[str, ModelSettings]) -> Engine[Any]:
    return kind(settings, models) if issubclass(kind, GenerationEngine) else kind(settings)


def _settings(kind: type[Engine[Any]], values: Mapping[str, Any]) -> msgspec.Struct:
    own = {key: value for key, value in values.items() if key not in ENGINE_SETTINGS}
    if kind.releases is None and (useless := sorted({"mirror", "auto_install"} & {*values})):
        raise ConfigError(f"engines.{kind.name}.{useless[0]}: Zeus manages no versions of this engine.")
    try:
        return msgspec.convert(own, kind.Settings, strict=False)
    except msgspec.ValidationError as error:
        key, text = mismatch(error, kind.Settings)
        raise ConfigError(f"engines.{kind.name}{f'.{key}' if key else ''}: {text}.") from error


def _refuse_unknown(settings: Mapping[str, Any], known: set[str], left_out: set[str]) -> None:
    for name in settings:
        if name not in known | left_out:
            raise ConfigError(f"engines.{name}: there is no such engine; there are: {', '.join(sorted(known))}.")
