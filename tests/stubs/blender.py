#!/usr/bin/env python3
"""Stands for a Blender that is up to no good: what it spoils, and how often, the name of its input says.

spoil-KIND.blend: in the first rendering that it is asked for, frame 2 comes out as KIND; afterwards all is well.
meet.blend waits for a generation that runs at the same time.
Frames are written to renders.txt beside this program's link as they are made.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from PIL import Image

from tests.stubs import record

SIZE = (32, 16)


def inspect() -> dict[str, object]:
    scene = {
        "name": "Scene", "start": 1, "end": 4, "frame_step": 1, "fps": 24, "width": SIZE[0], "height": SIZE[1],
        "resolution_percentage": 100, "cameras": ["C"], "camera": "C", "needs_camera": True, "engine": "CYCLES",
        "export_format": "PNG", "container": None, "samples": 1,
    }  # fmt: skip
    versions = {"blender": [3, 4, 1], "made_by": [3, 4, 1]}
    return {**versions, "scene": "Scene", "scenes": [scene], "files": [], "missing_data": []}


def render(arguments: list[str], kind: str, folder: Path) -> None:
    options = json.loads(Path(arguments[-1]).read_text())
    answer = {"engine": "CYCLES", "device": "CPU", "extension": "png", "size": SIZE, "suffixes": [""], "passes": []}
    Path(options["answer"]).write_text(json.dumps(answer))
    print("zeus: rendering with CYCLES on CPU", flush=True)
    first = not (folder / "spoiled").exists()
    (folder / "spoiled").touch()
    places = [index for index, each in enumerate(arguments) if each == "-s"]
    for place in places:
        start, end, step = (int(arguments[place + offset]) for offset in (1, 3, 5))
        for frame in range(start, end + 1, step):
            make(
                Path(options["frames"]) / f"frame_{frame:04d}.png", frame, kind if first and frame == 2 else "", folder
            )


def make(path: Path, frame: int, kind: str, folder: Path) -> None:
    if kind == "crash":
        os.kill(os.getpid(), 11)
    Image.new("RGB", (8, 8) if kind == "small" else SIZE, (frame, 0, 0)).save(path)
    if kind == "cut":
        path.write_bytes(path.read_bytes()[:-30])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "gone":
        path.unlink()
    with (folder / "renders.txt").open("a") as file:
        file.write(f"{frame}\n")
    if kind != "left":
        print(f"Saved: '{path}'", flush=True)


def main(arguments: list[str]) -> int:
    print("Blender 3.4.1", flush=True)
    if "--version" in arguments:
        return 0
    script = Path(arguments[arguments.index("--python") + 1]).name
    if script == "inspect_file.py":
        options = json.loads(Path(arguments[-1]).read_text())
        Path(options["answer"]).write_text(json.dumps(inspect()))
        return 0
    source = next(Path(each) for each in arguments if each.endswith(".blend"))
    record.write("blender", "start")
    if source.stem == "meet":
        record.wait_for("video", "start")
    render(arguments, source.stem.partition("-")[2], Path(__file__).absolute().parent)
    record.write("blender", "end")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
