"""What the test models do in the worker process."""

from __future__ import annotations

from zeus_plugins.video.procedural import generate as draw

from tests.stubs import record
from zeus.engine import Computation


def load(job: Computation) -> None:
    record.write("video", "load")


def generate(job: Computation, prompt: str, **arguments: object) -> None:
    record.write("video", "start")
    if prompt == "meet blender":
        record.wait_for("blender", "start")
    draw(job, prompt=prompt, **arguments)
    record.write("video", "end")
