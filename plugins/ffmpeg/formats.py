"""Which codecs go into which containers, and what is taken when a job leaves either open."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

VideoCodec = Literal["h264", "hevc", "av1", "vp9", "prores", "gif", "copy", "none"]
AudioCodec = Literal["aac", "opus", "vorbis", "mp3", "flac", "pcm", "copy", "none"]
ContainerName = Literal[
    "mp4", "mov", "mkv", "webm", "gif", "m4a", "mp3", "flac", "ogg", "wav", "png", "jpg", "tiff", "exr"
]


class Container(msgspec.Struct, frozen=True):
    """What a container takes; the first of each is what it gets when nothing is said."""

    muxer: str
    video: tuple[str, ...] = ()
    audio: tuple[str, ...] = ()


CONTAINERS: dict[str, Container] = {
    "mp4": Container("mp4", ("h264", "hevc", "av1", "vp9", "copy"), ("aac", "mp3", "opus", "flac", "copy")),
    "mov": Container("mov", ("h264", "hevc", "prores", "copy"), ("aac", "pcm", "copy")),
    "mkv": Container(
        "matroska",
        ("h264", "hevc", "av1", "vp9", "prores", "copy"),
        ("aac", "opus", "vorbis", "mp3", "flac", "pcm", "copy"),
    ),
    "webm": Container("webm", ("vp9", "av1", "copy"), ("opus", "vorbis", "copy")),
    "gif": Container("gif", ("gif",)),
    "m4a": Container("ipod", (), ("aac", "copy")),
    "mp3": Container("mp3", (), ("mp3", "copy")),
    "flac": Container("flac", (), ("flac", "copy")),
    "ogg": Container("ogg", (), ("opus", "vorbis", "flac", "copy")),
    "wav": Container("wav", (), ("pcm", "copy")),
    "png": Container("image2"),
    "jpg": Container("image2"),
    "tiff": Container("image2"),
    "exr": Container("image2"),
}
IMAGES = frozenset(name for name, container in CONTAINERS.items() if container.muxer == "image2")
DELIVERY = frozenset({"h264", "hevc", "av1", "vp9"})
"""Codecs that people watch: 8 bits, 4:2:0, with a quality to choose."""

_HOMES = {"prores": ("mov", "mkv"), "vp9": ("webm", "mp4", "mkv"), "gif": ("gif",), "copy": ("mkv",)}
_AUDIO_HOMES = {"mp3": "mp3", "opus": "ogg", "vorbis": "ogg", "flac": "flac", "pcm": "wav", "copy": "mkv"}


class Formats(msgspec.Struct, frozen=True):
    """What a job makes, with nothing left open. An image container's `video` is its own name."""

    container: str
    video: str
    audio: str

    @property
    def image(self) -> bool:
        return self.container in IMAGES


def choose(container: str | None, video: str | None, audio: str | None) -> Formats:
    """Fill in what was left open. Whether the three go together is not checked here."""
    name = container or _home(video, audio)
    if name in IMAGES:
        return Formats(name, video or name, audio or "none")
    home = CONTAINERS[name]
    picked = video or (home.video[0] if home.video else "none")
    return Formats(name, picked, audio or _sound(home, picked))


def _home(video: str | None, audio: str | None) -> str:
    if video == "none":
        return _AUDIO_HOMES.get(audio or "aac", "m4a")
    homes = _HOMES.get(video or "h264", ("mp4", "mkv"))
    return next((name for name in homes if audio in (None, "none", *CONTAINERS[name].audio)), homes[0])


def _sound(home: Container, video: str) -> str:
    if video == "copy":
        return "copy"
    if video == "prores" and "pcm" in home.audio:
        return "pcm"
    return home.audio[0] if home.audio else "none"


def takers(kind: Literal["video", "audio"], codec: str) -> list[str]:
    """The containers that take a codec, for an error message that helps."""
    return [name for name in get_args(ContainerName) if codec in getattr(CONTAINERS[name], kind)]
