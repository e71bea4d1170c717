"""Reads OpenEXR files, with any number of layers and parts and in every compression; libav reads the plainest only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR

from zeus.engine import MediaInfo, Stream
from zeus.errors import BadInput

MAGIC = b"v/1\x01"
MOST_BYTES = 3 << 30
"""A file of more pixel data than this would not fit the worker's memory: all of it is read at once."""
LAYOUTS = ("", "gray", "", "gbrp", "gbrap")
KINDS = {"float16": "f16le", "float32": "f32le"}
DEEP = (OpenEXR.deepscanline, OpenEXR.deeptile)

Part = Any
"""An OpenEXR.Part."""
Light = np.ndarray[Any, np.dtype[np.float32]]
Window = tuple[int, int, int, int]
"""The first column and line, and those after the last."""


def is_exr(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def measured(path: Path) -> MediaInfo:
    """What the file is, once every pixel of every part was decoded. Raises BadInput when one was not."""
    parts = _decoded(path)
    left, top, right, bottom = _window(parts[0], "displayWindow")
    stream = Stream("video", "exr", right - left, bottom - top, frames=1, pixel_format=_format(parts))
    return MediaInfo("exr_pipe", path.stat().st_size, None, (stream,))


def picture(path: Path) -> tuple[Light, float]:
    """The layer that shows most, as lines × columns × 1, 3 or 4 in linear light with premultiplied alpha, cut to the
    display window; and how much wider a pixel is than high. Raises BadInput when the file does not decode.
    """
    parts = _decoded(path)
    part, names = _chosen(parts)
    if not names:
        raise BadInput(f"{path.name} holds no picture that can be shown.")
    ratio = float(part.header.get("pixelAspectRatio", 1.0))
    return _laid_out(part, names), ratio if 0.1 < ratio < 10 else 1.0


def _decoded(path: Path) -> Sequence[Part]:
    """All parts with their pixels. The library leaves out what it cannot decode, so what there is is compared."""
    stated = _read(path, header_only=True)
    needed = sum(_bytes(part) for part in stated)
    if needed > MOST_BYTES:
        raise BadInput(f"{path.name} is too large: it holds {needed >> 20} MiB of pixels.")
    parts = _read(path, header_only=False)
    if not stated or [_names(part) for part in stated] != [sorted(part.channels) for part in parts]:
        raise BadInput(f"{path.name} cannot be decoded: it is damaged or cut off.")
    return parts


def _read(path: Path, header_only: bool) -> Sequence[Part]:
    try:
        return list(OpenEXR.File(str(path), separate_channels=True, header_only=header_only).parts)
    except (RuntimeError, ValueError, TypeError, OverflowError) as error:
        raise BadInput(f"{path.name} cannot be decoded: it is damaged or cut off.") from error


def _names(part: Part) -> list[str]:
    return sorted(channel.name for channel in part.header["channels"])


def _bytes(part: Part) -> int:
    """The memory that decoding and showing it takes, at most."""
    channels = len(part.header["channels"])
    return 4 * (channels * _area(_window(part, "dataWindow")) + 4 * _area(_window(part, "displayWindow")))


def _area(window: Window) -> int:
    return max(0, window[2] - window[0]) * max(0, window[3] - window[1])


def _window(part: Part, name: str) -> Window:
    (left, top), (right, bottom) = part.header[name]
    return int(left), int(top), int(right) + 1, int(bottom) + 1


def _format(parts: Sequence[Part]) -> str | None:
    """libav's name for the pixels that are shown."""
    part, names = _chosen(parts)
    kind = part.channels[names[0]].pixels.dtype.name if names else ""
    return LAYOUTS[len(names)] + KINDS[kind] if kind in KINDS else None


def _chosen(parts: Sequence[Part]) -> tuple[Part, Sequence[str]]:
    """The part and its channels to show: a layer named Combined, else plain RGB, any RGB, luminance, the first three.

    Deep parts have no picture; when there are no others, no channels are chosen.
    """
    flat = [part for part in parts if part.type() not in DEEP]
    layers = [layer for part in flat for layer in _layers(part)]
    if layers:
        _, part, names = min(layers, key=lambda layer: layer[0])
        return part, names
    for part in flat:
        whole = [name for name, channel in part.channels.items() if channel.xSampling == channel.ySampling == 1]
        if whole:
            return part, whole[:3] if len(whole) >= 3 else whole[:1]
    return parts[0], []


def _layers(part: Part) -> Iterator[tuple[int, Part, Sequence[str]]]:
    """The layers that are pictures, each with its rank. A channel is named as in ViewLayer.Combined.R."""
    layers: dict[str, dict[str, str]] = {}
    for name in part.channels:
        layer, _, last = name.rpartition(".")
        layers.setdefault(layer, {})[last.upper()] = name
    for layer, channels in layers.items():
        words = f"{part.name()}.{layer}".lower().split(".")
        if {"R", "G", "B"} <= channels.keys():
            rank = 0 if "combined" in words else 1 if not layer else 2
            yield rank, part, [channels[one] for one in "RGBA" if one in channels]
        elif "Y" in channels and "X" not in channels:
            yield 3, part, [channels["Y"]]


def _laid_out(part: Part, names: Sequence[str]) -> Light:
    """The data window laid onto the display window: nothing where it does not reach, cut off where it goes beyond."""
    left, top, right, bottom = _window(part, "displayWindow")
    data_left, data_top, data_right, data_bottom = _window(part, "dataWindow")
    shown = np.zeros((max(1, bottom - top), max(1, right - left), len(names)), np.float32)
    rows = slice(max(top, data_top), max(top, min(bottom, data_bottom)))
    columns = slice(max(left, data_left), max(left, min(right, data_right)))
    for index, name in enumerate(names):
        pixels = part.channels[name].pixels
        shown[_moved(rows, top), _moved(columns, left), index] = pixels[
            _moved(rows, data_top), _moved(columns, data_left)
        ]
    return shown


def _moved(cut: slice, origin: int) -> slice:
    return slice(max(0, cut.start - origin), max(0, cut.stop - origin))
