"""Builds Blender's argument lists, apart from running them. The order matters: Blender acts on each as it comes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .frames import Run

SCRIPTS = Path(__file__).parent / "scripts"
RUNS = 200
"""Runs of frames in one command, so that its length stays far from the system's limit."""


def inspection(program: Path, source: Path, options: Path) -> list[str]:
    """Writes down what a file holds. Scripts are off, whatever the settings say: none is needed for that."""
    return [*_opening(program, source, allow_scripts=False), *_script("inspect_file.py"), "--", str(options)]


def rendering(
    program: Path,
    source: Path,
    options: Path,
    runs: Sequence[Run],
    *,
    scene: str | None = None,
    threads: int | None = None,
    allow_scripts: bool = False,
) -> list[str]:
    """Sets up the scene, then renders the runs one after another in the same process."""
    argv = _opening(program, source, allow_scripts=allow_scripts, threads=threads)
    if scene is not None:
        argv += ["--scene", scene]
    argv += _script("setup.py")
    for run in runs:
        argv += ["-s", str(run.start), "-e", str(run.end), "-j", str(run.step), "-a"]
    return [*argv, "--", str(options)]


def _opening(program: Path, source: Path, *, allow_scripts: bool, threads: int | None = None) -> list[str]:
    scripts = "--enable-autoexec" if allow_scripts else "--disable-autoexec"
    argv = [str(program), "--background", "--factory-startup", scripts, "-noaudio"]
    if threads is not None:
        argv += ["--threads", str(threads)]
    return [*argv, str(source.absolute())]


def _script(name: str) -> list[str]:
    return ["--python-exit-code", "3", "--python", str(SCRIPTS / name)]


def devices(program: Path) -> list[str]:
    """Prints what Cycles can render on."""
    return [str(program), "--background", "--factory-startup", "--disable-autoexec", "-noaudio", *_script("devices.py")]
