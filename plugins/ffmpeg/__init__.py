"""FFmpeg as a Zeus engine. See docs/ffmpeg.md."""

from .engine import FFmpegEngine

__all__ = ["FFmpegEngine"]
