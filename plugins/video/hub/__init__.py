"""Fetches weights from a hub. To be imported in a worker process only."""

from .pulling import pull

__all__ = ["pull"]
