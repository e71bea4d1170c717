"""Versions and wishes for one: their order, and which of several a wish such as "4.2" means. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar

import msgspec

T = TypeVar("T")

LATEST, LTS = "latest", "lts"
LONGEST = 40
_NAME: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+_-]*")
_PARTS: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})*)(.*)", re.DOTALL)
_EARLIER: Final = re.compile(r"[.+_-]*(alpha|beta|rc|pre|dev)[.-]?(\d{0,9})", re.IGNORECASE)


class Number(msgspec.Struct, frozen=True, order=True):
    """A version in order: its numbers, then whether it is final (an alpha, beta or rc is not), then the rest."""

    numbers: tuple[int, ...]
    final: bool
    stage: str
    step: int
    rest: str


def parse(version: str) -> Number:
    """A version's place in the order. A text that begins with no number comes before all others."""
    match = _PARTS.match(version)
    if match is None:
        return Number((), False, "", 0, version.lower())
    numbers = tuple(int(each) for each in match[1].split("."))
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers = numbers[:-1]
    earlier = _EARLIER.match(match[2])
    stage, step = (earlier[1].lower(), int(earlier[2] or 0)) if earlier else ("", 0)
    return Number(numbers, earlier is None, stage, step, match[2].lower())


def is_name(version: str) -> bool:
    """Whether a text can be a version's name, and so that of a folder."""
    return len(version) <= LONGEST and _NAME.fullmatch(version) is not None


def matches(version: str, wish: str) -> bool:
    """Whether a version is the one that is named, or of the series that is: 4.2.3 is of 4.2 and 4, 4.20 is not."""
    if version.lower() == wish.lower():
        return True
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})*", wish) is None or _PARTS.match(version) is None:
        return False
    wanted, numbers = _numbers(wish), _numbers(version)
    return (*numbers, *(0,) * (len(wanted) - len(numbers)))[: len(wanted)] == wanted


def newest_first(found: Iterable[T], version: Callable[[T], str]) -> list[T]:
    """In order; of those alike, the one that came first stays first."""
    return sorted(found, key=lambda each: parse(version(each)), reverse=True)


def choose(found: Sequence[T], wish: str, lts: Sequence[str], version: Callable[[T], str]) -> T | None:
    """What a wish means among `found`, whose preferred one comes first; None when it is not there.

    `latest` is the preferred one, `lts` the newest of the series `lts`. Anything else is the version of exactly that
    name or else the newest that it is the beginning of. What is not final comes last.
    """
    if wish == LATEST:
        return found[0] if found else None
    if wish == LTS:
        fitting = [each for each in found if any(matches(version(each), series) for series in lts)]
    else:
        fitting = [each for each in found if matches(version(each), wish)]
        exact = [each for each in fitting if version(each).lower() == wish.lower()]
        fitting = exact or fitting
    ordered = newest_first(fitting, version)
    return next((each for each in ordered if parse(version(each)).final), ordered[0] if ordered else None)


def _numbers(version: str) -> tuple[int, ...]:
    match = _PARTS.match(version)
    return tuple(int(each) for each in match[1].split(".")) if match is not None else ()
