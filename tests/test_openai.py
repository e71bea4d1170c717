"""The official `openai` package, pointed at a node: videos are made, followed, fetched, listed and removed by it."""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from PIL import Image

from tests.conftest import HANG, Api, config_for, need
from zeus.api.app import Node, running_node
from zeus.tokens import Scope, add_token

try:
    openai: Any = importlib.import_module("openai")
except ImportError:
    openai = None

# With every call the package says that OpenAI's own service behind these routes ends.
pytestmark = pytest.mark.filterwarnings("ignore:The Sora API:DeprecationWarning")
SMALL = {"seconds": "1", "size": "64x36"}
LONG = {"seconds": "800", "size": "512x288"}
UNKNOWN = "00000000-0000-0000-0000-000000000000"
STRANGER = {"X-Forwarded-For": "203.0.113.7"}


def client_of(url: str, key: str = "none", **options: Any) -> Any:
    """The package's client of a node; it tries nothing twice."""
    need(openai and hasattr(openai.resources, "AsyncVideos"), "the openai package", "pip install openai")
    return openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, **options)


@pytest.fixture
async def client(node: Node) -> AsyncIterator[Any]:
    async with client_of(node.url) as made:
        yield made


async def until(client: Any, video_id: str, status: str) -> Any:
    deadline = time.monotonic() + HANG
    while (video := await client.videos.retrieve(video_id)).status != status:
        assert time.monotonic() < deadline, video
        await asyncio.sleep(0.05)
    return video


async def refused(asked: Awaitable[Any], kind: str, code: str, param: str | None = None) -> Any:
    """The typed error that a call ends with."""
    with pytest.raises(openai.APIStatusError) as caught:
        await asked
    error = caught.value
    assert type(error).__name__ == kind and (error.code, error.param) == (code, param), (error, error.body)
    assert error.type == ("server_error" if error.status_code >= 500 else "invalid_request_error")
    assert set(error.body) == {"message", "type", "param", "code"}
    return error


async def test_a_video_is_made_followed_and_fetched(node: Node, api: Api, client: Any, tmp_path: Path) -> None:
    before = time.time()
    video = await client.videos.create_and_poll(prompt="a red fox", model="procedural", poll_interval_ms=50, **SMALL)
    assert (video.object, video.status, video.progress, video.error) == ("video", "completed", 100, None)
    assert (video.prompt, video.model, video.seconds, video.size) == ("a red fox", "procedural", "1", "64x36")
    assert int(before) <= video.created_at <= video.completed_at <= time.time()
    assert (video.expires_at, video.remixed_from_video_id) == (None, None)
    path = tmp_path / "got.mp4"
    (await client.videos.download_content(video.id)).write_to_file(path)
    info = (await node.zeus.media.verify(path, frames=24, duration=1.0)).first("video")
    assert info is not None and (info.codec, info.width, info.height) == ("h264", 64, 36)
    async with api.session.get(f"{api.url}/files/{video.id}/out.mp4") as got:
        assert await got.read() == path.read_bytes(), "it is an ordinary job"
    part = await client.videos.with_raw_response.download_content(video.id, extra_headers={"Range": "bytes=4-7"})
    assert (part.status_code, part.headers["Content-Type"], part.content) == (206, "video/mp4", b"ftyp")
    picture = await client.videos.with_raw_response.download_content(video.id, variant="thumbnail")
    assert picture.headers["Content-Type"] == "image/jpeg" and picture.content[:3] == b"\xff\xd8\xff"
    sheet = client.videos.download_content(video.id, variant="spritesheet")
    await refused(sheet, "BadRequestError", "unsupported_field", "variant")


async def test_what_is_left_out_is_the_models_choice(api: Api, client: Any) -> None:
    video = await client.videos.create(prompt="a fox")
    assert (video.model, video.size, video.seconds) == ("procedural", "512x288", "3.04")
    assert video.status in ("queued", "in_progress") and video.completed_at is None
    status, asked = await api.post("/v1/videos", json={"prompt": "a fox", "seconds": "0.5", "size": "32x32"})
    assert (status, asked["seconds"], asked["size"]) == (200, "0.5", "32x32")
    _, job = await api.get(f"/api/jobs/{asked['id']}")
    assert (job["args"]["num_frames"], job["args"]["width"], job["args"]["height"]) == (12, 32, 32)


async def test_a_video_in_the_making_is_ended_by_its_removal(api: Api, client: Any) -> None:
    video = await client.videos.create(prompt="a long film", **LONG)
    await until(client, video.id, "in_progress")
    await refused(client.videos.download_content(video.id), "NotFoundError", "output_not_found")
    gone = await client.videos.delete(video.id)
    assert (gone.id, gone.object, gone.deleted) == (video.id, "video.deleted", True)
    await refused(client.videos.retrieve(video.id), "NotFoundError", "job_not_found")
    assert (await api.get(f"/api/jobs/{video.id}"))[0] == 404


