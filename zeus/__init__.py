"""Zeus: a self-hosted node for rendering, transcoding and AI video generation."""

__version__ = "0.1.0"
