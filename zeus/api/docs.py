"""`GET /api/docs`: the OpenAPI document as a page for people. It needs no network and no script."""

from __future__ import annotations

import base64
import hashlib
import html
import re
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from zeus.api.errors import VERSION_HEADER
from zeus.api.keys import DOCUMENT

STYLE = Path(__file__).with_suffix(".css").read_text("utf-8")
POLICY = (
    f"default-src 'none'; style-src 'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
Schema = Mapping[str, Any]
Rows = Iterable[tuple[str, str, str]]


async def docs(request: web.Request) -> web.Response:
    page = _page(msgspec.json.decode(request.app[DOCUMENT]), f"{request.scheme}://{request.host}")
    return web.Response(text=page, content_type="text/html", headers={"Content-Security-Policy": POLICY})


def _page(found: Schema, server: str) -> str:
    """All groups with their operations, then the shapes; beside them where each is."""
    groups: dict[str, list[tuple[str, str, Schema]]] = {tag["name"]: [] for tag in found["tags"]}
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            groups[operation["tags"][0]].append((method, path, operation))
    schemas = found["components"]["schemas"]
    links = "".join(f"<h2>{name}</h2><ul>{''.join(map(_link, group))}</ul>" for name, group in groups.items())
    cards = "".join(
        f"<h2>{name}</h2>{''.join(_operation(*each, schemas, server) for each in group)}"
        for name, group in groups.items()
    )
    shapes = "".join(_shape(name, schema) for name, schema in sorted(schemas.items()) if "properties" in schema)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Zeus API</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{STYLE}</style></head><body>'
        '<div class="all"><nav aria-label="Routes"><input type="checkbox" id="menu"><label for="menu">All routes'
        f'</label><div>{links}<h2>More</h2><ul><li><a href="#shapes">Shapes</a></ul></div></nav><main>'
        f"<h1>Zeus API <small>{html.escape(found['info']['version'])}</small></h1>"
        f'<p>Every route of this node. For programs: <a href="/api/openapi.json">OpenAPI 3.1</a>.</p>{cards}'
        f'<h2 id="shapes">Shapes</h2>{shapes}</main></div></body></html>'
    )


def _link(row: tuple[str, str, Schema]) -> str:
    method, path, _ = row
    return f'<li><a href="#{_anchor(method, path)}">{_badge(method)}<span>{html.escape(_short(path))}</span></a>'


def _operation(method: str, path: str, operation: Schema, schemas: Schema, server: str) -> str:
    parameters = [each for each in operation["parameters"] if each["name"] != VERSION_HEADER]
    body = operation.get("requestBody", {}).get("content", {})
    anchor = _anchor(method, path)
    return (
        f'<section id="{anchor}"><h3>{_badge(method)}<a href="#{anchor}"><code>{html.escape(path)}</code></a></h3>'
        f"<p>{html.escape(operation['summary'])}.{'' if operation['security'] else ' Open to all.'}</p>"
        + _table("Parameters", map(_parameter, parameters))
        + _body(body, schemas)
        + f"<h4>Try it</h4><pre>{html.escape(_curl(method, path, parameters, body, server))}</pre>"
        + _answers(operation["responses"])
        + "</section>"
    )


def _parameter(given: Schema) -> tuple[str, str, str]:
    name = f"<code>{html.escape(given['name'])}</code>{_needed(given['required'])}"
    about = html.escape(given.get("description", ""))
    return name, f"{given['in']}, {_type(given['schema'])}", about


def _body(content: Schema, schemas: Schema) -> str:
    """What a request holds: the fields of its struct, or the content types of bytes."""
    if not content:
        return ""
    if "application/json" not in content:
        return f"<h4>Body</h4><p>{html.escape(', '.join(content))}</p>"
    schema = content["application/json"]["schema"]
    names = re.findall(r"schemas/(\w+)", str(schema))
    form = content.get("multipart/form-data", {}).get("schema", {}).get("properties", {})
    note = f", or a form of {', '.join(f'<code>{html.escape(name)}</code>' for name in form)}" if form else ""
    return _table(f"Body: {_type(schema)}{note}", _fields(schemas[names[0]]))


