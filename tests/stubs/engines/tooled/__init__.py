"""A test engine whose tool is published as Blender is, and can be a shell script."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
from zeus_plugins.blender.releases import RELEASES

from zeus.engine import Archive, Engine, Facts, RunContext, Tools, Version
from zeus.errors import BadInput, TaskFailed

PATTERN = RELEASES.archives[0].file


class ToolArgs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long the tool shall work."""

    seconds: float = 0.0


class ToolSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A version that the machine brings."""

    own: str | None = None


class ToolEngine(Engine[ToolArgs]):
    name = "tooled"
    extensions = frozenset({"tooled"})
    needs_input = False
    inspects = True
    Args = ToolArgs
    Settings = ToolSettings
    releases = msgspec.structs.replace(
        RELEASES, archives=tuple(Archive("linux", cpu, PATTERN, "*/blender") for cpu in ("x64", "arm64"))
    )

    async def ready(self, tools: Tools) -> str | None:
        return None if await self.versions(tools) else "It has no tool."

    async def versions(self, tools: Tools) -> list[Version]:
        own = [Version(self.settings.own, "path", "/bin/true")] if self.settings.own else []
        return [*own, *tools.managed(self.name)]

    async def inspect(self, tools: Tools, path: Path) -> Facts:
        """The file says which version reads it."""
        wanted = (await asyncio.to_thread(path.read_text)).strip()
        if wanted not in [version.version for version in await self.versions(tools)]:
            raise BadInput(f"Only version {wanted} reads it.", code="newer_version_needed")
        return Facts()

    async def run(self, context: RunContext[ToolArgs]) -> None:
        if context.version is None or context.version.path is None:
            raise TaskFailed("There is no version to work with.", retry=False)
        argv = [context.version.path, str(context.args.seconds), str(context.out / "out.txt")]
        await context.spawn(argv)
