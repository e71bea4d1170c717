"""What of Zeus is installed only when it is asked for, and how a person gets it."""

from __future__ import annotations

from pathlib import Path


def checkout() -> Path | None:
    """The folder of the checkout that this package runs from, or None when it is installed."""
    folder = Path(__file__).resolve().parents[2]
    return folder if (folder / "run.py").is_file() else None


def extra(name: str) -> str:
    """What brings the libraries of an extra, to be put into a sentence for people."""
    if checkout() is not None:
        return f"`.venv/bin/pip install -e '.[{name}]'` in Zeus's folder"
    return f"the extra `{name}` of the package zeus-node"
