"""The storage folder: uploads come in, outputs are published by rename, deleted jobs leave through the trash.

LOCK                       one process a folder
incoming/<id>.part         uploads on their way; those that can be resumed have <id>.json beside them
jobs/<id>/input/           renamed in before the job is stored
jobs/<id>/attempt-<n>/     LOCK work/ log
jobs/<id>/out/             published, then never changed
models/                    weights that engines fetched; each keeps its own order there
engines/                   managed versions of engines' tools; see zeus/downloads/downloads.py
trash/                     what is being deleted
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import hashlib
import logging
import os
import shutil
import stat
import threading
import time
import uuid
from collections.abc import Callable, Container, Iterable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import IO, TypeVar

from zeus.errors import NoSpace, OutputInvalid, StorageInUse
from zeus.failpoint import failpoint
from zeus.model import NewJob, Output

log = logging.getLogger(__name__)
T = TypeVar("T")
BLOCK = 1 << 20
PREVIEW = "preview.jpg"
"""In an attempt's work folder: what it shows of itself before it has made anything."""
UPLOAD_LIFE = 24 * 3600.0
"""Seconds that a resumable upload stays after its last use."""


class Files:
    """All paths within one storage folder, and the moves between them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.database = root / "zeus.db"
        self.incoming = root / "incoming"
        self.jobs = root / "jobs"
        self.trash = root / "trash"
        self.cache = root / "cache"
        self.engines = root / "engines"
        self.models = root / "models"
        self._lock: IO[bytes] | None = None
        # Threads of its own: hashing and syncing take long, and everyone else's short work must not queue behind them.
        self._threads = ThreadPoolExecutor(4, "zeus-files")

    def open(self) -> None:
        """Make the folders and take the lock. Raises StorageInUse."""
        for folder in (self.incoming, self.jobs, self.trash, self.cache, self.engines, self.models):
            folder.mkdir(parents=True, exist_ok=True)
        self._lock = (self.root / "LOCK").open("ab")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise StorageInUse(f"Another Zeus process uses the storage folder {self.root}: stop it first.") from error

    def close(self) -> None:
        """Finish what is under way, and release the lock."""
        self._threads.shutdown()
        if self._lock is not None:
            self._lock.close()

    def job(self, job_id: str) -> Path:
        return self.jobs / job_id

    def input(self, job_id: str, name: str) -> Path:
        return self.jobs / job_id / "input" / name

    def inputs(self, job_id: str) -> Path:
        return self.jobs / job_id / "input"

    def source(self, job: NewJob) -> Path | None:
        """A job's input file, wherever it lies, or None."""
        if job.local_path is not None:
            return Path(job.local_path)
        return None if job.input is None else self.input(job.input_of or job.id, job.input)

    def attempt(self, job_id: str, attempt: int) -> Path:
        return self.jobs / job_id / f"attempt-{attempt}"

    def log(self, job_id: str, attempt: int) -> Path:
        return self.attempt(job_id, attempt) / "log"

    def out(self, job_id: str) -> Path:
        return self.jobs / job_id / "out"

    def output(self, output: Output) -> Path:
        """Where a published output lies."""
        return self.out(output.job_id) / (output.stored or output.name)

    def part(self) -> Path:
        """A new path for an upload on its way."""
        return self.incoming / f"{uuid.uuid4()}.part"

    async def take_in(self, part: Path, targets: Iterable[Path], *, keep: bool = False) -> None:
        """Move an upload that is whole to where its jobs look for it, or link it there to `keep` it where it is.

        A folder is always linked, file by file. Durable when this returns.
        """
        await self.do(_take_in, part, list(targets), keep)

    async def discard(self, *paths: Path) -> None:
        """Take files or folders away, through the trash, so that nobody sees half of them."""
        await self.do(_discard, self.trash, paths)

    async def stage(self, folder: Path) -> list[Output]:
        """Check, hash and sync the files that an attempt made. Raises OutputInvalid for what is no file."""
        return await self.do(_stage_folder, folder)

    async def publish_each(self, paths: Sequence[Path], job_id: str) -> list[Output]:
        """Add files to a job's outputs, each by a rename; none of them may be on record there yet."""
        return await self.do(_publish_each, paths, self.out(job_id))

    async def unpublish(self, job_id: str, recorded: Container[str]) -> None:
        """Remove what a crash left in a job's outputs without a record: nobody has been shown it."""
        await self.do(_unpublish, self.out(job_id), self.trash, recorded)

    async def publish(self, folder: Path, job_id: str) -> None:
        """Make a staged folder the job's outputs, by one rename."""
        await self.do(_publish, folder, self.out(job_id), self.trash)

    def strays(self, known: set[str]) -> list[Path]:
        """What a crash left: uploads that cannot be resumed any more, folders of no job, half-emptied trash."""
        folders = [path for path in self.jobs.iterdir() if path.name not in known]
        young = {path.stem for path in self.incoming.glob("*.json") if age(path) <= UPLOAD_LIFE}
        kept = {f"{stem}{ending}" for stem in young for ending in (".json", ".part")}
        gone = [path for path in self.incoming.iterdir() if path.name not in kept]
        return [*folders, *gone, *self.trash.iterdir()]

    async def do(self, function: Callable[..., T], *arguments: object) -> T:
        """Run a function of the disk in a thread. Raises NoSpace when the disk is full."""
        return await on_disk(function, *arguments, threads=self._threads)


