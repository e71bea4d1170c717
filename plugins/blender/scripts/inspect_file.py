"""Runs inside Blender: writes what the open file holds, as JSON, to the file that the options name.

The options are a JSON file, the argument behind `--`. Nothing is changed and nothing of the file's own is run.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy

ENGINES = {
    "CYCLES": "CYCLES",
    "BLENDER_EEVEE": "EEVEE",
    "BLENDER_EEVEE_NEXT": "EEVEE",
    "BLENDER_WORKBENCH": "WORKBENCH",
}


def file_facts() -> dict[str, Any]:
    """All that the server wants to know; files are as the .blend names them, `paths` beside them where they lie."""
    return {
        "blender": list(bpy.app.version),
        "made_by": list(bpy.data.version),
        "scene": bpy.context.scene.name,
        "scenes": [scene_facts(scene) for scene in bpy.data.scenes if scene.library is None],
        "files": [[kind, raw, path] for kind, raw, path in files()],
        "missing_data": missing_data(),
    }


def scene_facts(scene: Any) -> dict[str, Any]:
    render = scene.render
    markers = [marker.camera.name for marker in scene.timeline_markers if marker.camera is not None]
    camera = scene.camera.name if scene.camera is not None else (markers[0] if markers else None)
    return {
        "name": scene.name,
        "start": scene.frame_start,
        "end": scene.frame_end,
        "frame_step": scene.frame_step,
        "fps": render.fps / render.fps_base,
        "width": render.resolution_x,
        "height": render.resolution_y,
        "resolution_percentage": render.resolution_percentage,
        "cameras": sorted(each.name for each in scene.objects if each.type == "CAMERA"),
        "camera": camera,
        "needs_camera": not shows_strips(scene),
        "engine": ENGINES.get(render.engine, render.engine),
        "export_format": render.image_settings.file_format,
        "container": render.ffmpeg.format if render.image_settings.file_format == "FFMPEG" else None,
        "samples": samples(scene),
    }


def shows_strips(scene: Any) -> bool:
    """Whether the pictures come from the video sequencer, which needs no camera."""
    return bool(scene.render.use_sequencer and strips(scene))


def strips(scene: Any) -> list[Any]:
    editor = scene.sequence_editor
    if editor is None:
        return []
    return list(getattr(editor, "strips_all", None) or getattr(editor, "sequences_all", []))


def samples(scene: Any) -> int | None:
    engine = ENGINES.get(scene.render.engine)
    if engine == "CYCLES" and hasattr(scene, "cycles"):
        return int(scene.cycles.samples)
    return int(scene.eevee.taa_render_samples) if engine == "EEVEE" else None


def files() -> Iterator[tuple[str, str, str]]:
    """Every file that the pictures need: what it is, its path as the .blend has it, and where that is."""
    for library in bpy.data.libraries:
        if getattr(library, "packed_file", None) is None:
            yield "library", library.filepath, where(library.filepath, library.parent)
    users = bpy.data.user_map()
    for image in bpy.data.images:
        is_file = image.source in ("FILE", "SEQUENCE", "MOVIE", "TILED") and image.packed_file is None
        if is_file and is_used(image) and any(is_rendered(user) for user in users.get(image, ())):
            for raw in tiles(image):
                yield "texture", raw, where(raw, image.library)
    for kind, collection in (("movie clip", "movieclips"), ("volume", "volumes"), ("cache", "cache_files")):
        for each in getattr(bpy.data, collection, ()):
            if is_used(each) and not getattr(each, "packed_file", None):
                yield kind, each.filepath, where(each.filepath, each.library)
    for font in bpy.data.fonts:
        if font.filepath not in ("", "<builtin>") and font.packed_file is None and is_used(font):
            yield "font", font.filepath, where(font.filepath, font.library)
    for scene in bpy.data.scenes:
        if shows_strips(scene):
            yield from strip_files(scene)


def strip_files(scene: Any) -> Iterator[tuple[str, str, str]]:
    for strip in strips(scene):
        if strip.type == "MOVIE":
            yield "strip", strip.filepath, where(strip.filepath, scene.library)
        elif strip.type == "IMAGE" and strip.elements:
            raw = f"{strip.directory.rstrip('/')}/{strip.elements[0].filename}"
            yield "strip", raw, where(raw, scene.library)


def tiles(image: Any) -> list[str]:
    if image.source != "TILED":
        return [image.filepath] if image.filepath else []
    return [image.filepath.replace("<UDIM>", str(tile.number)) for tile in image.tiles]


def is_used(block: Any) -> bool:
    return bool(block.users > (1 if block.use_fake_user else 0))


def is_rendered(user: Any) -> bool:
    """Whether a user of an image may show it in a picture: not a camera's background, a reference, an editor."""
    if isinstance(user, bpy.types.Object):
        return str(user.type) != "EMPTY"
    return not isinstance(user, (bpy.types.Camera, bpy.types.Screen, bpy.types.WorkSpace, bpy.types.Brush))


def where(raw: str, library: Any) -> str:
    """An absolute path, or one that begins with // for what lies beside the .blend, wherever that may be."""
    if library is None and raw.startswith("//"):
        return raw.replace("\\", "/")
    return os.path.normpath(str(bpy.path.abspath(raw, library=library)))


def missing_data() -> list[list[str]]:
    """Names of what is linked from a library that is there but does not hold it any more."""
    found = []
    for name in dir(bpy.data):
        collection = getattr(bpy.data, name)
        if isinstance(collection, bpy.types.bpy_prop_collection):
            for block in collection:
                library = getattr(block, "library", None)
                if library is not None and getattr(block, "is_missing", False) and not library_lost(library):
                    found.append([block.name, library.filepath])
    return found


def library_lost(library: Any) -> bool:
    return not Path(bpy.path.abspath(library.filepath, library=library.parent)).exists()


def main() -> None:
    options = json.loads(Path(sys.argv[sys.argv.index("--") + 1]).read_text("utf-8"))
    Path(options["answer"]).write_text(json.dumps(file_facts()), "utf-8")


main()
