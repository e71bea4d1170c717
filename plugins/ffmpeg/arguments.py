"""What an FFmpeg job may say in `args`, and which of its values contradict each other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from .formats import CONTAINERS, DELIVERY, AudioCodec, ContainerName, Formats, VideoCodec, choose, takers

Speed = Literal["fastest", "fast", "medium", "slow", "slowest"]
Hardware = Literal["none", "auto", "nvenc", "qsv", "vaapi", "amf", "videotoolbox"]

HARDWARE_CODECS = {
    "nvenc": frozenset({"h264", "hevc", "av1"}),
    "videotoolbox": frozenset({"h264", "hevc"}),
    "qsv": frozenset({"h264", "hevc", "av1", "vp9"}),
    "amf": frozenset({"h264", "hevc", "av1"}),
    "vaapi": frozenset({"h264", "hevc", "av1", "vp9"}),
}
"""What each kind of hardware encodes, the kind that `auto` tries first at the top."""


class FFmpegArgs(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A conversion. With nothing said: H.264 and AAC in mp4."""

    video_codec: Annotated[VideoCodec | None, Meta(description="Left out: the container's first choice.")] = None
    audio_codec: Annotated[AudioCodec | None, Meta(description="Left out: the container's first choice.")] = None
    container: Annotated[ContainerName | None, Meta(description="Left out: one that takes the codecs.")] = None
    crf: Annotated[int, Meta(ge=0, le=63, description="Constant quality; smaller is better.")] | None = None
    bitrate: Annotated[int, Meta(ge=8, le=1_000_000, description="Of the video, in kbit/s.")] | None = None
    speed: Annotated[Speed, Meta(description="Of encoding: slower makes smaller files.")] = "medium"
    width: Annotated[int, Meta(ge=2, le=16384, description="In pixels; keeps the aspect.")] | None = None
    height: Annotated[int, Meta(ge=2, le=16384, description="In pixels; keeps the aspect.")] | None = None
    fps: Annotated[float, Meta(ge=0.1, le=480, description="Frames a second.")] | None = None
    audio_bitrate: Annotated[int, Meta(ge=8, le=2_000, description="In kbit/s.")] | None = None
    start: Annotated[float, Meta(ge=0, le=1e6, description="Seconds of the input to skip.")] | None = None
    duration: Annotated[float, Meta(gt=0, le=1e6, description="Seconds to take.")] | None = None
    hardware: Annotated[Hardware, Meta(description="auto: a hardware encoder where one works.")] = "none"

    def __post_init__(self) -> None:
        for problem in _problems(self, self.formats):
            raise ValueError(problem)

    @property
    def formats(self) -> Formats:
        """What is made, with nothing left open."""
        return choose(self.container, self.video_codec, self.audio_codec)


def _problems(args: FFmpegArgs, formats: Formats) -> Iterator[str]:
    yield from _containers(args, formats)
    yield from _video(args, formats)
    yield from _audio(args, formats)
    yield from _hardware(args, formats)


def _containers(args: FFmpegArgs, formats: Formats) -> Iterator[str]:
    name, container = formats.container, CONTAINERS[formats.container]
    if formats.image:
        if args.video_codec is not None:
            yield f"video_codec cannot be given with container {name}, which is made of pictures."
        if formats.audio != "none":
            yield f"audio_codec must be none with container {name}, which has no sound."
        return
    if formats.video == "none" and formats.audio == "none":
        yield "video_codec and audio_codec cannot both be none."
    if formats.video != "none" and formats.video not in container.video:
        yield _misplaced("video", formats.video, name)
    if name == "gif" and formats.audio != "none":
        yield "audio_codec must be none with container gif, which has no sound."
    if formats.audio != "none" and formats.audio not in container.audio:
        yield _misplaced("audio", formats.audio, name)


def _video(args: FFmpegArgs, formats: Formats) -> Iterator[str]:
    codec = formats.video
    if args.crf is not None and args.bitrate is not None:
        yield "crf and bitrate exclude each other: give one of them."
    for name, value in (("crf", args.crf), ("bitrate", args.bitrate)):
        if value is not None and codec not in DELIVERY:
            yield f"{name} cannot be given with video_codec {codec}: it is for {_or(sorted(DELIVERY))}."
    if args.crf is not None and args.crf > 51 and codec in ("h264", "hevc"):
        yield f"crf goes from 0 to 51 with video_codec {codec}."
    for name, size in (("width", args.width), ("height", args.height), ("fps", args.fps)):
        if size is not None and codec in ("copy", "none"):
            yield f"{name} cannot be given with video_codec {codec}, which leaves the pictures alone."
    for name, pixels in (("width", args.width), ("height", args.height)):
        if pixels is not None and pixels % 2 and codec in (*DELIVERY, "prores"):
            yield f"{name} must be even with video_codec {codec}."


def _audio(args: FFmpegArgs, formats: Formats) -> Iterator[str]:
    if args.audio_bitrate is not None and formats.audio in ("none", "copy", "flac", "pcm"):
        yield f"audio_bitrate cannot be given with audio_codec {formats.audio}."
    if args.audio_bitrate is not None and args.audio_bitrate > 320 and formats.audio == "mp3":
        yield "audio_bitrate goes up to 320 with audio_codec mp3."
    if args.audio_bitrate is not None and args.audio_bitrate > 510 and formats.audio == "opus":
        yield "audio_bitrate goes up to 510 with audio_codec opus."


def _hardware(args: FFmpegArgs, formats: Formats) -> Iterator[str]:
    codecs = HARDWARE_CODECS.get(args.hardware)
    if codecs is not None and formats.video not in codecs:
        yield f"hardware {args.hardware} cannot encode video_codec {formats.video}: it is for {_or(sorted(codecs))}."


def _misplaced(kind: Literal["video", "audio"], codec: str, container: str) -> str:
    return f"{kind}_codec {codec} cannot be in container {container}: choose {_or(takers(kind, codec))}."


def _or(words: list[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)
