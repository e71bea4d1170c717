"""What the API answers to each wrong value of each parameter, and a request of each route that is right.

In texts of requests {job} and the like stand for what the node of these tests has.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from tests.matrix.outcomes import INVALID, No, Outcomes, Told, Yes, each, header, number, text


class Good(NamedTuple):
    """A request that is right, and the status that says so. `path` where it is not of the usual ones."""

    status: int = 200
    query: str = ""
    body: Any = None
    headers: tuple[tuple[str, str], ...] = ()
    path: str = ""


NOOP = {"renderer": "noop"}
UPDATE = {"id": "{child}", "status": "waiting", "attempt": 0, "percent_complete": 5}
OFFSET = (("Upload-Offset", "0"), ("Content-Type", "application/octet-stream"))
SLOW = frozenset({"GET /api/disk_benchmark"})
"""Half a gigabyte for nothing new: a test of its own has the right request."""

GOOD: Mapping[str, Good] = {
    "GET /static/{file}": Good(path="/static/app.js"),
    "POST /api/generate": Good(202, body={"prompt": "a fox", "num_frames": 2, "width": 64, "height": 64}),
    "POST /v1/videos": Good(body={"prompt": "a fox", "seconds": "0.1", "size": "64x64"}),
    "DELETE /v1/videos/{job_id}": Good(path="/v1/videos/{spare_video}"),
    "POST /v1/videos/{job_id}/remix": Good(400),
    "POST /v1/videos/edits": Good(400),
    "POST /v1/videos/extensions": Good(400),
    "POST /v1/videos/characters": Good(400),
    "GET /v1/videos/characters/{character_id}": Good(400),
    "POST /api/models/{model}/pull": Good(202),
    "POST /api/models/{model}/remove": Good(400),
    "GET /api/jobs/{job_id}/download": Good(query="filename=out.mp4"),
    "POST /api/jobs/{job_id}/cancel": Good(query="confirm=1"),
    "POST /api/jobs/{job_id}/delete": Good(query="confirm=1", path="/api/jobs/{spare_job}/delete"),
    "POST /api/jobs/{job_id}/pause": Good(path="/api/jobs/{waiting}/pause"),
    "POST /api/jobs/{job_id}/resume": Good(path="/api/jobs/{paused}/resume"),
    "POST /api/jobs/{job_id}/retry": Good(path="/api/jobs/{cancelled}/retry"),
    "POST /api/jobs/{job_id}/priority": Good(query="value=7", path="/api/jobs/{parent}/priority"),
    "POST /api/jobs/{job_id}/subjob_update": Good(body=UPDATE, path="/api/jobs/{parent}/subjob_update"),
    "POST /api/add_job": Good(body=NOOP),
    "POST /api/uploads": Good(201, body={"name": "a.noop", "size": 5}),
    "PATCH /api/uploads/{upload_id}": Good(204, body=b"hello", headers=OFFSET, path="/api/uploads/{begun}"),
    "DELETE /api/uploads/{upload_id}": Good(204, path="/api/uploads/{spare_upload}"),
    "POST /api/session": Good(body={"token": "{secret}"}),
    "DELETE /api/session": Good(204),
    "GET /api/cpu_benchmark": Good(query="seconds=0.1"),
    "GET /api/_debug/detected_clients": Good(404),
    "POST /api/_debug/clear_history": Good(404),
    "POST /api/nodes": Good(400, body={"url": "http://127.0.0.1:9"}),
    "DELETE /api/nodes/{node_id}": Good(404),
    "POST /api/nodes/pair": Good(403, body={"id": "a", "name": "a", "place": "42", "public": "0a"}),
    "POST /api/nodes/pair/{exchange}": Good(403, body={"proof": "0a"}),
    "POST /api/nodes/prove": Good(body={"node": "a", "nonce": "0" * 32}),
    "GET /api/engines/for_filename": Good(query="filename=a.noop"),
    "GET /api/engines/download_available": Good(query="engine=tooled&version=4.2"),
    "GET /api/engines/most_recent_version": Good(query="engine=tooled"),
    "POST /api/engines/download": Good(202, query="engine=tooled&version=4.2"),
    "POST /api/engines/delete": Good(body={"engine": "tooled", "version": "{managed}"}),
}
"""All others are right as they stand."""

JOB_ID = {**each(No(400, "invalid_job_id", "job id"), "nul", "newline", "bytes", "long", "slash", "dots"),
          "empty": No(404, "not_found", "route"), "unknown": No(404, "job_not_found", "nothing")}  # fmt: skip
UPLOAD_ID = {**each(No(400, "invalid_upload_id", "upload's id"), "nul", "newline", "bytes", "long", "slash", "dots"),
             "empty": No(404, "not_found", "route"), "unknown": No(404, "upload_not_found", "nothing")}  # fmt: skip
ENGINE = {**each(No(404, "engine_not_found", "engine"), "unknown", "nul", "newline", "bytes", "long", "slash", "dots"),
          "empty": No(404, "not_found", "route")}  # fmt: skip
MODEL = {**each(No(404, "model_not_found", "model"), "unknown", "nul", "newline", "bytes", "long", "slash", "dots"),
         "empty": No(404, "not_found", "route")}  # fmt: skip
NODE = {**each(No(400, "invalid_node_id", "id"), "nul", "newline", "bytes", "long", "slash", "dots"),
        "empty": No(404, "not_found", "route"), "unknown": No(404, "node_not_found", "node")}  # fmt: skip
EXCHANGE = {**each(No(403, "wrong_code", "code"), "unknown", "nul", "newline", "bytes", "long", "slash", "dots"),
            "empty": No(404, "not_found", "route")}  # fmt: skip
STATUS = No(400, "invalid_status", "status")
UNSUPPORTED = No(400, "unsupported_operation", "characters")
PATHS: Mapping[str, Outcomes] = {
    "character_id": {**each(UNSUPPORTED, "unknown", "nul", "newline", "bytes", "long", "slash", "dots"),
                     "empty": No(404, "not_found", "route")},
    "job_id": JOB_ID,
    "model": MODEL,
    "node_id": NODE,
    "exchange": EXCHANGE,
    "upload_id": UPLOAD_ID,
    "engine": ENGINE,
    "file": {**each(No(404, "not_found", "page"), "unknown", "nul", "newline", "bytes", "long", "slash", "dots"),
             "empty": No(404, "not_found", "route")},
    "status": {**each(STATUS, "unknown", "nul", "newline", "bytes", "long", "slash", "dots"),
               "empty": No(404, "not_found", "route")},
}  # fmt: skip
"""Each means the same in all paths."""

FILENAME = No(400, "invalid_filename")
NO_FILE = No(404, "file_not_found", "file")
CONFIRM = text(No(400, "confirm_missing"), absent=No(400, "confirm_missing"))
CHOICE = text(INVALID)


WHICH = text(No(404, "engine_not_found", "engine"), **each(No(400, "missing_field"), "empty", "absent"))


def flag(name: str) -> Outcomes:
    """Anything but yes is no: the answer lacks what a yes would bring."""
    return text(Yes(200, lambda body: name not in body))


QUERIES: Mapping[tuple[str, str], Outcomes] = {
    ("GET /api/jobs", "status"): text(STATUS),
    ("GET /api/jobs", "renderer"): text(Yes(200, lambda body: body["jobs"] == [])),
    ("GET /api/jobs", "limit"): number(fraction=INVALID),
    ("GET /api/jobs", "after"): text(INVALID),
    ("GET /api/jobs", "fields"): text(INVALID),
    ("GET /api/jobs/long_poll", "token"): text(Yes(200, lambda body: len(body["jobs"]) > 0)),
    ("GET /api/jobs/long_poll", "timeout"): number(),
    ("GET /api/jobs/long_poll", "changes_only"): flag("removed"),
    ("GET /api/jobs/{job_id}/frames", "start"): number(fraction=INVALID),
    ("GET /api/jobs/{job_id}/frames", "limit"): number(fraction=INVALID),
    ("GET /api/jobs/{job_id}/logs", "attempt"): number(fraction=INVALID),
    ("GET /api/jobs/{job_id}/logs", "follow"): text(Yes(200)),
    ("GET /api/jobs/{job_id}/download", "filename"): text(
        NO_FILE, empty=No(400, "missing_field"), absent=No(400, "missing_field")
    ),
    ("GET /api/jobs/{job_id}/thumbnail", "size"): text(INVALID, empty=Yes(200)),
    ("GET /api/jobs/{job_id}/thumbnail", "video_ok"): text(Yes(200)),
    ("GET /api/jobs/{job_id}/thumbnail", "missing_ok"): text(Yes(200)),
    ("GET /api/jobs/{job_id}/thumbnail", "filename"): text(NO_FILE, empty=No(400, "missing_field")),
    ("POST /api/jobs/{job_id}/cancel", "confirm"): CONFIRM,
    ("POST /api/jobs/{job_id}/cancel", "redirect"): text(Yes(200, lambda body: body["status"] == "finished")),
    ("POST /api/jobs/{job_id}/delete", "confirm"): CONFIRM,
    ("POST /api/jobs/{job_id}/priority", "value"): number(fraction=INVALID, absent=No(400, "missing_field")),
    ("POST /api/add_job", "dry_run"): flag("valid"),
    ("POST /api/add_job", "filename"): text(INVALID),
    ("POST /api/add_job", "seconds"): number(),
    ("GET /v1/videos", "after"): text(INVALID),
    ("GET /v1/videos", "limit"): number(fraction=INVALID),
    ("GET /v1/videos", "order"): CHOICE,
    ("GET /v1/videos/{job_id}/content", "variant"): CHOICE,
    ("GET /api/uploads/{upload_id}/facts", "project_file"): text(No(400, "no_archive")),
    ("GET /api/cpu_benchmark", "seconds"): number(),
    ("GET /api/nodes", "history"): number(),
    **{
        (f"{method} /api/engines/{name}", parameter): outcomes
        for method, name in (("GET", "download_available"), ("GET", "most_recent_version"), ("POST", "download"))
        for parameter, outcomes in {"engine": WHICH, "system_os": CHOICE, "cpu": CHOICE}.items()
    },
    ("GET /api/engines/download_available", "version"): text(
        INVALID, unknown=Yes(200, lambda body: body["available"] is False)
    ),
    ("POST /api/engines/download", "version"): text(INVALID, unknown=No(404, "version_not_found", "nothing")),
    ("GET /api/jobs/{job_id}/files", "response_type"): CHOICE,
    ("GET /api/engines", "response_type"): CHOICE,
    ("GET /api/engines/{engine}", "response_type"): CHOICE,
    ("GET /api/engines/for_filename", "filename"): text(
        FILENAME, empty=No(400, "missing_field"), absent=No(400, "missing_field"),
        **each(No(404, "engine_not_found", "engine"), "unknown", "bytes", "long"),
    ),
}  # fmt: skip

KEY = header(INVALID, unknown=Yes(200))
RANGE = header(Yes(200))
"""What is no range of bytes is none: all of it comes."""
MATCH = header(Yes(200), twice=Yes(200))
"""What names another version, or none, matches nothing."""
ENCODING = header(Yes(200), twice=Yes(200))

HEADERS: Mapping[tuple[str, str], Outcomes] = {
    ("POST /api/generate", "Idempotency-Key"): {**KEY, "unknown": Yes(202)},
    ("POST /api/add_job", "Idempotency-Key"): KEY,
    ("POST /v1/videos", "Idempotency-Key"): KEY,
    ("GET /v1/videos/{job_id}/content", "Range"): RANGE,
    ("GET /v1/videos/{job_id}/content", "If-None-Match"): MATCH,
    ("POST /api/uploads", "Idempotency-Key"): {**KEY, "unknown": Yes(201)},
    ("GET /files/{job_id}/out.mp4", "Range"): RANGE,
    ("GET /files/{job_id}/out.mp4", "If-None-Match"): MATCH,
    ("GET /", "If-None-Match"): MATCH,
    ("GET /", "Accept-Encoding"): ENCODING,
    ("GET /static/{file}", "If-None-Match"): MATCH,
    ("GET /static/{file}", "Accept-Encoding"): ENCODING,
    ("GET /api/jobs", "If-None-Match"): MATCH,
    ("GET /api/jobs", "Accept-Encoding"): ENCODING,
    ("GET /api/jobs/long_poll", "Accept-Encoding"): ENCODING,
    ("GET /api/jobs/{job_id}/logs", "Range"): RANGE,
    ("GET /api/jobs/{job_id}/logs", "If-None-Match"): MATCH,
    ("GET /api/jobs/{job_id}/download", "Range"): RANGE,
    ("GET /api/jobs/{job_id}/download", "If-None-Match"): MATCH,
    ("GET /api/jobs/{job_id}/thumbnail", "Range"): RANGE,
    ("GET /api/jobs/{job_id}/thumbnail", "If-None-Match"): MATCH,
    ("PATCH /api/uploads/{upload_id}", "Upload-Offset"): header(INVALID),
    ("GET /api/events", "Last-Event-ID"): header(INVALID),
}
VERSION = {**header(No(400, "unsupported_api_version")), "twice": Told(400, "X-API-Version")}
"""Of the header X-API-Version, on every route. The first of two says in which dialect the refusal is."""
