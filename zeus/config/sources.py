"""Where settings come from: defaults, the TOML file, ZEUS_SECTION__KEY in the environment, flags; the last holds."""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec.inspect import (
    BoolType,
    FloatType,
    IntType,
    Metadata,
    NoneType,
    StrType,
    UnionType,
    VarTupleType,
    type_info,
)
from platformdirs import user_config_path

from zeus.config.settings import (
    ENGINE_SETTINGS,
    MODEL_SETTINGS,
    NAMED,
    PATH_SETTINGS,
    SECTIONS,
    Config,
    Settings,
    checkout,
)
from zeus.errors import ConfigError

FLAGS = {
    "--name": "node.name",
    "--storage": "node.storage",
    "--host": "http.host",
    "--lan": "http.host",
    "--port": "http.port",
    "--open": "http.open",
}
PATHS = {"node.storage", "http.certificate", "http.key", "network.ca", "files.local_roots", "plugins.folders"}
SECTION_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
OF_A_NAME: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "models": (MODEL_SETTINGS, "a model"),
    "paths": (PATH_SETTINGS, "a shared folder"),
}
"""The sections that have a section for each name: the settings in there, and what they are about."""
Key = tuple[str, ...]


def default_file() -> Path:
    """Where the settings are looked for when no file is named."""
    return (checkout() or user_config_path("zeus")) / "config.toml"


def load(file: Path | None, environ: Mapping[str, str], flags: Mapping[str, Any]) -> Settings:
    """The settings in force. `flags` is keyed by flag ("--port") or setting ("http.port"); None is not given.

    Raises ConfigError, naming the file and line, variable or flag, what was expected and what is likely meant.
    """
    draft = _Draft()
    _read_file(draft, file)
    _read_environ(draft, environ)
    for flag, value in flags.items():
        if value is not None:
            path = tuple(FLAGS.get(flag, flag).split("."))
            draft.put(path, value, origin=flag, where=flag, base=Path.cwd())
    return Settings(msgspec.convert(draft.tree, Config), draft.origins)


class _Draft:
    """Settings while they are gathered, each checked as it comes so that its source can be named."""

    def __init__(self) -> None:
        self.tree: dict[str, Any] = {}
        self.origins = {f"{section}.{key}": "default" for section, keys in SECTIONS.items() for key in keys}

    def put(self, path: Key, value: Any, *, origin: str, where: str, base: Path) -> None:
        """Check one setting and keep it; relative folders start at `base`."""
        name = ".".join(path)
        checked = _checked(path, value, where)
        if name in PATHS or (path[0] == "models" and path[2] == "folder"):
            checked = _absolute(checked, base)
        branch = self.tree
        for part in path[:-1]:
            branch = branch.setdefault(part, {})
            if not isinstance(branch, dict):
                raise ConfigError(f"{where}: {name} cannot be set, since another source makes {part} a single value")
        branch[path[-1]] = checked
        self.origins[name] = origin


def _checked(path: Key, value: Any, where: str) -> Any:
    kind = _type_of(path, where)
    if isinstance(value, str) and isinstance(_plain(kind), BoolType):
        value = {"on": "true", "yes": "true", "off": "false", "no": "false"}.get(value.lower(), value)
    try:
        return msgspec.convert(value, kind, strict=not isinstance(value, str))
    except msgspec.ValidationError as error:
        message = f"{where}: {'.'.join(path)} must be {_expected(kind)}, not {json.dumps(value, default=str)}"
        raise ConfigError(message) from error


def _type_of(path: Key, where: str) -> Any:
    """The type of a setting. Raises ConfigError where there is none of this name."""
    if path in [(section,) for section in SECTIONS]:
        raise ConfigError(f"{where}: {path[0]} is a section: write [{path[0]}], then its keys")
    if path[0] == "engines":
        if len(path) > 2:
            return ENGINE_SETTINGS.get(path[2], Any) if len(path) == 3 else Any
        raise ConfigError(f"{where}: an engine's setting is written as [engines.NAME], then its key")
    if path[0] in OF_A_NAME:
        return _type_of_named(path, where)
    if len(path) == 2 and path[1] in SECTIONS.get(path[0], {}):
        return SECTIONS[path[0]][path[1]]
    raise ConfigError(f'{where}: there is no setting "{".".join(path)}"{_meant(path)}')


def _type_of_named(path: Key, where: str) -> Any:
    """The type of a setting in a section that has a section for each name."""
    settings, what = OF_A_NAME[path[0]]
    if len(path) < 3 or not SECTION_NAME.fullmatch(path[1]):
        raise ConfigError(
            f"{where}: {what}'s setting is written as [{path[0]}.NAME] (small letters, digits, - _), its key"
        )
    if len(path) == 3 and path[2] in settings:
        return settings[path[2]]
    close = difflib.get_close_matches(path[2], settings, n=1)
    meant = f'did you mean "{close[0]}"?' if close else f"{what} has {', '.join(settings)}"
    raise ConfigError(f'{where}: there is no setting "{".".join(path)}"; {meant}')


