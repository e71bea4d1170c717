"""The ways of getting a parameter wrong, which of them a parameter's schema calls for, and the usual answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class No(NamedTuple):
    """A refusal. `word` must be in its message; by default the parameter's name."""

    status: int
    code: str
    word: str = ""


class Yes(NamedTuple):
    """It is meant to pass. `meaning` looks at the JSON or the text of the answer."""

    status: int
    meaning: Callable[[Any], bool] = lambda body: True


class Told(NamedTuple):
    """A refusal in plain text: by the farm dialect, or by HTTP's own parser, which no handler is asked about."""

    status: int
    word: str = ""


Outcome = No | Yes | Told
Outcomes = Mapping[str, Outcome]

INVALID, TWICE, NOT_HTTP = No(400, "invalid_field"), No(400, "repeated_field"), Told(400)
BYTES = {"nul": "1%00", "newline": "1%0A", "bytes": "%FF"}
LONG = "9" * 3000
HUGE = 1 << 64


def query_values(schema: Mapping[str, Any], required: bool) -> dict[str, str | None]:
    """The wrong values of a query parameter as they stand in a target, by kind; None leaves it out."""
    values: dict[str, str | None] = {"empty": "", **BYTES, "long": LONG, "unknown": "nothing"}
    if schema["type"] in ("integer", "number"):
        least, most = schema.get("minimum", 0), schema.get("maximum", HUGE)
        values |= {"nan": "nan", "infinite": "inf", "digits": "1_0", "below": f"{least - 1}", "above": f"{most + 1}"}
    if schema["type"] == "integer":
        values["fraction"] = "1.5"
    return values | ({"absent": None} if required else {})


def header_values(operation: str) -> dict[str, bytes]:
    """The wrong values of a header by kind."""
    return {"empty": b"", "unknown": operation.encode(), "bytes": b"\xff", "long": b"9" * 5000,
            "nul": b"1\0", "newline": b"1\n1"}  # fmt: skip


def path_values() -> dict[str, str]:
    """The wrong values of a part of the path by kind."""
    return {"empty": "", **BYTES, "long": LONG, "unknown": "nothing", "slash": "a%2Fb", "dots": "%2E%2E"}


def field_values(schema: Mapping[str, Any], required: bool) -> dict[str, Any]:
    """The wrong values of a field of a JSON body by kind; `...` leaves it out."""
    plain = next((each for each in schema.get("anyOf", ()) if each.get("type") != "null"), schema)
    values: dict[str, Any] = {"null": None, **({"absent": ...} if required else {})}
    match plain.get("type", "object"):
        case "string":
            values |= {"type": 5, "empty": "", "unknown": "nothing", "nul": "a\0", "newline": "a\n",
                       "surrogate": "\ud800", "long": "9" * 20_000}  # fmt: skip
        case "integer" | "number" as kind:
            least, most = plain.get("minimum", 0), plain.get("maximum", HUGE)
            values |= {"type": "x", "text": "1", "bool": True, "below": least - 1, "above": most + 1, "huge": 10**30}
            values |= {"fraction": 1.5} if kind == "integer" else {}
        case "boolean":
            values |= {"type": "yes", "number": 1}
        case "object":
            values |= {"type": [], "empty": {}, "unknown": {"colour": 1}}
        case "array":
            values |= {"type": "x", "empty": [], "item": [5], "long": [{}] * 1001}
    return values


def each(outcome: Outcome, *names: str) -> dict[str, Outcome]:
    return dict.fromkeys(names, outcome)


def text(outcome: Outcome, **others: Outcome) -> Outcomes:
    """A query parameter of free text, wrong in all ways alike but for `others`."""
    return {**each(outcome, "empty", "unknown", "nul", "newline", "bytes", "long"), "twice": TWICE, **others}


def number(**others: Outcome) -> Outcomes:
    """A query parameter that is a number."""
    wrong = each(INVALID, "empty", "unknown", "nul", "newline", "bytes", "long", "nan", "infinite", "digits")
    return {**wrong, **each(INVALID, "below", "above"), "twice": TWICE, **others}


def header(outcome: Outcome, **others: Outcome) -> Outcomes:
    """A header, wrong in all ways alike but for what is no HTTP and for `others`."""
    usual = {**each(outcome, "empty", "unknown", "bytes", "long"), "twice": TWICE}
    return {**usual, **each(NOT_HTTP, "nul", "newline"), **others}


def words(outcome: Outcome, **others: Outcome) -> Outcomes:
    """A field of text: `outcome` for a text that cannot be."""
    alike = each(outcome, "null", "empty", "unknown", "nul", "newline", "long")
    return {**alike, "type": INVALID, "surrogate": No(400, "invalid_json", "JSON"), **others}


def measure(outcome: Outcome = INVALID, **others: Outcome) -> Outcomes:
    """A field that is a number: `outcome` for what is out of bounds."""
    return {**each(INVALID, "null", "type", "text", "bool"), **each(outcome, "below", "above", "huge"), **others}


def count(outcome: Outcome = INVALID, **others: Outcome) -> Outcomes:
    """A field that is a whole number."""
    return {**measure(outcome), "fraction": INVALID, **others}
