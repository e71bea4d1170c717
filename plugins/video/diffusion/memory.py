"""What a device's memory ran out of, in words."""

from __future__ import annotations

from zeus.errors import TaskFailed

from .pipelines import Weights


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of torch means that memory ran out, on whatever device."""
    import torch

    # MPS and the CPU raise a plain RuntimeError for it.
    said = str(error).lower()
    plain = isinstance(error, RuntimeError) and ("out of memory" in said or "can't allocate memory" in said)
    return plain or isinstance(error, torch.OutOfMemoryError | MemoryError)


def too_little(weights: Weights) -> TaskFailed:
    """The error to raise when the lowest memory mode did not fit: what is needed, and what there is."""
    needs = f"it needs about {weights.memory:g} GiB" if weights.memory else "it needs more memory"
    message = f"{weights.name} does not fit at this size: {needs}, and {_there()}; fewer frames or a smaller size may"
    return TaskFailed(message, code="gpu_out_of_memory", retry=False)


def _there() -> str:
    import torch

    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        return f"{torch.cuda.get_device_name()} has {total / 2**30:.1f} GiB, of which {free / 2**30:.1f} are free"
    import psutil

    memory = psutil.virtual_memory()
    return f"this machine has {memory.total / 2**30:.1f} GiB, of which {memory.available / 2**30:.1f} are free"
