"""The HTTP application: its routes, its middleware, and running it with a node behind it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import signal
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
from aiohttp import web

import zeus as package
from zeus.api import actions, add_job, events, generate, jobs, outputs, status
from zeus.api.errors import API_VERSION, PREPARED, VERSION_HEADER, answer_errors
from zeus.api.guard import make_guard
from zeus.api.keys import LISTS, ZEUS
from zeus.api.lists import JobLists
from zeus.config import Config
from zeus.errors import ConfigError
from zeus.server import Zeus, open_zeus

EXIT_STORE_FAILED = 70
SHUTDOWN = 15.0
"""Seconds that open requests get at the end; long polls are let go at once."""
BACKLOG = 512

ROUTES = (
    web.get("/api/model-status", generate.model_status),
    web.post("/api/generate", generate.generate),
    web.get("/files/{job_id:.+}/out.mp4", generate.video),
    web.get("/api/jobs", jobs.jobs),
    web.get("/api/jobs/long_poll", jobs.long_poll),
    web.get("/api/jobs/status/{status}", jobs.by_status),
    web.get("/api/jobs/{job_id}", jobs.job),
    web.get("/api/jobs/{job_id}/why", jobs.why),
    web.get("/api/jobs/{job_id}/logs", outputs.logs),
    web.get("/api/jobs/{job_id}/files", outputs.files),
    web.get("/api/jobs/{job_id}/download", outputs.download),
    web.post("/api/jobs/{job_id}/cancel", actions.cancel),
    web.post("/api/jobs/{job_id}/delete", actions.delete),
    web.post("/api/jobs/{job_id}/pause", actions.pause),
    web.post("/api/jobs/{job_id}/resume", actions.resume),
    web.post("/api/jobs/{job_id}/retry", actions.retry),
    web.post("/api/jobs/{job_id}/priority", actions.priority),
    web.post("/api/jobs/{job_id}/subjob_update", actions.subjob_update),
    web.post("/api/add_job", add_job.add_job),
    web.get("/api/events", events.events),
    web.get("/api/heartbeat", status.heartbeat),
    web.get("/api/status", status.status),
    web.get("/api/engines/names", status.engine_names),
    web.get("/api/engines/for_filename", status.engine_for_filename),
)

HEADERS = {
    VERSION_HEADER: API_VERSION,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}

log = logging.getLogger(__name__)


class Node(msgspec.Struct, frozen=True):
    """A node that answers. `url` is http://HOST:PORT, or unix:PATH where this machine has no loopback network."""

    url: str
    zeus: Zeus


def make_app(zeus: Zeus) -> web.Application:
    """The application in front of a node."""
    guard = make_guard(zeus.config, zeus.files.root)
    app = web.Application(middlewares=[answer_errors, guard.check], client_max_size=zeus.config.http.max_json_bytes)
    app[ZEUS] = zeus
    app[LISTS] = JobLists(zeus)
    app.add_routes(ROUTES)
    app.on_response_prepare.append(_add_headers)
    app.on_shutdown.append(_let_go)
    return app


@contextlib.asynccontextmanager
async def running_node(config: Config) -> AsyncIterator[Node]:
    """A node with its HTTP door open: opened last, closed first. Raises ConfigError, StorageInUse or StoreFailed."""
    async with open_zeus(config) as zeus:
        runner = web.AppRunner(
            make_app(zeus), handle_signals=False, access_log=None, auto_decompress=False, shutdown_timeout=SHUTDOWN
        )
        await runner.setup()
        try:
            yield Node(await _listen(runner, zeus), zeus)
        finally:
            await runner.cleanup()


async def serve(config: Config, *, announce: Callable[[str], None]) -> int:
    """Run a node until SIGINT or SIGTERM; the exit code. `announce` gets its URL once it answers."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with running_node(config) as node:
        announce(node.url)
        stopped = asyncio.ensure_future(stop.wait())
        ends: list[asyncio.Future[Any]] = [stopped, node.zeus.failed]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if node.zeus.failed.done():
            log.critical("%s", node.zeus.failed.result().message)
            return EXIT_STORE_FAILED
    return 0


async def _listen(runner: web.AppRunner, zeus: Zeus) -> str:
    http = zeus.config.http
    site: web.BaseSite = web.TCPSite(runner, http.host, http.port, backlog=BACKLOG)
    try:
        await site.start()
    except OSError as error:
        reason = "it is in use" if error.errno == errno.EADDRINUSE else error.strerror
        raise ConfigError(f"http.port: {http.host}:{http.port} cannot be listened on: {reason}.") from error
    host, port = runner.addresses[0][:2]
    if http.port == 0 and not await asyncio.to_thread(_reachable, host, port):
        await site.stop()
        path = zeus.files.root / "socket"
        await web.UnixSite(runner, path, backlog=BACKLOG).start()
        return f"unix:{path}"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _reachable(host: str, port: int) -> bool:
    """Whether this machine can reach itself: without any network not even loopback is up."""
    try:
        socket.create_connection((host, port), timeout=2).close()
    except OSError:
        return False
    return True


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    request[PREPARED] = True
    response.headers["Server"] = f"Zeus/{package.__version__}"
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)


async def _let_go(app: web.Application) -> None:
    app[ZEUS].feed.close()
