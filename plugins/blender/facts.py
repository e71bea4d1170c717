"""What Blender wrote down of a file, as facts: which of the files that it needs are there is looked at each time."""

from __future__ import annotations

from pathlib import Path

import msgspec

from zeus.engine import Facts, Scene, Span

CONTAINERS = {"QUICKTIME": "mov", "WEBM": "webm"}
"""What a scene's own movie becomes; all others become mp4."""
MOVIES = ("FFMPEG", "AVI_JPEG", "AVI_RAW")
MOST = 100
"""Missing files that are named."""


class SceneReport(msgspec.Struct, frozen=True, kw_only=True):
    """One scene, as scripts/inspect_file.py writes it."""

    name: str
    start: int
    end: int
    frame_step: int
    fps: float
    width: int
    height: int
    resolution_percentage: int
    cameras: tuple[str, ...]
    camera: str | None
    needs_camera: bool
    engine: str
    export_format: str
    container: str | None
    samples: int | None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A file, as scripts/inspect_file.py writes it.

    `files`: what each is, its path as the .blend has it, and where that is; `missing_data`: names, and their library.
    """

    blender: tuple[int, int, int]
    made_by: tuple[int, int, int]
    scene: str
    scenes: tuple[SceneReport, ...]
    files: tuple[tuple[str, str, str], ...]
    missing_data: tuple[tuple[str, str], ...]


def facts_of(report: Report, folder: Path) -> Facts:
    """The facts of a .blend that lies in `folder`. Blocks: it looks for files."""
    scenes = tuple(_scene(each) for each in report.scenes)
    shown = next((each for each in scenes if each.name == report.scene), scenes[0])
    return Facts(
        span=shown.span,
        fps=shown.fps,
        width=shown.width * shown.resolution_percentage // 100,
        height=shown.height * shown.resolution_percentage // 100,
        cameras=shown.cameras,
        missing_files=tuple(_missing(report, folder)),
        scene=shown.name,
        scenes=scenes,
        made_by=".".join(map(str, report.made_by)),
    )


def _scene(report: SceneReport) -> Scene:
    movie = report.export_format in MOVIES
    return Scene(
        name=report.name,
        span=Span(report.start, report.end),
        frame_step=report.frame_step,
        fps=report.fps,
        width=report.width,
        height=report.height,
        resolution_percentage=report.resolution_percentage,
        cameras=report.cameras,
        camera=report.camera,
        needs_camera=report.needs_camera,
        engine=report.engine,
        export_format=CONTAINERS.get(report.container or "", "mp4") if movie else report.export_format,
        samples=report.samples,
    )


def _missing(report: Report, folder: Path) -> list[str]:
    gone = [f"{kind} {raw}" for kind, raw, path in report.files if not _is_there(path, folder)]
    gone += [f"{name} in library {library}" for name, library in report.missing_data]
    found = list(dict.fromkeys(gone))
    return found[:MOST] + ([f"and {len(found) - MOST} more"] if len(found) > MOST else [])


def _is_there(path: str, folder: Path) -> bool:
    try:
        return (folder / path[2:] if path.startswith("//") else Path(path)).is_file()
    except (OSError, ValueError):
        return False
