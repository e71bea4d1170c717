"""The plugin interface: all that an engine may import of Zeus, with `zeus.errors`.

An engine is one way of turning arguments into files. It is a class derived from `Engine`, in a folder of the
configured plugin folders or behind an entry point of the group `zeus.engines`. See docs/plugins.md.
"""

from zeus import __version__ as ZEUS_VERSION
from zeus.engine.engine import API_VERSION, Engine, GenerationEngine, NoSettings
from zeus.engine.extras import extra
from zeus.engine.facts import Facts, MediaInfo, ModelFacts, ModelState, Scene, Span, Stream, Version
from zeus.engine.models import ModelSettings
from zeus.engine.pieces import Made, Piece
from zeus.engine.releases import Archive, ReleaseSource
from zeus.engine.tools import Cancelled, Completed, Computation, Line, Quality, RunContext, Tools
from zeus.model import Demand

__all__ = [
    "API_VERSION", "ZEUS_VERSION", "Archive", "Cancelled", "Completed", "Computation", "Demand", "Engine", "Facts",
    "GenerationEngine", "Line", "Made", "MediaInfo", "ModelFacts", "ModelSettings", "ModelState", "NoSettings", "Piece",
    "Quality", "ReleaseSource", "RunContext", "Scene", "Span", "Stream", "Tools", "Version", "extra",
]  # fmt: skip
