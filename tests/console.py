"""Running the command line as a person or a program does: in a pipe, or at a terminal of its own."""

from __future__ import annotations

import asyncio
import codecs
import fcntl
import json
import os
import pty
import struct
import sys
import termios
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec

from tests.conftest import HANG
from tests.screen import Screen

NOWHERE = "http://127.0.0.1:9"
COMMAND = (sys.executable, "-m", "zeus")


class Done(msgspec.Struct, frozen=True):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


async def start(*arguments: str, env: Mapping[str, str] | None = None) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    merged = {**os.environ, "NO_COLOR": "1", "COLUMNS": "200", "TERM": "xterm", **(env or {})}
    return await asyncio.create_subprocess_exec(*COMMAND, *arguments, stdin=pipe, stdout=pipe, stderr=pipe, env=merged)


async def zeus(*arguments: str, **env: str) -> Done:
    """Run a command to its end."""
    process = await start(*arguments, env=env)
    async with asyncio.timeout(HANG):
        out, err = await process.communicate()
    assert process.returncode is not None
    assert b"Traceback" not in err, err.decode()
    return Done(process.returncode, out.decode(), err.decode())


async def read_until(process: asyncio.subprocess.Process, text: str) -> str:
    """What a process prints, up to and with a text."""
    assert process.stdout is not None
    got = ""
    async with asyncio.timeout(HANG):
        while text not in got:
            chunk = await process.stdout.read(4096)
            assert chunk, f"ended before {text!r}: {got}"
            got += chunk.decode("utf-8", "replace")
    return got


class Terminal:
    """A command at a terminal of its own: what it shows, and keys that are pressed."""

    def __init__(self, rows: int, columns: int) -> None:
        self.screen = Screen(rows, columns)
        self.shown = ""
        """All that was ever written, as it came."""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._changed = asyncio.Event()
        self._master, self._slave = pty.openpty()
        self._set_size(rows, columns)
        self.process: asyncio.subprocess.Process

    async def run(self, *command: str, env: Mapping[str, str] | None = None) -> None:
        merged = {**os.environ, "TERM": "xterm-256color", **(env or {})}
        merged.pop("COLUMNS", None)
        merged.pop("LINES", None)
        self.process = await asyncio.create_subprocess_exec(
            *command, stdin=self._slave, stdout=self._slave, stderr=self._slave, env=merged,
            start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        asyncio.get_running_loop().add_reader(self._master, self._read)

    async def close(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()
        asyncio.get_running_loop().remove_reader(self._master)
        os.close(self._master)
        os.close(self._slave)

    async def until(self, text: str) -> str:
        """Wait for a text to be on the screen; the screen."""
        try:
            async with asyncio.timeout(HANG):
                while text not in self.screen.text:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"{text!r} does not come; there is:\n{self.screen.text}") from None
        return self.screen.text

    async def ended(self, pressing: str = "") -> int:
        """Wait for the command's end; its exit code. `pressing` is pressed each second until then.

        For Ctrl-C: Python hears one that comes between a prompt and the read behind it only with the next key.
        """
        async with asyncio.timeout(HANG):
            ended = asyncio.ensure_future(self.process.wait())
            while not (await asyncio.wait([ended], timeout=1.0 if pressing else None))[0]:
                self.press(pressing)
            code = ended.result()
            await asyncio.sleep(0.1)  # what it wrote last
        assert "Traceback" not in self.shown, self.shown
        return code

    def press(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def resize(self, rows: int, columns: int) -> None:
        self.screen.resize(rows, columns)
        self._set_size(rows, columns)

    @property
    def is_raw(self) -> bool:
        """Whether keys reach the program as they are pressed, unechoed."""
        return not termios.tcgetattr(self._slave)[3] & termios.ICANON

    def _set_size(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def _read(self) -> None:
        with suppress(OSError):
            text = self._decoder.decode(os.read(self._master, 65536))
            self.shown += text
            self.screen.feed(text)
            self._changed.set()


@asynccontextmanager
async def at_terminal(
    *arguments: str, rows: int = 24, columns: int = 100, env: Mapping[str, str] | None = None
) -> AsyncIterator[Terminal]:
    """A Zeus command at a terminal."""
    made = Terminal(rows, columns)
    await made.run(*COMMAND, *arguments, env=env)
    try:
        yield made
    finally:
        await made.close()
