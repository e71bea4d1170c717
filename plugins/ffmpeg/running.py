"""Runs FFmpeg's commands for one attempt, shows how far they are, and has a decoder check what they wrote."""

from __future__ import annotations

from pathlib import Path

from zeus.engine import RunContext
from zeus.errors import OutputInvalid, TaskFailed, ToolFailed

from .arguments import FFmpegArgs
from .codecs import Encoder
from .command import Plan, commands
from .expectation import compare, count_pictures
from .finder import Build
from .inputs import Work
from .lines import Progress, ProgressReader, is_progress

ENCODING = 0.95
"""The part of the progress that is FFmpeg's; the rest is the check."""


async def convert(context: RunContext[FFmpegArgs], build: Build, work: Work, encoder: Encoder) -> None:
    """Make the whole of a job's files."""
    plan = plan_of(context, work, encoder)
    lists = commands(str(build.path), plan)
    for index, argv in enumerate(lists):
        await run(context, argv, work, index, len(lists))
    if work.first_number is not None:
        await _check_pictures(context, work)
    else:
        await check(context, plan.target, work)
    context.report(1.0, "done", work.total)


def plan_of(context: RunContext[FFmpegArgs], work: Work, encoder: Encoder) -> Plan:
    return Plan(
        args=context.args,
        source=work.source,
        target=context.out / f"{work.stem}.{context.args.formats.container}",
        encoder=encoder,
        folder=context.folder,
        selection=work.selection,
        first_number=work.first_number,
    )


async def run(context: RunContext[FFmpegArgs], argv: list[str], work: Work, index: int, count: int) -> None:
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


async def check(context: RunContext[FFmpegArgs], target: Path, work: Work) -> None:
    """Raises OutputInvalid unless a file is whole and as long as was expected."""
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


def clear(folder: Path) -> None:
    """Leave nothing of a try that failed."""
    for path in _files(folder):
        path.unlink()
