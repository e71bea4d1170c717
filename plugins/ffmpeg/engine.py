"""The FFmpeg engine: looks at the input, runs FFmpeg, and has a decoder check what came out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from zeus.engine import Engine, Facts, Made, Piece, RunContext, Span, Tools, Version
from zeus.errors import BadInput, OutputInvalid, TaskFailed, ToolFailed

from .arguments import FFmpegArgs
from .codecs import AUDIO, SOFTWARE, Encoder
from .finder import Build, Finder
from .formats import CONTAINERS
from .inputs import examine, facts
from .releases import RELEASES
from .running import clear, convert
from .sequences import PICTURES
from .splitting import cut, join, part_args

MOVIES = "mp4,m4v,mov,mkv,webm,avi,mpg,mpeg,m2v,ts,mts,m2ts,vob,flv,wmv,asf,mxf,3gp,3g2,ogv,ivf,dv,gif,apng,y4m,nut"
SOUNDS = "wav,mp3,flac,m4a,aac,ogg,oga,opus,aif,aiff,caf,ac3,eac3,amr,au,wma,wv,tta,ape,mka"


class FFmpegSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`path`: the FFmpeg to use before all others."""

    path: str | None = None


class FFmpegEngine(Engine[FFmpegArgs]):
    """Converts movies, sounds, pictures and sequences of pictures."""

    name = "ffmpeg"
    extensions = frozenset([*MOVIES.split(","), *SOUNDS.split(","), *PICTURES])
    export_formats = tuple(CONTAINERS)
    splits = "parts"
    needs_input = True
    Args = FFmpegArgs
    Settings = FFmpegSettings
    releases = RELEASES

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self._finder = Finder(settings.path)

    async def ready(self, tools: Tools) -> str | None:
        return await self._finder.reason(tools)

    async def versions(self, tools: Tools) -> list[Version]:
        return await self._finder.versions(tools)

    async def help(self, tools: Tools) -> str:
        return "\n".join(await self._finder.lines(tools, "-h")) + "\n"

    async def system_info(self, tools: Tools) -> dict[str, str]:
        build = await self._finder.best(tools)
        return {
            "version": (await self._finder.lines(tools, "-version"))[0],
            "source": build.source,
            "hardware_encoders": ", ".join(await self._finder.working(tools, build)) or "none",
        }

    def settle(self, args: FFmpegArgs, span: Span | None, facts: Facts | None = None) -> tuple[FFmpegArgs, Span | None]:
        if span is None:
            return args, span
        if span.start < 0 or span.end < span.start:
            raise BadInput(f"start_frame {span.start} and end_frame {span.end} are no range of frames.")
        if args.start is not None or args.duration is not None:
            raise BadInput("start and duration cannot be given together with start_frame and end_frame.")
        if args.formats.video in ("copy", "none"):
            raise BadInput(f"start_frame and end_frame cannot be given with video_codec {args.formats.video}.")
        return args, span

    async def inspect(self, tools: Tools, path: Path) -> Facts:
        return await facts(tools, path)

    def part_args(self, args: FFmpegArgs) -> FFmpegArgs | None:
        return part_args(args)

    async def cut(self, context: RunContext[FFmpegArgs], weights: Sequence[float]) -> Sequence[Piece[FFmpegArgs]]:
        return await cut(context, weights)

    async def join(self, context: RunContext[FFmpegArgs], made: Sequence[Made]) -> None:
        build = await self._finder.chosen(context, context.version)
        _check_encoders(build, context.args)
        await join(context, build, made)

    async def run(self, context: RunContext[FFmpegArgs]) -> None:
        if context.input is None:
            raise BadInput("FFmpeg needs an input file.")
        args = context.args
        work = await examine(context, context.input, args, context.span)
        build = await self._finder.chosen(context, context.version)
        _check_encoders(build, args)
        encoder = await self._encoder(context, build)
        if encoder.hardware is None or args.hardware != "auto":
            return await convert(context, build, work, encoder)
        try:
            await convert(context, build, work, encoder)
        except (ToolFailed, OutputInvalid) as error:
            context.note(f"{encoder.name} failed ({error.message}), so the software encoder does it again")
            clear(context.out)
            await convert(context, build, work, Encoder(SOFTWARE[args.formats.video]))

    async def _encoder(self, context: RunContext[FFmpegArgs], build: Build) -> Encoder:
        codec, kind = context.args.formats.video, context.args.hardware
        software = Encoder(SOFTWARE.get(codec, ""))
        if kind == "none":
            return software
        encoder = await self._finder.hardware(context, build, codec, kind)
        if encoder is None and kind != "auto":
            raise TaskFailed(f"hardware {kind} cannot encode {codec} on this machine: its test encode failed.")
        context.note(f"encoder: {(encoder or software).name or codec}")
        return encoder or software


def _check_encoders(build: Build, args: FFmpegArgs) -> None:
    formats = args.formats
    for codec, encoder in ((formats.video, SOFTWARE.get(formats.video)), (formats.audio, AUDIO.get(formats.audio))):
        if encoder is not None and encoder not in build.encoders:
            message = f"FFmpeg {build.version} on this machine cannot encode {codec}: it lacks {encoder}."
            raise TaskFailed(message, retry=False)
