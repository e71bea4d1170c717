"""Cutting a tool's output into lines, whatever it prints."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

LONGEST = 8192
"""Characters of one line; a longer one is cut into several."""
TAIL = 20


class LineSplitter:
    """Takes bytes, gives lines ended by \\n or \\r, and remembers the last ones. Bad UTF-8 is replaced."""

    def __init__(self) -> None:
        self._rest = b""
        self.tail: deque[str] = deque(maxlen=TAIL)

    def feed(self, data: bytes) -> Iterator[str]:
        """The lines that `data` completes, without the empty ones."""
        *lines, self._rest = (self._rest + data).replace(b"\r", b"\n").split(b"\n")
        if len(self._rest) >= LONGEST:
            lines.append(self._rest)
            self._rest = b""
        for line in lines:
            yield from self._pieces(line)

    def end(self) -> Iterator[str]:
        """The last line, when it had no end."""
        rest, self._rest = self._rest, b""
        yield from self._pieces(rest)

    def _pieces(self, line: bytes) -> Iterator[str]:
        for start in range(0, len(line), LONGEST):
            text = line[start : start + LONGEST].decode("utf-8", "replace").rstrip()
            if text:
                self.tail.append(text)
                yield text
