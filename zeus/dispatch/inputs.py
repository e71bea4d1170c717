"""A job's input on its way to peers: hashed once, sent once to each, gone on with where it was cut off.

An unpacked project is packed again, once, into `cache/sent/`: without compression and with no times, so that the same
files make the same archive, whose content the peer may have already.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import os
import time
import zipfile
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from pathlib import Path
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

import msgspec

from zeus.dispatch.remote import Patience, Peer
from zeus.errors import NodeLost, TaskFailed
from zeus.files import Files, digest, on_disk, on_disk_stoppable, remove
from zeus.model import Job
from zeus.peers.connection import ServerRefused, ServerUnreachable
from zeus.wire import SharedFile, UploadView

REMEMBERED = 1000
KEPT = 24 * 3600.0
"""Seconds that a packed project stays after its last use."""
STALLED = 60.0
"""Seconds without a byte after which a transfer is begun anew."""
SYNCED = 20 << 20
"""Bytes a second that a slow peer syncs and hashes at least, before it answers the last byte."""
TRIES = 5
"""How often one is begun anew without a byte more having arrived."""
BLOCK = 1 << 20
PASSING = frozenset({"wrong_offset", "upload_busy", "request_timeout", "incomplete_body"})
"""Why a transfer that was cut off, and is still being written there, is refused for the moment."""

Shared = Callable[[Path, Peer], Awaitable[SharedFile | None]]
"""How a peer may call a file of this machine that it sees too, or None."""
UNUSABLE = "share_unusable"
"""How a peer says that it does not see a file that it should."""
Told = Callable[[int, int | None], None]


class Identity(NamedTuple):
    """What tells one content of a path from another."""

    path: str
    inode: int
    size: int
    changed: int


class Inputs:
    """The inputs of the jobs that peers work at."""

    def __init__(self, files: Files, own_id: str, patience: Patience, shared: Shared) -> None:
        self._files = files
        self._own_id = own_id
        self._patience = patience
        self._shared = shared
        self._digests: OrderedDict[Identity, str] = OrderedDict()
        self._locks: WeakValueDictionary[Hashable, asyncio.Lock] = WeakValueDictionary()

    async def give(self, job: Job, peer: Peer, told: Told, *, copy: bool = False) -> dict[str, Any]:
        """Bring a job's input to a peer; the fields of add_job that name it there.

        What both see in a shared folder stays there, unless it is to be a `copy`.
        """
        source = self._files.source(job)
        if source is None:
            return {}
        shared = None if copy or job.local_path is None else await self._shared(source, peer)
        if shared is not None:
            return {"shared": msgspec.to_builtins(shared)}
        if not await asyncio.to_thread(source.is_file):
            raise NodeLost(f"The input {source.name} is no file that could be sent there.", code="input_not_sent")
        folder = self._files.inputs(job.input_of or job.id)
        if job.input is not None and await asyncio.to_thread(_is_project, folder, source):
            archive = await self._packed(folder)
            upload = await self.send(archive, f"{source.stem}.zip", peer, told)
            return {"upload": upload, "project_file": job.input}
        project = {"project_file": job.project} if job.project else {}
        return {"upload": await self.send(source, source.name, peer, told), **project}

    async def send(self, path: Path, name: str, peer: Peer, told: Told) -> str:
        """Send a file unless its content is there; the id of the complete upload."""
        sha256 = await self._digest(path)
        try:
            async with self._lock((peer.id, sha256)):  # who comes second finds it there
                return await self._send_rest(path, name, sha256, peer, told)
        except ServerRefused as error:
            if error.code == "digest_mismatch":
                self._digests.clear()
                raise TaskFailed(f"{name} changed while it was sent to {peer.name}.") from error
            raise

    async def _send_rest(self, path: Path, name: str, sha256: str, peer: Peer, told: Told) -> str:
        size = (await asyncio.to_thread(path.stat)).st_size
        upload = await self._begin(name, size, sha256, peer)
        failures = 0
        while not upload.complete and failures < TRIES:
            try:
                await _unstalled(peer, upload, path, told)
            except ServerUnreachable:
                await asyncio.sleep(0.2 * 2.0**failures)
            except ServerRefused as error:
                if error.code not in PASSING:
                    raise
                await asyncio.sleep(0.2 * 2.0**failures)
            before, upload = upload, await self._patience(functools.partial(peer.proxy.get_upload, upload.id))
            failures = failures + 1 if upload.offset <= before.offset else 0
        if not upload.complete:
            raise NodeLost(f"{name} does not get through to it.", code="input_not_sent")
        return upload.id

    async def _begin(self, name: str, size: int, sha256: str, peer: Peer) -> UploadView:
        """An upload at the peer: the one that was begun before, as long as it is there."""
        key = f"{self._own_id}.{sha256}.{hashlib.sha256(name.encode()).hexdigest()[:16]}"
        try:
            return await self._patience(lambda: peer.proxy.begin_upload(name, size, sha256, key=key))
        except ServerRefused as error:
            if error.code != "upload_not_found":
                raise
        return await self._patience(lambda: peer.proxy.begin_upload(name, size, sha256))

    def _lock(self, key: Hashable) -> asyncio.Lock:
        """The lock of something, which is there for as long as anybody holds it or waits for it."""
        return self._locks.setdefault(key, asyncio.Lock())

    async def _digest(self, path: Path) -> str:
        identity = await asyncio.to_thread(_identity, path)
        async with self._lock(identity):
            if identity not in self._digests:
                self._digests[identity] = await on_disk(digest, path)
                while len(self._digests) > REMEMBERED:
                    self._digests.popitem(last=False)
        return self._digests[identity]

    async def _packed(self, folder: Path) -> Path:
        """A project as an archive, made when it is first asked for."""
        name = await asyncio.to_thread(_listing, folder)
        archive = self._files.cache / "sent" / f"{name}.zip"
        async with self._lock(archive):
            if not await asyncio.to_thread(_is_kept, archive):
                await on_disk_stoppable(_pack, folder, archive)
        return archive


async def _unstalled(peer: Peer, upload: UploadView, path: Path, told: Told) -> None:
    """Send what is missing. Raises ServerUnreachable where no byte goes out for too long."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(STALLED) as limit:

            def moved(done: int, size: int | None) -> None:
                # The last bytes are answered only when all of them have been synced and hashed there.
                limit.reschedule(loop.time() + STALLED + (done / SYNCED if done == size else 0.0))
                told(done, size)

            await peer.proxy.send_upload(upload, path, moved)
    except TimeoutError:
        raise ServerUnreachable(f"{peer.name} takes no more of {path.name}.") from None


