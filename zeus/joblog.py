"""An attempt's log file, which never grows past its cap: the beginning is kept, and of the rest the end."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import IO

TAIL = 1 << 16
"""Bytes of the end that are kept once the log is full."""


class JobLog:
    """Appends to a file in a thread. A disk that is full ends the log, not the job."""

    def __init__(self, path: Path, cap: int) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        self._room = max(cap - TAIL, 0)
        self._tail = bytearray()
        self._left_out = 0

    async def write(self, text: str) -> None:
        """Append lines."""
        data = text.encode("utf-8", "replace")
        head, rest = data[: self._room], data[self._room :]
        if head:
            self._room -= len(head)
            await asyncio.to_thread(self._append, head)
        if rest:
            self._tail += rest
            surplus = len(self._tail) - TAIL
            if surplus > 0:
                del self._tail[:surplus]
                self._left_out += surplus

    async def note(self, line: str) -> None:
        """Append a line of Zeus's own."""
        await self.write(f"[zeus] {line}\n")

    def open(self) -> None:
        self._file = self._path.open("ab", buffering=0)

    def close(self) -> None:
        """Append what was kept of the end, and close the file. Blocks: call it in a thread."""
        if self._left_out:
            self._append(f"\n[zeus] {self._left_out} bytes are left out here\n".encode())
        self._append(self._tail.decode("utf-8", "ignore").encode())
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _append(self, data: bytes) -> None:
        try:
            while data and self._file is not None:
                data = data[self._file.write(data) :]
        except OSError:
            self._room = 0
