"""Writing into a new folder by descriptors, so that nothing that appears in it can lead a write elsewhere."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from zeus.unpack.rules import hostile
from zeus.unpack.tree import Parts

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

WAITING = 64
"""Files whose syncing is waited for together: side by side they share the file system's commits."""


class Target:
    """An empty folder that is being filled. What it makes gets the modes 0644 or 0755, less the umask."""

    def __init__(self, root: Path) -> None:
        self._at: Parts = ()
        self._folder = self._root = os.open(root, FOLDER)
        self._folders: dict[Parts, None] = {(): None}
        self._threads = ThreadPoolExecutor(8, "zeus-unpack")
        self._syncing: list[Future[None]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._threads.shutdown()
        self._leave()
        os.close(self._root)

    def folder(self, parts: Parts) -> int:
        """The descriptor of a folder, made on the way where it is missing; good until the next call."""
        if parts == self._at:
            return self._folder
        self._leave()
        for depth, part in enumerate(parts, 1):
            if parts[:depth] not in self._folders:
                with _named(parts):
                    os.mkdir(part, 0o755, dir_fd=self._folder)
                self._folders[parts[:depth]] = None
            inner = os.open(part, FOLDER, dir_fd=self._folder)
            self._leave()
            self._at, self._folder = parts[:depth], inner
        return self._folder

    def file(self, parts: Parts, blocks: Iterable[bytes], *, executable: bool) -> None:
        """Write a file."""
        mode = 0o755 if executable else 0o644
        folder = self.folder(parts[:-1])
        with _named(parts):
            descriptor = os.open(parts[-1], NEW_FILE, mode, dir_fd=folder)
        try:
            for block in blocks:
                _write(descriptor, block)
        except BaseException:
            os.close(descriptor)
            raise
        self._syncing.append(self._threads.submit(_sync, descriptor))
        if len(self._syncing) == WAITING:
            self._settle()

    def twin(self, parts: Parts, of: Parts) -> None:
        """Give a file that was written a second name."""
        source = os.dup(self.folder(of[:-1]))
        try:
            folder = self.folder(parts[:-1])
            with _named(parts):
                os.link(of[-1], parts[-1], src_dir_fd=source, dst_dir_fd=folder, follow_symlinks=False)
        finally:
            os.close(source)

    def link(self, parts: Parts, goal: str) -> None:
        """Make a symbolic link."""
        folder = self.folder(parts[:-1])
        with _named(parts):
            os.symlink(goal, parts[-1], dir_fd=folder)

    def sync(self) -> None:
        """Make all that was made durable: files, then names, the innermost folders first."""
        self._settle()
        for parts in sorted(self._folders, key=len, reverse=True):
            os.fsync(self.folder(parts))

    def _settle(self) -> None:
        """Wait for the files that are being synced. Raises their errors."""
        for each in self._syncing:
            each.result()
        self._syncing.clear()

    def _leave(self) -> None:
        """Back to the root."""
        if self._folder != self._root:
            os.close(self._folder)
        self._at, self._folder = (), self._root


def _sync(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(descriptor: int, block: bytes) -> None:
    rest = memoryview(block)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


@contextlib.contextmanager
def _named(parts: Parts) -> Iterator[None]:
    """Tell names that this file system cannot hold, or takes for one, as the archive's fault."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENAMETOOLONG, errno.EILSEQ):
            why = f"cannot be stored on this file system ({os.strerror(error.errno)})"
            raise hostile(why, "/".join(parts)) from error
        raise
