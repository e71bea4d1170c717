"""Why a job does not run: what it waits for itself, and for each node the rules that refuse it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from zeus.catalog import Catalog
from zeus.errors import NotReady
from zeus.model import ENDED, Job, NewJob, Place, Role, Status, Task
from zeus.nodes.book import NodeBook
from zeus.placement import able, lasting, refusals
from zeus.schedule.runner import Runner
from zeus.store import Store
from zeus.wire import Refusal, WhyView


class Reasons:
    """Answers with sentences for people; a node without one runs the job, or will at once."""

    def __init__(self, store: Store, runner: Runner, catalog: Catalog, nodes: NodeBook) -> None:
        self._store = store
        self._runner = runner
        self._catalog = catalog
        self._nodes = nodes

    async def of(self, job_id: str) -> WhyView:
        """Of one job, or of what is not dealt yet of a split one. Raises JobNotFound."""
        job = await self._store.job(job_id)
        nodes: Sequence[Refusal] = ()
        if tasks := [task for task in await self._store.tasks(job.id) if _waits(job, task)]:
            places = await self._places([job.renderer])
            nodes = [Refusal(place.node, await self._refusals(place, places, tasks)) for place in places]
            nodes += self._offline()
        return WhyView(job.status.value, await self._own(job), nodes)

    async def of_new(self, job: NewJob) -> list[Refusal]:
        """Which nodes could not run a job, were nothing else to do there."""
        task = Task(0, job.id, job.renderer, job.priority, 0, demand=job.demand)
        places = await self._places([job.renderer])
        return [*(Refusal(place.node, [*lasting(task, place)]) for place in places), *self._offline()]

    async def refuse_unready(self, renderers: Iterable[str]) -> None:
        """Raises NotReady `engine_not_ready` when no node can run jobs of one of these engines."""
        wanted = sorted(set(renderers))
        places = await self._places(wanted)
        for renderer in wanted:
            task = Task(0, "", renderer, 0, 0)
            found = [Refusal(place.node, [*lasting(task, place)]) for place in places]
            if found and all(each.reasons for each in found):
                why = " ".join(f"{each.node}: {reason}" for each in found for reason in each.reasons)
                raise NotReady(f"No node can run {renderer} now. {why}", code="engine_not_ready", retry_after=30)

    async def _places(self, renderers: Iterable[str]) -> list[Place]:
        """All places, with what this machine's engines say now."""
        for renderer in renderers:
            if renderer in self._catalog.engines:
                await self._catalog.ask(renderer)
        return self._runner.free_places()

    def _offline(self) -> list[Refusal]:
        away = [peer for peer in self._nodes.peers.values() if not peer.online]
        return [Refusal(peer.name, [peer.refusal or "It does not answer."]) for peer in away]

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

    async def _refusals(self, place: Place, places: Sequence[Place], tasks: Sequence[Task]) -> list[str]:
        reasons = []
        for task in tasks:
            reasons += refusals(task, place)
            if place.node == task.failed_on and place not in able(task, places):
                reasons.append("It failed there; its last attempt is left to another node.")
            if task.not_before > time.time() and task.failures:
                reasons.append(f"Its last attempt failed; the next is at {_time(task.not_before)}.")
            if ahead := await self._store.ahead(task):
                reasons.append(f"{ahead} tasks for {task.renderer} are before it in line.")
        return reasons


def _waits(job: Job, task: Task) -> bool:
    """Whether a task of a job may be one that a place refuses. What joins waits for the pieces first."""
    if job.status is Status.WAITING_FOR_SUBJOBS:
        return task.role is Role.DEAL and bool(task.frames)
    if task.role is Role.JOIN:
        return job.has_children and job.status is Status.QUEUED
    return job.status in (Status.QUEUED, Status.WAITING, Status.PAUSED)


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
