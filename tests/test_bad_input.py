"""Every route with everything wrong: one sentence, the right status, no traceback or host path, nothing left behind."""

from __future__ import annotations

import asyncio
import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from tests.conftest import Api, NodeProcess
from zeus.api.app import Node
from zeus.api.operations import OPERATIONS

JSON = {"Content-Type": "application/json"}
UNKNOWN = "00000000-0000-0000-0000-000000000000"

BODIES: list[tuple[str, Any, dict[str, str], int, str]] = [
    ("no body", None, {}, 400, "missing_body"),
    ("empty JSON", b"", JSON, 400, "missing_body"),
    ("wrong type", b"{}", {"Content-Type": "text/plain"}, 415, "unsupported_media_type"),
    ("wrong JSON", b"{", JSON, 400, "invalid_json"),
    ("JSON of bad UTF-8", b'{"name": "\xff"}', JSON, 400, "invalid_json"),
    ("deep JSON", b"[" * 100_000, JSON, 400, "invalid_json"),
    ("no object", b"5", JSON, 400, "invalid_json"),
    ("null", b"null", JSON, 400, "invalid_json"),
    ("compressed", b"\x1f\x8b", {**JSON, "Content-Encoding": "gzip"}, 415, "unsupported_media_type"),
    ("too large", b" " * (1 << 20) + b"{}", JSON, 413, "too_large"),
]


def check_error(status: int, body: Any, wanted: int, code: str, node: Node | None = None) -> None:
    assert (status, body["error"]) == (wanted, code), body
    assert set(body) == {"error", "message"}
    assert "Traceback" not in body["message"] and "\n" not in body["message"]
    if node is not None:
        assert str(node.zeus.files.root) not in body["message"]
        assert list(node.zeus.files.incoming.iterdir()) == []
        assert list(node.zeus.files.jobs.iterdir()) == []


@pytest.mark.parametrize("path", ["/api/generate", "/api/add_job"])
async def test_bodies(node: Node, api: Api, path: str) -> None:
    for name, body, headers, status, code in BODIES:
        data = None if body is None else io.BytesIO(body)
        got = await api.post(path, data=data, headers=headers, skip_auto_headers=["Content-Type"])
        assert got[0] == status, (name, got)
        check_error(*got, status, code, node)


@pytest.mark.parametrize("kind", [each.takes for each in OPERATIONS.values() if each.takes is not None], ids=str)
def test_a_body_that_does_not_match_is_told_in_words(kind: Any) -> None:
    def untold(schema: Any) -> list[Any]:
        if isinstance(schema, dict):
            here = [schema] if isinstance(schema.get("pattern"), str) and "title" not in schema else []
            return here + untold([*schema.values()])
        return [found for each in schema for found in untold(each)] if isinstance(schema, list | tuple) else []

    assert not untold(msgspec.json.schema_components([kind]))


@pytest.mark.parametrize(
    ("body", "code", "word"),
    [
        ({}, "missing_prompt", "prompt"),
        ({"prompt": ""}, "missing_prompt", "prompt"),
        ({"prompt": " \n "}, "missing_prompt", "prompt"),
        ({"prompt": None}, "missing_prompt", "prompt"),
        ({"prompt": 5}, "invalid_field", "prompt"),
        ({"prompt": "fox", "colour": "red"}, "unknown_field", "colour"),
        ({"prompt": "fox", "width": "wide"}, "invalid_field", "width"),
        ({"prompt": "fox", "width": 0}, "invalid_args", "width"),
        ({"prompt": "fox", "width": 10**30}, "invalid_args", "width"),
        ({"prompt": "fox", "num_frames": -1}, "invalid_args", "num_frames"),
        ({"prompt": "fox", "seed": -1}, "invalid_args", "seed"),
        ({"prompt": "x" * 100_000}, "invalid_args", "prompt"),
        ({"prompt": "fox\0"}, "invalid_args", "prompt"),
        ({"prompt": "fox", "model": "sora"}, "unknown_model", "sora"),
        ({"prompt": "fox", "negative_prompt": "cat"}, "unsupported_field", "procedural"),
        ({"prompt": "fox", "guidance_scale": 3}, "unsupported_field", "procedural"),
        ({"prompt": "fox", "image": UNKNOWN}, "unknown_upload", "image"),
    ],
)
async def test_generate_names_what_is_wrong(node: Node, api: Api, body: Any, code: str, word: str) -> None:
    status, error = await api.post("/api/generate", json=body)
    check_error(status, error, 400, code, node)
    assert word in error["message"]


