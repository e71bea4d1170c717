"""The chain of filters between decoder and encoder: frames chosen, rate, size, colours. Numbers alone go into it."""

from __future__ import annotations

import msgspec

from .arguments import FFmpegArgs
from .formats import DELIVERY

BT709 = "setparams=color_primaries=bt709:color_trc=bt709:colorspace=bt709:range=tv"
TO_SRGB = (
    "format=gbrpf32le,setparams=color_primaries=bt709:color_trc=linear:colorspace=gbr:range=pc,"
    "zscale=transfer=iec61966-2-1,format=gbrp16le"
)
TO_LINEAR = (
    "format=gbrp|gbrp10le|gbrp12le|gbrp16le,setparams=color_primaries=bt709:color_trc=iec61966-2-1:colorspace=gbr:range=pc,"
    "zscale=transfer=linear,format=gbrpf32le"
)


class Selection(msgspec.Struct, frozen=True):
    """Frames of a movie, counted from 1, both ends included; `fps` of the movie turns them into times for its sound."""

    first: int
    last: int
    fps: float


def video_chain(
    args: FFmpegArgs, selection: Selection | None, *, rgb: bool, linear: bool, retime: bool, upload: bool
) -> str:
    """The filters of the video.

    `rgb`: the input has no matrix of its own; `linear`: its light is linear (EXR); `retime`: `args.fps` is a rate to
    convert to; `upload`: the encoder takes pictures on a VAAPI device.
    """
    codec = args.formats.video
    parts = []
    if selection is not None:
        parts.append(f"trim=start_frame={selection.first - 1}:end_frame={selection.last},setpts=PTS-STARTPTS")
    if linear and codec != "exr":
        parts.append(TO_SRGB)
    if args.fps is not None and retime:
        parts.append(f"fps={rate(args.fps)}")
    yuv = codec in (*DELIVERY, "prores")
    parts.append(_scale(args, even=yuv) + (":out_color_matrix=bt709:out_range=tv" if yuv and rgb else ""))
    if args.width is not None or args.height is not None or not yuv:
        parts.append("setsar=1")
    if yuv and rgb:
        parts.append(BT709)
    if codec == "exr" and not linear:
        parts.append(TO_LINEAR)
    if upload:
        parts.append("format=nv12,hwupload")
    return ",".join(parts)


def audio_chain(args: FFmpegArgs, selection: Selection | None) -> str:
    """The filters of the sound; empty for none."""
    parts = []
    if selection is not None:
        start, end = (selection.first - 1) / selection.fps, selection.last / selection.fps
        parts.append(f"atrim=start={start:.6f}:end={end:.6f},asetpts=PTS-STARTPTS")
    if args.formats.audio == "opus":  # libopus refuses layouts such as 5.1(side)
        parts.append("aformat=channel_layouts=7.1|5.1|stereo|mono")
    return ",".join(parts)


def rate(fps: float) -> str:
    """A frame rate for FFmpeg: 23.976 and its like are meant as 24000/1001."""
    whole = round(fps * 1.001)
    if fps != round(fps) and abs(fps * 1.001 - whole) < 0.002:
        return f"{whole * 1000}/1001"
    return f"{fps:.6f}".rstrip("0").rstrip(".")


def _scale(args: FFmpegArgs, *, even: bool) -> str:
    """Square pixels when a size is given; `dar` and `sar` are the input's shape of picture and pixel."""
    width, height, step = args.width, args.height, 2 if even else 1
    if width is None and height is None:
        return "scale=w='trunc(iw/2)*2':h='trunc(ih/2)*2'" if even else "scale=w='max(1,round(iw*sar))':h=ih"
    wide = _fit(str(width) if height is None else f"{height}*dar", step)
    high = _fit(str(height) if width is None else f"{width}/dar", step)
    if width is None:
        return f"scale=w='{wide}':h={height}"
    if height is None:
        return f"scale=w={width}:h='{high}'"
    return f"scale=w='min({width},{wide})':h='min({height},{high})'"


def _fit(expression: str, step: int) -> str:
    return f"{step}*max(1,round(({expression})/{step}))"
