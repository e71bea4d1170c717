"""The procedural model: its words, its pictures, and the frames that it writes."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import threading
import time
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from zeus_plugins.video.procedural import generate, render
from zeus_plugins.video.procedural.render import Picture, picture, still
from zeus_plugins.video.procedural.words import LEXICON, read

from zeus.engine import Cancelled
from zeus.errors import TaskFailed

WORDS = [word for words in LEXICON.values() for word in words]
PROMPTS = (
    "a red fox",
    "a blue fox",
    "a fox",
    "city at night in the rain",
    "ocean waves at sunset",
    "fireflies in a dark forest",
    "xyzzy",
    "plugh",
    "ein Wort das es nicht kennt",
    "猫が走る",
    "prompt 1",
    "prompt 2",
    "space",
    "",
)


class Job:
    """What a worker hands to a function; it is cancelled once `cancel` is set."""

    def __init__(self) -> None:
        self.reports: list[int] = []
        self.cancel = threading.Event()

    def report(self, value: int) -> None:
        self.reports.append(value)

    def check(self) -> None:
        if self.cancel.is_set():
            raise Cancelled


def psnr(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    error = float(((first.astype(np.float64) - second) ** 2).mean())
    return 99.0 if error == 0 else float(10 * np.log10(255**2 / error))


def drawn(prompt: str, entropy: bytes) -> NDArray[np.uint8]:
    """A still whose chances are given, so that nothing but the meaning of its words can change it."""
    return np.concatenate(list(Picture(read(prompt), entropy, 96, 54, 24).frame(12)))


def test_it_knows_at_least_forty_words() -> None:
    assert len(WORDS) == len(set(WORDS)) >= 40


def test_each_word_changes_the_picture_on_its_own() -> None:
    for entropy in (b"one", b"four"):
        plain = drawn("thing", entropy)
        assert {word: value for word in WORDS if (value := psnr(plain, drawn(f"thing {word}", entropy))) > 30} == {}


@pytest.mark.parametrize(
    ("prompt", "word"),
    [
        ("A FOX", "fox"),
        ("foxes", "fox"),
        ("the wolf's howl", "wolf"),
        ("wolves", "wolf"),
        ("butterflies", "butterfly"),
        ("northern lights", "aurora"),
        ("a hot-air-balloon", "balloon"),
        ("a hot air balloon", "balloon"),
        ("ｓｎｏｗ", "snow"),
        ("snow,rain", "rain"),
    ],
)
def test_a_word_is_known_in_its_other_forms(prompt: str, word: str) -> None:
    assert word in read(prompt)


def test_a_colour_before_a_subject_is_the_subjects() -> None:
    said = read("a red fox in a blue city")
    assert said.skins == {"fox": "red"}
    assert said.of("colour") == ("blue",)


def test_two_prompts_differ_clearly() -> None:
    stills = {prompt: still(prompt, 0, 128, 72, number=12) for prompt in PROMPTS}
    close = {
        pair: value for pair in combinations(PROMPTS, 2) if (value := psnr(stills[pair[0]], stills[pair[1]])) >= 15
    }
    assert close == {}


def test_two_seeds_differ() -> None:
    assert psnr(still("a red fox", 0, 96, 54), still("a red fox", 1, 96, 54)) < 25


@pytest.mark.parametrize("prompt", ["a red fox", "xyzzy", "plain grey fog", "a"])
def test_no_two_consecutive_frames_are_equal(prompt: str) -> None:
    made = picture(prompt, 7, 48, 32, 240)
    frames = [b"".join(rows.tobytes() for rows in made.frame(number)) for number in range(20)]
    assert all(first != second for first, second in pairwise(frames))


@pytest.mark.parametrize(("width", "height"), [(16, 16), (16, 300), (300, 16), (90, 160), (2600, 300)])
def test_any_size(width: int, height: int) -> None:
    made = still("a fox and a fish by a lake in the forest, fire, snow, lightning, galaxy", 1, width, height)
    assert made.shape == (height, width, 3)
    assert made.std() > 10


@pytest.mark.parametrize("prompt", ["castle at sunset", "city by a lake at night, rain, bubbles", "coral and a fish"])
def test_a_large_frame_comes_in_bands_that_fit_together(prompt: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = still(prompt, 1, 400, 200)
    monkeypatch.setattr(render, "_BAND", 400 * 30)
    bands = list(picture(prompt, 1, 400, 200, 24).frame(0))
    assert len(bands) == 7
    assert psnr(np.concatenate(bands), whole) > 40


def test_motion_follows_the_clock() -> None:
    """The same moment looks the same at another rate, but for the grain."""
    slow, fast = still("a red fox", 3, 96, 54, number=6, fps=6), still("a red fox", 3, 96, 54, number=24, fps=24)
    assert psnr(slow, fast) > 35


def test_the_same_bytes_in_another_process(tmp_path: Path) -> None:
    script = (
        "import hashlib, sys; from zeus_plugins.video.procedural.render import still;"
        "print(hashlib.sha256(still('a red fox in the snow', 5, 128, 72, number=3).tobytes()).hexdigest())"
    )
    env = {**os.environ, "PYTHONHASHSEED": "12345"}
    other = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True)
    here = hashlib.sha256(still("a red fox in the snow", 5, 128, 72, number=3).tobytes()).hexdigest()
    assert other.stdout.strip() == here


def made(job: Job, target: Path, *, size: tuple[int, int] = (64, 36), count: int = 5) -> int:
    return generate(
        job, prompt="a fox", seed=1, width=size[0], height=size[1], num_frames=count, fps=24, target=str(target)
    )


def test_generate_writes_all_frames_and_reports_each(tmp_path: Path) -> None:
    job, target = Job(), tmp_path / "frames"
    assert made(job, target) == 5
    assert target.stat().st_size == 5 * 64 * 36 * 3
    assert job.reports == [1, 2, 3, 4, 5]


def test_generate_into_a_named_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    job, read_bytes = Job(), []
    reader = threading.Thread(target=lambda: read_bytes.append(len(pipe.read_bytes())))
    reader.start()
    made(job, pipe)
    reader.join(10)
    assert read_bytes == [5 * 64 * 36 * 3]


def _ends_within(job: Job, pipe: Path, seconds: float) -> None:
    """Cancel a generation that hangs, and see it end."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            made(job, pipe, size=(256, 144), count=50)
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(0.3)
    assert thread.is_alive()
    job.cancel.set()
    thread.join(seconds)
    assert not thread.is_alive()
    assert isinstance(raised[0], Cancelled)


def test_a_cancel_is_heard_while_nobody_reads(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    _ends_within(Job(), pipe, 2)


def test_a_cancel_is_heard_while_the_reader_is_stuck(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    stuck = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        _ends_within(Job(), pipe, 2)
    finally:
        os.close(stuck)


def test_a_reader_that_goes_away(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: pipe.open("rb").close())
    reader.start()
    with pytest.raises(TaskFailed) as caught:
        made(Job(), pipe, size=(256, 144))
    reader.join(5)
    assert caught.value.code == "reader_gone"


def test_the_docs_list_every_word() -> None:
    text = (Path(__file__).parent.parent / "docs/procedural.md").read_text()
    listed = re.findall(r"^\| [\w ]+ \| ([\w-]+) \| (.*) \|$", text, re.MULTILINE)
    expected = [
        (word, others.replace(" ", ", ").replace("-", " "))
        for words in LEXICON.values()
        for word, others in words.items()
    ]
    assert [row for row in listed if row[0] != "word"] == expected
    assert "The model that needs no download" in text
