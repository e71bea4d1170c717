"""Whether a folder holds a pipeline that may be loaded: whole weights as safetensors, and nothing that runs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

from zeus.errors import TaskFailed

CODE: Final = frozenset({".py", ".pyc", ".so", ".dll", ".dylib"})
PICKLES: Final = frozenset({".bin", ".ckpt", ".pt", ".pth", ".pkl", ".pickle", ".joblib", ".npy", ".npz"})
_LIBRARIES: Final = frozenset({"diffusers", "transformers"})
INDEX: Final = "model_index.json"
_PART: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_MOST: Final = 64 << 20
"""Bytes that a description may have: a JSON file, or the header of safetensors."""


def checked(name: str, folder: Path) -> str:
    """The name of the pipeline's class, once all of the folder was looked at.

    Raises TaskFailed `model_refused`, whose message says which file and why.
    """
    index = described(name, folder / INDEX) if folder.is_dir() else None
    if not isinstance(index, dict):
        raise _refused(name, f"{folder.name} is no folder with a {INDEX} that says what is in it")
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        _check_file(name, path, path.relative_to(folder))
    for part in parts(name, index):
        if not (folder / part).is_dir():
            raise _refused(name, f"the folder of {part} is missing")
    kind = index.get("_class_name")
    if not isinstance(kind, str) or not kind.endswith("Pipeline"):
        raise _refused(name, f"{INDEX} names no pipeline")
    return kind


def described(name: str, path: Path) -> Any:
    """What a JSON file says; None where there is no file. Raises TaskFailed for one that asks for code."""
    said = _json(name, path)
    if isinstance(said, dict) and "auto_map" in said:
        raise _refused(name, f"{path.parent.name}/{path.name} asks for code from elsewhere (auto_map)")
    return said


def parts(name: str, index: Any) -> list[str]:
    """The folders that a pipeline of this index is made of. Raises TaskFailed for what is none, or may not be used."""
    if not isinstance(index, dict):
        raise _refused(name, f"{INDEX} does not say what is in it")
    # A part of nothing is one that this pipeline does without.
    found = {part: said for part, said in index.items() if isinstance(said, list) and any(said)}
    for part, said in found.items():
        if len(said) != 2 or said[0] not in _LIBRARIES or not isinstance(said[1], str):
            reason = f"{INDEX}: {part} is of {said[0]!s:.80}, and only diffusers and transformers may be used"
            raise _refused(name, reason)
        if not _PART.fullmatch(part):
            raise _refused(name, f"{INDEX}: {part[:80]} is no name of a folder")
    return list(found)


def _check_file(name: str, path: Path, shown: Path) -> None:
    ending = path.suffix.lower()
    if ending in CODE:
        raise _refused(name, f"{shown} is code, and models bring none here")
    if ending in PICKLES:
        raise _refused(name, f"{shown} is a pickle, which can run code when it is read; weights must be safetensors")
    if ending == ".safetensors":
        _check_weights(name, path, shown)
    if path.name.endswith(".safetensors.index.json"):
        _check_shards(name, path, shown)
    if ending == ".json":
        described(name, path)


def _check_weights(name: str, path: Path, shown: Path) -> None:
    """See that a file of safetensors has all the bytes that its header promises."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(_MOST, size - 8):
            raise _refused(name, f"{shown} is no whole safetensors file")
        try:
            tensors = json.loads(file.read(length))
            ends = [int(each["data_offsets"][1]) for key, each in tensors.items() if key != "__metadata__"]
        except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
            raise _refused(name, f"{shown} is no safetensors file") from error
    if (missing := 8 + length + max(ends, default=0) - size) > 0:
        raise _refused(name, f"{shown} is cut off: {missing} bytes are missing")


def _check_shards(name: str, path: Path, shown: Path) -> None:
    described = _json(name, path)
    files = described.get("weight_map") if isinstance(described, dict) else None
    if not isinstance(files, dict):
        raise _refused(name, f"{shown} lists no weights")
    for file in sorted({str(each) for each in files.values()}):
        if Path(file).name != file or not (path.parent / file).is_file():
            raise _refused(name, f"{shown.parent / file} is missing")


def _json(name: str, path: Path) -> Any:
    """What a JSON file says; None where there is no file."""
    try:
        if path.stat().st_size > _MOST:
            raise _refused(name, f"{path.name} is too large for a description")
        return json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise _refused(name, f"{path.name} cannot be read: it is no JSON") from error


def _refused(name: str, reason: str) -> TaskFailed:
    return TaskFailed(f"the folder of {name} is refused: {reason}", code="model_refused", retry=False)
