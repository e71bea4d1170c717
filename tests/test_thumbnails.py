"""Previews: of pictures in every light, of movies, of what is still being made; cached, bounded, honest."""

from __future__ import annotations

import asyncio
import io
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import msgspec
import numpy as np
import pytest
from PIL import Image
from zeus_plugins.ffmpeg.finder import bundled

from tests.conftest import HANG, Api
from tests.ffmpeg_context import Quiet
from tests.ffmpeg_samples import movie, picture, sound
from zeus.api.app import Node
from zeus.engine import MediaInfo
from zeus.errors import BadInput
from zeus.mediaworker import clip, sheet, thumbnail, verify
from zeus.model import Output
from zeus.thumbnails import Thumbnails

RED, GREEN = (230, 20, 20), (20, 200, 20)


def small(source: Path, box: int = 240) -> Image.Image:
    target = source.parent / "thumbnail"
    found = thumbnail(Quiet(), str(source), str(target), box)
    made = Image.open(io.BytesIO(target.read_bytes()))
    assert made.format == "JPEG" and made.mode == "RGB" and made.size == (found["width"], found["height"])
    return made


def near(found: Any, wanted: tuple[int, ...], by: int = 12) -> bool:
    return all(abs(one - other) <= by for one, other in zip(found, wanted, strict=True))


def exr(path: Path, pixels: np.ndarray, kind: str = "float") -> Path:
    """Pixels in linear light: rows × columns × 3 or 4."""
    layout = "gbrapf32le" if pixels.shape[2] == 4 else "gbrpf32le"
    with av.open(str(path), "w", format="image2", options={"update": "1"}) as container:
        stream = container.add_stream("exr", rate=1)
        stream.height, stream.width, stream.pix_fmt = *pixels.shape[:2], layout
        stream.codec_context.options = {"format": kind}
        container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels.astype(np.float32), format=layout)))
        container.mux(stream.encode(None))
    return path


