"""Managed versions of engines' tools: what can be had, fetching, verifying, unpacking, removing."""

from zeus.downloads.downloads import Download, Downloads, State
from zeus.downloads.index import Release

__all__ = ["Download", "Downloads", "Release", "State"]
