"""Probing, verifying, encoding and previewing media, in limited worker processes: the server never decodes a byte."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from zeus.child import Children
from zeus.engine import MediaInfo, Quality
from zeus.worker import Worker

MEMORY = 4 << 30
"""Bytes of data that a worker may hold: enough to decode 8K video in several threads."""
RECYCLE = 100
"""Calls after which a worker is replaced."""
IDLE = 30.0
"""Seconds after which a worker that has nothing to do ends."""
SILENCE = 120.0
"""Seconds without a sign of life after which a call is given up."""


class Media:
    """A pool of worker processes, as many as there are calls at one moment."""

    def __init__(self, children: Children) -> None:
        self._children = children
        self._idle: list[tuple[Worker, float]] = []
        """The worker that was used last at the end, each with the time of its last use."""
        self._numbers = itertools.count(1)
        self._reaper: asyncio.TimerHandle | None = None
        self._closing: set[asyncio.Task[None]] = set()

    async def probe(self, path: Path, *, lock: Path | None = None) -> MediaInfo:
        """Read a file's headers. Raises BadInput when it is no media file."""
        return await self._call("probe", {"path": str(path)}, lock, SILENCE)

    async def verify(self, path: Path, *, lock: Path | None = None, **expected: float | None) -> MediaInfo:
        """Decode a whole file and compare it with what is expected. Raises OutputInvalid."""
        return await self._call("verify", {"path": str(path), **expected}, lock, SILENCE)

    async def encode(self, frames: Path, target: Path, *, lock: Path | None = None, **options: Any) -> MediaInfo:
        """Encode raw frames, waiting as long as it takes for the next one. Raises OutputInvalid."""
        return await self._call("encode", {"frames": str(frames), "target": str(target), **options}, lock, None)

    async def movie(
        self,
        pictures: Sequence[Path],
        target: Path,
        *,
        fps: float,
        quality: Quality,
        title: str,
        report: Callable[[float], None] | None = None,
        lock: Path | None = None,
    ) -> MediaInfo:
        """Make a movie of pictures. Raises OutputInvalid and BadInput."""
        arguments = {"pictures": list(map(str, pictures)), "target": str(target)}
        options = {"fps": fps, "quality": quality, "title": title}
        return await self._call("movie", {**arguments, **options}, lock, SILENCE, report)

    async def still(
        self,
        path: Path,
        *,
        target: Path | None = None,
        width: int | None = None,
        height: int | None = None,
        lock: Path | None = None,
    ) -> tuple[int, int]:
        """Decode a single picture, and write it in a size where there is a target. Raises BadInput."""
        arguments = {"path": str(path), "target": target and str(target), "width": width, "height": height}
        found = await self._raw("still", arguments, lock, SILENCE)
        return found[0], found[1]

    async def preview(self, kind: Literal["thumbnail", "clip"], source: Path, target: Path, box: int) -> None:
        """Write a JPEG, or a short mp4, that fits `box` × `box` pixels. Raises BadInput for what does not decode."""
        await self._raw(kind, {"path": str(source), "target": str(target), "box": box}, None, SILENCE)

    async def sheet(self, sources: Sequence[Path], target: Path, box: int) -> None:
        """Write a JPEG of several pictures that fits `box` × `box` pixels. Raises BadInput when none decodes."""
        arguments = {"paths": list(map(str, sources)), "target": str(target), "box": box}
        await self._raw("sheet", arguments, None, SILENCE)

    async def close(self) -> None:
        """End all workers."""
        if self._reaper is not None:
            self._reaper.cancel()
        await asyncio.gather(*self._closing, *(worker.close() for worker, _ in self._idle))

    async def _call(
        self,
        name: str,
        arguments: Mapping[str, Any],
        lock: Path | None,
        silence: float | None,
        report: Callable[[float], None] | None = None,
    ) -> MediaInfo:
        return msgspec.convert(await self._raw(name, arguments, lock, silence, report), MediaInfo)

    async def _raw(
        self,
        name: str,
        arguments: Mapping[str, Any],
        lock: Path | None,
        silence: float | None,
        report: Callable[[float], None] | None = None,
    ) -> Any:
        async with self._worker() as worker:
            function = f"zeus.mediaworker:{name}"
            return await worker.call(function, arguments, report=report, lock=lock, silence=silence)

    @contextlib.asynccontextmanager
    async def _worker(self) -> AsyncIterator[Worker]:
        worker = self._idle.pop()[0] if self._idle else self._new()
        try:
            yield worker
        finally:
            if worker.calls >= RECYCLE:
                self._end([worker])
            else:
                self._idle.append((worker, asyncio.get_running_loop().time()))
            self._reap()

    def _new(self) -> Worker:
        return Worker(self._children, f"media-{next(self._numbers)}", memory=MEMORY)

    def _reap(self) -> None:
        """End the workers that have had nothing to do for long, and look again when the next one may be due."""
        loop = asyncio.get_running_loop()
        due = loop.time() - IDLE
        self._end([worker for worker, used in self._idle if used <= due])
        self._idle = [(worker, used) for worker, used in self._idle if used > due]
        if self._reaper is not None:
            self._reaper.cancel()
        self._reaper = loop.call_at(self._idle[0][1] + IDLE, self._reap) if self._idle else None

    def _end(self, workers: list[Worker]) -> None:
        for worker in workers:
            task = asyncio.get_running_loop().create_task(worker.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
