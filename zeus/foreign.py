"""Engines that cannot run here: jobs for them are checked at a node that can, and stored here as it settles them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from zeus import versions
from zeus.dispatch.inputs import Inputs
from zeus.engine import ModelState
from zeus.errors import BadInput, NoSpace, NotReady, TaskFailed, TooLarge, ZeusError
from zeus.folders import Folders
from zeus.model import Demand
from zeus.nodes.book import NodeBook
from zeus.nodes.peer import Peer
from zeus.peers.connection import ServerRefused, ServerUnreachable, decode
from zeus.projects import ARCHIVES
from zeus.requests import JobRequest, Settled, Source, span_of
from zeus.wire import DryRun, NodeEngine, SharedFile, UploadFacts

NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
MOST_ASKED = 4
"""Nodes that are asked to check one request at most."""
LARGEST = 4 << 20
"""Bytes of such an answer."""
DEEPEST = 16
"""Levels of an engine's arguments, which are part of every list from then on."""
MOST_TEXT = 1000
"""Characters that are shown of what another node says."""
CHECK_SECONDS = 90.0
"""Seconds that a node may take for one: it may look into the file meanwhile."""
OF_A_NODE = frozenset({"unknown_engine", "unknown_version", "unknown_model", "model_not_found", "share_unusable",
                       "newer_blender_needed", "unsupported_api_version"})  # fmt: skip
"""What one node refuses and another may take."""


