"""Clients of the two older APIs do a whole job: plain `requests`, and not a line of Zeus's own client."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image

from tests.conftest import HANG, NodeProcess

SMALL = {"width": 64, "height": 48, "num_frames": 8, "fps": 8}


class Farm:
    """Speaks the farm API, version 0.1, and nothing else."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = requests.Session()
        self.session.headers["X-API-Version"] = "0.1"

    def get(self, path: str, **params: str) -> requests.Response:
        return self.session.get(self.url + path, params=params, timeout=HANG)

    def post(self, path: str, **options: Any) -> requests.Response:
        return self.session.post(self.url + path, timeout=HANG, **options)

    def wait(self, job_id: str) -> dict[str, Any]:
        deadline = time.monotonic() + HANG
        while time.monotonic() < deadline:
            job: dict[str, Any] = self.get(f"/api/jobs/{job_id}").json()
            if job["status"] in ("finished", "failed", "cancelled"):
                return job
            time.sleep(0.1)
        raise AssertionError(f"job {job_id} hangs as {job['status']}")


@pytest.fixture
def url(spawn_node: Callable[..., NodeProcess]) -> str:
    return spawn_node().start()


@pytest.fixture
def farm(url: str) -> Iterator[Farm]:
    made = Farm(url)
    yield made
    made.session.close()


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    file = tmp_path / "Shot 01.png"
    Image.new("RGB", (640, 320), "teal").save(file)
    return file


def add(farm: Farm, picture: Path, **fields: Any) -> dict[str, Any]:
    """A job of a picture, as the farm's own client sends it: the file first, then the form's field."""
    with picture.open("rb") as file:
        answer = farm.post("/api/add_job", files={"file": file}, data={"json": json.dumps(fields)})
    assert answer.status_code == 200, answer.text
    job: dict[str, Any] = answer.json()
    return job


def test_a_farm_client_does_a_whole_job(farm: Farm, picture: Path) -> None:
    assert farm.get("/api/heartbeat").status_code == 200
    assert "ffmpeg" in farm.get("/api/engines/names").json()
    assert farm.get("/api/engines/for_filename", filename=picture.name).text == "ffmpeg"
    assert farm.get("/api/engines/ffmpeg/availability").json()["available"]
    token = farm.get("/api/jobs").json()["token"]

    job = add(farm, picture, name="a shot", args={"container": "jpg"}, renderer="ffmpeg", owner="someone")
    assert (job["name"], job["renderer"], job["id"]) == ("a shot", "ffmpeg", job["job_id"])
    polled = farm.get("/api/jobs/long_poll", token=token)
    assert polled.status_code == 200 and polled.json()["token"] != token
    assert job["id"] in [each["id"] for each in polled.json()["jobs"]]
    job = farm.wait(job["id"])
    assert (job["status"], job["percent_complete"]) == ("finished", 100), job

    base = f"/api/jobs/{job['id']}"
    logs = farm.get(f"{base}/logs")
    assert logs.headers["Content-Type"].startswith("text/plain")
    assert "owner" in logs.text and "ffmpeg" in logs.text
    [name] = farm.get(f"{base}/files").json()
    exact = farm.get(f"{base}/download", filename=name)
    other = farm.get(f"{base}/download", filename=name.swapcase())
    assert exact.status_code == other.status_code == 200 and exact.content == other.content
    assert "attachment" in other.headers["Content-Disposition"]
    with Image.open(io.BytesIO(exact.content)) as image:
        assert (image.format, image.size) == ("JPEG", (640, 320))

    packed = farm.get(f"{base}/download_all")
    assert packed.status_code == 200
    with zipfile.ZipFile(io.BytesIO(packed.content)) as archive:
        assert archive.testzip() is None
        assert [archive.read(each) for each in archive.namelist()] == [exact.content]
    for size, expected in (("", (240, 120)), ("big", (640, 320))):
        thumbnail = farm.get(f"{base}/thumbnail", size=size)
        assert (thumbnail.status_code, thumbnail.headers["Content-Type"]) == (200, "image/jpeg")
        with Image.open(io.BytesIO(thumbnail.content)) as image:
            assert image.size == expected

    assert [each["id"] for each in farm.get("/api/jobs/status/completed").json()] == [job["id"]]
    assert farm.post(f"{base}/delete", params={"confirm": "1"}).status_code == 200
    assert farm.get(base).status_code == 400
    assert farm.get("/api/jobs").json()["jobs"] == []


