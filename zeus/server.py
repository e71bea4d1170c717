"""Making, joining and unmaking the parts of a node. Knows no HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from zeus import __version__
from zeus.away import Away
from zeus.benchmark import Benchmarks
from zeus.catalog import Catalog
from zeus.child import Children
from zeus.config import Config
from zeus.debts import Debts
from zeus.dispatch import Dispatchers
from zeus.dispatch.inputs import Inputs
from zeus.dispatch.local import LocalDispatcher, LocalTools
from zeus.dispatch.peer import PeerDispatcher
from zeus.dispatch.remote import Patience
from zeus.downloads import Downloads
from zeus.engine import Engine, GenerationEngine
from zeus.errors import ConfigError, StoreFailed, ZeusError
from zeus.feed import Feed
from zeus.files import Files, remove
from zeus.folders import Folders
from zeus.foreign import Foreign
from zeus.gpus import usable
from zeus.here import Here
from zeus.inference import InferenceExecutor
from zeus.inspection import Inspections
from zeus.jobs import Jobs
from zeus.machine import raise_descriptor_limit
from zeus.media import Media
from zeus.model import Place
from zeus.nodes.addresses import Address, interface_addresses, lan_urls
from zeus.nodes.book import NodeBook
from zeus.nodes.certificates import believed
from zeus.nodes.discovery import Discovery
from zeus.nodes.pairing import Pairing
from zeus.nodes.trust import Trust
from zeus.portrait import Portraits
from zeus.presets import Presets
from zeus.progress import ProgressBook
from zeus.projects import Projects
from zeus.reasons import Reasons
from zeus.recovery import Outcome, recover, recover_later
from zeus.registry import Registry, own_folders
from zeus.schedule.pace import Paces
from zeus.schedule.runner import Runner
from zeus.selection import Selection
from zeus.shares import Shares
from zeus.store import Store
from zeus.submission import Submissions
from zeus.thumbnails import Thumbnails
from zeus.uploads import Uploads
from zeus.whereabouts import Whereabouts
from zeus.wire import Introduction

BRIEF = 10.0
"""Seconds of failures after which a node is not asked any more to check a job: somebody waits for the answer."""

log = logging.getLogger(__name__)


class Zeus(msgspec.Struct, frozen=True):
    """The parts of a running node that the HTTP edge and the command line use."""

    config: Config
    start: str
    """Names this run of the node; list tokens of another run are stale."""
    feed: Feed
    files: Files
    jobs: Jobs
    uploads: Uploads
    inspections: Inspections
    projects: Projects
    reasons: Reasons
    registry: Registry
    catalog: Catalog
    media: Media
    thumbnails: Thumbnails
    presets: Presets
    downloads: Downloads
    benchmarks: Benchmarks
    tools: LocalTools
    address: Address
    nodes: NodeBook
    whereabouts: Whereabouts
    foreign: Foreign
    pairing: Pairing
    discovery: Discovery
    portraits: Portraits
    debts: Debts
    away: Away
    failed: asyncio.Future[ZeusError]
    """Done when the node cannot go on, with the reason."""


@contextlib.asynccontextmanager
async def open_zeus(config: Config) -> AsyncIterator[Zeus]:
    """A node, from taking its storage folder to handing its tasks back.

    Raises ConfigError, StorageInUse or StoreFailed.
    """
    raise_descriptor_limit()
    loop = asyncio.get_running_loop()
    failed: asyncio.Future[ZeusError] = loop.create_future()

    def fail(error: ZeusError) -> None:
        if not failed.done():
            failed.set_result(error)

    async with contextlib.AsyncExitStack() as stack:
        folders = own_folders(_paths(config.plugins.folders), own=config.plugins.own)
        registry = await asyncio.to_thread(Registry.load, folders, config.engines, config.models)
        feed = Feed()
        files = Files(config.storage_path)
        await _open_files(files)
        stack.callback(files.close)
        await asyncio.to_thread(_open_models, registry, files.models)
        store = await Store.open(files.database, feed.announce, fail)
        stack.push_async_callback(store.close)
        address, trust = Address(), Trust(files.root)
        await trust.load()
        believes = await asyncio.to_thread(believed, config.network.ca)
        nodes = NodeBook(config, store.uuid, trust, believes, address, lambda: runner.wake())
        stack.push_async_callback(nodes.close)
        pairing = Pairing(nodes, lambda: Introduction(store.uuid, config.node.name, address.urls))
        children = Children(store.uuid)
        stack.push_async_callback(children.close)
        media = Media(children)
        stack.push_async_callback(media.close)
        gpus = await usable(config.node.gpus, os.environ)
        inference = InferenceExecutor(children, folders, gpus, unload_after=config.generate.unload_after)
        starting: list[asyncio.Task[None]] = []
        # Together, since a worker that is loading a model hears its closed pipe but may not hear a cancel.
        stack.push_async_callback(
            lambda: asyncio.gather(_end_all(starting), _close_models(registry), inference.close())
        )
        downloads = _downloads(config, registry, files, children)
        stack.push_async_callback(downloads.close)
        await downloads.open()
        tools = LocalTools(children, media, inference, files.cache, downloads.managed, folders)
        selection = Selection(downloads, tools)
        left = await recover(store, files)
        progress = ProgressBook(store, feed)
        tags = frozenset(config.node.tags)
        here = Here(
            Place(config.node.name, config.jobs.slots, _slots(config, registry), gpus.sizes, tags=tags),
            downloads.is_automatic,
        )
        local = LocalDispatcher(
            here.places, registry, files, children, tools, selection, config.files.log_bytes,
        )  # fmt: skip
        shared = Folders(config.paths)
        peers = _peers(config, nodes, store, files, registry, shared)
        stack.push_async_callback(peers.close)
        dispatcher = Dispatchers(local, peers)
        paces = Paces(store)
        await paces.open()
        runner = Runner(store, feed, files, progress, dispatcher, paces, config.jobs)
        catalog = Catalog(registry, tools, local.places, lambda: _here(runner.free_places()), downloads.is_automatic)
        stack.callback(catalog.close)
        start, benchmarks = uuid.uuid4().hex[:12], Benchmarks(files, tools)
        portraits = Portraits(
            config, start, address, store, catalog, progress, benchmarks, here,
            local.places, lambda: _here(runner.free_places()), runner.running, paces.here,
            shares=lambda: shared.marks,
        )  # fmt: skip
        inspections = Inspections(files, catalog, tools)
        foreign = Foreign(nodes, Inputs(files, store.uuid, Patience(BRIEF), shared.common), shared)
        submissions = Submissions(
            registry,
            inspections.before,
            selection.check,
            selection.pin,
            catalog.reason,
            foreign,
            shared.find,
            max_attempts=config.jobs.max_attempts,
            local_roots=[*_paths(config.files.local_roots), *shared.roots],
        )
        projects = Projects(files, registry)
        reasons = Reasons(store, runner, catalog, nodes)
        jobs = Jobs(store, files, registry, runner, progress, submissions, projects, reasons, foreign)
        whereabouts = Whereabouts(nodes, jobs.has, config.network.patience)
        stack.callback(whereabouts.close)
        strays = await asyncio.to_thread(files.strays, await store.job_ids())
        uploads = Uploads(files, store, config.http.max_upload_bytes)
        await uploads.load()
        thumbnails = Thumbnails(files, media)
        stack.push_async_callback(thumbnails.close)
        debts = Debts(store, nodes, feed)
        shares = Shares(store, nodes, feed, jobs, thumbnails, config.network.hold)
        stack.push_async_callback(paces.keep)
        stack.push_async_callback(runner.close)
        await runner.take_up(left[Outcome.AWAY])
        work = [
            _essential(runner.run(), fail),
            _essential(progress.run(), fail),
            _essential(here.run(catalog, runner.wake), fail),
            _essential(recover_later(store, files, left[Outcome.UNSETTLED], runner.take_up), fail),
            _essential(debts.run(), fail),
            _essential(shares.run(), fail),
            _essential(shares.sweep(), fail),
            _essential(uploads.run(), fail),
            _essential(shared.run(), fail),
            _essential(portraits.run(lambda: bool(nodes.online())), fail),
            asyncio.to_thread(remove, *strays),
        ]
        stack.push_async_callback(_end_all, [asyncio.ensure_future(each) for each in work])
        starting += [asyncio.create_task(_start_engine(engine, tools)) for engine in registry.engines.values()]
        stack.callback(feed.close)
        discovery = _discovery(config, registry, nodes)
        stack.push_async_callback(discovery.close)
        yield Zeus(
            config, start, feed, files, jobs, uploads, inspections, projects, reasons,
            registry, catalog, media, thumbnails,
            Presets(registry, files.root / "presets.yaml"), downloads, benchmarks, tools,
            address, nodes, whereabouts, foreign, pairing, discovery, portraits, debts,
            Away(store, nodes, peers), failed,
        )  # fmt: skip


def _peers(
    config: Config, nodes: NodeBook, store: Store, files: Files, registry: Registry, shared: Folders
) -> PeerDispatcher:
    network = config.network
    patience = Patience(2 * network.lease + network.grace)
    return PeerDispatcher(
        nodes,
        store,
        files,
        Inputs(files, store.uuid, patience, shared.common),
        patience,
        lease=network.lease,
        grace=network.grace,
        log_bytes=config.files.log_bytes,
    )


def _here(places: Sequence[Place]) -> list[Place]:
    return [place for place in places if not place.peer]


async def _open_files(files: Files) -> None:
    try:
        await asyncio.to_thread(files.open)
    except OSError as error:
        raise ConfigError(f"node.storage: {files.root} cannot be used: {error.strerror}.") from error


async def _essential(work: Awaitable[None], fail: Callable[[ZeusError], None]) -> None:
    """A loop without which the node is none: when it dies, the node ends with its error."""
    try:
        await work
    except Exception as error:
        log.critical("an essential part of the node failed", exc_info=error)
        fail(error if isinstance(error, ZeusError) else StoreFailed(f"An essential part failed: {error!r}."))


def _open_models(registry: Registry, folder: Path) -> None:
    for engine in registry.engines.values():
        if isinstance(engine, GenerationEngine):
            engine.open(folder)


async def _close_models(registry: Registry) -> None:
    engines = [each for each in registry.engines.values() if isinstance(each, GenerationEngine)]
    await asyncio.gather(*(each.close() for each in engines), return_exceptions=True)


async def _start_engine(engine: Engine[Any], tools: LocalTools) -> None:
    try:
        await engine.start(tools)
    except Exception as error:
        log.error("engine %s failed to start", engine.name, exc_info=error)


def _paths(folders: Iterable[str]) -> list[Path]:
    return [Path(folder).expanduser().absolute() for folder in folders]


async def _end_all(tasks: Sequence[asyncio.Future[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _slots(config: Config, registry: Registry) -> dict[str, int]:
    return {name: config.engine(name).slots for name in registry.engines}


def _downloads(config: Config, registry: Registry, files: Files, children: Children) -> Downloads:
    sources = {name: engine.releases for name, engine in registry.engines.items() if engine.releases is not None}
    return Downloads(files, children, sources, {name: config.engine(name) for name in sources})


def _discovery(config: Config, registry: Registry, nodes: NodeBook) -> Discovery:
    wanted, address = config.network.interfaces, nodes.address

    def urls() -> tuple[str, ...]:
        """Where the node is now: machines get other addresses."""
        address.urls = tuple(lan_urls(config.http, address.port, wanted)) or address.urls
        return address.urls

    said = {"name": config.node.name, "version": __version__, "engines": ",".join(registry.engines)}
    said |= {"open": "1"} if config.http.open else {}
    said |= {"https": "1"} if config.http.certificate else {}
    return Discovery(
        nodes.own_id, nodes.sightings, nodes.is_wanted, lambda: interface_addresses(wanted), urls, lambda: said
    )
