"""The tables of the API's contract as data: a row a route. `since` names the issue that lands it."""

from __future__ import annotations

from typing import NamedTuple

HERE, LATER = "here", "later"


class Row(NamedTuple):
    """A route; `statuses` are those that the contract names for it."""

    method: str
    path: str
    statuses: tuple[int, ...]
    since: str = HERE


ROWS = (
    Row("GET", "/api/model-status", (200,)),
    Row("POST", "/api/generate", (202, 400, 503)),
    Row("GET", "/api/jobs/{job_id}", (200, 404)),
    Row("GET", "/files/{job_id}/out.mp4", (200, 400, 404)),
    Row("GET", "/api/jobs", (200, 304)),
    Row("GET", "/api/jobs/long_poll", (200, 204)),
    Row("GET", "/api/jobs/status/{status}", (200, 400)),
    Row("GET", "/api/jobs/{job_id}/logs", (200,)),
    Row("GET", "/api/jobs/{job_id}/files", (200,)),
    Row("GET", "/api/jobs/{job_id}/download", (200, 400, 404)),
    Row("GET", "/api/jobs/{job_id}/download_all", (200,)),
    Row("GET", "/api/jobs/{job_id}/thumbnail", (200, 404, 500)),
    Row("POST", "/api/add_job", (200, 400)),
    Row("POST", "/api/jobs/{job_id}/cancel", (200, 202, 303, 400)),
    Row("POST", "/api/jobs/{job_id}/delete", (200, 202, 400)),
    Row("POST", "/api/jobs/{job_id}/subjob_update", (200, 403, 409)),
    Row("POST", "/api/jobs/{job_id}/pause", (200, 202, 409)),
    Row("POST", "/api/jobs/{job_id}/resume", (200, 409)),
    Row("POST", "/api/jobs/{job_id}/retry", (200, 409)),
    Row("POST", "/api/jobs/{job_id}/priority", (200, 409)),
    Row("GET", "/api/jobs/{job_id}/frames", (200,)),
    Row("POST", "/api/uploads", (200, 201)),
    Row("GET", "/api/uploads/{upload_id}", (200, 404)),
    Row("PATCH", "/api/uploads/{upload_id}", (204, 400, 404, 409, 413, 415, 507)),
    Row("DELETE", "/api/uploads/{upload_id}", (204, 404, 409)),
    Row("GET", "/api/uploads/{upload_id}/facts", (200, 404, 409)),
    Row("GET", "/api/jobs/{job_id}/why", (200,)),
    Row("GET", "/api/events", (200,)),
    Row("GET", "/api/heartbeat", (200,)),
    Row("GET", "/api/status", (200,)),
    Row("GET", "/api/snapshot", (200,)),
    Row("GET", "/api/full_status", (200,)),
    Row("GET", "/api/presets", (200,)),
    Row("GET", "/api/cpu_benchmark", (200, 503)),
    Row("GET", "/api/disk_benchmark", (200, 503)),
    Row("GET", "/metrics", (200,), LATER),
    Row("GET", "/healthz", (200,)),
    Row("GET", "/readyz", (200,)),
    Row("GET", "/api/openapi.json", (200,)),
    Row("GET", "/api/docs", (200,)),
    Row("GET", "/api/nodes", (200, 400)),
    Row("GET", "/api/nodes/self", (200,)),
    Row("POST", "/api/nodes", (200, 400, 403)),
    Row("DELETE", "/api/nodes/{node_id}", (204, 400, 404)),
    Row("POST", "/api/nodes/pairing", (200,)),
    Row("POST", "/api/nodes/pair", (200, 204, 400, 403)),
    Row("POST", "/api/nodes/prove", (200, 400, 403)),
    Row("POST", "/api/session", (200,)),
    Row("DELETE", "/api/session", (204,)),
    Row("GET", "/api/models", (200,)),
    Row("POST", "/api/models/{model}/pull", (202, 404, 409)),
    Row("POST", "/api/models/{model}/remove", (200, 404, 409)),
    Row("POST", "/api/models/{model}/use", (200, 404, 409)),
    Row("POST", "/v1/videos", (200, 400, 503)),
    Row("GET", "/v1/videos", (200, 400)),
    Row("GET", "/v1/videos/{job_id}", (200, 404)),
    Row("DELETE", "/v1/videos/{job_id}", (200, 404)),
    Row("GET", "/v1/videos/{job_id}/content", (200, 400, 404)),
    Row("POST", "/v1/videos/{job_id}/remix", (400, 404)),
    Row("POST", "/v1/videos/edits", (400,)),
    Row("POST", "/v1/videos/extensions", (400,)),
    Row("POST", "/v1/videos/characters", (400,)),
    Row("GET", "/v1/videos/characters/{character_id}", (400,)),
    Row("GET", "/", (200,), LATER),
    Row("GET", "/api/_debug/detected_clients", (200, 404)),
    Row("POST", "/api/_debug/clear_history", (200, 404)),
    Row("GET", "/api/engines/for_filename", (200, 400, 404)),
    Row("GET", "/api/engines", (200,)),
    Row("GET", "/api/engines/names", (200,)),
    Row("GET", "/api/engines/{engine}", (200,)),
    Row("GET", "/api/engines/{engine}/availability", (200,)),
    Row("GET", "/api/engines/{engine}/args", (200,)),
    Row("GET", "/api/engines/{engine}/help", (200,)),
    Row("GET", "/api/engines/download_available", (200,)),
    Row("GET", "/api/engines/most_recent_version", (200, 404)),
    Row("POST", "/api/engines/download", (202, 404)),
    Row("POST", "/api/engines/delete", (200, 404, 409)),
)

JOB_FIELDS = [
    "id",
    "job_id",
    "name",
    "renderer",
    "renderer_version",
    "status",
    "percent_complete",
    "handled_by",
    "node",
    "start_frame",
    "end_frame",
    "total_frames",
    "completed_frames",
    "args",
    "enable_split_jobs",
    "parent",
    "children",
    "priority",
    "depends_on",
    "attempt",
    "date_created",
    "start_time",
    "end_time",
    "eta_seconds",
    "error",
    "file_count",
    "revision",
]
STATUSES = ["queued", "waiting", "running", "waiting_for_subjobs", "paused", "finished", "failed", "cancelled"]
OLDER_WORDS = {"not_started": "queued", "scheduled": "waiting", "completed": "finished", "error": "failed"}
