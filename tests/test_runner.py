"""The loop that keeps places busy, with a real store and places of the test's own."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

from tests.conftest import HANG
from zeus.config import JobsConfig
from zeus.dispatch import Reports
from zeus.feed import Feed
from zeus.files import Files
from zeus.model import Assignment, Job, NewJob, Place
from zeus.progress import ProgressBook
from zeus.schedule.pace import Paces
from zeus.schedule.runner import Runner
from zeus.store import Store


class Places:
    """A way of running tasks: each publishes a frame, and then works on without an end."""

    def __init__(self, root: Path) -> None:
        self.open = [Place("here", 1, {"e": 1})]
        self.taken: asyncio.Queue[tuple[str, int | None]] = asyncio.Queue()
        self._root = root

    def places(self) -> list[Place]:
        return self.open

    async def run(self, assignment: Assignment, job: Job, attempt: int, reports: Reports) -> Path:
        reports.published.parent.mkdir(parents=True, exist_ok=True)
        for number in assignment.task.frames[:1]:
            path = self._root / f"{number}.txt"
            path.write_text("frame")
            await reports.publish(number, [path], 1.0)
        self.taken.put_nowait((assignment.place.node, assignment.task.start_frame))
        return await asyncio.Event().wait() or self._root


async def test_a_node_that_lost_a_job_too_often_takes_nothing_off_its_pieces(tmp_path: Path) -> None:
    """Nor off one that was begun before it had lost so much."""
    feed, files = Feed(), Files(tmp_path / "storage")
    files.open()
    store = await Store.open(files.database, feed.announce, lambda error: None)
    places = Places(tmp_path)
    runner = Runner(store, feed, files, ProgressBook(store, feed), places, Paces(store), JobsConfig())
    loop = asyncio.create_task(runner.run())
    try:
        job = NewJob(
            id=str(uuid.uuid4()), name="n", renderer="e", renderer_version="1", args=b"{}", created=0.0, start_frame=1,
            end_frame=100, publishes="each", splits="frames",
        )  # fmt: skip
        async with asyncio.timeout(HANG / 4):
            await store.add_jobs([job])
            assert await places.taken.get() == ("here", 1)
            [piece] = await store.children(job.id)
            for _ in range(3):
                await store.lose(piece.id, "lossy", "Gone.", 0.0)
            fast = {"pace": {"e": 0.01}}
            places.open += [Place("lossy", 1, {"e": 1}, peer="lossy", **fast), Place("good", 1, {"e": 1}, peer="good")]
            runner.wake()
            assert (await places.taken.get())[0] == "good"
        assert {child.node for child in await store.children(job.id)} == {"here", "good"}
    finally:
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)
        await runner.close()
        await store.close()
        files.close()
