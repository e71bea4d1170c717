"""One share at a peer, followed to its end: its progress and its log are shown here, its files are fetched."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import re
import time
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from zeus.dispatch import Reports
from zeus.dispatch.local import Attempt
from zeus.dispatch.remote import PeerDamaged, Remote, checked
from zeus.errors import NodeBusy, NodeLost, TaskFailed
from zeus.joblog import JobLog
from zeus.model import ENDED, Job, Status
from zeus.peers.transfer import DownloadDamaged
from zeus.wire import FileView, JobView

BEAT = 2.0
"""Seconds between two looks at a share's log."""
LOOK = 10.0
"""Seconds after which a share is asked about though there was no news."""
AT_ONCE = 3
"""Files of a share that are fetched at once."""
LOG_PART, MOST_LOG = 1 << 18, 64 << 20
"""Bytes of a log that are fetched at once, and in all."""
FRAME_LIMIT = 1_048_574
FAILED_FRAMES = 1000
"""Frames that could not be made, of which is told why."""
NOT_ITS_FAULT = frozenset({"interrupted", "stray_process", "disk_full", "engine_not_ready", "model_not_ready"})
"""Codes of a share's failure that say something of its node and nothing of the work."""


class Share:
    """A share from the moment when the peer has it. `span`: the frames that it was asked for, where that is known."""

    def __init__(
        self, remote: Remote, name: str, job: Job, span: range, done: set[int], reports: Reports, folder: Attempt,
        pulls: asyncio.Semaphore, patience: float,
    ) -> None:  # fmt: skip
        self._remote = remote
        self._name = name
        self._job = job
        self._span = span
        self._done = done
        self._reports = reports
        self._folder = folder
        self._pulls = pulls
        self._patience = patience
        self._mirror = LogMirror(remote, folder.log)
        self._before = len([number for number in done if number not in span])
        self._view: JobView | None = None
        self._asked = time.monotonic()
        self._is_stale = True
        self._news = asyncio.Event()
        self._waiting_since: float | None = time.monotonic()
        self._fetched: set[str] = set()
        self._learning = asyncio.Lock()

    def hear(self, view: JobView | None) -> None:
        """News of the share: how it is now, or only that it should be asked about."""
        if view is None:
            self._is_stale = True
        else:
            self._view = view
        self._wake()

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def follow(self) -> None:
        """Return when it has finished and all its files are here. Raises TaskFailed, NodeLost for the peer's fault."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._look())
                group.create_task(self._fetch())
        except ExceptionGroup as errors:
            raise _first(errors) from None
        assert self._view is not None
        await self._judge(self._view)

    async def _look(self) -> None:
        """Show how far it is and what it says until it has ended."""
        while True:
            news, view = self._news, await self._newest()
            await self._learn(view)
            self._show(view)
            await self._mirror.take(view.attempt)
            if view.status in ENDED:
                return await self._mirror.end()
            self._check_begun(view)
            await _wait(news, BEAT)

    async def _newest(self) -> JobView:
        if self._view is None or self._is_stale or time.monotonic() - self._asked > LOOK:
            self._is_stale, self._asked = False, time.monotonic()
            self._view = await self._remote.view()
            self._wake()
        return checked(self._view, self._remote.job_id)

    async def _learn(self, view: JobView) -> None:
        """Take over the frames that only the peer could find out."""
        async with self._learning:
            if self._span or self._job.publishes != "each" or view.start_frame is None or view.end_frame is None:
                return
            listed = await self._remote.frames(2)
            numbers = [each.frame for each in listed.frames]
            step = numbers[1] - numbers[0] if len(numbers) == 2 else 1
            first, last = view.start_frame, view.end_frame
            if step < 1 or not -FRAME_LIMIT <= first <= last <= FRAME_LIMIT:
                raise PeerDamaged("It names frames that cannot be.")
            await self._reports.set_span(first, last, step)
            self._span = range(first, last + 1, step)

    def _show(self, view: JobView) -> None:
        if view.status == Status.RUNNING:
            share = view.percent_complete / 100
            made, wanted = self._before, len(self._span)
            whole = (made + share * wanted) / (made + wanted) if wanted else share
            self._reports.progress(whole, f"on {self._name}", None)

    def _check_begun(self, view: JobView) -> None:
        """Raises NodeLost when it waits there for too long: someone else may have room for it."""
        if view.status == Status.RUNNING:
            self._waiting_since = None
        elif self._waiting_since is None:
            self._waiting_since = time.monotonic()
        elif time.monotonic() - self._waiting_since > self._patience:
            raise NodeBusy(f"It has been {view.status} there for {self._patience:g} s.")

    async def _fetch(self) -> None:
        """Fetch what is published there until it has ended."""
        while True:
            news, view = self._news, self._view
            if view is not None:
                await self._learn(view)
                if view.status in ENDED or view.file_count > len(self._fetched):
                    await self._fetch_new(all_of_it=view.status == Status.FINISHED)
                if view.status in ENDED:
                    return
            await _wait(news, LOOK)

    async def _fetch_new(self, *, all_of_it: bool) -> None:
        listed = await self._remote.files()
        new = [file for file in listed if file.name not in self._fetched and (all_of_it or file.frame is not None)]
        frames = groupby(sorted(new, key=_frame), _frame)
        wanted = iter([(frame, list(files)) for frame, files in frames])
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(self._fetch_each(wanted))

    async def _fetch_each(self, wanted: Iterator[tuple[int, list[FileView]]]) -> None:
        for _, files in wanted:
            await self._fetch_frame(files[0].frame, files)

    async def _fetch_frame(self, frame: int | None, files: Sequence[FileView]) -> None:
        """Fetch the files of one frame and publish them, or those that came at the end."""
        names = {file.name for file in files}
        if frame is not None and self._job.publishes != "each":
            raise PeerDamaged("It publishes single frames of a job that has none.")
        if frame is not None and frame in self._done:
            self._fetched |= names
            return
        if frame is not None and frame not in self._span:
            raise PeerDamaged(f"It made frame {frame}, which it was not asked for.")
        folder = self._folder.out if frame is None else self._folder.work
        paths = [await self._fetch_file(file, folder / file.name) for file in files]
        self._fetched |= names
        if frame is not None:
            self._done.add(frame)
            await self._reports.publish(frame, paths, files[0].seconds)

    async def _fetch_file(self, file: FileView, target: Path) -> Path:
        try:
            async with self._pulls:
                await self._remote.download(file, target)
        except DownloadDamaged as error:
            raise PeerDamaged(f"{file.name} is not what it should be: {error.message}") from error
        return target

    async def _judge(self, view: JobView) -> None:
        """What its end means. Raises TaskFailed, and NodeLost where it is the peer's fault."""
        if view.status == Status.FINISHED:
            missing = [number for number in self._span if number not in self._done]
            if self._job.publishes == "each" and missing:
                raise PeerDamaged(f"It says that it has finished, but has not made frame {missing[0]}.")
            return
        if view.status == Status.CANCELLED or view.error is None:
            raise NodeLost("It was cancelled there.", code="node_cancelled")
        code = view.error.code if re.fullmatch("[a-z][a-z0-9_]{0,63}", view.error.code) else "task_failed"
        text = "".join(each if each.isprintable() else "?" for each in view.error.message[:1000])
        if code in NOT_ITS_FAULT:
            raise NodeLost(text, code=code)
        await self._tell_failed_frames()
        raise TaskFailed(text, code=code)

    async def _tell_failed_frames(self) -> None:
        if self._job.publishes == "each":
            for each in (await self._remote.frames(FAILED_FRAMES)).frames:
                if each.error is not None and each.frame in self._span and each.frame not in self._done:
                    await self._reports.frame_failed(each.frame, each.error[:1000])


