"""Reads media files: what their headers say (probe), and what really decodes (verify)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import msgspec
from av.audio.frame import AudioFrame
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame

from zeus.engine import Computation, MediaInfo, Stream
from zeus.errors import BadInput, OutputInvalid
from zeus.mediaworker import exr, sequences, webp
from zeus.mediaworker.opening import is_still, open_media

HONEST = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi", "wav", "flac", "ogg"}
"""Containers whose header states a duration; the others' is an estimate from size and bit rate."""


def probe(job: Computation, path: str) -> dict[str, Any]:
    """What a file's headers say, as a MediaInfo. Raises BadInput when it is no media file that can be read."""
    file = Path(path)
    with open_media(file) as container:
        info = _describe(container, file)
    if not any(_usable(stream) for stream in info.streams):
        raise BadInput(f"{file.name} holds neither video nor audio that can be decoded.")
    return _plain(info)


def verify(
    job: Computation,
    path: str,
    duration: float | None = None,
    frames: int | None = None,
    width: int | None = None,
    height: int | None = None,
) -> dict[str, Any]:
    """Decode a whole file, or a folder of pictures as frames; the MediaInfo tells what was decoded.

    Raises OutputInvalid, saying what differs.
    """
    file = Path(path)
    try:
        info, stated = _sequence(job, file) if file.is_dir() else _read(job, file)
    except BadInput as error:
        raise OutputInvalid(error.message) from error
    _check(file.name, info, stated, duration, frames)
    _check_size(file.name, info.first("video"), width, height)
    return _plain(info)


def _sequence(job: Computation, folder: Path) -> tuple[MediaInfo, None]:
    return sequences.measured(folder, lambda picture: _read(job, picture)[0]), None


def _read(job: Computation, file: Path) -> tuple[MediaInfo, float | None]:
    """What was decoded, and the seconds that the header states."""
    if exr.is_exr(file):
        return exr.measured(file), None
    if webp.is_animation(file):
        return webp.measured(job, file), None
    with open_media(file) as container:
        counts = _decode(job, container, file.name)
        return _measured(_describe(container, file), counts), _stated(container)


def _plain(info: MediaInfo) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(info)
    return plain


def _usable(stream: Stream) -> bool:
    return (stream.kind == "video" and bool(stream.width)) or (stream.kind == "audio" and bool(stream.sample_rate))


def _describe(container: InputContainer, file: Path) -> MediaInfo:
    still = is_still(container)
    seconds = None if still or not container.duration else container.duration / av.time_base
    streams = tuple(_stream(stream, still) for stream in container.streams)
    return MediaInfo(container.format.name, file.stat().st_size, seconds, streams)


def _stream(stream: Any, still: bool) -> Stream:
    context = getattr(stream, "codec_context", None)
    codec = context.codec.canonical_name if context is not None else "unknown"
    if context is None or stream.type not in ("video", "audio") or stream.disposition & stream.disposition.attached_pic:
        return Stream("attachment" if stream.type == "video" else stream.type, codec)
    seconds = None if still else _seconds(stream)
    if stream.type == "audio":
        rate, channels = context.sample_rate or None, context.channels or None
        return Stream("audio", codec, duration=seconds, sample_rate=rate, channels=channels)
    fps = None if still else stream.average_rate or stream.guessed_rate
    return Stream(
        kind="video",
        codec=codec,
        width=context.width or None,
        height=context.height or None,
        fps=float(fps) if fps else None,
        frames=1 if still else stream.frames or None,
        duration=seconds,
        pixel_format=context.pix_fmt,
    )


