"""Every parameter of every route, wrong in every way: the right status, a sentence that names it, nothing left."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.matrix.cases import GOOD, HEADERS, PATHS, QUERIES, SLOW, VERSION, Good
from tests.matrix.conftest import Stage
from tests.matrix.fields import BODIES
from tests.matrix.outcomes import (
    INVALID,
    TWICE,
    No,
    Outcome,
    Outcomes,
    Told,
    field_values,
    header_values,
    path_values,
    query_values,
)
from tests.matrix.raw import Answer
from zeus.api.openapi import document
from zeus.api.routes import ROUTES

DOCUMENT = json.loads(document((route.method, route.path, route.scope is None) for route in ROUTES))
SCHEMAS = DOCUMENT["components"]["schemas"]
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}
PARAMETERS = [(operation, each["name"], each) for operation, made in OPERATIONS.items() for each in made["parameters"]]
ADDS = ("POST /api/generate", "POST /api/add_job", "POST /v1/videos")
"""Each adds a job."""
Headers = list[tuple[str, bytes]]


def parameters(where: str) -> list[Any]:
    found = [row for row in PARAMETERS if row[2]["in"] == where]
    return [pytest.param(*row, id=f"{row[0]} {row[1]}") for row in found]


def right(operation: str) -> Good:
    return GOOD.get(operation, Good())


def target(stage: Stage, operation: str, query: str = "") -> str:
    """Where the right request goes, with this query instead of its own."""
    path = right(operation).path or operation.partition(" ")[2]
    return stage.filled(path) + (f"?{query}" if query else "")


def sent(stage: Stage, operation: str, to: str, headers: Headers, body: Any = ...) -> Answer:
    """The right request but for what is given."""
    good = right(operation)
    wanted = good.body if body is ... else body
    if wanted is not None and not isinstance(wanted, bytes):
        wanted = stage.filled(json.dumps(wanted)).encode()
        headers = [("Content-Type", b"application/json"), *headers]
    own = {name.lower() for name, _ in headers}
    headers = [(name, value.encode()) for name, value in good.headers if name.lower() not in own] + headers
    return stage.sender.send(operation.partition(" ")[0], to, headers, wanted)


def jobs(stage: Stage) -> int:
    return len(stage.sender.send("GET", "/api/jobs?fields=id").json["jobs"])


def check(stage: Stage, answer: Answer, outcome: Outcome, name: str) -> None:
    """An answer is what its table says, and tells nothing of the node's insides."""
    assert answer.status == outcome.status, answer
    text = answer.body.decode("utf-8", "replace")
    assert str(stage.folder) not in text and "Traceback" not in text
    if isinstance(outcome, Told):
        assert answer.kind == "text/plain" and outcome.word in text
    elif isinstance(outcome, No):
        assert answer.kind == "application/json"
        code, message = answer.error
        assert code == outcome.code and (outcome.word or name) in message, answer
        assert message.isprintable() and len(message) < 600, answer
        assert answer.headers["X-API-Version"] == "0.1"
    else:
        assert outcome.meaning(answer.json if answer.kind == "application/json" else text), text[:500]


def check_all(stage: Stage, name: str, cases: Mapping[str, tuple[Answer, Outcome]]) -> None:
    wrong = []
    for kind, (answer, outcome) in cases.items():
        try:
            check(stage, answer, outcome, name)
        except AssertionError as error:
            wrong.append(f"{kind}: {outcome} but {error}")
    assert not wrong, "\n".join(wrong)


def told(outcomes: Outcomes, values: Mapping[str, Any], *more: str) -> None:
    """A table must speak of every kind of wrong value that the schema calls for, and of no other."""
    assert set(outcomes) == {*values, *more}


def test_the_tables_have_every_parameter_and_no_other() -> None:
    known = {(operation, name, each["in"]) for operation, name, each in PARAMETERS if name != "X-API-Version"}
    here = {(*row, "query") for row in QUERIES} | {(*row, "header") for row in HEADERS}
    here |= {row for row in known if row[2] == "path" and row[1] in PATHS}
    assert here == known
    assert all(any(name == "X-API-Version" for of, name, _ in PARAMETERS if of == each) for each in OPERATIONS)
    assert set(GOOD) <= set(OPERATIONS)


