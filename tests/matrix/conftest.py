"""One node for the whole matrix, with a job, an upload and a token of each kind that the right requests need."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import http.server
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.conftest import HANG, NodeProcess
from tests.matrix.cases import GOOD
from tests.matrix.raw import Sender
from tests.releases import FOLDERS, tool
from zeus.tokens import Scope, add_token

LATER = "2099-01-01T00:00:00Z"


class Stage(NamedTuple):
    """A node, what it has by the names that requests use, and the folder that no answer may tell."""

    sender: Sender
    names: dict[str, str]
    folder: Path

    def filled(self, text: str) -> str:
        for name, value in self.names.items():
            text = text.replace(f"{{{name}}}", value)
        return text


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A node with one slot that is taken: what the requests of these tests add stays in the queue."""
    folder, published = tmp_path_factory.mktemp("matrix"), tmp_path_factory.mktemp("published")
    with mirrored(published) as url:
        engines = {"noop": {"slots": 8}, "tooled": {"mirror": url}}
        plugins = {"folders": FOLDERS}
        node = NodeProcess(folder, {"jobs": {"slots": 1, "retry_delay": 0.0}, "engines": engines, "plugins": plugins})
        yield from _staged(node)


def _staged(node: NodeProcess) -> Iterator[Stage]:
    (node.folder / "storage").mkdir()
    secret = add_token(node.folder / "storage", "matrix", [Scope.READ])
    sender = Sender(node.start())
    try:
        yield Stage(sender, {"secret": secret, "engine": "noop", "status": "finished", **_made(sender)}, node.folder)
    finally:
        node.kill()


@contextlib.contextmanager
def mirrored(folder: Path) -> Iterator[str]:
    """A server in a thread that publishes two versions of a tool; its address."""
    for version in ("4.1.0", "4.2.3"):
        archive, place = tool(version), folder / f"Blender{version[:3]}"
        place.mkdir()
        name = f"blender-{version}-linux-x64.tar.xz"
        (place / name).write_bytes(archive)
        (place / f"blender-{version}.sha256").write_text(f"{hashlib.sha256(archive).hexdigest()}  {name}\n")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder with its listings, and says nothing."""

    def log_message(self, *words: object) -> None:
        pass


def _made(sender: Sender) -> dict[str, str]:
    video = sender.send_json("POST", "/api/generate", GOOD["POST /api/generate"].body).json["job_id"]
    _until(sender, video, "finished")
    spare = _add(sender)["id"]
    _until(sender, spare, "finished")
    parent = _add(sender, not_before=LATER, child_jobs=[{}])
    held = {name: _add(sender, not_before=LATER)["id"] for name in ("waiting", "paused", "cancelled")}
    sender.send("POST", f"/api/jobs/{held['paused']}/pause")
    sender.send("POST", f"/api/jobs/{held['cancelled']}/cancel?confirm=1")
    _until(sender, _add(sender, args={"seconds": 3600})["id"], "running")
    uploads = {name: _upload(sender) for name in ("upload_id", "begun", "spare_upload")}
    sender.send("PATCH", f"/api/uploads/{uploads['upload_id']}",
                [("Upload-Offset", b"0"), ("Content-Type", b"application/octet-stream")], b"hello")  # fmt: skip
    child = parent["children"][0]["id"]
    sender.send("POST", "/api/engines/download?engine=tooled&version=4.1.0")
    deadline = time.monotonic() + HANG
    while not sender.send("GET", "/api/engines/tooled").json["versions"]:
        assert time.monotonic() < deadline, "the version is not installed"
        time.sleep(0.05)
    spare_video = sender.send_json("POST", "/v1/videos", GOOD["POST /v1/videos"].body).json["id"]
    return {
        "managed": "4.1.0",
        "model": "procedural",
        "character_id": "nobody",
        "node_id": "nobody",
        "exchange": "nothing",
        "spare_video": spare_video,
        "job_id": video,
        "spare_job": spare,
        "parent": parent["id"],
        "child": child,
        **held,
        **uploads,
    }


def _add(sender: Sender, **fields: Any) -> Any:
    return sender.send_json("POST", "/api/add_job", {"renderer": "noop", **fields}).json


def _upload(sender: Sender) -> str:
    return str(sender.send_json("POST", "/api/uploads", {"name": "a.noop", "size": 5}).json["id"])


def _until(sender: Sender, job_id: str, status: str) -> None:
    deadline = time.monotonic() + HANG
    while sender.send("GET", f"/api/jobs/{job_id}").json["status"] != status:
        assert time.monotonic() < deadline, f"job {job_id} hangs"
        time.sleep(0.02)
