"""The client's methods for the node's engines."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from zeus.peers.calls import SLOW_SECONDS, Calls
from zeus.peers.connection import decode
from zeus.wire import DownloadView, EngineAvailability, EngineDetails, NewestView, ReleaseView


class EngineCalls(Calls):
    """Engines."""

    async def get_engine_names(self) -> list[str]:
        """The names of the node's engines."""
        return decode(await self.request("GET", "/api/engines/names"), list[str])

    async def get_engine_for_filename(self, filename: str) -> str:
        """The engine that takes files of this name."""
        answer = await self.request("GET", "/api/engines/for_filename", params={"filename": filename})
        return answer.body.decode().strip()

    async def get_engines(self, *, full: bool = False) -> dict[str, EngineDetails]:
        """All engines by name. Unless `full`, their formats, system info and options are left empty."""
        answer = await self.request("GET", "/api/engines", params=_kind(full), wait=SLOW_SECONDS)
        return decode(answer, dict[str, EngineDetails])

    async def get_engine(self, engine: str, *, full: bool = False) -> EngineDetails:
        """One engine; `full` as in get_engines."""
        answer = await self.request("GET", _engine(engine), params=_kind(full), wait=SLOW_SECONDS)
        return decode(answer, EngineDetails)

    async def get_engine_availability(self, engine: str) -> EngineAvailability:
        """Whether the node can take jobs for an engine, and how many now."""
        return decode(await self.request("GET", _engine(engine, "/availability")), EngineAvailability)

    async def get_engine_args(self, engine: str) -> dict[str, Any]:
        """The JSON Schema of an engine's arguments."""
        return decode(await self.request("GET", _engine(engine, "/args")), dict[str, Any])

    async def get_engine_help(self, engine: str) -> str:
        """An engine's own help text."""
        return (await self.request("GET", _engine(engine, "/help"))).body.decode("utf-8", "replace")

    async def get_engine_release(
        self, engine: str, version: str | None = None, *, system_os: str | None = None, cpu: str | None = None
    ) -> ReleaseView:
        """Whether a managed version can be had: `latest`, `lts`, the beginning of one, or exact; all without one."""
        sent = _given(engine=engine, version=version, system_os=system_os, cpu=cpu)
        answer = await self.request("GET", "/api/engines/download_available", params=sent, wait=SLOW_SECONDS)
        return decode(answer, ReleaseView)

    async def get_most_recent_version(
        self, engine: str, *, system_os: str | None = None, cpu: str | None = None
    ) -> NewestView:
        """The newest version of an engine that can be had, and the newest with long-term support."""
        sent = _given(engine=engine, system_os=system_os, cpu=cpu)
        answer = await self.request("GET", "/api/engines/most_recent_version", params=sent, wait=SLOW_SECONDS)
        return decode(answer, NewestView)

    async def download_engine(self, engine: str, version: str | None = None) -> DownloadView:
        """Have the node install a version; `get_engine` tells how far it is in `downloads`, until it is done."""
        sent = _given(engine=engine, version=version)
        answer = await self.request("POST", "/api/engines/download", params=sent, wait=SLOW_SECONDS)
        return decode(answer, DownloadView)

    async def delete_engine_download(
        self, engine: str, version: str, *, system_os: str | None = None, cpu: str | None = None
    ) -> None:
        """Remove a managed version of an engine from the node."""
        sent = _given(engine=engine, version=version, system_os=system_os, cpu=cpu)
        await self.request("POST", "/api/engines/delete", json=sent, wait=SLOW_SECONDS)


def _kind(full: bool) -> dict[str, str]:
    return {"response_type": "full"} if full else {}


def _given(**values: str | None) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None}


def _engine(engine: str, rest: str = "") -> str:
    return f"/api/engines/{quote(engine, safe='')}{rest}"
