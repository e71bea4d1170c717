"""The argument lists for Blender, and the runs of frames in them."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from zeus_plugins.blender.command import SCRIPTS, inspection, rendering
from zeus_plugins.blender.frames import Run, frames_of, runs, said

from zeus.engine import Span

PROGRAM, SOURCE, OPTIONS = Path("/opt/blender"), Path("/in/a.blend"), Path("/attempt/options.json")


def test_the_order_in_which_blender_acts() -> None:
    argv = rendering(PROGRAM, SOURCE, OPTIONS, [Run(1, 3, 1), Run(7, 7, 1)], scene="Main", threads=2)
    assert argv == [
        "/opt/blender", "--background", "--factory-startup", "--disable-autoexec", "-noaudio", "--threads", "2",
        "/in/a.blend", "--scene", "Main", "--python-exit-code", "3", "--python", str(SCRIPTS / "setup.py"),
        "-s", "1", "-e", "3", "-j", "1", "-a", "-s", "7", "-e", "7", "-j", "1", "-a", "--", "/attempt/options.json",
    ]  # fmt: skip


def test_scripts_run_only_where_the_node_allows_it_and_never_to_inspect() -> None:
    assert "--enable-autoexec" not in rendering(PROGRAM, SOURCE, OPTIONS, [])
    allowed = rendering(PROGRAM, SOURCE, OPTIONS, [], allow_scripts=True)
    assert "--enable-autoexec" in allowed and "--disable-autoexec" not in allowed
    assert "--disable-autoexec" in inspection(PROGRAM, SOURCE, OPTIONS)


def test_whatever_a_file_or_a_scene_is_called_it_is_no_option() -> None:
    argv = rendering(PROGRAM, Path("-a"), OPTIONS, [], scene="--python-expr")
    assert Path(argv[5]).is_absolute() and argv[argv.index("--scene") + 1] == "--python-expr"


def test_frames_that_are_done_are_left_out() -> None:
    assert list(runs(range(1, 11), {1, 2, 5}, 1)) == [Run(3, 4, 1), Run(6, 10, 1)]
    assert list(runs(range(1, 11, 3), {4}, 3)) == [Run(1, 1, 1), Run(7, 10, 3)]
    assert list(runs(range(1, 11), range(1, 11), 1)) == []


@given(st.integers(0, 50), st.integers(0, 60), st.integers(1, 7), st.sets(st.integers(0, 110)))
def test_the_runs_are_the_missing_frames_in_order(start: int, count: int, step: int, done: set[int]) -> None:
    frames = frames_of(Span(start, start + count), step)
    made = list(runs(frames, done, step))
    assert [frame for run in made for frame in run.frames] == [frame for frame in frames if frame not in done]
    assert all(run.frames[-1] == run.end for run in made)


def test_frames_in_a_sentence() -> None:
    assert said([3]) == "3"
    assert said(range(1, 30)) == "1, 2, 3, 4, 5, 6, 7, 8 and 21 more"
