"""Shares a conversion out: which can be, the movie's segments as pieces, and one file of what they became."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from zeus.engine import Made, Piece, RunContext, Span
from zeus.errors import BadInput, OutputInvalid

from .arguments import FFmpegArgs
from .codecs import Encoder
from .command import joining, part
from .expectation import Expectation
from .finder import Build
from .formats import CONTAINERS
from .inputs import examine
from .running import check, plan_of, run

CODECS = frozenset({"h264", "hevc", "av1", "vp9", "prores"})
DEMUXERS = {"mp4": "mov", "mov": "mov", "mkv": "matroska", "webm": "matroska"}
"""Of the containers that a split job may make."""
ENDINGS = {"mov": "mov", "matroska": "mkv"}
"""Of segments, by the demuxer of the movie: such as keep what it says of its picture."""
_CUT: Final = f"{__package__}.cutting:cut"
_JOIN: Final = f"{__package__}.joining:join"
_COMPARE: Final = f"{__package__}.joining:compare"


def part_args(args: FFmpegArgs) -> FFmpegArgs | None:
    """The same video without sound; None for what is never split."""
    formats = args.formats
    if _unsuited(args) is not None:
        return None
    return msgspec.structs.replace(
        args, container=formats.container, video_codec=formats.video, audio_codec="none", audio_bitrate=None
    )


async def cut(context: RunContext[FFmpegArgs], weights: Sequence[float]) -> Sequence[Piece[FFmpegArgs]]:
    """One piece for each segment; none, and a note, where the job has to run whole."""
    source, args = _input(context), context.args
    work = await examine(context, source, args, context.span)
    reason = _unsuited(args) or (None if work.source.moving else "its input is made of pictures")
    own = part_args(args)
    if reason is None:
        demuxer = (await context.probe(source)).container.partition(",")[0]
        found = await _segments(context, source, demuxer, weights)
        names, reason = found["segments"], found["reason"]
    if reason is not None or own is None:
        context.note(f"runs whole: {reason}")
        return ()
    return [
        Piece(f"part {number} of {len(names)}", context.out / name, own, Span(first, last))
        for number, (name, first, last) in enumerate(names, 1)
    ]


async def join(context: RunContext[FFmpegArgs], build: Build, made: Sequence[Made]) -> None:
    """Put the parts' video and the input's sound, encoded once, into the job's file."""
    source, formats = _input(context), context.args.formats
    work = await examine(context, source, context.args, context.span)
    video = context.folder / f"video.{formats.container}"
    demuxer = DEMUXERS[formats.container]
    facts = await context.compute(
        _JOIN,
        {
            "path": str(source), "source": (await context.probe(source)).container.partition(",")[0],
            "parts": [_part(each) for each in made], "demuxer": demuxer, "target": str(video),
            "form": CONTAINERS[formats.container].muxer, **_frames(context.span),
        },
        report=lambda fraction: context.report(0.3 * fraction, "joining"), apart=True,
    )  # fmt: skip
    work = msgspec.structs.replace(work, expected=_expected(work.expected, facts))
    plan = plan_of(context, work, Encoder(""))
    # chosen frames begin at once, all of them as late as they do in the input
    begins = facts["first"] if work.selection is None else 0.0
    tag = facts["tag"] if formats.container in ("mp4", "mov") else None
    await run(context, joining(str(build.path), plan, part(video, demuxer, begins), tag), work, 0, 1)
    video.unlink()
    await check(context, plan.target, work)
    expected = {"frames": facts["frames"], "last": facts["last"]}
    await context.compute(_COMPARE, {"path": str(plan.target), "demuxer": demuxer, **expected}, apart=True)
    context.report(1.0, "done", facts["frames"])


async def _segments(
    context: RunContext[FFmpegArgs], source: Path, demuxer: str, weights: Sequence[float]
) -> dict[str, Any]:
    if demuxer not in ENDINGS:
        return {"segments": [], "reason": f"Zeus cuts mp4, mov, mkv and webm, and its input is {demuxer}"}
    arguments = {"path": str(source), "demuxer": demuxer, "folder": str(context.out), "ending": ENDINGS[demuxer]}
    found: dict[str, Any] = await context.compute(
        _CUT, {**arguments, "weights": list(weights), **_frames(context.span)},
        report=lambda fraction: context.report(fraction, "cutting"), apart=True,
    )  # fmt: skip
    return found


def _unsuited(args: FFmpegArgs) -> str | None:
    """Why a job with these arguments is never split."""
    formats = args.formats
    if formats.video not in CODECS or formats.container not in DEMUXERS:
        return f"Zeus joins {', '.join(sorted(CODECS))}, and it makes {formats.video} in {formats.container}"
    if args.hardware != "none":
        return "encoders of different hardware make parts that cannot be joined"
    for name in ("fps", "start", "duration"):
        if getattr(args, name) is not None:
            return f"{name} chooses its frames by their times"
    return None


def _expected(plain: Expectation, facts: dict[str, Any]) -> Expectation:
    """What an unsplit job's file must be like, with the exact number of frames."""
    return msgspec.structs.replace(plain, seconds=plain.seconds or facts["seconds"], frames=facts["frames"])


def _frames(span: Span | None) -> dict[str, int]:
    return {"first": span.start, "last": span.end} if span is not None else {"first": 1, "last": 0}


def _part(made: Made) -> tuple[str, str, int]:
    if len(made.files) != 1:
        raise OutputInvalid(f"{made.name} has made {len(made.files)} files where one was expected.", retry=False)
    return made.name, str(made.files[0]), made.span.count if made.span is not None else 0


def _input(context: RunContext[FFmpegArgs]) -> Path:
    if context.input is None:
        raise BadInput("FFmpeg needs an input file.")
    return context.input
