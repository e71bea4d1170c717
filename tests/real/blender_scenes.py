"""Runs inside Blender: saves the scenes that the tests of the Blender engine render, into the folder behind `--`."""

from __future__ import annotations

import sys
from pathlib import Path

import bpy

FOLDER = Path(sys.argv[sys.argv.index("--") + 1])


def fresh(frames: int = 3, size: int = 64, samples: int = 4) -> object:
    """A scene with a moving cube, a light and a camera."""
    bpy.ops.wm.read_homefile(use_factory_startup=True)
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.samples = samples
    scene.cycles.use_denoising = False
    scene.eevee.taa_render_samples = 1
    scene.render.resolution_x = scene.render.resolution_y = size
    scene.frame_end = frames
    scene.view_layers[0].use_pass_z = scene.view_layers[0].use_pass_normal = True
    cube = bpy.data.objects["Cube"]
    cube.keyframe_insert("location", frame=1)
    cube.location.x = 2
    cube.keyframe_insert("location", frame=frames)
    return scene


def save(name: str, **options: bool) -> None:
    bpy.ops.wm.save_as_mainfile(filepath=str(FOLDER / f"{name}.blend"), **options)


def several() -> None:
    """Main, Other with a camera of its own, Dark without any; and two cameras in Main, of which one looks away."""
    scene = fresh()
    scene.name = "Main"
    away = bpy.data.objects.new("Away", bpy.data.cameras.new("Away"))
    scene.collection.objects.link(away)
    away.location = (0, 0, 500)
    away.rotation_euler = (3.14, 0, 0)
    other = scene.copy()
    other.name, other.use_fake_user = "Other", True
    other.frame_start, other.frame_end, other.frame_step = 5, 11, 3
    other.render.resolution_x, other.render.resolution_percentage = 32, 50
    other.render.fps = 12
    bpy.data.scenes.new("Dark")
    save("several")


def movie() -> None:
    scene = fresh()
    scene.render.image_settings.file_format = "FFMPEG"
    scene.render.ffmpeg.format = "QUICKTIME"
    save("movie")


def textured() -> None:
    """A texture and a library that were there when the file was saved."""
    fresh()
    bpy.ops.wm.save_as_mainfile(filepath=str(FOLDER / "props.blend"))
    fresh()
    save("textured")
    picture = bpy.data.images.new("wood", 4, 4)
    picture.filepath_raw, picture.file_format = str(FOLDER / "wood.png"), "PNG"
    picture.save()
    image = bpy.data.images.load(str(FOLDER / "wood.png"))
    image.filepath = "//wood.png"
    nodes = bpy.data.materials["Material"].node_tree
    node = nodes.nodes.new("ShaderNodeTexImage")
    node.image = image
    nodes.links.new(node.outputs["Color"], nodes.nodes["Principled BSDF"].inputs["Base Color"])
    with bpy.data.libraries.load(str(FOLDER / "props.blend"), link=True, relative=True) as (_, data):
        data.objects = ["Light"]
    bpy.context.scene.collection.objects.link(data.objects[0])
    save("textured")


def references() -> None:
    """Pictures to model after, which are in no frame: behind the camera, and as an object. Both are gone."""
    scene = fresh()
    save("references")
    picture = bpy.data.images.new("sketch", 4, 4)
    for name in ("behind", "object"):
        picture.filepath_raw, picture.file_format = str(FOLDER / f"{name}.png"), "PNG"
        picture.save()
    scene.camera.data.background_images.new().image = bpy.data.images.load(str(FOLDER / "behind.png"))
    empty = bpy.data.objects.new("sketch", None)
    empty.empty_display_type, empty.data = "IMAGE", bpy.data.images.load(str(FOLDER / "object.png"))
    scene.collection.objects.link(empty)
    save("references")
    for name in ("behind", "object"):
        (FOLDER / f"{name}.png").unlink()


def canary() -> None:
    """Five ways in which a file writes to the folder `canaries`: three by scripts, one by Freestyle, one by a node."""
    scene = fresh(frames=2)
    birds = FOLDER / "canaries"
    birds.mkdir()
    write = "open(%r, 'w').write('sings')"
    text = bpy.data.texts.new("auto.py")
    text.write(
        f"import bpy\n{write % str(birds / 'text')}\n"
        f"def sing(*_):\n    {write % str(birds / 'handler')}\n"
        "bpy.app.handlers.frame_change_pre.append(sing)\n"
    )
    text.use_module = True
    driver = bpy.data.objects["Cube"].driver_add("location", 1).driver
    driver.type = "SCRIPTED"
    driver.expression = "sing_driver()"
    text.write(
        f"def sing_driver():\n    {write % str(birds / 'driver')}\n    return 0.0\n"
        "bpy.app.driver_namespace['sing_driver'] = sing_driver\n"
    )
    scene.render.use_freestyle = True
    settings = bpy.context.view_layer.freestyle_settings
    settings.mode = "SCRIPT"
    style = bpy.data.texts.new("style.py")
    style.write(write % str(birds / "freestyle") + "\n")
    settings.modules.new().script = style
    for path in birds.iterdir():
        path.unlink()
    save("canary")
    for path in birds.iterdir():
        path.unlink()


def passes() -> None:
    """A compositor that writes beside the frames: to a folder of its own, and of a name that leads out of it."""
    scene = fresh(frames=2)
    scene.use_nodes = True
    for place in ("canaries/", "canaries/../canaries/"):
        node = scene.node_tree.nodes.new("CompositorNodeOutputFile")
        node.base_path = str(FOLDER) + "/" + place
        node.format.file_format = "OPEN_EXR"
        node.file_slots[0].path = "../canaries/Depth"
        scene.node_tree.links.new(scene.node_tree.nodes["Render Layers"].outputs["Image"], node.inputs[0])
    save("passes")


def main() -> None:
    fresh()
    save("cube")
    save("packed", compress=True)
    fresh(frames=20, size=256, samples=16)
    save("slow")
    several()
    movie()
    textured()
    references()
    canary()
    passes()


main()
