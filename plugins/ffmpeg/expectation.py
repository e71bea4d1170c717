"""How long the output must be, from what the input holds and what the job takes of it. Pure."""

from __future__ import annotations

import msgspec

from zeus.engine import MediaInfo, Span
from zeus.errors import BadInput, OutputInvalid

from .arguments import FFmpegArgs


class Expectation(msgspec.Struct, frozen=True):
    """`seconds` of the first video stream (or sound alone), `whole` of the longest stream, and `frames` exactly.

    None where nothing can be said. `at_least`: a copy begins at the key frame before the wanted start.
    """

    seconds: float | None = None
    whole: float | None = None
    frames: int | None = None
    sound: bool = False
    at_least: bool = False

    @property
    def length(self) -> float | None:
        """Seconds for the progress."""
        return self.seconds if self.seconds is not None else self.whole


def of_frames(count: int, fps: float, args: FFmpegArgs, *, sound: bool, retimed: bool) -> Expectation:
    """Of a number of chosen frames; exact unless the rate is converted, or is a GIF's, which counts hundredths."""
    exact = not retimed and args.formats.container != "gif"
    return Expectation(count / fps, None, count if exact else None, sound)


def of_movie(name: str, info: MediaInfo, args: FFmpegArgs) -> Expectation:
    """Of a whole movie or sound, or of the part from `start` on, `duration` long. Raises BadInput past the end."""
    formats = args.formats
    main = info.first("audio" if formats.video == "none" else "video")
    seconds = main.duration if main is not None else None
    longest = max((seconds or 0.0, info.duration or 0.0))
    if args.start is not None and longest and args.start >= longest:
        raise BadInput(f"start is {args.start:g} s, but {name} is only {longest:.1f} s long.")
    sound = formats.audio != "none" and info.first("audio") is not None
    alone = len(info.streams) == 1
    return Expectation(
        seconds=_part(seconds or (info.duration if alone else None), args),
        whole=_part(info.duration, args) if sound and formats.video != "none" else None,
        sound=sound,
        at_least=formats.video == "copy" and args.start is not None,
    )


def compare(name: str, info: MediaInfo, expected: Expectation) -> None:
    """What a decoder's plain comparison does not see. Raises OutputInvalid."""
    if expected.sound and info.first("audio") is None:
        raise OutputInvalid(f"{name} has no sound, which the input has.")
    if expected.seconds is not None and not expected.at_least:
        return  # compared while it was decoded
    length = expected.seconds if expected.seconds is not None else expected.whole
    real = info.duration or 0.0
    if length is not None and real < length - max(0.5, 0.02 * length):
        raise OutputInvalid(f"{name} decodes to {real:.1f} s where {length:.1f} s were expected.")


def count_pictures(made: int, expected: Expectation, fps: float | None) -> None:
    """Compare the number of pictures of a movie: exactly where frames were chosen. Raises OutputInvalid."""
    if expected.frames is not None and made != expected.frames:
        raise OutputInvalid(f"{made} pictures were made where {expected.frames} were expected.")
    wanted = round(expected.seconds * fps) if expected.seconds and fps else 1
    slack = max(1.0, 0.5 * (fps or 0.0), 0.02 * wanted)
    if made < 1 or abs(made - wanted) > slack:
        raise OutputInvalid(f"{made} pictures were made where about {wanted} were expected.")


def check_span(name: str, span: Span, frames: int | None) -> None:
    """Raises BadInput when a movie does not have the frames that are asked for."""
    if span.start < 1:
        raise BadInput(f"start_frame is {span.start}, but the first frame of {name} is 1.")
    if frames is not None and span.end > frames:
        raise BadInput(f"end_frame is {span.end}, but {name} has only {frames} frames.")


def _part(seconds: float | None, args: FFmpegArgs) -> float | None:
    if seconds is None:
        return None
    left = max(0.0, seconds - (args.start or 0.0))
    return min(left, args.duration) if args.duration is not None else left
