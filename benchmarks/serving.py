"""Serves a Flask application as both stacks do: waitress, one process, a thread for each request at work."""

from __future__ import annotations

import logging
from typing import Any

import waitress


def serve(app: Any, *, threads: int) -> None:
    """Serve on any free loopback port, which is printed, until a signal."""
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    server = waitress.create_server(
        app, host="127.0.0.1", port=0, threads=threads, backlog=512, connection_limit=10_000,
        asyncore_use_poll=True, outbuf_overflow=1 << 26, channel_timeout=300,
    )  # fmt: skip
    print(f"http://127.0.0.1:{server.effective_port}", flush=True)
    server.run()
