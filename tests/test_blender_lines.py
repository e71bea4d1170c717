"""What Blender prints: whole logs recorded with 3.4.1, and single lines of other versions."""

from __future__ import annotations

from pathlib import Path

import pytest
from zeus_plugins.blender.finder import version_of
from zeus_plugins.blender.lines import Event, LineReader, Rendering, Saved, Started

DATA = Path(__file__).parent / "data" / "blender"


def read(name: str) -> tuple[list[Event], LineReader]:
    reader = LineReader()
    lines = (DATA / f"{name}-3.4.1.txt").read_text("utf-8").splitlines()
    return [event for line in lines if (event := reader.feed(line)) is not None], reader


def feed(line: str) -> Event | None:
    return LineReader().feed(line)


def test_cycles() -> None:
    events, reader = read("cycles")
    assert [event for event in events if isinstance(event, Saved)] == [
        Saved("/renders/o/frame_0001.png"),
        Saved("/renders/o/frame_0002.png"),
    ]
    rendering = [event for event in events if isinstance(event, Rendering)]
    assert [event.frame for event in rendering] == sorted(event.frame for event in rendering)
    assert {event.frame for event in rendering} == {1, 2}
    assert max(event.fraction for event in rendering) == 1.0
    assert "Sample 1/16" in [event.doing for event in rendering]
    assert not reader.errors


def test_the_seconds_that_cycles_says_are_left() -> None:
    events, _ = read("cycles-long")
    said = [event for event in events if isinstance(event, Rendering) and event.remaining]
    assert [(event.frame, event.doing, event.remaining) for event in said] == [
        (1, "Sample 1/64", 4.93),
        (2, "Sample 1/64", 8.6),
    ]
    assert said[0].fraction == 1 / 64


def test_eevee() -> None:
    events, reader = read("eevee")
    fractions = [event.fraction for event in events if isinstance(event, Rendering)]
    assert fractions == [0.0, 0.0, 0.0, 1 / 8, 1.0]
    assert events[-1] == Saved("/renders/o/frame_0001.png")
    assert not reader.errors, "what EGL says of a machine without a screen is no error"


def test_workbench_prints_what_it_saved_and_no_more() -> None:
    events, reader = read("workbench")
    assert events == [Saved("/renders/o/frame_0001.png"), Saved("/renders/o/frame_0002.png")]
    assert not reader.errors


def test_what_the_compositor_saves_beside_the_frames() -> None:
    events, _ = read("compositing")
    assert [event.path for event in events if isinstance(event, Saved)] == [
        "/renders/elsewhere/Image0001.png",
        "/renders/o/frame_0001.png",
        "/renders/elsewhere/Image0002.png",
        "/renders/o/frame_0002.png",
    ]
    assert any(isinstance(event, Rendering) and event.doing == "Tile 1-6" for event in events)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("cut", "Error: Failed to read blend file '/renders/cut.blend': Missing DNA block"),
        ("no-camera", "Error: Cannot render, no camera"),
        ("no-denoiser", "Error: Build without OpenImageDenoiser"),
        ("unwritable", "Error: Render error (Invalid argument) cannot save: '/proc/nope/frame_0001.png'"),
        ("disk-full", "Error: Render error (No space left on device) cannot save: '/small/frame_0004.tif'"),
    ],
)
def test_reasons_are_kept(name: str, reason: str) -> None:
    assert read(name)[1].errors == [reason]


# From memory: no such Blender was at hand when this was written.
OTHERS = [
    (
        "Fra:7 Mem:210.62M (Peak 301.10M) | Time:00:11.30 | Remaining:01:12.93 | Mem:9.1M, Peak:9.9M | "
        "Scene, View Layer | Rendered 3/12 Tiles, Sample 16/64",
        Rendering(7, (3 + 16 / 64) / 12, "Rendered 3/12 Tiles, Sample 16/64", 72.93),
    ),
    (
        "Fra:7 Mem:9M (Peak 12M) | Time:00:11.30 | Mem:9.1M, Peak:9.9M | Scene, View Layer | Rendered 12/12 Tiles",
        Rendering(7, 1.0, "Rendered 12/12 Tiles"),
    ),
    (
        "Fra:120 Mem:30.10M (Peak 31.23M) | Time:01:00:00.09 | Remaining:02:00:30.50 | Mem:0.90M, Peak:0.90M | "
        "Scene, ViewLayer | Sample 1/4",
        Rendering(120, 0.25, "Sample 1/4", 7230.5),
    ),
    (
        "00:01.123  render           | Fra: 1 | Remaining: 00:04.50 | Mem: 12M | Sample 2/8",
        Rendering(1, 0.25, "Sample 2/8", 4.5),
    ),
    ("00:03.456  render           | Saved: '/out/frame_0001.png'", Saved("/out/frame_0001.png")),
    ('00:03.456  render           | Saved: "/out/frame_0001.png"', Saved("/out/frame_0001.png")),
    (
        "Fra:3 Mem:9M (Peak 12M) | Time:00:01.43 | Rendering  26 / 64 samples",
        Rendering(3, 26 / 64, "Rendering  26 / 64 samples"),
    ),
]


@pytest.mark.parametrize(("line", "event"), OTHERS)
def test_lines_of_other_versions(line: str, event: Event) -> None:
    assert feed(line) == event


def test_a_path_with_quotes() -> None:
    assert feed("Saved: '/out/it's.png'") == Saved("/out/it's.png")


def test_our_own_lines() -> None:
    assert feed("zeus: rendering with CYCLES on OPTIX: Card A, Card B") == Started("CYCLES", "OPTIX: Card A, Card B")
    reader = LineReader()
    reader.feed("zeus problem: this machine has no CUDA device that Blender can render on.")
    assert reader.problem == "this machine has no CUDA device that Blender can render on."


@pytest.mark.parametrize("line", ["", "|", "Fra:", "Fra:x", "Saved:", "Sample 1/0", "\0" * 50, "Fra:1"])
def test_odd_lines_break_nothing(line: str) -> None:
    event = feed(line)
    assert event is None or event == Rendering(1, 0.0, "")


def test_what_python_says_is_a_reason() -> None:
    reader = LineReader()
    for line in ("Traceback (most recent call last):", '  File "setup.py", line 3', "TypeError: no such thing"):
        reader.feed(line)
    assert reader.errors == ["TypeError: no such thing"]


def test_errors_are_bounded() -> None:
    reader = LineReader()
    for number in range(1000):
        reader.feed(f"Error: {number}")
    assert len(reader.errors) == 20 and reader.errors[0] == "Error: 0"


def test_versions() -> None:
    assert version_of(["Blender 3.4.1", "\tbuild date: Thu Jan  1"]) == "3.4.1"
    assert version_of(["noise", "Blender 4.5.1 LTS"]) == "4.5.1"
    assert version_of(["Blender quit", ""]) is None