def _meant(path: Key) -> str:
    """What was likely meant, as the end of a sentence."""
    known = [f"{section}.{key}" for section, keys in SECTIONS.items() for key in keys]
    same_key = [name for name in known if name.split(".")[1] == path[-1]]
    close = same_key or difflib.get_close_matches(".".join(path), known, n=1)
    if not close:
        ends = [name.split(".")[1] for name in known]
        close = [known[ends.index(end)] for end in difflib.get_close_matches(path[-1], ends, n=1)]
    if close:
        return f'; did you mean "{close[0]}"?'
    if path[0] in SECTIONS:
        return f"; [{path[0]}] knows {', '.join(SECTIONS[path[0]])}"
    return f"; the sections are {', '.join([*SECTIONS, *NAMED])}"


def _plain(kind: Any) -> Any:
    return _bare(_wanted(type_info(kind)))


def _wanted(info: Any) -> Any:
    """A type without its None: a file and the environment have no word for it."""
    if isinstance(inner := _bare(info), UnionType):
        return next(each for each in inner.types if not isinstance(each, NoneType))
    return info


def _bare(info: Any) -> Any:
    return info.type if isinstance(info, Metadata) else info


def _expected(kind: Any) -> str:
    wanted = _wanted(type_info(kind))
    info = _bare(wanted)
    if isinstance(info, BoolType):
        return "true or false"
    if isinstance(info, VarTupleType):
        title = _title(info.item_type)
        return f"a list of texts, each {title}" if title else "a list of texts"
    if not isinstance(info, IntType | FloatType):
        if title := _title(wanted):
            return title
        if not isinstance(info, StrType):
            return "something else"
        return "a text" if not info.min_length else "a text that is not empty"
    noun = "a whole number" if isinstance(info, IntType) else "a number"
    lower, to = (f"above {info.gt}", ", at most") if info.gt is not None else (f"from {info.ge}", " to")
    return f"{noun} {lower}" + (f"{to} {info.le}" if info.le is not None else "")


def _title(info: Any) -> str:
    return str((info.extra_json_schema or {}).get("title", "")) if isinstance(info, Metadata) else ""


def _absolute(value: Any, base: Path) -> Any:
    if isinstance(value, tuple):
        return tuple(_absolute(item, base) for item in value)
    return str(base / Path(value).expanduser()) if value else value


def _read_file(draft: _Draft, named: Path | None) -> None:
    file = (named or default_file()).absolute()
    if named is None and not file.exists():
        return
    text = _text_of(file)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"at line (\d+)", str(error))
        line = place[1] if place else max(1, len(text.splitlines()))
        raise ConfigError(f"{file}, line {line}: is not TOML: {error}") from error
    for key, value in _leaves(document):
        number = _line_of(text, key)
        where = f"{file}, line {number}" if number else str(file)
        draft.put(key, value, origin=file.name, where=where, base=file.parent)


def _text_of(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: is not TOML: {error}") from error


def _leaves(document: Mapping[str, Any]) -> Iterator[tuple[Key, Any]]:
    """Each setting of a file with its path; what stands where a section should is given as it is, to be refused."""
    for section, keys in document.items():
        if not isinstance(keys, dict) or (not keys and section not in {*SECTIONS, *NAMED}):
            yield (section,), keys
        elif section not in NAMED:
            yield from (((section, key), value) for key, value in keys.items())
        else:
            for name, own in keys.items():
                inner = own.items() if isinstance(own, dict) else ()
                yield from (((section, name, key), value) for key, value in inner)
                if not isinstance(own, dict):
                    yield (section, name), own


def _line_of(text: str, path: Key) -> int | None:
    """The line on which a setting stands, as far as it is written in the usual way."""
    section: Key = ()
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[\s*([^\[\]]+?)\s*\]", line)
        key = re.match(r"""\s*([\w."'-]+)\s*=""", line)
        if header:
            section = _split(header[1])
        if (header and section == path) or (key and section + _split(key[1]) == path):
            return number
    return None


def _split(dotted: str) -> Key:
    return tuple(part.strip(" \"'") for part in dotted.split("."))


def _read_environ(draft: _Draft, environ: Mapping[str, str]) -> None:
    for name, text in sorted(environ.items()):
        if name.startswith("ZEUS_") and "__" in name:
            path = tuple(name.removeprefix("ZEUS_").lower().split("__"))
            draft.put(path, _parsed(path, text, name), origin=name, where=name, base=Path.cwd())


def _parsed(path: Key, text: str, name: str) -> Any:
    """A variable's text as far as its type needs it: lists are JSON or separated by commas."""
    if not isinstance(_plain(_type_of(path, name)), VarTupleType):
        return text
    if text.lstrip().startswith("["):
        try:
            return json.loads(text)
        except ValueError as error:
            raise ConfigError(f"{name}: {'.'.join(path)} must be a list: JSON, or texts with commas between") from error
    return [item.strip() for item in text.split(",") if item.strip()]
