"""The last look at a joined film: as many frames as the input, each shown when the input shows it."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from zeus_plugins.ffmpeg import FFmpegEngine
from zeus_plugins.ffmpeg.engine import FFmpegSettings
from zeus_plugins.ffmpeg.joining import compare

from tests import ffmpeg_samples
from tests.ffmpeg_context import Quiet
from tests.test_ffmpeg_segments import PROGRAM, SOURCES, Make, make, split
from zeus.errors import OutputInvalid

__all__ = ["make"]
LAST = 47 / 25
"""Seconds until the last of 48 frames of 25 a second begins."""
SLOWER = """
for each in "$@"; do
  shift
  [ "$each" = -itsoffset ] && set -- "$@" -itsscale 1.015
  set -- "$@" "$each"
done
exec "$REAL" "$@"
"""
"""Has the film that is joined, and nothing else, take a little longer: less than a decoder takes for an error."""


def test_the_number_of_frames_and_the_time_of_the_last_one(tmp_path: Path) -> None:
    path = str(ffmpeg_samples.movie(tmp_path / "film.mp4", frames=48, fps=25, options={}))
    for near in (LAST, LAST - 0.018, LAST + 0.018):  # half a frame is 0.02 s
        compare(Quiet(), path, "mov", 48, near)
    for frames in (47, 49):
        with pytest.raises(OutputInvalid, match=rf"^film\.mp4 has 48 frames where the input has {frames}\.$"):
            compare(Quiet(), path, "mov", frames, LAST)
    for far in (LAST - 0.025, LAST + 0.025, 0.0, 60.0):
        with pytest.raises(OutputInvalid, match=r"^film\.mp4 shows its last frame after 1\.880 s, the input after "):
            compare(Quiet(), path, "mov", 48, far)


async def test_a_film_that_was_joined_too_slow_does_not_pass(make: Make, tmp_path: Path) -> None:
    """It has all frames, and is as long as it should be by the measure of a decoder, but falls behind its sound."""
    source = await make("film.mp4", SOURCES["closed.mp4"])
    (tmp_path / "ffmpeg").write_text(f"#!/bin/sh\nREAL='{PROGRAM}'\n{SLOWER}")
    (tmp_path / "ffmpeg").chmod(stat.S_IRWXU)
    engine = FFmpegEngine(FFmpegSettings(path=str(tmp_path / "ffmpeg")))
    told = r"^film\.mp4 shows its last frame after 2\.395 s, the input after 2\.360 s\.$"
    with pytest.raises(OutputInvalid, match=told):
        await split(engine, source, 2)
