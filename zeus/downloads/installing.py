"""From an archive that has arrived to a version in its place: verify, unpack aside, find and try the tool, rename."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from zeus import versions
from zeus.child import Children
from zeus.downloads.index import Release
from zeus.engine import ReleaseSource, Version
from zeus.errors import BadInput, TaskFailed, ToolFailed
from zeus.failpoint import failpoint
from zeus.files import Files, digest, on_disk, on_disk_stoppable, remove, sync_folder
from zeus.names import without_folders
from zeus.tool import run_tool
from zeus.unpack import Limits, unpack

TRY = 60.0
"""Seconds that a tool may take to say its version."""
FILES, RECORD = "files", "record.json"
LIMITS = Limits(files=100_000, bytes=32 << 30)


class Record(msgspec.Struct, frozen=True):
    """What is known of an installed version: `executable` is its path within the version's folder."""

    version: str
    executable: str
    file: str
    sha256: str


class InstallFailed(TaskFailed):
    """The version could not be installed."""

    code = "install_failed"


async def verify(files: Files, part: Path, release: Release, sha256: str) -> None:
    """Raises InstallFailed when an archive is not the one that was published, and removes it."""
    found = await files.do(digest, part)
    if found != sha256:
        await files.do(remove, part)
        raise InstallFailed(f"{release.file} has the sha256 {found}, and {sha256} was published.", retry=False)


async def unpack_aside(part: Path, release: Release, aside: Path) -> Path:
    """Unpack an archive into a new folder; the executable in it. Raises InstallFailed or NoSpace."""
    try:
        await on_disk_stoppable(_unpack, part, aside)
    except BadInput as error:
        raise InstallFailed(f"{release.file}: {error.message}", retry=False) from error
    return await on_disk(_executable, aside, release)


async def try_out(children: Children, executable: Path, source: ReleaseSource, release: Release) -> None:
    """Run the tool once. Raises InstallFailed when it does not run here or says that it is another version."""
    lines: list[str] = []
    try:
        argv = [str(executable), *source.version_arguments]
        await run_tool(children, argv, label="tools", parse=lines.append, cwd=executable.parent, timeout=TRY)
    except ToolFailed as error:
        message = f"{release.file} does not run on this machine: {without_folders(error.message)}"
        raise InstallFailed(message, retry=False) from error
    said = next((match["version"] for line in lines if (match := re.match(source.version_line, line))), None)
    if said is None:
        raise InstallFailed(f"{release.file} holds a tool that does not tell its version.", retry=False)
    if not versions.matches(said, release.version):
        raise InstallFailed(f"{release.file} holds version {said}, not {release.version}.", retry=False)


async def put_in_place(files: Files, aside: Path, target: Path, record: Record) -> None:
    """Make an unpacked folder the version's own, by one rename; durable when this returns."""
    await files.discard(target)  # a damaged one, or it would be known
    await files.do(_put, aside, target, msgspec.json.encode(record))


def stock(engines: Path) -> dict[str, dict[str, Version]]:
    """What is installed in a storage folder, by engine and version. Blocks: call it in a thread."""
    found: dict[str, dict[str, Version]] = {}
    for path in sorted(engines.glob(f"[!.]*/[!.]*/{RECORD}")):
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            record = msgspec.json.decode(path.read_bytes(), type=Record)
            version = managed(path.parent, record)
            if record.version == path.parent.name and Path(version.path or "").is_file():
                found.setdefault(path.parent.parent.name, {})[record.version] = version
    return found


def managed(folder: Path, record: Record) -> Version:
    """An installed version, as engines see it."""
    return Version(record.version, "managed", str(folder / record.executable))


def preferred(found: Iterable[Version]) -> list[Version]:
    """The newest first, and last what is not final."""
    ordered = versions.newest_first(found, lambda each: each.version)
    return sorted(ordered, key=lambda each: not versions.parse(each.version).final)


def _unpack(part: Path, aside: Path, check: Callable[[], None]) -> None:
    remove(aside)
    aside.mkdir(parents=True)
    unpack(part, aside / FILES, LIMITS, links=True, check=check)


def _executable(aside: Path, release: Release) -> Path:
    found = [path for path in (aside / FILES).glob(release.archive.executable) if path.is_file()]
    if len(found) != 1 or found[0].is_symlink():
        raise InstallFailed(f"{release.file} does not hold one {release.archive.executable}.", retry=False)
    found[0].chmod(0o755)
    return found[0]


def _put(aside: Path, target: Path, record: bytes) -> None:
    with (aside / RECORD).open("xb") as file:
        file.write(record)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(aside)
    failpoint("unpacked")
    aside.rename(target)
    sync_folder(target.parent)
    failpoint("placed")
