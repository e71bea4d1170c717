"""The client of a node: every route that Zeus's own programs use, with typed answers and errors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

import aiohttp

from zeus.peers.connection import Answer, Connection, ServerRefused, ServerUnreachable, decode
from zeus.peers.transfer import DownloadDamaged, Progress, Upload, download
from zeus.wire import JobAccepted, JobList, JobView, ModelStatus, StatusView

__all__ = ["API_VERSION", "DownloadDamaged", "RenderServerProxy", "ServerRefused", "ServerUnreachable"]

API_VERSION = "0.1"
SLOW_SECONDS = 600.0
"""The wait for answers that come only when a file is on disk or an engine's processes have ended."""


class RenderServerProxy:
    """A node, as its clients see it. Use it as `async with RenderServerProxy("http://render-1:8080") as server:`.

    Every method raises ServerUnreachable or ServerRefused. A `session` of your own is not closed.
    """

    def __init__(self, url: str, *, token: str | None = None, session: aiohttp.ClientSession | None = None) -> None:
        self.url = url
        self._connection = Connection(url, token, session)

    async def __aenter__(self) -> RenderServerProxy:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Give up the connections."""
        await self._connection.close()

    async def request(self, method: str, path: str, **options: Any) -> Answer:
        """Any route; `options` are aiohttp's (`params`, `json`, `data`, `headers`), and `wait` in seconds."""
        return await self._connection.request(method, path, **options)

    async def check_connection(self) -> bool:
        """Whether the node answers."""
        try:
            await self.request("GET", "/api/heartbeat", wait=5.0)
        except ServerUnreachable:
            return False
        return True

    async def get_status(self) -> StatusView:
        """The node's machine and load."""
        return decode(await self.request("GET", "/api/status"), StatusView)

    async def get_model_status(self) -> ModelStatus:
        """Whether videos can be generated now."""
        return decode(await self.request("GET", "/api/model-status"), ModelStatus)

    async def generate(self, prompt: str, **fields: Any) -> JobAccepted:
        """Ask for a video from a prompt; `fields` are those of POST /api/generate."""
        return decode(await self.request("POST", "/api/generate", json={"prompt": prompt, **fields}), JobAccepted)

    async def get_jobs(self, **filters: str) -> JobList:
        """The node's jobs, and the token to wait for a change with."""
        return decode(await self.request("GET", "/api/jobs", params=filters), JobList)

    async def long_poll(self, token: str | None = None, timeout: float = 30.0) -> JobList | None:
        """The jobs as soon as anything changed since `token`; None when nothing did for `timeout` seconds (1 to 60)."""
        params = {"token": token} if token else {}
        if timeout != 30.0:
            params["timeout"] = f"{timeout:g}"
        answer = await self.request("GET", "/api/jobs/long_poll", params=params, wait=timeout + 30)
        return None if answer.status == 204 else decode(answer, JobList)

    async def get_job(self, job_id: str) -> JobView:
        """One job."""
        return decode(await self.request("GET", _job(job_id)), JobView)

    async def get_job_logs(self, job_id: str) -> str:
        """The log of a job's newest attempt."""
        return (await self.request("GET", _job(job_id, "/logs"))).body.decode("utf-8", "replace")

    async def get_job_files(self, job_id: str) -> list[str]:
        """The names of a job's outputs."""
        return decode(await self.request("GET", _job(job_id, "/files")), list[str])

    async def download_job_file(
        self, job_id: str, filename: str, target: Path, progress: Progress | None = None
    ) -> None:
        """Fetch one output; `target` appears once it is whole. A try that was cut off is resumed."""
        await download(self._connection, _job(job_id, "/download"), {"filename": filename}, target, progress)

    async def download_generated(self, job_id: str, target: Path, progress: Progress | None = None) -> None:
        """Fetch a generated video."""
        await download(self._connection, f"/files/{quote(job_id, safe='')}/out.mp4", {}, target, progress)

    async def create_job(
        self, fields: Mapping[str, Any], file: Path | None = None, progress: Progress | None = None
    ) -> JobView:
        """Submit a job; `fields` are those of POST /api/add_job. Never retried: a second job could come of it."""
        if file is None:
            return decode(await self.request("POST", "/api/add_job", json=dict(fields)), JobView)
        form = aiohttp.FormData(quote_fields=False)
        form.add_field("json", json.dumps(dict(fields)), content_type="application/json")
        form.add_field("file", Upload(file, progress), filename=file.name)
        return decode(await self.request("POST", "/api/add_job", data=form, wait=SLOW_SECONDS), JobView)

    async def cancel_job(self, job_id: str) -> JobView:
        """Cancel a job; returns when nothing of it runs any more."""
        answer = await self.request("POST", _job(job_id, "/cancel"), params={"confirm": "1"}, wait=SLOW_SECONDS)
        return decode(answer, JobView)

    async def delete_job(self, job_id: str) -> None:
        """Delete a job and its files, stopping it first."""
        await self.request("POST", _job(job_id, "/delete"), params={"confirm": "1"}, wait=SLOW_SECONDS)

    async def get_engine_names(self) -> list[str]:
        """The names of the node's engines."""
        return decode(await self.request("GET", "/api/engines/names"), list[str])

    async def get_engine_for_filename(self, filename: str) -> str:
        """The engine that takes files of this name."""
        answer = await self.request("GET", "/api/engines/for_filename", params={"filename": filename})
        return answer.body.decode().strip()


def _job(job_id: str, rest: str = "") -> str:
    return f"/api/jobs/{quote(job_id, safe='')}{rest}"
