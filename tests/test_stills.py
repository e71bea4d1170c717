"""Pictures to begin with: what counts as one, how it is brought to a size, and what the API says of the others."""

from __future__ import annotations

import asyncio
import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from PIL import Image

from tests.conftest import STUBS, Api, config_for
from tests.ffmpeg_context import Quiet
from zeus.api.app import running_node
from zeus.errors import BadInput
from zeus.mediaworker import still

RED, BLUE = (255, 0, 0), (0, 0, 255)


def saved(made: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    data = io.BytesIO()
    made.save(data, kind, **options)
    return data.getvalue()


def halves() -> Image.Image:
    """Red on the left and blue on the right, 40 × 20."""
    made = Image.new("RGB", (40, 20), RED)
    made.paste(BLUE, (20, 0, 40, 20))
    return made


def brought(folder: Path, data: bytes, width: int, height: int) -> Image.Image:
    (folder / "in").write_bytes(data)
    still(Quiet(), str(folder / "in"), str(folder / "out.png"), width, height)
    made = Image.open(folder / "out.png")
    assert (made.format, made.mode, made.size) == ("PNG", "RGB", (width, height))
    return made


def test_a_picture_covers_the_size_and_loses_what_stands_out_on_both_sides(tmp_path: Path) -> None:
    made = brought(tmp_path, saved(halves()), 32, 32)
    assert made.getpixel((2, 16)) == RED and made.getpixel((29, 16)) == BLUE
    assert made.getpixel((8, 16)) == RED and made.getpixel((23, 16)) == BLUE


def test_a_picture_stands_as_its_exif_data_says(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise
    data = saved(halves(), "JPEG", exif=exif, quality=95)
    (tmp_path / "in").write_bytes(data)
    assert still(Quiet(), str(tmp_path / "in")) == (20, 40)
    top, bottom = (brought(tmp_path, data, 20, 40).getpixel((10, y)) for y in (5, 35))
    assert top[0] > 200 > 60 > top[2] and bottom[2] > 200 > 60 > bottom[0]  # type: ignore[index, operator]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_stands_on_black(tmp_path: Path, mode: str) -> None:
    clear = Image.new("RGBA", (16, 16), (255, 255, 255, 0))
    assert brought(tmp_path, saved(clear.convert(mode)), 16, 16).getpixel((8, 8)) == (0, 0, 0)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "TGA", "PPM", "JPEG2000"])
def test_each_kind_of_picture(tmp_path: Path, kind: str) -> None:
    pixel = brought(tmp_path, saved(Image.new("RGB", (16, 16), RED), kind), 16, 16).getpixel((8, 8))
    assert pixel[0] > 240 and max(pixel[1:]) < 15  # type: ignore[index, operator]


def bomb() -> bytes:
    """Some bytes that say to be a picture of 3.6 billion pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000)))


def large() -> bytes:
    return saved(Image.new("1", (10_001, 10_000)))


def animation(kind: str) -> bytes:
    return saved(Image.new("RGB", (8, 8), RED), kind, save_all=True, append_images=[Image.new("RGB", (8, 8), BLUE)])


WRONG: dict[str, tuple[Callable[[], bytes], str]] = {
    "text": (lambda: b"a picture", "is no picture that can be read"),
    "cut": (lambda: saved(Image.effect_noise((64, 64), 90))[:-500], "damaged, cut off or too large"),
    "bomb": (bomb, "too large"),
    "large": (large, "10001 × 10000 pixels; 100 million at most"),
    "gif": (lambda: animation("GIF"), "is an animation"),
    "apng": (lambda: animation("PNG"), "is an animation"),
    "webp": (lambda: animation("WEBP"), "is an animation"),
    "svg": (lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is no picture"),
    "eps": (lambda: saved(halves(), "EPS"), "is no picture"),
    "movie": (lambda: b"\0\0\0\x18ftypmp42" + bytes(100), "is no picture"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_single_picture(tmp_path: Path, name: str) -> None:
    make, words = WRONG[name]
    (tmp_path / "in").write_bytes(make())
    with pytest.raises(BadInput, match=words) as caught:
        still(Quiet(), str(tmp_path / "in"))
    assert str(tmp_path) not in caught.value.message


async def uploaded(api: Api, data: bytes, sent: int | None = None) -> str:
    status, view = await api.post("/api/uploads", json={"name": "first.png", "size": len(data)})
    assert status == 201, view
    path = f"/api/uploads/{view['id']}"
    await api.request("PATCH", path, data=data[:sent], headers={"Upload-Offset": "0"})
    return str(view["id"])


async def test_generate_takes_an_uploaded_picture(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    config = config_for(
        tmp_path,
        plugins={"folders": [str(STUBS / "plugins")]},
        generate={"engine": "stubvideo"},
        engines={"noop": {}, "stubvideo": {"model": "pictured"}},
    )
    async with running_node(config) as node:
        api = Api(session, node.url)
        await ready(api)
        red = saved(halves())
        image = await uploaded(api, red)
        body, key = {"prompt": "a fox", "image": image}, {"Idempotency-Key": "once"}
        status, made = await api.post("/api/generate", json=body, headers=key)
        assert status == 202, made
        job = await api.until(made["job_id"])
        assert (job["status"], job["name"], job["args"]["image"]) == ("finished", "a fox", "first.png"), job["error"]
        stored = await node.zeus.jobs.get(job["id"])
        assert stored.input and node.zeus.files.input(stored.id, stored.input).read_bytes() == red
        assert (await api.request("DELETE", f"/api/uploads/{image}"))[0] in (200, 204)
        status, again = await api.post("/api/generate", json=body, headers=key)
        assert (status, again["job_id"]) == (202, job["id"])
        for wrong, code, words in (
            (image, "unknown_upload", "image: there is no upload"),
            (await uploaded(api, red, 10), "upload_incomplete", "image: only 10 of"),
            ("../x", "invalid_field", "image"),
            (await uploaded(api, bomb()), "invalid_image", "image: first.png"),
            (await uploaded(api, animation("GIF")), "invalid_image", "image: first.png is an animation"),
        ):
            status, error = await api.post("/api/generate", json={"prompt": "a fox", "image": wrong})
            assert (status, error["error"]) == (400, code) and words in error["message"], error
        named = {"renderer": "stubvideo", "args": {"prompt": "a fox", "image": "first.png"}}
        status, error = await api.post("/api/add_job", json=named)
        assert (status, error["error"]) == (400, "missing_file") and "args.image" in error["message"]
        junk = {"renderer": "stubvideo", "upload": await uploaded(api, b"junk"), "args": {"prompt": "a fox"}}
        assert (await api.post("/api/add_job", json=junk))[1]["error"] == "invalid_image"


async def ready(api: Api) -> None:
    while not (await api.get("/api/model-status"))[1]["ready"]:
        await asyncio.sleep(0.02)