def test_a_farm_client_cancels_and_is_led_home(farm: Farm, picture: Path) -> None:
    job = farm.post("/api/add_job", json={"renderer": "noop", "args": {"seconds": 60}}).json()
    base = f"/api/jobs/{job['id']}"
    refused = farm.post(f"{base}/cancel")
    assert refused.status_code == 400 and refused.headers["Content-Type"].startswith("text/plain")
    led = farm.post(f"{base}/cancel", params={"confirm": "1", "redirect": "1"}, allow_redirects=False)
    assert (led.status_code, led.headers["Location"]) == (303, "/")
    assert farm.wait(job["id"])["status"] == "cancelled"
    again = farm.post(f"{base}/cancel", params={"confirm": "true"})
    assert again.status_code == 200 and again.json()["status"] == "cancelled"


def test_a_farm_client_gets_the_farms_errors(farm: Farm) -> None:
    unknown = "/api/jobs/00000000-0000-0000-0000-000000000000"
    for path in ("", "/logs", "/files", "/download_all", "/thumbnail"):
        answer = farm.get(unknown + path)
        assert answer.status_code == 400 and answer.headers["Content-Type"].startswith("text/plain")
        assert "{" not in answer.text
    job = farm.post("/api/add_job", json={"renderer": "noop"}).json()
    farm.wait(job["id"])
    assert farm.get(f"/api/jobs/{job['id']}/download").status_code == 400
    assert farm.get(f"/api/jobs/{job['id']}/download", filename="nothing").status_code == 404
    assert farm.get(f"/api/jobs/{job['id']}/thumbnail").status_code == 404
    assert farm.get("/api/jobs/status/running").status_code == 400
    assert farm.post("/api/add_job", data="no json", headers={"Content-Type": "application/json"}).status_code == 400
    newer = requests.get(f"{farm.url}/api/jobs", headers={"X-API-Version": "0.2"}, timeout=HANG)
    assert newer.status_code == 400


def test_a_farm_client_reads_status_and_engines(farm: Farm) -> None:
    status = farm.get("/api/status").json()
    assert status["api_version"] == "0.1" and status["cpu_count"] > 0
    assert set(farm.get("/api/snapshot").json()) >= {"status", "jobs", "timestamp"}
    servers = farm.get("/api/full_status").json()["servers"]
    assert list(servers) == [status["hostname"]] and servers[status["hostname"]]["jobs"] == []
    full = farm.get("/api/engines", response_type="full").json()
    assert "mp4" in full["ffmpeg"]["supported_extensions"] and full["ffmpeg"]["ui_options"]
    assert "supported_extensions" not in farm.get("/api/engines/ffmpeg").json()
    assert farm.get("/api/engines/ffmpeg/args").json() and farm.get("/api/engines/ffmpeg/help").text


def test_a_client_of_the_generate_api_alone(url: str) -> None:
    with requests.Session() as session:
        deadline = time.monotonic() + HANG
        while not (state := session.get(f"{url}/api/model-status", timeout=HANG).json())["ready"]:
            assert state["building"] and time.monotonic() < deadline, state
            time.sleep(0.2)
        assert set(state) == {"ready", "building", "message"}
        blank = session.post(f"{url}/api/generate", json={"prompt": " "}, timeout=HANG)
        assert blank.status_code == 400 and set(blank.json()) == {"error", "message"}
        answer = session.post(f"{url}/api/generate", json={"prompt": "a red fox", **SMALL}, timeout=HANG)
        accepted = answer.json()
        assert (answer.status_code, accepted["status"], accepted["percent_complete"]) == (202, "queued", 0)
        assert set(accepted) == {"job_id", "status", "percent_complete", "handled_by"}
        path, seen = f"{url}/api/jobs/{accepted['job_id']}", [0]
        while (job := session.get(path, timeout=HANG).json())["status"] != "finished":
            assert job["status"] in ("queued", "running") and time.monotonic() < deadline, job
            seen.append(job["percent_complete"])
            time.sleep(0.1)
        assert seen == sorted(seen) and job["percent_complete"] == 100
        assert job["handled_by"] == accepted["handled_by"]
        video = session.get(f"{url}/files/{job['job_id']}/out.mp4", timeout=HANG)
        assert (video.status_code, video.headers["Content-Type"]) == (200, "video/mp4")
        assert video.content[4:8] == b"ftyp" and "attachment" not in video.headers.get("Content-Disposition", "")
        unknown = "00000000-0000-0000-0000-000000000000"
        assert session.get(f"{url}/api/jobs/{unknown}", timeout=HANG).status_code == 404
        assert session.get(f"{url}/files/{unknown}/out.mp4", timeout=HANG).status_code == 404
        assert session.get(f"{url}/files/a%2Fb/out.mp4", timeout=HANG).status_code == 400
