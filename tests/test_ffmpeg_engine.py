"""The FFmpeg engine with the real FFmpeg: every codec and container, sequences, cuts, failures, hostile inputs."""

from __future__ import annotations

import asyncio
import shutil
import stat
import sys
from pathlib import Path
from typing import Any

import av
import pytest
from zeus_plugins.ffmpeg import FFmpegEngine
from zeus_plugins.ffmpeg.arguments import FFmpegArgs
from zeus_plugins.ffmpeg.engine import FFmpegSettings
from zeus_plugins.ffmpeg.finder import bundled
from zeus_plugins.ffmpeg.formats import CONTAINERS

from tests.ffmpeg_context import Context
from tests.ffmpeg_samples import movie, pictures, sound
from zeus.engine import MediaInfo, Span
from zeus.errors import BadInput, OutputInvalid, TaskFailed, ToolFailed


@pytest.fixture(scope="module")
def engine() -> FFmpegEngine:
    return FFmpegEngine(FFmpegSettings())


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return movie(tmp_path / "film.mov", frames=20)


async def convert(engine: FFmpegEngine, source: Path, span: Span | None = None, **values: Any) -> Context:
    args, span = engine.settle(FFmpegArgs(**values), span)
    folder = source.parent / "attempt"
    folder.mkdir(exist_ok=True)
    context = Context(folder, args, source, span)
    await engine.run(context)
    return context


async def result(context: Context) -> MediaInfo:
    (name,) = context.made
    return await context.verify(context.out / name)


CODECS = [
    (name, codec, sound)
    for name, container in CONTAINERS.items()
    for codec in container.video or ("none",)
    for sound in container.audio or ("none",)
    if container.muxer != "image2" and "copy" not in (codec, sound)
]


@pytest.mark.parametrize(("container", "video", "sound_codec"), CODECS)
async def test_every_codec_in_every_container(
    engine: FFmpegEngine, tmp_path: Path, container: str, video: str, sound_codec: str
) -> None:
    source = movie(tmp_path / "film.mp4")
    made = await convert(
        engine, source, container=container, video_codec=video, audio_codec=sound_codec, speed="fastest"
    )
    info = await result(made)
    assert made.made == [f"film.{container}"]
    expected = [c for c in (video, {"pcm": "pcm_s16le", "mp3": "mp3"}.get(sound_codec, sound_codec)) if c != "none"]
    assert [stream.codec.removesuffix("float") for stream in info.streams] == expected
    if video != "none":
        picture = info.first("video")
        assert picture is not None and (picture.frames, picture.width, picture.height) == (10, 64, 36)
        yuv = {"prores": "yuv422p10le", "gif": "bgra"}.get(video, "yuv420p")
        assert picture.pixel_format == yuv
    assert made.progress[-1][0] == 1.0


@pytest.mark.parametrize("video", ["h264", "copy"])
@pytest.mark.parametrize("container", ["mp4", "mkv"])
@pytest.mark.parametrize("name", ["late.mp4", "late.mkv"])
async def test_a_picture_that_begins_after_the_sound(
    engine: FFmpegEngine, tmp_path: Path, name: str, container: str, video: str
) -> None:
    source = movie(tmp_path / name, frames=30, late=8)
    info = await result(await convert(engine, source, container=container, video_codec=video, speed="fastest"))
    assert info.duration == pytest.approx(3.8, abs=0.1) and [each.kind for each in info.streams] == ["video", "audio"]
    assert info.streams[0].frames == 30


@pytest.mark.parametrize("container", ["mp4", "mov", "mkv"])
async def test_copy_changes_no_pixel(engine: FFmpegEngine, film: Path, container: str) -> None:
    info = await result(await convert(engine, film, video_codec="copy", container=container))
    assert [stream.codec for stream in info.streams] == ["h264", "aac"]


async def test_a_copy_that_the_container_does_not_take_says_so(engine: FFmpegEngine, film: Path) -> None:
    with pytest.raises(ToolFailed, match="Only VP8 or VP9 or AV1") as caught:
        await convert(engine, film, video_codec="copy", container="webm")
    assert not caught.value.retry and str(film.parent) not in caught.value.message


