"""Finds FFmpeg on this machine, what its build can do, and which hardware encoders really work."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec

from zeus.engine import Tools, Version
from zeus.errors import TaskFailed, ToolFailed

from .arguments import HARDWARE_CODECS
from .codecs import Encoder

LOOK = 20.0
"""Seconds that a look at a build, or a test of an encoder, may take."""


class Build(msgspec.Struct, frozen=True):
    """One FFmpeg: where it is, how it was found, and the names of its encoders."""

    path: Path
    source: str
    version: str
    encoders: frozenset[str]


def configured(path: str | None) -> Iterator[tuple[str, Path]]:
    """The one that the configuration names."""
    if path is not None:
        yield "configured", Path(path).expanduser().absolute()


def bundled() -> Iterator[tuple[str, Path]]:
    """The one inside imageio-ffmpeg, which is not imported: it would bring numpy into the server."""
    spec = importlib.util.find_spec("imageio_ffmpeg")
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        for path in sorted(Path(folder, "binaries").glob("ffmpeg-*"), reverse=True):
            yield "bundled", path


def on_path() -> Iterator[tuple[str, Path]]:
    """The one that the shell would take."""
    if found := shutil.which("ffmpeg"):
        yield "path", Path(found).absolute()


class Finder:
    """Looks once at each binary and tests each hardware encoder once; a changed binary is looked at again."""

    def __init__(self, path: str | None) -> None:
        self._configured = path
        self._builds: dict[tuple[Path, int], Build | None] = {}
        self._working: dict[tuple[Path, str], Encoder | None] = {}
        self._lock = asyncio.Lock()

    async def builds(self, tools: Tools) -> list[Build]:
        """All that run, the preferred one first. A configured one that does not run leaves none: it was asked for."""
        found: list[Build] = []
        managed = {Path(each.path): each.version for each in tools.managed("ffmpeg") if each.path is not None}
        places = [*configured(self._configured), *(("managed", path) for path in managed), *bundled(), *on_path()]
        for source, path in places:
            build = await self._look(tools, source, path)
            if build is None and source == "configured":
                return []
            if build is not None and build.path not in [other.path for other in found]:
                # a managed one is known by the name that it was asked for and is removed by
                found.append(msgspec.structs.replace(build, version=managed.get(path, build.version)))
        return found

    async def reason(self, tools: Tools) -> str | None:
        """Why there is no build to use, or None."""
        if await self.builds(tools):
            return None
        if self._configured is not None:
            return "The configured FFmpeg does not run: set engines.ffmpeg.path to a working one, or leave it out."
        return "No FFmpeg was found: install the package imageio-ffmpeg, or FFmpeg itself."

    async def best(self, tools: Tools) -> Build:
        """The one to use. Raises TaskFailed when there is none."""
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
        raise TaskFailed(f"FFmpeg {version.version} does not run here any more.", code="not_ready")

    async def hardware(self, tools: Tools, build: Build, codec: str, kind: str) -> Encoder | None:
        """A working hardware encoder for a codec: of one kind, or with "auto" the first that works; else None."""
        for name in HARDWARE_CODECS if kind == "auto" else [kind]:
            if codec in HARDWARE_CODECS[name]:
                encoder = await self._tested(tools, build, codec, name)
                if encoder is not None:
                    return encoder
        return None

    async def working(self, tools: Tools, build: Build) -> list[str]:
        """The names of all hardware encoders that pass a test encode."""
        pairs = [(codec, kind) for kind, codecs in HARDWARE_CODECS.items() for codec in sorted(codecs)]
        found = [await self._tested(tools, build, codec, kind) for codec, kind in pairs]
        return [encoder.name for encoder in found if encoder is not None]

    async def lines(self, tools: Tools, *options: str) -> list[str]:
        """What the best build prints when it is called with these options. Raises TaskFailed when there is none."""
        build, lines = await self.best(tools), list[str]()
        await tools.spawn([str(build.path), "-hide_banner", *options], parse=lines.append, timeout=LOOK)
        return lines

    async def versions(self, tools: Tools) -> list[Version]:
        """For the engine's list."""
        return [Version(build.version, build.source, str(build.path)) for build in await self.builds(tools)]

    async def _look(self, tools: Tools, source: str, path: Path) -> Build | None:
        changed = _changed(path)
        if changed is None:
            return None
        key = path, changed
        async with self._lock:
            if key not in self._builds:
                self._builds[key] = await _inspect(tools, source, path)
            return self._builds[key]

    async def _tested(self, tools: Tools, build: Build, codec: str, kind: str) -> Encoder | None:
        name = f"{codec}_{kind}"
        if name not in build.encoders:
            return None
        async with self._lock:
            if (build.path, name) not in self._working:
                device = _render_device() if kind == "vaapi" else None
                encoder = Encoder(name, kind, device)
                missing = kind == "vaapi" and device is None
                works = not missing and await _encodes(tools, build, encoder)
                self._working[build.path, name] = encoder if works else None
            return self._working[build.path, name]


def _changed(path: Path) -> int | None:
    """When a binary was changed; None when there is none."""
    return path.stat().st_mtime_ns if path.is_file() and os.access(path, os.X_OK) else None


async def _inspect(tools: Tools, source: str, path: Path) -> Build | None:
    lines: list[str] = []
    try:
        await tools.spawn([str(path), "-hide_banner", "-version"], parse=lines.append, timeout=LOOK)
        version = _version(lines)
        lines.clear()
        await tools.spawn([str(path), "-hide_banner", "-encoders"], parse=lines.append, timeout=LOOK)
    except ToolFailed:
        return None
    return Build(path, source, version, encoder_names(lines)) if version else None


def _version(lines: list[str]) -> str:
    match = next((match for line in lines if (match := re.match(r"ffmpeg version n?(\d[\w.]*|\S+)", line))), None)
    return match[1] if match else ""


def encoder_names(lines: list[str]) -> frozenset[str]:
    """The names in `ffmpeg -encoders`: six flags, a name, a description."""
    matches = (re.match(r"\s*[VAS][A-Z.]{5} (\w[\w-]*)\s", line) for line in lines)
    return frozenset(match[1] for match in matches if match)


async def _encodes(tools: Tools, build: Build, encoder: Encoder) -> bool:
    """Encode one frame: builds list encoders whose hardware or driver is not there."""
    device = ["-vaapi_device", encoder.device] if encoder.device else []
    upload = ["-vf", "format=nv12,hwupload"] if encoder.device else ["-pix_fmt", "nv12"]
    picture = ["-f", "lavfi", "-i", "color=black:size=256x256:rate=10", "-frames:v", "1"]
    argv = [str(build.path), "-nostdin", "-hide_banner", "-v", "error", *device, *picture, *upload]
    try:
        done = await tools.spawn([*argv, "-c:v", encoder.name, "-f", "null", "-"], check=False, timeout=LOOK)
    except ToolFailed:
        return False
    return done.exit == 0


def _render_device() -> str | None:
    return next((str(path) for path in sorted(Path("/dev/dri").glob("renderD*"))), None)
