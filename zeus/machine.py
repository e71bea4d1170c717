"""Facts about this machine: processor, memory, disk."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import platform
import shutil
import time
from pathlib import Path

import msgspec
import psutil

from zeus.gpus import Gpu, look_for_gpus


class Machine(msgspec.Struct, frozen=True):
    """One look at the machine. Memory and disk in bytes, percentages of all."""

    system_os: str
    system_os_version: str
    cpu_brand: str
    cpu_count: int
    cpu_percent: float
    memory_total: int
    memory_available: int
    memory_percent: float
    disk_total: int
    disk_free: int
    gpus: tuple[Gpu, ...]


class Meter:
    """How busy the processor is: since the last reading, of which there is at most one a second, else it would jump."""

    def __init__(self) -> None:
        self._percent, self._read = psutil.cpu_percent(None), time.monotonic()

    def percent(self) -> float:
        """Of all processors together, from 0 to 100."""
        if (now := time.monotonic()) - self._read >= 1.0:
            self._percent, self._read = psutil.cpu_percent(None), now
        return self._percent


async def look(storage: Path, meter: Meter) -> Machine:
    """Look at the machine now; `storage` tells which disk counts."""
    gpus = await look_for_gpus()
    return await asyncio.to_thread(_look, storage, gpus, meter)


SYSTEMS = {"linux": "linux", "windows": "windows", "macos": "macos", "darwin": "macos"}
CPUS = {"x64": "x64", "x86_64": "x64", "amd64": "x64", "arm64": "arm64", "aarch64": "arm64"}
"""The words of others for systems and processors, and ours."""


def own_platform() -> tuple[str, str]:
    """This machine's system (linux, windows, macos) and processor (x64, arm64), or what Python calls them."""
    system, cpu = platform.system().lower(), platform.machine().lower()
    return SYSTEMS.get(system, system), CPUS.get(cpu, cpu)


def raise_descriptor_limit() -> None:
    """Allow this process as many open files as the system lets it: each waiting client is one."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65536 if hard == resource.RLIM_INFINITY else min(hard, 65536)
    if soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _look(storage: Path, gpus: tuple[Gpu, ...], meter: Meter) -> Machine:
    memory = psutil.virtual_memory()
    disk = shutil.disk_usage(storage)
    return Machine(
        system_os=platform.system(),
        system_os_version=platform.release(),
        cpu_brand=_cpu_brand(),
        cpu_count=os.cpu_count() or 1,
        cpu_percent=meter.percent(),
        memory_total=memory.total,
        memory_available=memory.available,
        memory_percent=memory.percent,
        disk_total=disk.total,
        disk_free=disk.free,
        gpus=gpus,
    )


@functools.cache
def _cpu_brand() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() in ("model name", "Model"):
                return value.strip()
    return platform.processor() or platform.machine()
