"""Previews of pictures and movies: made once for each content, kept while there is room for them."""

from __future__ import annotations

import asyncio
import os
import time
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Literal

from zeus.errors import BadInput, PreviewFailed, TaskFailed
from zeus.files import Files, digest, on_disk
from zeus.media import Media
from zeus.model import Job, Output

PICTURES = "png,jpg,jpeg,webp,tif,tiff,bmp,gif,exr,tga,dpx,hdr,ppm,pgm,pbm,pfm,jp2,j2k,dds,pcx,sgi,qoi"
MOVIES = "mp4,m4v,mov,mkv,webm,avi,mpg,mpeg,m2v,ts,mts,m2ts,flv,wmv,asf,mxf,3gp,ogv,ivf,dv,y4m,nut"
CAPACITY = 512 << 20
"""Bytes of all previews together; those that were asked for longest ago go first."""
AT_ONCE = 2
"""Previews in the making: a page that shows hundreds of jobs must not take the machine from the jobs."""
NEWEST = 3
"""How many of a running job's newest pictures are tried: the last one may not be complete."""

Kind = Literal["thumbnail", "clip"]
KINDS: dict[str, Kind] = {
    **dict.fromkeys(PICTURES.split(","), "thumbnail"),
    **dict.fromkeys(MOVIES.split(","), "clip"),
}
"""What best shows a file, by its ending."""
ENDING = {"thumbnail": "jpg", "clip": "mp4"}


class Thumbnails:
    """The previews of one node."""

    def __init__(self, files: Files, media: Media, capacity: int = CAPACITY) -> None:
        self._files = files
        self._media = media
        self._capacity = capacity
        self._folder = files.cache / "thumbnails"
        self._sizes: OrderedDict[str, int] | None = None
        """The previews that there are, the one last asked for at the end."""
        self._making: dict[str, asyncio.Task[Path]] = {}
        self._room = asyncio.Semaphore(AT_ONCE)

    async def of(self, output: Output, kind: Kind, box: int) -> Path:
        """A published output's preview. Raises PreviewFailed."""
        try:
            return await self._get(self._files.output(output), output.sha256, kind, box)
        except (BadInput, TaskFailed) as error:
            raise PreviewFailed(f"{output.name} has no preview: {error.message}") from error

    async def live(self, job: Job, box: int) -> Path | None:
        """The newest picture of a running attempt, or None while none is complete."""
        for path in await asyncio.to_thread(_newest, self._files.attempt(job.id, job.attempt) / "work" / "out"):
            try:
                return await self._get(path, await asyncio.to_thread(digest, path), "thumbnail", box)
            except (BadInput, TaskFailed, FileNotFoundError):
                continue
        return None

    async def forget(self, outputs: Sequence[Output]) -> None:
        """Remove the previews of outputs that are gone."""
        known, gone = await self._known(), {output.sha256 for output in outputs}
        for name in [name for name in known if name.partition("-")[0] in gone]:
            known.pop(name, None)
            await asyncio.to_thread((self._folder / name).unlink, missing_ok=True)

    async def close(self) -> None:
        """Give up what is in the making."""
        for task in self._making.values():
            task.cancel()
        await asyncio.gather(*self._making.values(), return_exceptions=True)

    async def _get(self, source: Path, sha256: str, kind: Kind, box: int) -> Path:
        name = f"{sha256}-{box}.{ENDING[kind]}"
        known = await self._known()
        if name in known and await asyncio.to_thread(_touched, self._folder / name):
            known.move_to_end(name)
            return self._folder / name
        if name not in self._making:
            # It serves all who wait: the end of one of them must not end it.
            task = self._making[name] = asyncio.create_task(self._make(source, name, kind, box))
            task.add_done_callback(lambda task: self._made(name, task))
        return await asyncio.shield(self._making[name])

    async def _make(self, source: Path, name: str, kind: Kind, box: int) -> Path:
        part = self._folder / f".{name}"
        try:
            async with self._room:
                await self._media.preview(kind, source, part, box)
            size = await on_disk(_moved, part, self._folder / name)
        finally:
            await asyncio.to_thread(part.unlink, missing_ok=True)
        known = await self._known()
        known[name] = size
        await self._shrink(known)
        return self._folder / name

    def _made(self, name: str, task: asyncio.Task[Path]) -> None:
        del self._making[name]
        if not task.cancelled():
            task.exception()  # whoever waits gets it; nobody may be left

    async def _shrink(self, known: OrderedDict[str, int]) -> None:
        """Remove what was asked for longest ago, but never the newest one."""
        while sum(known.values()) > self._capacity and len(known) > 1:
            name, _ = known.popitem(last=False)
            await asyncio.to_thread((self._folder / name).unlink, missing_ok=True)

    async def _known(self) -> OrderedDict[str, int]:
        if self._sizes is None:
            found = await on_disk(_found, self._folder)
            self._sizes = self._sizes or found
        return self._sizes


def kind_of(name: str) -> Kind | None:
    """What best shows a file of this name, or None."""
    return KINDS.get(PurePath(name).suffix.lower().lstrip("."))


def _newest(folder: Path) -> list[Path]:
    """The newest pictures first."""
    try:
        paths = [path for path in folder.iterdir() if not path.name.startswith(".")]
    except FileNotFoundError:
        return []
    times = {path: path.stat().st_mtime_ns for path in paths if kind_of(path.name) == "thumbnail" and path.is_file()}
    return sorted(times, key=lambda path: times[path], reverse=True)[:NEWEST]


def _found(folder: Path) -> OrderedDict[str, int]:
    """The previews of earlier runs by the time that they were asked for last; half ones are removed."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob(".*"):
        path.unlink()
    facts = [(path.stat(), path.name) for path in folder.iterdir()]
    return OrderedDict((name, fact.st_size) for fact, name in sorted(facts, key=lambda each: each[0].st_atime_ns))


def _touched(path: Path) -> bool:
    """Note that a preview was asked for, if it is there; its time of change stays, by which clients know it."""
    try:
        os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))
    except FileNotFoundError:
        return False
    return True


def _moved(part: Path, target: Path) -> int:
    part.rename(target)
    return target.stat().st_size
