"""The generation models of this node: their states, and pulling, removing and choosing them."""

from __future__ import annotations

import msgspec
from aiohttp import web

from zeus.api.keys import ZEUS
from zeus.api.responses import json_response
from zeus.engine import GenerationEngine, ModelFacts
from zeus.errors import BadInput, NotFound
from zeus.server import Zeus
from zeus.wire import ModelList, ModelView


async def models(request: web.Request) -> web.Response:
    engine = _engine(request.app[ZEUS])
    found = engine.model_facts() if engine is not None else ()
    return json_response(ModelList([_view(each) for each in found]))


async def pull(request: web.Request) -> web.Response:
    zeus, name = request.app[ZEUS], request.match_info["model"]
    await _with(zeus, name).pull_model(name, zeus.tools)
    return json_response(_view(_find(_with(zeus, name), name)), status=202)


async def remove(request: web.Request) -> web.Response:
    zeus, name = request.app[ZEUS], request.match_info["model"]
    await _with(zeus, name).remove_model(name, zeus.tools)
    return json_response(_view(_find(_with(zeus, name), name)))


async def use(request: web.Request) -> web.Response:
    zeus, name = request.app[ZEUS], request.match_info["model"]
    await _with(zeus, name).use_model(name, zeus.tools)
    return json_response(_view(_find(_with(zeus, name), name)))


def _engine(zeus: Zeus) -> GenerationEngine[msgspec.Struct] | None:
    """The engine behind `/api/generate`; None where it makes nothing from prompts, or is none."""
    try:
        engine = zeus.registry.get(zeus.config.generate.engine)
    except BadInput:
        return None
    return engine if isinstance(engine, GenerationEngine) else None


def _with(zeus: Zeus, name: str) -> GenerationEngine[msgspec.Struct]:
    """The engine, which has a model of this name. Raises NotFound."""
    engine = _engine(zeus)
    if engine is None:
        raise NotFound("This node's engine has no models.", code="model_not_found")
    _find(engine, name)
    return engine


def _find(engine: GenerationEngine[msgspec.Struct], name: str) -> ModelFacts:
    """A model by name. Raises NotFound, which lists those that there are."""
    found = {each.name: each for each in engine.model_facts()}
    if name not in found:
        known = ", ".join(sorted(found)) or "none"
        raise NotFound(f'There is no model "{name[:80]}" here; there are: {known}.', code="model_not_found")
    return found[name]


def _view(facts: ModelFacts) -> ModelView:
    return msgspec.convert(facts, ModelView, from_attributes=True)
