"""What may be in a model's folder: hostile, broken and good ones, without any library that would read the weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from zeus_plugins.video.diffusion.folder import checked

from zeus.errors import TaskFailed


def weights(path: Path, count: int = 16) -> None:
    header = json.dumps({"a": {"dtype": "U8", "shape": [count], "data_offsets": [0, count]}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(count))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A pipeline's folder as diffusers saves it."""
    made = tmp_path / "model"
    (made / "vae").mkdir(parents=True)
    (made / "vae/config.json").write_text('{"_class_name": "AutoencoderKLWan"}')
    weights(made / "vae/diffusion_pytorch_model.safetensors")
    index(made)
    return made


def index(folder: Path, **more: Any) -> None:
    said = {"_class_name": "WanPipeline", "vae": ["diffusers", "AutoencoderKLWan"], "image_encoder": [None, None]}
    (folder / "model_index.json").write_text(json.dumps({**said, **more}))


def refusal(folder: Path) -> str:
    with pytest.raises(TaskFailed) as caught:
        checked("own", folder)
    assert (caught.value.code, caught.value.retry) == ("model_refused", False)
    assert str(folder.parent) not in caught.value.message
    return caught.value.message


def test_a_whole_folder_tells_its_pipeline(folder: Path) -> None:
    assert checked("own", folder) == "WanPipeline"


@pytest.mark.parametrize("name", ["vae/pytorch_model.bin", "vae/x.pt", "a.CKPT", "deep/er/x.pkl", "vae/x.pth", "x.npy"])
def test_pickles_are_refused_by_name(folder: Path, name: str) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"\x80\x04.")
    assert f"{name} is a pickle" in refusal(folder)


@pytest.mark.parametrize("name", ["pipeline.py", "vae/modeling.PY", "x.so"])
def test_code_is_refused_by_name(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"")
    assert f"{name} is code" in refusal(folder)


def test_a_description_that_asks_for_code(folder: Path) -> None:
    (folder / "vae/config.json").write_text('{"auto_map": {"AutoModel": "evil--repo.Model"}}')
    assert "auto_map" in refusal(folder)


@pytest.mark.parametrize("library", ["pipeline", "os", "..", 5])
def test_a_part_of_another_library(folder: Path, library: Any) -> None:
    index(folder, scheduler=[library, "Thing"])
    assert "scheduler is of" in refusal(folder)


def test_a_part_that_is_missing(folder: Path) -> None:
    index(folder, transformer=["diffusers", "WanTransformer3DModel"])
    assert "transformer is missing" in refusal(folder)


@pytest.mark.parametrize("name", ["../vae", "/etc"])
def test_a_part_outside(folder: Path, name: str) -> None:
    index(folder, **{name: ["diffusers", "X"]})
    assert "is no name of a folder" in refusal(folder)


@pytest.mark.parametrize("name", ["WanModel", 5, None, "os.system"])
def test_an_index_that_names_no_pipeline(folder: Path, name: Any) -> None:
    index(folder, _class_name=name)
    assert "names no pipeline" in refusal(folder)


@pytest.mark.parametrize("text", [b"{", b"\xff", b"[" * 100_000])
def test_an_index_that_is_no_json(folder: Path, text: bytes) -> None:
    (folder / "model_index.json").write_bytes(text)
    assert "model_index.json" in refusal(folder)


@pytest.mark.parametrize("text", [b"[]", b"3", b'"x"', b"null"])
def test_an_index_that_is_no_object(folder: Path, text: bytes) -> None:
    (folder / "model_index.json").write_bytes(text)
    assert "model_index.json" in refusal(folder)


def test_no_folder_and_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    for name in ("none", "empty", "file"):
        assert "no folder with a model_index.json" in refusal(tmp_path / name)


def test_weights_that_are_cut_off(folder: Path) -> None:
    path = folder / "vae/diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:-3])
    assert "cut off: 3 bytes are missing" in refusal(folder)


@pytest.mark.parametrize("data", [b"", b"abc", b"\xff" * 64, (9).to_bytes(8, "little") + b"[1, 2, 3]", bytes(16)])
def test_weights_that_are_none(folder: Path, data: bytes) -> None:
    (folder / "vae/diffusion_pytorch_model.safetensors").write_bytes(data)
    assert "safetensors file" in refusal(folder)


def test_a_shard_that_is_missing(folder: Path) -> None:
    described = {"weight_map": {"a": "m-00001-of-00002.safetensors", "b": "m-00002-of-00002.safetensors"}}
    (folder / "vae/m.safetensors.index.json").write_text(json.dumps(described))
    weights(folder / "vae/m-00001-of-00002.safetensors")
    assert "m-00002-of-00002.safetensors is missing" in refusal(folder)
    weights(folder / "vae/m-00002-of-00002.safetensors")
    assert checked("own", folder) == "WanPipeline"
