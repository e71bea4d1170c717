"""What the test models do in the worker process."""

from __future__ import annotations

import os
import time

from zeus_plugins.video.procedural import generate as draw

from zeus.engine import Computation


def slow(job: Computation) -> None:
    for part in range(10):
        job.report({"message": "reading weights", "fraction": part / 10})
        time.sleep(0.1)


def quick(job: Computation) -> None:
    pass


def broken(job: Computation) -> None:
    raise ValueError("the weights are no weights")


def dying(job: Computation) -> None:
    os._exit(1)


def generate(job: Computation, prompt: str, image: str | None = None, **arguments: object) -> None:
    if prompt == "die":
        os._exit(1)
    if prompt == "stall":
        time.sleep(600)
    draw(job, prompt=prompt, **arguments)
