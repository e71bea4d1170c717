"""The node against the tables of its contract: routes, statuses, names; what has not landed is not there at all."""

from __future__ import annotations

import base64
import hashlib
import json
import re

import pytest

from tests.conftest import Api
from tests.contract.routes import HERE, JOB_FIELDS, LATER, OLDER_WORDS, ROWS, STATUSES, Row
from zeus.api.openapi import document
from zeus.api.routes import ROUTES
from zeus.model import Status, string_to_status
from zeus.wire import JobView

DOCUMENT = json.loads(document((route.method, route.path, route.scope is None) for route in ROUTES))
UNKNOWN = "00000000-0000-0000-0000-000000000000"


def test_the_routes_are_those_of_the_contract() -> None:
    landed = {(route.method, re.sub(r":[^}]*", "", route.path)) for route in ROUTES}
    assert landed == {(row.method, row.path) for row in ROWS if row.since == HERE}


@pytest.mark.parametrize("row", [row for row in ROWS if row.since == HERE], ids=lambda row: f"{row.method} {row.path}")
def test_the_document_has_each_status_of_the_contract(row: Row) -> None:
    responses = DOCUMENT["paths"][row.path][row.method.lower()]["responses"]
    assert {str(status) for status in row.statuses} <= set(responses)


@pytest.mark.parametrize("row", [row for row in ROWS if row.since == LATER], ids=lambda row: f"{row.method} {row.path}")
async def test_what_has_not_landed_is_404(api: Api, row: Row) -> None:
    path = row.path.replace("{job_id}", UNKNOWN)
    status, error = await api.request(row.method, path)
    assert (status, error["error"]) in ((404, "not_found"), (404, "engine_not_found"), (405, "method_not_allowed"))


def test_no_schema_is_empty() -> None:
    """`{}` as a schema is a defect, except under `args` and where the engine decides."""

    def walk(value: object, where: str) -> None:
        if isinstance(value, dict):
            for name, each in value.items():
                free = name in ("args", "additionalProperties", "example", "default") or "/args/" in where
                assert each != {} or free or name == "properties", f"{where}/{name}"
                if not free:
                    walk(each, f"{where}/{name}")
        elif isinstance(value, list):
            for number, each in enumerate(value):
                if where.rpartition("/")[2] != "security":
                    walk(each, f"{where}/{number}")

    walk(DOCUMENT["components"]["schemas"], "schemas")
    walk(DOCUMENT["paths"], "paths")


def test_every_operation_has_words_and_every_body_an_example() -> None:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"], (method, path)
            body = operation.get("requestBody")
            json_body = body and body["content"].get("application/json")
            assert json_body is None or json_body["example"], (method, path)


async def test_the_job_object(api: Api) -> None:
    assert list(JobView.__struct_fields__) == JOB_FIELDS
    job_id = await api.add()
    _, job = await api.get(f"/api/jobs/{job_id}")
    assert list(job) == JOB_FIELDS


def test_the_words_of_states() -> None:
    assert [status.value for status in Status] == STATUSES
    for word, status in OLDER_WORDS.items():
        assert string_to_status(word).value == status


async def test_the_document_and_its_page_are_served(api: Api) -> None:
    status, served = await api.get("/api/openapi.json")
    assert status == 200 and served == DOCUMENT and served["openapi"].startswith("3.1")
    async with api.session.get(f"{api.url}/api/docs") as got:
        assert got.status == 200 and got.content_type == "text/html"
        page = await got.text()
        policy = got.headers["Content-Security-Policy"]
    assert page.count("<h3><b class=") == len(ROUTES) and all(f'id="{name}"' in page for name in ("JobView", "AddJob"))
    assert not re.search(r'<script|\bon\w+=|style=|src=|url\(|@import|href="[^#/]', page)
    style = re.findall("<style>(.*?)</style>", page, re.S)
    digest = base64.b64encode(hashlib.sha256(style[0].encode()).digest()).decode()
    assert len(style) == 1 and f"style-src 'sha256-{digest}';" in policy and "unsafe" not in policy
    targets = set(re.findall(r' id="([^"]+)"', page))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= targets


def test_every_operation_is_in_a_group() -> None:
    tags = {tag["name"] for tag in DOCUMENT["tags"]}
    assert tags == {made["tags"][0] for methods in DOCUMENT["paths"].values() for made in methods.values()}
