"""`zeus serve`: a node until SIGINT or SIGTERM."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any, NoReturn

import msgspec
import typer

from zeus.cli.settings import ConfigOption
from zeus.config import Config, load
from zeus.errors import BadInput


def command(
    host: Annotated[str | None, typer.Option(metavar="ADDRESS", help="The address to listen on; 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(metavar="N", help="The port; 8080. 0 takes any that is free.")] = None,
    storage: Annotated[str | None, typer.Option(metavar="DIR", help="The folder of all data.")] = None,
    config: ConfigOption = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="What this node is called.")] = None,
    lan: Annotated[bool, typer.Option("--lan", help="Listen on every interface.")] = False,
    open_to_all: Annotated[bool, typer.Option("--open", help="Ask for no token beyond this machine.")] = False,
) -> None:
    """Run a node until SIGINT or SIGTERM."""
    if lan and host:
        raise BadInput("--lan listens on every interface; --host names one: give one of the two.")
    flags: dict[str, Any] = {"--host": host, "--port": port, "--storage": storage, "--name": name}
    flags |= {"--lan": "0.0.0.0" if lan else None, "--open": True if open_to_all else None}
    _become_the_node(load(config, os.environ, flags).config)


def _become_the_node(config: Config) -> NoReturn:
    """Become the node: the same process, but without the libraries that reading a command line takes."""
    read_end, write_end = os.pipe()
    with os.fdopen(write_end, "wb") as file:
        file.write(msgspec.json.encode(config))  # far less than a pipe holds
    os.set_inheritable(read_end, True)
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "zeus.serving", str(read_end), *sys.argv[1:]])