@pytest.mark.parametrize(
    ("body", "code", "word"),
    [
        ({}, "missing_field", "renderer"),
        ([], "no_jobs", "empty"),
        ([5], "invalid_json", "Job 0"),
        ({"renderer": "nothing"}, "unknown_engine", "nothing"),
        ({"renderer": 5}, "invalid_field", "renderer"),
        ({"renderer": "noop", "colour": 1}, "unknown_field", "colour"),
        ({"renderer": "noop", "webhook": "http://x"}, "unsupported_field", "webhook"),
        ({"renderer": "noop", "preset": "x"}, "unknown_preset", "preset"),
        ({"renderer": "noop", "child_jobs": 5}, "invalid_field", "child_jobs"),
        ({"renderer": "noop", "child_jobs": [{"frames": 5}]}, "unknown_field", "frames"),
        ({"renderer": "noop", "child_jobs": [{"start_frame": 5}]}, "invalid_frames", "end_frame"),
        (
            {"renderer": "noop", "start_frame": 1, "end_frame": 9, "child_jobs": [{"start_frame": 5, "end_frame": 10}]},
            "invalid_frames",
            "child_jobs[0]",
        ),
        ({"renderer": "noop", "depends_on": [UNKNOWN]}, "unknown_dependency", UNKNOWN),
        ({"renderer": "noop", "depends_on": UNKNOWN}, "invalid_field", "depends_on"),
        ({"renderer": "noop", "depends_on": ["../x"]}, "invalid_field", "depends_on[0]: Expected an id: up to 64"),
        ({"renderer": "noop", "tags": ["a", "big gpu"]}, "invalid_field", "tags[1]: Expected 1 to 63 letters"),
        ({"renderer": "noop", "tags": ["gpu\n"]}, "invalid_field", "tags[0]: Expected 1 to 63 letters"),
        ({"renderer": "noop", "not_before": "soon"}, "invalid_field", "not_before"),
        ({"renderer": "noop", "not_before": "2030-01-01T00:00:00"}, "invalid_field", "not_before"),
        ({"renderer": "noop", "args": []}, "invalid_field", "args"),
        ({"renderer": "noop", "args": {"colour": 1}}, "invalid_args", "colour"),
        ({"renderer": "noop", "args": {"seconds": "x"}}, "invalid_args", "seconds"),
        ({"renderer": "noop", "priority": 101}, "invalid_field", "priority"),
        ({"renderer": "noop", "priority": -1}, "invalid_field", "priority"),
        ({"renderer": "noop", "max_attempts": 0}, "invalid_field", "max_attempts"),
        ({"renderer": "noop", "name": ""}, "invalid_field", "name"),
        ({"renderer": "noop", "name": "x" * 300}, "invalid_field", "name"),
        ({"renderer": "noop", "start_frame": 1}, "invalid_frames", "end_frame"),
        ({"renderer": "noop", "start_frame": 5, "end_frame": 1}, "invalid_frames", "end_frame"),
        ({"renderer": "noop", "start_frame": 1.5, "end_frame": 2}, "invalid_field", "start_frame"),
        ({"renderer": "noop", "start_frame": 1, "end_frame": 10**7}, "invalid_field", "end_frame"),
        ({"renderer": "noop", "renderer_version": "9.9"}, "unknown_version", "renderer_version"),
        ({"renderer": "noop", "local_path": "/etc/passwd"}, "local_path_not_allowed", "local_path"),
        ({"renderer": "ffmpeg"}, "missing_file", "ffmpeg"),
    ],
)
async def test_add_job_names_what_is_wrong(node: Node, api: Api, body: Any, code: str, word: str) -> None:
    status, error = await api.post("/api/add_job", json=body)
    check_error(status, error, 400, code, node)
    assert word in error["message"]


def form(parts: list[tuple[str, bytes, str | None]]) -> aiohttp.FormData:
    made = aiohttp.FormData()
    for name, value, filename in parts:
        made.add_field(name, io.BytesIO(value) if filename else value.decode(), filename=filename)
    made._is_multipart = True
    return made


