"""Unpacking zip and tar archives that nobody vouches for, into a new folder, or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath

from zeus.errors import NoSpace
from zeus.unpack.fromtar import tar_entries
from zeus.unpack.fromzip import zip_entries
from zeus.unpack.rules import Entry, Kind, Limits, Meter
from zeus.unpack.target import Target
from zeus.unpack.tree import Parts, Tree

__all__ = ["Limits", "unpack"]
DEFAULT = Limits()


def unpack(
    archive: Path,
    target: Path,
    limits: Limits = DEFAULT,
    *,
    links: bool = False,
    check: Callable[[], None] | None = None,
) -> list[PurePosixPath]:
    """Unpack a zip, or a tar as it is or in gzip, bzip2 or xz, into a new folder; its files and links, as it has them.

    What the archive is, its content tells, not its name. All that is in the folder is durable when this returns; the
    folder's own name is not yet. On any error there is no folder. With `links`, symbolic links that stay inside are
    made, after everything else, and hard links to files of the archive. Blocks: call it in a thread. `check` is called
    again and again; what it raises ends the work.

    Raises BadInput (`hostile_archive`, `invalid_archive`), NoSpace, and FileExistsError where the folder is already.
    """
    with archive.open("rb") as file:
        meter = Meter(limits, os.fstat(file.fileno()).st_size, check)
        entries = _entries(file.fileno(), meter)
        with _new(target), Target(target) as made:
            return _fill(made, entries, Tree(meter, links=links))


@contextlib.contextmanager
def _new(folder: Path) -> Iterator[None]:
    """A new folder, which is gone again on any error. Raises NoSpace for a full disk."""
    try:
        folder.mkdir()
        try:
            yield
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoSpace() from error
        raise


def _entries(file: int, meter: Meter) -> Iterable[Entry]:
    """A zip's entries as a list, whose names can be checked before anything is written; a tar's as they come."""
    return zip_entries(file, meter) if os.pread(file, 2, 0) == b"PK" else tar_entries(file, meter)


def _fill(made: Target, entries: Iterable[Entry], tree: Tree) -> list[PurePosixPath]:
    pairs: Iterable[tuple[Parts | None, Entry]] = ((tree.add(entry), entry) for entry in entries)
    found = []
    for parts, entry in list(pairs) if isinstance(entries, list) else pairs:
        if parts is None:
            continue
        if entry.kind is Kind.FILE:
            made.file(parts, entry.blocks, executable=entry.executable)
        elif entry.kind is Kind.TWIN:
            made.twin(parts, tree.twin_of(entry))
        elif entry.kind is Kind.FOLDER:
            made.folder(parts)
        if entry.kind is not Kind.FOLDER:
            found.append(PurePosixPath(*parts))
    for parts, goal in tree.links():
        made.link(parts, goal)
    made.sync()
    return found
