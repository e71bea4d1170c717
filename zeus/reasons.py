"""Why a job does not run: what it waits for itself, and for each node the rules that refuse it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from zeus.catalog import Catalog
from zeus.errors import NotReady
from zeus.model import ENDED, Demand, Job, Place, Status, Task, suitable
from zeus.schedule.runner import Runner
from zeus.store import Store
from zeus.wire import Refusal, WhyView


class Reasons:
    """Answers with sentences for people; a node without one runs the job, or will at once."""

    def __init__(self, store: Store, runner: Runner, catalog: Catalog) -> None:
        self._store = store
        self._runner = runner
        self._catalog = catalog

    async def of(self, job_id: str) -> WhyView:
        """Of one job. Raises JobNotFound."""
        job = await self._store.job(job_id)
        nodes: Sequence[Refusal] = ()
        if job.status in (Status.QUEUED, Status.WAITING, Status.PAUSED):
            tasks = await self._store.tasks(job.id)
            nodes = [Refusal(place.node, await self._refusals(place, job.renderer, tasks)) for place in self._places()]
        return WhyView(job.status.value, await self._own(job), nodes)

    async def of_engine(self, renderer: str) -> list[Refusal]:
        """Which nodes could not run a job of this engine, were nothing else to do."""
        return [Refusal(place.node, await self._unable(renderer)) for place in self._places()]

    async def refuse_unready(self, renderers: Iterable[str]) -> None:
        """Raises NotReady `engine_not_ready` when no node can run jobs of one of these engines."""
        for renderer in sorted(set(renderers)):
            refusals = await self.of_engine(renderer)
            if refusals and all(refusal.reasons for refusal in refusals):
                why = " ".join(f"{refusal.node}: {reason}" for refusal in refusals for reason in refusal.reasons)
                raise NotReady(f"No node can run {renderer} now. {why}", code="engine_not_ready", retry_after=30)

    def _places(self) -> list[Place]:
        return self._runner.free_places()

    async def _own(self, job: Job) -> list[str]:
        if job.status in ENDED:
            return [f"It has ended: {job.status.value}."]
        if job.status is Status.RUNNING:
            return [f"It is running on {job.node}."]
        if job.status is Status.PAUSED:
            return ["It is paused: resume it."]
        if job.status is Status.WAITING_FOR_SUBJOBS:
            unended = [child for child in await self._store.children(job.id) if child.status not in ENDED]
            return [f"It ends with its subjobs, of which {len(unended)} have not ended."]
        needs = await self._store.needs(job.id)
        reasons = [f"It needs job {needed}, which is {status.value}." for needed, status in needs
                   if status is not Status.FINISHED]  # fmt: skip
        if job.not_before > time.time():
            reasons.append(f"It shall not start before {_time(job.not_before)}.")
        return reasons

    async def _unable(self, renderer: str) -> list[str]:
        """Why this node could not run an engine's jobs at all."""
        if renderer not in self._catalog.engines:
            return [f"It has no engine {renderer}."]
        reason = await self._catalog.reason(renderer)
        return [] if reason is None else [f"Its engine {renderer} cannot run: {reason.rstrip('.')}."]

    async def _refusals(self, place: Place, renderer: str, tasks: Sequence[Task]) -> list[str]:
        reasons = await self._unable(renderer)
        if place.free <= 0:
            reasons.append("All its slots are taken (jobs.slots).")
        if place.engines.get(renderer, 1) <= 0:
            reasons.append(f"All its slots for {renderer} are taken (engines.{renderer}.slots).")
        for task in tasks:
            if task.not_before > time.time() and task.failures:
                reasons.append(f"Its last attempt failed; the next is at {_time(task.not_before)}.")
            reasons += _gpu_refusals(place, task.demand)
            if ahead := await self._store.ahead(task):
                reasons.append(f"{ahead} tasks for {renderer} are before it in line.")
        return reasons


def _gpu_refusals(place: Place, demand: Demand) -> list[str]:
    """Why no GPU of a place can be given to a task now; nothing where one can, or none is needed."""
    devices = suitable(demand, place.gpus)
    if not devices:
        there = ", ".join(map(str, sorted(place.gpus))) or "none"
        if demand.number not in (None, *place.gpus):
            return [f"It has no GPU {demand.number} that jobs may use (node.gpus); there are: {there}."]
        return [f"None of its GPUs has the {demand.least / 2**30:.1f} GiB of memory that it needs."]
    if any(device not in place.taken for device in devices):
        return []
    return [f"GPU {device} is taken by job {place.taken[device]}." for device in devices if device is not None]


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