@pytest.mark.parametrize(
    ("values", "size"),
    [({"width": 32}, (32, 18)), ({"height": 20}, (36, 20)), ({"width": 40, "height": 40}, (40, 22)),
     ({"width": 33, "container": "png"}, (33, 19))],
)  # fmt: skip
async def test_sizes_keep_the_aspect(
    engine: FFmpegEngine, film: Path, values: dict[str, Any], size: tuple[int, int]
) -> None:
    made = await convert(engine, film, **values)
    video = (await made.probe(made.out / made.made[0])).first("video")
    assert video is not None and (video.width, video.height) == size


async def test_odd_sizes_and_oblong_pixels_become_even_and_square(engine: FFmpegEngine, tmp_path: Path) -> None:
    odd = tmp_path / "odd.mkv"
    graph = "testsrc2=s=66x38:r=10,format=yuv444p,crop=65:37:0:0:exact=1,setsar=2"
    lavfi = ["-f", "lavfi", "-i", graph, "-t", "0.5", "-c:v", "ffv1"]
    await Context(tmp_path, None, None).spawn([str(next(bundled())[1]), "-v", "error", *lavfi, str(odd)])
    plain = (await result(await convert(engine, odd))).first("video")
    assert plain is not None and (plain.width, plain.height) == (64, 36)
    scaled = (await result(await convert(engine, odd, height=36))).first("video")
    assert scaled is not None and (scaled.width, scaled.height) == (126, 36)


async def test_rate_start_and_duration(engine: FFmpegEngine, film: Path) -> None:
    video = (await result(await convert(engine, film, fps=25, start=0.5, duration=1.0))).first("video")
    assert video is not None and video.fps == 25 and video.frames == 25
    shutil.rmtree(film.parent / "attempt")
    info = await result(await convert(engine, film, video_codec="none", container="m4a", start=1))
    assert info.duration == pytest.approx(1.0, abs=0.1)
    with pytest.raises(BadInput, match=r"start is 9 s, but film\.mov is only 2\.0 s long"):
        await convert(engine, film, start=9)


async def test_chosen_frames_of_a_movie(engine: FFmpegEngine, film: Path) -> None:
    made = await convert(engine, film, Span(6, 10))
    info = await result(made)
    video, tone = info.first("video"), info.first("audio")
    assert video is not None and video.frames == 5 and tone is not None
    assert tone.duration == pytest.approx(0.5, abs=0.1)
    with pytest.raises(BadInput, match=r"end_frame is 30, but film\.mov has only 20 frames"):
        await convert(engine, film, Span(6, 30))
    with pytest.raises(BadInput, match=r"the first frame of film\.mov is 1"):
        await convert(engine, film, Span(0, 3))
    for values in ({"start": 1.0}, {"video_codec": "copy"}, {"video_codec": "none"}):
        with pytest.raises(BadInput, match="cannot be given"):
            await convert(engine, film, Span(1, 3), **values)


@pytest.mark.parametrize("container", ["png", "jpg", "tiff", "exr"])
async def test_a_movie_becomes_numbered_pictures(engine: FFmpegEngine, film: Path, container: str) -> None:
    made = await convert(engine, film, Span(3, 7), container=container)
    assert made.made == [f"film_{number:04d}.{container}" for number in range(3, 8)]


async def test_all_frames_of_a_movie_become_pictures(engine: FFmpegEngine, film: Path) -> None:
    assert len((await convert(engine, film, container="png")).made) == 20


