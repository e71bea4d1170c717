"""The OpenAPI 3.1 document of all routes, made from the route table and the typed structs; and a page to read it."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from aiohttp import web

import zeus as package
from zeus.api.errors import API_VERSION, VERSION_HEADER
from zeus.api.keys import DOCUMENT
from zeus.api.operations import OPERATIONS, Operation, Query
from zeus.wire import ErrorBody

TEMPLATE = "#/components/schemas/{name}"
EVERYWHERE = (400, 401, 403)
"""Refusals that every route may answer with."""
WITH_BODY = (408, 413, 415)
FIXED = re.compile(r"\{(\w+)(?::[^}]*)?\}")
REASONS = {
    200: "Done", 201: "Made", 202: "Accepted", 204: "No content", 206: "A part", 303: "See there", 304: "Not modified",
    400: "Bad input", 401: "No token", 403: "Not allowed", 404: "Not there", 408: "Too slow", 409: "Conflict",
    412: "Precondition failed", 413: "Too large", 415: "Wrong content type", 416: "No such range",
    500: "Unexpected", 503: "Not ready", 507: "No space",
}  # fmt: skip


async def openapi(request: web.Request) -> web.Response:
    return web.Response(body=request.app[DOCUMENT], content_type="application/json")


async def docs(request: web.Request) -> web.Response:
    page = _page(msgspec.json.decode(request.app[DOCUMENT]))
    policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
    return web.Response(text=page, content_type="text/html", headers={"Content-Security-Policy": policy})


def document(routes: Iterable[tuple[str, str, bool]]) -> bytes:
    """The document of these routes: of each its method, its path and whether everybody may ask."""
    rows = [(method, FIXED.sub(r"{\1}", path), is_public) for method, path, is_public in routes]
    kinds = [ErrorBody, *(kind for operation in OPERATIONS.values() for kind in _kinds(operation))]
    schemas, components = msgspec.json.schema_components(kinds, ref_template=TEMPLATE)
    known = dict(zip(map(repr, kinds), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for method, path, is_public in rows:
        paths.setdefault(path, {})[method.lower()] = _operation(OPERATIONS[method, path], path, known, is_public)
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {"title": "Zeus", "version": package.__version__, "summary": "Render, transcode, generate"},
            "paths": paths,
            "components": {
                "schemas": components,
                "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            },
        }
    )


def _kinds(operation: Operation) -> list[Any]:
    """The types that an operation needs the schemas of."""
    found = [kind for given in operation.gives.values() for kind in _several(given) if not isinstance(kind, str)]
    found += [query.kind for query in operation.query]
    return found if operation.takes is None else [*found, operation.takes]


def _several(given: Any) -> tuple[Any, ...]:
    if given is None:
        return ()
    return given if isinstance(given, tuple) else (given,)


def _operation(operation: Operation, path: str, known: Mapping[str, Any], is_public: bool) -> dict[str, Any]:
    made: dict[str, Any] = {
        "summary": operation.summary,
        "parameters": [*_path_parameters(path), *(_parameter(query, known) for query in operation.query)]
        + [_header(name) for name in (*operation.headers, VERSION_HEADER)],
        "responses": _responses(operation, path, known),
        "security": [] if is_public else [{"token": []}, {}],
    }
    if operation.takes is not None:
        made["requestBody"] = _body(operation, known)
    elif operation.raw:
        content = {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}
        made["requestBody"] = {"required": True, "content": dict.fromkeys(operation.raw, content)}
    return made


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in re.findall(r"\{(\w+)\}", path)
    ]


def _parameter(query: Query, known: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": query.name,
        "in": "query",
        "required": query.required,
        "description": query.about,
        "schema": known[repr(query.kind)],
    }


def _header(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    if name == VERSION_HEADER:
        schema["enum"] = [API_VERSION]
    return {"name": name, "in": "header", "required": False, "schema": schema}


def _body(operation: Operation, known: Mapping[str, Any]) -> dict[str, Any]:
    schema = known[repr(operation.takes)]
    content: dict[str, Any] = {"application/json": {"schema": schema, "example": operation.example}}
    if operation.form:
        fields = {"json": schema, "file": {"type": "string", "contentMediaType": "application/octet-stream"}}
        content["multipart/form-data"] = {
            "schema": {"type": "object", "properties": fields, "required": ["json"]},
            "encoding": {"json": {"contentType": "application/json"}},
        }
    return {"required": True, "content": content}


def _responses(operation: Operation, path: str, known: Mapping[str, Any]) -> dict[str, Any]:
    gives: dict[int, Any] = dict.fromkeys(EVERYWHERE, ErrorBody)
    if "{" in path:
        gives[404] = ErrorBody
    if operation.takes is not None or operation.raw:
        gives |= dict.fromkeys(WITH_BODY, ErrorBody)
    gives |= operation.gives
    return {str(status): _response(status, kind, known) for status, kind in sorted(gives.items())}


def _response(status: int, kind: Any, known: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {"description": REASONS[status]}
    schemas = [known[repr(each)] for each in _several(kind) if not isinstance(each, str)]
    content: dict[str, Any] = {each: {"schema": {"type": "string"}} for each in _several(kind) if isinstance(each, str)}
    if schemas:
        content["application/json"] = {"schema": schemas[0] if len(schemas) == 1 else {"anyOf": schemas}}
    if content:
        made["content"] = content
    if kind is ErrorBody:  # the farm dialect's errors are plain text
        made["content"]["text/plain"] = {"schema": {"type": "string"}}
    return made


def _page(found: Mapping[str, Any]) -> str:
    rows = []
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            rows.append(_section(path, method.upper(), operation))
    style = (
        "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;"
        "color:#1b1f27;background:#fbfbfa}code,pre{font:14px/1.45 ui-monospace,monospace}"
        "h2{margin:2.2rem 0 .2rem;font-size:1.05rem}h2 b{color:#7a3e00;margin-right:.6rem}"
        "table{border-collapse:collapse;margin:.4rem 0}td{border-top:1px solid #ddd;padding:.2rem .8rem .2rem 0;"
        "vertical-align:top}pre{background:#f0efeb;padding:.6rem;overflow-x:auto}"
        "@media(prefers-color-scheme:dark){body{color:#e4e2dd;background:#16181d}h2 b{color:#f0b16a}"
        "td{border-color:#333}pre{background:#22252c}a{color:#8ab8ff}}"
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>Zeus API</title><style>{style}</style><h1>Zeus API {html.escape(found['info']['version'])}</h1>"
        f'<p>Every route of this node. For programs: <a href="/api/openapi.json">OpenAPI 3.1</a>.</p>{"".join(rows)}'
    )


def _section(path: str, method: str, operation: Mapping[str, Any]) -> str:
    named = [each for each in operation["parameters"] if each["name"] != VERSION_HEADER]
    parameters = "".join(
        f"<tr><td><code>{html.escape(each['name'])}</code>"
        f"<td>{each['in']}<td>{html.escape(each.get('description', ''))}"
        for each in named
    )
    answers = ", ".join(f"{status} {each['description'].lower()}" for status, each in operation["responses"].items())
    example = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
    shown = f"<pre>{html.escape(msgspec.json.encode(example).decode())}</pre>" if example is not None else ""
    return (
        f"<h2><b>{method}</b><code>{html.escape(path)}</code></h2><p>{html.escape(operation['summary'])}.</p>"
        f"{f'<table>{parameters}</table>' if parameters else ''}{shown}<p>Answers: {html.escape(answers)}.</p>"
    )
