"""The guardian: a process beside the node that ends all that the node started, once the node is gone.

It reads `+GROUP` and `-GROUP` lines from the node over a pipe. When the pipe ends, which it does however the node dies,
it sends SIGTERM to those process groups and to every process that carries the node's mark, after two seconds SIGKILL,
and goes only when none is left. Run as `python -m zeus.guardian MARK`.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from collections.abc import Iterable

GRACE = 2.0
"""Seconds between SIGTERM and SIGKILL."""
LIMIT = 60.0
"""Seconds after which it gives up on processes that not even SIGKILL ends, such as those in a dead disk's wait."""


def follow(lines: Iterable[str]) -> set[int]:
    """Read until the node closes its end; the process groups that are on record then."""
    groups: set[int] = set()
    for line in lines:
        with contextlib.suppress(ValueError):
            if line.startswith("+"):
                groups.add(int(line[1:]))
            elif line.startswith("-"):
                groups.discard(int(line[1:]))
    return groups


def end_all(groups: set[int], prefix: str) -> bool:
    """End the groups and all marked processes; False when some are left at the limit."""
    from zeus.marks import signal_group, signal_marked

    start = time.monotonic()
    number = signal.SIGTERM
    while time.monotonic() < start + LIMIT:
        alive = [group for group in groups if signal_group(group, number)]
        left = signal_marked(prefix, number)
        if not alive and not left:
            return True
        groups = set(alive)
        if number is signal.SIGTERM:
            _wait_until_gone(groups, prefix, start + GRACE)
            number = signal.SIGKILL
        time.sleep(0.05)
    return False


def _wait_until_gone(groups: set[int], prefix: str, deadline: float) -> None:
    from zeus.marks import group_exists, marked

    while time.monotonic() < deadline and (any(map(group_exists, groups)) or marked(prefix)):
        time.sleep(0.05)


def main() -> int:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    return 0 if end_all(follow(sys.stdin), sys.argv[1]) else 1


if __name__ == "__main__":
    sys.exit(main())
