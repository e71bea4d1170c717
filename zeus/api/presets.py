"""`GET /api/presets`: the presets, as JSON or as the file."""

from __future__ import annotations

from aiohttp import web

from zeus.api.keys import ZEUS
from zeus.api.parameters import accepts
from zeus.api.responses import json_response

YAML = ("application/yaml", "application/x-yaml", "text/yaml")


async def presets(request: web.Request) -> web.Response:
    known = request.app[ZEUS].presets
    headers = {"Vary": "Accept"}
    if accepts(request, "Accept", *YAML):
        return web.Response(body=await known.file(), content_type="application/yaml", headers=headers)
    response = json_response(await known.all())
    response.headers.update(headers)
    return response