def _fields(schema: Schema) -> Rows:
    for name, each in schema.get("properties", {}).items():
        default = each.get("default")
        value = f"{msgspec.json.encode(default).decode()} by default" if default is not None else ""
        about = html.escape("; ".join(filter(None, (each.get("description", ""), value))))
        if "anyOf" in each and default is None and "default" in each:  # null is what leaving it out means
            each = {"anyOf": [one for one in each["anyOf"] if one != {"type": "null"}]}
        yield f"<code>{html.escape(name)}</code>{_needed(name in schema.get('required', ()))}", _type(each), about


def _answers(responses: Schema) -> str:
    """What is right in a table, what is refused in a line: it all looks alike."""
    refusals = [f"<code>{status}</code>&nbsp;{html.escape(each['description'].lower())}"
                for status, each in responses.items() if status >= "400"]  # fmt: skip
    error = _type(responses["400"]["content"]["application/json"]["schema"])
    told = f'<p class="no">Refused by {error}: {", ".join(refusals)}.</p>'
    return _table("Answers", (_answer(*each) for each in responses.items() if each[0] < "400")) + told


def _answer(status: str, response: Schema) -> tuple[str, str, str]:
    kinds = [
        _type(each["schema"]) if kind == "application/json" else html.escape(kind)
        for kind, each in response.get("content", {}).items()
    ]
    return f"<code>{status}</code>", html.escape(response["description"]), " or ".join(dict.fromkeys(kinds))


def _shape(name: str, schema: Schema) -> str:
    about = html.escape(schema.get("description", ""))
    return f'<section id="{name}"><h3><code>{name}</code></h3><p>{about}</p>{_table("", _fields(schema))}</section>'


def _table(title: str, rows: Rows) -> str:
    made = "".join(f"<tr><td>{first}<td>{second}<td>{third}" for first, second, third in rows)
    return f"{f'<h4>{title}</h4>' if title else ''}<table>{made}</table>" if made else ""


def _type(schema: Schema) -> str:
    """A schema in a few words, with links to the structs that it names."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(map(_type, schema["anyOf"]))
    if "enum" in schema:
        return " or ".join(html.escape(str(each)) for each in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}" if "items" in schema else "list"
    if isinstance(schema.get("additionalProperties"), Mapping) and schema["additionalProperties"]:
        return f"object of {_type(schema['additionalProperties'])}"
    if choice := re.fullmatch(r"\^\(([\w|]+)\)\$", schema.get("pattern", "")):
        return choice[1].replace("|", " or ")
    return f"{schema.get('format', schema.get('type', 'anything'))}{_bounds(schema)}"


def _bounds(schema: Schema) -> str:
    least = schema.get("minimum", schema.get("minLength"))
    most = schema.get("maximum", schema.get("maxLength"))
    unit = " characters" if schema.get("type") == "string" else ""
    if least is not None and most is not None:
        return f", {least:,} to {most:,}{unit}"
    if most is not None:
        return f", at most {most:,}{unit}"
    return f", at least {least:,}{unit}" if least is not None and not unit else ""


def _curl(method: str, path: str, parameters: Iterable[Schema], body: Schema, server: str) -> str:
    """A command that asks for it; what is in capitals is to be filled in."""
    query = "&".join(
        f"{each['name']}={_value(each)}" for each in parameters if each["in"] == "query" and each["required"]
    )
    url = server + re.sub(r"\{(\w+)\}", lambda found: found[1].upper(), path) + (f"?{query}" if query else "")
    lines = [" ".join(("curl", *(() if method == "get" else ("-X", method.upper())), shlex.quote(url)))]
    if "application/json" in body:
        example = msgspec.json.encode(body["application/json"]["example"]).decode()
        lines += ["-H 'Content-Type: application/json'", f"-d {shlex.quote(example)}"]
    elif body:
        lines += [f"-H 'Content-Type: {next(iter(body))}'", "-H 'Upload-Offset: 0'", "-T FILE"]
    return " \\\n    ".join(lines)


def _value(parameter: Schema) -> str:
    schema = parameter["schema"]
    return str(schema["examples"][0] if "examples" in schema else schema.get("maximum", parameter["name"].upper()))


def _needed(is_needed: bool) -> str:
    return "<i>needed</i>" if is_needed else ""


def _badge(method: str) -> str:
    return f'<b class="{method}">{method.upper()}</b>'


def _anchor(method: str, path: str) -> str:
    return f"{method}-{re.sub(r'[^a-z0-9]+', '-', path.lower()).strip('-')}"


def _short(path: str) -> str:
    return path.removeprefix("/api")
