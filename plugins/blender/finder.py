"""Finds Blender on this machine: configured, managed, on PATH; and what each calls itself."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec

from zeus.engine import Tools, Version
from zeus.errors import TaskFailed, ToolFailed

LOOK = 60.0
"""Seconds that a look at a build may take."""
OLDEST = (2, 93)
USUAL = ("/Applications/Blender.app/Contents/MacOS/Blender",)
"""Where it lies without being on PATH."""


class Build(msgspec.Struct, frozen=True):
    """One Blender: where it is, how it was found, and its version."""

    path: Path
    source: str
    version: str

    @property
    def release(self) -> tuple[int, int]:
        """Such as (3, 4) for 3.4.1."""
        major, minor = (int(part) for part in self.version.split(".")[:2])
        return major, minor


class Finder:
    """Looks once at each binary; a changed one is looked at again."""

    def __init__(self, path: str | None) -> None:
        self._configured = path
        self._builds: dict[tuple[Path, int], Build | None] = {}
        self._lock = asyncio.Lock()

    async def builds(self, tools: Tools) -> list[Build]:
        """All that run, the preferred one first. A configured one that does not run leaves none: it was asked for."""
        found: list[Build] = []
        for source, path in self._places(tools):
            build = await self._look(tools, source, path)
            if build is None and source == "configured":
                return []
            if build is not None and build.path not in [other.path for other in found]:
                found.append(build)
        return found

    async def reason(self, tools: Tools) -> str | None:
        """Why there is no build to use, or None."""
        if await self.builds(tools):
            return None
        if self._configured is not None:
            return "The configured Blender does not run: set engines.blender.path to a working one, or leave it out."
        return f"No Blender {'.'.join(map(str, OLDEST))} or newer was found: install it, or have Zeus download one."

    async def best(self, tools: Tools) -> Build:
        """The preferred one. Raises TaskFailed when there is none."""
        builds = await self.builds(tools)
        if not builds:
            raise TaskFailed(await self.reason(tools), code="not_ready")
        return builds[0]

    async def chosen(self, tools: Tools, version: Version | None) -> Build:
        """The one that an attempt shall use. Raises TaskFailed when it does not run."""
        if version is None:
            return await self.best(tools)
        for build in await self.builds(tools):
            if str(build.path) == version.path:
                return build
        raise TaskFailed(f"Blender {version.version} does not run here any more.", code="not_ready")

    def _places(self, tools: Tools) -> Iterator[tuple[str, Path]]:
        if self._configured is not None:
            yield "configured", Path(self._configured).expanduser().absolute()
        for version in tools.managed("blender"):
            if version.path is not None:
                yield "managed", Path(version.path)
        for found in (shutil.which("blender"), *USUAL):
            if found is not None:
                yield "path", Path(found).absolute()

    async def _look(self, tools: Tools, source: str, path: Path) -> Build | None:
        changed = _changed(path)
        if changed is None:
            return None
        async with self._lock:
            if (path, changed) not in self._builds:
                self._builds[path, changed] = await _inspect(tools, source, path)
            return self._builds[path, changed]


def _changed(path: Path) -> int | None:
    """When a binary was changed; None when there is none."""
    return path.stat().st_mtime_ns if path.is_file() and os.access(path, os.X_OK) else None


async def _inspect(tools: Tools, source: str, path: Path) -> Build | None:
    lines: list[str] = []
    try:
        await tools.spawn([str(path), "--background", "--version"], parse=lines.append, timeout=LOOK)
    except ToolFailed:
        return None
    version = version_of(lines)
    build = Build(path, source, version) if version is not None else None
    return build if build is not None and build.release >= OLDEST else None


def version_of(lines: list[str]) -> str | None:
    """Of what `blender --version` prints, such as 4.5.1 for "Blender 4.5.1 LTS"."""
    matches = (re.match(r"Blender (\d+\.\d+(?:\.\d+)?)", line) for line in lines)
    return next((match[1] for match in matches if match), None)
