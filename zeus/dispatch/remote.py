"""Requests to a peer about shares: bounded whatever it answers, and repeated for as long as that makes sense."""

from __future__ import annotations

import asyncio
import errno
import logging
import random
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import quote

import msgspec

from zeus.errors import NodeLost, NoSpace, TaskFailed, ZeusError
from zeus.files import digest
from zeus.model import Status
from zeus.peers.calls import SLOW_SECONDS
from zeus.peers.client import RenderServerProxy
from zeus.peers.connection import ServerRefused, ServerUnreachable, decode
from zeus.peers.transfer import Expected
from zeus.wire import FileView, FrameList, JobView, Portrait

T = TypeVar("T")
log = logging.getLogger(__name__)
MOST_VIEW, MOST_FILES = 4 << 20, 16 << 20
"""Bytes of a job's view, of a list of its files."""
LONGEST_NAME = 180
"""Bytes of an output's name: an unfinished download has its version behind it."""
LONGEST_PAUSE = 5.0
AGAIN = frozenset({401, 403, 408, 429, 502, 503, 504})
"""Statuses that may be gone a moment later, or when the nodes' owners have put their tokens right."""
STATUSES = frozenset(status.value for status in Status)


class Peer(Protocol):
    """A node that this one trusts; see `zeus.nodes`."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def proxy(self) -> RenderServerProxy: ...
    @property
    def portrait(self) -> Portrait | None: ...
    @property
    def online(self) -> bool: ...
    @property
    def seen(self) -> float | None: ...
    @property
    def refusal(self) -> str: ...


class Book(Protocol):
    """The nodes that this one trusts; see `zeus.nodes`."""

    def online(self) -> Sequence[Peer]: ...

    def get(self, node_id: str) -> Peer | None: ...


class PeerDamaged(NodeLost):
    """The node answered what cannot be."""

    code = "peer_damaged"


class Patience:
    """Repeats what fails in a way that may pass; gives up after so many `seconds` of nothing but failures.

    They are more than a lease: it is the lease that ends the wait for a peer that gives no sign of life.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    async def __call__(self, call: Callable[[], Awaitable[T]]) -> T:
        """What the call returns. Raises ServerUnreachable and ServerRefused."""
        until, failures = time.monotonic() + self._seconds, 0
        while True:
            try:
                return await call()
            except (ServerUnreachable, ServerRefused) as error:
                passing = isinstance(error, ServerUnreachable) or error.status in AGAIN
                if not passing or time.monotonic() > until:
                    raise
            failures += 1
            await asyncio.sleep(min(0.1 * 2.0**failures, LONGEST_PAUSE) * random.uniform(0.5, 1.0))


class Remote:
    """One job at a peer, wherever that is now."""

    def __init__(self, peer: Callable[[], Peer], job_id: str, patience: Patience) -> None:
        self._peer = peer
        self._patience = patience
        self.job_id = job_id
        self._path = f"/api/jobs/{quote(job_id, safe='')}"

    @property
    def peer(self) -> Peer:
        """The peer. Raises ServerUnreachable where there is none at the moment."""
        return self._peer()

    async def view(self) -> JobView:
        """The job as it is now. Raises PeerDamaged."""
        answer = await self._patience(lambda: self.peer.proxy.request("GET", self._path, most=MOST_VIEW))
        return checked(decode(answer, JobView), self.job_id)

    async def files(self) -> list[FileView]:
        """Its outputs. Raises PeerDamaged."""
        files = await self._patience(lambda: self.peer.proxy.list_job_files(self.job_id, most=MOST_FILES))
        for file in files:
            _check_file(file)
        if len({file.name for file in files}) < len(files):
            raise PeerDamaged("It lists a file twice.")
        return files

    async def frames(self, limit: int) -> FrameList:
        """The first of its frames."""
        path, options = f"{self._path}/frames", {"params": {"limit": str(limit)}, "most": MOST_FILES}
        answer = await self._patience(lambda: self.peer.proxy.request("GET", path, **options))
        return decode(answer, FrameList)

    async def download(self, file: FileView, target: Path) -> None:
        """Fetch one of its outputs, in as many tries as it takes. Raises DownloadDamaged."""
        expected = Expected(file.size, file.sha256)
        if await asyncio.to_thread(_is_there, target, expected):  # since before a restart
            return
        await self._patience(
            lambda: self.peer.proxy.download_job_file(self.job_id, file.name, target, expected=expected)
        )

    async def log(self, attempt: int, position: int, most: int) -> bytes:
        """What its log has from `position` on, `most` bytes of it at most; nothing where there is no more."""
        return await self._patience(lambda: self.peer.proxy.get_log_part(self.job_id, attempt, position, most))


async def add_share(peer: Peer, fields: Mapping[str, Any], key: str) -> JobView:
    """Have a peer take a share; told again with the same key it is the same one."""
    options: dict[str, Any] = {"json": dict(fields), "key": key, "most": MOST_VIEW, "wait": SLOW_SECONDS}
    return decode(await peer.proxy.request("POST", "/api/add_job", **options), JobView)


def checked(view: JobView, job_id: str) -> JobView:
    """A view that can be. Raises PeerDamaged."""
    if view.id != job_id:
        raise PeerDamaged("It answers for another job than it was asked about.")
    if view.status not in STATUSES or not 0 <= view.percent_complete <= 100 or view.attempt < 0:
        raise PeerDamaged(f"It says that the job is {view.status[:20]} and {view.percent_complete} % done.")
    return view


def _is_there(path: Path, expected: Expected) -> bool:
    return path.is_file() and expected == Expected(path.stat().st_size, digest(path))


def _check_file(file: FileView) -> None:
    name = file.name
    if not name.isprintable() or "/" in name or "\\" in name or not name or name.startswith("."):
        raise PeerDamaged("It lists a file of a name that no output may have.")
    if len(name.encode("utf-8", "replace")) > LONGEST_NAME:
        raise PeerDamaged("It lists a file whose name is too long.")
    if not re.fullmatch("[0-9a-f]{64}", file.sha256) or file.size <= 0:
        raise PeerDamaged(f"It lists {name} without its size or its sha256.")
    if file.seconds is not None and not 0 <= file.seconds < 1e9:
        raise PeerDamaged(f"It lists {name} with a time that cannot be.")


def lost(error: ServerRefused | ServerUnreachable | msgspec.MsgspecError) -> NodeLost:
    """What a refusal means for the work that the peer was to do."""
    if isinstance(error, ServerRefused) and (error.status, error.code) == (404, "job_not_found"):
        return NodeLost("It does not know the job any more.")
    if isinstance(error, ServerRefused) and error.status >= 300:
        return NodeLost(f"It refused: {error.message}")
    return PeerDamaged(str(error))


def explained(error: Exception, name: str) -> ZeusError:
    """An error as the job shows it, with the name of the node."""
    if isinstance(error, ServerRefused | ServerUnreachable):
        error = lost(error)
    if isinstance(error, TaskFailed):
        text = error.message if error.message.startswith(f"Node {name} ") else f"Node {name}: {error.message}"
        made = type(error)(text, code=error.code)
        made.retry = error.retry
        return made
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoSpace()
    if isinstance(error, ZeusError):
        return error
    log.error("the work at node %s failed in a way that is not explained", name, exc_info=error)
    return TaskFailed(f"Unexpected: {type(error).__name__}; the node's own log says more.", code="internal_error")
