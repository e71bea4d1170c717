"""Asks a hub what a repository holds, and for the bytes of a file from any point on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from huggingface_hub import HfApi, get_session, hf_hub_url
from huggingface_hub.errors import HfHubHTTPError, HTTPError, OfflineModeIsEnabled
from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

from zeus.errors import TaskFailed

_WAIT: Final = 30.0
"""Seconds for a connection, for an answer, and without a byte."""
_PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers that may be others a moment later."""
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class Broken(Exception):
    """The connection was lost, or the hub answered that it is busy: another try may do."""


@dataclass(frozen=True)
class File:
    """A published file: its size in bytes, and the sum that the hub has of it (sha256, or sha1 of its git blob)."""

    path: str
    size: int
    sha256: str | None
    blob: str | None


class Source:
    """One repository at one hub."""

    def __init__(self, hub: str, repository: str) -> None:
        self._hub = hub.rstrip("/")
        self._repository = repository
        self._headers = {**build_hf_headers(token=_token(self._hub)), "accept-encoding": "identity"}

    def listing(self, revision: str) -> tuple[str, dict[str, File]]:
        """The commit that a revision is, and its files by path. Raises TaskFailed, which says why there is none."""
        api = HfApi(endpoint=self._hub, token=_token(self._hub))
        try:
            info = api.model_info(self._repository, revision=revision, files_metadata=True, timeout=_WAIT)
        except Exception as error:
            raise self._explained(error) from error
        return info.sha or "", {each.rfilename: _file(each) for each in info.siblings or ()}

    @contextlib.contextmanager
    def open(self, revision: str, path: str, start: int) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Where the bytes that come begin, which is `start` or 0, and the bytes.

        Raises Broken where another try may help, else TaskFailed.
        """
        url = hf_hub_url(self._repository, path, revision=revision, endpoint=self._hub)
        headers = {**self._headers, **({"range": f"bytes={start}-"} if start else {})}
        try:
            with get_session().stream("GET", url, headers=headers, timeout=_WAIT) as response:
                if response.status_code in _PASSING:
                    raise Broken(f"it answered {response.status_code}")
                hf_raise_for_status(response)
                continues = response.headers.get("content-range", "").startswith(f"bytes {start}-")
                yield (start if response.status_code == 206 and continues else 0), response.iter_raw()
        except HfHubHTTPError as error:
            raise self._explained(error) from error
        except HTTPError as error:
            raise Broken(_reason(error)) from error

    def unreachable(self, reason: object) -> TaskFailed:
        """The error for a hub that does not answer as it should."""
        return TaskFailed(f"{self._place} cannot be read: {reason}", code="hub_unreachable")

    @property
    def _place(self) -> str:
        return f"{self._repository} at {urlsplit(self._hub).hostname}"

    def _explained(self, error: Exception) -> TaskFailed:
        status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
        if status in (401, 403):
            message = (
                f"{self._place} answered {status}: it is not there, or not for everyone. Accept its licence on its"
                " page where it has one, and start the node with a token of that account in HF_TOKEN"
            )
            return TaskFailed(message, code="hub_refused", retry=False)
        if status == 404:
            return TaskFailed(f"{self._place} is not there, or not in this revision", code="hub_refused", retry=False)
        if isinstance(error, OfflineModeIsEnabled):
            return self.unreachable("HF_HUB_OFFLINE is set in the node's environment")
        return self.unreachable(f"it answered {status}" if status else _reason(error))


def _token(hub: str) -> bool | None:
    """None: the token of the environment, if there is one. False: none, since it could be read on the way."""
    parts = urlsplit(hub)
    return None if parts.scheme == "https" or parts.hostname in _LOOPBACK else False


def _file(sibling: Any) -> File:
    lfs = sibling.lfs
    size = lfs.size if lfs is not None else sibling.size
    return File(sibling.rfilename, size or 0, lfs.sha256 if lfs is not None else None, sibling.blob_id)


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:200] or type(error).__name__
