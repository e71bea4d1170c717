"""A storage folder of an earlier Zeus: its database is brought up to date, and all of its jobs go on."""

from __future__ import annotations

import hashlib
import sqlite3
from pathlib import Path
from typing import Any

import aiohttp

from tests.conftest import Api, config_for
from zeus.api.app import running_node
from zeus.store.schema import STEPS

BEFORE_NODES = 4
"""Steps of the schema before jobs were shared among nodes."""
JOB: dict[str, Any] = {
    "name": "n", "renderer": "noop", "renderer_version": "latest", "args": b"{}", "created": 1.0, "priority": 50,
    "max_attempts": 3, "enable_split_jobs": 1, "notes": "", "status": "queued", "revision": 7,
}  # fmt: skip


class Earlier:
    """The database as the earlier Zeus left it."""

    def __init__(self, folder: Path) -> None:
        self.storage = folder / "storage"
        self.storage.mkdir()
        self.tx = sqlite3.connect(self.storage / "zeus.db")
        for step in STEPS[:BEFORE_NODES]:
            self.tx.executescript(step)
        self.tx.execute(f"PRAGMA user_version = {BEFORE_NODES}")
        self.insert("meta", key="uuid", value="0f6b2f2e-6f5c-4f7e-9d0a-000000000001")
        self.insert("meta", key="revision", value="40")

    def insert(self, table: str, **values: Any) -> None:
        names = ", ".join(values)
        self.tx.execute(
            f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(values))})", tuple(values.values())
        )

    def job(self, job_id: str, *, task: dict[str, Any] | None = None, **values: Any) -> None:
        """A job with its task, which has the job's status unless `task` says otherwise."""
        row = {**JOB, "id": job_id, **values}
        self.insert("jobs", **row)
        if row["status"] != "waiting_for_subjobs":
            copied = ("renderer", "priority", "status", "start_frame", "end_frame", "demand")
            taken = {name: row[name] for name in copied if name in row}
            self.insert("tasks", **{"job_id": job_id, **taken, **(task or {})})

    def output(self, job_id: str, name: str, text: str) -> None:
        """A file of a job, on record and on the disk."""
        out = self.storage / "jobs" / job_id / "out"
        out.mkdir(parents=True, exist_ok=True)
        (out / name).write_text(text)
        sha256 = hashlib.sha256(text.encode()).hexdigest()
        self.insert("outputs", job_id=job_id, name=name, size=len(text), sha256=sha256)


async def test_jobs_of_an_earlier_zeus_go_on(tmp_path: Path) -> None:
    earlier, record = Earlier(tmp_path), tmp_path / "record"
    frames = {"renderer": "frames", "publishes": "each", "start_frame": 1, "end_frame": 4}
    earlier.job("queued", demand='{"gpu":"gpu"}')
    earlier.job("running", status="running", attempt=1, node="test-node", task={"attempt": 1})
    earlier.job(
        "halfway", status="running", attempt=1, task={"attempt": 1}, args=b'{"record": "%s"}' % str(record).encode(),
        completed_frames=2, **frames,
    )  # fmt: skip
    for number in (1, 2):
        earlier.output("halfway", f"frame_{number:04}.txt", f"frame {number}")
        earlier.insert("frames", job_id="halfway", number=number, node="test-node", seconds=0.5)
    earlier.job("finished", status="finished", attempt=1, percent=100, ended=2.0, file_count=1, task={"attempt": 1})
    earlier.output("finished", "out.txt", "made before")
    earlier.job("failed", status="failed", attempt=3, ended=2.0, error_code="task_failed", error_message="no")
    earlier.job("paused", status="paused")
    earlier.job("waiting", status="waiting", depends_on='["running"]')
    earlier.insert("needs", job_id="waiting", needed="running")
    earlier.job("parent", status="waiting_for_subjobs")
    earlier.job("first", parent="parent", status="finished", percent=100, ended=2.0)
    earlier.job("second", parent="parent")
    earlier.tx.commit()
    earlier.tx.close()

    async with running_node(config_for(tmp_path)) as node, aiohttp.ClientSession() as session:
        api = Api(session, node.url)
        for job_id in ("queued", "running", "halfway", "waiting", "parent"):
            job = await api.until(job_id)
            assert (job["status"], job["error"]) == ("finished", None), job
        for action, job_id in (("resume", "paused"), ("retry", "failed")):
            assert (await api.post(f"/api/jobs/{job_id}/{action}"))[0] == 200
            assert (await api.until(job_id))["status"] == "finished"
        assert record.read_text().split() == ["3", "4"], "what was there is not made again"
        assert (await api.get("/api/jobs/halfway"))[1]["file_count"] == 4
        assert (await api.get("/api/jobs/finished/download?filename=out.txt"))[1] == "made before"
        assert (await api.get("/api/jobs/running"))[1]["attempt"] == 2
        assert [each["id"] for each in (await api.get("/api/jobs/parent"))[1]["children"]] == ["first", "second"]
        assert (await api.get("/api/nodes/self"))[1]["id"] == "0f6b2f2e-6f5c-4f7e-9d0a-000000000001"
        for job in (await api.get("/api/jobs"))[1]["jobs"]:
            if job["parent"] is None:
                assert (await api.post(f"/api/jobs/{job['id']}/delete?confirm=1"))[0] == 200
        assert (await api.get("/api/jobs"))[1]["jobs"] == []
