"""The versions of engines' tools that this node installs for itself: which there are, getting more, removing them.

engines/<engine>/<version>/record.json   what is installed; beside it files/, as the archive has them
engines/<engine>/.<version>.new/         being unpacked and tried; removed by the next start
engines/<engine>/.<sha256>.part          an archive on its way, which goes on where it was cut off; kept for a week
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path

from yarl import URL

from zeus.child import Children
from zeus.config import EngineConfig
from zeus.downloads.fetching import Fetcher
from zeus.downloads.index import WAIT, Index, Release
from zeus.downloads.installing import (
    InstallFailed,
    Record,
    managed,
    preferred,
    put_in_place,
    stock,
    try_out,
    unpack_aside,
    verify,
)
from zeus.engine import Archive, ReleaseSource, Version
from zeus.errors import BadInput, Conflict, NotFound, ZeusError
from zeus.files import Files, age, remove
from zeus.machine import own_platform

AT_ONCE = 2
"""Versions that are fetched and unpacked at a time; the others wait."""
PART_LIFE = 7 * 24 * 3600.0
"""Seconds that an archive on its way is kept after it last grew."""

log = logging.getLogger(__name__)


class State(StrEnum):
    """What is being done for a version, in this order."""

    WAITING = "waiting"
    DOWNLOADING = "downloading"
    VERIFYING = "verifying"
    UNPACKING = "unpacking"
    CHECKING = "checking"
    INSTALLED = "installed"
    FAILED = "failed"


class Download:
    """A version on its way. `done` and `size` in bytes, `error` why it failed."""

    def __init__(self, release: Release) -> None:
        self.release = release
        self.state = State.WAITING
        self.done = 0
        self.size: int | None = None
        self.error: ZeusError | None = None
        self.task: asyncio.Task[None] | None = None
        self._percent = 0

    @property
    def version(self) -> str:
        return self.release.version

    @property
    def percent(self) -> int:
        """Of the archive's bytes, those that are here; never falling."""
        if self.state not in (State.WAITING, State.DOWNLOADING, State.FAILED):
            self._percent = 100
        elif self.size:
            self._percent = max(self._percent, self.done * 100 // self.size)
        return self._percent

    def report(self, done: int, size: int | None) -> None:
        """Take in how far the archive has come."""
        self.done, self.size = done, size


class Downloads:
    """The managed versions of one node."""

    def __init__(
        self,
        files: Files,
        children: Children,
        sources: Mapping[str, ReleaseSource],
        settings: Mapping[str, EngineConfig],
    ) -> None:
        self._files = files
        self._children = children
        self._fetcher = Fetcher(files)
        self._indexes = {
            name: Index(source, settings[name].mirror or source.index, self._fetcher)
            for name, source in sources.items()
        }  # fmt: skip
        self._automatic = {name for name in sources if settings[name].auto_install}
        self._installed: dict[str, dict[str, Version]] = {}
        self._under_way: dict[tuple[str, str], Download] = {}
        self._in_use: Counter[tuple[str, str]] = Counter()
        self._few = asyncio.Semaphore(AT_ONCE)

    async def open(self) -> None:
        """Take up what is installed, and sweep what a crash left of an unpacking."""
        await self._files.do(_sweep, self._files.engines)
        self._installed = await self._files.do(stock, self._files.engines)

    async def close(self) -> None:
        """End what is under way; of an archive that was on its way, what had come is kept."""
        tasks = [each.task for each in self._under_way.values() if each.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._fetcher.close()

    def managed(self, engine: str) -> list[Version]:
        """The installed versions of an engine, the newest first."""
        return preferred(self._installed.get(engine, {}).values())

    def under_way(self, engine: str) -> list[Download]:
        """The versions of an engine that are on their way or failed to come."""
        return [each for (name, _), each in self._under_way.items() if name == engine]

    def is_automatic(self, engine: str) -> bool:
        """Whether what a job needs of an engine is installed for it."""
        return engine in self._automatic

    def archive(self, engine: str, system: str | None = None, cpu: str | None = None) -> Archive:
        """What an engine's versions come in, for this machine or another one.

        Raises BadInput `not_managed` for an engine without any, NotFound for a system without.
        """
        own_system, own_cpu = own_platform()
        system, cpu = system or own_system, cpu or own_cpu
        found = self._index(engine).archive(system, cpu)
        if found is None:
            message = f"There is nothing of {engine} for {system} on {cpu} that Zeus could install."
            raise NotFound(message, code="version_not_found")
        return found

    async def find(self, engine: str, wish: str | None, archive: Archive) -> list[Release]:
        """The versions that can be had of those that a wish may mean, or of all, the newest first. Raises NotReady."""
        return await self._index(engine).find(wish, archive)

    async def best(self, engine: str, wish: str, archive: Archive, wait: float = WAIT) -> Release | None:
        """The version that can be had and that a wish means, or None. Raises NotReady."""
        return await self._index(engine).best(wish, archive, wait)

    async def wanted(self, engine: str, wish: str, wait: float = WAIT) -> Release:
        """The same for this machine. Raises NotFound that says what there is, BadInput or NotReady."""
        index, archive = self._index(engine), self.archive(engine)
        release = await index.best(wish, archive, wait)
        if release is not None:
            return release
        known = await index.known(wait) or [each.version for each in await index.find(None, archive, wait)]
        message = (
            f'{engine} "{wish[:80]}" cannot be had from {index.place}; there are: {", ".join(known[:20]) or "none"}.'
        )
        raise NotFound(message, code="version_not_found")

    def start(self, engine: str, release: Release) -> Download:
        """Have a version installed; a second request for the same joins the first."""
        key = engine, release.version
        running = self._under_way.get(key)
        if running is not None and running.state is not State.FAILED:
            return running
        download = Download(release)
        if release.version in self._installed.get(engine, {}):
            download.state = State.INSTALLED
            return download
        self._under_way[key] = download
        download.task = asyncio.get_running_loop().create_task(self._run(engine, download))
        return download

    @contextlib.contextmanager
    def used(self, engine: str, version: str) -> Iterator[bool]:
        """Keep a version from being removed meanwhile; False when it is not installed (any more)."""
        if version not in self._installed.get(engine, {}):
            yield False
            return
        self._in_use[engine, version] += 1
        try:
            yield True
        finally:
            self._in_use[engine, version] -= 1
            self._in_use += Counter()

    async def delete(self, engine: str, version: str) -> None:
        """Remove a version. Raises NotFound, or Conflict while a job uses it or it is being installed."""
        here = self._installed.get(engine, {})
        download = self._under_way.get((engine, version))
        if download is not None and download.state is not State.FAILED:
            raise Conflict(f"{engine} {version} is being installed.", code="version_in_use")
        if version not in here:
            raise NotFound(f'Zeus has not installed {engine} "{version[:80]}".', code="version_not_found")
        if self._in_use[engine, version]:
            raise Conflict(f"A running job uses {engine} {version}.", code="version_in_use")
        del here[version]
        await self._files.discard(self._folder(engine) / version)
        log.info("%s %s was removed", engine, version)

    async def _run(self, engine: str, download: Download) -> None:
        try:
            async with self._few:
                await self._install(engine, download)
        except Exception as error:
            known = error if isinstance(error, ZeusError) else InstallFailed(f"Unexpected: {type(error).__name__}.")
            log.warning("%s %s cannot be installed: %s", engine, download.version, known.message,
                        exc_info=None if isinstance(error, ZeusError) else error)  # fmt: skip
            download.error, download.state = known, State.FAILED

    async def _install(self, engine: str, download: Download) -> None:
        folder = self._folder(engine)
        await self._files.do(_make, folder)
        part, sha256 = await self._fetch(engine, download)
        aside = folder / f".{download.version}.new"
        try:
            record = await self._unpack(engine, download, part, sha256, aside)
            await put_in_place(self._files, aside, folder / download.version, record)
        except InstallFailed:
            await self._files.do(remove, part)  # it would fail again
            raise
        finally:
            await self._files.do(remove, aside)
        await self._files.do(remove, part)
        self._installed.setdefault(engine, {})[download.version] = managed(folder / download.version, record)
        download.state = State.INSTALLED
        self._under_way.pop((engine, download.version), None)
        log.info("%s %s is installed", engine, download.version)

    async def _fetch(self, engine: str, download: Download) -> tuple[Path, str]:
        """A version's archive, verified, and its sha256. Its name is that sum: what goes on is of the same archive."""
        release, download.state = download.release, State.DOWNLOADING
        sha256 = await self._index(engine).sha256(release)
        if sha256 is None:
            raise InstallFailed(f"No sha256 is published for {release.file}, so it cannot be verified.", retry=False)
        part = self._folder(engine) / f".{sha256}.part"
        await self._fetcher.file(URL(release.url), part, download.report)
        download.state = State.VERIFYING
        await verify(self._files, part, release, sha256)
        return part, sha256

    async def _unpack(self, engine: str, download: Download, part: Path, sha256: str, aside: Path) -> Record:
        """Unpack an archive aside and try its tool; what is to be known of it."""
        release, download.state = download.release, State.UNPACKING
        executable = await unpack_aside(part, release, aside)
        download.state = State.CHECKING
        await try_out(self._children, executable, self._index(engine).source, release)
        return Record(release.version, str(executable.relative_to(aside)), release.file, sha256)

    def _index(self, engine: str) -> Index:
        if engine not in self._indexes:
            raise BadInput(f"Zeus manages no versions of {engine}.", code="not_managed")
        return self._indexes[engine]

    def _folder(self, engine: str) -> Path:
        return self._files.engines / engine


def _make(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)


def _sweep(engines: Path) -> None:
    old = [part for part in engines.glob("*/.*.part") if age(part) > PART_LIFE]
    remove(*engines.glob("*/.*.new"), *old)