# What the media worker makes


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "tif", "bmp", "gif"])
def test_a_picture_fits_and_keeps_its_shape(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    Image.new("RGB", (1000, 500), RED).save(path)
    made = small(path)
    assert made.size == (240, 120) and near(made.getpixel((100, 50)), RED)
    Image.new("RGB", (60, 90), RED).save(path)
    assert small(path).size == (60, 90)


def test_orientation_by_exif_is_honoured(tmp_path: Path) -> None:
    lying = Image.new("RGB", (400, 200), RED)
    lying.paste(GREEN, (0, 0, 100, 200))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90° clockwise: what is left is shown at the top
    lying.save(tmp_path / "a.jpg", exif=exif)
    made = small(tmp_path / "a.jpg")
    assert made.size == (120, 240)
    assert near(made.getpixel((60, 10)), GREEN) and near(made.getpixel((60, 230)), RED)


@pytest.mark.parametrize("kind", ["float", "half"])
def test_linear_light_becomes_srgb(tmp_path: Path, kind: str) -> None:
    pixels = np.zeros((40, 80, 3))
    pixels[:, 20:40] = 0.2140  # shown as 127 of 255
    pixels[:, 40:60] = 7.5
    pixels[:, 60:] = [1, np.nan, 0]
    made = small(exr(tmp_path / "a.exr", pixels, kind))
    assert made.size == (80, 40)
    wanted = ((0, 0, 0), (127, 127, 127), (255, 255, 255), (255, 0, 0))
    assert all(near(made.getpixel((x, 20)), colour) for x, colour in zip((8, 30, 50, 72), wanted, strict=True))
    assert small(exr(tmp_path / "b.exr", np.full((1000, 3000, 3), 0.214), kind)).size == (240, 80)


def test_transparency_stands_on_grey(tmp_path: Path) -> None:
    Image.new("RGBA", (50, 50), (255, 0, 0, 0)).save(tmp_path / "a.png")
    assert near(small(tmp_path / "a.png").getpixel((20, 20)), (128, 128, 128))
    assert near(small(exr(tmp_path / "a.exr", np.zeros((50, 50, 4)))).getpixel((20, 20)), (128, 128, 128))


def test_sixteen_bits_are_scaled_not_cut_off(tmp_path: Path) -> None:
    Image.fromarray(np.full((50, 50), 32896, np.uint16)).save(tmp_path / "a.png")
    assert near(small(tmp_path / "a.png").getpixel((20, 20)), (128, 128, 128), 2)


def test_a_movie_shows_a_moment_and_becomes_a_clip(tmp_path: Path) -> None:
    path = movie(tmp_path / "a.mp4", frames=60, fps=60, size=(640, 360))
    made = small(path)
    assert made.size == (240, 135)
    assert near(made.resize((1, 1)).getpixel((0, 0)), tuple(np.mean(picture(6, 640, 360), (0, 1)).astype(int)), 20)
    found = clip(Quiet(), str(path), str(tmp_path / "clip"), 240)
    assert (found["width"], found["height"]) == (240, 134)
    info = verify(Quiet(), str(tmp_path / "clip"), duration=1.0)
    streams = [stream for stream in info["streams"] if stream["kind"] == "video"]
    assert len(info["streams"]) == len(streams) == 1  # no sound
    assert streams[0]["codec"] == "h264" and streams[0]["frames"] in (30, 31)


def test_a_long_movie_gives_a_short_clip(tmp_path: Path) -> None:
    path = movie(tmp_path / "a.mkv", frames=150, fps=10, sound=False)
    assert clip(Quiet(), str(path), str(tmp_path / "clip"), 1280) == {"width": 64, "height": 36, "frames": 100}


def test_what_does_not_decode_is_refused(tmp_path: Path) -> None:
    Image.fromarray(picture(1, 500, 500)).save(tmp_path / "cut.png")
    whole = (tmp_path / "cut.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "list.mp4").write_text("#EXTM3U\nhttp://127.0.0.1/a.ts\n")
    sound(tmp_path / "tone.wav")
    for name in ("cut.png", "text.png", "list.mp4", "tone.wav"):
        for function in (thumbnail, clip):
            with pytest.raises(BadInput) as error:
                function(Quiet(), str(tmp_path / name), str(tmp_path / "target"), 240)
            assert str(tmp_path) not in error.value.message


# The cache


class Slow:
    """Makes previews of a size that tests know, and counts them."""

    def __init__(self) -> None:
        self.made: list[str] = []

    async def preview(self, kind: str, source: Path, target: Path, box: int) -> None:
        self.made.append(source.name)
        await asyncio.sleep(0.05)
        await asyncio.to_thread(target.write_bytes, b"x" * 1000)


async def test_the_cache_is_bounded_and_keeps_what_was_asked_for_last(node: Node) -> None:
    slow = Slow()
    cache = Thumbnails(node.zeus.files, slow, capacity=3000)  # type: ignore[arg-type]
    outputs = [Output(f"{index}.png", 1, f"{index:064}", "job") for index in range(5)]
    paths = [await cache.of(output, "thumbnail", 240) for output in outputs[:3]]
    assert await cache.of(outputs[0], "thumbnail", 240) == paths[0]
    await cache.of(outputs[3], "thumbnail", 240)
    assert [path.exists() for path in paths] == [True, False, True]
    again = Thumbnails(node.zeus.files, slow, capacity=3000)  # type: ignore[arg-type]
    await again.of(outputs[4], "thumbnail", 240)
    assert [path.exists() for path in paths] == [True, False, False]
    assert slow.made == ["0.png", "1.png", "2.png", "3.png", "4.png"]
    await again.forget([outputs[0]])
    assert not paths[0].exists()


async def test_a_preview_is_made_once_whoever_goes_away(node: Node) -> None:
    slow = Slow()
    cache = Thumbnails(node.zeus.files, slow)  # type: ignore[arg-type]
    output = Output("a.png", 1, "0" * 64, "job")
    asks = [asyncio.create_task(cache.of(output, "thumbnail", 240)) for _ in range(20)]
    await asyncio.sleep(0.02)
    asks[0].cancel()
    assert len(set(await asyncio.gather(*asks[1:]))) == 1 and slow.made == ["a.png"]
    await cache.close()


# Over HTTP


@pytest.fixture
def publish(node: Node, api: Api, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Adds a job whose engine leaves the files that a test made."""
    engine = node.zeus.registry.engines["noop"]

    async def run(context: Any) -> None:
        for path in context.args.files:
            await asyncio.to_thread(shutil.copy, path, context.out)
        await asyncio.sleep(context.args.seconds)

    monkeypatch.setattr(engine, "run", run)

    async def add(*paths: Path, seconds: float = 0.0) -> str:
        job_id = await api.add(files=[str(path) for path in paths], seconds=seconds)
        await api.until(job_id, "running" if seconds else "finished")
        return job_id

    yield add


async def look(api: Api, job_id: str, **query: str) -> tuple[int, str, bytes]:
    async with api.session.get(f"{api.url}/api/jobs/{job_id}/thumbnail", params=query) as got:
        return got.status, got.content_type, await got.read()


async def test_the_only_picture_stands_for_the_job(
    node: Node, api: Api, publish: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("words")
    Image.new("RGB", (2000, 1000), RED).save(tmp_path / "b.png")
    (tmp_path / "c.txt").write_text("more words")
    job_id = await publish(*(tmp_path / name for name in ("a.txt", "b.png", "c.txt")))
    status, kind, data = await look(api, job_id)
    made = Image.open(io.BytesIO(data))
    assert (status, kind, made.size) == (200, "image/jpeg", (240, 120)) and near(made.getpixel((9, 9)), RED)
    big = Image.open(io.BytesIO((await look(api, job_id, size="big", filename="B.PNG"))[2]))
    assert big.size == (1280, 640) and near(big.getpixel((9, 9)), RED)
    for query, wanted in (
        ({"size": "huge"}, (400, "invalid_field")),
        ({"filename": "a.txt"}, (404, "no_thumbnail")),
        ({"filename": "z.png"}, (404, "file_not_found")),
    ):
        status, error = await api.get(f"/api/jobs/{job_id}/thumbnail", params=query)
        assert (status, error["error"]) == wanted
    async with api.session.get(f"{api.url}/api/jobs/{job_id}/thumbnail") as got:
        etag = got.headers["ETag"]
    async with api.session.get(f"{api.url}/api/jobs/{job_id}/thumbnail", headers={"If-None-Match": etag}) as got:
        assert got.status == 304


async def test_a_movie_goes_before_pictures_and_is_a_clip_only_where_that_is_wanted(
    api: Api, publish: Callable[..., Any], tmp_path: Path
) -> None:
    for name in ("a.png", "aa.png"):
        Image.new("RGB", (20, 10), RED).save(tmp_path / name)
    job_id = await publish(tmp_path / "a.png", tmp_path / "aa.png", movie(tmp_path / "b.mov"))
    status, kind, data = await look(api, job_id)
    assert (status, kind, Image.open(io.BytesIO(data)).size) == (200, "image/jpeg", (64, 36))
    assert (await look(api, job_id, filename="b.mov"))[1] == "image/jpeg"
    status, kind, data = await look(api, job_id, video_ok="1")
    assert (status, kind, data[4:8]) == (200, "video/mp4", b"ftyp")
    assert (await look(api, job_id, video_ok="1", filename="a.png"))[1] == "image/jpeg"


async def test_no_picture_is_404_and_a_broken_one_500(api: Api, publish: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("words")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nand nothing more")
    status, error = await api.get(f"/api/jobs/{await publish(tmp_path / 'a.txt')}/thumbnail")
    assert (status, error["error"]) == (404, "no_thumbnail")
    path = f"/api/jobs/{await publish(tmp_path / 'broken.png')}/thumbnail"
    status, error = await api.get(path)
    assert (status, error["error"]) == (500, "preview_failed") and "broken.png" in error["message"]
    status, text = await api.get(path, headers={"X-API-Version": "0.1"})
    assert status == 500 and text.startswith("broken.png has no preview")
    assert (await api.get(path, params={"missing_ok": "1"})) == (204, "")
    assert (await api.get("/api/jobs/nothing/thumbnail"))[1]["error"] == "job_not_found"
    assert (await api.get("/api/jobs/nothing/thumbnail?missing_ok=1")) == (204, "")


async def test_a_running_job_shows_its_newest_whole_frame(
    node: Node, api: Api, publish: Callable[..., Any], tmp_path: Path
) -> None:
    job_id = await publish(seconds=30.0)
    assert (await api.get(f"/api/jobs/{job_id}/thumbnail"))[1]["error"] == "no_thumbnail"
    out = node.zeus.files.attempt(job_id, 1) / "work" / "out"
    async with asyncio.timeout(HANG):
        while not out.is_dir():
            await asyncio.sleep(0.02)
    Image.new("RGB", (40, 40), RED).save(out.parent / "preview.jpg")
    status, _, data = await look(api, job_id)
    assert status == 200 and near(Image.open(io.BytesIO(data)).getpixel((9, 9)), RED), "before there is a frame"
    for number, colour in ((1, RED), (2, GREEN)):
        await asyncio.sleep(0.02)
        Image.new("RGB", (40, 40), colour).save(out / f"f{number}.png")
    await asyncio.sleep(0.02)
    (out / "f3.png").write_bytes((out / "f2.png").read_bytes()[:-30])
    status, kind, data = await look(api, job_id)
    assert (status, kind) == (200, "image/jpeg") and near(Image.open(io.BytesIO(data)).getpixel((9, 9)), GREEN)
    await api.post(f"/api/jobs/{job_id}/cancel?confirm=1")


def numbered(folder: Path, count: int, size: tuple[int, int] = (400, 200)) -> list[Path]:
    """Pictures f1.png, f2.png and so on, each with a grey of its own: ten times its number."""
    paths = [folder / f"f{number}.png" for number in range(1, count + 1)]
    for number, path in enumerate(paths, 1):
        Image.new("RGB", size, (number * 10,) * 3).save(path)
    return paths


def greys(sheet: Image.Image, columns: int, rows: int) -> list[int]:
    """What stands in each cell: the number of the picture, or 3 for the ground where there is none."""
    places = [((column + 0.5) / columns, (row + 0.5) / rows) for row in range(rows) for column in range(columns)]
    return [round(sheet.getpixel((int(x * sheet.width), int(y * sheet.height)))[0] / 10) for x, y in places]


@pytest.mark.parametrize(
    ("count", "query", "columns", "rows", "wanted"),
    [
        (2, "small", 2, 1, [1, 2]),
        (4, "small", 2, 2, [1, 2, 3, 4]),
        (5, "small", 3, 2, [1, 2, 3, 4, 5, 3]),
        (9, "small", 3, 3, [*range(1, 10)]),
        (25, "small", 3, 3, [1, 4, 7, 10, 13, 16, 19, 22, 25]),
        (11, "big", 4, 3, [*range(1, 12), 3]),
        (25, "big", 4, 4, [1, 2, 4, 5, 7, 9, 10, 12, 13, 15, 17, 18, 20, 21, 23, 25]),
    ],
)
async def test_several_pictures_stand_on_a_contact_sheet(
    api: Api, publish: Callable[..., Any], tmp_path: Path, count: int, query: str, columns: int, rows: int,
    wanted: list[int],
) -> None:  # fmt: skip
    job_id = await publish(*numbered(tmp_path, count))
    status, kind, data = await look(api, job_id, size=query)
    made = Image.open(io.BytesIO(data))
    box = {"small": 240, "big": 1280}[query]
    assert (status, kind) == (200, "image/jpeg") and box * 0.95 <= made.width <= box and made.height <= box
    assert greys(made, columns, rows) == wanted
    single = Image.open(io.BytesIO((await look(api, job_id, size=query, filename="f2.png"))[2]))
    assert single.size == ((240, 120) if box == 240 else (400, 200)) and greys(single, 1, 1) == [2]


def test_a_contact_sheet_holds_pictures_of_all_shapes_and_none_is_enlarged(tmp_path: Path) -> None:
    Image.new("RGB", (50, 20), RED).save(tmp_path / "a.png")
    Image.new("RGB", (20, 40), GREEN).save(tmp_path / "b.png")
    (tmp_path / "c.png").write_bytes(b"\x89PNG\r\n\x1a\nand nothing more")
    exr(tmp_path / "d.exr", np.ones((1000, 3000, 3)))
    paths = [str(tmp_path / name) for name in ("a.png", "b.png", "c.png", "d.exr")]
    found = sheet(Quiet(), paths, str(tmp_path / "sheet.jpg"), 240)
    made = Image.open(tmp_path / "sheet.jpg")
    made.load()
    assert made.size == (found["width"], found["height"]) == (119 * 2 + 2, 40 * 2 + 2)
    for at, colour in (((59, 20), RED), ((180, 20), GREEN), ((59, 61), (32, 32, 32)), ((180, 61), (255, 255, 255))):
        assert near(made.getpixel(at), colour)
    for beside in ((30, 20), (59, 7), (165, 20)):
        assert near(made.getpixel(beside), (32, 32, 32))
    with pytest.raises(BadInput):
        sheet(Quiet(), [str(tmp_path / "c.png")] * 2, str(tmp_path / "none.jpg"), 240)


async def test_a_contact_sheet_is_made_once_for_its_pictures_and_goes_with_the_job(
    node: Node, api: Api, publish: Callable[..., Any], tmp_path: Path
) -> None:
    paths = numbered(tmp_path, 20)
    first, folder = await publish(*paths), node.zeus.files.cache / "thumbnails"
    _, _, data = await look(api, first)
    made = [path.name for path in folder.iterdir()]
    second = await publish(*paths)
    assert (await look(api, second))[2] == data and [path.name for path in folder.iterdir()] == made
    Image.new("RGB", (400, 200), RED).save(paths[-1])
    third = await publish(*paths)
    assert (await look(api, third))[2] != data
    await look(api, third, size="big")
    assert len(list(folder.iterdir())) == 3
    for job_id in (first, third):
        await api.post(f"/api/jobs/{job_id}/delete?confirm=1")
    assert list(folder.iterdir()) == []


async def test_a_contact_sheet_of_nothing_that_decodes_is_no_preview(
    api: Api, publish: Callable[..., Any], tmp_path: Path
) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"\x89PNG\r\n\x1a\nand nothing more" + name.encode())
    status, error = await api.get(f"/api/jobs/{await publish(tmp_path / 'a.png', tmp_path / 'b.png')}/thumbnail")
    assert (status, error["error"]) == (500, "preview_failed")


async def test_frames_that_were_published_one_by_one_are_shown_while_the_job_goes_on(
    node: Node, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: asyncio.Queue[int] = asyncio.Queue()

    async def run(context: Any) -> None:
        while number := await steps.get():
            path = context.folder / f"f{number}.png"
            await asyncio.to_thread(Image.new("RGB", (40, 20), (number * 10,) * 3).save, path)
            await context.publish(number, [path], 0.1)

    monkeypatch.setattr(node.zeus.registry.engines["frames"], "run", run)
    _, job = await api.post("/api/add_job", json={"renderer": "frames", "args": {}, "start_frame": 1, "end_frame": 10})
    await api.until(job["id"], "running")

    async def published(count: int) -> None:
        while len(await node.zeus.jobs.outputs(job["id"])) < count:
            await asyncio.sleep(0.02)

    async def shown() -> Image.Image:
        return Image.open(io.BytesIO((await look(api, job["id"]))[2]))

    for count, number in enumerate((9, 2, 10), 1):
        steps.put_nowait(number)
        await asyncio.wait_for(published(count), HANG)
        assert greys(await shown(), 1, 1) == [number]
    out = node.zeus.files.attempt(job["id"], 1) / "work" / "out"
    await asyncio.sleep(0.02)
    await asyncio.to_thread(Image.new("RGB", (40, 20), (200,) * 3).save, out / "movie.png")
    assert greys(await shown(), 1, 1) == [20]
    await asyncio.to_thread((out / "movie.png").unlink)
    steps.put_nowait(0)
    await api.until(job["id"])
    made = await shown()
    assert greys(made, 2, 2) == [2, 9, 10, 3] and made.size == (82, 42)


async def test_many_clients_cause_one_preview(
    node: Node, api: Api, publish: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = await publish(movie(tmp_path / "a.mp4"))
    calls = []
    preview = node.zeus.media.preview

    async def counted(*arguments: Any) -> MediaInfo | None:
        calls.append(arguments)
        return await preview(*arguments)

    monkeypatch.setattr(node.zeus.media, "preview", counted)
    found = await asyncio.gather(*(look(api, job_id) for _ in range(30)))
    assert {status for status, _, _ in found} == {200} and len(calls) == 1
    assert len({data for _, _, data in found}) == 1


@pytest.mark.parametrize("removal", ["/api/jobs/{}/delete?confirm=1", "/api/_debug/clear_history"])
async def test_with_a_job_its_previews_go(
    node: Node, api: Api, publish: Callable[..., Any], tmp_path: Path, removal: str
) -> None:
    msgspec.structs.force_setattr(node.zeus.config.node, "debug", True)
    Image.new("RGB", (20, 10), RED).save(tmp_path / "a.png")
    job_id = await publish(tmp_path / "a.png")
    assert (await look(api, job_id))[0] == 200
    folder = node.zeus.files.cache / "thumbnails"
    assert len(list(folder.iterdir())) == 1
    assert (await api.post(removal.format(job_id)))[0] == 200
    assert list(folder.iterdir()) == [] and (await api.get(f"/api/jobs/{job_id}"))[0] == 404


@pytest.mark.parametrize(("degrees", "green"), [(90, (60, 230)), (180, (230, 60)), (270, (60, 10))])
def test_a_movie_that_lies_is_set_upright(tmp_path: Path, degrees: int, green: tuple[int, int]) -> None:
    tool = next(path for source, path in bundled())
    lying = Image.new("RGB", (400, 200), RED)
    lying.paste(GREEN, (0, 0, 100, 200))
    lying.save(tmp_path / "a.png")
    for argv in (
        ["-loop", "1", "-i", "a.png", "-t", "1", "-r", "10", "-pix_fmt", "yuv420p", "a.mp4"],
        ["-display_rotation", str(degrees), "-i", "a.mp4", "-c", "copy", "turned.mp4"],
    ):
        subprocess.run([tool, "-nostdin", "-v", "error", *argv], cwd=tmp_path, check=True)
    assert near(small(tmp_path / "turned.mp4").getpixel(green), GREEN, 20)
    clip(Quiet(), str(tmp_path / "turned.mp4"), str(tmp_path / "clip.mp4"), 240)
    assert near(small(tmp_path / "clip.mp4").getpixel(green), GREEN, 20)
