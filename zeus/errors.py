"""The few kinds of error that Zeus raises, each with a code for programs and a sentence for people."""

from __future__ import annotations


class ZeusError(Exception):
    """Something went wrong."""

    code = "internal_error"

    def __init__(self, message: str | None = None, *, code: str | None = None) -> None:
        self.message = message or (type(self).__doc__ or "").strip()
        self.code = code or type(self).code
        super().__init__(self.message)


class BadInput(ZeusError):
    """The request cannot be understood."""

    code = "bad_input"


class Unauthorized(ZeusError):
    """This node asks for a token: send it as "Authorization: Bearer TOKEN"."""

    code = "unauthorized"


class Forbidden(ZeusError):
    """This is not allowed."""

    code = "forbidden"


class NotFound(ZeusError):
    """There is no such thing here."""

    code = "not_found"


class JobNotFound(NotFound):
    """No job has this id."""

    code = "job_not_found"


class TooSlow(ZeusError):
    """The request's body stopped arriving."""

    code = "request_timeout"


class Conflict(ZeusError):
    """The present state does not allow this."""

    code = "conflict"


class TooLarge(ZeusError):
    """The request is larger than this node accepts."""

    code = "too_large"


class UnsupportedMedia(ZeusError):
    """The body's content type or encoding is not accepted here."""

    code = "unsupported_media_type"


class NotReady(ZeusError):
    """This node cannot do that yet."""

    code = "not_ready"

    def __init__(self, message: str | None = None, *, code: str | None = None, retry_after: int = 5) -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after
        """Seconds after which another try makes sense."""


class NoSpace(ZeusError):
    """The storage folder's disk is full."""

    code = "disk_full"


class PreviewFailed(ZeusError):
    """No preview could be made of the file."""

    code = "preview_failed"


class ConfigError(ZeusError):
    """A setting is wrong."""

    code = "config_error"


class StorageInUse(ZeusError):
    """Another process uses this storage folder."""

    code = "storage_in_use"


class StoreFailed(ZeusError):
    """The database cannot be written; the node has to stop."""

    code = "store_failed"


class TaskFailed(ZeusError):
    """The work could not be done. `retry` is False where another attempt would end the same way."""

    code = "task_failed"

    def __init__(self, message: str | None = None, *, code: str | None = None, retry: bool = True) -> None:
        super().__init__(message, code=code)
        self.retry = retry


class ToolFailed(TaskFailed):
    """A tool ended with an error."""

    code = "tool_failed"


class OutputInvalid(TaskFailed):
    """The tool's output is missing, short or cannot be decoded."""

    code = "output_invalid"


class WorkerDied(TaskFailed):
    """The worker process ended in the middle of its work."""

    code = "worker_died"


class NodeLost(TaskFailed):
    """The node that had this work did not do it, which says nothing about the work: it goes elsewhere."""

    code = "node_lost"


class NodeSilent(NodeLost):
    """The node that had this work gave no sign of life any more."""


class NodeBusy(NodeLost):
    """The node that had this work has no room for it."""

    code = "node_busy"
