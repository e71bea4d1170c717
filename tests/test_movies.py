"""Movies of pictures: of each kind of picture, for each kind of player, counted frame by frame."""

from __future__ import annotations

import asyncio
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from tests.ffmpeg_context import Quiet
from tests.ffmpeg_samples import picture, pictures
from tests.test_thumbnails import exr, near
from zeus.api.app import Node
from zeus.engine import Cancelled
from zeus.errors import BadInput, OutputInvalid
from zeus.mediaworker import movie, verify


class Listening(Quiet):
    """Keeps what was reported; cancelled after so many checks."""

    def __init__(self, checks: int = 1_000_000) -> None:
        self.checks = checks
        self.reports: list[float] = []

    def report(self, value: Any) -> None:
        self.reports.append(value)

    def check(self) -> None:
        self.checks -= 1
        if self.checks < 0:
            raise Cancelled


def shots(folder: Path, count: int, size: tuple[int, int] = (64, 36)) -> list[str]:
    pictures(folder, range(1, count + 1), size=size)
    return [str(folder / f"shot_{number:04d}.png") for number in range(1, count + 1)]


def frames(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(video=0)]


@pytest.mark.parametrize(("ending", "codec"), [("mp4", "h264"), ("mov", "h264"), ("webm", "vp9")])
@pytest.mark.parametrize("fps", [24, 12.5])
def test_each_picture_is_a_frame_in_its_place(tmp_path: Path, ending: str, codec: str, fps: float) -> None:
    names = shots(tmp_path, 30)
    job, target = Listening(), tmp_path / f"a.{ending}"
    found = movie(job, names, str(target), fps, title="Ein Hund – 犬")
    stream = found["streams"][0]
    assert (stream["codec"], stream["width"], stream["height"], stream["frames"]) == (codec, 64, 36, 30)
    assert stream["fps"] == pytest.approx(fps, 1e-6) and stream["pixel_format"] == "yuv420p"
    assert (
        verify(Quiet(), str(target), frames=30, duration=30 / fps, width=64, height=36)["streams"] == found["streams"]
    )
    for made, source in zip(frames(target), names, strict=True):
        assert np.abs(made - np.asarray(Image.open(source))).mean() < 12
    assert job.reports == sorted(job.reports) and len(job.reports) >= 30 and job.reports[-1] == 1.0
    with av.open(str(target)) as container:
        context = container.streams.video[0].codec_context
        assert (context.colorspace, context.color_primaries, context.color_trc, context.color_range) == (1, 1, 1, 1)
        assert {key.lower(): value for key, value in container.metadata.items()}["title"] == "Ein Hund – 犬"


@pytest.mark.parametrize("ending", ["mp4", "webm"])
@pytest.mark.parametrize(
    ("fps", "exact"), [(23.976, (24000, 1001)), (29.97, (30000, 1001)), (24 / 1.001, (24000, 1001))]
)
def test_the_rates_of_television_are_exact(tmp_path: Path, ending: str, fps: float, exact: tuple[int, int]) -> None:
    movie(Quiet(), shots(tmp_path, 3), str(tmp_path / f"a.{ending}"), fps)
    with av.open(str(tmp_path / f"a.{ending}")) as container:
        rate = container.streams.video[0].average_rate
        assert rate is not None and (rate.numerator, rate.denominator) == exact


@pytest.mark.parametrize("ending", ["mp4", "mov", "webm"])
def test_one_picture_is_a_movie_of_one_frame(tmp_path: Path, ending: str) -> None:
    found = movie(Quiet(), shots(tmp_path, 1), str(tmp_path / f"a.{ending}"), 0.5)
    assert found["streams"][0]["frames"] == 1 and found["duration"] == pytest.approx(2.0)


@pytest.mark.parametrize("ending", ["mp4", "webm"])
def test_an_odd_last_line_is_doubled(tmp_path: Path, ending: str) -> None:
    pixels = np.full((35, 63, 3), 40, np.uint8)
    pixels[-1], pixels[:, -1] = 220, 220
    Image.fromarray(pixels).save(tmp_path / "a.png")
    found = movie(Quiet(), [str(tmp_path / "a.png")], str(tmp_path / f"a.{ending}"), 10)
    assert (found["streams"][0]["width"], found["streams"][0]["height"]) == (64, 36)
    made = frames(tmp_path / f"a.{ending}")[0]
    assert all(near(made[at], (220, 220, 220), 25) for at in ((35, 10), (34, 10), (10, 63), (10, 62), (35, 63)))
    assert near(made[10, 10], (40, 40, 40))


def test_pictures_of_all_kinds_show_their_colour(tmp_path: Path) -> None:
    orange = (230, 120, 20)
    for ending in ("png", "jpg", "webp", "tif", "bmp"):
        Image.new("RGB", (64, 36), orange).save(
            tmp_path / f"a.{ending}", **({"lossless": True} if ending == "webp" else {})
        )
    light = [((value / 255 + 0.055) / 1.055) ** 2.4 for value in orange]
    exr(tmp_path / "a.exr", np.tile(np.array(light), (36, 64, 1)))
    names = [str(tmp_path / f"a.{ending}") for ending in ("png", "jpg", "webp", "tif", "bmp", "exr")]
    movie(Quiet(), names, str(tmp_path / "a.mp4"), 10)
    assert [near(frame[18, 32], orange, 5) for frame in frames(tmp_path / "a.mp4")] == [True] * 6


