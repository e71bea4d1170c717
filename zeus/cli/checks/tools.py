"""The engines and their tools, tried on this machine with no node running."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec

from zeus.catalog import Catalog
from zeus.child import Children
from zeus.cli.checks import Finding
from zeus.cli.checks.host import numbers
from zeus.config import Config
from zeus.dispatch.local import LocalTools
from zeus.downloads import preferred, stock
from zeus.errors import ConfigError, ZeusError
from zeus.inference import InferenceExecutor
from zeus.media import Media
from zeus.registry import Registry, own_folders

FFMPEG = "8.1.3"
"""The first release of FFmpeg without known holes in what jobs may send it."""
WIDTH, HEIGHT, FRAMES = 64, 48, 5
INSTALL = "Install FFmpeg or the package imageio-ffmpeg, or name one in engines.ffmpeg.path."
CODECS = {
    "libx264": "H.264", "libx265": "HEVC", "libsvtav1": "AV1", "libvpx-vp9": "VP9",
    "aac": "AAC", "libopus": "Opus", "libmp3lame": "MP3", "libvorbis": "Vorbis",
}  # fmt: skip


class Parts(msgspec.Struct, frozen=True):
    """As much of a node as is needed to ask its engines."""

    registry: Registry
    catalog: Catalog
    tools: LocalTools
    folder: Path


@contextlib.asynccontextmanager
async def parts(config: Config) -> AsyncIterator[Parts]:
    """Engines and tools, in a folder of their own: a node may be using the storage folder. Raises ConfigError."""
    folders = _plugin_folders(config)
    registry = await asyncio.to_thread(Registry.load, folders, config.engines)
    with tempfile.TemporaryDirectory(prefix="zeus-doctor-") as made:
        async with contextlib.AsyncExitStack() as stack:
            children = Children(uuid.uuid4().hex)
            stack.push_async_callback(children.close)
            media = Media(children)
            stack.push_async_callback(media.close)
            inference = InferenceExecutor(children, folders)
            stack.push_async_callback(inference.close)
            here = await asyncio.to_thread(stock, config.storage_path / "engines")
            tools = LocalTools(
                children, media, inference, Path(made), lambda engine: preferred(here.get(engine, {}).values())
            )
            catalog = Catalog(registry, tools, lambda: (), lambda: (), lambda engine: False)
            stack.callback(catalog.close)
            yield Parts(registry, catalog, tools, Path(made))


def _plugin_folders(config: Config) -> list[Path]:
    folders = [Path(folder).expanduser().absolute() for folder in config.plugins.folders]
    return own_folders(folders, own=config.plugins.own)


async def look(config: Config) -> list[Finding]:
    """All about engines, codecs and FFmpeg."""
    try:
        async with parts(config) as found:
            engines = [finding async for finding in _engines(found)]
            if all(finding.level != "ok" for finding in engines):
                engines.append(Finding("engines", "fatal", "No engine can run here.", "See to one of those above."))
            return [*engines, await _video(found), *await _ffmpeg(found)]
    except ConfigError as error:
        return [Finding("engines", "fatal", error.message, "Correct the setting; `zeus config` tells where it is.")]


async def _engines(found: Parts) -> AsyncIterator[Finding]:
    for name in sorted(found.catalog.engines):
        reason = await found.catalog.reason(name)
        if reason is not None:
            yield Finding(f"engine {name}", "warning", reason, "Do what it says; the other engines work without it.")
            continue
        versions = ", ".join(f"{each.version} ({each.source})" for each in await found.catalog.versions(name))
        yield Finding(f"engine {name}", "ok", versions or "It can run.")
    for name, broken in sorted(found.catalog.broken.items()):
        yield Finding(f"engine {name}", "warning", broken.reason, "Correct or remove that plugin.")


async def _video(found: Parts) -> Finding:
    """Encode a few frames and decode them, as every generated video is."""
    frames, video = found.folder / "frames", found.folder / "video.mp4"
    await asyncio.to_thread(frames.write_bytes, bytes(WIDTH * HEIGHT * 3 * FRAMES))
    try:
        await found.tools.encode(frames, video, width=WIDTH, height=HEIGHT, fps=25, count=FRAMES)
        await found.tools.verify(video, frames=FRAMES)
    except ZeusError as error:
        remedy = "Install PyAV again: pip install --force-reinstall av"
        return Finding("video", "fatal", f"A test video could not be made: {error.message}", remedy)
    return Finding("video", "ok", "A test video was encoded (H.264) and decoded.")


async def _ffmpeg(found: Parts) -> list[Finding]:
    if "ffmpeg" not in found.catalog.engines:
        return []
    versions = await found.catalog.versions("ffmpeg")
    if not versions or versions[0].path is None:
        reason = await found.catalog.reason("ffmpeg")
        return [Finding("ffmpeg", "fatal", reason or "It was not found.", INSTALL)]
    best, lines = versions[0], list[str]()
    await found.tools.spawn([best.path or "", "-hide_banner", "-encoders"], parse=lines.append, timeout=20)
    hardware = (await found.catalog.system_info("ffmpeg")).get("hardware_encoders", "none")
    return [_age(best.version, best.path or ""), _codecs(lines), *_hardware(hardware)]


def _age(version: str, path: str) -> Finding:
    if numbers(version) and numbers(version) < numbers(FFMPEG):
        text = f"{version} at {path} is older than {FFMPEG}: files from strangers may harm it."
        return Finding("ffmpeg", "warning", text, "Name a newer one in engines.ffmpeg.path.")
    return Finding("ffmpeg", "ok", f"{version} at {path}")


def _codecs(lines: list[str]) -> Finding:
    """Which encoders that jobs can ask for this build has."""
    there = {words[1] for line in lines if len(words := line.split()) > 1}
    missing = [name for encoder, name in CODECS.items() if encoder not in there]
    if "H.264" in missing or "AAC" in missing:
        return Finding("codecs", "fatal", f"This FFmpeg cannot encode {', '.join(missing)}.", INSTALL)
    if missing:
        text = f"This FFmpeg cannot encode {', '.join(missing)}."
        return Finding("codecs", "warning", text, "Jobs that ask for it will fail; name a fuller build.")
    return Finding("codecs", "ok", ", ".join(CODECS.values()))


def _hardware(encoders: str) -> Iterator[Finding]:
    text = "None works; the processor encodes." if encoders == "none" else encoders
    yield Finding("hardware encoders", "ok", text)
