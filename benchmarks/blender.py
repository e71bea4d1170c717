"""What rendering through Zeus costs: 20 frames over HTTP beside plain `blender -b`, round for round on one machine.

.venv/bin/python benchmarks/blender.py [--rounds 5] [--frames 20] [--samples 32] [--size 480]
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[1]
PROGRAM = shutil.which("blender") or sys.exit("There is no blender on PATH.")
SCENE = """
import bpy, sys
path, frames, samples, size = sys.argv[sys.argv.index("--") + 1 :]
scene = bpy.context.scene
scene.render.engine, scene.cycles.samples, scene.cycles.use_denoising = "CYCLES", int(samples), False
scene.render.resolution_x, scene.render.resolution_y = int(size), int(size) * 9 // 16
scene.frame_end = int(frames)
cube = bpy.data.objects["Cube"]
cube.keyframe_insert("rotation_euler", frame=1)
cube.rotation_euler.z = 3
cube.keyframe_insert("rotation_euler", frame=int(frames))
bpy.ops.wm.save_as_mainfile(filepath=path)
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    for name, value in (("rounds", 5), ("frames", 20), ("samples", 32), ("size", 480)):
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        scene = folder / "scene.blend"
        more = [str(scene), *(str(each) for each in (options.frames, options.samples, options.size))]
        run("--factory-startup", "--python-expr", SCENE, "--", *more)
        node, url = serve(folder)
        try:
            measure(folder, scene, url, node.pid, options)
        finally:
            node.terminate()
            node.wait()


def measure(folder: Path, scene: Path, url: str, node: int, options: argparse.Namespace) -> None:
    first = through_zeus(url, scene, options.frames)
    print(f"a file that Zeus has not seen before, which it inspects first: {first:.2f} s")
    plain, zeus, own = [], [], []
    for number in range(options.rounds):
        pair = [("plain", plain), ("zeus", zeus)]
        for name, times in pair if number % 2 else reversed(pair):
            if name == "plain":
                times.append(by_hand(folder, scene, options.frames))
            else:
                before = processor_time(node)
                times.append(through_zeus(url, scene, options.frames))
                own.append(processor_time(node) - before)
        print(f"round {number + 1}: plain {plain[-1]:.2f} s, Zeus {zeus[-1]:.2f} s, ratio {zeus[-1] / plain[-1]:.3f}")
    ratio = statistics.median(theirs / ours for theirs, ours in zip(zeus, plain, strict=True))
    print(f"median of the ratios: {ratio:.3f} (aim: at most 1.03); of the least times: {min(zeus) / min(plain):.3f}")
    print(f"the processor time of Zeus itself, without Blender's, a job: {statistics.median(own):.2f} s")


def processor_time(node: int) -> float:
    """Seconds that the node and the workers it has now have computed; Blender is not there any more."""
    process = psutil.Process(node)
    times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
    return sum(each.user + each.system for each in times)


def by_hand(folder: Path, scene: Path, frames: int) -> float:
    start = time.perf_counter()
    run(str(scene), "-o", f"{folder}/hand_####", "-F", "PNG", "-x", "1", "-s", "1", "-e", str(frames), "-a")
    return time.perf_counter() - start


def through_zeus(url: str, scene: Path, frames: int) -> float:
    """Seconds from the request to the end of its job, with every frame published."""
    boundary = "scene-and-fields"
    fields = json.dumps({"renderer": "blender", "start_frame": 1, "end_frame": frames})
    body = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="json"\r\n\r\n{fields}\r\n--{boundary}\r\n'
        'Content-Disposition: form-data; name="file"; filename="scene.blend"\r\n\r\n'
    ).encode() + scene.read_bytes()
    body += f"\r\n--{boundary}--\r\n".encode()
    start = time.perf_counter()
    kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    job = ask(urllib.request.Request(f"{url}/api/add_job", body, kind))
    token = ""
    while job["status"] not in ("finished", "failed", "cancelled"):
        token = (ask(f"{url}/api/jobs/long_poll?timeout=10&token={token}") or {"token": token})["token"]
        job = ask(f"{url}/api/jobs/{job['id']}")
    seconds = time.perf_counter() - start
    assert job["status"] == "finished" and job["completed_frames"] == frames, job
    return seconds


def ask(request: str | urllib.request.Request) -> Any:
    with urllib.request.urlopen(request) as response:
        text = response.read()
    return json.loads(text) if text else None


def run(*arguments: str) -> None:
    subprocess.run([PROGRAM, "-b", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)


def serve(folder: Path) -> tuple[subprocess.Popen[str], str]:
    config = folder / "zeus.json"
    settings = {"node": {"storage": str(folder / "storage")}, "http": {"port": 0}}
    config.write_text(json.dumps(settings))
    program = [sys.executable, str(ROOT / "tests" / "stubs" / "serve.py"), str(config)]
    node = subprocess.Popen(program, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert node.stdout is not None
    return node, node.stdout.readline().strip()


if __name__ == "__main__":
    main()
