"""What this node says of itself: to people, and to the nodes that look at it every few seconds."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import zeus as package
from zeus import machine
from zeus.benchmark import Benchmarks
from zeus.catalog import Catalog
from zeus.config import Config
from zeus.engine import Engine, GenerationEngine
from zeus.errors import JobNotFound, ZeusError
from zeus.here import Here
from zeus.model import Assignment, Place
from zeus.nodes.addresses import Address
from zeus.peers.client import API_VERSION
from zeus.progress import ProgressBook
from zeus.store import Store
from zeus.wire import DiskView, GpuView, NodeEngine, NodeTask, Portrait, StatusView, VersionView, time_text

FRESH = 0.5
"""Seconds that a portrait is good for, however many nodes ask."""
ENGINE_SECONDS = 1.0
"""Seconds that an engine gets for an answer, lest a slow one make the node look as if it were gone."""
LOOK = 10.0
"""Seconds between two looks at whether the processor can be measured."""
SECONDS = 2.0
"""That the measurement takes."""
SCORE = "benchmark"

log = logging.getLogger(__name__)


class Portraits:
    """This node's status and portrait."""

    def __init__(
        self,
        config: Config,
        start: str,
        address: Address,
        store: Store,
        catalog: Catalog,
        progress: ProgressBook,
        benchmarks: Benchmarks,
        here: Here,
        places: Callable[[], Sequence[Place]],
        free_places: Callable[[], Sequence[Place]],
        running: Callable[[], Sequence[Assignment]],
        pace: Callable[[], Mapping[str, float]] = dict,
        shares: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self._config = config
        self._start = start
        self._address = address
        self._store = store
        self._catalog = catalog
        self._progress = progress
        self._benchmarks = benchmarks
        self._places = places
        self._free_places = free_places
        self._running = running
        self._pace = pace
        self._shares = shares
        self._meter = machine.Meter()
        self._here = here
        self._engines: dict[str, NodeEngine] = {}
        self._jobs: dict[str, tuple[str, str | None]] = {}
        self._last: tuple[float, asyncio.Task[Portrait]] | None = None

    async def status(self) -> StatusView:
        """The machine, its load and its versions, now."""
        seen = await machine.look(self._config.storage_path, self._meter)
        name = self._config.node.name
        taken = self._catalog.gpus(name)
        return StatusView(
            timestamp=time_text(time.time()) or "",
            system_os=seen.system_os,
            system_os_version=seen.system_os_version,
            cpu_brand=seen.cpu_brand,
            cpu_count=seen.cpu_count,
            cpu_percent=seen.cpu_percent,
            memory_total=seen.memory_total,
            memory_available=seen.memory_available,
            memory_percent=seen.memory_percent,
            gpus=[
                GpuView(name=gpu.name, index=gpu.index, job=taken.get(gpu.index), memory_total=gpu.memory_total,
                        memory_available=gpu.memory_available, percent=gpu.percent)
                for gpu in seen.gpus
            ],
            disk=DiskView(seen.disk_total, seen.disk_free),
            job_counts=await self._store.counts(),
            hostname=name,
            port=self._address.port,
            app_version=package.__version__,
            api_version=API_VERSION,
        )  # fmt: skip

    async def portrait(self) -> Portrait:
        """What the node says of itself; at most a moment old."""
        now = time.monotonic()
        if self._last is None or now - self._last[0] > FRESH:
            self._last = now, asyncio.get_running_loop().create_task(self._portrait())
        return await asyncio.shield(self._last[1])

    async def run(self, has_peers: Callable[[], bool]) -> None:
        """Measure the processor once, as soon as there are other nodes to compare it with and nothing runs."""
        kept = await self._store.meta(SCORE)
        self._here.score = float(kept) if kept else 0.0
        while not self._here.score:
            await asyncio.sleep(LOOK)
            if has_peers() and not self._running():
                try:
                    self._here.score = round(await self._benchmarks.cpu(SECONDS), 1)
                    await self._store.put_meta(SCORE, str(self._here.score))
                except ZeusError as error:
                    log.warning("the processor cannot be measured now: %s", error.message)

    async def _portrait(self) -> Portrait:
        place, free = _here(self._places()), _here(self._free_places())
        pace = self._pace()
        names = list(self._catalog.engines)
        engines = await asyncio.gather(*(self._engine(name, place, free, pace.get(name)) for name in names))
        return Portrait(
            id=self._store.uuid,
            name=self._config.node.name,
            start=self._start,
            status=await self.status(),
            engines=dict(zip(names, engines, strict=True)),
            slots=place.free,
            free=max(free.free, 0),
            tasks=await self._tasks(),
            tags=self._config.node.tags,
            benchmark=self._here.score or None,
            shares=self._shares(),
        )

    async def _engine(self, name: str, place: Place, free: Place, seconds: float | None) -> NodeEngine:
        engine, slots = self._catalog.engines[name], min(place.free, place.engines.get(name, 0))
        said = await self._asked(name)
        return NodeEngine(
            available=said.available,
            reason=said.reason,
            slots=slots,
            free=max(min(free.free, free.engines.get(name, 0)), 0),
            versions=said.versions,
            publishes=engine.publishes,
            needs_input=engine.needs_input,
            extensions=sorted(engine.extensions),
            export_formats=list(engine.export_formats),
            models=_models(engine),
            model=_default_model(engine),
            inspects=engine.inspects,
            seconds=seconds if seconds else None,
        )

    async def _asked(self, name: str) -> NodeEngine:
        """What an engine says of this machine, or said when it was asked before, if it takes its time."""
        asking = asyncio.gather(self._catalog.reason(name), self._catalog.versions(name))
        try:
            reason, versions = await asyncio.wait_for(asking, ENGINE_SECONDS)
        except TimeoutError:
            return self._engines.get(name) or NodeEngine(available=False, reason="It has not answered yet.")
        views = [VersionView(each.version, each.source) for each in versions]
        self._engines[name] = NodeEngine(available=reason is None, reason=reason, versions=views)
        return self._engines[name]

    async def _tasks(self) -> list[NodeTask]:
        running = [each.task for each in self._running() if not each.place.peer]
        jobs = {task.job_id: self._jobs.get(task.job_id) or await self._job(task.job_id) for task in running}
        self._jobs = {job_id: known for job_id, known in jobs.items() if known is not None}
        tasks = []
        for task in running:
            name, origin = self._jobs.get(task.job_id, ("", None))
            done = self._progress.get(task.job_id)
            tasks.append(
                NodeTask(job_id=task.job_id, name=name, renderer=task.renderer,
                         percent_complete=done.percent if done is not None else 0, origin=origin)
            )  # fmt: skip
        return tasks

    async def _job(self, job_id: str) -> tuple[str, str | None] | None:
        try:
            job = await self._store.job(job_id)
        except JobNotFound:
            return None
        return job.name, job.share.node if job.share is not None else None


def _here(places: Sequence[Place]) -> Place:
    """This machine among the places."""
    return next((place for place in places if not place.peer), Place("", 0, {}))


def _default_model(engine: Engine[Any]) -> str | None:
    """The generation model of jobs that name none."""
    facts = engine.model_facts() if isinstance(engine, GenerationEngine) else ()
    return next((each.name for each in facts if each.is_default), None)


def _models(engine: Engine[Any]) -> list[str]:
    """The generation models whose weights are here."""
    if not isinstance(engine, GenerationEngine):
        return []
    return [each.name for each in engine.model_facts() if each.state in ("here", "loading", "ready")]