def _identity(path: Path) -> Identity:
    facts = path.stat()
    return Identity(str(path), facts.st_ino, facts.st_size, facts.st_mtime_ns)


def _is_project(folder: Path, source: Path) -> bool:
    """Whether there is more in an input folder than the one file."""
    return any(path != source for path in folder.iterdir())


def _tree(folder: Path) -> list[Path]:
    return sorted(Path(base, name) for base, _, names in os.walk(folder) for name in names)


def _listing(folder: Path) -> str:
    """What an unpacked project's files are, in one word; linked copies of a folder have the same."""
    found = hashlib.sha256()
    for path in _tree(folder):
        facts = path.lstat()
        found.update(f"{path.relative_to(folder)}\0{facts.st_ino}\0{facts.st_size}\0{facts.st_mtime_ns}\0".encode())
    return found.hexdigest()


def _is_kept(archive: Path) -> bool:
    """Whether an archive is there, which is used again then; those that nobody used for long go."""
    archive.parent.mkdir(exist_ok=True)
    for other in archive.parent.iterdir():
        if other != archive and time.time() - other.stat().st_atime > KEPT:
            remove(other)
    if not archive.is_file():
        return False
    os.utime(archive, (time.time(), archive.stat().st_mtime))
    return True


def _pack(folder: Path, archive: Path, check: Callable[[], None]) -> None:
    part = archive.with_suffix(".part")
    try:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED, strict_timestamps=False) as made:
            for path in _tree(folder):
                entry = zipfile.ZipInfo(path.relative_to(folder).as_posix())
                entry.external_attr = 0o644 << 16
                with path.open("rb") as source, made.open(entry, "w", force_zip64=True) as target:
                    while block := source.read(BLOCK):
                        check()
                        target.write(block)
        part.rename(archive)
    except BaseException:
        remove(part)
        raise