NOOP = ("json", b'{"renderer": "noop"}', None)


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ([("file", b"x", "a.noop")], "missing_field"),
        ([NOOP, NOOP], "invalid_multipart"),
        ([NOOP, ("file", b"x", "a"), ("file", b"x", "b")], "invalid_multipart"),
        ([NOOP, ("picture", b"x", "a")], "unknown_field"),
        ([NOOP, ("file", b"", "a.noop")], "empty_file"),
        ([("file", b"", "a.noop"), NOOP], "empty_file"),
        ([NOOP, ("file", b"text", None)], "invalid_filename"),
        ([NOOP, ("file", b"x", ".")], "invalid_filename"),
        ([NOOP, ("file", b"x", "..")], "invalid_filename"),
        ([("json", b"{", None), ("file", b"x", "a")], "invalid_json"),
        ([("json", b"{}", None), ("file", b"x", "a.unknown")], "unknown_engine"),
        ([("json", b'{"renderer": "noop", "local_path": "/x"}', None), ("file", b"x", "a")], "two_inputs"),
    ],
)
async def test_forms(node: Node, api: Api, parts: list[tuple[str, bytes, str | None]], code: str) -> None:
    status, error = await api.post("/api/add_job", data=form(parts))
    check_error(status, error, 400, code, node)


RAW = b'--B\r\nContent-Disposition: form-data; name="json"\r\n\r\n{"renderer": "noop"}\r\n'
HEAD = b'--B\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\n'


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (RAW, "multipart/form-data; boundary=B", 400),
        (RAW + b"--B--\r\n", "multipart/form-data", 400),
        (RAW + b"--B--\r\n", "multipart/form-data; boundary=", 400),
        (b"", "multipart/form-data; boundary=B", 400),
        (b"rubbish", "multipart/form-data; boundary=B", 400),
        (RAW + HEAD % b"a\0b" + b"\r\nx\r\n--B--\r\n", "multipart/form-data; boundary=B", 400),
        (RAW + HEAD % b"a" + b"Content-Encoding: gzip\r\n\r\nx\r\n--B--\r\n", "multipart/form-data; boundary=B", 415),
        (RAW + HEAD % b"a" + b"Content-Transfer-Encoding: base64\r\n\r\neA==\r\n--B--\r\n",
         "multipart/form-data; boundary=B", 415),
        (RAW + HEAD % b"a" + b"\r\nhalf a file", "multipart/form-data; boundary=B", 400),
        (b'--B\r\nContent-Disposition: form-data; name="\xff"\r\n\r\nx\r\n--B--\r\n',
         "multipart/form-data; boundary=B", 400),
        (b'--B\r\nContent-Disposition: form-data; name="_charset_"\r\n\r\n' + b"x" * 40 + b"\r\n" + RAW + b"--B--\r\n",
         "multipart/form-data; boundary=B", 400),
        (b'--%b\r\nContent-Disposition: form-data; name="_charset_"\r\n\r\nutf-8\r\n--B--\r\n' % (b"B" * 50),
         "multipart/form-data; boundary=" + "B" * 50, 400),
        (b"\n" * (1 << 17) + RAW + b"--B--\r\n", "multipart/form-data; boundary=B", 400),
        (b"x" * 63 + b"\n" + b"x\n" * (1 << 16) + RAW + b"--B--\r\n", "multipart/form-data; boundary=B", 400),
        (RAW + b"--B\r\n" + b"X: %b\r\n" % (b"a" * 4000) * 20 + b"\r\nx\r\n--B--\r\n",
         "multipart/form-data; boundary=B", 400),
        (b"--B\r\nContent-Type: multipart/mixed; boundary=C\r\n\r\n--C--\r\n--B--\r\n",
         "multipart/form-data; boundary=B", 400),
    ],
)  # fmt: skip
async def test_malformed_forms(node: Node, api: Api, body: bytes, kind: str, status: int) -> None:
    got, error = await api.post("/api/add_job", data=body, headers={"Content-Type": kind})
    assert got == status, error
    check_error(got, error, status, error["error"], node)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../x.noop", "x.noop"),
        ("C:\\x.noop", "x.noop"),
        ("/etc/passwd.noop", "passwd.noop"),
        ("x" * 300 + ".noop", "x" * 195 + ".noop"),
        (".hidden.noop", "hidden.noop"),
        ("-rf.noop", "-rf.noop"),
        ('a"b<c>.noop', "a_b_c_.noop"),
        ("ünï—код.noop", "ünï—код.noop"),
    ],
)
async def test_odd_file_names_are_made_safe(node: Node, api: Api, sent: str, kept: str) -> None:
    data = aiohttp.FormData(quote_fields=False)
    data.add_field("json", "{}")
    data.add_field("file", b"x", filename=sent.replace('"', "%22") if '"' in sent else sent)
    status, job = await api.post("/api/add_job", data=data)
    assert status == 200, job
    folder = node.zeus.files.job(job["id"]) / "input"
    names = [path.name for path in folder.iterdir()]
    assert names == [kept] or (len(names) == 1 and '"' in sent)
    assert "/" not in names[0] and not names[0].startswith(".")


