"""Which files of a published pipeline are fetched: descriptions and safetensors of the parts that it uses; purely."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import PurePosixPath
from typing import Final

from zeus.errors import TaskFailed

from ..diffusion.folder import CODE, INDEX, PICKLES

_WEIGHTS: Final = re.compile(r"(diffusion_pytorch_model|model)(-\d{5}-of-\d{5})?\.safetensors")
_SHARDS: Final = re.compile(r"(diffusion_pytorch_model|model)\.safetensors\.index\.json")
_DESCRIPTIONS: Final = frozenset({".json", ".txt", ".model", ".spiece"})
"""What is no weights: configurations, vocabularies, and the tokenizers of SentencePiece."""
_LEAF: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,200}")


def chosen(name: str, published: Collection[str], parts: Sequence[str]) -> list[str]:
    """The paths to fetch of those that are published, for a pipeline of these parts.

    Left out are pickles and other precisions that lie beside plain safetensors, and all that belongs to no part.
    Raises TaskFailed `model_refused` for a part that has code, or weights in no form that is taken.
    """
    return [INDEX, *(path for part in parts for path in _of_part(name, published, part))]


def is_description(path: str) -> bool:
    """Whether a file that was chosen is small, and says what the weights are."""
    return not path.endswith(".safetensors")


def _of_part(name: str, published: Collection[str], part: str) -> list[str]:
    there = {path: PurePosixPath(path) for path in published if path.startswith(f"{part}/") and path.count("/") == 1}
    if not there:
        raise _refused(name, f"it has no folder {part}, which its {INDEX} names")
    for path, leaf in there.items():
        if leaf.suffix.lower() in CODE:
            raise _refused(name, f"{path} is code, and models bring none here")
    taken = sorted(path for path, leaf in there.items() if _is_wanted(leaf.name))
    if all(is_description(path) for path in taken):
        _refuse_other_weights(name, part, there)
    return taken


def _is_wanted(leaf: str) -> bool:
    if leaf.endswith((".safetensors", ".index.json")):
        return bool(_WEIGHTS.fullmatch(leaf) or _SHARDS.fullmatch(leaf))
    return bool(_LEAF.fullmatch(leaf)) and PurePosixPath(leaf).suffix.lower() in _DESCRIPTIONS


def _refuse_other_weights(name: str, part: str, there: dict[str, PurePosixPath]) -> None:
    """Raises TaskFailed for a part whose weights are there, but as nothing that may be read or that is looked for."""
    for path, leaf in sorted(there.items()):
        if leaf.suffix.lower() in PICKLES:
            raise _refused(
                name, f"{part} has its weights only as the pickle {path}, which can run code when it is read"
            )
        if leaf.suffix.lower() == ".safetensors":
            raise _refused(name, f"{part} has its weights only as {path}, under a name that is not looked for")


def _refused(name: str, reason: str) -> TaskFailed:
    return TaskFailed(f"what is published for {name} is refused: {reason}", code="model_refused", retry=False)
