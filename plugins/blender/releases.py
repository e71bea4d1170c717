"""Where Blender's versions are published: the folders of its download server, as data."""

from __future__ import annotations

from zeus.engine import Archive, ReleaseSource

VERSION = r"(?P<version>\d+\.\d+\.\d+)"

RELEASES = ReleaseSource(
    index="https://download.blender.org/release/",
    folder=r"Blender(?P<series>\d+\.\d+)/",
    archives=(
        # Older series say linux64 and windows64. The disk images for macOS are nothing that could be unpacked here.
        Archive("linux", "x64", rf"blender-{VERSION}-linux(?:-x)?64\.tar\.xz", "*/blender"),
        Archive("windows", "x64", rf"blender-{VERSION}-windows(?:-x)?64\.zip", "*/blender.exe"),
        Archive("windows", "arm64", rf"blender-{VERSION}-windows-arm64\.zip", "*/blender.exe"),
    ),
    sums="blender-{version}.sha256",
    version_line=r"Blender (?P<version>\d+\.\d+(?:\.\d+)?)",
    lts=("2.83", "2.93", "3.3", "3.6", "4.2", "4.5", "5.2"),
)
