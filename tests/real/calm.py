"""Keeps changes of this machine's network apart from browsers: these break off what they load when one happens."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

FILE = Path(tempfile.gettempdir()) / f"zeus-tests-network-{os.getuid()}.lock"
PATIENCE = 60.0
"""Seconds that a change waits for browsers: a test may have one open for long, and has to bear it then."""


@contextlib.contextmanager
def network(*, changes: bool = False) -> Iterator[None]:
    """While one test changes the network, no other one of any process loads a page; blocks until that is so."""
    with FILE.open("w") as lock, FILE.with_suffix(".next").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)  # whoever waits for the network comes before those that ask later
        if changes:
            _take(lock)
        else:
            fcntl.flock(lock, fcntl.LOCK_SH)
        fcntl.flock(turn, fcntl.LOCK_UN)
        yield


def _take(lock: IO[str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(0.02)
