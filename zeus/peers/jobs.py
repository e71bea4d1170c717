"""The client's methods for one job at a time: make it, look at it, steer it, fetch what it made."""

from __future__ import annotations

import codecs
import json
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp

from zeus.peers.calls import SLOW_SECONDS, Calls
from zeus.peers.connection import ServerRefused, decode
from zeus.peers.transfer import Expected, Progress, Upload, download
from zeus.wire import DryRun, FileView, FrameList, JobAccepted, JobView, ModelStatus, SubjobUpdate, WhyView

Fields = Mapping[str, Any]
"""Those of POST /api/add_job."""
SILENCE_SECONDS = 24 * 3600.0
"""The wait for another line of a log that is followed: an engine may say nothing for long."""


class JobCalls(Calls):
    """Jobs, and the videos of the generate API."""

    async def get_model_status(self) -> ModelStatus:
        """Whether videos can be generated now."""
        return decode(await self.request("GET", "/api/model-status"), ModelStatus)

    async def generate(self, prompt: str, *, key: str | None = None, **fields: Any) -> JobAccepted:
        """Ask for a video from a prompt; `fields` are those of POST /api/generate, `key` as in create_job."""
        sent = {"prompt": prompt, **fields}
        return decode(await self.request("POST", "/api/generate", json=sent, key=key), JobAccepted)

    async def create_job(
        self, fields: Fields, file: Path | None = None, progress: Progress | None = None, *, key: str | None = None
    ) -> JobView:
        """Submit a job. With an idempotency `key` it is tried again where the answer is lost, else never.

        `progress` gets the bytes of `file` that are sent and all that there are.
        """
        return decode(await self._add(fields, file, progress, key), JobView)

    async def create_jobs(
        self,
        jobs: Sequence[Fields],
        file: Path | None = None,
        progress: Progress | None = None,
        *,
        key: str | None = None,
    ) -> list[JobView]:
        """Submit several jobs, all of them or none; the file serves them all."""
        return decode(await self._add(jobs, file, progress, key), list[JobView])

    async def check_job(self, fields: Fields) -> DryRun:
        """What a job would be and which nodes could run it; nothing is submitted."""
        answer = await self.request("POST", "/api/add_job", params={"dry_run": "1"}, json=dict(fields))
        return decode(answer, DryRun)

    async def get_job(self, job_id: str) -> JobView:
        """One job."""
        return decode(await self.request("GET", _job(job_id)), JobView)

    async def why(self, job_id: str) -> WhyView:
        """Why a job is not running yet."""
        return decode(await self.request("GET", _job(job_id, "/why")), WhyView)

    async def get_job_frames(self, job_id: str, start: int | None = None, limit: int | None = None) -> FrameList:
        """How the frames of a job stand, from `start` on, so many at most."""
        given = {"start": start, "limit": limit}
        params = {name: str(value) for name, value in given.items() if value is not None}
        return decode(await self.request("GET", _job(job_id, "/frames"), params=params), FrameList)

    async def get_job_logs(self, job_id: str, attempt: int | None = None) -> str:
        """The log of a job's newest attempt, or of another one."""
        params = {} if attempt is None else {"attempt": str(attempt)}
        return (await self.request("GET", _job(job_id, "/logs"), params=params)).body.decode("utf-8", "replace")

    async def get_log_part(self, job_id: str, attempt: int, position: int, most: int) -> bytes:
        """What the log of an attempt has from `position` on, up to `most` bytes; nothing where there is no more."""
        params, headers = {"attempt": str(attempt)}, {"Range": f"bytes={position}-"}
        data = bytearray()
        try:
            async with self._connection.open("GET", _job(job_id, "/logs"), params=params, headers=headers) as response:
                while response.status == 206 and len(data) < most:  # all of it comes where there is no log yet
                    chunk = await response.content.readany()
                    if not chunk:
                        break
                    data += chunk
        except ServerRefused as error:
            if error.status != 416:
                raise
        return bytes(data[:most])

    async def follow_job_logs(self, job_id: str) -> AsyncGenerator[str, None]:
        """The log of a job, piece by piece as it grows, until the job has ended."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        path, params = _job(job_id, "/logs"), {"follow": "1"}
        async with self._connection.open("GET", path, params=params, wait=SILENCE_SECONDS) as response:
            async for chunk in response.content.iter_any():
                yield decoder.decode(chunk)

    async def get_job_files(self, job_id: str) -> list[str]:
        """The names of a job's outputs."""
        return decode(await self.request("GET", _job(job_id, "/files")), list[str])

    async def list_job_files(self, job_id: str, *, most: int | None = None) -> list[FileView]:
        """All about a job's outputs. ServerRefused for a list of more than `most` bytes."""
        params = {"response_type": "full"}
        return decode(await self.request("GET", _job(job_id, "/files"), params=params, most=most), list[FileView])

    async def download_job_file(
        self,
        job_id: str,
        filename: str,
        target: Path,
        progress: Progress | None = None,
        *,
        expected: Expected | None = None,
    ) -> None:
        """Fetch one output; `target` appears once it is whole and its checksum fits. A cut try is resumed."""
        params = {"filename": filename}
        await download(self._connection, _job(job_id, "/download"), params, target, progress, expected)

    async def download_all_job_files(self, job_id: str, target: Path, progress: Progress | None = None) -> None:
        """Fetch all outputs as one zip; `target` appears once it is whole. A cut try starts anew."""
        await download(self._connection, _job(job_id, "/download_all"), {}, target, progress)

    async def download_generated(self, job_id: str, target: Path, progress: Progress | None = None) -> None:
        """Fetch a generated video."""
        await download(self._connection, f"/files/{quote(job_id, safe='')}/out.mp4", {}, target, progress)

    async def cancel_job(self, job_id: str) -> JobView:
        """Cancel a job; returns when nothing of it runs any more."""
        return await self._act(job_id, "/cancel", confirm="1")

    async def delete_job(self, job_id: str) -> None:
        """Delete a job and its files, stopping it first."""
        await self._act(job_id, "/delete", confirm="1")

    async def pause_job(self, job_id: str) -> JobView:
        """Hold a job up; what it has published stays."""
        return await self._act(job_id, "/pause")

    async def resume_job(self, job_id: str) -> JobView:
        """Let a paused job go on."""
        return await self._act(job_id, "/resume")

    async def retry_job(self, job_id: str) -> JobView:
        """Run a failed or cancelled job again."""
        return await self._act(job_id, "/retry")

    async def set_priority(self, job_id: str, priority: int) -> JobView:
        """Change a job's priority, 0 to 100; higher runs first."""
        return await self._act(job_id, "/priority", value=str(priority))

    async def send_subjob_update_notification(self, parent_id: str, subjob: JobView | SubjobUpdate) -> JobView:
        """Tell the node of a parent job how its subjob is; the parent as it then is."""
        return decode(await self.request("POST", _job(parent_id, "/subjob_update"), json=_plain(subjob)), JobView)

    async def _act(self, job_id: str, action: str, **params: str) -> JobView:
        return decode(await self.request("POST", _job(job_id, action), params=params, wait=SLOW_SECONDS), JobView)

    async def _add(
        self, fields: Fields | Sequence[Fields], file: Path | None, progress: Progress | None, key: str | None
    ) -> Any:
        text = json.dumps(dict(fields) if isinstance(fields, Mapping) else [dict(each) for each in fields])
        return await self.request("POST", "/api/add_job", body=_body(text, file, progress), key=key, wait=SLOW_SECONDS)


def _body(text: str, file: Path | None, progress: Progress | None) -> Callable[[], Any]:
    """Makes the body of add_job; a form can be sent only once, so each attempt gets a new one."""

    def make() -> aiohttp.Payload | aiohttp.FormData:
        if file is None:
            return aiohttp.BytesPayload(text.encode(), content_type="application/json")
        form = aiohttp.FormData(quote_fields=False)
        form.add_field("json", text, content_type="application/json")
        form.add_field("file", Upload(file, progress), filename=file.name)
        return form

    return make


def _plain(subjob: JobView | SubjobUpdate) -> dict[str, Any]:
    return {name: getattr(subjob, name) for name in SubjobUpdate.__struct_fields__}


def _job(job_id: str, rest: str = "") -> str:
    return f"/api/jobs/{quote(job_id, safe='')}{rest}"
