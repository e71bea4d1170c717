"""The argument lists, filters, progress lines and sequences: all that is pure in the FFmpeg engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zeus_plugins.ffmpeg.arguments import FFmpegArgs, Hardware, Speed
from zeus_plugins.ffmpeg.codecs import SOFTWARE, Encoder
from zeus_plugins.ffmpeg.command import Plan, commands, frames, movie, still
from zeus_plugins.ffmpeg.filters import Selection, rate
from zeus_plugins.ffmpeg.finder import encoder_names
from zeus_plugins.ffmpeg.formats import AudioCodec, ContainerName, VideoCodec
from zeus_plugins.ffmpeg.lines import Progress, ProgressReader
from zeus_plugins.ffmpeg.sequences import Sequence, find_sequence, settle_span

from zeus.engine import Span
from zeus.errors import BadInput

DATA = Path(__file__).parent / "data" / "ffmpeg"
KNOWN = """
-nostdin -hide_banner -nostats -v -progress -stats_period -y -vaapi_device -protocol_whitelist -ss -t -f -i -map
-map_metadata -vn -an -vf -af -c:v -c:a -b:v -b:a -crf -preset -cpu-used -deadline -row-mt -pix_fmt -profile:v
-vendor -x265-params -q:v -rc -cq -global_quality -rc_mode -qp -qp_i -qp_p -quality -tag:v -movflags -frames:v
-update -fps_mode -start_number -framerate -pattern_type -loop -filter_complex
"""
OPTIONS = set(KNOWN.split())


def plan(path: str = "/in/a.mov", target: str = "/out/a.mp4", **values: Any) -> Plan:
    args = FFmpegArgs(**values)
    source = movie(Path(path), "mov", args, rgb=False)
    encoder = Encoder(SOFTWARE.get(args.formats.video, ""))
    return Plan(args=args, source=source, target=Path(target), encoder=encoder, folder=Path("/attempt"))


def after(argv: list[str], option: str) -> str:
    return argv[argv.index(option) + 1]


def test_the_plain_command_reads_as_it_would_be_typed() -> None:
    (argv,) = commands("ffmpeg", plan())
    assert argv == [
        "ffmpeg", "-nostdin", "-hide_banner", "-nostats", "-v", "level+warning", "-progress", "pipe:1",
        "-stats_period", "0.2", "-y", "-protocol_whitelist", "file,pipe", "-f", "mov", "-i", "file:/in/a.mov",
        "-map_metadata", "0", "-map", "0:V:0", "-vf", "scale=w='trunc(iw/2)*2':h='trunc(ih/2)*2'",
        "-c:v", "libx264", "-pix_fmt", "yuv420p", "-preset", "medium", "-crf", "20", "-map", "0:a:0?", "-c:a", "aac",
        "-f", "mp4", "-movflags", "+faststart", "file:/out/a.mp4",
    ]  # fmt: skip


def test_each_codec_gets_its_own_options() -> None:
    assert after(commands("f", plan(video_codec="hevc"))[0], "-tag:v") == "hvc1"
    assert "-tag:v" not in commands("f", plan(video_codec="hevc", container="mkv"))[0]
    assert after(commands("f", plan(video_codec="prores"))[0], "-pix_fmt") == "yuv422p10le"
    assert after(commands("f", plan(video_codec="vp9"))[0], "-b:v") == "0"
    assert after(commands("f", plan(bitrate=800))[0], "-b:v") == "800k"
    assert "-crf" not in commands("f", plan(bitrate=800))[0]
    assert after(commands("f", plan(video_codec="copy"))[0], "-c:v") == "copy"
    assert "-vn" in commands("f", plan(video_codec="none"))[0]
    assert "-an" in commands("f", plan(audio_codec="none"))[0]
    assert "channel_layouts" in after(commands("f", plan(audio_codec="opus"))[0], "-af")


def test_a_gif_takes_two_commands_and_never_holds_all_frames_in_memory() -> None:
    first, second = commands("f", plan(video_codec="gif", fps=12))
    assert "palettegen" in after(first, "-vf") and first[-1] == "file:/attempt/palette.png"
    assert "paletteuse" in after(second, "-filter_complex") and "split" not in after(second, "-filter_complex")


def test_chosen_frames_are_cut_from_picture_and_sound() -> None:
    (argv,) = commands("f", _chosen(plan(), Selection(11, 20, 10.0)))
    assert after(argv, "-vf").startswith("trim=start_frame=10:end_frame=20,setpts=PTS-STARTPTS,")
    assert after(argv, "-af") == "atrim=start=1.000000:end=2.000000,asetpts=PTS-STARTPTS"


def _chosen(base: Plan, selection: Selection) -> Plan:
    return Plan(args=base.args, source=base.source, target=base.target, encoder=base.encoder, folder=base.folder,
                selection=selection)  # fmt: skip


def test_hardware_has_its_own_words_for_quality() -> None:
    def command(kind: str, codec: str = "h264", device: str | None = None) -> list[str]:
        base = plan(video_codec=codec, crf=23, hardware=kind, speed="slowest")
        encoder = Encoder(f"{codec}_{kind}", kind, device)
        return commands("f", Plan(base.args, base.source, base.target, encoder, base.folder))[0]

    assert after(command("nvenc"), "-cq") == "23" and after(command("nvenc"), "-preset") == "p7"
    assert after(command("qsv"), "-global_quality") == "23" and after(command("qsv"), "-preset") == "veryslow"
    vaapi = command("vaapi", device="/dev/dri/renderD128")
    assert after(vaapi, "-vf").endswith("format=nv12,hwupload") and "-pix_fmt" not in vaapi
    assert vaapi.index("-vaapi_device") < vaapi.index("-i")


@pytest.mark.parametrize(
    ("fps", "text"),
    [(25.0, "25"), (23.976, "24000/1001"), (29.97, "30000/1001"), (12.5, "12.5"), (59.94, "60000/1001")],
)
def test_rates(fps: float, text: str) -> None:
    assert rate(fps) == text


@st.composite
def any_args(draw: st.DrawFn) -> FFmpegArgs | None:
    def maybe(strategy: st.SearchStrategy[Any]) -> Any:
        return draw(st.none() | strategy)

    values = {
        "video_codec": maybe(st.sampled_from([c for c in get_args(VideoCodec)])),
        "audio_codec": maybe(st.sampled_from([c for c in get_args(AudioCodec)])),
        "container": maybe(st.sampled_from([c for c in get_args(ContainerName)])),
        "crf": maybe(st.integers(0, 63)),
        "bitrate": maybe(st.integers(8, 10**6)),
        "speed": draw(st.sampled_from(get_args(Speed))),
        "width": maybe(st.integers(2, 16384)),
        "height": maybe(st.integers(2, 16384)),
        "fps": maybe(st.floats(0.1, 480)),
        "audio_bitrate": maybe(st.integers(8, 2000)),
        "start": maybe(st.floats(0, 1e6)),
        "duration": maybe(st.floats(1e-6, 1e6)),
        "hardware": draw(st.sampled_from(get_args(Hardware))),
    }
    try:
        return FFmpegArgs(**values)
    except ValueError:
        return None


NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=("Cs",)), min_size=1, max_size=30) | (
    st.sampled_from(["-i", "-y", "--", "%d", "%03d.png", "a;b", "concat:a|b", "http:x", "|x", "'", "[0:v]", "\n"])
)


@given(any_args(), NAMES, st.sampled_from(["movie", "still", "sequence"]), st.integers(0, 9999))
@settings(max_examples=300, deadline=None)
def test_no_value_of_a_user_ever_starts_an_option(args: FFmpegArgs | None, name: str, kind: str, number: int) -> None:
    if args is None:
        return
    path = Path("/in") / name if name not in (".", "..") else Path("/in/x")
    source = {
        "movie": lambda: movie(path, "mov", args, rgb=True),
        "still": lambda: still(path, "png_pipe", args),
        "sequence": lambda: frames(Sequence(Path("/in"), name, 4, ".png"), number, args),
    }[kind]()
    encoder = Encoder(SOFTWARE.get(args.formats.video, ""))
    target = Path("/out") / f"{path.name}.mp4"
    for argv in commands("ffmpeg", Plan(args, source, target, encoder, Path("/attempt"), None, number)):
        assert {item for item in argv if item.startswith("-")} <= OPTIONS
        holding = [item for item in argv if name in item and len(name) > 3]
        assert all(item.startswith("file:/") for item in holding if item not in OPTIONS)
        assert all("\0" not in item for item in argv)


def feed(name: str) -> tuple[list[Progress], ProgressReader]:
    reader = ProgressReader()
    lines = (DATA / name).read_text().splitlines()
    return [progress for line in lines if (progress := reader.feed(line)) is not None], reader


@pytest.mark.parametrize("name", ["h264.txt", "av1.txt"])
def test_recorded_progress_grows_to_the_end(name: str) -> None:
    blocks, reader = feed(name)
    fractions = [block.fraction(4.0, 100) for block in blocks]
    assert len(blocks) > 3 and fractions == sorted(fractions) and fractions[-1] > 0.97
    assert blocks[-1].ended and blocks[-1].frame == 100 and not any(block.ended for block in blocks[:-1])
    assert reader.errors == []


def test_what_ffmpeg_does_not_know_is_none() -> None:
    reader = ProgressReader()
    lines = ["frame=3", "out_time_us=N/A", "out_time_ms=N/A", "speed=N/A", "bitrate=N/A", "progress=continue"]
    assert [reader.feed(line) for line in lines][-1] == Progress(None, 3, None, False)
    assert Progress(None, 3, None, False).fraction(9.0, 6) == 0.5
    assert Progress(None, None, None, False).fraction(9.0, None) == 0.0
    assert Progress(2.0, 3, 2.0, False).remaining(6.0) == 2.0
    assert Progress(2.0, 3, None, False).remaining(6.0) is None


def test_negative_and_old_times_are_read() -> None:
    reader = ProgressReader()
    reader.feed("out_time_ms=-2000000")
    assert reader.feed("progress=continue") == Progress(0.0, None, None, False)


def test_the_first_errors_are_kept_without_their_speakers() -> None:
    _, reader = feed("wrong_container.txt")
    assert reader.errors[0].startswith("Only VP8 or VP9 or AV1 video")
    _, reader = feed("cut_input.txt")
    assert reader.errors[0] == "stream 1, offset 0x1fd6: partial file"
    reader = ProgressReader()
    reader.feed("ffmpeg: error while loading shared libraries: libx.so")
    assert len(reader.errors) == 1


def test_encoder_names_are_read_from_the_list() -> None:
    lines = ["Encoders:", " V..... = Video", " ------", " V....D libx264     libx264 H.264", " A....D aac  AAC"]
    assert encoder_names(lines) == {"libx264", "aac"}


@pytest.mark.parametrize("name", ["shot_####.png", "shot_%04d.png"])
def test_a_sequence_is_found_by_its_pattern(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "100%d"
    folder.mkdir()
    for number in (7, 8, 10):
        (folder / f"shot_{number:04d}.png").touch()
    sequence = find_sequence(folder / name)
    assert sequence is not None and sequence.stem == "shot"
    assert sequence.pattern == f"{str(folder).replace('%', '%%')}/shot_%04d.png"
    assert settle_span(sequence, Span(7, 8)) == Span(7, 8)
    with pytest.raises(BadInput, match=r"^Frames of shot_####\.png are missing: 9\.$"):
        settle_span(sequence, None)
    with pytest.raises(BadInput, match=r"missing: 5-6, 9, 11-12\.$"):
        settle_span(sequence, Span(5, 12))


def test_a_file_of_exactly_that_name_is_no_sequence(tmp_path: Path) -> None:
    (tmp_path / "a#1.png").touch()
    assert find_sequence(tmp_path / "a#1.png") is None
    assert find_sequence(tmp_path / "plain.mp4") is None
    with pytest.raises(BadInput, match="is not there"):
        find_sequence(tmp_path / "list_##.m3u8")
