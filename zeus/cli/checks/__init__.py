"""What `zeus doctor` looks at: each module answers with findings, each finding with its remedy."""

from __future__ import annotations

from typing import Literal

import msgspec

Level = Literal["ok", "warning", "fatal"]


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at. `fatal`: a node cannot do its main jobs so. `remedy` is empty where all is well."""

    check: str
    level: Level
    message: str
    remedy: str = ""
