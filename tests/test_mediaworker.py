"""The media worker's functions, on real media and on files that mean harm."""

from __future__ import annotations

import hashlib
import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pytest
from PIL import Image

from tests.ffmpeg_context import Quiet
from tests.ffmpeg_samples import movie, picture, pictures, sound
from zeus.engine import Cancelled
from zeus.errors import BadInput, OutputInvalid
from zeus.mediaworker import encode, probe, verify


class Canary(http.server.BaseHTTPRequestHandler):
    """Counts whoever comes by; nobody shall."""

    hits: list[str]

    def do_GET(self) -> None:
        self.hits.append(self.path)
        self.send_error(404)

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture
def canary() -> Iterator[tuple[str, list[str]]]:
    Canary.hits = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Canary) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", Canary.hits
        server.shutdown()
        thread.join()


def avi_with_gab2(folder: Path, playlist: bytes) -> bytes:
    """An AVI whose subtitle chunk holds a playlist: the trick of CVE-2017-9993."""
    film = movie(folder / "plain.avi", sound=False, codec="mpeg4").read_bytes()
    text = b"GAB2\0" + (2).to_bytes(2, "little") + (0).to_bytes(4, "little") + (4).to_bytes(2, "little")
    chunk = text + len(playlist).to_bytes(4, "little") + playlist
    body = b"01tx" + len(chunk).to_bytes(4, "little") + chunk + b"\0" * (len(chunk) % 2)
    header = film.index(b"strl") - 8
    strl = film[header : header + 8 + int.from_bytes(film[header + 4 : header + 8], "little")]
    text_stream = strl.replace(b"vids", b"txts", 1)
    movi = film.index(b"movi") + 4
    film = film[:movi] + body + film[movi:]
    return film[: header + len(strl)] + text_stream + film[header + len(strl) :]


PLAYLISTS = {
    "hls": "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:1.0,\n{url}/a.ts\n#EXT-X-ENDLIST\n",
    "hls with a mark": "\ufeff#EXTM3U\n#EXTINF:1.0,\n{url}/a.ts\n",
    "hls of a local file": "#EXTM3U\n#EXTINF:1.0,\nfile:{secret}\n#EXT-X-ENDLIST\n",
    "hls joining": "#EXTM3U\n#EXTINF:1,\nconcat:{url}/h.m3u8|file:{secret}\n#EXT-X-ENDLIST\n",
    "concat": "ffconcat version 1.0\nfile {url}/a.mp4\n",
    "concat without a header": "file '{secret}'\nfile '{url}/a.mp4'\n",
    "sdp": "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\nc=IN IP4 127.0.0.1\r\nm=video 5004 RTP/AVP 96\r\n",
    "dash": "<?xml version='1.0'?>\n<MPD><BaseURL>{url}/</BaseURL></MPD>\n",
    "asx": "<asx version='3.0'><entry><ref href='{url}/a'/></entry></asx>",
    "smil": "<smil><body><video src='{url}/a'/></body></smil>",
    "pls": "[playlist]\nFile1={url}/a.mp3\n",
    "addresses": "{url}/a.mp4\n",
    "rtsp": "rtsp://127.0.0.1/a\n",
    "svg": "<svg xmlns='http://www.w3.org/2000/svg'><image href='{url}/a.png'/></svg>",
    "text": "hello, this is only text\n" * 50,
    "ffmetadata": ";FFMETADATA1\ntitle={url}\n",
}


@pytest.mark.parametrize("ending", ["mp4", "m3u8", "png", "avi", "ts", "srt"])
@pytest.mark.parametrize("kind", PLAYLISTS)
def test_what_points_elsewhere_is_refused(
    tmp_path: Path, canary: tuple[str, list[str]], kind: str, ending: str
) -> None:
    secret = sound(tmp_path / "secret.wav")
    path = tmp_path / f"upload.{ending}"
    path.write_text(PLAYLISTS[kind].format(url=canary[0], secret=secret))
    with pytest.raises(BadInput) as caught:
        probe(Quiet(), str(path))
    assert str(tmp_path) not in caught.value.message and "upload" in caught.value.message
    with pytest.raises(OutputInvalid):
        verify(Quiet(), str(path))
    assert canary[1] == []


@pytest.mark.parametrize("playlist", ["hls", "hls joining", "concat"])
def test_a_playlist_hidden_in_an_avi_fetches_nothing(
    tmp_path: Path, canary: tuple[str, list[str]], playlist: str
) -> None:
    path = tmp_path / "sub.avi"
    words = PLAYLISTS[playlist].format(url=canary[0], secret=sound(tmp_path / "secret.wav"))
    path.write_bytes(avi_with_gab2(tmp_path, words.encode()))
    for function in (probe, verify):
        try:
            found = function(Quiet(), str(path))
        except (BadInput, OutputInvalid):
            continue
        assert {stream["kind"] for stream in found["streams"]} <= {"video", "subtitle"}
    assert canary[1] == []


