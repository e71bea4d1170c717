"""Where a task runs, behind one Protocol: on this machine, later at a peer or in a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from zeus.model import Job, Place, Task

Report = Callable[[float, str, int | None], None]


class Dispatcher(Protocol):
    """One way of running tasks."""

    def places(self) -> list[Place]:
        """Where tasks can run, were nothing running now. From memory, never waits."""

    async def run(self, task: Task, job: Job, attempt: int, report: Report) -> Path:
        """Run an attempt to its end; the folder that holds its outputs, checked by the engine and not yet published.

        Raises ZeusError when it fails. To cancel it, cancel the caller: it returns when nothing of the attempt is left.
        """
