"""What tests of the page ask of a node without the page, and what runs beside them in a loop of its own."""

from __future__ import annotations

import asyncio
import json
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, TypeVar

from tests.conftest import HANG

T = TypeVar("T")


def ask(url: str, body: Any = None, *, method: str | None = None) -> Any:
    """The JSON that a node answers with; a body is sent as JSON."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=HANG) as got:
        content = got.read()
    return json.loads(content) if content else None


def add(url: str, **fields: Any) -> str:
    """Add a job, by default of the noop engine; its id."""
    return str(ask(f"{url}/api/add_job", {"renderer": "noop", **fields})["id"])


def until(url: str, job_id: str, *wanted: str) -> dict[str, Any]:
    """Wait for a job to reach one of these statuses, or any end."""
    deadline = time.monotonic() + HANG
    while time.monotonic() < deadline:
        job: dict[str, Any] = ask(f"{url}/api/jobs/{job_id}")
        if job["status"] in (wanted or ("finished", "failed", "cancelled")):
            return job
        ask(f"{url}/api/jobs/long_poll?timeout=1&fields=id")
        time.sleep(0.02)
    raise AssertionError(f"job {job_id} hangs as {job['status']}")


@contextmanager
def beside(manager: AbstractAsyncContextManager[T]) -> Iterator[tuple[T, Callable[..., Any]]]:
    """What an asynchronous manager gives, and a function that has its loop call something."""
    started: threading.Event = threading.Event()
    made: list[Any] = []

    async def run() -> None:
        async with manager as given:
            stop = asyncio.Event()
            made.extend([given, asyncio.get_running_loop(), stop])
            started.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    assert started.wait(HANG)
    given, loop, stop = made
    try:
        yield given, loop.call_soon_threadsafe
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(HANG)