async def test_a_sequence_becomes_a_movie_and_pictures(engine: FFmpegEngine, tmp_path: Path) -> None:
    folder = tmp_path / "50%d done"
    folder.mkdir()
    pictures(folder, range(5, 15))
    video = (await result(await convert(engine, folder / "shot_####.png", fps=10))).first("video")
    assert video is not None and (video.frames, video.fps) == (10, 10.0)
    context = await convert(engine, folder / "shot_%04d.png", Span(6, 8), video_codec="gif", fps=5)
    with av.open(str(context.out / "shot.gif")) as gif:
        assert sum(1 for _ in gif.decode(video=0)) == 3
    shutil.rmtree(context.out)
    assert (await convert(engine, folder / "shot_####.png", Span(6, 8), container="jpg")).made == [
        "shot_0006.jpg", "shot_0007.jpg", "shot_0008.jpg",
    ]  # fmt: skip


async def test_missing_frames_are_named(engine: FFmpegEngine, tmp_path: Path) -> None:
    pictures(tmp_path, range(5, 15))
    (tmp_path / "shot_0009.png").unlink()
    with pytest.raises(BadInput, match=r"Frames of shot_####\.png are missing: 3-4, 9\."):
        await convert(engine, tmp_path / "shot_####.png", Span(3, 12))
    with pytest.raises(BadInput, match=r"start and duration are for movies"):
        await convert(engine, tmp_path / "shot_####.png", duration=1)


async def test_a_damaged_frame_of_a_sequence_is_found(engine: FFmpegEngine, tmp_path: Path) -> None:
    pictures(tmp_path, range(1, 9))
    (tmp_path / "shot_0004.png").write_text("#EXTM3U\nhttp://127.0.0.1:1/a.ts\n")
    with pytest.raises(TaskFailed, match="7 frames where 8 were expected"):
        await convert(engine, tmp_path / "shot_####.png", fps=10)


async def test_sequences_keep_their_colours(engine: FFmpegEngine, tmp_path: Path) -> None:
    from PIL import Image

    for number in range(3):
        Image.new("RGB", (64, 36), (200, 40, 90)).save(tmp_path / f"red_{number}.png")
    made = await convert(engine, tmp_path / "red_#.png", container="exr")
    exr = made.out / "red_0000.exr"
    with av.open(str(exr)) as container:
        linear = next(container.decode(video=0)).to_ndarray()[18, 32]
    assert linear == pytest.approx([0.578, 0.0212, 0.1022], abs=0.003)
    for name in ("red_0000.exr", "red_0001.exr", "red_0002.exr"):
        (made.out / name).rename(tmp_path / name)
    for source in ("red_#.png", "red_####.exr"):
        made = await convert(engine, tmp_path / source)
        with av.open(str(made.out / "red.mp4")) as container:
            frame = next(container.decode(video=0))
            assert frame.colorspace == 1
            assert abs(frame.to_ndarray(format="rgb24")[18, 32].astype(int) - [200, 40, 90]).max() <= 4


async def test_one_picture(engine: FFmpegEngine, tmp_path: Path) -> None:
    pictures(tmp_path, range(1, 2), name="x%03d.png")
    source = tmp_path / "x%03d.png"
    assert (await convert(engine, source, container="jpg")).made == ["x%03d.jpg"]
    shutil.rmtree(tmp_path / "attempt")
    info = await result(await convert(engine, source, duration=1.5, fps=10))
    assert info.duration == pytest.approx(1.5)
    with pytest.raises(BadInput, match="no frames 1 to 5"):
        await convert(engine, source, Span(1, 5))


async def test_awkward_names(engine: FFmpegEngine, tmp_path: Path) -> None:
    for name in ("-i.mp4", "a:b %d.mp4", "concat:x.mp4", "a'b\"c [0].mp4", "-y\n.mp4"):
        source = movie(tmp_path / "x.mp4").rename(tmp_path / name)
        assert (await convert(engine, source)).made == [name]
        shutil.rmtree(tmp_path / "attempt")
        stem = name.removesuffix(".mp4")
        made = (await convert(engine, source, Span(1, 2), container="png")).made
        assert made == [f"{stem}_0001.png", f"{stem}_0002.png"]
        shutil.rmtree(tmp_path / "attempt")
    hidden = movie(tmp_path / "x.mp4").rename(tmp_path / ".mp4")
    assert (await convert(engine, hidden)).made == ["mp4.mp4"]


