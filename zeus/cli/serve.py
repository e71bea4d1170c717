"""`zeus serve`: a node until SIGINT or SIGTERM."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import Annotated, Any

import typer

from zeus.cli.output import note
from zeus.cli.settings import ConfigOption
from zeus.config import Config, load
from zeus.errors import BadInput, ConfigError, ZeusError


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
    raise typer.Exit(_serve(load(config, os.environ, flags).config))


def _serve(config: Config) -> int:
    logging.basicConfig(
        level=logging.DEBUG if config.node.debug else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    from zeus.api.app import serve
    from zeus.api.guard import needs_token
    from zeus.tokens import OWNER_FILE, owner_secret

    is_new = needs_token(config) and owner_secret(config.storage_path) is None

    def announce(url: str) -> None:
        print(f"Zeus answers at {_with_lan(config, url)}", flush=True)
        if is_new:
            kept, secret = config.storage_path / OWNER_FILE, owner_secret(config.storage_path)
            print(f"Clients need this token, shown once and kept in {kept}: {secret}", flush=True)

    try:
        return asyncio.run(serve(config, announce=announce))
    except ZeusError as error:
        # A setting may be well written and yet be refused by this machine: the port is taken, the folder read-only.
        if isinstance(error, ConfigError) and not isinstance(error.__cause__, OSError):
            raise
        note(f"zeus: {error.message}")
        return 1


def _with_lan(config: Config, url: str) -> str:
    """A node's URL on this machine, and before it those by which others reach it."""
    from zeus.api.listening import lan_urls

    port = url.rpartition(":")[2]
    return " and ".join([*(lan_urls(config.http, int(port)) if port.isdecimal() else ()), url])
