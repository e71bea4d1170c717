"""How fast this machine is: its cores and its storage's disk, measured in processes apart from the server.

`python -m zeus.benchmark cpu SECONDS` works on one core and prints its score; `disk PATH BYTES` writes and reads a
file and prints the speeds as JSON. The node runs these, one measurement at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import math
import mmap
import os
import shutil
import sys
import time
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from zeus.engine import Tools
from zeus.errors import NoSpace, NotReady, ToolFailed
from zeus.files import Files
from zeus.wire import DiskSpeed

PATIENCE = 60.0
"""Seconds that a measurement may take longer than it should."""
DISK_BYTES = 512 << 20
DISK_SECONDS = 4.0
"""Seconds of writing, and of reading, after which a slow disk is believed."""
BLOCK = 4 << 20
SYNC_EVERY = 16
"""Blocks after which what was written is forced to the disk."""
UNIT = 10.0
"""Points for one round a second: a core of 2026 has about a thousand."""


class Benchmarks:
    """Measures this machine for whoever asks, but for one at a time."""

    def __init__(self, files: Files, tools: Tools) -> None:
        self._files = files
        self._tools = tools
        self._busy_until = 0.0

    async def cpu(self, seconds: float) -> float:
        """The score of all cores together; takes `seconds`. Raises NotReady `busy`."""
        async with self._alone(seconds + 1):
            cores = range(len(os.sched_getaffinity(0)))
            lines = await asyncio.gather(*(self._run("cpu", str(seconds), timeout=seconds + PATIENCE) for _ in cores))
        return sum(float(line) for line in lines)

    async def disk(self) -> DiskSpeed:
        """The speed of the storage folder's disk. Raises NotReady `busy` or NoSpace."""
        async with self._alone(2 * DISK_SECONDS):
            path = self._files.part()
            if (await asyncio.to_thread(shutil.disk_usage, path.parent)).free < 2 * DISK_BYTES:
                raise NoSpace
            try:
                line = await self._run("disk", str(path), str(DISK_BYTES), timeout=2 * DISK_SECONDS + PATIENCE)
            finally:
                await asyncio.to_thread(path.unlink, missing_ok=True)
        return msgspec.json.decode(line, type=DiskSpeed)

    @contextlib.asynccontextmanager
    async def _alone(self, seconds: float) -> AsyncIterator[None]:
        """Hold off everyone else, who are told to come again after about so many seconds."""
        if self._busy_until:
            left = max(1, math.ceil(self._busy_until - time.monotonic()))
            raise NotReady("A measurement is running; it would spoil both.", code="busy", retry_after=left)
        self._busy_until = time.monotonic() + seconds
        try:
            yield
        finally:
            self._busy_until = 0.0

    async def _run(self, *arguments: str, timeout: float) -> str:
        lines: list[str] = []
        argv = [sys.executable, "-m", "zeus.benchmark", *arguments]
        done = await self._tools.spawn(argv, parse=lines.append, check=False, timeout=timeout)
        if done.exit == errno.ENOSPC:
            raise NoSpace
        if done.exit != 0 or not lines:
            raise ToolFailed(f"The measurement ended with exit code {done.exit}.")
        return lines[-1]


def cpu_score(seconds: float) -> float:
    """Work on one core for so long: packing, hashing and arithmetic in equal parts."""
    data = b"".join(hashlib.sha256(number.to_bytes(4, "big")).digest()[: 1 + number % 32] for number in range(4000))
    _round(data)
    start, rounds = time.perf_counter(), 0
    while (passed := time.perf_counter() - start) < seconds:
        _round(data)
        rounds += 1
    return UNIT * rounds / passed


def _round(data: bytes) -> float:
    packed = zlib.compress(data, 4)
    digest = hashlib.blake2b(data * 24 + packed).digest()
    value = digest[0] / 255
    for step in range(1, 25_000):
        value = (value * 1.000001 + math.sqrt(step)) % 7.0
    return value


def disk_speed(path: Path, size: int) -> DiskSpeed:
    """Write a file, force it to the disk, read it from there; in megabytes a second. The file stays."""
    data = mmap.mmap(-1, BLOCK)
    data.write(os.urandom(BLOCK))
    written, took = _write(path, data, size)
    read, reading = _read(path, data)
    return DiskSpeed(write_mb_s=round(written / took / 1e6, 1), read_mb_s=round(read / reading / 1e6, 1))


def _write(path: Path, data: mmap.mmap, size: int) -> tuple[int, float]:
    start, written = time.perf_counter(), 0
    with path.open("wb", buffering=0) as file:
        for number in range(max(1, size // BLOCK)):
            written += file.write(data) or 0
            if number % SYNC_EVERY == SYNC_EVERY - 1:
                os.fsync(file.fileno())
                if time.perf_counter() - start > DISK_SECONDS:
                    break
        os.fsync(file.fileno())
    return written, time.perf_counter() - start


def _read(path: Path, data: mmap.mmap) -> tuple[int, float]:
    """Read past the page cache where the file system can do that; else with what it holds of the file dropped."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_DIRECT", 0))
    except OSError:
        descriptor = os.open(path, os.O_RDONLY)
    try:
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        start, read = time.perf_counter(), 0
        while (got := os.readv(descriptor, [data])) and time.perf_counter() - start < DISK_SECONDS:
            read += got
        return read, max(time.perf_counter() - start, 1e-9)
    finally:
        os.close(descriptor)


def main() -> int:
    kind, *arguments = sys.argv[1:]
    os.nice(5)  # the server must answer meanwhile
    try:
        if kind == "cpu":
            print(cpu_score(float(arguments[0])))
        else:
            print(msgspec.json.encode(disk_speed(Path(arguments[0]), int(arguments[1]))).decode())
    except OSError as error:
        return errno.ENOSPC if error.errno in (errno.ENOSPC, errno.EDQUOT) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