@pytest.mark.parametrize("method_path", [
    "GET /api/jobs/{}", "GET /api/jobs/{}/logs", "GET /api/jobs/{}/files", "GET /api/jobs/{}/download?filename=a",
    "POST /api/jobs/{}/cancel?confirm=1", "POST /api/jobs/{}/delete?confirm=1", "GET /files/{}/out.mp4",
])  # fmt: skip
async def test_job_ids_in_both_dialects(api: Api, method_path: str) -> None:
    method, path = method_path.split(" ")
    status, error = await api.request(method, path.format(UNKNOWN))
    check_error(status, error, 404, "job_not_found")
    status, text = await api.request(method, path.format(UNKNOWN), headers={"X-API-Version": "0.1"})
    assert (status, text) == (400, f"No job has the id {UNKNOWN}.")
    for bad in ("a_b", "a%20b", "a%2Fb", "..%2F..%2Fetc", "%00", "a" * 100, "ü"):
        status, error = await api.request(method, path.format(bad))
        check_error(status, error, 400, "invalid_job_id")


async def test_files_route_with_a_real_slash(api: Api) -> None:
    status, error = await api.get("/files/a/b/out.mp4")
    check_error(status, error, 400, "invalid_job_id")


async def test_confirm_is_needed(api: Api) -> None:
    job_id = await api.add()
    await api.until(job_id)
    for action in ("cancel", "delete"):
        for query in ("", "?confirm=", "?confirm=0", "?confirm=no"):
            status, error = await api.post(f"/api/jobs/{job_id}/{action}{query}")
            check_error(status, error, 400, "confirm_missing")
    assert (await api.get(f"/api/jobs/{job_id}"))[0] == 200


@pytest.mark.parametrize("name", ["", "../zeus.db", "..", "/etc/passwd", "none.txt", "out.txt%00", "OUT.TXT/"])
async def test_downloads_of_what_is_no_output(api: Api, name: str) -> None:
    job_id = await api.add()
    await api.until(job_id)
    status, error = await api.get(f"/api/jobs/{job_id}/download?filename={name}")
    assert (status, error["error"]) in ((404, "file_not_found"), (400, "missing_field"))
    status, _ = await api.get(f"/api/jobs/{job_id}/download")
    assert status == 400


async def test_ranges_that_cannot_be(api: Api) -> None:
    job_id = await api.add()
    await api.until(job_id)
    for value in ("bytes=100-", "bytes=5-1", "bytes=x", "bytes=99999999999999999999-"):
        status, _ = await api.get(f"/api/jobs/{job_id}/download?filename=out.txt", headers={"Range": value})
        assert status in (200, 416), value


async def test_a_refused_range_is_an_error_like_all_others(api: Api) -> None:
    job_id = await api.add(content="12345")
    await api.until(job_id)
    url = f"{api.url}/api/jobs/{job_id}/download?filename=out.txt"
    for value in ("bytes=100-", "bytes=5-", "bytes=5-1", "bytes=x"):
        async with api.session.get(url, headers={"Range": value}) as got:
            check_error(got.status, await got.json(), 416, "range_not_satisfiable")
            assert got.headers["Content-Range"] == "bytes */5" and "Content-Disposition" not in got.headers
        async with api.session.get(url, headers={"Range": value, "X-API-Version": "0.1"}) as got:
            assert (got.status, got.content_type, await got.text()) == (
                416, "text/plain", "The file has 5 bytes, and not those.",
            )  # fmt: skip
        async with api.session.head(url, headers={"Range": value}) as got:
            assert (got.status, await got.read()) == (416, b"")
    for value, part in (("bytes=0-1", "12"), ("bytes=-2", "45"), ("bytes=4-99", "5"), ("bytes=-99", "12345")):
        assert await api.get(url.removeprefix(api.url), headers={"Range": value}) == (206, part)