def structs(schema: Any) -> Iterator[str]:
    """The names of the structs that a schema holds, at any depth."""
    for name in re.findall(r'"#/components/schemas/(\w+)"', json.dumps(schema)):
        yield name
        yield from structs(SCHEMAS[name])


def test_the_tables_have_every_field_of_every_body_and_no_other() -> None:
    takes = [made["requestBody"]["content"] for made in OPERATIONS.values() if "requestBody" in made]
    assert set(BODIES) == {name for each in takes for name in structs(each)}
    for name, body in BODIES.items():
        assert set(body.fields) == set(SCHEMAS[name]["properties"]), name
        assert name in set(structs(OPERATIONS[body.operation]["requestBody"])), name


@pytest.mark.parametrize("operation", [each for each in OPERATIONS if each not in SLOW])
def test_the_right_request_is_right_whatever_else_the_query_says(stage: Stage, operation: str) -> None:
    query = "&".join(filter(None, (right(operation).query, "nobody=1&nobody=2&=&%FF")))
    answer = sent(stage, operation, target(stage, operation, query), [])
    assert answer.status == right(operation).status, answer


@pytest.mark.parametrize(("operation", "name", "parameter"), parameters("query"))
def test_query(stage: Stage, operation: str, name: str, parameter: dict[str, Any]) -> None:
    outcomes, values = QUERIES[operation, name], query_values(parameter["schema"], parameter["required"])
    told(outcomes, values, "twice")
    others = [each for each in right(operation).query.split("&") if each and not each.startswith(f"{name}=")]
    queries = {kind: [*others, f"{name}={value}"] if value is not None else others for kind, value in values.items()}
    queries["twice"] = [*others, f"{name}=1", f"{name}=1"]
    answers = {
        kind: sent(stage, operation, target(stage, operation, "&".join(query)), []) for kind, query in queries.items()
    }
    check_all(stage, name, {kind: (answer, outcomes[kind]) for kind, answer in answers.items()})


@pytest.mark.parametrize(("operation", "name", "parameter"), parameters("header"))
def test_header(stage: Stage, operation: str, name: str, parameter: dict[str, Any]) -> None:
    outcomes = VERSION if name == "X-API-Version" else HEADERS[operation, name]
    values, good = header_values(operation), "0.1" if name == "X-API-Version" else "1"
    told(outcomes, values, "twice")
    to, before = target(stage, operation, right(operation).query), jobs(stage)
    answers = {kind: sent(stage, operation, to, [(name, value)]) for kind, value in values.items()}
    answers["twice"] = sent(stage, operation, to, [(name, good.encode())] * 2)
    check_all(stage, name, {kind: (answer, outcomes[kind]) for kind, answer in answers.items()})
    assert jobs(stage) - before == (operation in ADDS and name == "Idempotency-Key")


@pytest.mark.parametrize(("operation", "name", "parameter"), parameters("path"))
def test_path(stage: Stage, operation: str, name: str, parameter: dict[str, Any]) -> None:
    outcomes, values = PATHS[name], path_values()
    told(outcomes, values)
    path, query = operation.partition(" ")[2], right(operation).query
    answers = {}
    for kind, value in values.items():
        to = path.replace(f"{{{name}}}", value) + (f"?{query}" if query else "")
        answers[kind] = sent(stage, operation, to, [])
    check_all(stage, name, {kind: (answer, outcomes[kind]) for kind, answer in answers.items()})
    if name == "job_id":  # the farm dialect has one status for all that is wrong with a job's id
        answer = sent(stage, operation, f"{path.replace('{job_id}', 'nothing')}?{query}", [("X-API-Version", b"0.1")])
        check(stage, answer, Told(400, "No job has the id nothing."), name)


FORMS = {each: made for each, made in OPERATIONS.items() if "multipart/form-data" in str(made.get("requestBody"))}
BYTES = b'Content-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n'


def form(*parts: tuple[str, bytes | None, bytes]) -> tuple[Headers, bytes]:
    """A form of parts, each a name, a filename and what it holds."""
    made = [BYTES % (name.encode(), b"" if file is None else b'; filename="%s"' % file, value)
            for name, file, value in parts]  # fmt: skip
    body = b"".join(b"--edge\r\n" + each for each in made) + b"--edge--\r\n"
    return [("Content-Type", b"multipart/form-data; boundary=edge")], body