class Foreign:
    """The engines of the other nodes, as far as jobs are given to them from here."""

    def __init__(self, book: NodeBook, inputs: Inputs, folders: Folders) -> None:
        self._book = book
        self._inputs = inputs
        self._folders = folders

    def names(self) -> list[str]:
        """The engines that nodes which answer have, by name."""
        return sorted({name for peer in self._book.online() for name in _engines(peer)})

    def for_filename(self, name: str) -> str | None:
        """The engine that takes files of this name at some node, or None; one that can run goes first."""
        found = [(not engine.available, engine_name) for peer in self._book.online()
                 for engine_name, engine in _engines(peer).items() if _takes(engine, name)]  # fmt: skip
        return min(found)[1] if found else None

    def can_check(self, request: JobRequest, source: Source | None) -> bool:
        """Whether there is a node that could check a job, and then run it."""
        return bool(self._candidates(request, source))

    def refuse_unready(self, renderer: str | None) -> None:
        """Raises NotReady `engine_not_ready` where nodes have an engine and none of them can run it now."""
        known = [(peer, _engines(peer)[renderer]) for peer in self._book.peers.values() if renderer in _engines(peer)]
        if renderer is not None and known:
            why = " ".join(f"{peer.name}: {_unready(peer, engine)}" for peer, engine in known)
            raise NotReady(f"No node can run {renderer} now. {why}", code="engine_not_ready", retry_after=30)

    def model_state(self, engine: str, model: str | None) -> ModelState | None:
        """The state of a generation model, or of the default one, where it is ready at a node; else None."""
        for peer in self._book.online():
            found = _engines(peer).get(engine)
            wanted = model or (found.model if found is not None else None)
            if found is not None and found.available and wanted in found.models:
                return ModelState(True, False, f"{_clean(wanted or '')} is ready on {peer.name}")
        return None

    async def settle(self, requests: Sequence[JobRequest], source: Source | None) -> list[Settled]:
        """What the first node that can tell makes of some requests with one input.

        Raises BadInput as a node does that refuses them, or NotReady where none answers.
        """
        problems: list[ZeusError] = []
        for peer in self._candidates(requests[0], source)[:MOST_ASKED]:
            try:
                return await self._ask(peer, requests, source)
            except ServerRefused as error:
                problems.append(_as_ours(peer, error))
                if error.status == 400 and error.code not in OF_A_NODE:
                    break
            except (ServerUnreachable, TaskFailed) as error:
                problems.append(NotReady(f"{peer.name}: {error.message}", code="engine_not_ready"))
        refused = [each for each in problems if isinstance(each, BadInput)]
        nobody = NotReady("No node can check this job now.", code="engine_not_ready", retry_after=30)
        raise (refused or problems or [nobody])[-1]

    async def facts(self, source: Source, project_file: str | None) -> UploadFacts | None:
        """What a node finds in a file; None where none is there that could. Raises BadInput or NotReady."""
        for peer in self._candidates(JobRequest(), source)[:MOST_ASKED]:
            try:
                upload = await self._send(peer, source)
                params = {"project_file": project_file} if project_file is not None else {}
                path = f"/api/uploads/{upload}/facts"
                async with asyncio.timeout(CHECK_SECONDS):
                    answer = await peer.proxy.request("GET", path, params=params, most=LARGEST, wait=CHECK_SECONDS)
                return decode(answer, UploadFacts)
            except ServerRefused as error:
                raise _as_ours(peer, error) from error
            except (ServerUnreachable, TaskFailed, TimeoutError):
                continue
        return None

    def _candidates(self, request: JobRequest, source: Source | None) -> list[Peer]:
        """The nodes that could run a job; without a `renderer`, those that take such a file, or may unpack it."""
        return [peer for peer in self._book.online()
                if any(_can_run(name, engine, request, source) for name, engine in _engines(peer).items())]  # fmt: skip

    async def _ask(self, peer: Peer, requests: Sequence[JobRequest], source: Source | None) -> list[Settled]:
        params = {"dry_run": "1"}
        if requests[0].seconds is not None:
            params["seconds"] = f"{requests[0].seconds:g}"
        given = await self._input(peer, requests[0], source)
        if source is not None and not given:
            params["filename"] = source.name
        body = [{**_fields(request), **given} for request in requests]
        try:
            async with asyncio.timeout(CHECK_SECONDS):  # all of it: an answer may also come byte by byte
                answer = await peer.proxy.request(
                    "POST", "/api/add_job", params=params, json=body, most=LARGEST, wait=CHECK_SECONDS
                )
        except TimeoutError as error:
            raise ServerUnreachable("It takes too long to answer.") from error
        told = await asyncio.to_thread(decode, answer, list[DryRun])
        if len(told) != len(requests):
            raise ServerRefused(answer.status, "unexpected_answer", "It answers for another number of jobs.")
        return [_settled(each, request, peer) for each, request in zip(told, requests, strict=True)]

    async def _input(self, peer: Peer, request: JobRequest, source: Source | None) -> dict[str, Any]:
        """The fields that name a job's input there; none where its engine need not see it to check the job."""
        if source is None or (source.upload is None and source.path is None):
            return {}
        if not _is_archive(source) and not _inspects(peer, request, source):
            return {}
        if (shared := await self._shared(peer, source)) is not None:
            return {"shared": msgspec.to_builtins(shared)}
        return {"upload": await self._send(peer, source)}

    async def _shared(self, peer: Peer, source: Source) -> SharedFile | None:
        return await self._folders.common(Path(source.path), peer) if source.path is not None else None

    async def _send(self, peer: Peer, source: Source) -> str:
        """Have a node hold a file, which goes there once however many jobs have it; the upload's id there."""
        path = source.upload.part if source.upload is not None else Path(source.path or "")
        if not await asyncio.to_thread(path.is_file):
            raise BadInput(f'"{source.name}" is no single file, and no folder that other nodes see.', code="not_shared")
        try:
            return await self._inputs.send(path, source.name, peer, lambda done, size: None)
        except OSError as error:
            raise BadInput(f'"{source.name}" cannot be read: {error.strerror}.', code="file_not_found") from error


def _engines(peer: Peer) -> dict[str, NodeEngine]:
    """A node's engines by name; of names that no engine of Zeus's can have, nothing is known."""
    found = peer.portrait.engines if peer.portrait is not None else {}
    return {name: engine for name, engine in found.items() if NAME.fullmatch(name)}


