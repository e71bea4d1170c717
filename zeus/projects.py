"""Archives as inputs: unpacked once for a request, the project file in them found, gone again if no job takes them."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path, PurePosixPath

from zeus.errors import BadInput
from zeus.files import Files, on_disk_stoppable, remove
from zeus.registry import Registry
from zeus.requests import Source, Upload
from zeus.unpack import unpack

ARCHIVES = frozenset({".zip"})
SHOWN = 20
"""Names that a refusal lists."""


class Projects:
    """Makes inputs of archives that hold a project."""

    def __init__(self, files: Files, registry: Registry) -> None:
        self._files = files
        self._registry = registry

    @contextlib.asynccontextmanager
    async def unpacking(self) -> AsyncIterator[Unpacked]:
        """For the time of one request."""
        unpacked = Unpacked(self._files, self._registry)
        try:
            yield unpacked
        finally:
            if unpacked.folders:
                await self._files.do(remove, *unpacked.folders)


class Unpacked:
    """The archives of one request, each unpacked when it is first asked for; see `zeus.requests.FindProject`."""

    def __init__(self, files: Files, registry: Registry) -> None:
        self._files = files
        self._registry = registry
        self._names: dict[Upload, tuple[Path, Sequence[PurePosixPath]]] = {}

    @property
    def folders(self) -> list[Path]:
        return [folder for folder, _ in self._names.values()]

    async def __call__(self, source: Source, renderer: str | None, project_file: str | None) -> Source:
        endings = self._endings(renderer)
        if source.upload is None or not endings or PurePosixPath(source.name).suffix.lower() not in ARCHIVES:
            if project_file is not None:
                raise BadInput("project_file: the input is no archive of a project.", code="no_archive")
            return source
        folder, names = await self._unpack(source.upload)
        found = _choose([name for name in names if name.suffix.lower().lstrip(".") in endings], project_file)
        upload = Upload(folder, found.name, source.upload.sha256, inner=str(found))
        return Source(found.name, upload=upload)

    def _endings(self, renderer: str | None) -> frozenset[str]:
        engines = self._registry.engines
        chosen = engines.values() if renderer is None else [engines[renderer]] if renderer in engines else []
        return frozenset().union(*(engine.projects for engine in chosen))

    async def _unpack(self, upload: Upload) -> tuple[Path, Sequence[PurePosixPath]]:
        if upload not in self._names:
            folder = self._files.incoming / f"{uuid.uuid4()}.project"
            self._names[upload] = folder, await on_disk_stoppable(_unpack, upload.part, folder)
        return self._names[upload]


def _unpack(archive: Path, folder: Path, check: Callable[[], None]) -> list[PurePosixPath]:
    return unpack(archive, folder, check=check)


def _choose(found: Sequence[PurePosixPath], wanted: str | None) -> PurePosixPath:
    listed = ", ".join(map(str, found[:SHOWN])) + (", …" if len(found) > SHOWN else "")
    if not found:
        raise BadInput("The archive holds no project file.", code="no_project_file")
    if wanted is not None:
        chosen = next((name for name in found if str(name) == wanted), None)
        if chosen is None:
            raise BadInput(f"project_file: the archive holds {listed}.", code="unknown_project_file")
        return chosen
    if len(found) > 1:
        raise BadInput(f"project_file: say which of {listed}.", code="several_project_files")
    return found[0]
