"""kill -9 in the middle of a split job: each frame is published once, and nothing that was made is lost."""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest

from tests.conftest import Api, NodeProcess

SECTIONS = {
    "jobs": {"slots": 3, "retry_delay": 0.0, "max_attempts": 100, "chunk_seconds": 1.0},
    "engines": {"frames": {"slots": 3}, "segments": {"slots": 3}},
}


async def add(api: Api, **body: object) -> str:
    status, job = await api.post("/api/add_job", json={"enable_split_jobs": True, **body})
    assert status == 200, job
    return str(job["id"])


async def test_killed_while_pieces_are_dealt_run_and_halved(
    spawn_node: Callable[..., NodeProcess], session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    dice, record, node = random.Random(seed), tmp_path / "record", spawn_node(**SECTIONS)
    node.start()
    args = {"seconds": 0.03, "record": str(record), "movie": True}
    job_id = await add(Api(session, node.url), renderer="frames", start_frame=1, end_frame=120, args=args)
    kept: set[str] = set()
    for _ in range(4):
        await asyncio.sleep(dice.uniform(0.2, 0.8))
        _, files = await Api(session, node.url).get(f"/api/jobs/{job_id}/files")
        node.kill()
        assert kept <= set(files), "what was listed stays"
        kept = set(files)
        check(node.folder / "storage", job_id)
        node.start()
    api = Api(session, node.url)
    done = await api.until(job_id)
    assert (done["status"], done["completed_frames"], done["file_count"]) == ("finished", 120, 121), done["error"]
    text = (await api.get(f"/api/jobs/{job_id}/download?filename=movie.txt"))[1]
    assert text == "".join(f"frame {number}" for number in range(1, 121))
    node.stop()
    check(node.folder / "storage", job_id)
    again = Counter(record.read_text().split())
    assert sum(again.values()) - 120 <= 4 * 3 + len(done["children"]), "only what was in work is made again"


def check(storage: Path, job_id: str) -> None:
    """Each frame is one piece's or not dealt yet, and every record has its file."""
    database = sqlite3.connect(storage / "zeus.db")
    pieces = database.execute("SELECT start_frame, end_frame FROM jobs WHERE parent = ?", (job_id,)).fetchall()
    (start, end, status) = database.execute(
        "SELECT start_frame, end_frame, status FROM tasks WHERE job_id = ? AND role = 'deal'", (job_id,)
    ).fetchone()
    if status != "finished":
        pieces.append((start, end))
    assert sorted(number for first, last in pieces for number in range(first, last + 1)) == list(range(1, 121))
    for name, owner in database.execute("SELECT name, job_id FROM outputs"):
        assert (storage / "jobs" / owner / "out" / name).is_file()
    numbers = [row[0] for row in database.execute("SELECT number FROM frames WHERE error IS NULL")]
    assert len(numbers) == len(set(numbers)), "no frame is published twice"
    database.close()


@pytest.mark.parametrize("failpoint", ["upload", "commit", "publish", "end"])
async def test_killed_while_a_job_is_cut_and_joined(
    failpoint: str, spawn_node: Callable[..., NodeProcess], session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """The node dies at the first such moment of a job that it had accepted: of the cut, a piece or the join."""
    node = spawn_node(**SECTIONS)
    node.start()
    api = Api(session, node.url)
    form = aiohttp.FormData()
    form.add_field("json", json.dumps({"enable_split_jobs": True, "args": {"slow": "cut"}}))
    form.add_field("file", b"abcdefghij", filename="text.segments")
    _, job = await api.post("/api/add_job", data=form)
    await api.until(job["id"], "running")
    node.kill()
    node.start(ZEUS_FAILPOINT=failpoint)
    assert await asyncio.to_thread(node.gone) == -9
    node.start()
    api = Api(session, node.url)
    done = await api.until(job["id"])
    assert (done["status"], len(done["children"])) == ("finished", 6), done["error"]
    assert (await api.get(f"/api/jobs/{job['id']}/files")) == (200, ["whole.txt"])
    assert (await api.get(f"/api/jobs/{job['id']}/download?filename=whole.txt"))[1] == "ABCDEFGHIJ"
    node.stop()
    folders = {path.name for path in (node.folder / "storage" / "jobs").iterdir()}
    assert folders == {job["id"], *(child["id"] for child in done["children"])}
