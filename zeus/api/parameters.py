"""Reading query parameters and headers: flags, numbers within bounds, lists with weights."""

from __future__ import annotations

import math
import re
from typing import TypeVar

from aiohttp import web

from zeus.errors import BadInput

Default = TypeVar("Default", int, None)
Length = TypeVar("Length", float, None)
KINDS = ("standard", "full")
TRUE = frozenset({"1", "true", "yes", "on"})
NUMBER = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?")
WHOLE = re.compile(r"-?[0-9]{1,40}")
WEIGHT = re.compile(r"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)", re.IGNORECASE)
"""RFC 9110's qvalue."""


def flag(request: web.Request, name: str) -> bool:
    """Whether a query parameter says yes."""
    return request.query.get(name, "").lower() in TRUE


def number(request: web.Request, name: str, default: Length, least: float, most: float) -> float | Length:
    """A query parameter that is a number within bounds, both included. Raises BadInput."""
    text = request.query.get(name)
    if text is None:
        return default
    value = float(text) if NUMBER.fullmatch(text) else math.nan
    if not least <= value <= most:
        raise BadInput(f"{name}: a number from {least:g} to {most:g}.", code="invalid_field")
    return value


def whole(request: web.Request, name: str, default: Default, least: int, most: int) -> int | Default:
    """A query parameter that is a whole number within bounds, both included. Raises BadInput."""
    text = request.query.get(name)
    if text is None:
        return default
    if not WHOLE.fullmatch(text) or not least <= int(text) <= most:
        raise BadInput(f"{name}: a whole number from {least} to {most}.", code="invalid_field")
    return int(text)


def listed(request: web.Request, name: str) -> list[str]:
    """The entries of a header that is a list, over all its lines."""
    return [entry.strip() for line in request.headers.getall(name, []) for entry in line.split(",")]


def accepts(request: web.Request, name: str, *words: str) -> bool:
    """Whether a header such as `Accept` names one of these words, not with a weight of 0."""
    for entry in listed(request, name):
        word, *rest = (part.strip() for part in entry.lower().split(";"))
        weights = [match[1] for part in rest if (match := WEIGHT.fullmatch(part))]
        if word in words and all(float(weight) > 0 for weight in weights):
            return True
    return False


def is_full(request: web.Request) -> bool:
    """Whether `response_type` asks for all that there is to tell. Raises BadInput."""
    kind = request.query.get("response_type", KINDS[0])
    if kind not in KINDS:
        raise BadInput(f"response_type: {' or '.join(KINDS)}.", code="invalid_field")
    return kind == "full"
