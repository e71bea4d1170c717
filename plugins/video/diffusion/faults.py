"""What an error of torch means: too little memory, or a device that this process can use no more."""

from __future__ import annotations


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on whatever device."""
    import torch

    # MPS, the CPU and CUDA's own calls raise a plain RuntimeError for it.
    said = str(error).lower()
    plain = isinstance(error, RuntimeError) and ("out of memory" in said or "can't allocate memory" in said)
    return plain or isinstance(error, torch.OutOfMemoryError | MemoryError)


def is_device_fault(error: BaseException) -> bool:
    """Whether a kernel failed in a way after which every later call of this process fails too."""
    import torch

    said = str(error).lower()
    return isinstance(error, torch.AcceleratorError) or (
        isinstance(error, RuntimeError) and ("cuda error" in said or "cublas_status" in said or "cudnn_status" in said)
    )
