"""The versions of engines that this node installs for itself: what can be had, fetching, removing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta
from yarl import URL

from zeus import machine, versions
from zeus.api.bodies import as_object, convert, read_json
from zeus.api.engines import download_view, engine_view
from zeus.api.keys import ZEUS
from zeus.api.responses import json_response
from zeus.downloads import Downloads
from zeus.engine import Archive
from zeus.errors import BadInput, NotFound
from zeus.server import Zeus
from zeus.wire import NewestView, ReleaseView

Word = Annotated[str, Meta(min_length=1, max_length=64)]


class DeleteVersion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A managed version to remove; the system, where it is given, must be this node's."""

    engine: Word
    version: Word
    system_os: Word | None = None
    cpu: Word | None = None


async def download_available(request: web.Request) -> web.Response:
    zeus, engine = request.app[ZEUS], _engine(request)
    wish = _wish(request)
    system, cpu = _platform(request.query)
    view = ReleaseView(engine=engine, version=None, available=False, installed=False, system_os=system, cpu=cpu)
    try:
        archive = zeus.downloads.archive(engine, system, cpu)
    except (BadInput, NotFound) as error:
        return json_response(msgspec.structs.replace(view, reason=error.message))
    return json_response(await _looked_up(zeus.downloads, view, wish, archive))


async def most_recent_version(request: web.Request) -> web.Response:
    downloads, engine = request.app[ZEUS].downloads, _engine(request)
    system, cpu = _platform(request.query)
    archive = downloads.archive(engine, system, cpu)
    newest = await downloads.best(engine, versions.LATEST, archive)
    lts = await downloads.best(engine, versions.LTS, archive)
    if newest is None:
        raise NotFound(f"There is no version of {engine} to be had for {system} on {cpu}.", code="version_not_found")
    found = NewestView(
        engine=engine, version=newest.version, lts=lts.version if lts is not None else None, system_os=system, cpu=cpu
    )
    return json_response(found)


async def download(request: web.Request) -> web.Response:
    downloads, engine = request.app[ZEUS].downloads, _engine(request)
    _refuse_others(*_platform(request.query))
    release = await downloads.wanted(engine, _wish(request) or versions.LATEST)
    return json_response(download_view(downloads.start(engine, release)), status=202)


async def delete(request: web.Request) -> web.Response:
    zeus = request.app[ZEUS]
    wanted = convert(as_object(await read_json(request)), DeleteVersion)
    zeus.catalog.get(wanted.engine)
    sent = {"system_os": wanted.system_os, "cpu": wanted.cpu}
    _refuse_others(*_platform({name: value for name, value in sent.items() if value is not None}))
    try:
        await zeus.downloads.delete(wanted.engine, wanted.version)
    except NotFound:
        await _refuse_foreign(zeus, wanted)
        raise
    return json_response(await engine_view(zeus, wanted.engine, full=False))


def _engine(request: web.Request) -> str:
    name = request.query.get("engine")
    if not name:
        raise BadInput("engine: say which.", code="missing_field")
    return request.app[ZEUS].catalog.get(name).name


def _wish(request: web.Request) -> str | None:
    wish = request.query.get("version")
    if wish is not None and not re.fullmatch(r"[A-Za-z0-9._+-]{1,64}", wish):
        raise BadInput("version: latest, lts, a version or the beginning of one.", code="invalid_field")
    return wish


def _platform(given: Mapping[str, str]) -> tuple[str, str]:
    """The system and the processor that are meant, by default this machine's. Raises BadInput."""
    own = machine.own_platform()
    return (
        _word(given, "system_os", machine.SYSTEMS) or own[0],
        _word(given, "cpu", machine.CPUS) or own[1],
    )


def _word(given: Mapping[str, str], name: str, words: Mapping[str, str]) -> str | None:
    said = given.get(name)
    if said is not None and said.lower() not in words:
        raise BadInput(f"{name}: one of {', '.join(words)}.", code="invalid_field")
    return words[said.lower()] if said is not None else None


def _refuse_others(system: str, cpu: str) -> None:
    if (system, cpu) != (own := machine.own_platform()):
        message = f"system_os, cpu: this node installs for itself, which is {own[0]} on {own[1]}."
        raise BadInput(message, code="other_system")


async def _looked_up(downloads: Downloads, view: ReleaseView, wish: str | None, archive: Archive) -> ReleaseView:
    """The view with what there is for a wish, or without one for any. Raises NotReady."""
    release = await downloads.best(view.engine, wish or versions.LATEST, archive)
    if release is None:
        return msgspec.structs.replace(view, reason=f'No version that "{wish}" means is published for this system.')
    found = await downloads.find(view.engine, wish, archive)
    return msgspec.structs.replace(
        view,
        version=release.version,
        available=True,
        installed=release.version in [each.version for each in downloads.managed(view.engine)],
        file=release.file,
        url=str(URL(release.url).with_user(None)),
        versions=[each.version for each in found],
    )


async def _refuse_foreign(zeus: Zeus, wanted: DeleteVersion) -> None:
    """Raises BadInput for a version that somebody else installed."""
    for each in await zeus.catalog.versions(wanted.engine):
        if each.version == wanted.version and each.source != "managed":
            message = (
                f"{wanted.engine} {each.version} ({each.source}) was not installed by Zeus, which leaves it alone."
            )
            raise BadInput(message, code="not_managed")