async def test_sound_alone_and_sound_that_is_not_there(engine: FFmpegEngine, tmp_path: Path) -> None:
    tone, silent = sound(tmp_path / "tone.wav"), movie(tmp_path / "silent.mp4", sound=False)
    with pytest.raises(BadInput, match=r"tone\.wav has no video"):
        await convert(engine, tone)
    with pytest.raises(BadInput, match=r"silent\.mp4 has no sound"):
        await convert(engine, silent, video_codec="none")
    assert [stream.kind for stream in (await result(await convert(engine, silent))).streams] == ["video"]


async def test_a_cut_off_input_is_a_failure_that_says_so(engine: FFmpegEngine, tmp_path: Path) -> None:
    source = movie(tmp_path / "cut.mp4", frames=50, options={"movflags": "+faststart"})
    source.write_bytes(source.read_bytes()[:9000])
    with pytest.raises(OutputInvalid, match=r"decodes to \d\.\d s of video where 5\.0 s were expected"):
        await convert(engine, source)


async def test_hostile_inputs_never_reach_ffmpeg(engine: FFmpegEngine, tmp_path: Path) -> None:
    source = tmp_path / "a.mp4"
    args = FFmpegArgs()
    for text in ("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:1/a\n", "ffconcat version 1.0\nfile /etc/passwd\n", "x", ""):
        source.write_text(text)
        context = Context(tmp_path, args, source)
        with pytest.raises(BadInput, match=r"^a\.mp4 "):
            await engine.run(context)
        assert context.argvs == []


async def test_the_demuxer_and_the_protocols_are_pinned(engine: FFmpegEngine, film: Path) -> None:
    argv = (await convert(engine, film)).argvs[-1]
    before = argv[: argv.index("-i")]
    assert before[-4:] == ["-protocol_whitelist", "file,pipe", "-f", "mov"]
    assert argv[argv.index("-i") + 1] == f"file:{film}"


def slow_film(folder: Path) -> Path:
    return movie(folder / "long.mp4", frames=200, fps=25, size=(320, 180), sound=False, codec="mpeg4")


async def test_ffmpeg_that_is_told_to_stop_leaves_no_result(engine: FFmpegEngine, tmp_path: Path) -> None:
    """It writes a whole, shorter mp4 then; neither its exit nor that file may pass for success."""
    source = slow_film(tmp_path)
    context = Context(tmp_path, FFmpegArgs(video_codec="h264", speed="slowest"), source)
    await engine.versions(context)
    context.started.clear()
    running = asyncio.create_task(engine.run(context))
    await context.started.wait()
    assert context.process is not None
    context.process.terminate()
    with pytest.raises(ToolFailed, match="FFmpeg ended with exit code 255"):
        await running
    if context.made:
        with pytest.raises(OutputInvalid):
            await context.verify(context.out / context.made[0], duration=8.0)


async def test_progress_is_of_the_real_duration(engine: FFmpegEngine, tmp_path: Path) -> None:
    context = await convert(engine, slow_film(tmp_path), width=640, speed="slow")
    fractions = [fraction for fraction, _, _ in context.progress]
    assert len(fractions) > 3 and fractions == sorted(fractions) and fractions[-1] == 1.0
    assert any(0.05 < fraction < 0.9 for fraction in fractions)
    assert any("s left" in note for _, note, _ in context.progress)
    assert context.progress[-1][2] == 200