async def test_what_was_cancelled_has_failed(api: Api, client: Any) -> None:
    video = await client.videos.create(prompt="a long film", **LONG)
    await api.post(f"/api/jobs/{video.id}/pause")
    await until(client, video.id, "queued")
    await api.post(f"/api/jobs/{video.id}/cancel?confirm=1")
    video = await client.videos.poll(video.id)
    assert (video.status, video.error.code, video.completed_at) == ("failed", "cancelled", None)


async def test_pages_of_videos_alone(api: Api, client: Any) -> None:
    noop = await api.add()
    made = [(await client.videos.create(prompt=f"fox {number}", **SMALL)).id for number in range(5)]
    newest = [video.id async for video in client.videos.list(limit=2)]
    oldest = [video.id async for video in client.videos.list(limit=2, order="asc")]
    assert newest == made[::-1] and oldest == made
    page = await client.videos.list(limit=2, after=made[3])
    assert [video.id for video in page.data] == [made[2], made[1]] and page.has_more and page.last_id == made[1]
    page = await client.videos.list(limit=2, after=made[3], order="asc")
    assert [video.id for video in page.data] == [made[4]] and not page.has_more
    page = await client.videos.list(after=made[0])
    assert (page.data, page.has_more, page.last_id) == ([], False, None)
    await refused(client.videos.retrieve(noop), "NotFoundError", "job_not_found")
    await refused(client.videos.delete(noop), "NotFoundError", "job_not_found")
    await refused(client.videos.download_content(noop), "NotFoundError", "job_not_found")
    assert (await api.get(f"/api/jobs/{noop}"))[0] == 200


@pytest.mark.parametrize(
    ("fields", "code", "param", "word"),
    [
        ({"prompt": " "}, "missing_prompt", "prompt", "video"),
        ({"prompt": "x" * 10_001}, "invalid_args", "prompt", "10000"),
        ({"prompt": "a\0"}, "invalid_args", "prompt", "U+0000"),
        ({"model": "sora-2"}, "unknown_model", "model", "procedural"),
        ({"model": "width"}, "unknown_model", "model", "procedural"),
        ({"seconds": "four"}, "invalid_field", "seconds", '"4"'),
        ({"seconds": "4\n"}, "invalid_field", "seconds", '"4"'),
        ({"seconds": "0"}, "invalid_args", "seconds", "1"),
        ({"seconds": "2000"}, "bad_input", "seconds", "36000"),
        ({"seconds": "99999"}, "invalid_args", "seconds", "100000"),
        ({"size": "large"}, "invalid_field", "size", "1280x720"),
        ({"size": "8x8"}, "invalid_args", "size", "16"),
        ({"size": "65x64"}, "bad_input", "size", "even"),
        ({"size": "64x8000"}, "bad_input", "size", "4096"),
        ({"input_reference": ("a.png", b"picture")}, "unsupported_field", "input_reference", "procedural"),
        ({"input_reference": ("a.png", b"")}, "empty_file", "input_reference", "empty"),
        ({"extra_body": {"input_reference": {"file_id": "7"}}}, "unknown_field", None, "input_reference"),
        ({"extra_body": {"colour": "red"}}, "unknown_field", None, "colour"),
    ],
)
async def test_what_is_wrong_is_named(
    node: Node, client: Any, fields: dict[str, Any], code: str, param: str | None, word: str
) -> None:
    asked = client.videos.create(**{"prompt": "a fox", **SMALL, **fields})
    error = await refused(asked, "BadRequestError", code, param)
    assert word in error.body["message"]
    assert (await client.videos.list()).data == []
    assert not list(node.zeus.files.incoming.iterdir()), "the picture is gone with its request"


async def test_a_form_is_read_with_care(api: Api) -> None:
    for fields, code in (
        ([("prompt", "a"), ("prompt", "b")], "invalid_multipart"),
        ([("prompt", b"\xff")], "invalid_field"),
        ([("seconds", "4")], "missing_prompt"),
        ([("prompt", "a"), ("input_reference", "file-7")], "invalid_filename"),
    ):
        form = aiohttp.FormData(default_to_multipart=True)
        for name, value in fields:
            form.add_field(name, value if isinstance(value, str) else aiohttp.BytesPayload(value))
        status, told = await api.post("/v1/videos", data=form)
        assert (status, told["error"]["code"]) == (400, code), told
    status, told = await api.post("/v1/videos", json={"prompt": "a", "input_reference": {"file_id": "7"}})
    assert (status, told["error"]["code"], told["error"]["param"]) == (400, "unsupported_field", "input_reference")


