"""Builds FFmpeg's argument lists, apart from running them. No value of a user's ever stands where an option could."""

from __future__ import annotations

from pathlib import Path

import msgspec

from .arguments import FFmpegArgs
from .codecs import Encoder, audio_options, tag, video_options
from .filters import Selection, audio_chain, rate, video_chain
from .formats import CONTAINERS
from .sequences import Sequence

QUIET = ("-nostdin", "-hide_banner", "-nostats", "-v", "level+warning")
PROGRESS = ("-progress", "pipe:1", "-stats_period", "0.2")
PICTURES_A_SECOND = 24.0
"""Of a sequence, when the job does not say."""
FASTSTART = frozenset({"mp4", "mov", "m4a"})


class Source(msgspec.Struct, frozen=True):
    """An input: the options that pin its demuxer, its address, and whether its pixels are RGB or linear light."""

    options: tuple[str, ...]
    url: str
    rgb: bool = False
    linear: bool = False
    moving: bool = True
    """False for pictures, whose rate is given by the job instead of being converted."""


class Plan(msgspec.Struct, frozen=True):
    """All that a conversion's command follows from.

    `first_number`: of an image sequence, whose files are named after `target`; None for a single file.
    """

    args: FFmpegArgs
    source: Source
    target: Path
    encoder: Encoder
    folder: Path
    selection: Selection | None = None
    first_number: int | None = None


def movie(path: Path, demuxer: str, args: FFmpegArgs, *, rgb: bool) -> Source:
    """A file whose demuxer a probe has told: FFmpeg shall not guess another one."""
    cut = []
    if args.start is not None:
        cut += ["-ss", f"{args.start:.6f}"]
    if args.duration is not None:
        cut += ["-t", f"{args.duration:.6f}"]
    return Source((*cut, "-f", demuxer), f"file:{path.absolute()}", rgb=rgb)


def still(path: Path, demuxer: str, args: FFmpegArgs) -> Source:
    """One picture; with a duration, shown for so long."""
    linear = demuxer == "exr_pipe"
    options = ["-f", demuxer, "-framerate", rate(args.fps or PICTURES_A_SECOND)]
    if args.duration is not None:
        options[1:2] = ["image2", "-pattern_type", "none", "-loop", "1"]
        options += ["-t", f"{args.duration:.6f}"]
    return Source(tuple(options), f"file:{path.absolute()}", rgb=True, linear=linear, moving=False)


def frames(sequence: Sequence, start: int, args: FFmpegArgs) -> Source:
    """Numbered pictures, `args.fps` of them a second."""
    fps = rate(args.fps or PICTURES_A_SECOND)
    row = ("-f", "image2", "-pattern_type", "sequence", "-start_number", str(start), "-framerate", fps)
    linear = sequence.after.lower().endswith(".exr")
    return Source(row, f"file:{sequence.pattern}", rgb=True, linear=linear, moving=False)


def commands(program: str, plan: Plan) -> list[list[str]]:
    """The commands to run, one after another: two for a GIF, which first needs its palette, else one."""
    if plan.args.formats.video != "gif":
        return [[*_opening(program, plan), *_streams(plan), *_ending(plan)]]
    chain, palette = _chain(plan), f"file:{plan.folder.absolute() / 'palette.png'}"
    first = ["-map", "0:V:0", "-vf", f"{chain},palettegen", "-frames:v", "1", "-update", "1", "-f", "image2", palette]
    graph = f"[0:V:0]{chain}[pictures];[pictures][1:v:0]paletteuse[out]"
    palette_input = ["-protocol_whitelist", "file,pipe", "-f", "png_pipe", "-i", palette]
    second = [*palette_input, "-filter_complex", graph, "-map", "[out]", "-c:v", "gif"]
    opening = _opening(program, plan)
    return [[*opening, *first], [*opening, *second, *_ending(plan)]]


def joining(program: str, plan: Plan, video: Source, called: str | None) -> list[str]:
    """The command that makes the file of video which is encoded already, and of all else that the input has.

    `called`: its tag, where it is not the usual one."""
    inputs = [option for source in (video, plan.source) for option in _input(source)]
    copied = [
        "-map_metadata",
        "1",
        "-map",
        "0:v:0",
        "-c:v",
        "copy",
        *(["-tag:v", called] if called else tag(plan.args)),
    ]
    return [program, *QUIET, *PROGRESS, "-y", *inputs, *copied, *_sound(plan, 1), *_ending(plan)]


def part(path: Path, demuxer: str, begins: float) -> Source:
    """Video that the job has made before, to be shown from some second on."""
    return Source(("-itsoffset", f"{begins:.6f}", "-f", demuxer), f"file:{path.absolute()}")


def _opening(program: str, plan: Plan) -> list[str]:
    device = ["-vaapi_device", plan.encoder.device] if plan.encoder.device else []
    return [program, *QUIET, *PROGRESS, "-y", *device, *_input(plan.source)]


def _input(source: Source) -> list[str]:
    return ["-protocol_whitelist", "file,pipe", *source.options, "-i", source.url]


def _streams(plan: Plan) -> list[str]:
    args, formats = plan.args, plan.args.formats
    options = ["-map_metadata", "0"]
    if formats.video == "none":
        options += ["-vn"]
    elif formats.video == "copy":
        options += ["-map", "0:V:0", "-c:v", "copy"]
    else:
        options += ["-map", "0:V:0", "-vf", _chain(plan), *video_options(args, plan.encoder)]
    return [*options, *_sound(plan, 0)]


def _sound(plan: Plan, number: int) -> list[str]:
    """That of an input."""
    args, formats = plan.args, plan.args.formats
    if formats.audio == "none":
        return ["-an"]
    chain = audio_chain(args, plan.selection) if formats.audio != "copy" else ""
    # sound may be absent beside pictures; alone, it is what the job is about
    stream = f"{number}:a:0" if formats.video == "none" else f"{number}:a:0?"
    return ["-map", stream, *(["-af", chain] if chain else []), *audio_options(args)]


def _chain(plan: Plan) -> str:
    source = plan.source
    upload = plan.encoder.hardware == "vaapi"
    return video_chain(
        plan.args, plan.selection, rgb=source.rgb, linear=source.linear, retime=source.moving, upload=upload
    )


def _ending(plan: Plan) -> list[str]:
    container = plan.args.formats.container
    options = ["-f", CONTAINERS[container].muxer]
    if container in FASTSTART:
        options += ["-movflags", "+faststart"]
    if plan.args.formats.image:
        if plan.first_number is None:
            options += ["-frames:v", "1", "-update", "1"]
        else:
            options += ["-fps_mode", "passthrough", "-start_number", str(plan.first_number)]
    return [*options, f"file:{_address(plan)}"]


def _address(plan: Plan) -> str:
    target = plan.target.absolute()
    if plan.first_number is None:
        return str(target)
    return f"{str(target.with_suffix('')).replace('%', '%%')}_%04d{target.suffix}"
