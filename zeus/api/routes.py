"""The routes: which handler answers where, and the scope that a token needs for it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec
from aiohttp import web
from aiohttp.web_urldispatcher import AbstractRoute

from zeus.api import (
    actions,
    add_job,
    archive,
    benchmarks,
    docs,
    engines,
    events,
    generate,
    jobs,
    models,
    nodes,
    openapi,
    outputs,
    presets,
    session,
    site,
    snapshot,
    status,
    thumbnails,
    uploads,
    versions,
    videos,
)
from zeus.api.access import Scopes
from zeus.api.errors import Handler
from zeus.api.guard import expect_later
from zeus.tokens import Scope

READ, SUBMIT, ADMIN = Scope.READ, Scope.SUBMIT, Scope.ADMIN
PUBLIC: Final = None
"""In place of a scope: whoever reaches the node may ask."""


class Route(msgspec.Struct, frozen=True):
    """One row of the API. A `GET` answers `HEAD` too."""

    method: str
    path: str
    handler: Handler
    scope: Scope | None


ROUTES: tuple[Route, ...] = (
    Route("GET", "/", site.page, PUBLIC),
    Route("GET", "/static/{file:(?s:.+)}", site.static, PUBLIC),
    Route("GET", "/api/model-status", generate.model_status, READ),
    Route("POST", "/api/generate", generate.generate, SUBMIT),
    Route("GET", "/api/models", models.models, READ),
    Route("POST", "/api/models/{model}/pull", models.pull, ADMIN),
    Route("POST", "/api/models/{model}/remove", models.remove, ADMIN),
    Route("POST", "/api/models/{model}/use", models.use, ADMIN),
    Route("GET", "/files/{job_id:(?s:.+)}/out.mp4", generate.video, READ),
    Route("POST", "/v1/videos", videos.create, SUBMIT),
    Route("GET", "/v1/videos", videos.videos, READ),
    Route("POST", "/v1/videos/edits", videos.unsupported, SUBMIT),
    Route("POST", "/v1/videos/extensions", videos.unsupported, SUBMIT),
    Route("POST", "/v1/videos/characters", videos.unsupported, SUBMIT),
    Route("GET", "/v1/videos/characters/{character_id}", videos.unsupported, READ),
    Route("GET", "/v1/videos/{job_id}", videos.video, READ),
    Route("DELETE", "/v1/videos/{job_id}", videos.delete, SUBMIT),
    Route("GET", "/v1/videos/{job_id}/content", videos.content, READ),
    Route("POST", "/v1/videos/{job_id}/remix", videos.remix, SUBMIT),
    Route("GET", "/api/jobs", jobs.jobs, READ),
    Route("GET", "/api/jobs/long_poll", jobs.long_poll, READ),
    Route("GET", "/api/jobs/status/{status}", jobs.by_status, READ),
    Route("GET", "/api/jobs/{job_id}", jobs.job, READ),
    Route("GET", "/api/jobs/{job_id}/why", jobs.why, READ),
    Route("GET", "/api/jobs/{job_id}/frames", jobs.frames, READ),
    Route("GET", "/api/jobs/{job_id}/logs", outputs.logs, READ),
    Route("GET", "/api/jobs/{job_id}/files", outputs.files, READ),
    Route("GET", "/api/jobs/{job_id}/download", outputs.download, READ),
    Route("GET", "/api/jobs/{job_id}/download_all", archive.download_all, READ),
    Route("GET", "/api/jobs/{job_id}/thumbnail", thumbnails.thumbnail, READ),
    Route("POST", "/api/jobs/{job_id}/cancel", actions.cancel, SUBMIT),
    Route("POST", "/api/jobs/{job_id}/delete", actions.delete, SUBMIT),
    Route("POST", "/api/jobs/{job_id}/pause", actions.pause, SUBMIT),
    Route("POST", "/api/jobs/{job_id}/resume", actions.resume, SUBMIT),
    Route("POST", "/api/jobs/{job_id}/retry", actions.retry, SUBMIT),
    Route("POST", "/api/jobs/{job_id}/priority", actions.priority, SUBMIT),
    Route("POST", "/api/jobs/{job_id}/subjob_update", actions.subjob_update, SUBMIT),
    Route("POST", "/api/add_job", add_job.add_job, SUBMIT),
    Route("POST", "/api/uploads", uploads.create, SUBMIT),
    Route("GET", "/api/uploads/{upload_id}", uploads.upload, SUBMIT),
    Route("PATCH", "/api/uploads/{upload_id}", uploads.append, SUBMIT),
    Route("DELETE", "/api/uploads/{upload_id}", uploads.delete, SUBMIT),
    Route("GET", "/api/uploads/{upload_id}/facts", uploads.facts, SUBMIT),
    Route("GET", "/api/events", events.events, READ),
    Route("POST", "/api/session", session.sign_in, PUBLIC),
    Route("DELETE", "/api/session", session.sign_out, PUBLIC),
    Route("GET", "/api/heartbeat", status.heartbeat, PUBLIC),
    Route("GET", "/api/status", status.status, READ),
    Route("GET", "/healthz", status.healthz, PUBLIC),
    Route("GET", "/readyz", status.readyz, PUBLIC),
    Route("GET", "/api/openapi.json", openapi.openapi, READ),
    Route("GET", "/api/docs", docs.docs, READ),
    Route("GET", "/api/snapshot", snapshot.snapshot, READ),
    Route("GET", "/api/full_status", snapshot.full_status, READ),
    Route("GET", "/api/nodes", nodes.nodes, READ),
    Route("GET", "/api/nodes/self", nodes.portrait, READ),
    Route("POST", "/api/nodes", nodes.add, ADMIN),
    Route("DELETE", "/api/nodes/{node_id}", nodes.remove, ADMIN),
    Route("POST", "/api/nodes/pairing", nodes.begin_pairing, ADMIN),
    Route("POST", "/api/nodes/pair", nodes.pair, PUBLIC),
    Route("POST", "/api/nodes/pair/{exchange}", nodes.confirm, PUBLIC),
    Route("POST", "/api/nodes/prove", nodes.prove, PUBLIC),
    Route("GET", "/api/presets", presets.presets, READ),
    Route("GET", "/api/cpu_benchmark", benchmarks.cpu_benchmark, SUBMIT),
    Route("GET", "/api/disk_benchmark", benchmarks.disk_benchmark, SUBMIT),
    Route("GET", "/api/_debug/detected_clients", snapshot.detected_clients, ADMIN),
    Route("POST", "/api/_debug/clear_history", snapshot.clear_history, ADMIN),
    Route("GET", "/api/engines", engines.engines, READ),
    Route("GET", "/api/engines/names", engines.names, READ),
    Route("GET", "/api/engines/for_filename", engines.for_filename, READ),
    Route("GET", "/api/engines/download_available", versions.download_available, READ),
    Route("GET", "/api/engines/most_recent_version", versions.most_recent_version, READ),
    Route("POST", "/api/engines/download", versions.download, ADMIN),
    Route("POST", "/api/engines/delete", versions.delete, ADMIN),
    Route("GET", "/api/engines/{engine}", engines.engine, READ),
    Route("GET", "/api/engines/{engine}/availability", engines.availability, READ),
    Route("GET", "/api/engines/{engine}/args", engines.args, READ),
    Route("GET", "/api/engines/{engine}/help", engines.help_text, READ),
)


def add_routes(app: web.Application, routes: Iterable[Route]) -> Scopes:
    """Add routes to an application; the scope of each."""
    scopes: dict[AbstractRoute, Scope | None] = {}
    for route in routes:
        resource = app.router.add_resource(route.path)
        for method in ("GET", "HEAD") if route.method == "GET" else (route.method,):
            added = resource.add_route(method, route.handler, expect_handler=expect_later)
            scopes[added] = route.scope
    return scopes
