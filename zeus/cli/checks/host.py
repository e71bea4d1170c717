"""The machine below Zeus: Python, libraries, clock, disk, graphics cards."""

from __future__ import annotations

import ctypes
import importlib.metadata
import os
import re
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import zeus
from zeus.cli.checks import Finding
from zeus.cli.output import size_text
from zeus.gpus import Gpu

PATCHED = {(3, 11): 13, (3, 12): 11, (3, 13): 4}
"""The releases of Python that unpack hostile archives safely (CVE-2025-4517); newer lines all do."""
SQLITE = (3, 37)
"""The first that knows STRICT tables."""
LOW_DISK, FULL_DISK = 10 * 10**9, 200 * 10**6
BLOCK, BLOCKS, SYNCS = 1 << 20, 32, 10
TIME_ERROR = 5
"""What adjtimex(2) answers where nothing keeps the clock right."""


def python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[2] < PATCHED.get(sys.version_info[:2], 0):
        line = ".".join(map(str, sys.version_info[:2]))
        remedy = f"Update it to {line}.{PATCHED[sys.version_info[:2]]} or later."
        return Finding("python", "warning", f"{version}: its own tarfile and zipfile trust hostile archives.", remedy)
    return Finding("python", "ok", version)


def libraries() -> Iterator[Finding]:
    """Those that setup.py asks for, and SQLite."""
    if sqlite3.sqlite_version_info[:2] < SQLITE:
        remedy = "Use a Python that was built with a newer SQLite."
        yield Finding("sqlite", "fatal", f"{sqlite3.sqlite_version} is too old.", remedy)
    else:
        yield Finding("sqlite", "ok", sqlite3.sqlite_version)
    try:
        wanted = importlib.metadata.requires("zeus-node") or []
    except importlib.metadata.PackageNotFoundError:
        remedy = "Install Zeus: python3 run.py does it in a checkout, pip elsewhere."
        yield Finding("libraries", "warning", "Zeus is not installed, so nobody knows what it needs.", remedy)
        return
    bad = [problem for each in wanted if "extra ==" not in each and (problem := _problem(each))]
    if bad:
        names = " ".join(f"'{each}'" for each, _ in bad)
        told = "; ".join(why for _, why in bad)
        yield Finding("libraries", "fatal", f"{told}.", f"{sys.executable} -m pip install {names}")
    else:
        yield Finding("libraries", "ok", "All are there and new enough.")


def _problem(requirement: str) -> tuple[str, str] | None:
    """A requirement that is not met, and why."""
    match = re.match(r"([\w.-]+)\s*(?:>=\s*([\d.]+))?", requirement)
    assert match
    try:
        found = importlib.metadata.version(match[1])
    except importlib.metadata.PackageNotFoundError:
        return requirement, f"{match[1]} is missing"
    if match[2] and numbers(found) < numbers(match[2]):
        return requirement, f"{match[1]} {found} is older than {match[2]}"
    return None


def numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version, to compare it with another."""
    match = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, match[0].split("."))) if match else ()


def clock() -> Finding:
    newest = max(path.stat().st_mtime for path in Path(zeus.__file__).parent.glob("*.py"))
    if time.time() < newest - 60:
        text = f"This machine's clock ({time.strftime('%Y-%m-%d %H:%M')}) is before Zeus's own files."
        return Finding("clock", "warning", text, "Set it right, best by a time service: timedatectl set-ntp true")
    if _is_unsynchronized():
        text = "Nothing keeps this machine's clock right."
        remedy = "Turn a time service on: timedatectl set-ntp true (in a container, on its host)."
        return Finding("clock", "warning", text, remedy)
    return Finding("clock", "ok", time.strftime("%Y-%m-%d %H:%M:%S %z"))


def _is_unsynchronized() -> bool:
    """What Linux says; elsewhere it is not known."""
    try:
        return bool(ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512)) == TIME_ERROR)
    except (OSError, AttributeError):
        return False


def disk(storage: Path) -> Iterator[Finding]:
    """Space and speed where the storage folder is, or will be."""
    folder = existing(storage)
    if not os.access(folder, os.W_OK | os.X_OK):
        yield Finding("disk", "fatal", f"{folder} cannot be written to.", "Give it to this user, or choose --storage.")
        return
    stat = os.statvfs(folder)
    free = stat.f_bavail * stat.f_frsize
    text, remedy = f"{size_text(free)} are free for {storage}.", "Make room, or choose another folder by --storage."
    if free < FULL_DISK:
        yield Finding("disk", "fatal", text, remedy)
        return
    yield Finding("disk", "warning", text, remedy) if free < LOW_DISK else Finding("disk", "ok", text)
    yield _speed(folder)


def existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next(each for each in (folder, *folder.parents) if each.is_dir())


def _speed(folder: Path) -> Finding:
    try:
        rate, delay = _measure(folder)
    except OSError as error:
        return Finding("disk speed", "fatal", f"{folder}: {error.strerror}.", "Look at that disk: writing to it fails.")
    kind = "fast" if rate >= 200 else "ordinary" if rate >= 50 else "slow"
    text = f"{kind}: writes {rate:.0f} MB a second, and needs {delay * 1000:.1f} ms to keep a promise (fsync)."
    if kind == "slow" or delay > 0.05:
        return Finding("disk speed", "warning", text, "Choose a folder on a faster local disk by --storage.")
    return Finding("disk speed", "ok", text)


def _measure(folder: Path) -> tuple[float, float]:
    """Megabytes a second of a file that is synced, and seconds of the sync of one block."""
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        data, begin = os.urandom(BLOCK), time.perf_counter()
        for _ in range(BLOCKS):
            file.write(data)
        os.fsync(file.fileno())
        written = time.perf_counter()
        for _ in range(SYNCS):
            file.write(data[:4096])
            os.fsync(file.fileno())
        return BLOCK * BLOCKS / 1e6 / (written - begin), (time.perf_counter() - written) / SYNCS


def graphics(gpus: Sequence[Gpu]) -> Finding:
    """Cards that NVIDIA's driver tells of, and the devices of the others."""
    devices = sorted(Path("/dev/dri").glob("renderD*"))
    closed = [str(device) for device in devices if not os.access(device, os.R_OK | os.W_OK)]
    if closed:
        remedy = "Put this user into the device's group: sudo usermod -aG render $USER, then sign in again."
        return Finding("gpu", "warning", f"{', '.join(closed)} may not be used by this user.", remedy)
    names = [*(gpu.name for gpu in gpus), *map(str, devices)]
    return Finding("gpu", "ok", ", ".join(names) or "None was found; the processor does everything.")
