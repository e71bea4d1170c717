"""Conversions that nodes share: real movies cut, each part converted, and joined, against a conversion of the whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import msgspec
import numpy as np
import pytest
from zeus_plugins.ffmpeg import FFmpegEngine
from zeus_plugins.ffmpeg.arguments import FFmpegArgs
from zeus_plugins.ffmpeg.engine import FFmpegSettings
from zeus_plugins.ffmpeg.finder import bundled

from tests.ffmpeg_context import Context
from zeus.engine import Made, Piece, Span
from zeus.errors import OutputInvalid

PROGRAM = str(next(bundled())[1])
LIKE = 35.0
"""The least PSNR, in dB, of a frame against the same one of an unsplit conversion."""
X264 = "-c:v libx264 -preset ultrafast -bf 3 -refs 3 -x264-params keyint=12:min-keyint=12:scenecut=0:b-adapt=0:"
SOURCES = {
    "closed.mp4": f"{X264}open-gop=0",
    "open.mp4": f"{X264}open-gop=1:b-pyramid=normal",
    "open.mkv": f"{X264}open-gop=1:b-pyramid=normal",
    "hevc.mkv": "-c:v libx265 -preset ultrafast -x265-params log-level=error:keyint=12:min-keyint=12:open-gop=1",
    "vp9.webm": "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 12 -c:a libopus",
    "prores.mov": "-c:v prores_ks -c:a pcm_s16le",
}


@pytest.fixture(scope="module")
def engine() -> FFmpegEngine:
    return FFmpegEngine(FFmpegSettings())


Make = Callable[..., Any]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes a movie with a tone by FFmpeg's own options."""

    async def made(
        name: str, options: str, *, size: str = "64x48", rate: str = "25", seconds: float = 2.4, sound: float = 2.4,
        first: str = "",
    ) -> Path:  # fmt: skip
        path = tmp_path / name
        picture = f"-f lavfi -i testsrc2=s={size}:r={rate}:d={seconds}"
        tone = f"-f lavfi -i sine=440:d={sound}" if sound else ""
        argv = f"{PROGRAM} -v error -y {picture} {tone} {first} {options} {path}".split()
        await Context(tmp_path, None, None).spawn(argv)
        return path

    return made


def context(folder: Path, args: Any, source: Path, span: Span | None = None) -> Context:
    folder.mkdir()
    return Context(folder, args, source, span)


async def cut(engine: FFmpegEngine, source: Path, pieces: int, span: Span | None, args: FFmpegArgs) -> Context:
    cutting = context(source.parent / "cut", args, source, span)
    cutting.pieces = list(await engine.cut(cutting, [1.0] * pieces))
    return cutting


async def split(engine: FFmpegEngine, source: Path, pieces: int = 3, span: Span | None = None, **values: Any) -> Path:
    args, span = engine.settle(FFmpegArgs(**values), span)
    cutting = await cut(engine, source, pieces, span, args)
    assert len(cutting.pieces) == pieces, cutting.notes
    made = [await work(engine, piece) for piece in cutting.pieces]
    joining = context(source.parent / "joined", args, source, span)
    await engine.join(joining, made)
    (name,) = joining.made
    return joining.out / name


async def work(engine: FFmpegEngine, piece: Piece[FFmpegArgs]) -> Made:
    folder = piece.input.parent.parent / piece.name
    args, span = engine.settle(piece.args, piece.span)
    attempt = context(folder, args, piece.input, span)
    await engine.run(attempt)
    return Made(piece.name, tuple(attempt.out / name for name in attempt.made), piece.span)


async def whole(engine: FFmpegEngine, source: Path, span: Span | None = None, **values: Any) -> Path:
    args, span = engine.settle(FFmpegArgs(**values), span)
    attempt = context(source.parent / "whole", args, source, span)
    await engine.run(attempt)
    return attempt.out / attempt.made[0]


class Film(msgspec.Struct):
    """What a file decodes to."""

    frames: list[Any]
    times: list[float]
    kinds: list[str]
    sound: float
    metadata: dict[str, str]
    chapters: list[Any]


def watch(path: Path) -> Film:
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        kinds = [f"{each.type} {each.codec_context.name}" for each in container.streams]
        chapters = [(each["start"], each["end"], each["metadata"]) for each in container.chapters()]
        metadata = dict(container.metadata)
    sound = 0.0
    if "audio" in "".join(kinds):
        with av.open(str(path)) as container:
            sound = sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))
    pictures = [frame.to_ndarray(format="gray") for frame in frames]
    return Film(pictures, [float(frame.time) for frame in frames], kinds, sound, metadata, chapters)


def psnr(one: Any, other: Any) -> float:
    error = float(np.mean((one.astype(float) - other.astype(float)) ** 2))
    return 99.0 if error == 0 else 10 * float(np.log10(255**2 / error))


