"""The engines of this node: what they are, whether they can run, and what they take."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable

from aiohttp import web

from zeus.api.keys import ZEUS
from zeus.api.responses import json_response
from zeus.catalog import Catalog, schema
from zeus.engine import Version
from zeus.errors import BadInput, NotFound
from zeus.names import safe_name
from zeus.wire import EngineAvailability, EngineDetails, EngineView, VersionView

KINDS = ("standard", "full")


async def engines(request: web.Request) -> web.Response:
    """All engines by name, and the plugins that could not be loaded."""
    catalog, full = request.app[ZEUS].catalog, _is_full(request)
    names = sorted({*catalog.engines, *catalog.broken})
    views = await asyncio.gather(*(_view(catalog, name, full) for name in names))
    return json_response(dict(zip(names, views, strict=True)))


async def names(request: web.Request) -> web.Response:
    return json_response(sorted(request.app[ZEUS].registry.engines))


async def for_filename(request: web.Request) -> web.Response:
    filename = request.query.get("filename")
    if not filename:
        raise BadInput("filename: say which file.", code="missing_field")
    engine = request.app[ZEUS].registry.for_filename(safe_name(filename, "filename"))
    if engine is None:
        raise NotFound("No engine takes files of that kind.", code="engine_not_found")
    return web.Response(text=engine.name)


async def engine(request: web.Request) -> web.Response:
    return json_response(await _view(request.app[ZEUS].catalog, request.match_info["engine"], _is_full(request)))


async def availability(request: web.Request) -> web.Response:
    zeus, name = request.app[ZEUS], request.match_info["engine"]
    view = await _view(zeus.catalog, name, full=False)
    free, slots = zeus.catalog.slots(name)
    return json_response(
        EngineAvailability(
            engine=name,
            available=view.available,
            cpu_count=os.cpu_count() or 1,
            versions=view.versions,
            hostname=zeus.config.node.name,
            reason=view.reason,
            free_slots=free,
            slots=slots,
        )
    )


async def args(request: web.Request) -> web.Response:
    return json_response(schema(request.app[ZEUS].catalog.get(request.match_info["engine"])))


async def help_text(request: web.Request) -> web.Response:
    return web.Response(text=await request.app[ZEUS].catalog.help(request.match_info["engine"]))


def _is_full(request: web.Request) -> bool:
    kind = request.query.get("response_type", KINDS[0])
    if kind not in KINDS:
        raise BadInput(f"response_type: {' or '.join(KINDS)}.", code="invalid_field")
    return kind == "full"


async def _view(catalog: Catalog, name: str, full: bool) -> EngineView:
    if name in catalog.broken:
        kind = EngineDetails if full else EngineView
        return kind(available=False, reason=catalog.broken[name].reason)
    found = catalog.get(name)
    reason, versions = await asyncio.gather(catalog.reason(name), catalog.versions(name))
    if not full:
        return EngineView(available=reason is None, reason=reason, versions=_versions(versions))
    return EngineDetails(
        available=reason is None,
        reason=reason,
        versions=_versions(versions),
        supported_extensions=sorted(found.extensions),
        export_formats=list(found.export_formats),
        system_info=await catalog.system_info(name),
        ui_options=schema(found),
    )


def _versions(versions: Iterable[Version]) -> list[VersionView]:
    return [VersionView(version.version, version.source) for version in versions]