def _can_run(name: str, engine: NodeEngine, request: JobRequest, source: Source | None) -> bool:
    if not engine.available:
        return False
    if request.renderer is None:
        return source is not None and (_is_archive(source) or _takes(engine, source.name))
    model, wish = request.args.get("model") or engine.model, request.renderer_version
    has_version = wish in (versions.LATEST, versions.LTS) or versions.choose(
        engine.versions, wish, (), lambda each: each.version
    ) is not None  # fmt: skip
    has_model = engine.model is None or model in engine.models
    return name == request.renderer and has_version and has_model


def _takes(engine: NodeEngine, name: str) -> bool:
    return PurePosixPath(name).suffix.lower().lstrip(".") in engine.extensions


def _is_archive(source: Source) -> bool:
    return PurePosixPath(source.name).suffix.lower() in ARCHIVES


def _inspects(peer: Peer, request: JobRequest, source: Source) -> bool:
    return any(engine.inspects for name, engine in _engines(peer).items()
               if name == request.renderer or (request.renderer is None and _takes(engine, source.name)))  # fmt: skip


def _fields(request: JobRequest) -> dict[str, Any]:
    """A request as add_job has it, but for what is of no matter to the engine, or this node's own affair."""
    names = ("renderer", "start_frame", "end_frame", "project_file")
    given = {name: value for name in names if (value := getattr(request, name)) is not None}
    return {**given, "renderer_version": request.renderer_version, "args": dict(request.args),
            "enable_split_jobs": request.enable_split_jobs}  # fmt: skip


def _settled(told: DryRun, request: JobRequest, peer: Peer) -> Settled:
    """What a node says, as far as it can be true. Raises ServerRefused."""
    try:
        span = span_of(told.start_frame, told.end_frame)
    except BadInput as error:
        raise ServerRefused(200, "unexpected_answer", f"It answers with impossible frames: {error.message}") from error
    if request.start_frame is not None and span != span_of(request.start_frame, request.end_frame):
        raise ServerRefused(200, "unexpected_answer", "It answers with other frames than it was asked about.")
    if told.renderer not in _engines(peer) or request.renderer not in (None, told.renderer):
        raise ServerRefused(200, "unexpected_answer", "It answers for another engine.")
    if not _is_flat(told.args, DEEPEST):
        raise ServerRefused(200, "unexpected_answer", "It answers with arguments without an end.")
    demand = told.demand
    return Settled(
        renderer=told.renderer,
        args=msgspec.json.encode(told.args),
        span=span,
        frame_step=told.frame_step,
        publishes=told.publishes,
        splits=told.can_split or told.splits,
        joins=told.joins,
        version=told.renderer_version if told.splits else "",
        demand=Demand(gpu=demand.gpu, memory=demand.memory, least=demand.least, model=demand.model),
        project=told.project_file or "",
    )


def _is_flat(value: object, levels: int) -> bool:
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return levels > 0 and all(_is_flat(each, levels - 1) for each in inner)


def _as_ours(peer: Peer, error: ServerRefused) -> ZeusError:
    """Another node's refusal as this node's own."""
    message, code = _clean(error.message), _clean(error.code)
    kinds: dict[int, type[ZeusError]] = {400: BadInput, 413: TooLarge, 507: NoSpace}
    if error.status in kinds:
        return kinds[error.status](message, code=code)
    return NotReady(f"{peer.name}: {message}", code="engine_not_ready", retry_after=30)


def _clean(text: str) -> str:
    """What another node says, bounded, and in one printable line."""
    return "".join(each if each.isprintable() else "?" for each in text[:MOST_TEXT])


def _unready(peer: Peer, engine: NodeEngine) -> str:
    return _clean(engine.reason or "It cannot run now.") if peer.online else "It does not answer."
