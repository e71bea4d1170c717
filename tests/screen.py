"""A terminal's screen, as far as Zeus and rich draw on one: text, colours left aside."""

from __future__ import annotations

import re

TOKEN = re.compile(
    r"\x1b\[(?P<args>[0-9;?]*)(?P<final>[A-Za-z])|\x1b\].*?(?:\x07|\x1b\\)|\x1b[()][A-Z0-9]|\x1b[=>78]"
    r"|(?P<char>[^\x1b])",
    re.S,
)


class Screen:
    """Feed it what a program writes; `text` is what a person then sees."""

    def __init__(self, rows: int, columns: int) -> None:
        self.columns = columns
        self.alternate = False
        """Whether the program has a screen of its own, which goes when it ends."""
        self.cursor_shown = True
        self._rows = rows
        self._lines = [""] * rows
        self._kept = self._lines
        self._y = self._x = 0
        self._rest = ""

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self._lines).rstrip()

    def resize(self, rows: int, columns: int) -> None:
        self._rows, self.columns = rows, columns
        self._lines = [line[:columns] for line in (self._lines + [""] * rows)[:rows]]
        self._y = min(self._y, rows - 1)

    def feed(self, text: str) -> None:
        text = self._rest + text
        position = 0
        while match := TOKEN.match(text, position):
            position = match.end()
            if match["char"]:
                self._put(match["char"])
            elif match["final"]:
                self._obey(match["args"], match["final"])
        self._rest = text[position:]

    def _put(self, char: str) -> None:
        if char == "\n":
            self._down()
        elif char == "\r":
            self._x = 0
        elif char == "\b":
            self._x = max(self._x - 1, 0)
        elif char >= " ":
            if self._x >= self.columns:
                self._x = 0
                self._down()
            line = self._lines[self._y].ljust(self._x)
            self._lines[self._y] = line[: self._x] + char + line[self._x + 1 :]
            self._x += 1

    def _down(self) -> None:
        self._y += 1
        if self._y == self._rows:
            self._lines = [*self._lines[1:], ""]
            self._y -= 1

    def _obey(self, args: str, final: str) -> None:
        if args.startswith("?"):
            self._set_mode(args[1:], final == "h")
            return
        numbers = [int(each) if each else 0 for each in args.split(";")]
        first = max(numbers[0], 1)
        match final:
            case "A":
                self._y = max(self._y - first, 0)
            case "B":
                self._y = min(self._y + first, self._rows - 1)
            case "C":
                self._x += first
            case "D":
                self._x = max(self._x - first, 0)
            case "H":
                self._y, self._x = first - 1, (max(numbers[1], 1) - 1 if len(numbers) > 1 else 0)
            case "J":
                keep = 0 if numbers[0] == 2 else self._y + 1
                self._lines = self._lines[:keep] + [""] * (self._rows - keep)
            case "K":
                self._lines[self._y] = "" if numbers[0] == 2 else self._lines[self._y][: self._x]

    def _set_mode(self, mode: str, on: bool) -> None:
        if mode == "25":
            self.cursor_shown = on
        elif mode == "1049":
            self.alternate = on
            if on:
                self._kept, self._lines = self._lines, [""] * self._rows
            else:
                self._lines = self._kept
