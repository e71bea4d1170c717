"""Whether one model's weights are on this node, and bringing or removing those that a hub publishes."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from zeus.engine import Tools
from zeus.errors import WorkerDied, ZeusError

from .models import Model

_CRASHES: Final = 3
"""So many ends of the worker in a row, none of which brought a byte, are a fault."""
_PULL: Final = f"{__package__}.hub:pull"


class Weights:
    """One model's weights: its owner's folder, those of a repository, or none where it needs none."""

    def __init__(self, model: Model, hub: str | None) -> None:
        self.name = model.name
        self.source = model.source
        self.done: int | None = None
        self.size: int | None = None
        self.revision = self.source.revision if self.source is not None else None
        self.fault: str | None = None
        self._hub = hub
        self._home: Path | None = None
        self._said = ""
        self._here = self.source is None or bool(self.source.folder)
        self._pulling: asyncio.Task[None] | None = None

    @property
    def folder(self) -> str | None:
        """Where they lie: "" where none are needed, None where they are not here."""
        if not self._here:
            return None
        if self._home is not None and self.revision is not None and self.is_ours:
            return str(self._home / self.revision)
        return (self.source.folder if self.source is not None else None) or ""

    @property
    def is_coming(self) -> bool:
        """Whether they are being pulled."""
        return self._pulling is not None and not self._pulling.done()

    @property
    def is_ours(self) -> bool:
        """Whether they are Zeus's to fetch and to remove."""
        return self.source is not None and not self.source.folder and self.source.repository is not None

    @property
    def can_come(self) -> bool:
        """Whether there is a place to pull them from."""
        return self.is_ours and self._hub is not None

    @property
    def message(self) -> str:
        """How far they are, for people."""
        if self.is_coming:
            share = f": {(self.done or 0) * 100 // self.size}% of {_size_text(self.size)}" if self.size else ""
            return f"pulling {self.name}{share}{self._said}"
        if self.fault is not None:
            return f"{self.name} could not be pulled: {self.fault}"
        if self.is_ours and self.source is not None:
            how = f"`zeus models pull {self.name}` brings what {self.source.repository} publishes"
            offline = f"engines.video.offline is set; unset it, or name its folder in models.{self.name}.folder"
            return f"{self.name} is not on this node: {how if self.can_come else offline}"
        return (
            f"{self.name} is not on this node: say in models.{self.name}.folder where its weights are, or in "
            f"models.{self.name}.repository where they are published"
        )

    def open(self, home: Path) -> None:
        """Take up what is in the model's folder. Blocks."""
        self._home = home
        if not self.is_ours:
            return
        record = _record(home)
        if record is not None and self._is_wanted(record):
            self.revision, self.done, self.size = record["revision"], record["size"], record["size"]
            self._here = True

    def begin(self, tools: Tools) -> None:
        """Begin to bring them here, or to see that they are as they were published; `fault` says why it failed."""
        if not self.is_coming:
            self.fault, self.done, self.size, self._said, self._here = None, None, None, "", False
            self._pulling = asyncio.create_task(self._pull(tools), name=f"pull {self.name}")

    async def settled(self) -> None:
        """Wait until nothing is being pulled; who is cancelled meanwhile ends it for nobody else."""
        if self._pulling is not None:
            await asyncio.wait([self._pulling])

    async def remove(self) -> None:
        """End a pull that is under way, and remove what came."""
        await self.stop()
        if self._home is None or not self.is_ours:
            return
        self._here = False
        await asyncio.to_thread(_remove, self._home)
        self.done = self.size = self.fault = None
        self.revision = self.source.revision if self.source is not None else None

    async def stop(self) -> None:
        """End a pull that is under way; what came is kept."""
        if self._pulling is not None:
            self._pulling.cancel()
        await self.settled()

    def _is_wanted(self, record: Mapping[str, Any]) -> bool:
        assert self.source is not None
        same = record["repository"] == self.source.repository
        return same and self.source.revision in (None, record["revision"])

    async def _pull(self, tools: Tools) -> None:
        assert self._home is not None and self.source is not None
        arguments = {
            "name": self.name, "repository": self.source.repository, "revision": self.source.revision,
            "hub": self._hub, "home": str(self._home),
        }  # fmt: skip
        crashes = 0
        while True:
            before = self.done
            try:
                await tools.compute(_PULL, arguments, report=self._report, apart=True)
                break
            except WorkerDied as error:
                crashes = crashes + 1 if self.done == before else 1
                if crashes >= _CRASHES:
                    self.fault = error.message
                    return
            except (ZeusError, OSError) as error:
                self.fault = str(error)
                return
        await asyncio.to_thread(self.open, self._home)

    def _report(self, value: Any) -> None:
        match value:
            case {"message": str(message), "done": int(done), "size": int(size)}:
                self.done, self.size = done, size
                self._said = "" if message == "fetching" else f", {message}"


def _record(home: Path) -> Mapping[str, Any] | None:
    """What is on record as being here, unless it is not: its repository, commit and size in bytes."""
    try:
        record = json.loads((home / "record.json").read_bytes())
        return record if (home / str(record["revision"])).is_dir() else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _remove(home: Path) -> None:
    (home / "record.json").unlink(missing_ok=True)
    shutil.rmtree(home, ignore_errors=True)


def _size_text(size: int) -> str:
    for unit, one in (("GB", 1e9), ("MB", 1e6)):
        if size >= one:
            return f"{size / one:.1f} {unit}"
    return f"{size / 1e3:.1f} KB"
