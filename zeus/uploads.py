"""Uploads that can be resumed: `incoming/<id>.part` holds the bytes, `incoming/<id>.json` what is known of them.

The record beside a part is the truth: its offset counts synced bytes alone, and reaches the size only with their digest
verified. So an upload that a crash cut off goes on at an offset whose bytes are all there.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import shutil
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec

from zeus.errors import BadInput, Conflict, NoSpace, NotFound, TooLarge
from zeus.files import UPLOAD_LIFE, Files, age, digest, link, remove, sync_folder
from zeus.model import Key
from zeus.names import safe_name
from zeus.requests import Upload
from zeus.store import Store

log = logging.getLogger(__name__)
BLOCK = 1 << 20
CHECKPOINT = 32 << 20
"""Bytes after which what has arrived is synced, so that a crash costs no more than those."""
SWEEP = 3600.0
"""Seconds between two looks for uploads that nobody used for a day."""


class Record(msgspec.Struct, frozen=True):
    """An upload as its record on the disk has it; `sha256` is the sender's until it is complete, then the file's."""

    id: str
    name: str
    size: int
    offset: int = 0
    sha256: str | None = None
    complete: bool = False


class Uploads:
    """The resumable uploads of one node."""

    def __init__(self, files: Files, store: Store, largest: int) -> None:
        self._files = files
        self._store = store
        self._largest = largest
        self._records: dict[str, Record] = {}
        self._writing: set[str] = set()
        self._reading: Counter[str] = Counter()

    async def load(self) -> None:
        """Take up what the last run left."""
        found = await self._files.do(_load, self._files.incoming)
        self._records = {record.id: record for record in found}

    async def run(self) -> None:
        """Remove those that nobody used for a day, once an hour."""
        while True:
            await asyncio.sleep(SWEEP)
            try:
                await self.sweep()
            except (OSError, NoSpace) as error:
                log.warning("uploads cannot be swept: %s", error)

    async def sweep(self) -> None:
        """Remove those that nobody used for a day."""
        for upload_id in list(self._records):
            old = await self._files.do(age, self._record_path(upload_id)) > UPLOAD_LIFE
            if old and not self._in_use(upload_id):
                await self._remove(upload_id)

    async def create(self, name: str, size: int, sha256: str | None, key: Key | None) -> tuple[Record, bool]:
        """Begin an upload, and whether it is new: complete at once where its content is here already.

        A key that came before with the same request gives the upload that it made then.
        Raises BadInput, TooLarge, NoSpace, Conflict, or NotFound when a key's upload has gone.
        """
        record = Record(str(uuid.uuid4()), safe_name(name, "name"), size, sha256=sha256)
        if size > self._largest:
            raise TooLarge(f"Uploads may have {self._largest} bytes at most (http.max_upload_bytes).")
        record = await self._begin(record)
        if key is None:
            return record, True
        try:
            made = await self._store.keep_key(key, record.id)
        except Exception:
            await self._remove(record.id)
            raise
        if made != record.id:
            await self._remove(record.id)
        return self.get(made), made == record.id

    def get(self, upload_id: str) -> Record:
        """One upload. Raises NotFound."""
        record = self._records.get(upload_id)
        if record is None:
            raise NotFound(f"No upload has the id {upload_id}.", code="upload_not_found")
        return record

    async def append(self, upload_id: str, offset: int, length: int | None, chunks: AsyncIterator[bytes]) -> Record:
        """Take in what comes next, of `length` bytes where that is known; synced when this returns.

        Raises NotFound, Conflict, TooLarge, NoSpace, BadInput when the digest is wrong, and what `chunks` raises: what
        had arrived until then is kept.
        """
        record = self.get(upload_id)
        if self._in_use(upload_id):
            raise Conflict("Another request uses this upload.", code="upload_busy")
        if offset != record.offset:
            raise Conflict(f"Upload-Offset: this upload goes on at {record.offset}.", code="wrong_offset")
        if offset + (length or 0) > record.size:
            raise _overrun(record)
        self._writing.add(upload_id)
        try:
            await self._receive(record, chunks)
        finally:
            self._writing.discard(upload_id)
        return self.get(upload_id)

    @contextlib.contextmanager
    def held(self, upload_id: str, field: str = "upload") -> Iterator[Upload]:
        """A complete upload as the input of jobs: it stays meanwhile, and a day longer.

        Raises BadInput, which names the field that the upload was named in.
        """
        record = self._records.get(upload_id)
        if record is None:
            raise BadInput(f"{field}: there is no upload {upload_id}.", code="unknown_upload")
        if not record.complete:
            raise BadInput(
                f"{field}: only {record.offset} of {record.size} bytes have arrived.", code="upload_incomplete"
            )
        self._reading[upload_id] += 1
        try:
            with contextlib.suppress(OSError):  # it only goes sooner then
                os.utime(self._record_path(upload_id))
            yield Upload(self._part(upload_id), record.name, record.sha256 or "", keep=True)
        finally:
            self._reading[upload_id] -= 1
            self._reading += Counter()

    async def delete(self, upload_id: str) -> None:
        """Remove an upload; jobs that have it as their input keep theirs. Raises NotFound or Conflict."""
        self.get(upload_id)
        if self._in_use(upload_id):
            raise Conflict("Another request uses this upload.", code="upload_busy")
        await self._remove(upload_id)

    async def _begin(self, record: Record) -> Record:
        same = next((each for each in self._records.values() if _is_same(each, record)), None)
        if same is not None:
            with self.held(same.id) as upload:
                await self._files.do(link, upload.part, self._part(record.id))
            record = msgspec.structs.replace(record, offset=record.size, complete=True)
        else:
            await self._files.do(_make_room, self._part(record.id), record.size)
        try:
            await self._save(record)
        except Exception:
            await self._files.do(remove, self._part(record.id))
            raise
        return record

    async def _receive(self, record: Record, chunks: AsyncIterator[bytes]) -> None:
        position, block = record.offset, bytearray()
        try:
            async for chunk in chunks:
                if position + len(block) + len(chunk) > record.size:
                    position = self.get(record.id).offset  # bytes of what is another file, it seems
                    block.clear()
                    raise _overrun(record)
                block += chunk
                if len(block) >= BLOCK:
                    position = await self._write(record, position, block)
                    if position - self.get(record.id).offset >= CHECKPOINT and position < record.size:
                        await self._keep(record, position)
        finally:
            try:
                position = await self._write(record, position, block)
            finally:
                if not self._records[record.id].complete:
                    await self._keep(record, position)

    async def _write(self, record: Record, position: int, block: bytearray) -> int:
        """Write a block, which is empty then; the position behind it."""
        data = bytes(block)
        if data:
            await self._files.do(_write_at, self._part(record.id), position, data)
        block.clear()
        return position + len(data)

    async def _keep(self, record: Record, position: int) -> None:
        """Make what has arrived durable; at the end, verify it. Raises BadInput when the digest is another."""
        part = self._part(record.id)
        await self._files.do(_sync, part)
        if position < record.size:
            return await self._save(msgspec.structs.replace(record, offset=position))
        found = await self._files.do(digest, part)
        if record.sha256 in (None, found):
            return await self._save(msgspec.structs.replace(record, offset=position, sha256=found, complete=True))
        await self._save(msgspec.structs.replace(record, offset=0))
        await self._files.do(os.truncate, part, 0)
        raise BadInput(
            f"The content's sha256 is {found}, not {record.sha256}: the upload starts again at 0.",
            code="digest_mismatch",
        )

    async def _save(self, record: Record) -> None:
        await self._files.do(_save, self._record_path(record.id), msgspec.json.encode(record))
        self._records[record.id] = record

    async def _remove(self, upload_id: str) -> None:
        """Take an upload away, its record first: a part without one is nobody's."""
        self._records.pop(upload_id, None)
        await self._files.do(remove, self._record_path(upload_id), self._part(upload_id))

    def _in_use(self, upload_id: str) -> bool:
        return upload_id in self._writing or self._reading[upload_id] > 0

    def _part(self, upload_id: str) -> Path:
        return self._files.incoming / f"{upload_id}.part"

    def _record_path(self, upload_id: str) -> Path:
        return self._files.incoming / f"{upload_id}.json"


def _overrun(record: Record) -> TooLarge:
    return TooLarge(f"The upload has {record.size} bytes, and these would be more.")


def _is_same(here: Record, wanted: Record) -> bool:
    return here.complete and here.sha256 == wanted.sha256 and here.size == wanted.size


def _load(folder: Path) -> list[Record]:
    found = []
    for path in folder.glob("*.json"):
        part = path.with_suffix(".part")
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            record = msgspec.json.decode(path.read_bytes(), type=Record)
            if record.id == path.stem and part.stat().st_size >= record.offset:
                found.append(record)
                continue
        remove(path, part)
    return found


def _make_room(part: Path, size: int) -> None:
    if size > shutil.disk_usage(part.parent).free:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    part.touch(exist_ok=False)


def _write_at(path: Path, position: int, data: bytes) -> None:
    """Opened for each block: no descriptor is left to whoever is cut off in between."""
    with path.open("r+b") as file:
        file.seek(position)
        file.write(data)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _save(path: Path, record: bytes) -> None:
    aside = path.with_suffix(".new")
    try:
        with aside.open("wb") as file:
            file.write(record)
            file.flush()
            os.fsync(file.fileno())
        aside.rename(path)
    except OSError:
        remove(aside)
        raise
    sync_folder(path.parent)
