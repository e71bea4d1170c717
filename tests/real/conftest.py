"""What these tests share: real pipelines of diffusers, tiny ones made once, and the browser."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.conftest import HANG, need
from tests.real.browser import axe, chromium, opened, served
from tests.real.scenes import scenes
from zeus.engine import extra

__all__ = ["axe", "chromium", "made", "opened", "scenes", "served"]
LIMIT = 5 * HANG
HOW = f"{extra('inference')} brings what is needed; with torch==2.13.0 and no GPU, from where CPU builds are"
NEEDED = ("torch", "diffusers", "transformers", "accelerate", "ftfy", "huggingface_hub")


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the models of tiny_models.py."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    need(not missing, f"what runs diffusion models ({', '.join(missing)})", HOW)
    folder = tmp_path_factory.mktemp("models")
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-m", "tests.tiny_models", str(folder)], check=True, cwd=root, timeout=LIMIT)
    return folder
