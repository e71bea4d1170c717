"""Brings a published pipeline to a folder: chooses its files, fetches what is missing, verifies all, then renames.

NAME/.OWNER--REPO--COMMIT/  on its way: a file has its name once it is verified, until then it is .FILE.part beside it
NAME/COMMIT/                all of it
NAME/record.json            which commit is here
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from zeus.engine import Computation
from zeus.errors import NoSpace, TaskFailed

from ..diffusion.folder import INDEX, checked, described, parts
from .choice import chosen, is_description
from .source import Broken, File, Source

RESERVE: Final = 1 << 30
"""Bytes that stay free on the disk."""
_TRIES: Final = 5
"""Tries in a row that may bring nothing new."""
_DELAY: Final = 0.5
"""Seconds before the second try, doubled each time."""
_OFTEN: Final = 0.2
"""Seconds between two reports."""
_BLOCK: Final = 1 << 20
RECORD: Final = "record.json"
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")


def pull(job: Computation, *, name: str, repository: str, revision: str | None, hub: str, home: str) -> None:
    """Bring what a repository publishes to `home`; without a revision the one that was begun, else branch main's.

    Reports {"done": bytes, "size": bytes, "message": str}. What is here already is verified and not fetched again.
    Raises TaskFailed, or NoSpace; what has come is kept for the next call.
    """
    folder = Path(home)
    folder.mkdir(parents=True, exist_ok=True)
    source = Source(hub, repository)
    coming = f".{repository.replace('/', '--')}--"
    wanted = revision or _begun(folder, repository, coming) or "main"
    commit, published = source.listing(wanted)
    if not _COMMIT.fullmatch(commit) or (revision and commit != revision):
        raise TaskFailed(
            f"{repository}: the hub does not say which commit {wanted} is", code="hub_refused", retry=False
        )
    aside = folder / f"{coming}{commit}"
    if (folder / commit).exists():  # it was found to be damaged, or nobody would ask for it
        (folder / commit).rename(aside)
    aside.mkdir(exist_ok=True)
    with _full_disk(aside):
        _Transfer(job, source, commit, aside).bring(name, published)
        _put_in_place(folder, aside, commit, repository)


class _Transfer:
    """Brings files of one commit to a folder, and tells how far it is."""

    def __init__(self, job: Computation, source: Source, commit: str, folder: Path) -> None:
        self._job = job
        self._source = source
        self._commit = commit
        self._folder = folder
        self._done = self._size = 0
        self._told = 0.0

    def bring(self, name: str, published: Mapping[str, File]) -> None:
        if INDEX not in published:
            message = f"what is published for {name} is refused: it has no {INDEX}, so it is no pipeline of diffusers"
            raise TaskFailed(message, code="model_refused", retry=False)
        self._size = published[INDEX].size
        self._one(published[INDEX])
        paths = chosen(name, published, parts(name, described(name, self._folder / INDEX)))
        files = [published[path] for path in paths]
        self._size = sum(file.size for file in files)
        self._check_room(files)
        small = [file for file in files[1:] if is_description(file.path)]
        for file in small:
            self._one(file)
            if file.path.endswith(".json"):
                described(name, self._folder / file.path)
        for file in (each for each in files if not is_description(each.path)):
            self._one(file)
        self._tell("looking through the files", now=True)
        checked(name, self._folder)

    def _check_room(self, files: Sequence[File]) -> None:
        """Raises NoSpace where the disk has too little room for what is still to come."""
        needed = sum(file.size for file in files) - sum(_size(each) for each in self._folder.rglob("*"))
        free = shutil.disk_usage(self._folder).free
        if needed + RESERVE > free:
            shown = f"{_gb(needed)} are to come and {_gb(RESERVE)} shall stay free, and {_gb(free)} are free"
            raise NoSpace(f"The storage folder's disk is too small: {shown}.")

    def _one(self, file: File) -> None:
        """Fetch a file unless it is here and as it was published. Raises TaskFailed."""
        target = self._folder / file.path
        target.parent.mkdir(exist_ok=True)
        before = self._done
        if not (target.is_file() and self._is_right(target, file)):
            target.unlink(missing_ok=True)
            self._done = before
            part = target.with_name(f".{target.name}.part")
            self._fetch(file, part)
            if not self._is_right(part, file):
                part.unlink()
                message = f"{file.path} is not as it was published: its size or its sum is another one"
                raise TaskFailed(message, code="hub_damaged")
            _sync(part)
            part.rename(target)
        self._done = before + file.size
        self._tell("fetching")

    def _fetch(self, file: File, part: Path) -> None:
        start, failures = self._done, 0
        while (have := _size(part)) < file.size or not part.exists():
            try:
                self._more(file, part, have, start)
                if _size(part) < file.size:
                    raise Broken("the connection was closed too early")
            except Broken as error:
                failures = 1 if _size(part) > have else failures + 1
                if failures >= _TRIES:
                    raise self._source.unreachable(error) from error
                self._sleep(_DELAY * 2 ** (failures - 1))

    def _more(self, file: File, part: Path, have: int, start: int) -> None:
        with self._source.open(self._commit, file.path, have) as (at, blocks), part.open("ab") as out:
            out.truncate(at)
            for block in blocks:
                out.write(block)
                out.flush()  # what came is kept, whatever comes next
                at += len(block)
                if at > file.size:
                    return
                self._done = start + at
                self._tell("fetching")

    def _is_right(self, path: Path, file: File) -> bool:
        size = path.stat().st_size
        if size != file.size:
            return False
        if file.sha256 is not None:
            return self._sum(path, hashlib.sha256()) == file.sha256
        return self._sum(path, hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)) == file.blob

    def _sum(self, path: Path, made: Any) -> str:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                made.update(block)
                self._tell("verifying")
        return str(made.hexdigest())

    def _sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._job.check()
            time.sleep(0.05)

    def _tell(self, message: str, now: bool = False) -> None:
        self._job.check()
        if now or time.monotonic() > self._told + _OFTEN:
            self._told = time.monotonic()
            self._job.report({"message": message, "done": self._done, "size": self._size})


@contextlib.contextmanager
def _full_disk(aside: Path) -> Iterator[None]:
    """Say what a full disk means here."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        kept = _gb(sum(_size(path) for path in aside.rglob("*")))
        raise NoSpace(f"The storage folder's disk is full; {kept} have come and are kept.") from error


def _begun(folder: Path, repository: str, coming: str) -> str | None:
    """The commit of a repository that is here, or was on its way last; the branch may have moved on since."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        record = json.loads((folder / RECORD).read_bytes())
        if record["repository"] == repository:
            return str(record["revision"])
    begun = sorted(folder.glob(f"{coming}*"), key=lambda path: path.stat().st_mtime)
    return begun[-1].name.removeprefix(coming) if begun else None


def _put_in_place(folder: Path, aside: Path, commit: str, repository: str) -> None:
    """Make the folder the model's, durably, and remove those of other commits."""
    size = sum(_size(path) for path in aside.rglob("*"))
    for path in (aside, *(each for each in aside.iterdir() if each.is_dir())):
        _sync(path)
    aside.rename(folder / commit)
    record = folder / ".record.new"
    record.write_text(json.dumps({"repository": repository, "revision": commit, "size": size}))
    _sync(record)
    record.rename(folder / RECORD)
    _sync(folder)
    for path in folder.iterdir():
        if path.is_dir() and path.name != commit:
            shutil.rmtree(path, ignore_errors=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