def wrapper(folder: Path, script: str) -> Path:
    """A tool in FFmpeg's place: a shell script around the real one, `$REAL`."""
    path = folder / "ffmpeg"
    path.write_text(f"#!/bin/sh\nREAL='{next(bundled())[1]}'\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


GPU = """
case "$*" in
  *-encoders*) exec "$REAL" "$@";;
  *lavfi*nvenc*) exit 0;;
  *nvenc*) echo "frame=3"; echo "progress=continue"; echo "[h264_nvenc @ 0x1] [error] out of memory"; exit 1;;
esac
exec "$REAL" "$@"
"""


async def test_a_hardware_encoder_that_fails_is_replaced_once(film: Path, tmp_path: Path) -> None:
    engine = FFmpegEngine(FFmpegSettings(path=str(wrapper(tmp_path, GPU))))
    context = await convert(engine, film, hardware="auto")
    assert context.notes[0] == "encoder: h264_nvenc"
    assert "h264_nvenc failed (FFmpeg ended with exit code 1: out of memory)" in context.notes[1]
    assert context.made == ["film.mp4"]
    assert (await engine.versions(context))[0].source == "configured"
    with pytest.raises(ToolFailed, match="out of memory"):
        await convert(engine, film, hardware="nvenc")


@pytest.mark.skipif(Path("/dev/nvidia0").exists() or sys.platform == "darwin", reason="this machine may have NVENC")
async def test_an_encoder_that_is_only_listed_is_not_found(engine: FFmpegEngine, film: Path) -> None:
    with pytest.raises(TaskFailed, match="hardware nvenc cannot encode h264 on this machine"):
        await convert(engine, film, hardware="nvenc")
    context = Context(film.parent, FFmpegArgs(hardware="nvenc"), film)
    with pytest.raises(TaskFailed):
        await engine.run(context)
    assert context.argvs == []  # tested once


async def test_exit_0_without_a_whole_file_is_a_failure(film: Path, tmp_path: Path) -> None:
    script = 'case "$*" in *-version*|*-encoders*) exec "$REAL" "$@";; esac; exit 0'
    with pytest.raises(OutputInvalid, match=r"FFmpeg wrote no film\.mp4"):
        await convert(FFmpegEngine(FFmpegSettings(path=str(wrapper(tmp_path, script)))), film)


async def test_a_configured_path_that_does_not_run_is_said(tmp_path: Path) -> None:
    context = Context(tmp_path, FFmpegArgs(), None)
    for path in (tmp_path / "absent", wrapper(tmp_path, "exit 3")):
        engine = FFmpegEngine(FFmpegSettings(path=str(path)))
        reason = await engine.ready(context)
        assert reason is not None and "configured FFmpeg does not run" in reason
        assert await engine.versions(context) == []


async def test_the_bundled_version_is_ready(engine: FFmpegEngine, tmp_path: Path) -> None:
    context = Context(tmp_path, FFmpegArgs(), None)
    assert await engine.ready(context) is None
    assert "bundled" in [version.source for version in await engine.versions(context)]


async def test_an_encoder_that_the_build_lacks_is_named(film: Path, tmp_path: Path) -> None:
    script = 'case "$*" in *-encoders*) echo " V....D libx264  x"; echo " A....D aac  x";; *) exec "$REAL" "$@";; esac'
    with pytest.raises(TaskFailed, match="cannot encode av1: it lacks libsvtav1") as caught:
        await convert(FFmpegEngine(FFmpegSettings(path=str(wrapper(tmp_path, script)))), film, video_codec="av1")
    assert not caught.value.retry


async def test_facts(engine: FFmpegEngine, film: Path, tmp_path: Path) -> None:
    context = Context(tmp_path, FFmpegArgs(), None)
    facts = await engine.inspect(context, film)
    assert (facts.span, facts.fps, facts.width, facts.height) == (Span(1, 20), 10.0, 64, 36)
    pictures(tmp_path, range(5, 9))
    facts = await engine.inspect(context, tmp_path / "shot_####.png")
    assert (facts.span, facts.width) == (Span(5, 8), 64)


async def test_the_server_process_stays_free_of_media_libraries() -> None:
    code = (
        "import sys, zeus_plugins.ffmpeg.engine as e; e.FFmpegEngine(e.FFmpegSettings());"
        "from zeus_plugins.ffmpeg.finder import bundled; list(bundled());"
        "print(sorted({'av', 'numpy', 'PIL', 'imageio_ffmpeg'} & set(sys.modules)))"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    assert (await process.communicate())[0].strip() == b"[]"
