"""Raw pictures as they arrive over a named pipe or from a file, one at a time."""

from __future__ import annotations

import os
import select
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from zeus.engine import Computation
from zeus.errors import OutputInvalid

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
"""Lines × columns × 3 of RGB."""
NEAR = Fraction(1, 1000)
"""A number of frames a second that is as near to one of television's is meant to be that one."""
WAIT_MS = 200
"""How long to wait for bytes before asking whether the caller still wants the result."""


@dataclass(frozen=True)
class Shape:
    """Pixels, frames a second, and how many there are."""

    width: int
    height: int
    rate: Fraction
    count: int

    def times(self, unit: int) -> Iterator[int]:
        """How long to show each picture in parts of a second, so that all together they last as long as they should."""
        for index in range(self.count):
            yield round((index + 1) * unit / self.rate) - round(index * unit / self.rate)


def rate_of(fps: float) -> Fraction:
    """Frames a second as a fraction; 23.976 and the like are 24000/1001 and the like, as they are meant."""
    exact = Fraction(round(fps) * 1000, 1001)
    asked = Fraction(fps)
    meant = abs(exact - asked) < min(NEAR, abs(round(fps) - asked))
    return exact if meant else asked.limit_denominator(1001)


def arriving(job: Computation, frames: Path, shape: Shape) -> Generator[Pixels, None, None]:
    """The pictures in their order. Raises OutputInvalid when fewer arrive."""
    size = shape.width * shape.height * 3
    descriptor = os.open(frames, os.O_RDONLY | os.O_NONBLOCK)
    try:
        for index in range(shape.count):
            data = _read(job, descriptor, size)
            if len(data) < size:
                raise OutputInvalid(f"{index} frames arrived where {shape.count} were expected.")
            yield np.frombuffer(data, np.uint8).reshape(shape.height, shape.width, 3)
    finally:
        os.close(descriptor)


def _read(job: Computation, descriptor: int, size: int) -> bytearray:
    """The next `size` bytes, fewer at the end.

    The pipe is open without blocking: a writer that never comes must not keep this from hearing a cancel.
    """
    data = bytearray(size)
    view = memoryview(data)
    filled = 0
    ready = select.poll()
    ready.register(descriptor, select.POLLIN)
    while filled < size:
        job.check()
        if not ready.poll(WAIT_MS):
            continue
        try:
            got = os.readv(descriptor, [view[filled:]])
        except BlockingIOError:
            continue
        if not got:
            break
        filled += got
    view.release()
    del data[filled:]
    return data
