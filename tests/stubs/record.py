"""Writes down what stubs do on a GPU, one JSON object a line, in the file that STUB_RECORD names."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any


def write(who: str, what: str) -> None:
    """Add a line; `alive` are the processes of other stubs on record that are there still."""
    others = {entry["pid"] for entry in read() if entry["who"] != who}
    entry = {
        "who": who, "what": what, "time": time.monotonic(), "pid": os.getpid(),
        "visible": os.environ.get("CUDA_VISIBLE_DEVICES"), "alive": [pid for pid in others if _is_alive(pid)],
    }  # fmt: skip
    if (name := os.environ.get("STUB_RECORD")) is not None:
        with Path(name).open("a") as file:
            file.write(json.dumps(entry) + "\n")


def read() -> list[dict[str, Any]]:
    path = Path(os.environ.get("STUB_RECORD", "/dev/null"))
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def wait_for(who: str, what: str) -> None:
    """Return once that is on record. Raises TimeoutError after a minute."""
    deadline = time.monotonic() + 60
    while not any((entry["who"], entry["what"]) == (who, what) for entry in read()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{who} {what} never came")
        time.sleep(0.02)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
