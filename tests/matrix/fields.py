"""What the API answers to each wrong value of each field of its JSON bodies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from tests.matrix.cases import GOOD, STATUS
from tests.matrix.outcomes import INVALID, No, Outcomes, Yes, count, each, measure, words

FRAMES = {"renderer": "noop", "start_frame": 1, "end_frame": 9}
MADE, QUEUED, BEGUN = Yes(200), Yes(202), Yes(201)
ARGS = No(400, "invalid_args")
MODEL = No(400, "unsupported_field", "procedural")
NAME = words(INVALID, null=MADE, **each(MADE, "unknown", "nul", "newline"))
FRAME = count(null=No(400, "invalid_frames"))
OBJECT = {"null": MADE, "type": INVALID, "empty": MADE, "unknown": No(400, "invalid_args", "colour")}
LIST = {"null": MADE, "type": INVALID, "empty": MADE, "item": INVALID, "long": INVALID}


class Body(NamedTuple):
    """A struct that a request holds: where, beside which fields of its own, and what its wrong fields get."""

    operation: str
    own: Mapping[str, Any]
    fields: Mapping[str, Outcomes]
    within: str = ""
    """The field of the request that holds it, or a list of such."""
    is_item: bool = True


GENERATE: Mapping[str, Outcomes] = {
    "prompt": words(
        No(400, "missing_prompt"), absent=No(400, "missing_prompt"), unknown=QUEUED, newline=QUEUED, nul=ARGS, long=ARGS
    ),
    "model": words(No(400, "unknown_model"), null=QUEUED),
    "negative_prompt": words(MODEL, **each(QUEUED, "null", "empty"), **each(ARGS, "nul", "long")),
    "seed": count(ARGS, null=QUEUED),
    "width": count(ARGS, null=QUEUED),
    "height": count(ARGS, null=QUEUED),
    "num_frames": count(ARGS, null=QUEUED),
    "fps": measure(ARGS, null=QUEUED),
    "num_inference_steps": count(ARGS, null=QUEUED),
    "guidance_scale": measure(ARGS, null=QUEUED),
    "image": words(INVALID, null=QUEUED, unknown=No(400, "unknown_upload")),
    "export_format": words(No(400, "bad_input"), **each(QUEUED, "null", "empty")),
}
VIDEO: Mapping[str, Outcomes] = {
    "prompt": words(
        No(400, "missing_prompt"), absent=No(400, "missing_prompt"), unknown=MADE, newline=MADE, nul=ARGS, long=ARGS
    ),
    "model": words(No(400, "unknown_model"), null=MADE),
    "seconds": words(INVALID, null=MADE),
    "size": words(INVALID, null=MADE),
}
ADD_JOB: Mapping[str, Outcomes] = {
    "name": NAME,
    "renderer": words(
        INVALID, null=No(400, "missing_field"), **each(No(400, "unknown_engine", "engine"), "unknown", "nul", "newline")
    ),
    "renderer_version": words(INVALID, null=MADE, **each(No(400, "unknown_version"), "unknown", "nul", "newline")),
    "start_frame": FRAME,
    "end_frame": FRAME,
    "args": OBJECT,
    "enable_split_jobs": {"null": MADE, "type": INVALID, "number": INVALID},
    "child_jobs": LIST,
    "local_path": words(INVALID, null=MADE, **each(No(400, "local_path_not_allowed"), "unknown", "nul", "newline")),
    "upload": words(INVALID, null=MADE, unknown=No(400, "unknown_upload")),
    "project_file": words(INVALID, null=MADE, **each(No(400, "no_archive"), "unknown", "nul", "newline")),
    "priority": count(null=MADE),
    "preset": words(INVALID, null=MADE, **each(No(400, "unknown_preset"), "unknown", "nul", "newline")),
    "depends_on": LIST,
    "not_before": words(INVALID, null=MADE),
    "max_attempts": count(null=MADE),
    "tags": LIST,
    "share": {"null": MADE, "type": INVALID, "empty": INVALID, "unknown": No(400, "unknown_field", "colour")},
    "shared": {"null": MADE, "type": INVALID, "empty": INVALID, "unknown": No(400, "unknown_field", "colour")},
}
STRANGER = No(400, "unsupported_field", "share")
"""Of what only other nodes may say, wrong or right."""
SHARED: Mapping[str, Outcomes] = {
    "share": words(INVALID, absent=INVALID, unknown=STRANGER),
    "path": words(INVALID, absent=INVALID, **each(STRANGER, "unknown", "nul", "newline")),
    "size": count(null=STRANGER, above=STRANGER, huge=STRANGER),
    "modified": measure(STRANGER, null=STRANGER),
}
SHARE: Mapping[str, Outcomes] = {
    "node": words(INVALID, absent=INVALID, unknown=STRANGER),
    "job_id": words(INVALID, absent=INVALID, unknown=STRANGER),
    "attempt": count(absent=INVALID),
}
CHILD: Mapping[str, Outcomes] = {"name": NAME, "start_frame": FRAME, "end_frame": FRAME, "args": OBJECT}
UPLOAD: Mapping[str, Outcomes] = {
    "name": words(INVALID, absent=INVALID, unknown=BEGUN, **each(No(400, "invalid_filename"), "nul", "newline")),
    "size": count(absent=INVALID),
    "sha256": words(INVALID, null=BEGUN),
}
SESSION: Mapping[str, Outcomes] = {
    "token": words(INVALID, absent=INVALID, **each(No(401, "unauthorized"), "unknown", "nul", "newline"))
}
UPDATE: Mapping[str, Outcomes] = {
    "id": words(No(404, "subjob_not_found", "subjob"), absent=INVALID, null=INVALID),
    "status": words(STATUS, absent=INVALID, null=INVALID),
    "attempt": count(absent=INVALID),
    "percent_complete": count(absent=INVALID),
    "completed_frames": count(),
}

NO_VERSION = No(404, "version_not_found", "tooled")
DELETE: Mapping[str, Outcomes] = {
    "engine": words(INVALID, absent=INVALID, **each(No(404, "engine_not_found"), "unknown", "nul", "newline")),
    "version": words(INVALID, absent=INVALID, **each(NO_VERSION, "unknown", "nul", "newline")),
    "system_os": words(INVALID, null=NO_VERSION),
    "cpu": words(INVALID, null=NO_VERSION),
}

NOBODY, NO_CODE = No(400, "node_unreachable", "url"), No(403, "wrong_code", "code")
NEW_NODE: Mapping[str, Outcomes] = {
    "url": words(INVALID, absent=INVALID),
    "code": words(INVALID, null=NOBODY),
    "token": words(INVALID, null=NOBODY, unknown=NOBODY),
}
CHALLENGE: Mapping[str, Outcomes] = {
    "node": words(INVALID, absent=INVALID, unknown=MADE),
    "nonce": words(INVALID, absent=INVALID),
    "address": words(No(403, "other_address"), null=INVALID, empty=MADE, long=INVALID),
}
PAIR_OFFER: Mapping[str, Outcomes] = {
    "id": words(INVALID, absent=INVALID, unknown=NO_CODE),
    "name": words(INVALID, absent=INVALID, **each(NO_CODE, "unknown", "nul", "newline")),
    "urls": {"null": INVALID, "type": INVALID, "item": INVALID, "long": INVALID, "empty": NO_CODE},
    "place": words(INVALID, absent=INVALID),
    "public": words(INVALID, absent=INVALID),
}
PAIR_CONFIRM: Mapping[str, Outcomes] = {"proof": words(INVALID, absent=INVALID)}

BODIES: Mapping[str, Body] = {
    "DeleteVersion": Body("POST /api/engines/delete", {"engine": "tooled", "version": "9.9.9"}, DELETE),
    "GenerateRequest": Body("POST /api/generate", GOOD["POST /api/generate"].body, GENERATE),
    "CreateVideo": Body("POST /v1/videos", GOOD["POST /v1/videos"].body, VIDEO),
    "AddJob": Body("POST /api/add_job", FRAMES, ADD_JOB),
    "ChildJob": Body("POST /api/add_job", {"start_frame": 1, "end_frame": 5}, CHILD, within="child_jobs"),
    "SharedFile": Body("POST /api/add_job", {"share": "show", "path": "a.noop"}, SHARED, "shared", is_item=False),
    "ShareOf": Body(
        "POST /api/add_job", {"node": "a", "job_id": "b", "attempt": 1}, SHARE, within="share", is_item=False
    ),
    "NewUpload": Body("POST /api/uploads", GOOD["POST /api/uploads"].body, UPLOAD),
    "NewNode": Body("POST /api/nodes", GOOD["POST /api/nodes"].body, NEW_NODE),
    "Challenge": Body("POST /api/nodes/prove", GOOD["POST /api/nodes/prove"].body, CHALLENGE),
    "PairOffer": Body("POST /api/nodes/pair", GOOD["POST /api/nodes/pair"].body, PAIR_OFFER),
    "PairConfirm": Body("POST /api/nodes/pair/{exchange}", GOOD["POST /api/nodes/pair/{exchange}"].body, PAIR_CONFIRM),
    "SignIn": Body("POST /api/session", GOOD["POST /api/session"].body, SESSION),
    "SubjobUpdate": Body(
        "POST /api/jobs/{job_id}/subjob_update", GOOD["POST /api/jobs/{job_id}/subjob_update"].body, UPDATE
    ),
}
"""By the name of the struct."""