async def test_unknown_routes_and_methods(api: Api) -> None:
    status, error = await api.get("/api/nothing")
    check_error(status, error, 404, "not_found")
    async with api.session.delete(api.url + "/api/jobs") as got:
        check_error(got.status, await got.json(), 405, "method_not_allowed")
        assert got.headers["Allow"] == "GET,HEAD"
    status, error = await api.request("PATCH", f"/api/jobs/{UNKNOWN}/cancel")
    check_error(status, error, 405, "method_not_allowed")


async def test_query_values(api: Api) -> None:
    for timeout in ("0", "61", "x", "nan", "inf", "-5", ""):
        status, error = await api.get(f"/api/jobs/long_poll?token=&timeout={timeout}")
        check_error(status, error, 400, "invalid_field")
    for name in ("", "%00", ".", "a" * 5000):
        status, error = await api.get(f"/api/engines/for_filename?filename={name}")
        assert status in (400, 404)
    assert (await api.get("/api/engines/for_filename"))[0] == 400
    assert (await api.get("/api/engines/for_filename?filename=x.none"))[0] == 404
    assert await api.get("/api/engines/for_filename?filename=C:\\x.NOOP") == (200, "noop")


async def test_the_version_header(api: Api) -> None:
    for path in ("/api/heartbeat", "/api/jobs"):
        status, error = await api.get(path, headers={"X-API-Version": "0.2"})
        check_error(status, error, 400, "unsupported_api_version")
        async with api.session.get(api.url + path, headers={"X-API-Version": "0.1"}) as got:
            assert (got.status, got.headers["X-API-Version"]) == (200, "0.1")


async def test_the_farm_dialect_ignores_and_notes_unknown_fields(api: Api) -> None:
    body = {"renderer": "noop", "colour": 1}
    status, text = await api.post("/api/add_job", json=body, headers={"X-API-Version": "0.1"})
    assert status == 200
    await api.until(text["id"])
    assert "'colour' was ignored" in (await api.get(f"/api/jobs/{text['id']}/logs"))[1]
    status, text = await api.post("/api/add_job", json={"renderer": "x"}, headers={"X-API-Version": "0.1"})
    assert status == 400 and text.startswith('There is no engine "x"')


async def test_an_upload_that_stops_half_way_leaves_nothing(node: Node, api: Api) -> None:
    host, port = node.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    head = f"POST /api/add_job HTTP/1.1\r\nHost: {host}\r\nContent-Type: multipart/form-data; boundary=B\r\n"
    writer.write(f"{head}Content-Length: {5 << 30}\r\n\r\n".encode() + RAW + HEAD % b"big.noop" + b"\r\n")
    for _ in range(100):
        writer.write(b"x" * 9999)
        await writer.drain()
        await asyncio.sleep(0.05)
        if list(node.zeus.files.incoming.iterdir()):
            break
    assert list(node.zeus.files.incoming.iterdir())
    writer.close()
    for _ in range(100):
        await asyncio.sleep(0.05)
        if not list(node.zeus.files.incoming.iterdir()):
            break
    assert list(node.zeus.files.incoming.iterdir()) == [] and list(node.zeus.files.jobs.iterdir()) == []


async def test_a_form_of_nothing_but_lines_blocks_nobody(node: Node, api: Api) -> None:
    host, port = node.url.removeprefix("http://").split(":")
    head = f"POST /api/add_job HTTP/1.1\r\nHost: {host}\r\nContent-Type: multipart/form-data; boundary=B\r\n"

    async def flood() -> bytes:
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        for _ in range(100):
            writer.write(b"10000\r\n" + b"\n" * 65536 + b"\r\n")
            await asyncio.sleep(0)
        answer = await asyncio.wait_for(reader.readuntil(b"}"), 30)
        writer.close()
        return answer

    floods = [asyncio.create_task(flood()) for _ in range(4)]
    longest = 0.0
    while not all(each.done() for each in floods):
        before = time.monotonic()
        assert (await api.get("/api/heartbeat"))[0] == 200
        longest = max(longest, time.monotonic() - before)
    for each in floods:
        assert b" 400 " in each.result()[:30] and b"invalid_multipart" in each.result()
    assert longest < 2