def test_files_that_are_no_media_are_refused_in_one_sentence(tmp_path: Path) -> None:
    whole = movie(tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "no_moov.mp4").write_bytes(whole[: whole.index(b"moov") - 4])
    (tmp_path / "folder.mp4").mkdir()
    os.mkfifo(tmp_path / "pipe.mp4")
    for name in ("empty", "no_moov", "folder", "pipe", "absent"):
        with pytest.raises(BadInput) as caught:
            probe(Quiet(), str(tmp_path / f"{name}.mp4"))
        assert caught.value.message.startswith(f"{name}.mp4 ") and str(tmp_path) not in caught.value.message


def test_probe_says_what_is_in_a_movie(tmp_path: Path) -> None:
    found = probe(Quiet(), str(movie(tmp_path / "a:b %d.mp4")))
    video, tone = found["streams"]
    assert (video["codec"], video["width"], video["height"]) == ("h264", 64, 36)
    assert (video["fps"], video["frames"]) == (10.0, 10)
    assert (tone["codec"], tone["sample_rate"], tone["channels"]) == ("aac", 48000, 2)
    assert found["duration"] == pytest.approx(1.0, abs=0.1) and video["pixel_format"] == "yuv420p"


def test_probe_reads_the_durations_of_matroska_streams(tmp_path: Path) -> None:
    video, tone = probe(Quiet(), str(movie(tmp_path / "a.mkv")))["streams"]
    assert video["duration"] == pytest.approx(1.0) and tone["duration"] == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.bmp", "a.tiff", "x%03d.png"])
