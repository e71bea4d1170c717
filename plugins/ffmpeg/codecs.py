"""The options of each encoder: how a quality, a speed and a bit rate are said to it."""

from __future__ import annotations

import msgspec

from .arguments import FFmpegArgs


class Encoder(msgspec.Struct, frozen=True):
    """A video encoder: FFmpeg's name, the kind of hardware (None: software) and VAAPI's device."""

    name: str
    hardware: str | None = None
    device: str | None = None


SOFTWARE = {
    "h264": "libx264",
    "hevc": "libx265",
    "av1": "libsvtav1",
    "vp9": "libvpx-vp9",
    "prores": "prores_ks",
    "gif": "gif",
    "png": "png",
    "jpg": "mjpeg",
    "tiff": "tiff",
    "exr": "exr",
}
AUDIO = {
    "aac": "aac",
    "opus": "libopus",
    "vorbis": "libvorbis",
    "mp3": "libmp3lame",
    "flac": "flac",
    "pcm": "pcm_s16le",
}
CRF = {"h264": 20, "hevc": 24, "av1": 30, "vp9": 31}
"""The quality when neither crf nor bitrate is given."""

_X26X = {"fastest": "ultrafast", "fast": "veryfast", "medium": "medium", "slow": "slow", "slowest": "veryslow"}
_SPEEDS = {
    "libx264": ("-preset", _X26X),
    "libx265": ("-preset", _X26X),
    "libsvtav1": ("-preset", {"fastest": "9", "fast": "8", "medium": "7", "slow": "6", "slowest": "4"}),
    "libvpx-vp9": ("-cpu-used", {"fastest": "8", "fast": "5", "medium": "3", "slow": "2", "slowest": "1"}),
    "nvenc": ("-preset", {"fastest": "p1", "fast": "p3", "medium": "p4", "slow": "p6", "slowest": "p7"}),
    "qsv": ("-preset", {"fastest": "veryfast", "fast": "faster", "medium": "medium", "slow": "slow"}),
    "amf": ("-quality", {"fastest": "speed", "fast": "speed", "medium": "balanced", "slow": "quality"}),
}
_SLOWEST = {"qsv": "veryslow", "amf": "quality"}


def video_options(args: FFmpegArgs, encoder: Encoder) -> list[str]:
    """From `-c:v` on, for what is encoded (neither copied nor left out)."""
    codec = args.formats.video
    options = ["-c:v", encoder.name, *_fixed(codec, encoder), *_speed(args.speed, encoder)]
    if codec in CRF:
        options += _rate(args, encoder, args.crf if args.crf is not None else CRF[codec])
    return [*options, *tag(args)]


def tag(args: FFmpegArgs) -> list[str]:
    """The tag that Apple's players know."""
    return ["-tag:v", "hvc1"] if args.formats.video == "hevc" and args.formats.container in ("mp4", "mov") else []


def audio_options(args: FFmpegArgs) -> list[str]:
    """From `-c:a` on."""
    codec = args.formats.audio
    if codec == "copy":
        return ["-c:a", "copy"]
    options = ["-c:a", AUDIO[codec]]
    if args.audio_bitrate is not None:
        options += ["-b:a", f"{args.audio_bitrate}k"]
    return options


def _fixed(codec: str, encoder: Encoder) -> list[str]:
    if codec == "prores":
        return ["-profile:v", "3", "-vendor", "apl0", "-pix_fmt", "yuv422p10le"]
    if codec == "jpg":
        return ["-q:v", "2", "-pix_fmt", "yuvj420p"]
    if encoder.name == "libvpx-vp9":
        return ["-deadline", "good", "-row-mt", "1", "-pix_fmt", "yuv420p"]
    if encoder.name == "libx265":
        return ["-x265-params", "log-level=error", "-pix_fmt", "yuv420p"]
    if codec in CRF and encoder.hardware is None:
        return ["-pix_fmt", "yuv420p"]
    if codec in CRF and encoder.hardware != "vaapi":  # its filter chain ends in pictures on the device
        return ["-pix_fmt", "nv12"]
    return []


def _speed(speed: str, encoder: Encoder) -> list[str]:
    kind = encoder.hardware or encoder.name
    if kind not in _SPEEDS:
        return []
    option, values = _SPEEDS[kind]
    return [option, values.get(speed) or _SLOWEST[kind]]


def _rate(args: FFmpegArgs, encoder: Encoder, crf: int) -> list[str]:
    if args.bitrate is not None:
        return ["-b:v", f"{args.bitrate}k"]
    quality = str(crf)
    match encoder.hardware:
        case "nvenc":
            return ["-rc", "vbr", "-cq", quality, "-b:v", "0"]
        case "qsv":
            return ["-global_quality", str(max(1, crf))]
        case "vaapi":
            return ["-rc_mode", "CQP", "-qp", quality]
        case "amf":
            return ["-rc", "cqp", "-qp_i", quality, "-qp_p", quality]
        case "videotoolbox":
            return ["-q:v", str(max(1, 100 - crf * 3 // 2))]  # its scale is 1 to 100, the best last
    return ["-crf", quality, *(["-b:v", "0"] if encoder.name == "libvpx-vp9" else [])]
