"""The OpenAPI 3.1 document of all routes, made from the route table and the typed structs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from aiohttp import web

import zeus as package
from zeus.api.errors import API_VERSION, VERSION_HEADER, speaks_openai
from zeus.api.keys import DOCUMENT
from zeus.api.operations import OPERATIONS, Operation, Query
from zeus.wire import ErrorBody, OpenAIError

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


GROUPS = {
    "Generate": ("/api/model-status", "/api/generate", "/files/"),
    "OpenAI's videos": ("/v1/videos",),
    "Jobs": ("/api/jobs", "/api/add_job", "/api/events"),
    "Uploads": ("/api/uploads",),
    "Engines and presets": ("/api/engines", "/api/presets"),
    "The node": ("/",),
}
"""The tags of the operations: the first group that has a beginning of the path."""


HEADERS = {
    VERSION_HEADER: "Asks for the farm API's manners: errors as plain text",
    "Accept-Encoding": "gzip: compress what is worth it",
    "Idempotency-Key": "Makes a repeated request give what the first one made, for a day",
    "If-None-Match": "The ETag of what the client has: 304 while it is still that",
    "Last-Event-ID": "The id of the last event that the client got: goes on after it",
    "Range": "Only these bytes",
    "Upload-Offset": "Where these bytes belong",
}
"""What request headers are for."""


async def openapi(request: web.Request) -> web.Response:
    return web.Response(body=request.app[DOCUMENT], content_type="application/json")


def document(routes: Iterable[tuple[str, str, bool]]) -> bytes:
    """The document of these routes: of each its method, its path and whether everybody may ask."""
    rows = [(method, FIXED.sub(r"{\1}", path), is_public) for method, path, is_public in routes]
    kinds = [ErrorBody, OpenAIError, *(kind for operation in OPERATIONS.values() for kind in _kinds(operation))]
    schemas, components = msgspec.json.schema_components(kinds, ref_template=TEMPLATE)
    known = dict(zip(map(repr, kinds), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for method, path, is_public in rows:
        paths.setdefault(path, {})[method.lower()] = made = _operation(OPERATIONS[method, path], path, known, is_public)
        if (operation := OPERATIONS[method, path]).file:
            form = _form(components[operation.takes.__name__], operation.file)
            made["requestBody"]["content"]["multipart/form-data"] = {"schema": form}
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {"title": "Zeus", "version": package.__version__, "summary": "Render, transcode, generate"},
            "tags": [{"name": name} for name in GROUPS],
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
        "tags": [next(name for name, starts in GROUPS.items() if path.startswith(starts))],
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
    return {"name": name, "in": "header", "required": False, "description": HEADERS[name], "schema": schema}


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


def _form(struct: Mapping[str, Any], file: str) -> dict[str, Any]:
    """A form of a struct's fields, each a text, and a file."""
    texts = {
        name: {"type": "string", "description": each["description"]} for name, each in struct["properties"].items()
    }
    picture = {"type": "string", "contentMediaType": "application/octet-stream"}
    return {"type": "object", "properties": {**texts, file: picture}, "required": struct["required"]}


def _responses(operation: Operation, path: str, known: Mapping[str, Any]) -> dict[str, Any]:
    error = OpenAIError if speaks_openai(path) else ErrorBody
    gives: dict[int, Any] = dict.fromkeys(EVERYWHERE, error)
    if "{" in path:
        gives[404] = error
    if operation.takes is not None or operation.raw:
        gives |= dict.fromkeys(WITH_BODY, error)
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
    if kind in (ErrorBody, OpenAIError):  # the farm dialect's errors are plain text
        made["content"]["text/plain"] = {"schema": {"type": "string"}}
    return made
