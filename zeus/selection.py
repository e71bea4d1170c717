"""Which installed version a job's wish for one means, and having it installed first where the settings say so."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from zeus import versions
from zeus.downloads import Download, Downloads, State
from zeus.engine import Engine, Tools, Version
from zeus.errors import BadInput, NoSpace, NotFound, NotReady, TaskFailed

PATIENCE = 60.0
"""Seconds that an engine may take to list its versions."""
SHORT = 5.0
"""Seconds that a request waits for a list of what can be had."""
BEAT = 0.5
"""Seconds between two looks at a download."""

log = logging.getLogger(__name__)


class Selection:
    """Chooses versions for the jobs of one node."""

    def __init__(self, downloads: Downloads, tools: Tools) -> None:
        self._downloads = downloads
        self._tools = tools

    async def check(self, engine: Engine[Any], wish: str) -> bool:
        """Whether what a wish means is installed here. Raises BadInput `unknown_version`, which says what there is,
        for a wish that means nothing here.

        Where versions are installed as jobs need them, it may mean one that can be had; NotReady when that is not to
        be found out.
        """
        is_automatic = self._downloads.is_automatic(engine.name)
        if wish == versions.LATEST and not is_automatic:
            return True  # whether an engine can run at all is its own to say
        here = await self._versions(engine)
        if _choose(engine, here, wish) is not None:
            return True
        if not is_automatic:
            raise BadInput(_missing(engine, here, wish), code="unknown_version")
        try:
            await self._downloads.wanted(engine.name, wish, SHORT)
        except NotFound as error:
            raise BadInput(f"{_missing(engine, here, wish)} {error.message}", code="unknown_version") from error
        return False

    async def pin(self, engine: Engine[Any], wish: str) -> str:
        """The one version that a wish means here now, or will once it is installed; else the wish itself."""
        found = _choose(engine, await self._versions(engine), wish)
        if found is None and self._downloads.is_automatic(engine.name):
            with contextlib.suppress(NotFound, NotReady):
                return (await self._downloads.wanted(engine.name, wish, SHORT)).version
        return wish if found is None else found.version

    @asynccontextmanager
    async def hold(self, engine: Engine[Any], wish: str, tell: Callable[[str], None]) -> AsyncIterator[Version | None]:
        """The version for an attempt, which cannot be removed meanwhile; None for `latest` of what has no versions.

        `tell` gets what is being done. Raises TaskFailed, or NoSpace when there is none for what has to be installed.
        """
        version = await self._find(engine, wish, tell)
        if version is None or version.source != "managed":
            yield version
            return
        with self._downloads.used(engine.name, version.version) as is_here:
            if not is_here:
                raise TaskFailed(f"{engine.name} {version.version} was removed just now.", code="unknown_version")
            yield version

    async def _find(self, engine: Engine[Any], wish: str, tell: Callable[[str], None]) -> Version | None:
        here = await self._versions(engine)
        found = _choose(engine, here, wish)
        if found is None and self._downloads.is_automatic(engine.name):
            await self._install(engine, wish, tell)
            here = await self._versions(engine)
            found = _choose(engine, here, wish)
        if found is None and wish != versions.LATEST:
            raise TaskFailed(_missing(engine, here, wish), code="unknown_version", retry=False)
        return found

    async def _install(self, engine: Engine[Any], wish: str, tell: Callable[[str], None]) -> None:
        """Have what is wished for installed. Whoever goes away meanwhile leaves it to go on: others may wait too."""
        try:
            download = self._downloads.start(engine.name, await self._downloads.wanted(engine.name, wish))
        except NotFound as error:
            raise TaskFailed(error.message, code="unknown_version", retry=False) from error
        except NotReady as error:
            raise TaskFailed(error.message, code="install_failed") from error
        while download.task is not None and not download.task.done():
            tell(_progress(engine, download))
            await asyncio.wait([download.task], timeout=BEAT)
        if isinstance(download.error, TaskFailed | NoSpace):
            raise download.error
        if download.state is not State.INSTALLED:
            why = download.error.message if download.error is not None else "The node is being stopped."
            raise TaskFailed(f"{engine.name} {download.version} was not installed: {why}", code="install_failed")

    async def _versions(self, engine: Engine[Any]) -> Sequence[Version]:
        try:
            async with asyncio.timeout(PATIENCE):
                return await engine.versions(self._tools)
        except Exception as error:
            log.warning("engine %s: versions failed", engine.name, exc_info=error)
            return []


def _choose(engine: Engine[Any], here: Sequence[Version], wish: str) -> Version | None:
    lts = engine.releases.lts if engine.releases is not None else ()
    return versions.choose(here, wish, lts, lambda each: each.version)


def _missing(engine: Engine[Any], here: Sequence[Version], wish: str) -> str:
    there = ", ".join(dict.fromkeys(each.version for each in here)) or "none"
    return f'renderer_version: there is no {engine.name} "{wish}" here; there are: {there}.'


def _progress(engine: Engine[Any], download: Download) -> str:
    state = f"{download.percent} %" if download.state is State.DOWNLOADING else download.state.value
    return f"installing {engine.name} {download.version}, {state}"