async def on_disk(function: Callable[..., T], *arguments: object, threads: Executor | None = None) -> T:
    """Run a function of the disk in a thread. Raises NoSpace when the disk is full."""
    try:
        return await asyncio.get_running_loop().run_in_executor(threads, function, *arguments)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoSpace() from error
        raise


async def on_disk_stoppable(function: Callable[..., T], *arguments: object) -> T:
    """Run a long function of the disk, whose last argument is called now and then and ends it once the caller is
    cancelled; he goes on when it has ended.
    """
    stop = threading.Event()

    def check() -> None:
        if stop.is_set():
            raise InterruptedError

    work = asyncio.ensure_future(on_disk(function, *arguments, check))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait([work])
        raise


def take_attempt_lock(path: Path) -> IO[bytes]:
    """Open an attempt's lock and share it: every process of the attempt holds it until its end."""
    file = path.open("ab")
    fcntl.flock(file, fcntl.LOCK_SH)
    return file


def attempt_is_held(path: Path) -> bool:
    """Whether any process still holds an attempt's lock."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def sync_folder(folder: Path) -> None:
    """Make renames within a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def age(path: Path) -> float:
    """Seconds since a file was written or touched; 0 when it is not there."""
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def digest(path: Path) -> str:
    """A file's sha256 in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def outputs_in(folder: Path) -> list[Output]:
    """The files of an output folder with their sizes and hashes."""
    return _described(sorted(_visible(folder)))


def _described(paths: Iterable[Path]) -> list[Output]:
    return [Output(path.name, path.stat().st_size, digest(path)) for path in paths]


def _take_in(part: Path, targets: list[Path], keep: bool) -> None:
    for target in targets:
        target.parent.mkdir(parents=True)
        if part.is_dir():
            shutil.copytree(part, target, copy_function=os.link)
            _sync_tree(target)
        elif target is targets[-1] and not keep:
            part.rename(target)
        else:
            os.link(part, target)
        failpoint("upload")
        for folder in (target.parent, target.parent.parent, target.parent.parent.parent):
            sync_folder(folder)


def _sync_tree(folder: Path) -> None:
    """Make the names in a folder and in all folders of it durable; the files were synced before."""
    for path, _, _ in os.walk(folder):
        sync_folder(Path(path))


def _stage_folder(folder: Path) -> list[Output]:
    outputs = _stage(_visible(folder))
    sync_folder(folder)
    return outputs


def _stage(paths: Iterable[Path]) -> list[Output]:
    paths = sorted(paths)
    for path in paths:
        if not path.name.isprintable():
            raise OutputInvalid("The engine gave an output a name that cannot be printed.", retry=False)
        facts = path.lstat()
        if not stat.S_ISREG(facts.st_mode):
            raise OutputInvalid(f'The engine left "{path.name}" as an output, which is no file.')
        if facts.st_size == 0:
            raise OutputInvalid(f'The engine left "{path.name}" empty.')
        with path.open("rb") as file:
            os.fsync(file.fileno())
    return _described(paths)


def _publish_each(paths: Sequence[Path], target: Path) -> list[Output]:
    if not target.exists():
        target.mkdir()
        sync_folder(target.parent)
    outputs = _stage(paths)
    for path in paths:
        path.rename(target / path.name)
    sync_folder(target)
    failpoint("publish")
    return outputs


def _unpublish(target: Path, trash: Path, recorded: Container[str]) -> None:
    if target.exists():
        _discard(trash, [path for path in target.iterdir() if path.name not in recorded])


def _publish(folder: Path, target: Path, trash: Path) -> None:
    if target.exists():  # of an attempt whose record failed: nobody has been shown it
        _discard(trash, [target])
    folder.rename(target)
    sync_folder(target.parent)
    failpoint("publish")


def _visible(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if not path.name.startswith(".")]


def _discard(trash: Path, paths: Iterable[Path]) -> None:
    for path in paths:
        gone = trash / f"{path.name}-{time.time_ns()}"
        try:
            path.rename(gone)
            remove(gone)
        except FileNotFoundError:
            continue
        except OSError as error:
            log.warning("%s cannot be removed: %s", path, error)


def link(source: Path, target: Path) -> None:
    """Give a file a second name, its folder made where there is none."""
    target.parent.mkdir(exist_ok=True)
    os.link(source, target)


def remove(*paths: Path) -> None:
    """Remove files, and folders with all that is in them; nothing there is fine."""
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
