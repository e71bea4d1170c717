"""Runs inside Blender, after the file was opened and before its frames are rendered: makes the scene as the job says.

The options are a JSON file, the argument behind `--`: the job's arguments, where the frames belong, whether scripts may
run. What was made of them is written to the answer, a JSON file too. Exits with 3, after a sentence behind `zeus
problem: `, when something cannot be done.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy

EEVEE = ("BLENDER_EEVEE_NEXT", "BLENDER_EEVEE")
"""Its name in Blender 4.2 to 4.5, and in all others."""
NAMES = {"CYCLES": ("CYCLES",), "EEVEE": EEVEE, "WORKBENCH": ("BLENDER_WORKBENCH",)}
DEVICES = ("OPTIX", "CUDA", "HIP", "METAL", "ONEAPI")
"""What `auto` tries, the fastest first."""
EXTENSIONS = {"PNG": "png", "JPEG": "jpg", "TIFF": "tif", "OPEN_EXR": "exr", "OPEN_EXR_MULTILAYER": "exr"}


class Problem(Exception):
    """The reason why the job cannot be rendered like this."""


def prepare(options: dict[str, Any]) -> dict[str, Any]:
    """Set up the scene; what the server has to know of it."""
    args = options["args"]
    scene = bpy.context.scene
    if args["scene"] is not None and scene.name != args["scene"]:
        raise Problem(f"the file has no scene named {args['scene']}.")
    if not options["allow_scripts"]:
        stop_freestyle_scripts()
    set_engine(scene, args)
    device = set_device(scene, args)
    set_camera(scene, args)
    set_size(scene, args)
    extension = set_format(scene, args)
    set_output(scene, options["frames"], options["stereo"])
    passes = redirect_files(options["frames"], options["caches"])
    return {
        "engine": scene.render.engine,
        "device": device,
        "extension": extension,
        "size": size(scene),
        "suffixes": suffixes(scene),
        "passes": passes,
    }


def set_engine(scene: Any, args: dict[str, Any]) -> None:
    if args["engine"] is not None:
        for name in NAMES[args["engine"]]:
            try:
                scene.render.engine = name
                break
            except TypeError:
                continue
        else:
            raise Problem(f"this Blender has no engine {args['engine']}.")
    engine = next((each for each, names in NAMES.items() if scene.render.engine in names), None)
    if engine == "CYCLES":
        scene.cycles.samples = args["samples"] or scene.cycles.samples
        if args["seed"] is not None:
            scene.cycles.seed = args["seed"]
    elif engine == "EEVEE":
        scene.eevee.taa_render_samples = args["samples"] or scene.eevee.taa_render_samples


def set_device(scene: Any, args: dict[str, Any]) -> str:
    """Choose what Cycles renders on; the names of it."""
    if scene.render.engine != "CYCLES":
        return "the graphics driver"
    for kind in DEVICES if args["device"] == "auto" else [args["device"]]:
        names = [] if kind == "CPU" else use_devices(kind)
        if names:
            scene.cycles.device = "GPU"
            return f"{kind}: {', '.join(names)}"
    if args["device"] not in ("auto", "CPU"):
        raise Problem(f"this machine has no {args['device']} device that Blender can render on.")
    scene.cycles.device = "CPU"
    return "CPU"


def use_devices(kind: str) -> list[str]:
    """Switch on all devices of a kind and no others; their names, none when Blender knows no such kind here."""
    preferences = bpy.context.preferences.addons["cycles"].preferences
    try:
        preferences.compute_device_type = kind
        (getattr(preferences, "refresh_devices", None) or preferences.get_devices)()
    except (TypeError, ValueError):
        return []
    for device in preferences.devices:
        device.use = device.type == kind
    return sorted(device.name for device in preferences.devices if device.use)


def set_camera(scene: Any, args: dict[str, Any]) -> None:
    if args["camera"] is None:
        return
    camera = scene.objects.get(args["camera"])
    if camera is None or camera.type != "CAMERA":
        raise Problem(f"the scene has no camera named {args['camera']}.")
    scene.camera = camera
    for marker in scene.timeline_markers:
        marker.camera = None


def set_size(scene: Any, args: dict[str, Any]) -> None:
    if args["resolution"] is not None:
        scene.render.resolution_x, scene.render.resolution_y = args["resolution"]
        scene.render.resolution_percentage = 100
    if args["resolution_percentage"] is not None:
        scene.render.resolution_percentage = args["resolution_percentage"]


def size(scene: Any) -> list[int] | None:
    """Pixels, or None where only a part of the picture is kept."""
    render = scene.render
    if render.use_border and render.use_crop_to_border:
        return None
    percentage = render.resolution_percentage
    return [max(1, side * percentage // 100) for side in (render.resolution_x, render.resolution_y)]


def set_format(scene: Any, args: dict[str, Any]) -> str:
    settings = scene.render.image_settings
    wanted = args["export_format"]
    if hasattr(settings, "media_type"):
        settings.media_type = "MULTI_LAYER_IMAGE" if wanted == "OPEN_EXR_MULTILAYER" else "IMAGE"
    settings.file_format = wanted
    if hasattr(settings, "use_preview"):
        settings.use_preview = False
    set_choice(settings, "color_mode", args["color"], wanted)
    depth = args["color_depth"]
    set_choice(settings, "color_depth", None if depth is None else str(depth), wanted)
    return EXTENSIONS[wanted]


def set_choice(settings: Any, name: str, value: str | None, wanted: str) -> None:
    if value is not None:
        try:
            setattr(settings, name, value)
        except TypeError:
            raise Problem(f"{wanted} cannot have {name} {value}.") from None


def set_output(scene: Any, folder: str, stereo: bool) -> None:
    render = scene.render
    if not stereo:
        render.use_multiview = False
    render.filepath = f"{folder}/frame_####"
    render.use_file_extension = True
    render.use_overwrite = True
    render.use_placeholder = False
    if render.use_multiview:
        if render.image_settings.file_format == "OPEN_EXR_MULTILAYER":
            render.image_settings.views_format = "MULTIVIEW"
        else:
            render.image_settings.views_format = "INDIVIDUAL"


def suffixes(scene: Any) -> list[str]:
    """What stands behind the number in the names of one frame's files: one for each eye, else nothing."""
    render = scene.render
    if not render.use_multiview or render.image_settings.views_format == "MULTIVIEW":
        return [""]
    stereo = render.views_format == "STEREO_3D"
    return [view.file_suffix for view in render.views if view.use and (not stereo or view.name in ("left", "right"))]


