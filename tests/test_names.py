"""No name reaches outside its folder."""

from __future__ import annotations

import contextlib
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zeus.errors import BadInput
from zeus.names import LONGEST, safe_name, without_folders

NASTY = st.lists(
    st.sampled_from(
        [
            "/",
            "\\",
            ".",
            "..",
            "\0",
            "\n",
            " ",
            "a",
            "ü",
            "\u202e",
            "C:",
            "~",
            "%2f",
            "e\u0301",
            ":",
            "con",
            "NUL",
            "lpt1",
        ]
    )
).map("".join)


@settings(max_examples=2000, deadline=None)
@given(st.text() | NASTY)
def test_whatever_is_sent_stays_in_the_folder(raw: str) -> None:
    with contextlib.suppress(BadInput):
        name = safe_name(raw)
        assert name not in ("", ".", "..") and not name.startswith(".")
        assert "/" not in name and "\\" not in name and name.isprintable()
        assert len(name.encode()) <= LONGEST
        assert not name.startswith((" ", ".")) and not name.endswith((" ", "."))
        assert name.partition(".")[0].rstrip().upper() not in ("CON", "NUL", "LPT1")
        assert unicodedata.normalize("NFC", name) == name or len(name.encode()) > LONGEST - 8
        assert (Path("/jobs/input") / name).resolve().parent == Path("/jobs/input")
        assert safe_name(name) == name


@pytest.mark.parametrize(
    "raw", ["", ".", "..", "...", " ", "/", "a/", "\\", "\0", "a\nb", "a\x7f", "\ud800", "___", ". ."]
)
def test_what_is_no_name(raw: str) -> None:
    with pytest.raises(BadInput):
        safe_name(raw)


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("a.mp4", "a.mp4"),
        ("../../a.mp4", "a.mp4"),
        ("C:\\films\\a.mp4", "a.mp4"),
        ("a b (1).mp4", "a b (1).mp4"),
        ("e\u0301.mp4", "é.mp4"),
        ("ü" * 300 + ".blend", "ü" * 97 + ".blend"),
        ("x" * 300, "x" * 200),
        ("a." + "x" * 300, "a." + "x" * 198),
        (". .a", "a"),
        (" .. x", "x"),
        ("a.mp4. ", "a.mp4"),
        ("x. . .", "x"),
        ("CON", "_CON"),
        ("nul.txt", "_nul.txt"),
        ("com1", "_com1"),
        ("COM¹.mp4", "_COM¹.mp4"),
        ("nul .a.b", "_nul .a.b"),
        ("con" + " " * 200 + "x", "_con"),
        ("con." + "x" * 196, "_con." + "x" * 195),
        ("console.log", "console.log"),
        ("com10", "com10"),
        ("\u3000.a\u00a0", "a"),
        ("a\u202egpj.exe", "a_gpj.exe"),
    ],
)
def test_names_are_made_safe(raw: str, name: str) -> None:
    assert safe_name(raw) == name


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("No such file: '/home/me/storage/x.mp4'", "No such file: 'x.mp4'"),
        ("/a/b/c: bad, and/or n/a", "c: bad, and/or n/a"),
        ("nothing here", "nothing here"),
    ],
)
def test_texts_lose_their_folders(text: str, shown: str) -> None:
    assert without_folders(text) == shown