@pytest.mark.parametrize(
    ("name", "layout", "channels"),
    [
        ("a.png", "rgb48be", 3),
        ("a.png", "rgba64be", 4),
        ("a.png", "gray16be", 1),
        ("a.png", "ya16be", 2),
        ("a.tif", "rgb48le", 3),
        ("a.tif", "rgba64le", 4),
        ("a.tif", "gray16le", 1),
    ],
)
def test_sixteen_bits_are_read(tmp_path: Path, name: str, layout: str, channels: int) -> None:
    pixels = np.full((36, 64, channels), 180 * 257, np.uint16)
    if channels in (2, 4):
        pixels[..., -1] = 65535
    frame = av.VideoFrame(64, 36, layout)
    lines = pixels.astype(">u2" if layout.endswith("be") else "<u2").reshape(36, -1).view(np.uint8)
    stored = np.zeros((36, frame.planes[0].line_size), np.uint8)
    stored[:, : lines.shape[1]] = lines
    frame.planes[0].update(stored.tobytes())
    codec = av.CodecContext.create("tiff" if name == "a.tif" else "png", "w")
    codec.width, codec.height, codec.pix_fmt, codec.time_base = 64, 36, layout, Fraction(1)
    (tmp_path / name).write_bytes(b"".join(map(bytes, [*codec.encode(frame), *codec.encode(None)])))
    movie(Quiet(), [str(tmp_path / name)], str(tmp_path / "a.mp4"), 10)
    assert near(frames(tmp_path / "a.mp4")[0][18, 32], (180, 180, 180), 3)


def test_what_is_transparent_stands_on_black(tmp_path: Path) -> None:
    Image.new("RGBA", (64, 36), (255, 255, 255, 0)).save(tmp_path / "a.png")
    Image.new("RGBA", (64, 36), (255, 255, 255, 128)).save(tmp_path / "b.png")
    exr(tmp_path / "c.exr", np.zeros((36, 64, 4)))
    movie(Quiet(), [str(tmp_path / name) for name in ("a.png", "b.png", "c.exr")], str(tmp_path / "a.mp4"), 10)
    clear, half, light = (frame[18, 32] for frame in frames(tmp_path / "a.mp4"))
    assert near(clear, (0, 0, 0), 2) and near(half, (128, 128, 128), 3) and near(light, (0, 0, 0), 2)


@pytest.mark.parametrize("ending", ["mp4", "webm"])
def test_a_picture_that_cannot_be_used_is_named(tmp_path: Path, ending: str) -> None:
    names = shots(tmp_path, 5)
    target = tmp_path / f"a.{ending}"
    whole = (tmp_path / "shot_0003.png").read_bytes()
    Image.fromarray(picture(3, 64, 38)).save(tmp_path / "shot_0003.png")
    with pytest.raises(OutputInvalid, match=r"shot_0003\.png has 64 × 38 pixels where shot_0001\.png has 64 × 36"):
        movie(Quiet(), names, str(target), 10)
    for broken in (whole[:-200], b"", b"words"):
        (tmp_path / "shot_0003.png").write_bytes(broken)
        with pytest.raises(OutputInvalid, match=r"^shot_0003\.png "):
            movie(Quiet(), names, str(target), 10)
    (tmp_path / "shot_0003.png").unlink()
    with pytest.raises(OutputInvalid, match=r"^shot_0003\.png ") as caught:
        movie(Quiet(), names, str(target), 10)
    assert str(tmp_path) not in caught.value.message and not target.exists()


def test_what_cannot_be_asked_for_is_refused(tmp_path: Path) -> None:
    names = shots(tmp_path, 1)
    for given, target, fps, quality in (
        (names, "a.avi", 10, "high"),
        (names, "a", 10, "high"),
        ([], "a.mp4", 10, "high"),
        (names, "a.mp4", 0, "high"),
        (names, "a.mp4", float("nan"), "high"),
        (names, "a.mp4", float("inf"), "high"),
        (names, "a.mp4", 10, "best"),
    ):
        with pytest.raises(BadInput):
            movie(Quiet(), given, str(tmp_path / target), fps, quality)
    assert not list(tmp_path.glob("a*"))


def test_a_cancel_is_heard_between_two_pictures(tmp_path: Path) -> None:
    job = Listening(checks=3)
    with pytest.raises(Cancelled):
        movie(job, shots(tmp_path, 10), str(tmp_path / "a.mp4"), 10)
    assert 0 < len(job.reports) <= 3 and not (tmp_path / "a.mp4").exists()


@pytest.mark.parametrize("ending", ["mp4", "webm"])
def test_a_lower_quality_is_a_smaller_file(tmp_path: Path, ending: str) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (4, 180, 320, 3), np.uint8)
    for index, pixels in enumerate(noise):
        Image.fromarray(pixels).save(tmp_path / f"{index}.png")
    sizes = []
    for quality in ("low", "medium", "high"):
        target = tmp_path / f"{quality}.{ending}"
        sizes.append(movie(Quiet(), [str(tmp_path / f"{n}.png") for n in range(4)], str(target), 10, quality)["size"])
    assert sizes == sorted(sizes) and len(set(sizes)) == 3


async def test_an_engine_makes_a_movie_in_the_worker(node: Node, tmp_path: Path) -> None:
    names = shots(tmp_path, 8)
    heard: list[float] = []
    tools = node.zeus.tools
    found = await tools.movie(list(map(Path, names)), tmp_path / "a.mp4", fps=25, report=heard.append)
    video = found.first("video")
    assert video is not None and (video.frames, video.fps) == (8, 25.0)
    assert heard == sorted(heard) and heard[-1] == 1.0
    await tools.verify(tmp_path / "a.mp4", frames=8, width=64, height=36)
    with pytest.raises(OutputInvalid, match="64 × 36"):
        await tools.verify(tmp_path / "a.mp4", width=66)
    await asyncio.to_thread((tmp_path / "shot_0005.png").write_bytes, b"none")
    with pytest.raises(OutputInvalid, match="shot_0005"):
        await tools.movie(list(map(Path, names)), tmp_path / "b.mp4", fps=25)
