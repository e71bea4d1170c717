"""What tests of several machines share: three of them as one farm, and a job of frames that take a while."""

from __future__ import annotations

import asyncio
import io
import json
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp

from tests.conftest import HANG, Api
from tests.real.machines import Machine

LEASE = 4.0
"""Seconds; 30 where no test sets it."""
LOST = f"did not answer for {LEASE:g} s; the task goes elsewhere"
"""What a piece's log says of a node, after its name, when its lease has ended."""
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "network": {"heartbeat": 0.5, "lease": LEASE, "grace": LEASE},
    "jobs": {"slots": 1, "retry_delay": 0.0, "chunk_seconds": 5.0},
    "engines": {"frames": {"slots": 1}},
}


async def add(api: Api, file: Path | None = None, **fields: Any) -> dict[str, Any]:
    if file is None:
        status, job = await api.post("/api/add_job", json=fields)
    else:
        form = aiohttp.FormData()
        form.add_field("json", json.dumps(fields))
        form.add_field("file", io.BytesIO(await asyncio.to_thread(file.read_bytes)), filename=file.name)
        status, job = await api.post("/api/add_job", data=form)
    assert status == 200, job
    return dict(job)


async def fetched(api: Api, job: dict[str, Any], folder: Path) -> list[Path]:
    """All outputs of a job, in a new folder."""
    await asyncio.to_thread(folder.mkdir)
    _, names = await api.get(f"/api/jobs/{job['id']}/files")
    for name in names:
        async with api.session.get(f"{api.url}/api/jobs/{job['id']}/download", params={"filename": name}) as got:
            assert got.status == 200
            await asyncio.to_thread((folder / name).write_bytes, await got.read())
    return [folder / name for name in sorted(names)]


async def hands(api: Api, job: dict[str, Any]) -> Counter[str]:
    """How many frames each node made of a job."""
    _, found = await api.get(f"/api/jobs/{job['id']}/frames")
    assert all(frame["state"] == "finished" for frame in found["frames"]), found
    return Counter(frame["node"] for frame in found["frames"])


async def told(api: Api, job: dict[str, Any]) -> str:
    """All that the logs of a job's pieces say."""
    _, job = await api.get(f"/api/jobs/{job['id']}")
    texts = []
    for child in job["children"]:
        _, piece = await api.get(f"/api/jobs/{child['id']}")
        for attempt in range(1, piece["attempt"] + 1):
            texts.append((await api.get(f"/api/jobs/{child['id']}/logs?attempt={attempt}"))[1])
    return "\n".join(map(str, texts))


async def why(api: Api, job: dict[str, Any]) -> dict[str, list[str]]:
    """What keeps a job from each node, by the node's name."""
    status, found = await api.get(f"/api/jobs/{job['id']}/why")
    assert status == 200, found
    return {each["node"]: each["reasons"] for each in found["nodes"]}


class Sleeper:
    """A split job of frames that take a while, and a record of each that was begun."""

    def __init__(self, api: Api, record: Path, count: int = 60) -> None:
        self.api = api
        self.record = record
        self.count = count
        self.job: dict[str, Any] = {}
        self._published: set[int] = set()
        self._lines = 0

    async def begin(self, seconds: float = 0.25, file: Path | None = None) -> None:
        span = {} if file is not None else {"start_frame": 1, "end_frame": self.count}
        self.job = await add(
            self.api, file, renderer="frames", enable_split_jobs=True, **span,
            args={"seconds": seconds, "record": str(self.record)},
        )  # fmt: skip

    async def made_by(self, node: str, count: int = 1) -> None:
        """Wait until a node has made so many frames."""
        deadline = time.monotonic() + HANG
        while time.monotonic() < deadline:
            found = await self.frames()
            if sum(frame["node"] == node and frame["state"] == "finished" for frame in found) >= count:
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"{node} makes no frames: {found}")

    async def frames(self) -> list[dict[str, Any]]:
        _, found = await self.api.get(f"/api/jobs/{self.job['id']}/frames")
        return list(found["frames"])

    def begun(self) -> list[int]:
        """The frames in the order in which nodes began them."""
        return [int(line) for line in self.record.read_text().split()]

    async def before_the_loss_of(self, node: str) -> int:
        """Wait until a node has some frames in hand, and note what is published: none of that may be begun again.

        How many frames the node has in hand.
        """
        deadline = time.monotonic() + HANG
        while True:
            found = await self.frames()
            pieces = {frame["job_id"] for frame in found if (frame["node"], frame["state"]) == (node, "running")}
            in_hand = sum(frame["job_id"] in pieces and frame["state"] != "finished" for frame in found)
            if in_hand >= 2:
                break
            assert time.monotonic() < deadline, f"{node} has nothing in hand: {found}"
            await asyncio.sleep(0.05)
        self._published = {frame["frame"] for frame in found if frame["state"] == "finished"}
        self._lines = len(self.begun())
        assert self._published, "there is nothing that could be made again"
        return in_hand

    def in_work(self) -> int:
        """How many frames have been begun and were not published when that was noted."""
        return len(set(self.begun()) - self._published)

    async def ends_whole(self, twice: int) -> Counter[str]:
        """Wait for the end: every frame is there once, and so many were begun twice at most: those that a lost node had
        in work, and one for each piece, whose last frames another node may have taken over.
        """
        ended = await self.api.until(self.job["id"])
        assert (ended["status"], ended["completed_frames"]) == ("finished", self.count), ended
        _, names = await self.api.get(f"/api/jobs/{self.job['id']}/files")
        assert sorted(names) == [f"frame_{number:04}.txt" for number in range(1, self.count + 1)]
        begun = Counter(self.begun())
        assert begun.keys() == set(range(1, self.count + 1))
        again = sum(count - 1 for count in begun.values())
        print(f"{len(self._published)} frames were published before; begun again: {again} of {twice} in work at most;"
              f" {len(ended['children'])} pieces")  # fmt: skip
        assert again <= twice + len(ended["children"]), begun
        self.nothing_is_made_again()
        return await hands(self.api, self.job)

    def nothing_is_made_again(self) -> None:
        """No frame that was published before a node was lost has been begun since."""
        assert not self._published & set(self.begun()[self._lines :])


async def nothing_is_left(*nodes: Machine) -> None:
    """Wait until these have nothing of another node's any more: what nobody wants is ended and removed."""
    deadline = time.monotonic() + HANG
    for node in nodes:
        async with node.client() as there:
            while True:
                _, found = await there.get("/api/jobs")
                left = [job for job in found["jobs"] if job["parent"]]
                if not left:
                    break
                assert time.monotonic() < deadline, left
                await asyncio.sleep(0.2)
