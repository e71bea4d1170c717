"""`python -m zeus.serving FD`: a node until SIGINT or SIGTERM, in a process that holds nothing of the command line."""

from __future__ import annotations

import asyncio
import logging
import os
import sys

import msgspec

from zeus.api.app import serve
from zeus.api.guard import needs_token
from zeus.config import Config
from zeus.errors import ConfigError, ZeusError
from zeus.nodes.addresses import lan_urls
from zeus.tokens import OWNER_FILE, owner_secret

FAILED, WRONG_USAGE = 1, 2


def main() -> int:
    """Serve with the settings that come by a pipe; the exit code."""
    with os.fdopen(int(sys.argv[1]), "rb") as file:
        config = msgspec.json.decode(file.read(), type=Config)
    logging.basicConfig(
        level=logging.DEBUG if config.node.debug else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    try:
        return _serve(config)
    except ZeusError as error:
        print(f"zeus: {error.message}", file=sys.stderr)
        # A setting may be well written and yet be refused by this machine: the port is taken, the folder read-only.
        is_usage = isinstance(error, ConfigError) and not isinstance(error.__cause__, OSError)
        return WRONG_USAGE if is_usage else FAILED


def _serve(config: Config) -> int:
    is_new = needs_token(config) and owner_secret(config.storage_path) is None

    def announce(url: str) -> None:
        print(f"Zeus answers at {_with_lan(config, url)}", flush=True)
        if is_new:
            kept, secret = config.storage_path / OWNER_FILE, owner_secret(config.storage_path)
            print(f"Clients need this token, shown once and kept in {kept}: {secret}", flush=True)

    return asyncio.run(serve(config, announce=announce))


def _with_lan(config: Config, url: str) -> str:
    """A node's URL on this machine, and before it those by which others reach it."""
    port = url.rpartition(":")[2]
    return " and ".join(dict.fromkeys([*(lan_urls(config.http, int(port)) if port.isdecimal() else ()), url]))


if __name__ == "__main__":
    sys.exit(main())
