"""The folders of `[paths]`, which several nodes see: what marks them as the same, and files in them by their names.

Two nodes see the same folder when they read the same mark in it. Another node never gets a path of this one: it gets
the folder's name and the way from there, and looks under its own path of that folder.
"""

from __future__ import annotations

import asyncio
import logging
import re
import sys
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from zeus.config.settings import PathConfig
from zeus.dispatch.remote import Peer
from zeus.errors import BadInput, ConfigError
from zeus.wire import SharedFile

MARK = ".zeus-share"
"""The file in a shared folder that holds its mark."""
LOOK = 60.0
"""Seconds between two looks at the marks: folders are mounted and unmounted while a node runs."""
CLOCKS = 2.0
"""Seconds by which two systems may disagree on when a file was changed: some file systems count in such steps."""

log = logging.getLogger(__name__)


class Folders:
    """The shared folders of one node. Raises ConfigError for a path that is not absolute."""

    def __init__(self, paths: Mapping[str, PathConfig]) -> None:
        system = {"win32": "windows", "darwin": "macos"}.get(sys.platform, "linux")
        self._roots: dict[str, Path] = {}
        for name, config in paths.items():
            if path := getattr(config, system):
                if not Path(path).is_absolute():
                    raise ConfigError(f"paths.{name}.{system}: {path} must be an absolute path.")
                self._roots[name] = Path(path)
        self._marks: dict[str, str] = {}
        self._told: set[str] = set()

    @property
    def roots(self) -> Sequence[Path]:
        """Where the folders are on this machine."""
        return list(self._roots.values())

    @property
    def marks(self) -> Mapping[str, str]:
        """The mark of each folder that was here at the last look."""
        return self._marks

    async def run(self) -> None:
        """Keep the marks up to date. A mount that does not answer holds up nothing but this."""
        while self._roots:
            await self.look()
            await asyncio.sleep(LOOK)

    async def look(self) -> None:
        """Read the marks, and make those that are missing."""
        for name, root in self._roots.items():
            try:
                self._marks[name] = await asyncio.to_thread(_mark, root)
                self._told.discard(name)
            except OSError as error:
                self._marks.pop(name, None)
                if name not in self._told:
                    log.warning("paths.%s: %s cannot be shared: %s", name, root, error.strerror or error)
                    self._told.add(name)

    async def common(self, path: Path, peer: Peer) -> SharedFile | None:
        """A file of this machine as another node may call it, or None where it is in no folder that both see."""
        theirs = peer.portrait.shares if peer.portrait is not None else {}
        ours = {name: root for name, root in self._roots.items() if self._marks.get(name, "") == theirs.get(name)}
        return await asyncio.to_thread(_named, path, ours)

    def find(self, file: SharedFile) -> Path:
        """A file that another node named. Blocks. Raises BadInput `share_unusable` when it is not that file here."""
        root = self._roots.get(file.share) if file.share in self._marks else None
        if root is None:
            raise _unusable(f'there is no folder "{file.share}" here')
        parts = file.path.split("/")
        if any(part in ("", ".", "..") or re.search(r"[\\\0:]", part) for part in parts):
            raise _unusable("this is no path in a shared folder")
        path = root.joinpath(*parts)
        try:
            real = path.parent.resolve() / path.name if file.size is None else path.resolve()
            if not real.is_relative_to(root.resolve()):
                raise _unusable("it leads out of the folder")
            if file.size is not None:
                _compare(real, file)
            elif path.is_symlink() or not re.search("[#%]", path.name):
                raise _unusable("this is no pattern of a sequence's names")
        except (OSError, RuntimeError) as error:
            raise _unusable("it cannot be read here") from error
        return real


def _compare(path: Path, file: SharedFile) -> None:
    """Raises BadInput where a file is not the one that the other node sees: a copy of the folder has its mark too."""
    facts = path.stat()
    is_same = facts.st_size == file.size and abs(facts.st_mtime - (file.modified or 0.0)) <= CLOCKS
    if not path.is_file() or not is_same:
        raise _unusable("it is another file here")


def _unusable(why: str) -> BadInput:
    return BadInput(f"shared: {why}.", code="share_unusable")


def _named(path: Path, roots: Mapping[str, Path]) -> SharedFile | None:
    for name, root in roots.items():
        try:
            inner = (path.parent.resolve() / path.name).relative_to(root.resolve())
            facts = path.stat() if path.is_file() else None
        except (OSError, RuntimeError, ValueError):
            continue
        if facts is None:  # the pattern of a sequence's names
            return SharedFile(name, inner.as_posix())
        return SharedFile(name, inner.as_posix(), facts.st_size, facts.st_mtime)
    return None


def _mark(root: Path) -> str:
    """The mark of a folder, made where there is none. Raises OSError."""
    try:
        with (root / MARK).open("x") as file:
            file.write(uuid.uuid4().hex)
    except (FileExistsError, PermissionError):
        pass
    except OSError:
        if not (root / MARK).is_file():  # a folder that can only be read may have one
            raise
    with (root / MARK).open("rb") as file:
        mark = file.read(64).decode("ascii", "replace").strip()
    if not re.fullmatch("[0-9a-f]{32}", mark):
        raise OSError(f"its file {MARK} holds no mark; remove it")
    return mark
