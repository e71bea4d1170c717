"""What engines say of input files, asked once for each content."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import OrderedDict
from collections.abc import Hashable
from pathlib import Path
from typing import Any

from zeus.catalog import Catalog
from zeus.engine import Engine, Facts, Tools
from zeus.errors import BadInput, ZeusError
from zeus.files import Files, link, remove
from zeus.requests import Source

log = logging.getLogger(__name__)

PATIENCE = 60.0
"""Seconds that a submission waits for an engine's word on its input; then the attempt itself finds out."""
REMEMBERED = 1000
"""Files whose facts are kept in memory."""


class Inspections:
    """The facts about input files."""

    def __init__(self, files: Files, catalog: Catalog, tools: Tools) -> None:
        self._files = files
        self._catalog = catalog
        self._tools = tools
        self._known: OrderedDict[Hashable, Facts] = OrderedDict()

    async def of(self, engine: Engine[Any], source: Source) -> Facts:
        """What an engine says of a file. Raises BadInput when it is none of its own, and what else went wrong."""
        key = (engine.name, *await asyncio.to_thread(_identity, source))
        known = self._known.get(key)
        if known is not None:
            return known
        found = await self._ask(engine, source)
        if not found.missing_files:  # they may be there when it is asked again
            self._known[key] = found
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return found

    async def before(self, engine: Engine[Any], source: Source) -> Facts | None:
        """The facts to check a job against before it is taken; None where this node cannot find them out now.

        Raises BadInput.
        """
        if not engine.inspects or await self._catalog.reason(engine.name) is not None:
            return None
        try:
            async with asyncio.timeout(PATIENCE):
                return await self.of(engine, source)
        except BadInput:
            raise
        except (ZeusError, OSError) as error:  # a TimeoutError is an OSError
            log.warning("%s cannot be inspected by %s: %s", source.name, engine.name, error)
            return None

    async def _ask(self, engine: Engine[Any], source: Source) -> Facts:
        if source.upload is None:
            return await engine.inspect(self._tools, Path(source.path or ""))
        if source.upload.inner is not None:
            return await engine.inspect(self._tools, source.upload.part / source.upload.inner)
        # Engines go by names, so it is shown to them under its own.
        folder = self._files.incoming / str(uuid.uuid4())
        try:
            await self._files.do(link, source.upload.part, folder / source.name)
            return await engine.inspect(self._tools, folder / source.name)
        finally:
            await self._files.do(remove, folder)


def _identity(source: Source) -> tuple[Hashable, ...]:
    """What tells one content from another: its digest, or of a file that stays where it is, its time of change."""
    if source.upload is not None:
        return source.upload.sha256, source.upload.inner
    try:
        facts = Path(source.path or "").stat()
    except OSError:
        return (source.path,)
    return source.path, facts.st_mtime_ns, facts.st_size, facts.st_ino
