"""The engines of this node: what they are, whether they can run, and what they take."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable

from aiohttp import web

from zeus.api.keys import ZEUS
from zeus.api.parameters import is_full
from zeus.api.responses import json_response
from zeus.catalog import schema
from zeus.downloads import Download
from zeus.engine import Version
from zeus.errors import BadInput, NotFound
from zeus.names import safe_name
from zeus.server import Zeus
from zeus.wire import DownloadView, EngineAvailability, EngineDetails, EngineView, GpuUse, VersionView


async def engines(request: web.Request) -> web.Response:
    """All engines by name, and the plugins that could not be loaded."""
    catalog, full = request.app[ZEUS].catalog, is_full(request)
    names = sorted({*catalog.engines, *catalog.broken})
    views = await asyncio.gather(*(engine_view(request.app[ZEUS], name, full) for name in names))
    return json_response(dict(zip(names, views, strict=True)))


async def names(request: web.Request) -> web.Response:
    """This node's own engines first, then those that only others have."""
    zeus = request.app[ZEUS]
    own = sorted(zeus.registry.engines)
    return json_response([*own, *(name for name in zeus.foreign.names() if name not in own)])


async def for_filename(request: web.Request) -> web.Response:
    filename = request.query.get("filename")
    if not filename:
        raise BadInput("filename: say which file.", code="missing_field")
    zeus, name = request.app[ZEUS], safe_name(filename, "filename")
    engine = zeus.registry.for_filename(name)
    found = engine.name if engine is not None else zeus.foreign.for_filename(name)
    if found is None:
        raise NotFound("No engine takes files of that kind.", code="engine_not_found")
    return web.Response(text=found)


async def engine(request: web.Request) -> web.Response:
    return json_response(await engine_view(request.app[ZEUS], request.match_info["engine"], is_full(request)))


async def availability(request: web.Request) -> web.Response:
    zeus, name = request.app[ZEUS], request.match_info["engine"]
    view = await engine_view(zeus, name, full=False)
    free, slots = zeus.catalog.slots(name)
    gpus = zeus.catalog.gpus(zeus.config.node.name)
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
            gpus=[GpuUse(index=number, job=job) for number, job in sorted(gpus.items())],
        )
    )


async def args(request: web.Request) -> web.Response:
    return json_response(schema(request.app[ZEUS].catalog.get(request.match_info["engine"])))


async def help_text(request: web.Request) -> web.Response:
    return web.Response(text=await request.app[ZEUS].catalog.help(request.match_info["engine"]))


async def engine_view(zeus: Zeus, name: str, full: bool) -> EngineView:
    """One engine, or a plugin that could not be loaded. Raises NotFound."""
    catalog = zeus.catalog
    if name in catalog.broken:
        kind = EngineDetails if full else EngineView
        return kind(available=False, reason=catalog.broken[name].reason)
    found = catalog.get(name)
    coming = zeus.downloads.under_way(name)  # before the versions, or one that arrives meanwhile is in neither list
    reason, versions = await asyncio.gather(catalog.reason(name), catalog.versions(name))
    here = {each.version for each in versions if each.source == "managed"}
    downloads = [download_view(each) for each in coming if each.version not in here]
    if not full:
        return EngineView(available=reason is None, reason=reason, versions=_versions(versions), downloads=downloads)
    return EngineDetails(
        available=reason is None,
        reason=reason,
        versions=_versions(versions),
        downloads=downloads,
        supported_extensions=sorted(found.extensions),
        export_formats=list(found.export_formats),
        system_info=await catalog.system_info(name),
        ui_options=schema(found),
    )


def download_view(download: Download) -> DownloadView:
    """How far a version has come."""
    return DownloadView(
        version=download.version,
        state=download.state.value,
        percent=download.percent,
        bytes=download.done,
        size=download.size,
        reason=download.error.message if download.error is not None else None,
    )


def _versions(versions: Iterable[Version]) -> list[VersionView]:
    return [VersionView(version.version, version.source) for version in versions]