def stop_freestyle_scripts() -> None:
    """Blender runs the scripts of Freestyle even where it was told to run none."""
    for scene in bpy.data.scenes:
        for layer in scene.view_layers:
            settings = layer.freestyle_settings
            if settings.mode == "SCRIPT" and len(settings.modules):
                for module in list(settings.modules):
                    settings.modules.remove(module)
                print(f"zeus: the Freestyle scripts of {scene.name}, {layer.name} do not run here")


def redirect_files(folder: str, caches: str) -> list[str]:
    """Have all that the file writes beside its frames go to the attempt's folder; the names that passes begin with."""
    for made in bpy.data.objects:
        for modifier in made.modifiers:
            if modifier.type == "FLUID" and modifier.fluid_type == "DOMAIN":
                domain = modifier.domain_settings
                if domain.cache_type == "REPLAY":
                    domain.cache_directory = f"{caches}/fluid"
    taken: set[str] = set()
    for tree in compositor_trees():
        for node in tree.nodes:
            if node.bl_idname == "CompositorNodeOutputFile":
                redirect_node(node, folder, taken)
    return sorted(taken)


def compositor_trees() -> Iterator[Any]:
    for scene in bpy.data.scenes:
        if getattr(scene, "node_tree", None) is not None:
            yield scene.node_tree
    for tree in bpy.data.node_groups:
        if tree.bl_idname == "CompositorNodeTree":
            yield tree


def redirect_node(node: Any, folder: str, taken: set[str]) -> None:
    several_layers = node.format.file_format == "OPEN_EXR_MULTILAYER"
    if hasattr(node, "file_output_items"):  # Blender 5
        node.directory = folder
        node.file_name = "" if not several_layers else unused(node.name, taken) + "_####"
        for item in [] if several_layers else node.file_output_items:
            item.name = unused(item.name, taken) + "_####"
    elif several_layers:
        node.base_path = f"{folder}/{unused(node.name, taken)}_####"
    else:
        node.base_path = folder
        for slot in node.file_slots:
            slot.path = unused(slot.path, taken) + "_####"


def unused(name: str, taken: set[str]) -> str:
    """A name for a pass that is a plain file's, and no other pass's."""
    plain = "pass_" + (re.sub(r"[^\w-]+", "_", name).strip("_")[:60] or "file")
    found, number = plain, 1
    while found in taken:
        number += 1
        found = f"{plain}_{number}"
    taken.add(found)
    return found


def main() -> None:
    options = json.loads(Path(sys.argv[sys.argv.index("--") + 1]).read_text("utf-8"))
    try:
        answer = prepare(options)
    except Problem as problem:
        print(f"zeus problem: {problem}", flush=True)
        sys.exit(3)
    Path(options["answer"]).write_text(json.dumps(answer), "utf-8")
    if getattr(bpy.app, "autoexec_fail", False) and not options["allow_scripts"]:
        message = " ".join(bpy.app.autoexec_fail_message.split())
        print(f"zeus: scripts in the file do not run here: {message[:300]}", flush=True)
    print(f"zeus: rendering with {answer['engine']} on {answer['device']}", flush=True)


main()
