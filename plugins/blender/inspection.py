"""Asks Blender what a file holds, once for each content: the report is kept under the file's hash."""

from __future__ import annotations

import asyncio
import hashlib
import time
import uuid
from pathlib import Path

import msgspec

from zeus.engine import Facts, Tools
from zeus.errors import BadInput, TaskFailed, ToolFailed

from .checks import check_release
from .command import SCRIPTS, inspection
from .facts import Report, facts_of
from .finder import Build
from .header import read_version
from .lines import LineReader

PATIENCE = 600.0
"""Seconds that Blender may take to open a file."""
KEPT = 500
"""Reports that are kept."""
STALE = 86400.0
"""Seconds after which a folder is one that a crash has left."""


async def inspect(tools: Tools, build: Build, path: Path) -> Facts:
    """What a .blend holds, by one background run of Blender or from an earlier one. Raises BadInput or TaskFailed."""
    check_release(await asyncio.to_thread(read_version, path), build.release, path.name)
    kept = tools.cache / "blender" / f"{await asyncio.to_thread(_key, build, path)}.json"
    report = await asyncio.to_thread(_load, kept)
    if report is None:
        report = await _ask(tools, build, path, kept)
    check_release(report.made_by[:2], build.release, path.name)
    return await asyncio.to_thread(facts_of, report, path.parent)


async def _ask(tools: Tools, build: Build, path: Path, kept: Path) -> Report:
    folder = kept.parent / uuid.uuid4().hex
    options, answer = folder / "options.json", folder / "answer.json"
    await asyncio.to_thread(_prepare, folder, options, answer)
    reader = LineReader()
    try:
        argv = inspection(build.path, path, options)
        await tools.spawn(
            argv, parse=lambda line: bool(reader.feed(line)), env={"TMPDIR": str(folder)}, timeout=PATIENCE
        )
        report = await asyncio.to_thread(_load, answer)
        if report is None:
            raise TaskFailed(f"Blender did not say what {path.name} holds.", code="tool_failed")
        await asyncio.to_thread(_keep, answer, kept)
        return report
    except ToolFailed as error:
        if any("Error: " in line for line in reader.errors):
            raise BadInput(f"Blender cannot open {path.name}: it is damaged or cut off.", code="not_a_blend") from error
        raise
    finally:
        await asyncio.to_thread(_remove, folder)


def _key(build: Build, path: Path) -> str:
    """Of all that a report follows from: the file, the Blender and the script that asks."""
    whole = hashlib.sha256()
    whole.update((SCRIPTS / "inspect_file.py").read_bytes())
    whole.update(f"{build.path} {build.version}".encode())
    with path.open("rb") as file:
        whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()


def _prepare(folder: Path, options: Path, answer: Path) -> None:
    folder.mkdir(parents=True)
    options.write_bytes(msgspec.json.encode({"answer": str(answer)}))


def _load(path: Path) -> Report | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Report)
    except (OSError, msgspec.MsgspecError):
        return None


def _keep(answer: Path, kept: Path) -> None:
    answer.replace(kept)
    others = sorted(kept.parent.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in others[KEPT:]:
        path.unlink(missing_ok=True)
    for path in kept.parent.iterdir():
        if path.is_dir() and path.stat().st_mtime < time.time() - STALE:
            _remove(path)


def _remove(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
    folder.rmdir()
