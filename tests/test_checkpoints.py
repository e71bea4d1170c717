"""Models as data: what the engine makes of its own data and of the configuration, and what it refuses."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from zeus_plugins.video import VideoArgs, VideoEngine, checkpoints
from zeus_plugins.video.engine import VideoSettings
from zeus_plugins.video.ready import READY

from zeus.engine import Demand, ModelSettings
from zeus.errors import BadInput, ConfigError

LTX = {"ltx-2b": ModelSettings(folder="/models/ltx")}


def engine(models: dict[str, ModelSettings] | None = None, default: str = "procedural") -> VideoEngine:
    return VideoEngine(VideoSettings(model=default), LTX if models is None else models)


def settled(said: dict[str, Any], models: dict[str, ModelSettings] | None = None) -> VideoArgs:
    return engine(models).settle(VideoArgs(prompt="a fox", **said), None)[0]


@pytest.mark.parametrize("name", READY)
def test_what_is_known_of_each_model_can_be_asked_for(name: str) -> None:
    picture = {"image": "a.png"} if engine().models[name].needs_image else {}
    args = settled({"model": name, **picture})
    again = {field: getattr(args, field) for field in args.__struct_fields__ if field != "prompt"}
    assert settled(again) == args
    assert READY[name].memory and READY[name].description
    assert READY[name].repository or name == "ltx-2b-distilled"


@pytest.mark.parametrize("name", READY)
def test_a_model_without_weights_says_how_to_get_them(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "find_spec", lambda name: object())
    state = engine({}).model_state(name)
    assert (state.ready, state.building) == (False, False)
    how = f"zeus models pull {name}" if READY[name].repository else f"models.{name}.folder"
    assert f"{name} is not on this node: " in state.message and how in state.message


async def test_a_model_with_weights_is_a_version(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "find_spec", lambda name: object())
    made = engine(default="ltx-2b")
    versions = [(each.version, each.source) for each in await made.versions(None)]  # type: ignore[arg-type]
    assert versions == [("ltx-2b", "configured"), ("procedural", "builtin")]
    assert made.model_state().building, "the default one is loaded at once"
    assert engine().model_state("ltx-2b").ready, "another one when a job asks for it"


def test_missing_libraries_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "find_spec", lambda name: None)
    state = engine().model_state("ltx-2b")
    assert not state.ready and "pip install -e '.[inference]'" in state.message
    monkeypatch.setattr("zeus.engine.extras.checkout", lambda: None)
    assert "the extra `inference` of the package zeus-node" in engine().model_state("ltx-2b").message


def test_a_model_knows_the_commit_of_its_weights() -> None:
    models = {"ltx-2b": ModelSettings(folder="/m", revision="0" * 40), "mine": ModelSettings(folder="/m")}
    library = engine(models)._library
    assert [library.get(name).model.revision for name in ("ltx-2b", "mine", "procedural")] == ["0" * 40, "", ""]


def test_the_configuration_goes_before_what_is_known() -> None:
    models = {"ltx-2b": ModelSettings(folder="/m", width=256, offload="model", arguments={"decode_timestep": 0.1})}
    model = engine(models).models["ltx-2b"]
    assert (model.width, model.height, model.num_inference_steps) == (256, 480, 40)
    assert model.arguments["weights"] == {
        "name": "ltx-2b", "pipeline": "LTXConditionPipeline", "image_pipeline": "auto",
        "offload": "model", "memory": 18.0,
    }  # fmt: skip
    assert model.arguments["extra"] == {"decode_timestep": 0.1}


@pytest.mark.parametrize(
    ("said", "made"),
    [
        ({"width": 500, "height": 500, "num_frames": 100}, (512, 512, 97)),
        ({"width": 33, "height": 47, "num_frames": 1}, (32, 32, 1)),
        ({"width": 1280, "height": 31, "num_frames": 257}, (1280, 32, 257)),
        ({"num_frames": 5}, (704, 480, 1)),
        ({"num_frames": 6}, (704, 480, 9)),
    ],
)
def test_sizes_and_frames_are_rounded(said: dict[str, int], made: tuple[int, int, int]) -> None:
    args = settled({"model": "ltx-2b", **said})
    assert (args.width, args.height, args.num_frames) == made


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"width": 1281}, "width is 1281: .* 32 to 1280"),
        ({"height": 5000}, "height is 5000: .* 32 to 1280"),
        ({"num_frames": 258}, "num_frames is 258: .* 1 to 257"),
        ({"num_frames": 10_000}, "num_frames"),
        ({"width": 1280, "height": 1280}, '1280 × 1280: .*"ltx-2b" takes 901,120 pixels at most, such as 704 × 480'),
        ({"model": "wan-1b", "image": "x"}, '"wan-1b" does not use image'),
        ({"model": "wan-14b-image"}, 'image: the model "wan-14b-image" needs a picture'),
        ({"model": "ltx-13b-distilled", "num_inference_steps": 8}, "does not use num_inference_steps"),
        ({"model": "ltx-13b-distilled", "negative_prompt": "blurry"}, "no effect where guidance_scale"),
        ({"negative_prompt": "blurry", "guidance_scale": 0.5}, "no effect where guidance_scale"),
    ],
)
def test_what_never_fits_is_refused(said: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        settled({"model": "ltx-2b", **said})


def test_guidance_makes_a_negative_prompt_count() -> None:
    said = {"model": "ltx-13b-distilled", "negative_prompt": "x", "guidance_scale": 3.0}
    assert settled(said).negative_prompt == "x"


@pytest.mark.parametrize(
    ("name", "said", "words"),
    [
        ("procedural", {"width": 64}, "comes with the engine"),
        ("../own", {}, "a name has up to 64 letters"),
        (".own", {}, "a name has up to 64 letters"),
        ("own", {"width": 100}, "models.own.width must be a multiple of 32"),
        ("own", {"width": 2048}, "models.own.width must be .* to 1280"),
        ("ltx-2b", {"max_size": 512}, "models.ltx-2b.width must be .* to 512"),
        ("ltx-2b", {"num_frames": 50}, "models.ltx-2b.num_frames must be one more than a multiple of 8"),
        ("wan-1b", {"num_frames": 97}, "at most 81"),
        ("ltx-2b", {"max_pixels": 9999}, "models.ltx-2b.max_pixels is less than its own 704 × 480"),
    ],
)
def test_defaults_that_no_job_could_ask_for_are_wrong_settings(name: str, said: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        engine({name: ModelSettings(**said)})


@pytest.mark.parametrize(
    ("field", "value"),
    [("revision", "main"), ("revision", "A" * 40), ("repository", "tiny"), ("repository", "../tiny"), ("folder", 5)],
)
def test_settings_that_name_nothing_that_can_be_fetched(field: str, value: Any) -> None:
    with pytest.raises(msgspec.ValidationError, match=field):
        msgspec.convert({field: value}, ModelSettings)


def test_a_hub_is_a_url() -> None:
    for wrong in ("", "huggingface.co", "ftp://x", "http://", "http://user:secret@x", "http://x?y"):
        with pytest.raises(msgspec.ValidationError, match="hub"):
            msgspec.convert({"hub": wrong}, VideoSettings)
    assert msgspec.convert({"hub": "http://mirror.lan:81/hf/"}, VideoSettings).hub


def test_a_model_of_the_owner() -> None:
    args = settled({"model": "own"}, {"own": ModelSettings(folder="/m", size_multiple=16, width=400, height=304)})
    assert (args.width, args.height, args.num_frames, args.num_inference_steps) == (400, 304, 49, 30)


def test_the_docs_list_what_is_known() -> None:
    text = (Path(__file__).parents[1] / "docs/models.md").read_text("utf-8")
    rows = re.findall(r"^\| `(.+?)` \| (.+?) \| (.+?) \| (.+?) \| (.+?) \|$", text, re.M)
    models = engine({}).models

    def steps(name: str) -> str:
        count = models[name].num_inference_steps
        return str(count) if count else f"{len(models[name].arguments['extra']['timesteps'])} always"

    def picture(name: str) -> str:
        return "must" if models[name].needs_image else "may" if "image" in models[name].honours else "no"

    assert rows == [
        (
            name,
            f"{models[name].width} × {models[name].height}, {models[name].num_frames}, {models[name].fps:g}",
            f"{steps(name)}, {models[name].guidance_scale:g}",
            picture(name),
            f"{READY[name].memory:g} GiB",
        )
        for name in READY
    ]


@pytest.mark.parametrize(
    ("device", "gpu"), [(None, "gpu"), ("auto", "gpu"), ("cuda", "gpu"), ("mps", "gpu"), ("cuda:1", "gpu:1")]
)
def test_a_model_asks_for_the_gpu_that_it_is_set_to(device: str | None, gpu: str) -> None:
    made = engine({"ltx-2b": ModelSettings(folder="/m", device=device, memory=2.5)})
    assert made.demand(VideoArgs(prompt="a fox", model="ltx-2b")) == Demand(gpu, memory=5 * 2**29)


def test_what_runs_on_the_processor_asks_for_no_gpu() -> None:
    made = engine({"ltx-2b": ModelSettings(folder="/m", device="cpu")})
    for model in ("ltx-2b", "procedural"):
        assert made.demand(VideoArgs(prompt="a fox", model=model)) == Demand()