async def test_what_no_model_here_can_do(client: Any) -> None:
    video = await client.videos.create_and_poll(prompt="a fox", poll_interval_ms=50, **SMALL)
    source = ("a.mp4", b"x" * (8 << 20))
    calls: list[Callable[[], Awaitable[Any]]] = [
        lambda: client.videos.remix(video.id, prompt="a wolf"),
        lambda: client.videos.edit(prompt="a wolf", video=source),
        lambda: client.videos.extend(prompt="a wolf", seconds="4", video=source),
        lambda: client.videos.create_character(name="fox", video=source),
        lambda: client.videos.get_character("char_1"),
    ]
    for call in calls:
        await refused(call(), "BadRequestError", "unsupported_operation")
    await refused(client.videos.remix(UNKNOWN, prompt="a wolf"), "NotFoundError", "job_not_found")
    await refused(client.models.list(), "NotFoundError", "not_found")
    assert [each.id for each in (await client.videos.list()).data] == [video.id]


async def test_a_key_makes_one_video(client: Any) -> None:
    key = {"extra_headers": {"Idempotency-Key": "fox"}}
    first, again = [await client.videos.create(prompt="a fox", **SMALL, **key) for _ in range(2)]
    assert first.id == again.id and len((await client.videos.list()).data) == 1
    await refused(client.videos.create(prompt="a wolf", **SMALL, **key), "ConflictError", "idempotency_conflict")


async def test_the_api_key_is_a_token(tmp_path: Path) -> None:
    async with running_node(config_for(tmp_path, http={"port": 0, "host": "0.0.0.0"})) as node:
        both, read = (
            add_token(node.zeus.files.root, name, scopes)
            for name, scopes in (("both", [Scope.READ, Scope.SUBMIT]), ("read", [Scope.READ]))
        )

        def stranger(key: str) -> Any:
            return client_of(node.url, key, default_headers=STRANGER)

        async with stranger(both) as right, stranger(read) as reader, stranger("wrong") as wrong:
            video = await right.videos.create_and_poll(prompt="a fox", poll_interval_ms=50, **SMALL)
            assert video.status == "completed"
            assert (await reader.videos.retrieve(video.id)).id == video.id
            for call in (reader.videos.create(prompt="a fox"), reader.videos.delete(video.id)):
                await refused(call, "PermissionDeniedError", "insufficient_scope")
            for call in (wrong.videos.create(prompt="a fox"), wrong.videos.list()):
                await refused(call, "AuthenticationError", "unauthorized")


def stub(folder: Path, model: str) -> Any:
    engines = {"noop": {"slots": 8}, "stubvideo": {"model": model}}
    return running_node(config_for(folder, generate={"engine": "stubvideo"}, engines=engines))


async def until_ready(api: Api, ready: bool) -> None:
    deadline = time.monotonic() + HANG
    while (status := (await api.get("/api/model-status"))[1])["building"]:
        assert time.monotonic() < deadline, status
        await asyncio.sleep(0.05)
    assert status["ready"] == ready


async def test_a_picture_goes_to_the_model_that_takes_one(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    Image.new("RGB", (30, 20), "red").save(tmp_path / "red.png")
    red = (tmp_path / "red.png").read_bytes()
    async with stub(tmp_path, "pictured") as node, client_of(node.url) as client:
        await until_ready(Api(session, node.url), True)
        picture = ("First Frame.png", red, "image/png")
        video = await client.videos.create_and_poll(prompt="a fox", input_reference=picture, poll_interval_ms=50)
        assert (video.status, video.model, video.seconds, video.size) == ("completed", "pictured", "1", "64x36")
        job = await node.zeus.jobs.get(video.id)
        assert job.input == "First Frame.png"
        assert node.zeus.files.input(job.id, job.input).read_bytes() == red
        wrong = client.videos.create(prompt="a fox", input_reference=("First Frame.png", b"a picture", "image/png"))
        error = await refused(wrong, "BadRequestError", "invalid_image", "input_reference")
        assert "input_reference: First Frame.png is no picture" in error.message


async def test_a_video_that_fails(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    async with stub(tmp_path, "quick") as node, client_of(node.url) as client:
        await until_ready(Api(session, node.url), True)
        video = await client.videos.create_and_poll(prompt="die", poll_interval_ms=50)
        assert (video.status, video.error.code) == ("failed", "worker_died") and video.error.message


async def test_a_model_that_is_not_ready(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    async with stub(tmp_path, "broken") as node, client_of(node.url) as client:
        await until_ready(Api(session, node.url), False)
        error = await refused(client.videos.create(prompt="a fox"), "InternalServerError", "model_not_ready")
        assert error.status_code == 503 and int(error.response.headers["Retry-After"]) > 0


async def test_the_dialect_goes_by_the_path(api: Api) -> None:
    _, told = await api.get(f"/v1/videos/{UNKNOWN}", headers={"X-API-Version": "0.1"})
    assert told == f"No job has the id {UNKNOWN}."
    for path in ("/v1", "/v1x/videos", "/api/v1/videos"):
        assert set((await api.get(path))[1]) == {"error", "message"}
    status, told = await api.request("PUT", "/v1/videos", json={})
    assert (status, told["error"]["code"]) == (405, "method_not_allowed")
