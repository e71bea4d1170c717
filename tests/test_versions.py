"""Versions and wishes for them: order, prefixes, long-term support, and what is not final."""

from __future__ import annotations

import random

import pytest

from zeus.versions import choose, is_name, matches, newest_first, parse

ASCENDING = ["procedural", "2.79", "2.79b", "2.83.20", "4.2.3", "4.2.10", "4.10", "4.20.1", "5.0.1-alpha",
             "5.0.1-beta", "5.0.1-rc1", "5.0.1-rc2", "5.0.1-rc10", "5.0.1", "5.0.1-4+deb12u1", "10.0"]  # fmt: skip
LTS = ("2.83", "3.6", "4.2", "4.5")


def wished(found: list[str], wish: str) -> str | None:
    return choose(found, wish, LTS, lambda each: each)


def test_numbers_are_compared_as_numbers_and_what_is_not_final_comes_before() -> None:
    mixed = ASCENDING[:]
    random.Random(5).shuffle(mixed)
    assert newest_first(mixed, lambda each: each) == ASCENDING[::-1]


def test_zeros_at_the_end_say_nothing() -> None:
    assert parse("8.0") == parse("8.0.0") == parse("8")
    assert matches("8.0", "8.0.0") and matches("8", "8.0") and not matches("8.0", "8.0.1")


@pytest.mark.parametrize(
    ("version", "wish", "fits"),
    [
        ("4.2.3", "4.2", True),
        ("4.2.3", "4", True),
        ("4.2.3", "4.2.3", True),
        ("4.20.0", "4.2", False),
        ("4.2.30", "4.2.3", False),
        ("14.2", "4.2", False),
        ("4.2", "4.2.3", False),
        ("5.0.1-alpha", "5.0", True),
        ("5.0.1-alpha", "5.0.1-ALPHA", True),
        ("5.0.1", "5.0.1-alpha", False),
        ("2.79b", "2.79", True),
        ("procedural", "procedural", True),
        ("procedural", "p", False),
        ("1", "", False),
        ("4.2.3", "4.", False),
        ("4.2.3", "4.2.*", False),
    ],
)
def test_which_versions_a_wish_means(version: str, wish: str, fits: bool) -> None:
    assert matches(version, wish) is fits


def test_a_wish_means_the_newest_that_fits() -> None:
    found = ["4.2.1", "4.5.0", "4.2.10", "4.2.9", "5.0.0", "4.20.3"]
    assert wished(found, "4.2") == "4.2.10"
    assert wished(found, "4") == "4.20.3"
    assert wished(found, "4.2.9") == "4.2.9"
    assert wished(found, "lts") == "4.5.0"
    assert wished(found, "3") is None
    assert wished(["5.0.0"], "lts") is None


def test_latest_is_the_preferred_one_which_need_not_be_the_newest() -> None:
    assert wished(["3.6.2", "5.0.0"], "latest") == "3.6.2"
    assert wished([], "latest") is None


def test_an_exact_name_goes_before_what_it_is_the_beginning_of() -> None:
    assert wished(["8.0.1", "8.0"], "8.0") == "8.0"
    assert choose([("8.0", "managed"), ("8.0", "path")], "8.0", (), lambda each: each[0]) == ("8.0", "managed")


def test_what_is_not_final_is_meant_by_its_name_or_where_there_is_nothing_else() -> None:
    found = ["5.1.0-alpha", "5.0.1", "5.2.0-beta"]
    assert wished(found, "5") == "5.0.1"
    assert wished(found, "5.2") == "5.2.0-beta"
    assert wished(found, "5.1.0-alpha") == "5.1.0-alpha"


def test_names_that_could_leave_their_folder_are_none() -> None:
    assert all(is_name(each) for each in ("4.2.3", "5.0.1-alpha", "n8.0", "5.1.9-0+deb12u1"))
    assert not any(is_name(each) for each in ("", ".", "..", ".4.2", "4/2", "4\\2", "4 2", "-4", "4" * 41, "4\n"))
