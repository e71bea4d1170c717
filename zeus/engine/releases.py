"""Where the versions of an engine's tool are published, as data."""

from __future__ import annotations

import msgspec


class Archive(msgspec.Struct, frozen=True):
    """The archives that hold an engine's tool for one system (linux, windows, macos) and processor (x64, arm64)."""

    system: str
    cpu: str
    file: str
    """A regular expression of the whole file name, with a group `version`. Name only what ends in .zip, .tar, .tar.gz,
    .tar.bz2 or .tar.xz: Zeus unpacks nothing else."""
    executable: str
    """Where the tool lies in what is unpacked: a path in which `*` stands for one folder, such as "*/bin/ffmpeg"."""


class ReleaseSource(msgspec.Struct, frozen=True):
    """Where the versions of an engine's tool are published that Zeus may install, verify and remove."""

    index: str
    """The URL of a folder, with its slash at the end; `[engines.NAME] mirror` takes its place."""
    archives: tuple[Archive, ...]
    sums: str
    """The file beside an archive with its sha256, as `sha256sum` writes it; "{version}" in it stands for the version.
    Where no version is in it, it is the list of the archives too, and no listing of the folder is asked for."""
    version_line: str
    """A regular expression of what the tool prints about itself, with a group `version`."""
    version_arguments: tuple[str, ...] = ("--version",)
    """What the tool is called with to print it."""
    folder: str | None = None
    """A regular expression of the names in the index that are folders of archives, with a group `series` such as 4.2;
    None where the archives lie in the index itself."""
    lts: tuple[str, ...] = ()
    """The series with long-term support."""
