"""Keeps changes of this machine's network apart from browsers: these break off what they load when one happens."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

FILE = Path(tempfile.gettempdir()) / f"zeus-tests-network-{os.getuid()}.lock"


@contextlib.contextmanager
def network(*, changes: bool = False) -> Iterator[None]:
    """While one test changes the network, no other one of any process loads a page; blocks until that is so."""
    with FILE.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX if changes else fcntl.LOCK_SH)
        yield
