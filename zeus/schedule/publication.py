"""What an attempt says and publishes while it runs: every frame once, durably, and fenced by the attempt's number."""

from __future__ import annotations

import bisect
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from zeus.child import uncancelled
from zeus.engine import Made, Piece
from zeus.errors import Conflict, OutputInvalid, TaskFailed
from zeus.files import Files
from zeus.model import Frame, Job, Output, Task
from zeus.progress import ProgressBook
from zeus.schedule.pace import Pulse
from zeus.store import Store
from zeus.store.moving import OUTSIDE

T = TypeVar("T")


class Record(Protocol):
    """Writes something until it is on record, however long the disk is full."""

    async def __call__(self, write: Callable[[], Awaitable[T]]) -> T: ...


class Publication:
    """The outputs of one attempt on their way to its job; see `zeus.dispatch.Reports`."""

    weights: Sequence[float] = ()
    made: Sequence[Made] = ()

    def __init__(
        self, store: Store, files: Files, progress: ProgressBook, record: Record, task: Task, job: Job, attempt: int,
        earlier: Sequence[Output], frames: Sequence[Frame], complete: Callable[[], None],
    ) -> None:  # fmt: skip
        self._store = store
        self._files = files
        self._progress = progress
        self._record = record
        self._task = task
        self.job = job
        self._attempt = attempt
        self._names = {output.name for output in earlier}
        self._started = time.monotonic()
        self.done = frozenset(frame.number for frame in frames if frame.error is None)
        self.published = files.out(job.id)
        self.pieces: Sequence[Piece[Any]] = ()
        self.pulse = Pulse()
        self._now_done = set(self.done)
        self._frames = task.frames
        self._was_cut = False
        self._complete = complete
        progress.frames(job.id, len(self.done))

    @property
    def elapsed(self) -> float:
        """Seconds since the attempt began."""
        return time.monotonic() - self._started

    @property
    def left(self) -> range:
        """The frames behind the one that is in work; none where it is not known which they are."""
        behind = max(self._now_done, default=self._frames.start - 1)
        return self._frames[bisect.bisect_right(self._frames, behind) + 1 :]

    @property
    def is_complete(self) -> bool:
        """Whether another piece has taken over the last frames, and all others are published."""
        return self._was_cut and self._now_done.issuperset(self._frames)

    def shorten(self, first: int) -> None:
        """Leave the frames from `first` on to another piece."""
        self._frames = self._frames[: bisect.bisect_left(self._frames, first)]
        self._was_cut = True
        self._look_whether_complete()

    def progress(self, fraction: float, note: str, frame: int | None) -> None:
        if self._was_cut:  # the engine counts frames that are not its own any more
            fraction = len(self._now_done) / max(len(self._frames), 1)
        self._progress.report(self._task.job_id, fraction, note, frame, self._started)

    async def publish(self, frame: int, paths: Sequence[Path], seconds: float | None) -> None:
        if self.job.publishes != "each":
            raise TaskFailed("An engine that publishes its outputs as a whole published a frame.", retry=False)
        if self._is_anothers(frame):
            return
        self._claim([path.name for path in paths])
        await uncancelled(self._publish(Frame(frame, self.job.node or "", seconds), paths))

    async def frame_failed(self, frame: int, reason: str) -> None:
        if not self._is_anothers(frame):
            await self._put(Frame(frame, self.job.node or "", error=reason), ())

    async def set_span(self, start: int, end: int, step: int) -> None:
        await self._record(lambda: self._store.set_span(self._task, self._attempt, start, end, step))

    def set_pieces(self, pieces: Sequence[Piece[Any]]) -> None:
        self.pieces = pieces

    async def stage(self, folder: Path) -> list[Output]:
        """What is left to be published at the end, checked. Raises OutputInvalid, also when there is nothing at all."""
        outputs = await self._files.stage(folder)
        if not outputs and not self._names:
            raise OutputInvalid("The engine ended without an output.")
        self._claim([output.name for output in outputs])
        return outputs

    async def close(self, folder: Path, outputs: Sequence[Output]) -> None:
        """Publish what is left: nothing can stop it any more."""
        if self.job.publishes == "each":
            await self._files.publish_each([folder / output.name for output in outputs], self.job.id)
        else:
            await self._files.publish(folder, self.job.id)

    async def _publish(self, frame: Frame, paths: Sequence[Path]) -> None:
        outputs = await self._files.publish_each(paths, self.job.id)
        if not await self._put(frame, outputs):
            await self._files.discard(*(self.published / output.name for output in outputs))
            return
        self.pulse.beat(frame.seconds)
        self._now_done.add(frame.number)
        self._look_whether_complete()

    async def _put(self, frame: Frame, outputs: Sequence[Output]) -> bool:
        """Put a frame on record; False when it has become another piece's meanwhile."""
        count = await self._record(lambda: self._store.put_frame(self._task, self._attempt, frame, outputs))
        if count is None:
            raise Conflict("Another attempt has taken over.", code="attempt_over")
        if count == OUTSIDE:
            return False
        self._progress.frames(self.job.id, count)
        return True

    def _is_anothers(self, frame: int) -> bool:
        return self._was_cut and frame > self._frames[-1]

    def _look_whether_complete(self) -> None:
        if self.is_complete:
            self._complete()

    def _claim(self, names: Sequence[str]) -> None:
        """Take names for files of this attempt. Raises OutputInvalid: what has been published is never rewritten."""
        for name in names:
            if name in self._names or name.startswith("."):
                raise OutputInvalid(f'The engine made "{name}" twice.', retry=False)
            self._names.add(name)
