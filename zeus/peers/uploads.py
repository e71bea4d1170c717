"""The client's methods for uploads that can be resumed, and are sent once for each content."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from zeus.peers.calls import SLOW_SECONDS, Calls
from zeus.peers.connection import decode
from zeus.peers.transfer import Progress, Upload
from zeus.wire import UploadView

TYPE = "application/offset+octet-stream"
MOST = 64 << 10
"""Bytes of an answer."""


class UploadCalls(Calls):
    """Uploads."""

    async def begin_upload(self, name: str, size: int, sha256: str, *, key: str | None = None) -> UploadView:
        """Announce a file; it is complete at once where the node has that content. `key` as in create_job."""
        sent = {"name": name, "size": size, "sha256": sha256}
        answer = await self.request("POST", "/api/uploads", json=sent, key=key, wait=SLOW_SECONDS, most=MOST)
        return decode(answer, UploadView)

    async def get_upload(self, upload_id: str) -> UploadView:
        """How far an upload came."""
        return decode(await self.request("GET", _upload(upload_id), most=MOST), UploadView)

    async def send_upload(self, upload: UploadView, file: Path, progress: Progress | None = None) -> None:
        """Send what is missing of an upload, once; where it breaks off, ask how far it came and go on from there."""
        headers = {"Upload-Offset": str(upload.offset)}
        body = Upload(file, progress, start=upload.offset, kind=TYPE)
        path = _upload(upload.id)
        await self.request("PATCH", path, data=body, headers=headers, wait=SLOW_SECONDS, most=MOST)


def _upload(upload_id: str) -> str:
    return f"/api/uploads/{quote(upload_id, safe='')}"
