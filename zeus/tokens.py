"""Who may ask this node for what: the owner's token and the named ones, kept in the storage folder.

token         the owner's secret as it is, so that its owner can read it again
tokens.json   the others: name, scopes, the secret's sha256, when it was made
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import hmac
import logging
import os
import re
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path

import msgspec

from zeus.errors import BadInput, Conflict, NotFound, NotReady, ZeusError
from zeus.files import sync_folder

OWNER = "owner"
OWNER_FILE, NAMED_FILE = "token", "tokens.json"

log = logging.getLogger(__name__)


class Scope(StrEnum):
    """What a token lets its bearer do. No scope includes another."""

    READ = "read"
    """Look at jobs, their outputs and the node."""
    SUBMIT = "submit"
    """Add jobs and change them."""
    ADMIN = "admin"
    """Change the node itself."""


class Token(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A token as it is kept: what its secret's sha256 is, in hex, but not the secret."""

    name: str
    scopes: frozenset[Scope]
    sha256: str
    created: float


class TokensDamaged(NotReady):
    """The file tokens.json cannot be read; put it right or remove it."""

    code = "tokens_damaged"


class Tokens:
    """The tokens of a storage folder as they are now: changed files are read again."""

    def __init__(self, storage: Path) -> None:
        self._storage = storage
        self._paths = [storage / name for name in (OWNER_FILE, NAMED_FILE)]
        self._seen: object = None
        self._tokens: tuple[Token, ...] = ()
        self._damaged = False

    def any(self) -> bool:
        """Whether there is a token, or was one in a file that is damaged now."""
        return bool(self._present()) or self._damaged

    def of(self, secret: str) -> Token | None:
        """The token that has this secret."""
        return self.with_digest(digest_of(secret))

    def with_digest(self, sha256: str) -> Token | None:
        """The token whose secret has this digest; each one is compared, in constant time."""
        found = [token for token in self._present() if hmac.compare_digest(token.sha256, sha256)]
        return found[0] if found else None

    def named(self, name: str) -> Token | None:
        """The token of this name."""
        return next((token for token in self._present() if token.name == name), None)

    def _present(self) -> tuple[Token, ...]:
        """All tokens. None of them while a file is damaged."""
        seen = [_stamp(path) for path in self._paths]
        if seen != self._seen:
            self._tokens, self._damaged, self._seen = (), False, seen
            try:
                self._tokens = tuple(list_tokens(self._storage))
            except (OSError, ZeusError) as error:
                self._damaged = True
                log.error("no token is accepted: %s", error)
        return self._tokens


def ensure_owner(storage: Path) -> None:
    """Make the owner's token where there is none, or an empty one."""
    if owner_secret(storage) is None:
        write_secret(storage / OWNER_FILE, _new_secret().encode() + b"\n")


def owner_secret(storage: Path) -> str | None:
    """The owner's secret, or None."""
    try:
        return (storage / OWNER_FILE).read_text("utf-8", "surrogateescape").strip() or None
    except FileNotFoundError:
        return None


def list_tokens(storage: Path) -> list[Token]:
    """The owner's token, if there is one, and the named ones by name. Raises TokensDamaged."""
    secret = owner_secret(storage)
    named = sorted(_named(storage), key=lambda token: token.name)
    if secret is None:
        return named
    made = (storage / OWNER_FILE).stat().st_mtime
    return [Token(OWNER, frozenset(Scope), digest_of(secret), made), *named]


def add_token(storage: Path, name: str, scopes: Iterable[Scope]) -> str:
    """Keep a new token; its secret, which is nowhere else. Raises BadInput, Conflict or TokensDamaged."""
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,63}", name) or name == OWNER:
        raise BadInput(f'"{name}" is no name for a token: 1 to 63 letters, digits and . _ -, and not "{OWNER}".')
    secret = _new_secret()
    with _alone(storage):
        known = _named(storage)
        if any(token.name == name for token in known):
            raise Conflict(f'There is a token "{name}" already; remove it first.')
        _write_named(storage, [*known, Token(name, frozenset(scopes), digest_of(secret), time.time())])
    return secret


def put_token(storage: Path, name: str, scopes: Iterable[Scope], secret: str) -> None:
    """Keep a token whose secret is agreed on, in place of one of that name. Raises TokensDamaged."""
    with _alone(storage):
        others = [token for token in _named(storage) if token.name != name]
        _write_named(storage, [*others, Token(name, frozenset(scopes), digest_of(secret), time.time())])


def remove_token(storage: Path, name: str) -> None:
    """Forget a token; the owner's is made anew when one is needed. Raises NotFound or TokensDamaged."""
    with _alone(storage):
        known = _named(storage)
        left = [token for token in known if token.name != name]
        if name == OWNER and owner_secret(storage) is not None:
            (storage / OWNER_FILE).unlink()
            sync_folder(storage)
        elif len(left) < len(known):
            _write_named(storage, left)
        else:
            raise NotFound(f'There is no token "{name}".')


def _named(storage: Path) -> list[Token]:
    try:
        return msgspec.json.decode((storage / NAMED_FILE).read_bytes(), type=list[Token])
    except FileNotFoundError:
        return []
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise TokensDamaged(
            f"{NAMED_FILE} in the storage folder cannot be read: {error} Put it right or remove it."
        ) from error


def _write_named(storage: Path, tokens: Sequence[Token]) -> None:
    write_secret(storage / NAMED_FILE, msgspec.json.format(msgspec.json.encode(tokens, order="sorted")) + b"\n")


def write_secret(path: Path, content: bytes) -> None:
    """Write a file for its owner's eyes alone, whole or not at all."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


@contextlib.contextmanager
def _alone(storage: Path) -> Iterator[None]:
    """One change at a time; the lock is the folder itself, since LOCK is the running node's."""
    storage.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(storage, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_ino, facts.st_size, facts.st_mtime_ns


def _new_secret() -> str:
    return secrets.token_urlsafe(24)


def digest_of(secret: str) -> str:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
