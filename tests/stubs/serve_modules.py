"""Run a node as serve.py does, and at its end print which of the modules that a server must never import it has."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import msgspec

from zeus.api.app import serve
from zeus.config import Config

HEAVY = ("OpenEXR", "PIL", "av", "diffusers", "huggingface_hub", "numpy", "torch", "transformers")

if __name__ == "__main__":
    config = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Config)
    code = asyncio.run(serve(config, announce=lambda url: print(url, flush=True)))
    print("imported:", *(name for name in HEAVY if name in sys.modules), flush=True)
    sys.exit(code)
