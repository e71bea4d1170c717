"""Previews of pictures and movies: made once for each content, kept while there is room for them."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import heapq
import os
import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Literal

from zeus.errors import BadInput, PreviewFailed, TaskFailed
from zeus.files import PREVIEW, Files, digest, on_disk
from zeus.media import Media
from zeus.model import Job, Output

PICTURES = "png,jpg,jpeg,webp,tif,tiff,bmp,gif,exr,tga,dpx,hdr,ppm,pgm,pbm,pfm,jp2,j2k,dds,pcx,sgi,qoi"
MOVIES = "mp4,m4v,mov,mkv,webm,avi,mpg,mpeg,m2v,ts,mts,m2ts,flv,wmv,asf,mxf,3gp,ogv,ivf,dv,y4m,nut"
SMALL, BIG = 240, 1280
"""The sides in pixels of the squares that previews fit into."""
SHOWN = {SMALL: 9, BIG: 16}
"""How many of a job's pictures a contact sheet shows at most."""
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
            return await self._preview(self._files.output(output), output.sha256, kind, box)
        except (BadInput, TaskFailed) as error:
            raise PreviewFailed(f"{output.name} has no preview: {error.message}") from error

    async def sheet(self, outputs: Sequence[Output], box: int) -> Path:
        """A contact sheet of published pictures: some of them, evenly spaced. Raises PreviewFailed."""
        chosen = _spread(outputs, box)
        sources = [self._files.output(output) for output in chosen]
        try:
            return await self._get(f"{_key(chosen)}-{box}.jpg", lambda part: self._media.sheet(sources, part, box))
        except (BadInput, TaskFailed) as error:
            raise PreviewFailed(f"The job has no preview: {error.message}") from error

    async def live(self, job: Job, outputs: Sequence[Output], box: int) -> Path | None:
        """The newest picture of a job that goes on, published or not yet, or None while none is complete."""
        published = {self._files.output(output): output.sha256 for output in outputs}
        folder = self._files.attempt(job.id, job.attempt) / "work"
        for path in await asyncio.to_thread(_newest, folder, published):
            try:
                sha256 = published.get(path, "") or await asyncio.to_thread(digest, path)
                return await self._preview(path, sha256, "thumbnail", box)
            except (BadInput, TaskFailed, FileNotFoundError):
                continue
        return None

    async def forget(self, outputs: Sequence[Output]) -> None:
        """Remove the previews of outputs that are gone."""
        gone = {output.sha256 for output in outputs}
        gone |= {_key(_spread(pictures_of(outputs), box)) for box in SHOWN}
        known = await self._known()
        for name in [name for name in known if name.partition("-")[0] in gone]:
            known.pop(name, None)
            await asyncio.to_thread((self._folder / name).unlink, missing_ok=True)

    async def close(self) -> None:
        """Give up what is in the making."""
        for task in self._making.values():
            task.cancel()
        await asyncio.gather(*self._making.values(), return_exceptions=True)

    async def _preview(self, source: Path, sha256: str, kind: Kind, box: int) -> Path:
        return await self._get(
            f"{sha256}-{box}.{ENDING[kind]}", lambda part: self._media.preview(kind, source, part, box)
        )

    async def _get(self, name: str, make: Callable[[Path], Awaitable[None]]) -> Path:
        """A preview out of the cache, or made now by a call with the path to write to."""
        known = await self._known()
        if name in known and await asyncio.to_thread(_touched, self._folder / name):
            known.move_to_end(name)
            return self._folder / name
        if name not in self._making:
            # It serves all who wait: the end of one of them must not end it.
            task = self._making[name] = asyncio.create_task(self._make(name, make))
            task.add_done_callback(lambda task: self._made(name, task))
        return await asyncio.shield(self._making[name])

    async def _make(self, name: str, make: Callable[[Path], Awaitable[None]]) -> Path:
        part = self._folder / f".{name}"
        try:
            async with self._room:
                await make(part)
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


def pictures_of(outputs: Sequence[Output]) -> list[Output]:
    """Those that are pictures, by name, with numbers in names by their value."""
    found = [output for output in outputs if kind_of(output.name) == "thumbnail"]
    return sorted(found, key=lambda output: [part.zfill(20) for part in re.split(r"(\d+)", output.name)])


def _spread(pictures: Sequence[Output], box: int) -> Sequence[Output]:
    """As many as a contact sheet of this size shows, from the first to the last."""
    count, most = len(pictures), SHOWN[box]
    return pictures if count <= most else [pictures[index * (count - 1) // (most - 1)] for index in range(most)]


def _key(pictures: Sequence[Output]) -> str:
    return hashlib.sha256(" ".join(output.sha256 for output in pictures).encode()).hexdigest()


def _newest(folder: Path, published: Mapping[Path, str]) -> list[Path]:
    """The pictures that were written last, in an attempt's folder and of those published; the newest first."""
    try:
        paths = [path for path in (folder / "out").iterdir() if not path.name.startswith(".")]
    except FileNotFoundError:
        paths = []
    times: dict[Path, int] = {}
    for path in (folder / PREVIEW, *paths, *published):
        with contextlib.suppress(FileNotFoundError):
            if kind_of(path.name) == "thumbnail" and path.is_file():
                times[path] = path.stat().st_mtime_ns
    return heapq.nlargest(NEWEST, times, key=lambda path: times[path])


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
