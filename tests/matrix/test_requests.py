"""What is wrong with a request as a whole: its method, its body, the headers around it, what no request can say."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest

from tests.conftest import HANG
from tests.matrix.cases import GOOD
from tests.matrix.conftest import Stage
from tests.matrix.outcomes import No, Outcome, Told
from tests.matrix.test_matrix import DOCUMENT, OPERATIONS, check, jobs, right, sent, structs, target

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
JSON = [("Content-Type", b"application/json")]
TAKES_JSON = [each for each, made in OPERATIONS.items() if "application/json" in str(made.get("requestBody"))]
NO_BODY, NO_JSON = No(400, "missing_body", "body"), No(400, "invalid_json", "JSON")
WRONG_TYPE, OBJECT = No(415, "unsupported_media_type", "body"), No(400, "invalid_json", "object")
BODIES: list[tuple[str, list[tuple[str, bytes]], bytes | None, Outcome]] = [
    ("none", [], None, NO_BODY),
    ("empty", JSON, b"", NO_BODY),
    ("blank", JSON, b" \n ", NO_BODY),
    ("cut", JSON, b'{"a": ', NO_JSON),
    ("more", JSON, b"{} {}", NO_JSON),
    ("bytes", JSON, b'{"a": "\xff"}', NO_JSON),
    ("utf-16", JSON, '{"a": 1}'.encode("utf-16"), NO_JSON),
    ("nan", JSON, b'{"a": NaN}', NO_JSON),
    ("endless number", JSON, b'{"a": 1' + b"0" * 5000 + b"}", NO_JSON),
    ("deep", JSON, b"[" * 100_000, NO_JSON),
    ("deep and whole", JSON, b"[" * 5000 + b"]" * 5000, NO_JSON),
    ("number", JSON, b"5", OBJECT),
    ("null", JSON, b"null", OBJECT),
    ("unknown field", JSON, b'{"colour": 1}', No(400, "unknown_field", "colour")),
    ("field twice", JSON, b'{"colour": 1, "colour": 1}', No(400, "repeated_field", "colour")),
    ("field twice within", JSON, b'{"args": [{"\\u0061": 1, "a": 2}]}', No(400, "repeated_field", "a: ")),
    ("text", [("Content-Type", b"text/plain")], b"{}", WRONG_TYPE),
    ("no type", [], b"{}", WRONG_TYPE),
    ("type twice", JSON * 2, b"{}", Told(400)),
    ("compressed", [*JSON, ("Content-Encoding", b"gzip")], b"\x1f\x8b", No(415, "unsupported_media_type", "ompressed")),
    ("too large", JSON, b" " * (1 << 20) + b"{}", No(413, "too_large", "JSON")),
]
OWN = {
    ("POST /api/generate", "unknown field"): No(400, "missing_prompt", "prompt"),
    ("POST /v1/videos", "unknown field"): No(400, "missing_prompt", "prompt"),
    ("POST /api/jobs/{job_id}/subjob_update", "unknown field"): No(400, "invalid_field", "id"),
}
"""Where what is missing is told first. A job object may have fields that this version does not know."""


@pytest.mark.parametrize("operation", TAKES_JSON)
@pytest.mark.parametrize(("name", "headers", "body", "outcome"), BODIES, ids=[each[0] for each in BODIES])
def test_bodies(
    stage: Stage, operation: str, name: str, headers: list[tuple[str, bytes]], body: bytes | None, outcome: Outcome
) -> None:
    before = jobs(stage)
    answer = stage.sender.send(operation.partition(" ")[0], target(stage, operation), headers, body)
    check(stage, answer, OWN.get((operation, name), outcome), "")
    assert jobs(stage) == before


@pytest.mark.parametrize("operation", OPERATIONS)
def test_no_route_takes_a_compressed_body(stage: Stage, operation: str) -> None:
    headers = [("Content-Encoding", b"gzip"), ("Content-Type", b"application/octet-stream")]
    answer = sent(stage, operation, target(stage, operation, right(operation).query), headers, b"\x1f\x8b")
    check(stage, answer, No(415, "unsupported_media_type", "ompressed"), "")


@pytest.mark.parametrize("path", DOCUMENT["paths"])
def test_methods(stage: Stage, path: str) -> None:
    # A path may also be one that another stands for, as /api/engines/download is one of /api/engines/{engine}.
    alike = [each for each in DOCUMENT["paths"] if re.fullmatch(re.sub(r"{\w+}", "[^/{}]+", each), path)]
    known = {method.upper() for each in [path, *alike] for method in DOCUMENT["paths"][each]}
    known |= {"HEAD"} & ({"HEAD"} if "GET" in known else set())
    for method in METHODS:
        if method not in known:
            answer = stage.sender.send(method, stage.filled(path), [])
            assert set(answer.headers["Allow"].split(",")) == known, (method, path)
            if method != "HEAD":
                check(stage, answer, No(405, "method_not_allowed", method), "")
    check(stage, stage.sender.send("BREW", stage.filled(path)), Told(400), "")


def test_an_upload_is_sent_by_its_rules(stage: Stage) -> None:
    operation = "PATCH /api/uploads/{upload_id}"
    to = f"/api/uploads/{stage.sender.send_json('POST', '/api/uploads', {'name': 'b.noop', 'size': 5}).json['id']}"
    kind, start = ("Content-Type", b"application/octet-stream"), ("Upload-Offset", b"0")
    cases: list[tuple[list[tuple[str, bytes]], bytes, Outcome]] = [
        ([kind], b"hello", No(400, "missing_field", "Upload-Offset")),
        ([start, ("Content-Type", b"text/plain")], b"hello", No(415, "unsupported_media_type", "bytes")),
        ([kind, ("Upload-Offset", b"-1")], b"hello", No(400, "invalid_field", "Upload-Offset")),
        ([kind, ("Upload-Offset", b"+1")], b"hello", No(400, "invalid_field", "Upload-Offset")),
        ([kind, ("Upload-Offset", b"1")], b"hello", No(409, "wrong_offset", "Upload-Offset")),
        ([kind, start], b"hello there", No(413, "too_large", "5")),
    ]
    for headers, body, outcome in cases:
        check(stage, stage.sender.send(operation.partition(" ")[0], to, headers, body), outcome, "")
    assert stage.sender.send("HEAD", to).headers["Upload-Offset"] == "0"


@pytest.mark.parametrize(
    ("value", "is_packed"),
    [("gzip", True), ("GZIP, br", True), ("br;q=1, gzip;q=0.5", True), ("*", True), ("gzip;q=0", False),
     ("gzip; q=0.000", False), ("gzip;q=x", True), ("gzippy", False), ("identity", False), ("", False)],
)  # fmt: skip
def test_compression_is_what_the_client_takes(stage: Stage, value: str, is_packed: bool) -> None:
    answer = stage.sender.send("GET", "/api/jobs", [("Accept-Encoding", value.encode())])
    assert answer.status == 200 and (answer.headers["Content-Encoding"] == "gzip") == is_packed


def test_lists_may_come_in_several_headers(stage: Stage) -> None:
    deadline = time.monotonic() + HANG
    for values in ([b'"x"', b"TAG"], [b'"x",TAG'], [b"W/TAG"], [b"*"]):
        status = None
        while status != 304 and time.monotonic() < deadline:  # what other tests added may still be running
            tag = stage.sender.send("GET", "/api/jobs").headers["ETag"].encode()
            headers = [("If-None-Match", value.replace(b"TAG", tag)) for value in values]
            status = stage.sender.send("GET", "/api/jobs", headers).status
        assert status == 304, values
    two = [("Accept-Encoding", b"br"), ("Accept-Encoding", b"gzip")]
    assert stage.sender.send("GET", "/api/jobs", two).headers["Content-Encoding"] == "gzip"
    for accept, kind in ((b"text/yaml", "text/yaml"), (b"application/yaml;q=0", "application/json")):
        answer = stage.sender.send("GET", "/api/presets", [("Accept", b"text/html"), ("Accept", accept)])
        assert answer.status == 200 and (answer.kind == "application/json") == (kind == "application/json")


def test_a_token_comes_once(stage: Stage) -> None:
    secret = stage.names["secret"].encode()
    proxied = ("X-Forwarded-For", b"192.0.2.1")  # so that a token is needed
    one = ("Authorization", b"Bearer " + secret)
    assert stage.sender.send("GET", "/api/jobs", [proxied, one]).status == 200
    check(stage, stage.sender.send("GET", "/api/jobs", [proxied, one, one]), No(400, "repeated_field"), "Authorization")


def test_what_is_no_flag_changes_nothing(stage: Stage) -> None:
    for word in ("", "0", "no", "off", "false", "maybe", "2"):
        answer = stage.sender.send("POST", f"/api/jobs/{stage.names['spare_job']}/delete?confirm={word}")
        assert answer.json["error"] in ("confirm_missing", "job_not_found")
    for word in ("1", "TRUE", "Yes", "on"):
        answer = stage.sender.send_json("POST", f"/api/add_job?dry_run={word}", {"renderer": "noop"})
        assert answer.json["valid"] is True


def test_a_sha256_ends_where_it_ends(stage: Stage) -> None:
    body = {"name": "a.noop", "size": 5, "sha256": "0" * 64 + "\n"}
    check(stage, stage.sender.send_json("POST", "/api/uploads", body), No(400, "invalid_field"), "sha256")


def test_subjobs_stay_within_their_job(stage: Stage) -> None:
    frames: list[tuple[dict[str, Any], str]] = [
        ({"start_frame": 0, "end_frame": 5}, "child_jobs[0]"),
        ({"start_frame": 5, "end_frame": 10}, "child_jobs[0]"),
        ({"start_frame": -5, "end_frame": 100}, "child_jobs[0]"),
        ({"start_frame": 6, "end_frame": 5}, "end_frame"),
        ({"end_frame": 5}, "start_frame"),
    ]
    before = jobs(stage)
    for child, word in frames:
        body = {"renderer": "noop", "start_frame": 1, "end_frame": 9, "child_jobs": [child]}
        check(stage, stage.sender.send_json("POST", "/api/add_job", body), No(400, "invalid_frames", word), "")
    assert jobs(stage) == before


def test_dependencies_cannot_go_in_a_circle(stage: Stage) -> None:
    """A job can only depend on jobs that there are already, its id is the node's to give, and what it depends on
    never changes: so every dependency is older than its dependent."""
    unknown = {"renderer": "noop", "depends_on": ["11111111-1111-1111-1111-111111111111"]}
    answer = stage.sender.send_json("POST", "/api/add_job", [{"renderer": "noop"}, unknown])
    check(stage, answer, No(400, "unknown_dependency", "depends_on"), "")
    for name in ("id", "job_id"):
        own = {"renderer": "noop", name: "mine", "depends_on": ["mine"]}
        check(stage, stage.sender.send_json("POST", "/api/add_job", own), No(400, "unknown_field"), name)
    parent = {"renderer": "noop", "child_jobs": [{"depends_on": [stage.names["parent"]]}]}
    check(stage, stage.sender.send_json("POST", "/api/add_job", parent), No(400, "unknown_field"), "depends_on")
    takers = [each for each, made in OPERATIONS.items() if '"depends_on"' in json.dumps(_held(made.get("requestBody")))]
    assert takers == ["POST /api/add_job"]


def _held(schema: Any) -> list[Any]:
    return [DOCUMENT["components"]["schemas"][name] for name in structs(schema)]


def test_a_right_request_is_known_for_each_body() -> None:
    assert all(GOOD[each].body is not None for each in TAKES_JSON)
