"""Smooth random fields: tiles of noise that repeat without a seam, and how to read them between their points."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.floating[Any]]
"""An array of float32, mostly of shape (rows, columns) or one that broadcasts to it."""


class Dice:
    """Random generators by name: what one part of a picture draws does not depend on the other parts."""

    def __init__(self, entropy: bytes) -> None:
        self._entropy = entropy

    def rng(self, name: str) -> np.random.Generator:
        digest = hashlib.sha256(self._entropy + b"/" + name.encode()).digest()
        return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "big")))

    def between(self, name: str, low: float, high: float) -> float:
        return float(self.rng(name).uniform(low, high))

    def pick(self, name: str, count: int) -> int:
        return int(self.rng(name).integers(count))

    def side(self, name: str) -> float:
        """Minus one or plus one."""
        return 1.0 if self.pick(name, 2) else -1.0


def _spectrum(frequency: NDArray[np.float64], power: float) -> NDArray[np.float64]:
    scaled = np.where(frequency == 0, np.inf, frequency)
    result: NDArray[np.float64] = scaled**-power
    return result


def _spread(values: NDArray[np.float64]) -> Plane:
    """Stretch to 0..1, so that two in a hundred points are at an end."""
    low, high = np.percentile(values, (1, 99))
    return np.asarray(np.clip((values - low) / (high - low), 0, 1), np.float32)


def tile(rng: np.random.Generator, size: int = 256, power: float = 1.7) -> Plane:
    """Noise of `size` × `size` points in 0..1 that repeats seamlessly; the higher `power`, the smoother."""
    fx = np.fft.fftfreq(size)[None, :] * size
    fy = np.fft.fftfreq(size)[:, None] * size
    noise = np.fft.fft2(rng.standard_normal((size, size)))
    return _spread(np.fft.ifft2(noise * _spectrum(np.hypot(fx, fy), power)).real)


def line(rng: np.random.Generator, power: float = 1.4, size: int = 1024) -> Plane:
    """Noise of `size` points in 0..1 that repeats seamlessly."""
    noise = np.fft.fft(rng.standard_normal(size))
    values = np.fft.ifft(noise * _spectrum(np.abs(np.fft.fftfreq(size) * size), power)).real
    return np.asarray((values - values.min()) / np.ptp(values), np.float32)


def along(profile: Plane, x: Plane) -> Plane:
    """A line's values at `x`, where 1 is its whole length."""
    place = x * len(profile)
    cell = np.floor(place)
    part = place - cell
    left = cell.astype(np.int64) % len(profile)
    right = (left + 1) % len(profile)
    return np.asarray(profile[left] * (1 - part) + profile[right] * part, np.float32)


def _cells(x: Plane, size: int) -> tuple[NDArray[np.intp], NDArray[np.intp], Plane]:
    place = x * size
    cell = np.floor(place)
    left = cell.astype(np.intp) % size
    return left, (left + 1) % size, np.asarray(place - cell, np.float32)


def grid(field: Plane, x: Plane, y: Plane) -> Plane:
    """A tile's values at every pair of a column `x` (1, w) and a row `y` (h, 1), where 1 is the whole tile."""
    size = len(field)
    left, right, across = _cells(x.ravel(), size)
    above, below, down = _cells(y.ravel(), size)
    rows = field[above] * (1 - down[:, None]) + field[below] * down[:, None]
    return np.asarray(rows[:, left] * (1 - across) + rows[:, right] * across, np.float32)


def warped(field: Plane, x: Plane, y: Plane) -> Plane:
    """A tile's values at any points, where 1 is the whole tile."""
    size = len(field)
    left, right, across = _cells(x, size)
    above, below, down = _cells(y, size)
    flat = field.ravel()
    above *= size
    below *= size
    top = flat[above + left] * (1 - across) + flat[above + right] * across
    bottom = flat[below + left] * (1 - across) + flat[below + right] * across
    return np.asarray(top + (bottom - top) * down, np.float32)


def smooth(low: float, high: float, value: Plane) -> Plane:
    """0 below `low`, 1 above `high`, an S-curve between."""
    part = np.clip((value - low) / (high - low), 0, 1)
    return np.asarray(part * part * (3 - 2 * part), np.float32)
