"""The machine's GPUs: which there are, which of them the node may use, and how a process is kept to some of them."""

from __future__ import annotations

import asyncio
import logging
import platform
import shutil
from collections.abc import Iterable, Mapping, Sequence

import msgspec
import psutil

from zeus.errors import ConfigError

FIELDS = ("index", "uuid", "name", "memory.total", "memory.free", "utilization.gpu")
PATIENCE = 5.0
"""Seconds that the driver's tool may take."""
VISIBLE = "CUDA_VISIBLE_DEVICES"

log = logging.getLogger(__name__)


class Gpu(msgspec.Struct, frozen=True):
    """A GPU, with the number that its driver gives it. Memory in bytes, `percent` is its load."""

    index: int
    uuid: str
    name: str
    memory_total: int | None
    memory_available: int | None
    percent: float | None


async def look_for_gpus() -> tuple[Gpu, ...]:
    """NVIDIA's GPUs, by its own tool, or Apple's; none where there are neither."""
    if (platform.system(), platform.machine()) == ("Darwin", "arm64"):
        memory = psutil.virtual_memory()
        return (Gpu(0, "", "Apple GPU", memory.total, memory.available, None),)
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ()
    process = await asyncio.create_subprocess_exec(
        tool, f"--query-gpu={','.join(FIELDS)}", "--format=csv,noheader,nounits",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(PATIENCE):
            text, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        log.warning("nvidia-smi said nothing within %g seconds: no GPU is known", PATIENCE)
        return ()
    lines = ([part.strip() for part in line.split(",")] for line in text.decode("utf-8", "replace").splitlines())
    return tuple(_gpu(*parts) for parts in lines if len(parts) == len(FIELDS) and parts[0].isdigit())


class Usable(msgspec.Struct, frozen=True):
    """The GPUs that a node may use: the bytes of memory of each by its number, 0 where that is unknown.

    `only`: the owner said so, and there may be others.
    """

    sizes: Mapping[int, int] = msgspec.field(default_factory=dict)
    only: bool = False

    def environment(self, device: int | None) -> dict[str, str]:
        """Variables for a tool of a job that has a GPU, or none: then it sees all that may be used."""
        if device is not None:
            return environment([device])
        return environment(self.sizes) if self.only else {}

    def worker_environment(self, device: int | None) -> dict[str, str]:
        """Variables for a worker process. Without a GPU it sees none, unless nothing is known of any."""
        known = device is not None or self.sizes or self.only
        return environment([] if device is None else [device]) if known else {}


async def usable(wanted: str, environ: Mapping[str, str]) -> Usable:
    """The GPUs that the node may use.

    `wanted` is the setting `node.gpus`: "auto" are all that are found and that CUDA_VISIBLE_DEVICES in `environ` names.
    Raises ConfigError when it names one that is not there.
    """
    if wanted == "none":
        return Usable(only=True)
    found = {gpu.index: gpu for gpu in await look_for_gpus()}
    sizes = {number: gpu.memory_total or 0 for number, gpu in found.items()}
    if wanted == "auto":
        named = environ.get(VISIBLE)
        if named is None:
            return Usable(sizes)
        return Usable({number: sizes[number] for number in _named(named, found.values())}, only=True)
    numbers = [int(number) for number in wanted.split(",")]
    if absent := [number for number in numbers if found and number not in found]:
        there = ", ".join(map(str, sorted(found)))
        raise ConfigError(f"node.gpus: there is no GPU {absent[0]} here; there are: {there}.")
    return Usable({number: sizes.get(number, 0) for number in numbers}, only=True)


def environment(numbers: Iterable[int]) -> dict[str, str]:
    """Variables by which a process sees these GPUs alone, as its first ones, numbered as the driver numbers them."""
    names = ",".join(map(str, numbers))
    return {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", VISIBLE: names, "HIP_VISIBLE_DEVICES": names}


def _named(text: str, gpus: Iterable[Gpu]) -> Sequence[int]:
    """The GPUs that CUDA_VISIBLE_DEVICES names, by number or by the beginning of their uuid."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    return [gpu.index for gpu in gpus if any(name == str(gpu.index) or gpu.uuid.startswith(name) for name in names)]


def _gpu(index: str, uuid: str, name: str, total: str, free: str, load: str) -> Gpu:
    percent = float(load) if load.isdigit() else None
    return Gpu(int(index), uuid, name, _mebibytes(total), _mebibytes(free), percent)


def _mebibytes(text: str) -> int | None:
    return int(text) * 1024**2 if text.isdigit() else None
