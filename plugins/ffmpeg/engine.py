"""The FFmpeg engine: looks at the input, runs FFmpeg, and has a decoder check what came out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from zeus.engine import Engine, Facts, RunContext, Span, Tools, Version
from zeus.errors import BadInput, OutputInvalid, TaskFailed, ToolFailed

from .arguments import FFmpegArgs
from .codecs import AUDIO, SOFTWARE, Encoder
from .command import Plan, commands
from .expectation import compare, count_pictures
from .finder import Build, Finder
from .formats import CONTAINERS
from .inputs import Work, examine, facts
from .lines import Progress, ProgressReader, is_progress
from .releases import RELEASES
from .sequences import PICTURES

MOVIES = "mp4,m4v,mov,mkv,webm,avi,mpg,mpeg,m2v,ts,mts,m2ts,vob,flv,wmv,asf,mxf,3gp,3g2,ogv,ivf,dv,gif,apng,y4m,nut"
SOUNDS = "wav,mp3,flac,m4a,aac,ogg,oga,opus,aif,aiff,caf,ac3,eac3,amr,au,wma,wv,tta,ape,mka"
ENCODING = 0.95
"""The part of the progress that is FFmpeg's; the rest is the check."""


class FFmpegSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`path`: the FFmpeg to use before all others."""

    path: str | None = None


class FFmpegEngine(Engine[FFmpegArgs]):
    """Converts movies, sounds, pictures and sequences of pictures."""

    name = "ffmpeg"
    extensions = frozenset([*MOVIES.split(","), *SOUNDS.split(","), *PICTURES])
    export_formats = tuple(CONTAINERS)
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

    async def run(self, context: RunContext[FFmpegArgs]) -> None:
        if context.input is None:
            raise BadInput("FFmpeg needs an input file.")
        args = context.args
        work = await examine(context, context.input, args, context.span)
        build = await self._finder.chosen(context, context.version)
        _check_encoders(build, args)
        encoder = await self._encoder(context, build)
        if encoder.hardware is None or args.hardware != "auto":
            return await _convert(context, build, work, encoder)
        try:
            await _convert(context, build, work, encoder)
        except (ToolFailed, OutputInvalid) as error:
            context.note(f"{encoder.name} failed ({error.message}), so the software encoder does it again")
            _clear(context.out)
            await _convert(context, build, work, Encoder(SOFTWARE[args.formats.video]))

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


async def _convert(context: RunContext[FFmpegArgs], build: Build, work: Work, encoder: Encoder) -> None:
    plan = Plan(
        args=context.args,
        source=work.source,
        target=context.out / f"{work.stem}.{context.args.formats.container}",
        encoder=encoder,
        folder=context.folder,
        selection=work.selection,
        first_number=work.first_number,
    )
    lists = commands(str(build.path), plan)
    for index, argv in enumerate(lists):
        await _run(context, argv, work, index, len(lists))
    if work.first_number is not None:
        await _check_pictures(context, work)
    else:
        await _check(context, plan.target, work)
    context.report(1.0, "done", work.total)


async def _run(context: RunContext[FFmpegArgs], argv: list[str], work: Work, index: int, count: int) -> None:
    """Run one of `count` commands, of which only the last makes frames."""
    reader = ProgressReader()

    def parse(line: str) -> bool:
        progress = reader.feed(line)
        if progress is not None:
            fraction = (index + progress.fraction(work.expected.length, work.total)) / count
            context.report(ENCODING * fraction, _words(progress, work), progress.frame if index == count - 1 else None)
        return is_progress(line)

    completed = await context.spawn(argv, parse=parse, env={"TMPDIR": str(context.folder)}, check=False)
    if completed.exit != 0:
        raise _failure(completed.exit, [_without_folders(line, context) for line in reader.errors])


def _words(progress: Progress, work: Work) -> str:
    remaining = progress.remaining(work.expected.length)
    speed = f", {progress.speed:.2g}× real time" if progress.speed else ""
    return f"encoding{speed}" + (f", {remaining:.0f} s left" if remaining is not None else "")


def _failure(exit_code: int, errors: list[str]) -> TaskFailed:
    if any("No space left on device" in line for line in errors):
        return ToolFailed("The disk is full.", code="disk_full", retry=False)
    how = f"ended with exit code {exit_code}" if exit_code >= 0 else f"was ended by signal {-exit_code}"
    reasons = "; ".join(errors[:3])  # the first are the cause, the later ones what follows from it
    # a header that cannot be written is a codec that the container does not take: it never will
    retry = not any("Could not write header" in line for line in errors)
    return ToolFailed(f"FFmpeg {how}{': ' + reasons if reasons else '.'}"[:1000], retry=retry)


def _without_folders(line: str, context: RunContext[FFmpegArgs]) -> str:
    folders = [context.out, context.folder, *([context.input.parent] if context.input is not None else [])]
    for folder in folders:
        line = line.replace(f"file:{folder.absolute()}/", "").replace(f"{folder.absolute()}/", "")
    return line


async def _check(context: RunContext[FFmpegArgs], target: Path, work: Work) -> None:
    context.report(ENCODING, "checking", work.total)
    if target not in _files(context.out):
        raise OutputInvalid(f"FFmpeg wrote no {target.name}.")
    expected = work.expected
    seconds = None if expected.at_least or context.args.formats.image else expected.seconds
    info = await context.verify(target, duration=seconds, frames=expected.frames)
    compare(target.name, info, expected)


async def _check_pictures(context: RunContext[FFmpegArgs], work: Work) -> None:
    pictures = _files(context.out)
    count_pictures(len(pictures), work.expected, work.fps)
    for index, path in enumerate(pictures):
        fraction = ENCODING + (1 - ENCODING) * index / len(pictures)
        context.report(fraction, "checking", len(pictures))
        await context.verify(path, frames=1)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file())


def _clear(folder: Path) -> None:
    for path in _files(folder):
        path.unlink()
