"""The video engine: videos from prompts, by a model out of a registry, the first of which needs no download."""

from .arguments import VideoArgs
from .engine import VideoEngine
from .models import BASIC, PROCEDURAL, Model

__all__ = ["BASIC", "PROCEDURAL", "Model", "VideoArgs", "VideoEngine"]
