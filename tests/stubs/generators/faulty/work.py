"""What goes wrong in the worker process: "FAULT at MESSAGE" in a prompt, FAULT one of kill, raise, fault,
lack, starve, wait, deaf.

It happens in the first layer that runs after the pipeline reported MESSAGE, or at once where no layer follows.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from zeus_plugins.video import diffusion

from zeus.engine import Computation


class Faulty:
    """A Computation in whose middle something goes wrong."""

    def __init__(self, job: Computation, fault: str, place: str) -> None:
        self._job = job
        self._fault = fault
        self._place = place
        self._armed = False

    def report(self, value: Any) -> None:
        self._job.report(value)
        if self._fault and value.get("message") == self._place:
            self._armed = True

    def check(self) -> None:
        self._job.check()
        if self._armed:
            self._armed = False
            self._happen()

    def _happen(self) -> None:
        import torch

        fault = self._fault
        if fault != "starve":  # which happens again and again
            self._fault = ""
        if fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif fault == "raise":
            raise ValueError("the numbers do not add up")
        elif fault == "fault":
            raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")
        elif fault == "deaf":
            time.sleep(600)
        elif fault in ("lack", "starve"):
            raise torch.OutOfMemoryError("out of memory: tried to allocate 99 GiB")
        elif fault == "wait":
            while True:
                time.sleep(0.01)
                self._job.check()


def load(job: Computation, *, weights: Any, extra: Any) -> None:
    """A file beside the folder of the weights says what goes wrong, and how often yet: "kill 2"."""
    file = Path(weights["folder"]).with_suffix(".fault")
    fault, left = file.read_text().split() if file.exists() else ("", "0")
    if int(left):
        file.write_text(f"{fault} {int(left) - 1}")
    diffusion.load(Faulty(job, fault if int(left) else "", "reading weights"), weights=weights, extra=extra)


def generate(job: Computation, *, prompt: str, **arguments: Any) -> int:
    fault, _, place = prompt.partition(" at ")
    return diffusion.generate(Faulty(job, fault if place else "", place), prompt=prompt, **arguments)
