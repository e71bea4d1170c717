"""The real Blender, and a folder of scenes that it made."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import HANG, need

PROGRAM = shutil.which("blender") or ""
SCENES = Path(__file__).parent / "blender_scenes.py"
LIMIT = 5 * HANG


def blender(*arguments: str) -> str:
    """Run it; what it printed."""
    argv = [PROGRAM, "-b", "--factory-startup", "-noaudio", *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=LIMIT, check=True)
    return done.stdout


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the .blend files of blender_scenes.py."""
    need(PROGRAM, "Blender", "on Debian and Ubuntu, `apt install blender libegl-mesa0` brings it")
    folder = tmp_path_factory.mktemp("scenes")
    blender("--python-exit-code", "3", "--python", str(SCENES), "--", str(folder))
    return folder
