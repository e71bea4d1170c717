"""`GET /` and the files of its page: read once, compressed once, and kept in memory."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec
from aiohttp import web
from aiohttp.hdrs import ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, ETAG, VARY

from zeus.api.parameters import accepts
from zeus.errors import NotFound

FOLDER = Path(__file__).parents[1] / "site"
INDEX = "index.html"
KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:;"
    " connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)


class Asset(msgspec.Struct, frozen=True):
    """A file of the page. `etag` is the same for both forms of it, hence a weak one."""

    plain: bytes
    packed: bytes
    kind: str
    etag: str


Site = Mapping[str, Asset]
"""The page's files by their path below its folder."""
SITE = web.AppKey("site", Site)


def read_site(folder: Path = FOLDER) -> Site:
    """All files of the page, but none of another kind. What is not here cannot be asked for, whatever a path says."""
    found = (path for path in sorted(folder.rglob("*")) if path.suffix in KINDS and path.is_file())
    return {path.relative_to(folder).as_posix(): _read(path) for path in found}


async def page(request: web.Request) -> web.Response:
    return _answer(request, request.app[SITE][INDEX])


async def static(request: web.Request) -> web.Response:
    asset = request.app[SITE].get(request.match_info["file"])
    if asset is None:
        raise NotFound("The page has no such file.", code="not_found")
    return _answer(request, asset)


def _read(path: Path) -> Asset:
    plain = path.read_bytes()
    return Asset(plain, gzip.compress(plain, mtime=0), KINDS[path.suffix], hashlib.sha256(plain).hexdigest()[:32])


def _answer(request: web.Request, asset: Asset) -> web.Response:
    """The file, or 304: a browser asks each time, so that after an update no old file meets a new one."""
    headers = {
        CONTENT_SECURITY_POLICY: POLICY,
        CACHE_CONTROL: "no-cache",
        ETAG: f'W/"{asset.etag}"',
        VARY: ACCEPT_ENCODING,
    }
    if any(each.value in (asset.etag, "*") for each in request.if_none_match or ()):
        return web.Response(status=304, headers=headers)
    is_packed = accepts(request, ACCEPT_ENCODING, "gzip", "x-gzip", "*")
    if is_packed:
        headers[CONTENT_ENCODING] = "gzip"
    body = asset.packed if is_packed else asset.plain
    return web.Response(body=body, content_type=asset.kind, charset="utf-8", headers=headers)
