"""Blender as a Zeus engine. See docs/blender.md."""

from .engine import BlenderEngine

__all__ = ["BlenderEngine"]
