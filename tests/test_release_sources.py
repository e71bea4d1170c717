"""The data about where versions are published: which files and folders are taken, and what tools print."""

from __future__ import annotations

import re

import pytest
from zeus_plugins.blender.releases import RELEASES as BLENDER
from zeus_plugins.ffmpeg.releases import RELEASES as FFMPEG

from zeus.engine import ReleaseSource

FFMPEG_8 = "ffmpeg-n8.0-latest"


def versions(source: ReleaseSource, file: str) -> dict[str, str]:
    """For which systems a file is taken, and as which version."""
    found = ((each, re.fullmatch(each.file, file)) for each in source.archives)
    return {f"{each.system} {each.cpu}": match["version"] for each, match in found if match}


@pytest.mark.parametrize(
    ("source", "file", "taken"),
    [
        (BLENDER, "blender-4.2.3-linux-x64.tar.xz", {"linux x64": "4.2.3"}),
        (BLENDER, "blender-2.83.0-linux64.tar.xz", {"linux x64": "2.83.0"}),
        (BLENDER, "blender-4.2.3-windows-x64.zip", {"windows x64": "4.2.3"}),
        (BLENDER, "blender-4.5.1-windows-arm64.zip", {"windows arm64": "4.5.1"}),
        (BLENDER, "blender-4.2.3-windows-x64.msi", {}),
        (BLENDER, "blender-4.2.3-macos-arm64.dmg", {}),
        (BLENDER, "blender-4.2.3.tar.xz", {}),
        (BLENDER, "blender-4.2.3-linux-x64.tar.xz.sha256", {}),
        (FFMPEG, f"{FFMPEG_8}-linux64-gpl-8.0.tar.xz", {"linux x64": "8.0"}),
        (FFMPEG, f"{FFMPEG_8}-linuxarm64-gpl-8.0.tar.xz", {"linux arm64": "8.0"}),
        (FFMPEG, f"{FFMPEG_8}-win64-gpl-8.0.zip", {"windows x64": "8.0"}),
        (FFMPEG, f"{FFMPEG_8}-linux64-gpl-shared-8.0.tar.xz", {}),
        (FFMPEG, f"{FFMPEG_8}-linux64-lgpl-8.0.tar.xz", {}),
        (FFMPEG, "ffmpeg-master-latest-linux64-gpl.tar.xz", {}),
    ],
)
def test_which_files_are_taken(source: ReleaseSource, file: str, taken: dict[str, str]) -> None:
    assert versions(source, file) == taken


def test_which_folders_are_series() -> None:
    assert BLENDER.folder is not None
    names = ["Blender4.2/", "Blender2.93/", "Blender5.0/", "BlenderBenchmark2.0/", "Blender4.2", "Publisher2.25/"]
    matches = [re.fullmatch(BLENDER.folder, name) for name in names]
    assert [match and match["series"] for match in matches] == ["4.2", "2.93", "5.0", None, None, None]
    assert FFMPEG.folder is None and "{version}" not in FFMPEG.sums


@pytest.mark.parametrize(
    ("source", "line", "version"),
    [
        (BLENDER, "Blender 4.2.3 LTS", "4.2.3"),
        (BLENDER, "Blender 5.0.1", "5.0.1"),
        (FFMPEG, "ffmpeg version n8.0-16-gd8605a6b55-20251029 Copyright (c) 2000-2025", "8.0"),
        (FFMPEG, "ffmpeg version n8.0.1 Copyright (c) 2000-2025", "8.0.1"),
        (FFMPEG, "ffmpeg version 5.1.9-0+deb12u1 Copyright (c) 2000-2025", "5.1.9"),
    ],
)
def test_what_tools_print(source: ReleaseSource, line: str, version: str) -> None:
    match = re.match(source.version_line, line)
    assert match and match["version"] == version


@pytest.mark.parametrize("source", [BLENDER, FFMPEG])
def test_a_source_is_reached_by_https(source: ReleaseSource) -> None:
    assert source.index.startswith("https://") and source.index.endswith("/")
