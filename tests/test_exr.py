"""EXR files of every shape: made by Blender, and by the format's own library."""

from __future__ import annotations

import itertools
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
import pytest
from PIL import Image

from tests.conftest import need
from tests.ffmpeg_context import Quiet
from tests.test_thumbnails import GREEN, RED, near, small
from zeus.api.app import Node
from zeus.errors import BadInput, OutputInvalid
from zeus.mediaworker import exr, movie, thumbnail, verify

WHITE = (255, 255, 255)
BLENDER = """
import bpy
scene = bpy.context.scene
scene.render.engine = 'CYCLES'
scene.cycles.samples, scene.cycles.use_denoising = 1, False
scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = 96, 54, 100
scene.view_settings.view_transform = 'Standard'
layer = scene.view_layers[0]
layer.use_pass_z = layer.use_pass_normal = True
image = scene.render.image_settings
for name, kind, mode, depth, codec, views in (
    ('seen.png', 'PNG', 'RGB', '8', '', False),
    ('layers.exr', 'OPEN_EXR_MULTILAYER', 'RGBA', '32', 'ZIP', False),
    ('lossy.exr', 'OPEN_EXR_MULTILAYER', 'RGBA', '16', 'DWAA', False),
    ('plain.exr', 'OPEN_EXR', 'RGB', '16', 'PIZ', False),
    ('eyes.exr', 'OPEN_EXR_MULTILAYER', 'RGBA', '16', 'ZIPS', True),
):
    image.file_format, image.color_mode, image.color_depth = kind, mode, depth
    if codec:
        image.exr_codec = codec
    scene.render.use_multiview = views
    if views:
        image.views_format = 'MULTIVIEW'
    scene.render.filepath = FOLDER + '/' + name
    bpy.ops.render.render(write_still=True)
"""


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files that Blender rendered of its own first scene."""
    blender = shutil.which("blender")
    need(blender, "Blender", "apt-get install blender")
    folder = tmp_path_factory.mktemp("rendered")
    script = folder / "render.py"
    script.write_text(f"FOLDER = {str(folder)!r}\n{BLENDER}")
    argv = [str(blender), "-b", "--factory-startup", "--python-exit-code", "3", "--python", str(script)]
    subprocess.run(argv, check=True, timeout=110, capture_output=True)
    return folder


def light(colour: tuple[int, int, int]) -> list[float]:
    """An sRGB colour in linear light."""
    return [value / 255 / 12.92 if value <= 10 else ((value / 255 + 0.055) / 1.055) ** 2.4 for value in colour]


def plane(colour: tuple[int, int, int], layer: str = "", size: tuple[int, int] = (60, 40)) -> dict[str, np.ndarray]:
    """The channels of a layer of one colour."""
    values = zip("RGB", light(colour), strict=True)
    return {f"{layer}{name}": np.full(size[::-1], value, np.float32) for name, value in values}


def header(**more: Any) -> dict[str, Any]:
    return {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage, **more}


def window(left: int, top: int, right: int, bottom: int) -> tuple[np.ndarray, np.ndarray]:
    return np.array([left, top], np.int32), np.array([right, bottom], np.int32)


def write(path: Path, *parts: tuple[dict[str, Any], dict[str, np.ndarray]]) -> Path:
    OpenEXR.File([OpenEXR.Part(*part) for part in parts]).write(str(path))
    return path


def middle(path: Path) -> Any:
    made = small(path)
    return made.getpixel((made.width // 2, made.height // 2))


# Made by Blender


@pytest.mark.parametrize("name", ["layers.exr", "lossy.exr", "plain.exr", "eyes.exr"])
def test_what_blender_rendered_looks_as_blender_shows_it(rendered: Path, name: str) -> None:
    made, seen = small(rendered / name), Image.open(rendered / "seen.png")
    assert made.size == seen.size == (96, 54)
    difference = np.abs(np.asarray(made).astype(int) - np.asarray(seen))
    assert difference.mean() < 4 and np.asarray(seen).std() > 20


@pytest.mark.parametrize("name", ["layers.exr", "lossy.exr", "plain.exr", "eyes.exr"])
def test_what_blender_rendered_is_checked_to_the_end(rendered: Path, tmp_path: Path, name: str) -> None:
    found = verify(Quiet(), str(rendered / name), frames=1, width=96, height=54)
    assert (found["container"], found["duration"]) == ("exr_pipe", None)
    assert (found["streams"][0]["codec"], found["streams"][0]["frames"]) == ("exr", 1)
    with pytest.raises(OutputInvalid, match="96 × 54"):
        verify(Quiet(), str(rendered / name), width=54, height=96)
    whole = (rendered / name).read_bytes()
    for kept in (*range(5, len(whole), len(whole) // 25), len(whole) - 1):
        (tmp_path / "cut.exr").write_bytes(whole[:kept])
        with pytest.raises(OutputInvalid, match=r"^cut\.exr "):
            verify(Quiet(), str(tmp_path / "cut.exr"))


def test_what_blender_rendered_becomes_a_movie(rendered: Path, tmp_path: Path) -> None:
    names = [str(rendered / name) for name in ("seen.png", "layers.exr", "plain.exr")]
    found = movie(Quiet(), names, str(tmp_path / "a.mp4"), 24)
    assert (found["streams"][0]["frames"], found["streams"][0]["width"]) == (3, 96)


async def test_the_node_shows_and_checks_it_in_a_process_apart(node: Node, rendered: Path, tmp_path: Path) -> None:
    found = await node.zeus.tools.verify(rendered / "layers.exr", frames=1, width=96, height=54)
    assert found.streams[0].pixel_format == "gbrapf32le"
    await node.zeus.media.preview("thumbnail", rendered / "layers.exr", tmp_path / "a.jpg", 48)
    with Image.open(tmp_path / "a.jpg") as made:
        assert made.size == (48, 27)


# Which layer is shown


def test_the_combined_layer_goes_first(tmp_path: Path) -> None:
    layers = {**plane(GREEN, "Glass.DiffCol."), **plane(RED, "Glass.Combined."), **plane(GREEN, "Wood.Combined.")}
    assert near(middle(write(tmp_path / "a.exr", (header(), layers))), RED)
    parts = [(header(name="Wood.DiffCol"), plane(GREEN)), (header(name="Wood.Combined"), plane(RED))]
    assert near(middle(write(tmp_path / "b.exr", *parts)), RED)


def test_plain_colour_goes_before_other_layers_and_parts(tmp_path: Path) -> None:
    layers = {**plane(GREEN, "diffuse."), **plane(RED)}
    assert near(middle(write(tmp_path / "a.exr", (header(), layers))), RED)
    depth = {"Z": np.full((40, 60), 7, np.float32)}
    assert near(middle(write(tmp_path / "b.exr", (header(name="depth"), depth), (header(name="rgb"), plane(RED)))), RED)


def test_without_colour_there_is_luminance_and_without_that_three_channels(tmp_path: Path) -> None:
    grey = np.full((40, 60), light((90, 90, 90))[0], np.float32)
    normal = {f"Normal.{name}": np.zeros((40, 60), np.float32) for name in "XYZ"}
    assert near(middle(write(tmp_path / "a.exr", (header(), {"Y": grey, **normal}))), (90, 90, 90))
    vector = {**plane(RED, "v."), "a.X": grey, "a.Y": grey, "a.Z": np.zeros((40, 60), np.float32)}
    del vector["v.B"]
    assert near(middle(write(tmp_path / "b.exr", (header(), vector))), (90, 90, 0))
    assert near(middle(write(tmp_path / "c.exr", (header(), {"Z": grey}))), (90, 90, 90))


def test_alpha_is_premultiplied_and_stands_on_grey(tmp_path: Path) -> None:
    channels = {**plane((0, 0, 0)), "A": np.zeros((40, 60), np.float32)}
    assert near(middle(write(tmp_path / "a.exr", (header(), channels))), (128, 128, 128))


@pytest.mark.parametrize("compression", ["NO", "RLE", "ZIPS", "ZIP", "PIZ", "PXR24", "B44", "B44A", "DWAA", "DWAB"])
def test_every_compression_is_read(tmp_path: Path, compression: str) -> None:
    kind = getattr(OpenEXR, f"{compression}_COMPRESSION")
    path = write(tmp_path / "a.exr", (header(compression=kind), plane(RED)))
    assert near(middle(path), RED) and verify(Quiet(), str(path), width=60)["streams"][0]["pixel_format"] == "gbrpf32le"


def test_tiles_are_read(tmp_path: Path) -> None:
    tiles = OpenEXR.TileDescription()
    tiles.xSize = tiles.ySize = 32
    path = write(tmp_path / "a.exr", (header(type=OpenEXR.tiledimage, tiles=tiles), plane(RED, size=(100, 80))))
    assert near(middle(path), RED) and verify(Quiet(), str(path), width=100, height=80)


def test_deep_pixels_are_checked_but_not_shown(tmp_path: Path) -> None:
    samples = np.empty((10, 12), object)
    for row, column in itertools.product(range(10), range(12)):
        samples[row, column] = np.arange(column % 3, dtype=np.float32)
    deep = header(type=OpenEXR.deepscanline, compression=OpenEXR.ZIPS_COMPRESSION)
    path = write(tmp_path / "a.exr", (deep, {"Z": samples}))
    assert verify(Quiet(), str(path), width=12, height=10)
    with pytest.raises(BadInput, match="no picture"):
        thumbnail(Quiet(), str(path), str(tmp_path / "a.jpg"), 240)


# Windows and pixels


@pytest.mark.parametrize(
    ("data", "red"),
    [((20, 10, 79, 49), (20, 10, 79, 49)), ((-30, -20, 29, 19), (0, 0, 29, 19)), ((70, 40, 129, 79), (70, 40, 99, 59))],
)
def test_the_display_window_is_shown(
    tmp_path: Path, data: tuple[int, int, int, int], red: tuple[int, int, int, int]
) -> None:
    windows = header(dataWindow=window(*data), displayWindow=window(0, 0, 99, 59))
    path = write(tmp_path / "a.exr", (windows, plane(RED)))
    assert verify(Quiet(), str(path), width=100, height=60)
    made = np.asarray(small(path))
    assert made.shape == (60, 100, 3)
    wanted = np.zeros((60, 100, 3), int)
    wanted[red[1] : red[3] + 1, red[0] : red[2] + 1] = RED
    assert (np.abs(made - wanted).max(axis=2) > 40).mean() < 0.06  # the JPEG blurs the edge


def test_a_display_window_need_not_begin_at_zero_nor_meet_the_data(tmp_path: Path) -> None:
    windows = header(dataWindow=window(0, 0, 59, 39), displayWindow=window(10, 10, 29, 29))
    path = write(tmp_path / "a.exr", (windows, plane(RED)))
    assert small(path).size == (20, 20) and near(middle(path), RED)
    windows = header(dataWindow=window(0, 0, 59, 39), displayWindow=window(500, 500, 529, 529))
    assert near(middle(write(tmp_path / "b.exr", (windows, plane(RED)))), (0, 0, 0))


def test_wide_pixels_make_a_wide_picture(tmp_path: Path) -> None:
    path = write(tmp_path / "a.exr", (header(pixelAspectRatio=2.0), plane(RED)))
    assert small(path).size == (120, 40)


def test_a_large_picture_becomes_small_by_means_of_light(tmp_path: Path) -> None:
    stripes = np.zeros((1000, 2000), np.float32)
    stripes[::2] = 1.0
    path = write(tmp_path / "a.exr", (header(), {name: stripes for name in "RGB"}))
    assert small(path).size == (240, 120) and near(middle(path), (188, 188, 188))


# What is broken


def test_a_part_that_is_cut_off_is_missed(tmp_path: Path) -> None:
    noise = {"Z": np.random.default_rng(1).random((40, 60), np.float32)}
    path = write(tmp_path / "a.exr", (header(name="one"), plane(RED)), (header(name="two"), noise))
    assert verify(Quiet(), str(path))
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    for function, wanted in ((verify, OutputInvalid), (exr.picture, BadInput)):
        arguments = (Quiet(), str(path)) if function is verify else (path,)
        with pytest.raises(wanted, match=r"^a\.exr cannot be decoded"):
            function(*arguments)


def test_damage_is_found(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).random((40, 60), np.float32)
    path = write(tmp_path / "a.exr", (header(), {name: noise for name in "RGB"}))
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 200] = bytes(200)
    path.write_bytes(data)
    with pytest.raises(OutputInvalid, match="damaged"):
        verify(Quiet(), str(path))
    path.write_bytes(b"v/1\x01" + bytes(500))
    with pytest.raises(OutputInvalid, match="damaged"):
        verify(Quiet(), str(path))


def test_a_file_that_claims_too_much_is_refused_unread(tmp_path: Path) -> None:
    path = write(tmp_path / "a.exr", (header(), plane(RED)))
    data = path.read_bytes()
    place = data.index(b"dataWindow\0box2i\0") + len(b"dataWindow\0box2i\0") + 4
    path.write_bytes(data[: place + 8] + (60_000).to_bytes(4, "little") * 2 + data[place + 16 :])
    with pytest.raises(OutputInvalid, match="too large"):
        verify(Quiet(), str(path))
    with pytest.raises(BadInput, match="too large"):
        thumbnail(Quiet(), str(path), str(tmp_path / "a.jpg"), 240)
