"""Folders that several nodes see: files in them are not sent, and nothing outside of them is reached."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.farm import QUICK, node_in, pair
from zeus.config.settings import PathConfig
from zeus.errors import BadInput, ConfigError
from zeus.folders import MARK, Folders
from zeus.wire import SharedFile


def seeing(path: Path, **sections: Mapping[str, Any]) -> dict[str, Any]:
    system = {"linux": str(path), "macos": str(path), "windows": str(path)}
    return {**QUICK, "paths": {"show": system}, **sections}


async def folders(root: Path, name: str = "show") -> Folders:
    made = Folders({name: PathConfig(linux=str(root), macos=str(root), windows=str(root))})
    await made.look()
    return made


async def test_a_job_whose_input_is_shared(tmp_path: Path) -> None:
    """The controller may not run it itself; the worker reads the file where it is, or gets it where it is another."""
    there, other = tmp_path / "mnt", tmp_path / "volume"
    there.mkdir()
    other.symlink_to(there)
    shot = there / "a.frames"
    shot.write_text("2-4")
    worker = seeing(other, node={"tags": ["far"]})
    async with node_in(tmp_path, "first", seeing(there)) as one, node_in(tmp_path, "second", worker) as two:
        await pair(one, two)
        marks = [(await api.get("/api/nodes/self"))[1]["shares"] for api in (one, two)]
        assert marks[0] == marks[1] == {"show": (there / MARK).read_text()}
        named = {"renderer": "frames", "shared": {"share": "show", "path": "a.frames"}}
        status, told = await two.post("/api/add_job", json=named)
        assert (status, told["error"]) == (400, "unsupported_field"), "only nodes may say that"
        fields = {"renderer": "frames", "local_path": str(shot), "tags": ["far"]}
        _, job = await one.post("/api/add_job", json=fields)
        job = await one.until(job["id"])
        assert (job["status"], job["node"], job["completed_frames"]) == ("finished", "second", 3), job["error"]
        incoming = tmp_path / "second" / "storage" / "incoming"
        assert not list(incoming.glob("*.part")), "it was sent"
        other.unlink()  # now the other one sees a copy: the same mark, but not the same file
        other.mkdir()
        (other / MARK).write_text((there / MARK).read_text())
        (other / "a.frames").write_text("1-9")
        os.utime(other / "a.frames", (0, 0))
        _, job = await one.post("/api/add_job", json=fields)
        job = await one.until(job["id"])
        assert (job["status"], job["node"], job["completed_frames"]) == ("finished", "second", 3), job["error"]
        assert len(list(incoming.glob("*.part"))) == 1
        assert "shared folder" in (await one.get(f"/api/jobs/{job['id']}/logs"))[1]


async def test_the_marks(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first, again = await folders(tmp_path), await folders(tmp_path)
    assert first.marks == again.marks and len(first.marks["show"]) == 32
    other = tmp_path / "other"
    other.mkdir()
    assert (await folders(other)).marks != first.marks
    (other / MARK).write_text("what is this?")
    assert (await folders(other)).marks == {} and "holds no mark" in caplog.text
    assert (await folders(tmp_path / "absent")).marks == {}
    with pytest.raises(ConfigError, match="absolute"):
        Folders({"show": PathConfig(linux="a", macos="a", windows="a")})


WRONG: Sequence[str] = ("../secret.txt", "a/../../secret.txt", "/etc/passwd", "./a.txt", "a//b", "", "a\\..\\b", "C:x",
                        "link/secret.txt", "secret-link", "absent.txt", "a\0b", "folder", MARK + "/x")  # fmt: skip


async def test_nothing_outside_is_reached(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "folder").mkdir(parents=True)
    (tmp_path / "secret.txt").write_text("secret")
    (root / "link").symlink_to(tmp_path)
    (root / "secret-link").symlink_to(tmp_path / "secret.txt")
    (root / "a.txt").write_text("abc")
    shared = await folders(root)
    facts = (root / "a.txt").stat()
    right = SharedFile("show", "a.txt", 3, facts.st_mtime)
    assert shared.find(right) == root / "a.txt"
    wrong = [msgspec.structs.replace(right, path=path, size=size) for path in WRONG for size in (3, 6, None)]
    wrong += [msgspec.structs.replace(right, share="other"), msgspec.structs.replace(right, size=4)]
    wrong += [msgspec.structs.replace(right, modified=facts.st_mtime - 60)]
    for each in wrong:
        with pytest.raises(BadInput) as caught:
            shared.find(each)
        assert caught.value.code == "share_unusable" and str(tmp_path) not in caught.value.message, each
    os.utime(root / "a.txt", (0, facts.st_mtime + 1))  # file systems round
    assert shared.find(right) == root / "a.txt"
    sequence = SharedFile("show", "folder/####.png")
    assert shared.find(sequence) == root / "folder" / "####.png"
