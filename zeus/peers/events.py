"""A node's stream of events (server-sent events, as the HTML standard has them), resumed wherever it breaks."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Literal

import msgspec

from zeus.peers.connection import Connection, ServerRefused, ServerUnreachable, pause
from zeus.wire import JobView

SILENCE_SECONDS = 45.0
"""The node writes something every 15 s; after three times that it is gone."""
MOST_DOUBLINGS = 5
LARGEST = 64 << 20


class JobEvent(msgspec.Struct, frozen=True):
    """A change. `reset`: forget all jobs that you know, the `job` events that follow are all there are."""

    id: int
    kind: Literal["job", "removed", "reset"]
    job_id: str = ""
    job: JobView | None = None


class _Removed(msgspec.Struct, frozen=True):
    id: str


async def events(connection: Connection, last_id: int) -> AsyncGenerator[JobEvent, None]:
    """Every change after the event `last_id`, for ever: a server that is away is waited for.

    Raises ServerRefused where asking again makes no sense.
    """
    failures = 0
    while True:
        try:
            headers = {"Last-Event-ID": str(last_id), "Accept": "text/event-stream"}
            async with connection.open("GET", "/api/events", headers=headers, wait=SILENCE_SECONDS) as response:
                async for block in _blocks(response.content.iter_any()):
                    failures = 0
                    event = _parse(block)
                    if event is not None:
                        last_id = event.id
                        yield event
        except (ServerUnreachable, ServerRefused) as error:
            if not error.again:
                raise
        failures = min(failures + 1, MOST_DOUBLINGS)
        await pause(failures)


async def _blocks(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """What stands between two empty lines."""
    buffer = bytearray()
    async for chunk in chunks:
        buffer += chunk
        while (end := buffer.find(b"\n\n")) >= 0:
            yield bytes(buffer[:end])
            del buffer[: end + 2]
        if len(buffer) > LARGEST:
            raise ServerRefused(200, "unexpected_answer", "The server sends an event without an end.")


def _parse(block: bytes) -> JobEvent | None:
    """An event, or None for a comment and for kinds of a newer server. Raises ServerRefused."""
    fields = {name: value for name, _, value in (line.partition(b": ") for line in block.split(b"\n"))}
    number, kind, data = fields.get(b"id", b""), fields.get(b"event"), fields.get(b"data", b"")
    if not number.isdigit():
        return None
    try:
        if kind == b"job":
            job = msgspec.json.decode(data, type=JobView)
            return JobEvent(int(number), "job", job.id, job)
        if kind == b"removed":
            return JobEvent(int(number), "removed", msgspec.json.decode(data, type=_Removed).id)
    except msgspec.MsgspecError as error:
        message = f"The server's event is not one of Zeus's API: {error}."
        raise ServerRefused(200, "unexpected_answer", message) from error
    return JobEvent(int(number), "reset") if kind == b"reset" else None
