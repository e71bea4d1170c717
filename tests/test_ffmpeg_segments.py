"""Conversions that nodes share: real movies cut, each part converted, and joined, against a conversion of the whole."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import msgspec
import numpy as np
import pytest
from zeus_plugins.ffmpeg import FFmpegEngine
from zeus_plugins.ffmpeg.arguments import FFmpegArgs
from zeus_plugins.ffmpeg.cutting import LONGEST, MOST, finer, nearest
from zeus_plugins.ffmpeg.engine import FFmpegSettings
from zeus_plugins.ffmpeg.finder import bundled
from zeus_plugins.ffmpeg.headers import headers

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
    return await joined(engine, source, [await work(engine, piece) for piece in cutting.pieces], span, **values)


async def joined(engine: FFmpegEngine, source: Path, made: list[Made], span: Span | None = None, **values: Any) -> Path:
    joining = context(source.parent / "joined", FFmpegArgs(**values), source, span)
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
        kinds = [f"{each.type} {each.codec_context.name if each.codec_context else None}" for each in container.streams]
        chapters = [round(float(each["end"] * each["time_base"]), 3) for each in container.chapters()]
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


def alike(made: Path, plain: Path) -> Film:
    """Compare with an unsplit conversion; the joined film."""
    a, b = watch(made), watch(plain)
    assert (made.name, a.kinds, len(a.frames)) == (plain.name, b.kinds, len(b.frames))
    half = b.times[-1] / max(1, len(b.times) - 1) / 2
    assert a.times == pytest.approx(b.times, abs=half + 0.001)
    assert a.sound == pytest.approx(b.sound, abs=0.001)
    assert a.chapters == b.chapters
    assert min(map(psnr, a.frames, b.frames)) > LIKE
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
    made, plain = await split(engine, source, 2, **values), await whole(engine, source, **values)
    film = alike(made, plain)
    assert len(film.frames) == 48
    assert described(made) == described(plain)


def described(path: Path) -> list[Any]:
    """What headers say of each stream."""
    with av.open(str(path)) as container:
        return [
            (said(each), *(seen(each) if each.type == "video" else heard(each)))
            for each in container.streams
            if each.codec_context
        ]


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
    made, plain = await split(engine, source), await whole(engine, source)
    film = alike(made, plain)
    assert len(film.frames) == count
    assert "vfr" in name or described(made) == described(plain)
    assert film.metadata == watch(plain).metadata


async def test_a_rotated_source_of_odd_sides(engine: FFmpegEngine, make: Make, tmp_path: Path) -> None:
    upright = await make("upright.mov", "-c:v prores_ks", size="66x38")
    source = tmp_path / "turned.mov"
    turn = f"{PROGRAM} -v error -display_rotation 90 -i {upright} -c copy {source}"
    await Context(tmp_path, None, None).spawn(turn.split())
    made, plain = await split(engine, source, width=30), await whole(engine, source, width=30)
    film = alike(made, plain)
    assert film.frames[0].shape == (52, 30)


async def test_chosen_frames_of_a_movie(engine: FFmpegEngine, make: Make) -> None:
    source = await make("film.mkv", SOURCES["open.mkv"])
    span = Span(8, 53)
    film = alike(await split(engine, source, span=span), await whole(engine, source, span=span))
    assert len(film.frames) == 46


async def test_chapters_and_parts_with_different_headers(engine: FFmpegEngine, make: Make, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text(
        ";FFMETADATA1\ntitle=Two\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=900\ntitle=One\n"
    )
    plain = await make("plain.mp4", SOURCES["open.mp4"])
    source = tmp_path / "film.mkv"
    words = f"{PROGRAM} -v error -i {plain} -i {tmp_path}/words.txt -map_metadata 1 -map_chapters 1 -c copy {source}"
    await Context(tmp_path, None, None).spawn(words.split())
    for codec, tag in (("h264", "avc1"), ("hevc", "hev1")):
        values = {"video_codec": codec, "container": "mp4", "crf": 16}
        cutting = await cut(engine, source, 2, None, FFmpegArgs(**values))
        one, two = cutting.pieces
        two = msgspec.structs.replace(two, args=msgspec.structs.replace(two.args, speed="fastest"))
        made = [await work(engine, one), await work(engine, two)]
        path = await joined(engine, source, made, **values)
        assert described(path)[0][0][1] == tag
        film = alike(path, await whole(engine, source, **values))
        assert film.metadata["title"] == "Two" and len(film.chapters) == 1
        for name in ("cut", "joined", "whole"):
            shutil.rmtree(tmp_path / name)


async def test_what_an_encoder_says_of_its_threads_is_no_header(make: Make) -> None:
    records = []
    for threads in (1, 2):
        source = await make(f"{threads}.mp4", f"-c:v libx265 -x265-params log-level=error:frame-threads={threads}")
        with av.open(str(source)) as container:
            records.append(container.streams.video[0].codec_context.extradata or b"")
    assert records[0] != records[1] and headers("h264", records[0]) != headers("h264", records[1])
    assert headers("hevc", records[0]) == headers("hevc", records[1]) != b""


async def test_parts_that_lack_frames_are_not_joined(engine: FFmpegEngine, make: Make) -> None:
    source = await make("film.mp4", SOURCES["closed.mp4"])
    cutting = await cut(engine, source, 3, None, FFmpegArgs())
    made = [await work(engine, piece) for piece in cutting.pieces]
    assert [each.span for each in made] == [Span(1, 24), Span(1, 12), Span(1, 24)]
    whole_part = made[2].files[0].read_bytes()
    for damaged in (b"", whole_part[: len(whole_part) // 2], b"#EXTM3U\n/etc/passwd\n"):
        made[2].files[0].write_bytes(damaged)
        with pytest.raises(OutputInvalid, match=r"^part 3 of 3 (is no movie that can be read|has \d+ frames)"):
            await joined(engine, source, made)
        shutil.rmtree(source.parent / "joined")
    shutil.copy(made[1].files[0], made[2].files[0])
    with pytest.raises(OutputInvalid, match=r"^part 3 of 3 has 12 frames where 24 were expected\.$"):
        await joined(engine, source, made)
    shutil.rmtree(source.parent / "joined")
    with pytest.raises(OutputInvalid, match=r"^The parts have 36 frames where 60 were expected\.$"):
        await joined(engine, source, made[:2])


WHOLE = {
    "one key frame": ("one.mp4", "-c:v libx264 -g 1000", {}, "it has no key frames to cut it at"),
    "refreshed": ("refreshed.mp4", f"{X264}intra-refresh=1", {}, "does not decode without what lies before"),
    "stream": ("film.ts", SOURCES["closed.mp4"], {}, "its input is mpegts"),
    "codec": ("film.mkv", "-c:v mpeg4 -g 5", {}, "Zeus does not cut mpeg4"),
    "copy": ("film.mp4", SOURCES["closed.mp4"], {"video_codec": "copy"}, "it makes copy in mkv"),
    "gif": ("film.mp4", SOURCES["closed.mp4"], {"container": "gif"}, "it makes gif in gif"),
    "pictures": ("film.mp4", SOURCES["closed.mp4"], {"container": "png"}, "it makes png in png"),
    "sound": ("film.mp4", SOURCES["closed.mp4"], {"video_codec": "none"}, "it makes none in m4a"),
    "rate": ("film.mp4", SOURCES["closed.mp4"], {"fps": 10}, "fps chooses its frames by their times"),
    "start": ("film.mp4", SOURCES["closed.mp4"], {"start": 1.0}, "start chooses its frames by their times"),
    "hardware": ("film.mp4", SOURCES["closed.mp4"], {"hardware": "auto"}, "different hardware"),
}


@pytest.mark.parametrize("kind", WHOLE)
async def test_what_runs_whole(engine: FFmpegEngine, make: Make, kind: str) -> None:
    name, options, values, reason = WHOLE[kind]
    cutting = await cut(engine, await make(name, options), 3, None, FFmpegArgs(**values))
    assert (cutting.pieces, cutting.made) == ([], [])
    assert len(cutting.notes) == 1 and cutting.notes[0].startswith("runs whole: ") and reason in cutting.notes[0]


async def test_a_source_whose_beginning_is_left_out_runs_whole(
    engine: FFmpegEngine, make: Make, tmp_path: Path
) -> None:
    film, source = await make("film.mp4", SOURCES["closed.mp4"]), tmp_path / "later.mp4"
    later = f"{PROGRAM} -v error -ss 0.7 -i {film} -c copy {source}"
    await Context(tmp_path, None, None).spawn(later.split())
    cutting = await cut(engine, source, 2, None, FFmpegArgs())
    assert cutting.pieces == [] and cutting.notes == ["runs whole: its edit list leaves out a part of it"]


async def test_a_source_that_is_cut_off_does_not_pass(engine: FFmpegEngine, make: Make) -> None:
    source = await make("film.mkv", SOURCES["open.mkv"], seconds=4)
    source.write_bytes(source.read_bytes()[: source.stat().st_size * 7 // 10])
    with pytest.raises(OutputInvalid, match=r"film\.mp4 decodes to \d\.\d s of video where 4\.0 s were expected"):
        await split(engine, source, 2)


@pytest.mark.parametrize("frames", [0, 1, 900, LONGEST, 10 * LONGEST + 1, 3 * MOST * LONGEST])
@pytest.mark.parametrize("weights", [[], [0.0, 0.0], [1.0], [2.0, 1.0, 1.0, 0.5]], ids=str)
def test_no_part_of_a_long_film_is_long(weights: list[float], frames: int) -> None:
    parts = finer(weights, frames)
    assert sum(parts) == pytest.approx(sum(weights)) and len(weights) <= len(parts) <= MOST + len(weights)
    longest = max(parts, default=0.0) * frames / (sum(weights) or 1)
    assert longest <= max(LONGEST, frames / MOST) * 1.001
    if frames <= LONGEST:
        assert parts == weights


@pytest.mark.parametrize(
    ("weights", "cuts"),
    [([1, 1], [50]), ([1, 3], [20]), ([1, 1, 1, 1], [20, 50, 80]), ([1] * 50, [20, 50, 80]), ([1], []), ([], []),
     ([0, 0], [])],
)  # fmt: skip
def test_cuts_are_the_key_frames_nearest_to_the_weights(weights: list[float], cuts: list[int]) -> None:
    assert nearest([80, 20, 50], 0, 100, weights) == cuts
