"""Frames on their way to the encoder: a named pipe that is written without ever being deaf to a cancel."""

from __future__ import annotations

import errno
import os
import select
import stat
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from zeus.errors import TaskFailed

_PATIENCE: Final = 0.05  # seconds between two looks at whether the caller was cancelled


class FramePipe:
    """Writes to a named pipe or a file. `check` is called again and again while it waits; it raises to stop.

    Raises TaskFailed with the code `reader_gone` when the reader goes away.
    """

    def __init__(self, target: Path, check: Callable[[], None]) -> None:
        self._check = check
        self._file = self._open(target)
        os.set_blocking(self._file, False)

    def _open(self, target: Path) -> int:
        """Wait for a reader: a plain open would not hear a cancel."""
        pipe = target.exists() and stat.S_ISFIFO(target.stat().st_mode)
        flags = os.O_WRONLY | os.O_NONBLOCK if pipe else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        while True:
            self._check()
            try:
                return os.open(target, flags | os.O_CLOEXEC, 0o666)
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise
            time.sleep(_PATIENCE)

    def write(self, data: memoryview | bytes) -> None:
        """Write all of it."""
        rest = memoryview(data).cast("B")
        while rest:
            self._check()
            _, ready, _ = select.select((), (self._file,), (), _PATIENCE)
            if ready:
                try:
                    rest = rest[os.write(self._file, rest[: 1 << 20]) :]
                except BlockingIOError:
                    continue
                except BrokenPipeError as error:
                    raise TaskFailed("the encoder stopped reading", code="reader_gone") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)
