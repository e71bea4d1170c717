"""Fitting a pipeline into its device's memory: lower memory modes, and what to say when none is low enough."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from zeus.engine import Cancelled, Computation
from zeus.errors import TaskFailed, WorkerDied, ZeusError

from .faults import is_device_fault, is_out_of_memory
from .pipelines import SHELF, Loaded, Weights, lower

T = TypeVar("T")


def fitted(job: Computation, weights: Weights, work: Callable[[Loaded], T], tries: int) -> T:
    """What `work` makes of the pipeline; where memory runs out, once more in the next lower mode, `tries` in all.

    Raises TaskFailed `gpu_out_of_memory`, which says what is needed and what there is, or WorkerDied `device_fault`,
    with which this process ends: nothing would work in it any more.
    """
    mode: str | None = SHELF.mode(weights)
    while mode is not None and tries:
        done = _tried(job, weights, mode, work)
        if done is not None:
            return done[0]
        SHELF.clear()
        mode, tries = lower(weights, mode), tries - 1
        if mode is not None and tries:
            job.report({"note": f"too little memory: once more with {mode}"})
    raise _too_little(weights)


def _tried(job: Computation, weights: Weights, mode: str, work: Callable[[Loaded], T]) -> tuple[T] | None:
    """What was made, or None where memory ran out. The error is gone by then, and all that its traceback held."""
    try:
        return (work(SHELF.get(job, weights, mode)),)
    except (Cancelled, ZeusError):
        raise
    except Exception as error:
        if is_out_of_memory(error):
            return None
        reason = f"{type(error).__name__}: {error}"[:1000]
        if is_device_fault(error):
            raise WorkerDied(f"the device failed: {reason}", code="device_fault") from error
        raise TaskFailed(f"the pipeline failed: {reason}", retry=False) from error


def _too_little(weights: Weights) -> TaskFailed:
    needs = f"it needs about {weights.memory:g} GiB" if weights.memory else "it needs more memory"
    message = f"{weights.name} does not fit: {needs}, and {_there()}; smaller and shorter videos need less"
    return TaskFailed(message, code="gpu_out_of_memory", retry=False)


def _there() -> str:
    import torch

    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        return f"{torch.cuda.get_device_name()} has {total / 2**30:.1f} GiB, of which {free / 2**30:.1f} are free"
    import psutil

    memory = psutil.virtual_memory()
    return f"this machine has {memory.total / 2**30:.1f} GiB, of which {memory.available / 2**30:.1f} are free"
