"""What a job is cut into and what is joined: the inputs on their way to the pieces, their files on their way back."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from zeus.engine import Made, Piece, Span
from zeus.errors import TaskFailed
from zeus.files import Files
from zeus.model import Job, NewJob, Place, Role, Task
from zeus.names import safe_name
from zeus.placement import able
from zeus.schedule.sizing import seconds_per_frame
from zeus.store import Store

ROUNDS = (1.0, 0.5)
"""Each slot is thought to make so many pieces, the later ones smaller, so that all end at nearly the same time."""
MOST_PARTS = 256
LONGEST_NAME = 200


class Parts:
    """Cuts and joins for the jobs of one node."""

    def __init__(self, store: Store, files: Files) -> None:
        self._store = store
        self._files = files

    async def made(self, job: Job) -> list[Made]:
        """What the pieces of a job have made."""
        return [
            Made(
                piece.name,
                tuple(self._files.out(piece.id) / name for name in names),
                None
                if piece.start_frame is None or piece.end_frame is None
                else Span(piece.start_frame, piece.end_frame),
            )
            for piece, names in await self._store.made(job.id)
        ]

    async def place(self, task: Task, attempt: int, job: Job, folder: Path, pieces: Sequence[Piece[Any]]) -> bool:
        """Store what a job was cut into, each piece's input in a folder of its own.

        False when the attempt is over, or wished to be: then nothing is stored. Raises TaskFailed for inputs that are
        not what an engine may give.
        """
        if len({piece.input for piece in pieces}) < len(pieces) or any(each.input.parent != folder for each in pieces):
            raise TaskFailed("The engine gave pieces inputs that are not files of their own.", retry=False)
        new = [_job_of(piece, job) for piece in pieces] if len(pieces) > 1 else []
        is_placed = False
        try:
            for piece, made in zip(pieces, new, strict=False):
                await self._files.take_in(piece.input, [self._files.input(made.id, made.input or "")])
            is_placed = await self._store.place_pieces(task, attempt, job, new)
        finally:
            if not is_placed:
                await self._files.discard(*(self._files.job(each.id) for each in new))
        return is_placed

    async def drop(self, job: Job) -> None:
        """Remove the files of the pieces that were joined: parts of a file are nobody's."""
        ids = await self._store.drop_pieces(job.id)
        await self._files.discard(*(path for each in ids for path in (self._files.out(each), self._files.inputs(each))))


def weights(task: Task, places: Sequence[Place]) -> list[float]:
    """How much of a job each piece is to be, with places as they are when nothing runs there."""
    whole = msgspec.structs.replace(task, role=Role.WORK, demand=msgspec.structs.replace(task.demand, here=False))
    found = able(whole, places)
    seconds = seconds_per_frame(task.renderer, found, {})
    usual = sum(seconds.values()) / len(seconds) if seconds else 1.0
    slots = [
        usual / seconds.get(place.node, usual)
        for place in found
        for _ in range(min(place.free, place.engines.get(task.renderer, 0)))
    ][: MOST_PARTS // len(ROUNDS)]
    return [part * slot for part in ROUNDS for slot in slots] if len(slots) > 1 else []


def _span(piece: Job) -> Span | None:
    if piece.start_frame is None or piece.end_frame is None:
        return None
    return Span(piece.start_frame, piece.end_frame)


def _job_of(piece: Piece[Any], job: Job) -> NewJob:
    base = msgspec.structs.asdict(job)
    values = {name: base[name] for name in NewJob.__struct_fields__}
    return NewJob(**{
        **values,
        "id": str(uuid.uuid4()),
        "name": f"{job.name[: LONGEST_NAME // 2]} {piece.name}"[:LONGEST_NAME],
        "args": msgspec.json.encode(piece.args),
        "created": time.time(),
        "start_frame": piece.span.start if piece.span else None,
        "end_frame": piece.span.end if piece.span else None,
        "input": safe_name(piece.input.name),
        "local_path": None,
        "parent": job.id,
        "not_before": 0.0,
        "depends_on": (),
        "enable_split_jobs": False,
        "splits": "",
        "joins": False,
    })  # fmt: skip
