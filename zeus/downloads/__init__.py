"""Managed versions of engines' tools: what can be had, fetching, verifying, unpacking, removing."""

from zeus.downloads.downloads import Download, Downloads, State
from zeus.downloads.index import Release
from zeus.downloads.installing import preferred, stock

__all__ = ["Download", "Downloads", "Release", "State", "preferred", "stock"]
