"""The nodes that this one trusts, each with the secret that this one shows there; kept in nodes.json.

What such a node shows here is an ordinary token of the name `node-ID` in tokens.json.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from zeus.errors import ConfigError, NotFound
from zeus.files import on_disk
from zeus.nodes.sightings import clean_name
from zeus.tokens import Scope, Tokens, put_token, remove_token, write_secret
from zeus.wire import Introduction

FILE = "nodes.json"
SCOPES = (Scope.READ, Scope.SUBMIT)
PREFIX = "node-"
MOST_URLS = 8
"""Addresses that are kept of a node."""


class Known(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A node that is trusted. `url` is what its owner typed, `urls` what it said itself or proved to be its own."""

    id: str
    name: str
    secret: str
    url: str
    urls: tuple[str, ...]
    added: float


class Trust:
    """Whom this node trusts, and who is trusted by it by which token."""

    def __init__(self, storage: Path) -> None:
        self._storage = storage
        self._tokens = Tokens(storage)
        self._changing = asyncio.Lock()
        self._known: dict[str, Known] = {}

    @property
    def known(self) -> Mapping[str, Known]:
        """The trusted nodes by id, the first one first."""
        return self._known

    async def load(self) -> None:
        """Read what is kept. Raises ConfigError."""
        self._known = {each.id: each for each in await asyncio.to_thread(_read, self._storage / FILE)}

    async def keep(self, node: Introduction, url: str, *, shown: str, taken: str) -> None:
        """Trust a node, anew if it was: `shown` is this node's secret there, `taken` the one that it shows here.

        Raises NoSpace.
        """
        async with self._changing:
            old = self._known.get(node.id)
            url = url or (old.url if old is not None else "")
            known = Known(node.id, clean_name(node.name), shown, url, tuple(node.urls[:MOST_URLS]), time.time())
            await on_disk(put_token, self._storage, PREFIX + node.id, SCOPES, taken)
            await self._write({**self._known, node.id: known})

    async def learn(self, node_id: str, name: str, url: str) -> None:
        """Keep what a trusted node is called now, and an address at which it has proven itself."""
        async with self._changing:
            known = self._known.get(node_id)
            if known is None or (known.name == name and url in (known.url, *known.urls[:1])):
                return
            urls = (url, *(each for each in known.urls if each != url))[:MOST_URLS] if url != known.url else known.urls
            changed = msgspec.structs.replace(known, name=name, urls=urls)
            await self._write({**self._known, node_id: changed})

    async def forget(self, node_id: str) -> None:
        """Trust a node no more: neither what is shown there nor its token here is left. Raises NotFound."""
        async with self._changing:
            if node_id not in self._known:
                raise NotFound("No node of this id is paired with this one.", code="node_not_found")
            with contextlib.suppress(NotFound):
                await on_disk(remove_token, self._storage, PREFIX + node_id)
            await self._write({key: each for key, each in self._known.items() if key != node_id})

    def key_of(self, node_id: str) -> str | None:
        """The digest of the secret that a trusted node shows here."""
        token = self._tokens.named(PREFIX + node_id) if node_id in self._known else None
        return token.sha256 if token is not None else None

    def caller(self, secret: str) -> str | None:
        """The id of the trusted node that shows this secret here."""
        token = self._tokens.of(secret)
        node_id = token.name.removeprefix(PREFIX) if token is not None and token.name.startswith(PREFIX) else ""
        return node_id if node_id in self._known else None

    async def _write(self, known: dict[str, Known]) -> None:
        text = msgspec.json.format(msgspec.json.encode(list(known.values()))) + b"\n"
        await on_disk(write_secret, self._storage / FILE, text)
        self._known = known


def _read(path: Path) -> list[Known]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Known])
    except FileNotFoundError:
        return []
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}; put it right or remove it.") from error