async def test_an_upload_that_stalls_is_given_up(spawn_node: Callable[..., NodeProcess], tmp_path: Path) -> None:
    node = spawn_node(http={"body_timeout": 0.3})
    host, port = node.start().removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = f"POST /api/add_job HTTP/1.1\r\nHost: {host}\r\nContent-Type: multipart/form-data; boundary=B\r\n"
    writer.write(f"{head}Content-Length: 1000\r\n\r\n".encode() + RAW + HEAD % b"big.noop" + b"\r\nxxx")
    answer = await asyncio.wait_for(reader.readuntil(b"}"), 30)
    assert b" 408 " in answer.split(b"\r\n")[0] and b"request_timeout" in answer
    assert list((tmp_path / "spawned/storage/incoming").iterdir()) == []
    writer.close()


async def test_uploads_over_the_limit_are_refused(spawn_node: Callable[..., NodeProcess], api: Api) -> None:
    small = Api(api.session, spawn_node(http={"max_upload_bytes": 1000, "max_json_bytes": 1024}).start())
    for size in (1001, 1 << 22):
        status, error = await small.post("/api/add_job", data=form([NOOP, ("file", b"x" * size, "a.noop")]))
        check_error(status, error, 413, "too_large")
    status, error = await small.post("/api/add_job", data=form([("json", b" " * 2000, None)]))
    check_error(status, error, 413, "too_large")
    status, _ = await small.post("/api/add_job", data=form([NOOP, ("file", b"x" * 1000, "a.noop")]))
    assert status == 200


async def test_local_paths(spawn_node: Callable[..., NodeProcess], api: Api, tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "rooted"
    for folder in (root, outside):
        folder.mkdir()
        (folder / "a.noop").write_text("x")
    (root / "link.noop").symlink_to(outside / "a.noop")
    local = Api(api.session, spawn_node(files={"local_roots": [str(root)]}).start())
    refused = ["a.noop", str(outside / "a.noop"), f"{root}/../rooted/a.noop", str(root / "link.noop"), "/x\0y"]
    for path in refused:
        status, error = await local.post("/api/add_job", json={"local_path": path})
        assert status == 400 and error["error"] in ("local_path_not_allowed", "invalid_field"), (path, error)
    status, error = await local.post("/api/add_job", json={"local_path": str(root / "none.noop")})
    check_error(status, error, 400, "file_not_found")
    body = {"local_path": str(root / "a.noop")}
    status, error = await local.post("/api/add_job", json=body, headers={"X-Forwarded-For": "1.2.3.4"})
    check_error(status, error, 400, "local_path_not_allowed")
    status, job = await local.post("/api/add_job", json=body)
    assert status == 200
    await local.until(job["id"])
    await local.post(f"/api/jobs/{job['id']}/delete?confirm=1")
    assert (root / "a.noop").read_text() == "x"


def test_no_message_is_a_python_repr() -> None:
    """What msgspec says of a wrong type must stay readable: guard against a change of its wording."""
    from zeus.api.add_job import AddJob
    from zeus.api.bodies import convert
    from zeus.errors import BadInput

    with pytest.raises(BadInput) as caught:
        convert(json.loads('{"priority": "x"}'), AddJob)
    assert caught.value.message == "priority: Expected `int | null`, got `str`."


async def test_a_word_that_is_not_known_is_told_with_those_that_are(api: Api) -> None:
    form = aiohttp.FormData()
    form.add_field("json", '{"args": {"container": "vhs"}}')
    form.add_field("file", b"data", filename="a.mov")
    status, error = await api.post("/api/add_job", data=form)
    assert (status, error["error"]) == (400, "invalid_args")
    assert error["message"].startswith("args.container: ") and "it is one of" in error["message"]
    assert "webm" in error["message"] and "vhs" in error["message"]