def _seconds(stream: Any) -> float | None:
    """What the header says of one stream; Matroska keeps its end in a tag, such as 00:00:05.023000000."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    try:
        hours, minutes, seconds = stream.metadata.get("DURATION", "").split(":")
        end = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
        return max(0.0, end - float((stream.start_time or 0) * (stream.time_base or 0))) or None
    except ValueError:
        return None


class _Count:
    """What has been decoded of one stream."""

    def __init__(self) -> None:
        self.frames = 0
        self.samples_seconds = 0.0
        self.start: float | None = None
        self.end = 0.0

    def add(self, frame: VideoFrame | AudioFrame, step: float) -> None:
        """`step`: seconds that a frame lasts when it does not say so itself."""
        self.frames += 1
        base = float(frame.time_base) if frame.time_base else 0.0
        at = frame.pts * base if frame.pts is not None else self.end
        self.start = at if self.start is None else min(self.start, at)
        if isinstance(frame, AudioFrame):
            self.samples_seconds += frame.samples / frame.sample_rate
        else:
            self.end = max(self.end, at + (frame.duration * base or step))

    @property
    def seconds(self) -> float:
        return self.samples_seconds or self.end - (self.start or 0.0)


def _decode(job: Computation, container: InputContainer, name: str) -> dict[int, _Count]:
    streams: list[Any] = [s for s in container.streams if s.type in ("video", "audio") and s.codec_context is not None]
    steps: dict[int, float] = {}
    for stream in streams:
        stream.thread_type = "AUTO"
        rate = stream.average_rate if stream.type == "video" else None
        steps[stream.index] = float(1 / rate) if rate else 0.0
    counts = {stream.index: _Count() for stream in streams}
    try:
        for packet in container.demux(*streams):
            job.check()
            index = packet.stream.index  # of the last, empty packets only this is right, not packet.stream_index
            _decode_packet(packet, counts[index], steps[index], name)
    except (av.error.FFmpegError, OSError) as error:
        place = max((count.seconds for count in counts.values()), default=0.0)
        raise OutputInvalid(f"{name} cannot be decoded past {place:.1f} s: it is damaged or cut off.") from error
    return counts


def _decode_packet(packet: Packet[Any], count: _Count, step: float, name: str) -> None:
    if packet.is_corrupt:
        raise OutputInvalid(f"{name} is damaged or cut off after {count.seconds:.1f} s.")
    for frame in packet.decode():
        if isinstance(frame, VideoFrame) and frame.is_corrupt:
            raise OutputInvalid(f"{name} has a damaged picture after {count.seconds:.1f} s.")
        if isinstance(frame, VideoFrame | AudioFrame):
            count.add(frame, step)


def _measured(info: MediaInfo, counts: dict[int, _Count]) -> MediaInfo:
    """The description with what was decoded in place of what the header says."""
    still = info.duration is None and len(info.streams) == 1 and info.streams[0].frames == 1
    streams: list[Stream] = []
    times: list[float] = []
    for index, stream in enumerate(info.streams):
        count = counts.get(index)
        if count is not None and stream.kind in ("video", "audio"):
            if count.start is not None:
                times += (count.start, count.start + count.seconds)
            seconds = None if still else count.seconds
            frames = count.frames if stream.kind == "video" else None
            stream = msgspec.structs.replace(stream, frames=frames, duration=seconds)
        streams.append(stream)
    longest = max(times) - min(times) if times and not still else 0.0  # streams may begin at different times
    return msgspec.structs.replace(info, streams=tuple(streams), duration=longest or None)


def _stated(container: InputContainer) -> float | None:
    if container.format.name not in HONEST or not container.duration:
        return None
    return container.duration / av.time_base


def _check(name: str, info: MediaInfo, stated: float | None, duration: float | None, frames: int | None) -> None:
    main = info.first("video") or info.first("audio")
    if main is None or not (main.frames or main.duration):
        raise OutputInvalid(f"{name} holds no video or audio that decodes.")
    if main.kind == "video" and frames is not None and main.frames != frames:
        raise OutputInvalid(f"{name} decodes to {main.frames} frames where {frames} were expected.")
    if frames is not None and main.kind != "video":
        raise OutputInvalid(f"{name} holds no video where {frames} frames were expected.")
    if duration is not None and _differ(main.duration or 0.0, duration):
        seconds = f"{main.duration or 0.0:.1f} s of {main.kind} where {duration:.1f} s were expected"
        raise OutputInvalid(f"{name} decodes to {seconds}.")
    if stated is not None and stated - (info.duration or 0.0) > max(0.3, 0.005 * stated):
        raise OutputInvalid(f"{name} decodes to {info.duration or 0.0:.1f} s where its header says {stated:.1f} s.")


def _check_size(name: str, video: Stream | None, width: int | None, height: int | None) -> None:
    real = (video.width, video.height) if video is not None else (None, None)
    wanted = (real[0] if width is None else width, real[1] if height is None else height)
    if real != wanted:
        size = f"{real[0]} × {real[1]} pixels" if video is not None else "no picture"
        raise OutputInvalid(f"{name} has {size} where {wanted[0]} × {wanted[1]} were expected.")


def _differ(real: float, expected: float) -> bool:
    return abs(real - expected) > max(0.5, 0.02 * expected)