def texts_and_files(operation: str) -> tuple[list[str], list[str]]:
    """The fields of an operation's form by their kind."""
    fields = FORMS[operation]["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]
    files = [name for name, each in fields.items() if "contentMediaType" in each]
    return [name for name in fields if name not in files], files


@pytest.mark.parametrize("operation", FORMS)
def test_form(stage: Stage, operation: str) -> None:
    """What is wrong with the parts of a form, whatever they say."""
    texts, files = texts_and_files(operation)
    cases: dict[str, tuple[tuple[Headers, bytes], Outcome]] = {
        "unknown": (form(("colour", None, b"red")), No(400, "unknown_field", "colour")),
        "nameless": (form(("", None, b"red")), No(400, "unknown_field", texts[0])),
        **{f"{each} twice": (form((each, None, b"{}"), (each, None, b"{}")), No(400, "invalid_multipart", each))
           for each in texts},
        **{f"{each} as text": (form((each, None, b"x")), No(400, "invalid_filename", each)) for each in files},
        **{f"{each} twice": (form((each, b"a", b"x"), (each, b"a", b"x")), No(400, "invalid_multipart", each))
           for each in files},
        **{f"{each} empty": (form((each, b"a", b"")), No(400, "empty_file", each)) for each in files},
    }  # fmt: skip
    before, to = jobs(stage), target(stage, operation)
    answers = {kind: (sent(stage, operation, to, *made), outcome) for kind, (made, outcome) in cases.items()}
    check_all(stage, "", answers)
    assert jobs(stage) == before


@pytest.mark.parametrize("name", texts_and_files("POST /v1/videos")[0])
def test_field_of_a_form(stage: Stage, name: str) -> None:
    """The fields of a struct that also come as texts of a form get what they get as JSON."""
    body, schema = BODIES["CreateVideo"], SCHEMAS["CreateVideo"]["properties"][name]
    kinds = {kind: value for kind, value in field_values(schema, False).items() if kind not in ("null", "type")}
    others = [(each, None, value.encode()) for each, value in body.own.items() if each != name]
    before, answers = jobs(stage), {}
    for kind, value in kinds.items():
        made = form(*others, (name, None, value.encode("utf-8", "surrogatepass")))
        outcome = INVALID if kind == "surrogate" else body.fields[name][kind]
        answers[kind] = sent(stage, body.operation, target(stage, body.operation), *made), outcome
    check_all(stage, name, answers)
    assert jobs(stage) - before == sum(answer.status == 200 for answer, _ in answers.values())


FIELDS = [pytest.param(struct, name, id=f"{struct}.{name}") for struct, body in BODIES.items() for name in body.fields]


@pytest.mark.parametrize(("struct", "name"), FIELDS)
def test_field(stage: Stage, struct: str, name: str) -> None:
    body, schema = BODIES[struct], SCHEMAS[struct]
    values, outcomes = field_values(schema["properties"][name], name in schema["required"]), body.fields[name]
    told(outcomes, values)
    others = {each: value for each, value in body.own.items() if each != name}
    texts = {kind: json.dumps(others if value is ... else {**others, name: value}) for kind, value in values.items()}
    texts["twice"] = f'{{"{name}": null, {json.dumps({name: None, **others})[1:]}'
    before, answers = jobs(stage), {}
    for kind, text in texts.items():
        held = f"[{text}]" if body.is_item else text
        whole = text if not body.within else f'{{"renderer": "noop", "{body.within}": {held}}}'
        to = target(stage, body.operation)
        headers = [("Content-Type", b"application/json")]
        answers[kind] = sent(stage, body.operation, to, headers, stage.filled(whole).encode())
    check_all(stage, name, {kind: (answer, {**outcomes, "twice": TWICE}[kind]) for kind, answer in answers.items()})
    made = sum(answer.status in (200, 202) for answer in answers.values())
    if body.operation in ADDS:
        assert jobs(stage) - before == made * (2 if body.within else 1)
    else:
        assert jobs(stage) == before
