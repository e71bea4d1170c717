"""What pictures are encoded to in the media worker: GIF, WebP, PNG and mp4, read back by other programs."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from tests.ffmpeg_context import Quiet
from tests.ffmpeg_samples import picture
from tests.test_mediaworker import Impatient, raw
from zeus.engine import Cancelled
from zeus.errors import BadInput, OutputInvalid
from zeus.mediaworker import encode, probe, verify

FORMS = ("out.mp4", "out.gif", "out.webp", "pictures")
HOSTILE = 'a "fox" \\ 狐 🦊 \0\x01\x1b[0m\r\n\t\ufffe\uffff </rdf:li>]]>&amp; ;#=\u2028'
SAID = {"prompt": HOSTILE, "seed": 2**63 - 1, "guidance_scale": 5.5}


def made(folder: Path, name: str, count: int = 7, fps: float = 10, **said: Any) -> Path:
    """Pictures in the form that a name says; the sides are odd where they can be."""
    width, height = (64, 36) if name.endswith(".mp4") else (63, 35)
    target = folder / name
    if "." not in name:
        target.mkdir()
    encode(Quiet(), str(raw(folder, count, width, height)), str(target), width, height, fps, count, **said)
    return target


def pictures_of(path: Path) -> list[Any]:
    """Decoded by Pillow or, mp4 only, by libav."""
    if path.suffix == ".mp4":
        with av.open(str(path)) as container:
            return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    if path.is_dir():
        return [np.asarray(Image.open(each)) for each in sorted(path.iterdir())]
    with Image.open(path) as image:
        found = []
        for index in range(getattr(image, "n_frames", 1)):
            image.seek(index)
            found.append(np.asarray(image.convert("RGB")))
        return found


def words_of(path: Path) -> tuple[str, str]:
    """A file's title and comment, by a reader that did not write it."""
    return {".mp4": _of_mp4, ".gif": _of_gif, ".webp": _of_webp, "": _of_pngs}[path.suffix](path)


def _of_mp4(path: Path) -> tuple[str, str]:
    argv = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path), "-f", "ffmetadata", "-"]
    told = subprocess.run(argv, capture_output=True, check=True).stdout.decode()
    fields = dict(re.findall(r"^(title|comment)=((?:\\.|[^\\\n])*)", told, re.MULTILINE | re.DOTALL))
    title, comment = (re.sub(r"\\(.)", r"\1", fields.get(key, ""), flags=re.DOTALL) for key in ("title", "comment"))
    return title, comment


def _of_gif(path: Path) -> tuple[str, str]:
    with av.open(str(path)) as container:
        return "", container.metadata.get("comment", "")


def _of_webp(path: Path) -> tuple[str, str]:
    with Image.open(path) as image:
        words = image.info.get("xmp")
    if words is None:
        return "", ""
    title, comment = ET.fromstring(words).iter("{http://www.w3.org/1999/02/22-rdf-syntax-ns#}li")
    return title.text or "", comment.text or ""


def _of_pngs(folder: Path) -> tuple[str, str]:
    found = [dict(_texts(path.read_bytes())) for path in sorted(folder.iterdir())]
    assert all(each == found[0] for each in found)
    return found[0].get("Title", ""), found[0].get("Comment", "")


def _texts(data: bytes) -> Iterator[tuple[str, str]]:
    place = 8
    while place < len(data):
        size, kind = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8]
        assert kind not in (b"tEXt", b"zTXt")
        if kind == b"iTXt":
            key, _, rest = data[place + 8 : place + 8 + size].partition(b"\0")
            assert rest[:4] == bytes(4), "not compressed, no language"
            yield key.decode(), rest[4:].decode()
        place += size + 12


# The pictures


@pytest.mark.parametrize("name", FORMS)
def test_the_pictures_are_those_that_were_sent(tmp_path: Path, name: str) -> None:
    path = made(tmp_path, name)
    found = pictures_of(path)
    assert len(found) == 7
    width, height = (64, 36) if name == "out.mp4" else (63, 35)
    for index, pixels in enumerate(found):
        assert pixels.shape == (height, width, 3)
        error = np.abs(pixels.astype(int) - picture(index, width, height)).mean()
        assert error < (1e-9 if name == "pictures" else 12), (index, error)
        others = np.abs(pixels.astype(int) - picture((index + 3) % 7, width, height)).mean()
        assert error < others, "each is in its place"


@pytest.mark.parametrize("name", FORMS)
def test_the_same_pictures_give_the_same_bytes(tmp_path: Path, name: str) -> None:
    hashes = set()
    for turn in ("one", "two"):
        (tmp_path / turn).mkdir()
        path = made(tmp_path / turn, name, title="a fox", metadata=SAID)
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        hashes.add(tuple((each.name, hashlib.sha256(each.read_bytes()).hexdigest()) for each in files))
    assert len(hashes) == 1


