"""Pulling weights from a hub, as the worker does it: what is fetched, resumed, verified and refused."""

from __future__ import annotations

import asyncio
import errno
import importlib
import json
import shutil
import threading
from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import HANG, need
from tests.hub import Hub, serving, sha256
from zeus.engine import Cancelled
from zeus.errors import NoSpace, TaskFailed, ZeusError

REPOSITORY = "someone/tiny"
INDEX = {
    "_class_name": "WanPipeline",
    "vae": ["diffusers", "AutoencoderKLWan"],
    "tokenizer": ["transformers", "T5Tokenizer"],
    "image_encoder": [None, None],
}


def tensors(count: int = 10_000) -> bytes:
    header = json.dumps({"a": {"dtype": "U8", "shape": [count], "data_offsets": [0, count]}}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(each % 251 for each in range(count))


def pipeline(**more: bytes) -> dict[str, bytes]:
    """A pipeline's files, and more whose names have "__" for a slash."""
    return {
        "model_index.json": json.dumps(INDEX).encode(),
        "vae/config.json": b"{}",
        "vae/diffusion_pytorch_model.safetensors": tensors(),
        "tokenizer/spiece.model": b"words",
        **{name.replace("__", "/"): data for name, data in more.items()},
    }


class Job:
    """A Computation that keeps what is reported."""

    def __init__(self) -> None:
        self.reports: list[dict[str, Any]] = []
        self.stop = threading.Event()

    def report(self, value: Any) -> None:
        self.reports.append(value)

    def check(self) -> None:
        if self.stop.is_set():
            raise Cancelled


@pytest.fixture
async def hub(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Hub]:
    need(find_spec("huggingface_hub"), "huggingface_hub", "the extra `inference` brings it")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr(pulling(), "_OFTEN", 0.0)
    monkeypatch.setattr(pulling(), "_DELAY", 0.01)
    async with serving() as made:
        yield made


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "models" / "tiny"


def pulling() -> Any:
    """The module that does it, which cannot be imported where the hub's library is missing."""
    return importlib.import_module("zeus_plugins.video.hub.pulling")


async def pull(hub: Hub, home: Path, revision: str | None = None, job: Job | None = None) -> Job:
    job = job or Job()
    arguments = {"name": "tiny", "repository": REPOSITORY, "revision": revision, "hub": hub.url, "home": str(home)}
    await asyncio.to_thread(pulling().pull, job, **arguments)
    return job


async def refusal(hub: Hub, home: Path, revision: str | None = None) -> ZeusError:
    with pytest.raises(ZeusError) as caught:
        await pull(hub, home, revision)
    assert str(home.parent) not in caught.value.message
    return caught.value


def sums(files: dict[str, bytes]) -> dict[str, str]:
    return {path: sha256(data) for path, data in files.items()}


def here(home: Path) -> dict[str, str]:
    """The files that are on record as being here, and their sums."""
    folder = home / json.loads((home / "record.json").read_text())["revision"]
    return sums({str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()})


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def part_size(home: Path) -> int:
    """The bytes of what is on its way."""
    return max((path.stat().st_size for path in home.rglob(".*.part")), default=0)


async def test_what_the_pipeline_needs_is_fetched_and_nothing_else(hub: Hub, home: Path) -> None:
    more = {
        "README.md": b"x", "inference.py": b"import os", "tiny.safetensors": tensors(), "unused__config.json": b"{}",
        "vae__diffusion_pytorch_model.bin": b"pickle", "vae__diffusion_pytorch_model.fp16.safetensors": tensors(99),
        "vae__model.fp16.safetensors.index.json": b"{}", "vae__deep__config.json": b"{}", "vae__.hidden.json": b"{}",
    }  # fmt: skip
    commit = hub.publish(REPOSITORY, pipeline(**more))
    job = await pull(hub, home)
    assert here(home) == sums(pipeline())
    record = json.loads((home / "record.json").read_text())
    size = sum(map(len, pipeline().values()))
    assert record == {"repository": REPOSITORY, "revision": commit, "size": size}
    assert [each["done"] for each in job.reports] == sorted(each["done"] for each in job.reports)
    assert job.reports[-1]["done"] == job.reports[-1]["size"] == size
    assert names(home) == {commit, "record.json"}


async def test_a_revision_is_what_is_fetched(hub: Hub, home: Path) -> None:
    old = hub.publish(REPOSITORY, pipeline())
    hub.publish(REPOSITORY, pipeline(vae__config=b"{}\n"))
    await pull(hub, home, old)
    assert here(home) == sums(pipeline())
    assert not any(path.endswith("/main") for path, _ in hub.asked)


async def test_a_branch_that_moves_on_while_it_is_fetched(hub: Hub, home: Path) -> None:
    first = hub.publish(REPOSITORY, pipeline())
    hub.statuses["spiece.model"] = 404
    assert (await refusal(hub, home)).code == "hub_refused"
    hub.publish(REPOSITORY, pipeline(vae__more__json=b"{}"))
    hub.statuses.clear()
    await pull(hub, home)
    assert json.loads((home / "record.json").read_text())["revision"] == first


async def test_a_connection_that_is_cut_goes_on_where_it_was(hub: Hub, home: Path) -> None:
    hub.publish(REPOSITORY, pipeline())
    hub.cuts["model.safetensors"] = [3000, 4000]
    job = await pull(hub, home)
    assert here(home) == sums(pipeline())
    assert hub.ranges_of("model.safetensors")[1::2] == [None, "bytes=3000-", "bytes=7000-"]
    assert max(each["done"] for each in job.reports) == job.reports[-1]["size"]


async def test_a_hub_without_ranges_sends_all_again(hub: Hub, home: Path) -> None:
    hub.publish(REPOSITORY, pipeline())
    hub.cuts["model.safetensors"] = [3000]
    hub.ranges = False
    await pull(hub, home)
    assert here(home) == sums(pipeline())


async def test_a_cancel_keeps_what_came(hub: Hub, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.publish(REPOSITORY, pipeline())
    hub.cuts["model.safetensors"] = [6000]
    monkeypatch.setattr(pulling(), "_DELAY", HANG)
    job = Job()
    work = asyncio.create_task(pull(hub, home, job=job))
    while part_size(home) < 6000:
        await asyncio.sleep(0.02)
    job.stop.set()
    with pytest.raises(Cancelled):
        await work
    assert not (home / "record.json").exists()
    hub.asked.clear()
    await pull(hub, home)
    assert here(home) == sums(pipeline())
    assert {*hub.ranges_of("model.safetensors")} == {"bytes=6000-"}
    assert not hub.ranges_of("spiece.model"), "what was whole is not fetched again"


@pytest.mark.parametrize("name", ["vae/diffusion_pytorch_model.safetensors", "tokenizer/spiece.model"])
async def test_wrong_bytes_are_refused_by_their_sum(hub: Hub, home: Path, name: str) -> None:
    hub.publish(REPOSITORY, pipeline())
    good = pipeline()[name]
    hub.wrong[name] = good[:-1] + b"?"
    error = await refusal(hub, home)
    assert error.code == "hub_damaged" and f"{name} is not as it was published" in error.message
    assert not (home / "record.json").exists()
    hub.wrong.clear()
    await pull(hub, home)
    assert here(home) == sums(pipeline())


async def test_a_file_that_was_damaged_here_is_fetched_anew(hub: Hub, home: Path) -> None:
    commit = hub.publish(REPOSITORY, pipeline())
    await pull(hub, home)
    path = home / commit / "vae/diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:-5])
    hub.asked.clear()
    await pull(hub, home)
    assert here(home) == sums(pipeline())
    assert hub.ranges_of("model.safetensors") and not hub.ranges_of("config.json")


def only_pickles(files: dict[str, bytes]) -> str:
    files["vae/diffusion_pytorch_model.bin"] = files.pop("vae/diffusion_pytorch_model.safetensors")
    return "vae has its weights only as the pickle vae/diffusion_pytorch_model.bin"


def only_another_precision(files: dict[str, bytes]) -> str:
    files["vae/model.fp16.safetensors"] = files.pop("vae/diffusion_pytorch_model.safetensors")
    return "vae has its weights only as vae/model.fp16.safetensors"


def code(files: dict[str, bytes]) -> str:
    files["vae/modeling.py"] = b""
    return "vae/modeling.py is code"


def code_from_elsewhere(files: dict[str, bytes]) -> str:
    files["vae/config.json"] = b'{"auto_map": {"AutoModel": "evil--repo.Model"}}'
    return "vae/config.json asks for code from elsewhere"


def a_part_of_code(files: dict[str, bytes]) -> str:
    files["model_index.json"] = json.dumps({**INDEX, "vae": ["my_pipeline", "Vae"]}).encode()
    return "vae is of my_pipeline"


def a_missing_part(files: dict[str, bytes]) -> str:
    files["model_index.json"] = json.dumps({**INDEX, "unet": ["diffusers", "Unet"]}).encode()
    return "it has no folder unet"


def a_part_outside(files: dict[str, bytes]) -> str:
    files["model_index.json"] = json.dumps({**INDEX, "../../x": ["diffusers", "Unet"]}).encode()
    files["../../x/config.json"] = b"{}"
    return "is no name of a folder"


def no_pipeline(files: dict[str, bytes]) -> str:
    del files["model_index.json"]
    return "it has no model_index.json"


SPOILED = [
    only_pickles, only_another_precision, code, code_from_elsewhere, a_part_of_code, a_missing_part, a_part_outside,
    no_pipeline,
]  # fmt: skip


@pytest.mark.parametrize("spoil", SPOILED)
async def test_what_is_refused_before_any_weights_are_fetched(hub: Hub, home: Path, spoil: Any) -> None:
    files = pipeline()
    reason = spoil(files)
    hub.publish(REPOSITORY, files)
    error = await refusal(hub, home)
    assert isinstance(error, TaskFailed) and (error.code, error.retry) == ("model_refused", False)
    assert reason in error.message
    assert not any("diffusion_pytorch_model" in path for path, _ in hub.asked)
    assert not [path for path in home.parent.parent.rglob("*") if path.suffix in (".bin", ".py", ".safetensors")]


@pytest.mark.parametrize("status", [401, 403])
async def test_a_hub_that_refuses(hub: Hub, home: Path, status: int) -> None:
    hub.publish(REPOSITORY, pipeline())
    for end in ("/revision/main", "model.safetensors"):
        hub.statuses = {end: status}
        error = await refusal(hub, home)
        assert error.code == "hub_refused" and f"someone/tiny at 127.0.0.1 answered {status}" in error.message
        assert "licence" in error.message and "HF_TOKEN" in error.message


async def test_what_is_not_there(hub: Hub, home: Path) -> None:
    assert "someone/tiny at 127.0.0.1 is not there" in (await refusal(hub, home)).message
    hub.publish(REPOSITORY, pipeline())
    assert "not in this revision" in (await refusal(hub, home, "a" * 40)).message


async def test_a_hub_that_is_out_of_order(hub: Hub, home: Path) -> None:
    hub.publish(REPOSITORY, pipeline())
    hub.statuses["model.safetensors"] = 503
    error = await refusal(hub, home)
    assert error.code == "hub_unreachable" and "it answered 503" in error.message
    assert len(hub.ranges_of("model.safetensors")) == 5
    url, hub.url = hub.url, "http://127.0.0.1:9"
    assert (await refusal(hub, home)).code == "hub_unreachable"
    hub.url, hub.statuses = url, {"/revision/main": 500}
    shutil.rmtree(home)
    assert "it answered 500" in (await refusal(hub, home)).message


async def test_a_hub_that_is_told_to_be_offline(hub: Hub, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert (await refusal(hub, home)).code == "hub_unreachable"
    assert not hub.asked


async def test_a_token_of_the_environment_is_sent(hub: Hub, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.publish(REPOSITORY, pipeline())
    await pull(hub, home)
    assert hub.tokens == {"Bearer hf_secret"}
    assert "hf_secret" not in str([each.read_bytes() for each in home.rglob("*") if each.is_file()])  # noqa: ASYNC240


async def test_a_token_is_not_sent_in_the_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    need(find_spec("huggingface_hub"), "huggingface_hub", "the extra `inference` brings it")
    token = importlib.import_module("zeus_plugins.video.hub.source")._token
    assert [token(url) for url in ("https://huggingface.co", "http://127.0.0.1:1", "http://mirror.lan")] == [
        None, None, False
    ]  # fmt: skip


async def test_a_disk_that_is_too_small(hub: Hub, home: Path) -> None:
    hub.publish(REPOSITORY, pipeline())
    hub.sizes["vae/diffusion_pytorch_model.safetensors"] = 10**18
    error = await refusal(hub, home)
    assert isinstance(error, NoSpace) and error.code == "disk_full"
    assert "1000000000.0 GB are to come and 1.1 GB shall stay free" in error.message
    assert not hub.ranges_of("model.safetensors")


async def test_a_disk_that_fills_up_meanwhile(hub: Hub, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.publish(REPOSITORY, pipeline())

    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(pulling(), "_sync", full)
        error = await refusal(hub, home)
    assert isinstance(error, NoSpace) and "have come and are kept" in error.message
    await pull(hub, home)
    assert here(home) == sums(pipeline())
