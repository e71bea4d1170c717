"""`GET /api/jobs/<id>/download_all`: all outputs of a job as a zip that is made while it is sent.

Outputs are stored as they are: nearly all are compressed already, and so the archive's length is known beforehand,
by which a client sees how far it is and whether it got all. Each file is hashed as it is read, and one that is not what
was published breaks the transfer off before the archive is whole.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

from aiohttp import web
from zipstream import ZipStream

from zeus.api.keys import ZEUS
from zeus.api.responses import disposition, job_id_of
from zeus.child import uncancelled
from zeus.errors import BadInput, NotFound, OutputInvalid
from zeus.files import Files
from zeus.model import Job, Output
from zeus.names import safe_name

BLOCK = 1 << 20
"""Bytes that are made ready at once; the next ones are read when the client has taken these."""
MISCOUNTED = 65535
"""With just so many files zipstream-ng's sum lacks its zip64 records."""


class _Verified(ZipStream):  # type: ignore[misc]  # the library has no types
    """An archive that knows the sha256 of each file that it is made of."""

    def __init__(self) -> None:
        super().__init__(sized=True)
        self.digests: dict[str, str] = {}

    def _gen_file_entry(self, *, arcname: str, **entry: Any) -> Iterator[bytes]:
        """The entry's head, the file block by block, and what closes it; that only behind the right content.

        Raises OutputInvalid. This is how zipstream-ng makes stored entries; a test notices when it does not any more.
        """
        digest, chunks = hashlib.sha256(), super()._gen_file_entry(arcname=arcname, **entry)
        yield next(chunks)
        block = next(chunks)
        for following in chunks:
            digest.update(block)
            yield block
            block = following
        if digest.hexdigest() != self.digests[arcname]:
            raise OutputInvalid(f"{arcname} is not what was published.")
        yield block


async def download_all(request: web.Request) -> web.StreamResponse:
    zeus, job_id = request.app[ZEUS], job_id_of(request)
    job, outputs = await zeus.jobs.get(job_id), await zeus.jobs.outputs(job_id)
    if not outputs:
        raise NotFound("The job has no files, or not yet.", code="no_files")
    archive = await asyncio.to_thread(_archive, zeus.files, outputs)
    response = web.StreamResponse(
        headers={"Content-Type": "application/zip", "Content-Disposition": disposition(_name(job), attachment=True)}
    )
    if len(outputs) != MISCOUNTED:
        response.content_length = len(archive)
    await response.prepare(request)
    if request.method != "HEAD":
        await _send(response, iter(archive))
    await response.write_eof()
    return response


async def _send(response: web.StreamResponse, chunks: Iterator[bytes]) -> None:
    """Send what the iterator makes; whatever it raises goes on, and breaks the connection before the end."""
    try:
        while block := await uncancelled(asyncio.to_thread(_next, chunks)):
            await response.write(block)
    finally:
        await asyncio.to_thread(_close, chunks)


def _archive(files: Files, outputs: Sequence[Output]) -> _Verified:
    archive = _Verified()
    for output in outputs:
        path = files.output(output)
        if path.stat().st_size != output.size:
            raise OutputInvalid(f"{output.name} is not what was published.")
        archive.add_path(path, output.name, recurse=False)
        archive.digests[output.name] = output.sha256
    return archive


def _next(chunks: Iterator[bytes]) -> bytes:
    block = bytearray()
    for chunk in chunks:
        block += chunk
        if len(block) >= BLOCK:
            break
    return bytes(block)


def _close(chunks: Iterator[bytes]) -> None:
    """Close the file that is being read."""
    close = getattr(chunks, "close", None)
    if close is not None:
        close()


def _name(job: Job) -> str:
    """The job's name with .zip behind it, or the job's id where the name cannot be a file's."""
    plain = "".join("_" if each in "/\\" or not each.isprintable() else each for each in job.name)
    try:
        return f"{safe_name(plain)}.zip"
    except BadInput:
        return f"{job.id}.zip"
