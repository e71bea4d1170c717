"""`zeus top`: the node and its jobs as they change; into a pipe, how they are now."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import typer

from zeus.cli.output import JsonOption, at_terminal, print_json, print_table
from zeus.cli.target import ServerOption, TokenOption, connect
from zeus.errors import ZeusError

if TYPE_CHECKING:
    from zeus.cli.screen import View
    from zeus.peers.client import RenderServerProxy

DRAW_SECONDS = 0.5
STATUS_SECONDS = 2.0


def command(server: ServerOption = None, token: TokenOption = None, as_json: JsonOption = False) -> None:
    """Show the node and its jobs live, until q or Ctrl-C."""
    live = at_terminal() and not as_json and os.environ.get("TERM", "dumb") not in ("dumb", "unknown")
    raise typer.Exit(asyncio.run(_live(server, token) if live else _once(server, token, as_json)))


async def _once(server: str | None, token: str | None, as_json: bool) -> int:
    from zeus.cli.screen import HEAD, JOB_HEAD, job_row, node_row, ordered

    async with connect(server, token) as proxy:
        status, listed = await proxy.get_status(), await proxy.get_jobs()
    if as_json:
        print_json({"nodes": [status], "jobs": listed.jobs})
        return 0
    print_table(HEAD, [node_row(status)])
    print()
    print_table(JOB_HEAD, [job_row(job) for job in ordered(listed.jobs)])
    return 0


async def _live(server: str | None, token: str | None) -> int:
    from rich.console import Console
    from rich.live import Live

    from zeus.cli.screen import draw

    async with connect(server, token) as proxy, proxy.updates():
        eye = Eye(proxy)
        view = await eye.look()
        with _ending() as ended, Live(console=Console(), screen=True, auto_refresh=False) as live:
            while not ended.done():
                live.update(draw(view, live.console.height, live.console.width), refresh=True)
                await asyncio.wait([ended], timeout=DRAW_SECONDS)
                view = await eye.look()
        return await ended


class Eye:
    """Looks at a node again and again; once it has seen it, a node that is away is only trouble."""

    def __init__(self, server: RenderServerProxy) -> None:
        self._server = server
        self._view: View | None = None
        self._asking: asyncio.Task[None] | None = None
        self._due = 0.0
        self._trouble = ""

    async def look(self) -> View:
        """What is known now. Raises ZeusError where the server cannot be seen at first."""
        from zeus.cli.screen import View

        if self._view is None:
            self._view = View(self._server.url, [await self._server.get_status()], [])
        now = asyncio.get_running_loop().time()
        if now >= self._due and (self._asking is None or self._asking.done()):
            self._due = now + STATUS_SECONDS
            self._asking = asyncio.create_task(self._ask())
        listed = await self._server.get_jobs()
        error = self._server.updates_error
        trouble = error.message if error else self._trouble
        self._view = View(self._server.url, self._view.nodes, listed.jobs, trouble)
        return self._view

    async def _ask(self) -> None:
        """The status, in the background: a server that does not answer must not hold up the screen."""
        try:
            status = await self._server.get_status()
        except ZeusError as error:
            self._trouble = error.message
            return
        self._trouble = ""
        if self._view is not None:
            from zeus.cli.screen import View

            self._view = View(self._view.url, [status], self._view.jobs, self._view.trouble)


@contextmanager
def _ending() -> Iterator[asyncio.Future[int]]:
    """Done when the person or the system wants the end, with the exit code. Keys are read as they are pressed."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[int] = loop.create_future()

    def end(code: int) -> None:
        if not ended.done():
            ended.set_result(code)

    for number, code in ((signal.SIGINT, 0), (signal.SIGTERM, 128 + signal.SIGTERM), (signal.SIGHUP, 129)):
        loop.add_signal_handler(number, end, code)
    with _keys(lambda: end(0)):
        yield ended


@contextmanager
def _keys(quit_it: Callable[[], None]) -> Iterator[None]:
    """Call `quit_it` when q is pressed; the terminal is left as it was."""
    if not sys.stdin.isatty():
        yield
        return
    loop, stdin = asyncio.get_running_loop(), sys.stdin.fileno()
    before = termios.tcgetattr(stdin)

    def read() -> None:
        keys = b""
        with suppress(OSError):
            keys = os.read(stdin, 64)
        if not keys:
            loop.remove_reader(stdin)
        if b"q" in keys.lower():
            quit_it()

    tty.setcbreak(stdin)
    # Ctrl-Z would leave the shell with a screen that is not its own.
    mode = termios.tcgetattr(stdin)
    mode[6][termios.VSUSP] = b"\0"
    termios.tcsetattr(stdin, termios.TCSANOW, mode)
    loop.add_reader(stdin, read)
    try:
        yield
    finally:
        loop.remove_reader(stdin)
        termios.tcsetattr(stdin, termios.TCSADRAIN, before)
