"""Which server a command talks to, with which token, and which job a shortened id means."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zeus.config import Config, load
from zeus.errors import BadInput, JobNotFound

if TYPE_CHECKING:
    from zeus.peers.client import RenderServerProxy

ServerOption = Annotated[
    str | None, typer.Option("--server", metavar="URL", help="The server; by default the one on this machine.")
]
TokenOption = Annotated[
    str | None, typer.Option("--token", metavar="T", envvar="ZEUS_TOKEN", help="The token that the server asks for.")
]
FULL_ID = 36


@asynccontextmanager
async def connect(server: str | None, token: str | None) -> AsyncIterator[RenderServerProxy]:
    """The client of the server that the options name, of this machine's own node, or of one that the person picks."""
    async with client(await chosen(server, token), token) as proxy:
        yield proxy


async def chosen(server: str | None, token: str | None) -> str | None:
    """The URL of the server to talk to; None for this machine's own node. Raises BadInput."""
    if server:
        return server
    from zeus.cli.nearby import offered

    config = load(None, os.environ, {}).config
    return await offered(own_url(config), config.network, with_token=bool(token))


def client(server: str | None, token: str | None) -> RenderServerProxy:
    """The client of this server, or of this machine's own node."""
    from zeus.nodes.certificates import believed
    from zeus.peers.client import RenderServerProxy

    if not server:
        return own_client(load(None, os.environ, {}).config, token)
    is_https = server.startswith("https:")
    trust = believed(load(None, os.environ, {}).config.network.ca) if is_https else None
    return RenderServerProxy(server, token=token, trust=trust)


def own_client(config: Config, token: str | None) -> RenderServerProxy:
    """The client of this machine's own node, by its token where none is given."""
    from zeus.nodes.certificates import believed_here
    from zeus.peers.client import RenderServerProxy

    trust = believed_here(config) if config.http.certificate else None
    return RenderServerProxy(own_url(config), token=token or _own_token(config.storage_path / "token"), trust=trust)


def own_url(config: Config) -> str:
    """The URL of this machine's own node. Raises BadInput where it is not known beforehand."""
    if config.http.port == 0:
        raise BadInput("The port of this machine's node is set to any that is free: name it with --server URL.")
    from zeus.nodes.addresses import LOOPBACK, url_of

    host = LOOPBACK.get(config.http.host, config.http.host)
    return url_of(host, config.http.port, https=bool(config.http.certificate))


def _own_token(file: Path) -> str | None:
    """This machine's node's token, for whoever may read its storage folder."""
    try:
        return file.read_text("utf-8").strip() or None
    except OSError:
        return None


async def full_ids(server: RenderServerProxy, wanted: Sequence[str]) -> list[str]:
    """The ids that shortened ones stand for. Raises JobNotFound, and BadInput where several jobs begin alike."""
    if all(len(each) == FULL_ID for each in wanted):
        return list(wanted)
    known = [job.id for job in (await server.get_jobs()).jobs]
    return [_full_id(each, known) for each in wanted]


def _full_id(short: str, known: Sequence[str]) -> str:
    if len(short) == FULL_ID:
        return short
    found = [each for each in known if each.startswith(short.lower())] if short else []
    if not found:
        raise JobNotFound(f'No job\'s id begins with "{short}".')
    if len(found) > 1:
        shown = ", ".join(each[: len(short) + 4] for each in found[:4])
        raise BadInput(f'{len(found)} jobs\' ids begin with "{short}" ({shown}{", …" if len(found) > 4 else ""}).')
    return found[0]
