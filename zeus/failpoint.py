"""Named places where a test can kill the node, chosen by the environment variable ZEUS_FAILPOINT."""

from __future__ import annotations

import os
import signal


def failpoint(name: str) -> None:
    """Die here by SIGKILL when ZEUS_FAILPOINT is `name`: upload, commit, spawn, publish, end, unpacked or placed."""
    if os.environ.get("ZEUS_FAILPOINT") == name:
        os.kill(os.getpid(), signal.SIGKILL)