@pytest.mark.parametrize(
    ("name", "fps", "real"),
    [
        ("out.mp4", 1, 1), ("out.mp4", 23.976, 23.976), ("out.gif", 10, 10), ("out.gif", 24, 24), ("out.gif", 60, 50),
        ("out.gif", 240, 50), ("out.gif", 1, 1), ("out.webp", 24, 24), ("out.webp", 240, 240),
        ("out.webp", 23.976, 23.976),
    ],
)  # fmt: skip
def test_all_together_last_as_long_as_they_should(tmp_path: Path, name: str, fps: float, real: float) -> None:
    path = made(tmp_path, name, 48, fps)
    info = verify(Quiet(), str(path), frames=48)
    assert info["duration"] == pytest.approx(48 / real, abs=0.006)
    if path.suffix != ".mp4":
        with Image.open(path) as image:
            milliseconds = 0
            for index in range(48):
                image.seek(index)
                image.load()
                milliseconds += image.info["duration"]
            assert image.info["loop"] == 0, "it begins anew"
        assert milliseconds / 1000 == pytest.approx(48 / real, abs=0.006)


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 0, 0), (10, 200, 90)])
def test_a_gif_of_one_colour_has_it(tmp_path: Path, colour: tuple[int, int, int]) -> None:
    frames = tmp_path / "raw"
    frames.write_bytes(bytes(colour) * (20 * 10) * 2)
    encode(Quiet(), str(frames), str(tmp_path / "a.gif"), 20, 10, 10, 2)
    for pixels in pictures_of(tmp_path / "a.gif"):
        assert np.abs(pixels.astype(int) - colour).max() <= 4


def test_a_sequence_is_a_file_for_each_picture(tmp_path: Path) -> None:
    folder = made(tmp_path, "pictures", 3)
    assert sorted(path.name for path in folder.iterdir()) == ["frame_0001.png", "frame_0002.png", "frame_0003.png"]


def test_one_picture_is_an_animation_too(tmp_path: Path) -> None:
    for name in ("out.gif", "out.webp"):
        assert len(pictures_of(made(tmp_path, name, 1, title="x"))) == 1