class LogMirror:
    """A share's log, written here as it grows there."""

    def __init__(self, remote: Remote, log: JobLog) -> None:
        self._remote = remote
        self._log = log
        self._attempt = 0
        self._position = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._is_in_line = False

    async def take(self, attempt: int) -> None:
        """Write what is new; a share that its node began anew has a log of its own."""
        if attempt != self._attempt:
            await self.end()
            self._attempt, self._position = attempt, 0
        while self._attempt and self._position < MOST_LOG:
            data = await self._remote.log(self._attempt, self._position, LOG_PART)
            self._position += len(data)
            await self._write(self._decoder.decode(data))
            if len(data) < LOG_PART:
                return

    async def end(self) -> None:
        """Close the last line, which may have no end."""
        await self._write(self._decoder.decode(b"", final=True))
        if self._is_in_line:
            await self._write("\n")

    async def _write(self, text: str) -> None:
        if text:
            self._is_in_line = not text.endswith("\n")
            await self._log.write(text)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


def _first(errors: BaseException) -> BaseException:
    """What went wrong first in a group of tasks."""
    while isinstance(errors, BaseExceptionGroup):
        errors = errors.exceptions[0]
    return errors


def _frame(file: FileView) -> int:
    """The order in which files are fetched: frames as they come, what came at the end last."""
    return FRAME_LIMIT + 1 if file.frame is None else file.frame
