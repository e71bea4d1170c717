"""Where static builds of FFmpeg are published for the systems that Zeus knows, as data."""

from __future__ import annotations

from zeus.engine import Archive, ReleaseSource


def _file(system: str, ending: str) -> str:
    """A build of a release branch with all codecs: ffmpeg-n8.0-latest-linux64-gpl-8.0.tar.xz."""
    return rf"ffmpeg-n(?P<version>\d+(?:\.\d+)+)-latest-{system}-gpl-[\d.]+\.{ending}"


RELEASES = ReleaseSource(
    # one folder with the newest build of each branch; its sums are its only listing
    index="https://github.com/BtbN/FFmpeg-Builds/releases/download/latest/",
    archives=(
        Archive("linux", "x64", _file("linux64", r"tar\.xz"), "*/bin/ffmpeg"),
        Archive("linux", "arm64", _file("linuxarm64", r"tar\.xz"), "*/bin/ffmpeg"),
        Archive("windows", "x64", _file("win64", "zip"), "*/bin/ffmpeg.exe"),
        Archive("windows", "arm64", _file("winarm64", "zip"), "*/bin/ffmpeg.exe"),
    ),
    sums="checksums.sha256",
    version_arguments=("-version",),
    version_line=r"ffmpeg version n?(?P<version>\d+(?:\.\d+)+)",
)
