"""What is wrong with a value that a type refuses, in words."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

PATTERN = "Expected `str` matching regex "


def mismatch(error: msgspec.ValidationError, kind: Any) -> tuple[str, str]:
    """Where in the value it is, such as "tags[0]" or "" for the whole, and what is wrong.

    A text that does not match its type's pattern is told by the `title` of that type, which says what is expected.
    """
    text, _, path = str(error).partition(" - at `$")
    pattern = text.removeprefix(PATTERN)
    if pattern != text and (title := _titles(kind).get(pattern)):
        text = f"Expected {title}"
    return path.rstrip("`").lstrip("."), text


@functools.cache
def _titles(kind: Any) -> Mapping[str, str]:
    """The titles of a type's patterns, by these as errors show them."""
    return dict(_titled(msgspec.json.schema_components([kind])))


def _titled(schema: Any) -> Iterator[tuple[str, str]]:
    if isinstance(schema, dict):
        pattern, title = schema.get("pattern"), schema.get("title")
        if isinstance(pattern, str) and isinstance(title, str):
            yield repr(pattern), title
        schema = list(schema.values())
    if isinstance(schema, list | tuple):
        for each in schema:
            yield from _titled(each)
