"""Writes docs/page-generate.png and docs/page-job.png: the page of a farm of three nodes at real work.

    python docs/make_page_pictures.py

It needs Chromium, Blender and Playwright (`python3 run.py test` installs that); it takes two minutes.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests
from playwright.sync_api import Page, sync_playwright

HERE = Path(__file__).parent
NAMES = ("studio", "render-1", "render-2")
PROMPTS = (
    "northern lights over mountains",
    "a lighthouse at night",
    "cherry blossoms in spring wind",
    "ocean waves at sunset",
    "fireflies in a dark forest",
    "desert dunes under a blazing sun",
    "campfire sparks",
    "a red fox running through snow at dusk",
)
FRAMES = 36
SCENE = f"""
import bpy, sys, math
bpy.ops.wm.read_homefile(use_factory_startup=True)
scene = bpy.context.scene
bpy.data.objects.remove(bpy.data.objects["Cube"])
bpy.ops.mesh.primitive_monkey_add(location=(0, 0, 0.6), rotation=(-0.5, 0, 0.4))
head = bpy.context.object
bpy.ops.object.shade_smooth()
paint = bpy.data.materials.new("Paint")
paint.use_nodes = True
paint.node_tree.nodes["Principled BSDF"].inputs["Base Color"].default_value = (0.9, 0.25, 0.06, 1)
head.data.materials.append(paint)
bpy.ops.mesh.primitive_plane_add(size=40)
head.keyframe_insert("rotation_euler", frame=1)
head.rotation_euler.z += math.pi / 2
head.keyframe_insert("rotation_euler", frame={FRAMES})
scene.camera.location, scene.camera.rotation_euler = (4.2, -4.4, 2.6), (1.25, 0, 0.76)
scene.render.engine = "CYCLES"
scene.cycles.samples, scene.cycles.use_denoising = 24, False
scene.render.resolution_x, scene.render.resolution_y, scene.frame_end = 384, 216, {FRAMES}
bpy.ops.wm.save_as_mainfile(filepath=sys.argv[-1])
"""


@contextlib.contextmanager
def farm(folder: Path) -> Iterator[list[str]]:
    """Three nodes that are paired with the first of them; their URLs."""
    nodes, urls = [], []
    try:
        for name in NAMES:
            argv = [sys.executable, "-m", "zeus", "serve", "--port", "0", "--name", name, "--storage", folder / name]
            nodes.append(subprocess.Popen(list(map(str, argv)), stdout=subprocess.PIPE, text=True, cwd=HERE.parent))
            line = nodes[-1].stdout.readline() if nodes[-1].stdout else ""
            urls.append(next(word for word in line.split() if word.startswith("http")).rstrip("/"))
        for url in urls[1:]:
            code = post(url, "/api/nodes/pairing", {})["code"]
            post(urls[0], "/api/nodes", {"url": url, "code": code})
        yield urls
    finally:
        for node in nodes:
            node.terminate()
            node.wait(60)


def post(url: str, path: str, body: Any) -> Any:
    answer = requests.post(url + path, json=body, timeout=60)
    answer.raise_for_status()
    return answer.json()


def ended(url: str, job_id: str) -> None:
    while requests.get(f"{url}/api/jobs/{job_id}", timeout=60).json()["end_time"] is None:
        time.sleep(0.5)


def render(url: str, folder: Path) -> str:
    """Begin a split job of a turning head; its id."""
    scene, script = folder / "suzanne.blend", folder / "scene.py"
    script.write_text(SCENE)
    argv = ["blender", "-b", "--factory-startup", "--python-exit-code", "3", "--python", str(script), "--", str(scene)]
    subprocess.run(argv, check=True, capture_output=True)
    fields = {"name": "Suzanne, turntable", "enable_split_jobs": True, "args": {"export_format": "PNG"}}
    with scene.open("rb") as file:
        files = {"json": (None, json.dumps(fields)), "file": (scene.name, file)}
        answer = requests.post(f"{url}/api/add_job", files=files, timeout=60)
    answer.raise_for_status()
    return str(answer.json()["id"])


def shoot(page: Page, url: str, view: str, target: str, height: int) -> None:
    page.set_viewport_size({"width": 1360, "height": height})
    page.goto(f"{url}/#{view}")
    page.locator("main h1").first.wait_for()
    page.wait_for_timeout(4000)
    page.screenshot(path=HERE / target)


def main() -> None:
    with tempfile.TemporaryDirectory() as name, farm(Path(name)) as urls, sync_playwright() as playwright:
        size = {"width": 640, "height": 360, "num_frames": 32, "seed": 7}
        for prompt in PROMPTS:
            ended(urls[0], post(urls[0], "/api/generate", {"prompt": prompt, **size})["job_id"])
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        shoot(browser.new_page(color_scheme="dark"), urls[0], "/", "page-generate.png", 900)
        job_id = render(urls[0], Path(name))
        while requests.get(f"{urls[0]}/api/jobs/{job_id}", timeout=60).json()["completed_frames"] < FRAMES * 0.6:
            time.sleep(0.3)
        shoot(browser.new_page(color_scheme="light"), urls[0], f"/jobs/{job_id}", "page-job.png", 1180)
        browser.close()


if __name__ == "__main__":
    main()
