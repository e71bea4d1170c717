"""`zeus test`: run.py's tests, from a checkout."""

from __future__ import annotations

import os
import sys

import typer

from zeus.config import checkout
from zeus.errors import BadInput

PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "allow_interspersed_args": False}


def command(context: typer.Context) -> None:
    """Install what the tests need and run them; everything after `test` is pytest's."""
    folder = checkout()
    if folder is None:
        raise BadInput("The tests are part of a checkout of Zeus, and this is an installed one.")
    os.execv(sys.executable, [sys.executable, str(folder / "run.py"), "test", *context.args])
