"""Zeus: a self-hosted node for rendering, transcoding and AI video generation."""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["RenderServerProxy", "__version__"]

if TYPE_CHECKING:
    from zeus.peers.client import RenderServerProxy


def __getattr__(name: str) -> Any:
    # Only whoever uses the client pays for importing it; the command line's --help does not.
    if name == "RenderServerProxy":
        from zeus.peers.client import RenderServerProxy

        return RenderServerProxy
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
