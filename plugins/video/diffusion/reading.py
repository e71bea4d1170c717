"""Reads the parts of a pipeline from its folder, and sees that each of them got all of its weights."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from zeus.errors import TaskFailed

from .folder import checked

_QUIET: Final = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DIFFUSERS_VERBOSITY": "error",
    "TRANSFORMERS_VERBOSITY": "error",
}
_LOCAL: Final = {"use_safetensors": True, "local_files_only": True, "trust_remote_code": False}
_WRONG: Final = (OSError, ValueError, KeyError, TypeError, AttributeError)
"""What the libraries raise for a folder whose parts do not go together."""


def read(name: str, folder: Path, pipeline: str, dtype: Any, vae_dtype: Any) -> Any:
    """The pipeline of a folder, in the computer's memory; `pipeline` is its class, "auto" the one that the folder says.

    Nothing is fetched, and nothing in the folder is run. Raises TaskFailed `model_refused`, saying what is wrong.
    """
    said = checked(name, folder)
    os.environ.update(_QUIET)  # before the libraries are imported, which read these once
    import diffusers
    import safetensors
    import transformers

    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()
    kind = pipeline_class(name, said if pipeline == "auto" else pipeline)
    try:
        parts = dict(_language_parts(name, folder, dtype))
        pipe = kind.from_pretrained(str(folder), dtype={"default": dtype, "vae": vae_dtype}, **parts, **_LOCAL)
    except (*_WRONG, safetensors.SafetensorError) as error:
        raise _refused(name, str(error).replace(str(folder), folder.name)[:500]) from error
    _check_complete(name, pipe)
    return pipe


def pipeline_class(name: str, wanted: str) -> Any:
    """A pipeline's class by its name. Raises TaskFailed."""
    import diffusers

    found = getattr(diffusers, wanted, None)
    if not (isinstance(found, type) and issubclass(found, diffusers.DiffusionPipeline)):
        raise TaskFailed(f"{name}: diffusers has no pipeline {wanted}", code="model_refused", retry=False)
    return found


def _language_parts(name: str, folder: Path, dtype: Any) -> Iterator[tuple[str, Any]]:
    """The parts that transformers reads. What a file lacks it makes up at random, and tells only those who ask."""
    import transformers

    index = json.loads((folder / "model_index.json").read_bytes())
    for part, said in index.items():
        if not isinstance(said, list) or said[0] != "transformers":
            continue
        kind = getattr(transformers, said[1], None)
        if isinstance(kind, type) and issubclass(kind, transformers.PreTrainedModel):
            reader: Any = kind
            model, loading = reader.from_pretrained(folder / part, dtype=dtype, output_loading_info=True, **_LOCAL)
            if missing := sorted(loading["missing_keys"]):
                raise _incomplete(name, part, missing[0])
            yield part, model


def _check_complete(name: str, pipe: Any) -> None:
    """Raises TaskFailed for a part of diffusers that got no weights: it says nothing, and leaves it without numbers."""
    for part, module in pipe.components.items():
        for weight, tensor in module.named_parameters() if hasattr(module, "named_parameters") else ():
            if tensor.is_meta:
                raise _incomplete(name, part, weight)


def _incomplete(name: str, part: str, weight: str) -> TaskFailed:
    return _refused(name, f"the weights of {part} are not this model's: no {weight}")


def _refused(name: str, reason: str) -> TaskFailed:
    return TaskFailed(f"{name} cannot be loaded: {reason}", code="model_refused", retry=False)
