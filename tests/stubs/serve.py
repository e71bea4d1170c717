"""Run a node from a configuration that a test wrote as JSON."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import msgspec

from zeus.api.app import serve
from zeus.config import Config

if __name__ == "__main__":
    config = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Config)
    sys.exit(asyncio.run(serve(config, announce=lambda url: print(url, flush=True))))
