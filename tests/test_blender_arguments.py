"""BlenderArgs, and what settling makes of them and of a file's facts: the scene's own values, and clear refusals."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import av
import msgspec
import pytest
from zeus_plugins.blender import BlenderEngine
from zeus_plugins.blender.arguments import BlenderArgs
from zeus_plugins.blender.checks import check_release
from zeus_plugins.blender.engine import BlenderSettings
from zeus_plugins.blender.facts import Report, facts_of
from zeus_plugins.blender.header import parse_version, read_version

from tests.ffmpeg_context import Context
from tests.ffmpeg_samples import picture, pictures
from zeus.engine import Demand, Facts, Made, Scene, Span
from zeus.errors import BadInput, OutputInvalid

MAIN = Scene(
    name="Main",
    span=Span(1, 250),
    frame_step=2,
    fps=24.0,
    width=1920,
    height=1080,
    cameras=("Far", "Near"),
    camera="Near",
    engine="CYCLES",
    export_format="PNG",
    samples=128,
)
BARE = msgspec.structs.replace(MAIN, name="Bare", cameras=(), camera=None, engine="WORKBENCH")
FACTS = Facts(span=MAIN.span, scene="Main", scenes=(MAIN, BARE))


def args(**values: Any) -> BlenderArgs:
    return msgspec.convert(values, BlenderArgs)


def settle(facts: Facts | None = FACTS, span: Span | None = None, **values: Any) -> tuple[BlenderArgs, Span | None]:
    return BlenderEngine(BlenderSettings()).settle(args(**values), span, facts)


def with_scene(**changes: Any) -> Facts:
    return Facts(scene="Main", scenes=(msgspec.structs.replace(MAIN, **changes),))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"engine": "LUX"}, "Invalid enum value 'LUX'"),
        ({"export_format": "BMP"}, "Invalid enum value 'BMP'"),
        ({"resolution": [64]}, "Expected `array` of length 2"),
        ({"resolution": [64, 2]}, ">= 4"),
        ({"resolution": [64, 100_000]}, "<= 65536"),
        ({"frame_step": 0}, ">= 1"),
        ({"samples": 0}, ">= 1"),
        ({"python_expr": "1"}, "unknown field `python_expr`"),
        ({"engine": "EEVEE", "seed": 1}, "seed cannot be given with engine EEVEE"),
        ({"engine": "WORKBENCH", "samples": 1}, "samples cannot be given with engine WORKBENCH"),
        ({"engine": "EEVEE", "device": "CUDA"}, "device cannot be given with engine EEVEE"),
        ({"export_format": "JPEG", "color": "RGBA"}, "color RGBA cannot be given with export_format JPEG"),
        ({"export_format": "mp4", "color": "RGBA"}, "export_format mp4 has no transparency"),
        ({"export_format": "webm", "color_depth": 16}, "export_format webm has no transparency and 8 bits"),
        ({"export_format": "PNG", "color_depth": 32}, "color_depth 32 cannot be given with export_format PNG"),
        ({"export_format": "OPEN_EXR", "color_depth": 8}, "it has 16 or 32 bits"),
        ({"export_format": "OPEN_EXR_MULTILAYER", "color": "BW"}, "whose layers have channels of their own"),
        ({"export_format": "TIFF", "fps": 24}, "fps cannot be given with export_format TIFF"),
        ({"fps": 0}, "> 0"),
        ({"fps": 1001}, "<= 1000"),
    ],
)
def test_what_cannot_be_is_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=message):
        args(**values)


def test_the_scenes_own_values_are_filled_in() -> None:
    settled, span = settle()
    assert (settled.frame_step, settled.export_format, span) == (2, "PNG", Span(1, 250))
    assert settled.samples is None, "what does not say which frames there are stays with the scene"
    settled, span = settle(span=Span(5, 9), frame_step=3, export_format="mp4")
    assert (settled.frame_step, settled.movie, settled.picture, span) == (3, "mp4", "PNG", Span(5, 9))


@pytest.mark.parametrize("device", ["auto", "CUDA", "OPTIX", "HIP", "METAL", "ONEAPI"])
def test_all_but_the_processor_asks_for_a_gpu(device: Any) -> None:
    engine = BlenderEngine(BlenderSettings())
    assert engine.demand(BlenderArgs(device=device)) == Demand("gpu")
    assert engine.demand(BlenderArgs(device="CPU")) == Demand()


def test_settling_twice_changes_nothing_more() -> None:
    once = settle()
    assert BlenderEngine(BlenderSettings()).settle(*once, FACTS) == once


def test_without_facts_what_is_open_stays_open() -> None:
    assert settle(facts=None) == (args(), None)


@pytest.mark.parametrize(
    ("facts", "values", "code", "message"),
    [
        (FACTS, {"scene": "Intro"}, "unknown_scene", 'there is no scene "Intro"; there are: Main, Bare.'),
        (FACTS, {"scene": "Bare"}, "no_camera", 'The scene "Bare" has no camera.'),
        (with_scene(camera=None), {}, "no_camera", "Choose one by args.camera: Far, Near."),
        (FACTS, {"camera": "Side"}, "unknown_camera", 'has no camera "Side"; there are: Far, Near.'),
        (with_scene(export_format="TARGA"), {}, "unsupported_format", "has the format TARGA"),
        (with_scene(engine="EEVEE"), {"seed": 3}, "invalid_args", "args: seed cannot be given with engine EEVEE"),
        (with_scene(export_format="JPEG"), {"color": "RGBA"}, "invalid_args", "color RGBA cannot be given"),
        (
            msgspec.structs.replace(FACTS, missing_files=("texture //wood.png", "library //props.blend")),
            {},
            "missing_files",
            "are missing: texture //wood.png, library //props.blend.",
        ),
    ],
)
def test_what_the_file_does_not_allow_is_named(facts: Facts, values: dict[str, Any], code: str, message: str) -> None:
    with pytest.raises(BadInput, match=message.replace("(", r"\(")) as caught:
        settle(facts, **values)
    assert caught.value.code == code


def test_a_camera_that_is_named_or_not_needed_does() -> None:
    assert settle(with_scene(camera=None), camera="Far")[0].camera == "Far"
    assert settle(with_scene(camera=None, cameras=(), needs_camera=False))[1] == Span(1, 250)


@pytest.mark.parametrize(
    ("span", "message"),
    [
        (Span(10, 1), "end_frame: 1 is before start_frame, 10"),
        (Span(-5, 1), "start_frame: -5 is none of Blender's frames, 0 to 1048574"),
        (Span(1, 10_000_000), "end_frame: 10000000 is none of Blender's frames"),
    ],
)
def test_frames_that_blender_does_not_have(span: Span, message: str) -> None:
    for facts in (None, FACTS):
        with pytest.raises(BadInput, match=message):
            settle(facts, span)


@pytest.mark.parametrize(
    ("head", "version"),
    [
        (b"BLENDER-v304RENDH\0\0\0", (3, 4)),
        (b"BLENDER_V279REND", (2, 79)),
        (b"BLENDER-v402REND", (4, 2)),
        (b"BLENDER17-01v0500REND", (5, 0)),
        (b"\x28\xb5\x2f\xfd\xa0\xf4\x04\x01", None),
        (b"\x50\x2a\x4d\x18\x00\x00\x00\x00", None),
        (gzip.compress(b"BLENDER-v293REND" + bytes(range(256)) * 9, mtime=0), (2, 93)),
    ],
)
def test_headers(head: bytes, version: tuple[int, int] | None) -> None:
    assert parse_version(head, "a.blend") == version


@pytest.mark.parametrize(
    "head", [b"", b"hello", b"BLENDER", b"BLENDER-vABC", b"\x1f\x8bxx", gzip.compress(b"text", mtime=0)]
)
def test_what_is_no_blend(head: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.blend").write_bytes(head)
    with pytest.raises(BadInput, match=r"a\.blend is (empty|no \.blend file)"):
        read_version(tmp_path / "a.blend")


def test_a_file_of_a_newer_blender() -> None:
    check_release((3, 4), (3, 4), "a.blend")
    check_release(None, (3, 4), "a.blend")
    with pytest.raises(BadInput, match=r"a\.blend was made by Blender 5\.0, and would be rendered by Blender 3\.4"):
        check_release((5, 0), (3, 4), "a.blend")


def report(**changes: Any) -> Report:
    scene = {
        "name": "Main", "start": 1, "end": 9, "frame_step": 1, "fps": 23.976, "width": 1920, "height": 1080,
        "resolution_percentage": 50, "cameras": ["Near"], "camera": "Near", "needs_camera": True, "engine": "CYCLES",
        "export_format": "PNG", "container": None, "samples": 8,
    }  # fmt: skip
    values = {"blender": [3, 4, 1], "made_by": [3, 4, 6], "scene": "Main", "files": [], "missing_data": []}
    return msgspec.convert({**values, "scenes": [{**scene, **changes.pop("first", {})}], **changes}, Report)


def test_files_are_looked_for_each_time_beside_the_blend(tmp_path: Path) -> None:
    asked = report(files=[["texture", "//maps/wood.png", "//maps/wood.png"], ["font", "/f", str(tmp_path / "f")]])
    assert facts_of(asked, tmp_path).missing_files == ("texture //maps/wood.png", "font /f")
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "wood.png").touch()
    (tmp_path / "f").touch()
    assert facts_of(asked, tmp_path).missing_files == ()


def test_the_facts_of_the_scene_that_is_shown_stand_out(tmp_path: Path) -> None:
    facts = facts_of(report(), tmp_path)
    assert (facts.scene, facts.span, facts.width, facts.height) == ("Main", Span(1, 9), 960, 540)
    assert (facts.made_by, facts.scenes[0].width) == ("3.4.6", 1920)


@pytest.mark.parametrize(
    ("container", "movie"), [("MPEG4", "mp4"), ("QUICKTIME", "mov"), ("WEBM", "webm"), ("MKV", "mp4")]
)
def test_a_scene_that_makes_movies(container: str, movie: str, tmp_path: Path) -> None:
    facts = facts_of(report(first={"export_format": "FFMPEG", "container": container}), tmp_path)
    settled, _ = settle(facts)
    assert (settled.movie, settled.picture) == (movie, "PNG")


def test_a_movie_has_the_scenes_rate_unless_another_is_wanted() -> None:
    assert (settle()[0].fps, settle(export_format="mp4")[0].fps) == (None, 24.0)
    assert settle(export_format="mp4", fps=12.5)[0].fps == 12.5
    with pytest.raises(BadInput, match='the scene "Main" has 5000 frames a second; choose one up to 1000'):
        settle(with_scene(fps=5000.0), export_format="mov")
    with pytest.raises(BadInput, match="fps cannot be given with export_format PNG"):
        settle(fps=24)


def test_pieces_of_a_movie_render_its_frames_alone() -> None:
    engine = BlenderEngine(BlenderSettings())
    movie, _ = settle(export_format="webm", samples=4)
    piece = engine.part_args(movie)
    assert piece == args(export_format="PNG", samples=4, frame_step=2, stereo=False) and engine.joins(movie)
    assert engine.settle(piece, Span(1, 9), FACTS)[0] == piece and not engine.joins(piece)
    pictures, _ = settle(export_format="OPEN_EXR", stereo=True)
    assert engine.part_args(pictures) == pictures and not engine.joins(pictures)
    assert engine.part_args(args()) is None and engine.part_args(args(export_format="mp4")) is None


async def test_a_movie_of_what_pieces_have_rendered(tmp_path: Path) -> None:
    settled, span = settle(span=Span(3, 8), export_format="mp4", fps=12)
    for name, numbers in (("one", (5, 7)), ("two", (3,))):
        (tmp_path / name).mkdir()
        pictures(tmp_path / name, numbers, "shot_{:04d}.png")
    made = [Made(name, tuple(sorted((tmp_path / name).iterdir()))) for name in ("one", "two")]
    context, engine = Context(tmp_path, settled, tmp_path / "shot.blend", span), BlenderEngine(BlenderSettings())
    await engine.join(context, made)
    assert context.made == ["shot.mp4"] and context.progress[-1] == (1.0, "done", 3)
    with av.open(str(context.out / "shot.mp4")) as movie:
        frames = [frame.to_ndarray(format="rgb24").astype(int) for frame in movie.decode(video=0)]
        assert movie.streams.video[0].average_rate == 12
    assert [min((3, 5, 7), key=lambda each: abs(frame - picture(each)).sum()) for frame in frames] == [3, 5, 7]
    with pytest.raises(OutputInvalid, match=r"^The pieces have not made frames 5, 7\.$"):
        await engine.join(context, made[1:])


def test_endless_lists_of_missing_files_are_cut(tmp_path: Path) -> None:
    files = [["texture", f"//{number}.png", f"//{number}.png"] for number in range(5000)]
    facts = facts_of(report(files=files), tmp_path)
    assert len(facts.missing_files) == 101 and facts.missing_files[-1] == "and 4900 more"
    with pytest.raises(BadInput, match="and 81 more"):
        settle(facts)


def test_the_page_describes_every_argument_and_no_other() -> None:
    page = (Path(__file__).parents[1] / "docs" / "blender.md").read_text("utf-8")
    described = re.findall(r"^\| `(\w+)` \|", page, re.M)
    assert described == list(BlenderArgs.__struct_fields__)