def alike(joined: Path, plain: Path, *, least: float = LIKE) -> Film:
    """Compare with an unsplit conversion; the joined film."""
    a, b = watch(joined), watch(plain)
    assert (joined.name, a.kinds, len(a.frames)) == (plain.name, b.kinds, len(b.frames))
    half = b.times[-1] / max(1, len(b.times) - 1) / 2
    assert a.times == pytest.approx(b.times, abs=half + 0.001)
    assert a.sound == pytest.approx(b.sound, abs=0.001)
    assert a.chapters == b.chapters
    assert min(map(psnr, a.frames, b.frames)) > least
    return a


@pytest.mark.parametrize("name", SOURCES)
async def test_every_kind_of_source(engine: FFmpegEngine, make: Make, name: str) -> None:
    source = await make(name, SOURCES[name], rate="30000/1001")
    values = {"speed": "fastest"}
    film = alike(await split(engine, source, **values), await whole(engine, source, **values))
    assert len(film.frames) == 72


OUTPUTS = [
    ("h264", "mp4", "aac"), ("h264", "mov", "pcm"), ("h264", "mkv", "flac"), ("hevc", "mp4", "mp3"),
    ("hevc", "mkv", "vorbis"), ("av1", "mp4", "opus"), ("av1", "webm", "opus"), ("vp9", "webm", "vorbis"),
    ("vp9", "mp4", "none"), ("vp9", "mkv", "copy"), ("prores", "mov", "pcm"), ("prores", "mkv", "aac"),
]  # fmt: skip


@pytest.mark.parametrize(("video", "container", "sound"), OUTPUTS)
async def test_every_kind_of_output(engine: FFmpegEngine, make: Make, video: str, container: str, sound: str) -> None:
    source = await make("film.mp4", SOURCES["open.mp4"], seconds=1.92)
    values = {"video_codec": video, "container": container, "audio_codec": sound, "speed": "fastest"}
    joined, plain = await split(engine, source, 2, **values), await whole(engine, source, **values)
    film = alike(joined, plain)
    assert len(film.frames) == 48
    assert described(joined) == described(plain)


def described(path: Path) -> list[Any]:
    """What headers say of each stream."""
    with av.open(str(path)) as container:
        return [(said(each), *(seen(each) if each.type == "video" else heard(each))) for each in container.streams]


def said(stream: Any) -> Any:
    words = {name: text for name, text in stream.metadata.items() if name not in ("DURATION", "vendor_id")}
    return stream.type, stream.codec_context.codec_tag, stream.profile, stream.disposition, stream.time_base, words


def seen(stream: Any) -> Any:
    context = stream.codec_context
    colours = context.color_primaries, context.color_trc, context.colorspace, context.color_range
    return stream.average_rate, context.pix_fmt, context.sample_aspect_ratio, context.width, context.height, colours


def heard(stream: Any) -> Any:
    return stream.codec_context.sample_rate, stream.codec_context.layout.name


ODDITIES = {
    "vfr.mp4": ("-vf select=lt(n\\,20)+not(mod(n\\,3)) -fps_mode vfr", 33),
    "vfr.mkv": ("-vf settb=1/1000,setpts=N*40+7*sin(N)*sin(N) -fps_mode passthrough -enc_time_base 1/1000", 60),
    "late.mp4": ("-vf setpts=PTS+0.2/TB", 60),
    "late.mkv": ("-vf setpts=PTS+0.2/TB", 60),
    "short-sound.mp4": ("-af atrim=end=1.0", 60),
    "long-sound.mkv": ("-af apad=pad_dur=2 -c:a flac", 60),
    "sar.mp4": ("-vf setsar=4/3,setparams=color_primaries=smpte170m:color_trc=smpte170m:colorspace=smpte170m", 60),
    "rgb.mkv": ("-c:v ffv1 -g 1 -pix_fmt gbrp", 60),
    "deep.mov": ("-pix_fmt yuv422p10le", 60),
    "mpeg2.mkv": ("-c:v mpeg2video -x264-params: -g 12 -bf 2 -q:v 2", 60),
    "words.mkv": ("-metadata title=Words -metadata:s:v:0 language=deu -metadata:s:a:0 title=Tone", 60),
}


@pytest.mark.parametrize("name", ODDITIES)
async def test_odd_sources(engine: FFmpegEngine, make: Make, name: str) -> None:
    options, count = ODDITIES[name]
    source = await make(name, f"{SOURCES['open.mp4']} {options}".replace("-x264-params:", ""), size="64x46")
    joined, plain = await split(engine, source), await whole(engine, source)
    film = alike(joined, plain)
    assert len(film.frames) == count
    assert "vfr" in name or described(joined) == described(plain)
    assert film.metadata == watch(plain).metadata