@pytest.mark.parametrize("name", ["out.gif", "out.webp"])
def test_memory_does_not_grow_with_the_number_of_pictures(tmp_path: Path, name: str) -> None:
    script = (
        "import sys; from tests.ffmpeg_context import Quiet; from zeus.mediaworker import encode\n"
        "encode(Quiet(), '/dev/zero', sys.argv[1], 640, 360, 24, int(sys.argv[2]))\n"
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    few, many = (
        int(subprocess.check_output([sys.executable, "-c", script, str(tmp_path / name), str(count)]))
        for count in (10, 150)
    )
    assert many - few < 30_000, "kilobytes; the pictures are 100,000 more"


# What they say


@pytest.mark.parametrize("name", FORMS)
def test_a_file_says_what_made_it_whatever_that_is(tmp_path: Path, name: str) -> None:
    title, comment = words_of(made(tmp_path, name, title=HOSTILE, metadata=SAID))
    assert json.loads(comment) == SAID
    if name != "out.gif":  # it has but one text
        assert title.replace("\r\n", "\n").startswith('a "fox" \\ 狐 🦊 [0m\n\t </rdf:li>]]>&amp; ;#=')


@pytest.mark.parametrize("name", FORMS)
def test_texts_are_cut_between_two_letters(tmp_path: Path, name: str) -> None:
    long = {"prompt": "é" * 100_000, "negative_prompt": "a" + "狐" * 100_000, "seed": 1}
    title, comment = words_of(made(tmp_path, name, title=long["prompt"], metadata=long))
    cut = json.loads(comment)
    assert (len(cut["prompt"].encode()), cut["seed"]) == (8191, 1)
    assert set(cut["prompt"]) == {"é", "…"} and set(cut["negative_prompt"]) == {"a", "狐", "…"}
    assert name == "out.gif" or title == cut["prompt"]


@pytest.mark.parametrize("name", FORMS)
def test_a_file_says_nothing_unless_it_shall(tmp_path: Path, name: str) -> None:
    assert words_of(made(tmp_path, name)) == ("", "")


# What cannot be


@pytest.mark.parametrize(
    ("name", "said", "words"),
    [
        ("out.avi", {}, r"ends in \.mp4, \.gif, \.webp, not \.avi"),
        ("out", {}, "not nothing"),
        ("out.mp4", {"width": 63}, "must be even, not 63 × 36"),
        ("out.webp", {"width": 16384}, "must be 1 to 16383"),
        ("out.gif", {"height": 65536}, "must be 1 to 65535"),
        ("out.mp4", {"crf": 52}, "crf must be 0 to 51"),
        ("out.mp4", {"crf": -1}, "crf must be 0 to 51"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, name: str, said: dict[str, Any], words: str) -> None:
    asked = {"width": 64, "height": 36, "fps": 10.0, "count": 1, **said}
    with pytest.raises(BadInput, match=words):
        encode(Quiet(), str(raw(tmp_path, 1)), str(tmp_path / name), **asked)
    assert not (tmp_path / name).exists()


def test_a_sequence_needs_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "mine.txt").write_text("mine")
    with pytest.raises(BadInput, match="holds files already"):
        encode(Quiet(), str(raw(tmp_path, 1)), str(tmp_path / "pictures"), 64, 36, 10, 1)
    assert (tmp_path / "pictures" / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize("name", FORMS)
def test_nothing_is_left_when_pictures_are_missing(tmp_path: Path, name: str) -> None:
    if name == "pictures":
        (tmp_path / name).mkdir()
    frames = str(raw(tmp_path, 7))
    with pytest.raises(OutputInvalid, match="7 frames arrived where 9 were expected"):
        encode(Quiet(), frames, str(tmp_path / name), 64, 36, 10, 9)
    with pytest.raises(Cancelled):
        encode(Impatient(4), frames, str(tmp_path / name), 64, 36, 10, 7)
    left = tmp_path / name
    assert not list(left.iterdir()) if name == "pictures" else not left.exists()


def test_crf_says_how_much_is_lost(tmp_path: Path) -> None:
    sizes = []
    for crf in (10, 18, 40):
        path = made(tmp_path, "out.mp4", crf=crf)
        sizes.append(path.stat().st_size)
        path.unlink()
    assert sizes == sorted(sizes, reverse=True) and len(set(sizes)) == 3


# What is read


@pytest.mark.parametrize("name", ["out.gif", "out.webp", "pictures"])
def test_verify_counts_and_measures(tmp_path: Path, name: str) -> None:
    path = str(made(tmp_path, name))
    stream = verify(Quiet(), path, frames=7, width=63, height=35)["streams"][0]
    assert (stream["frames"], stream["width"], stream["height"]) == (7, 63, 35)
    for expected, words in (({"frames": 8}, "7 frames where 8"), ({"width": 64}, "has 63 × 35 pixels")):
        with pytest.raises(OutputInvalid, match=words):
            verify(Quiet(), path, **expected)
    with pytest.raises(Cancelled):
        verify(Impatient(3), path)


@pytest.mark.parametrize("kept", [0.3, 0.9, 0.999])
def test_a_webp_that_is_cut_off_or_damaged_is_found(tmp_path: Path, kept: float) -> None:
    path = made(tmp_path, "out.webp", title="a fox")
    whole = path.read_bytes()
    cut = whole[: int(len(whole) * kept)]
    for data in (cut, b"RIFF" + (len(cut) - 8).to_bytes(4, "little") + cut[8:]):
        path.write_bytes(data)
        with pytest.raises(OutputInvalid):
            verify(Quiet(), str(path), frames=7)
    hurt = bytearray(whole)
    for place in (found.start() for found in re.finditer(b"VP8 ", whole)):
        hurt[place + 8 : place + 18] = bytes(10)
    path.write_bytes(hurt)
    with pytest.raises(OutputInvalid, match="cannot be decoded past picture 0"):
        verify(Quiet(), str(path))


def test_a_webp_of_pillow_is_read_with_its_transparency_and_parts(tmp_path: Path) -> None:
    pictures = [Image.new("RGBA", (40, 30), (200, 0, 0, 90)) for _ in range(3)]
    for index, each in enumerate(pictures):
        each.paste((0, 200, 0, 255), (4 * index, 4, 4 * index + 8, 12))
    for lossless in (False, True):
        path = tmp_path / f"{lossless}.webp"
        pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=100, lossless=lossless)
        stream = verify(Quiet(), str(path), frames=3, width=40, height=30, duration=0.3)["streams"][0]
        assert stream["codec"] == "webp" and stream["fps"] == pytest.approx(10)


def test_a_folder_must_hold_pictures_of_one_size(tmp_path: Path) -> None:
    folder = made(tmp_path, "pictures", 3)
    Image.new("RGB", (10, 10)).save(folder / "frame_0002.png")
    with pytest.raises(OutputInvalid, match=r"frame_0002\.png has 10 × 10 pixels where 63 × 35"):
        verify(Quiet(), str(folder))
    (folder / "frame_0002.png").write_bytes(b"no picture")
    with pytest.raises(OutputInvalid, match=r"frame_0002\.png is no media file"):
        verify(Quiet(), str(folder))
    (tmp_path / "empty").mkdir()
    with pytest.raises(OutputInvalid, match="holds no pictures"):
        verify(Quiet(), str(tmp_path / "empty"))
    with pytest.raises(BadInput, match="no ordinary file"):
        probe(Quiet(), str(folder))
