"""Finding processes by the mark that a node gives to all that it starts, whatever session or group they are in now.

Standard library and psutil alone: the guardian runs this too.
"""

from __future__ import annotations

import contextlib
import os
import signal

import psutil

VARIABLE = "ZEUS_RUN"
"""Environment variable that holds `<storage uuid>:<run of the node>:<attempt>:`."""


def marked(prefix: str) -> list[psutil.Process]:
    """The living processes whose mark begins with `prefix`, which must not be empty."""
    assert prefix
    found = []
    for pid in psutil.pids():
        with contextlib.suppress(psutil.Error, OSError):
            process = psutil.Process(pid)
            if process.environ().get(VARIABLE, "").startswith(prefix) and pid != os.getpid():
                found.append(process)
    return found


def signal_marked(prefix: str, number: signal.Signals) -> int:
    """Send a signal to every process so marked; how many there were."""
    processes = marked(prefix)
    for process in processes:
        with contextlib.suppress(psutil.Error, OSError):
            process.send_signal(number)
    return len(processes)


def signal_group(group: int, number: signal.Signals) -> bool:
    """Send a signal to a process group; False when it is empty."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def group_exists(group: int) -> bool:
    """Whether a process group has any member."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