def test_pictures_are_one_frame_without_a_duration(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    Image.fromarray(picture(3)).save(path)
    for found in (probe(Quiet(), str(path)), verify(Quiet(), str(path), frames=1)):
        assert found["duration"] is None and found["container"].endswith("_pipe")
        assert found["streams"][0]["frames"] == 1 and found["streams"][0]["width"] == 64


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.webm"])
def test_verify_counts_what_decodes(tmp_path: Path, name: str) -> None:
    path = movie(tmp_path / name, codec="libvpx-vp9" if name == "a.webm" else "libx264")
    found = verify(Quiet(), str(path), duration=1.0, frames=10)
    assert found["streams"][0]["frames"] == 10 and found["streams"][0]["duration"] == pytest.approx(1.0)
    with pytest.raises(OutputInvalid, match="decodes to 10 frames where 11 were expected"):
        verify(Quiet(), str(path), frames=11)
    with pytest.raises(OutputInvalid, match=r"decodes to 1\.0 s of video where 5\.0 s were expected"):
        verify(Quiet(), str(path), duration=5.0)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_streams_may_begin_at_different_times(tmp_path: Path, name: str) -> None:
    path = movie(tmp_path / name, late=6)
    found = verify(Quiet(), str(path), duration=1.0, frames=10)
    assert found["duration"] == pytest.approx(1.6, abs=0.05)
    assert [stream["duration"] for stream in found["streams"]] == pytest.approx([1.0, 1.0], abs=0.05)


@pytest.mark.parametrize("name", ["a.mp4", "a.png"])
def test_verify_measures_the_picture(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "a.png":
        Image.fromarray(picture(1)).save(path)
    else:
        movie(path)
    assert verify(Quiet(), str(path), width=64, height=36)["streams"][0]["width"] == 64
    for expected in ({"width": 65}, {"height": 35}, {"width": 36, "height": 64}):
        with pytest.raises(OutputInvalid, match="has 64 × 36 pixels where"):
            verify(Quiet(), str(path), **expected)
    with pytest.raises(OutputInvalid, match="no picture where 64 × 36"):
        verify(Quiet(), str(sound(tmp_path / "a.wav")), width=64, height=36)


@pytest.mark.parametrize(
    ("name", "codec"), [("a.wav", "pcm_s16le"), ("a.flac", "flac"), ("a.mp3", "mp3"), ("a.ogg", "libopus")]
)
def test_verify_measures_sound(tmp_path: Path, name: str, codec: str) -> None:
    path = sound(tmp_path / name, seconds=2.0, codec=codec)
    assert verify(Quiet(), str(path), duration=2.0)["duration"] == pytest.approx(2.0, abs=0.1)
    with pytest.raises(OutputInvalid, match="holds no video"):
        verify(Quiet(), str(path), frames=10)


@pytest.mark.parametrize(("name", "kept"), [("a.mp4", 0.4), ("a.mp4", 0.95), ("a.mkv", 0.4), ("a.mkv", 0.7)])
def test_a_file_that_is_cut_off_is_found_out_by_its_header(tmp_path: Path, name: str, kept: float) -> None:
    path = movie(tmp_path / name, frames=50, options={"movflags": "+faststart"} if name == "a.mp4" else {})
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(OutputInvalid, match=r"cut off|decodes to"):
        verify(Quiet(), str(path))


def test_flipped_bytes_are_found(tmp_path: Path) -> None:
    path = movie(tmp_path / "a.mp4", frames=50, sound=False, options={"movflags": "+faststart"})
    data = bytearray(path.read_bytes())
    middle = data.index(b"mdat") + 600
    data[middle : middle + 400] = bytes(400)
    path.write_bytes(data)
    with pytest.raises(OutputInvalid):
        verify(Quiet(), str(path), frames=50)


class Impatient(Quiet):
    """Cancelled after so many checks."""

    def __init__(self, checks: int) -> None:
        self.checks = checks

    def check(self) -> None:
        self.checks -= 1
        if self.checks < 0:
            raise Cancelled


def test_verify_hears_a_cancel(tmp_path: Path) -> None:
    with pytest.raises(Cancelled):
        verify(Impatient(5), str(movie(tmp_path / "a.mp4")))


def raw(folder: Path, count: int, width: int = 64, height: int = 36) -> Path:
    path = folder / "raw.rgb"
    path.write_bytes(b"".join(picture(index, width, height).tobytes() for index in range(count)))
    return path


def test_encode_makes_a_playable_file_and_the_same_bytes_again(tmp_path: Path) -> None:
    frames = raw(tmp_path, 12)
    hashes = []
    for name in ("one.mp4", "two.mp4"):
        target = tmp_path / name
        found = encode(Quiet(), str(frames), str(target), 64, 36, 23.976, 12, title='A "dog" \0 – 犬\n\ud800')
        hashes.append(hashlib.sha256(target.read_bytes()).hexdigest())
    assert hashes[0] == hashes[1]
    video = found["streams"][0]
    assert video["pixel_format"] == "yuv420p" and video["fps"] == pytest.approx(23.976, 1e-4)
    verify(Quiet(), str(target), frames=12, duration=12 / 23.976)
    data = target.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    with av.open(str(target)) as container:
        assert container.metadata["title"].startswith('A "dog"') and "creation_time" not in container.metadata
        context = container.streams.video[0].codec_context
        assert (context.colorspace, context.color_primaries, context.color_trc, context.color_range) == (1, 1, 1, 1)


def test_encode_keeps_colours(tmp_path: Path) -> None:
    frames = tmp_path / "raw.rgb"
    frames.write_bytes(bytes([200, 40, 90]) * (64 * 36) * 3)
    encode(Quiet(), str(frames), str(tmp_path / "a.mp4"), 64, 36, 10, 3)
    with av.open(str(tmp_path / "a.mp4")) as container:
        pixel = next(container.decode(video=0)).to_ndarray(format="rgb24")[18, 32]
    assert abs(pixel.astype(int) - [200, 40, 90]).max() <= 3


def test_encode_reads_a_pipe_as_it_fills(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def write() -> None:
        with pipe.open("wb", buffering=0) as file:
            for index in range(10):
                data = picture(index).tobytes()
                file.write(data[:1000])
                file.write(data[1000:])

    thread = threading.Thread(target=write)
    thread.start()
    found = encode(Quiet(), str(pipe), str(tmp_path / "a.mp4"), 64, 36, 10, 10)
    thread.join()
    assert found["streams"][0]["frames"] == 10


def test_encode_leaves_nothing_when_frames_are_missing(tmp_path: Path) -> None:
    with pytest.raises(OutputInvalid, match="7 frames arrived where 9 were expected"):
        encode(Quiet(), str(raw(tmp_path, 7)), str(tmp_path / "a.mp4"), 64, 36, 10, 9)
    assert not (tmp_path / "a.mp4").exists()
    with pytest.raises(BadInput, match="must be even"):
        encode(Quiet(), str(raw(tmp_path, 1)), str(tmp_path / "a.mp4"), 63, 36, 10, 1)


def test_encode_hears_a_cancel_though_no_writer_ever_comes(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Cancelled):
        encode(Impatient(2), str(tmp_path / "pipe"), str(tmp_path / "a.mp4"), 64, 36, 10, 5)
    assert not (tmp_path / "a.mp4").exists()


def test_one_picture_of_a_sequence_is_enough_to_probe(tmp_path: Path) -> None:
    pictures(tmp_path, range(1, 3))
    assert probe(Quiet(), str(tmp_path / "shot_0001.png"))["container"] == "png_pipe"
