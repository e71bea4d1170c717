"""Models that diffusers runs. To be imported in a worker process only; torch is imported once a model is loaded."""

from .generate import generate, load

__all__ = ["generate", "load"]
