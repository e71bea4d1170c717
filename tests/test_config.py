"""Settings: each source, their order, and what is said of a wrong one."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeus.config import Config, Settings, checkout, default_file, example, load
from zeus.config import sources as sources_module
from zeus.config.settings import MODEL_SETTINGS, PATH_SETTINGS, SECTIONS, HttpConfig, PathConfig
from zeus.engine import ModelSettings
from zeus.errors import ConfigError

ROOT = Path(__file__).parent.parent


@pytest.fixture
def nothing(tmp_path: Path) -> Path:
    """A settings file that sets nothing, so that the checkout's own config.toml does not count."""
    file = tmp_path / "config.toml"
    file.write_text("")
    return file


def load_text(file: Path, text: str, environ: Mapping[str, str] | None = None, **flags: Any) -> Settings:
    file.write_text(text)
    return load(file, environ or {}, {f"--{name}": value for name, value in flags.items()})


def message_of(file: Path, text: str = "", environ: Mapping[str, str] | None = None, **flags: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        load_text(file, text, environ, **flags)
    return caught.value.message


def test_defaults_hold_where_nothing_is_set(nothing: Path) -> None:
    settings = load(nothing, {}, {})
    assert settings.config == Config()
    assert set(settings.origins.values()) == {"default"}
    assert set(settings.origins) == {f"{section}.{key}" for section, keys in SECTIONS.items() for key in keys}


def test_later_sources_go_before_earlier_ones(nothing: Path) -> None:
    text = "[http]\nport = 1\nhost = '10.0.0.1'\n[jobs]\nslots = 4"
    settings = load_text(nothing, text, {"ZEUS_HTTP__PORT": "2", "ZEUS_HTTP__HOST": "10.0.0.2"}, port=3)
    assert (settings.config.http.port, settings.config.http.host, settings.config.jobs.slots) == (3, "10.0.0.2", 4)
    origins = settings.origins
    assert origins["http.port"] == "--port"
    assert origins["http.host"] == "ZEUS_HTTP__HOST"
    assert origins["jobs.slots"] == "config.toml"
    assert origins["jobs.max_attempts"] == "default"


def test_flags_that_are_not_given_change_nothing(nothing: Path) -> None:
    assert load(nothing, {}, {"--port": None, "--lan": None, "--open": None}).config == Config()


def test_flags_may_be_named_as_settings(nothing: Path) -> None:
    settings = load(nothing, {}, {"http.port": 0, "--lan": "0.0.0.0", "--open": True, "--name": "a", "--storage": "/d"})
    assert (settings.config.http.port, settings.config.http.host, settings.config.http.open) == (0, "0.0.0.0", True)
    assert (settings.config.node.name, settings.origins["http.host"]) == ("a", "--lan")


@pytest.mark.parametrize("text", ["1", "true", "TRUE", "yes", "Yes", "on"])
def test_environment_says_yes(nothing: Path, text: str) -> None:
    assert load(nothing, {"ZEUS_HTTP__OPEN": text}, {}).config.http.open is True


@pytest.mark.parametrize("text", ["0", "false", "no", "off"])
def test_environment_says_no(nothing: Path, text: str) -> None:
    assert load_text(nothing, "[http]\nopen = true", {"ZEUS_HTTP__OPEN": text}).config.http.open is False


@pytest.mark.parametrize("text", ["a.example, b.example", '["a.example", "b.example"]', "a.example,b.example,"])
def test_environment_lists(nothing: Path, text: str) -> None:
    assert load(nothing, {"ZEUS_HTTP__ALLOWED_HOSTS": text}, {}).config.http.allowed_hosts == ("a.example", "b.example")


def test_environment_numbers(nothing: Path) -> None:
    config = load(nothing, {"ZEUS_HTTP__BODY_TIMEOUT": "2.5", "ZEUS_JOBS__SLOTS": "7"}, {}).config
    assert (config.http.body_timeout, config.jobs.slots) == (2.5, 7)


def test_environment_reaches_into_engines(nothing: Path) -> None:
    environ = {"ZEUS_ENGINES__FFMPEG__PATH": "/opt/ffmpeg", "ZEUS_ENGINES__FFMPEG__SLOTS": "3"}
    settings = load_text(nothing, "[engines.ffmpeg]\npath = 'x'\nthreads = 2", environ)
    assert settings.config.engines == {"ffmpeg": {"path": "/opt/ffmpeg", "threads": 2, "slots": 3}}
    assert settings.origins["engines.ffmpeg.path"] == "ZEUS_ENGINES__FFMPEG__PATH"
    assert settings.origins["engines.ffmpeg.threads"] == "config.toml"


def test_models_are_settings_by_name(nothing: Path) -> None:
    text = "[models.ltx-2b]\nfolder = 'w/ltx'\narguments = {decode_timestep = 0.1}\n[models.own]\nvae_tiling = true"
    settings = load_text(nothing, text, {"ZEUS_MODELS__OWN__WIDTH": "640", "ZEUS_MODELS__OWN__COMPILE": "no"})
    models = settings.config.models
    assert models["ltx-2b"] == ModelSettings(folder=str(nothing.parent / "w/ltx"), arguments={"decode_timestep": 0.1})
    assert models["own"] == ModelSettings(vae_tiling=True, width=640, compile=False)
    assert settings.origins["models.own.width"] == "ZEUS_MODELS__OWN__WIDTH"


def test_names_without_two_underlines_are_not_settings(nothing: Path) -> None:
    environ = {"ZEUS_TOKEN": "x", "ZEUS_REQUIRE_REAL": "1", "ZEUS_RUN": "a:1", "PATH": "/bin"}
    assert load(nothing, environ, {}).config == Config()


WRONG_IN_FILE = {
    "[http]\nhost = ''": ["line 2", "http.host", "a text that is not empty", '""'],
    "\n[http]\n\nport = 99999": ["line 4", "http.port", "a whole number from 0 to 65535", "99999"],
    "[http]\nport = '80x'": ["line 2", "http.port", '"80x"'],
    "[http]\nport = true": ["http.port", "a whole number", "true"],
    "[http]\nport = 80.5": ["http.port", "a whole number", "80.5"],
    "[http]\nopen = 2": ["http.open", "true or false"],
    "[http]\nallowed_hosts = 'a'": ["http.allowed_hosts", "a list of texts"],
    "[http]\nallowed_hosts = [1]": ["http.allowed_hosts", "a list of texts"],
    "[http]\nbody_timeout = 0": ["http.body_timeout", "a number above 0, at most 86400"],
    "[http]\nbody_timeout = inf": ["http.body_timeout"],
    "[http]\nbody_timeout = nan": ["http.body_timeout"],
    "[http]\nmax_json_bytes = 0": ["http.max_json_bytes", "a whole number from 1024"],
    "[jobs]\nslots = 0": ["line 2", "jobs.slots", "from 1 to 1024"],
    "[jobs]\nmax_attempts = 101": ["jobs.max_attempts", "from 1 to 100"],
    "[jobs]\nretry_delay = 301": ["jobs.retry_delay", "a number from 0 to 300"],
    "[network]\npeers = ['render-1']": ["network.peers", "a list of texts, each a URL such as"],
    "[node]\ntags = ['big gpu']": ["node.tags", "a list of texts, each 1 to 63 letters", "big gpu"],
    "[node]\nname = 'a b'": ["node.name", "1 to 63 letters, digits and . _ -", '"a b"'],
    f"[node]\nname = '{'x' * 64}'": ["node.name"],
    "[node]\nstorage = 5": ["node.storage", "a text"],
    "[http]\nprot = 1": ["line 2", '"http.prot"', 'did you mean "http.port"?'],
    "port = 1": ["line 1", '"port"', 'did you mean "http.port"?'],
    "[htpp]\nport = 1": ["line 2", '"htpp.port"', 'did you mean "http.port"?'],
    "[jobs]\nport = 1": ["line 2", 'did you mean "http.port"?'],
    "[jobs]\nquetzal = 1": ["line 2", "[jobs] knows slots, max_attempts, retry_delay"],
    "[zzz]\nqqq = 1": ["line 2", "the sections are node, http,", "engines"],
    "[zzz]": ["line 1", '"zzz"'],
    "http = 3": ["line 1", "http is a section: write [http]"],
    "http.port = 'x'": ["line 1", "http.port"],
    "engines = 3": ["line 1", "[engines.NAME]"],
    "[engines]\nffmpeg = 3": ["line 2", "[engines.NAME]"],
    "[engines.ffmpeg]\nslots = 0": ["line 2", "engines.ffmpeg.slots", "from 1 to 1024"],
    "models = 3": ["line 1", "[models.NAME]"],
    "[models]\nltx-2b = 3": ["line 2", "[models.NAME]"],
    "[models.LTX]\nwidth = 64": ["line 2", "[models.NAME]", "small letters"],
    "[models.ltx-2b]\nwidht = 64": ["line 2", "models.ltx-2b.widht", 'did you mean "width"?'],
    "[models.ltx-2b]\nzzz = 64": ["line 2", "models.ltx-2b.zzz", "a model has description, repository"],
    "[models.ltx-2b]\nwidth = 8": ["line 2", "models.ltx-2b.width", "a whole number from 16 to 8192", "8"],
    "[models.ltx-2b]\ndtype = 'int8'": ["line 2", "models.ltx-2b.dtype", "auto, float32, float16 or bfloat16"],
    "[models.ltx-2b]\noffload = 1": ["line 2", "models.ltx-2b.offload", "none, model or sequential"],
    "[models.ltx-2b]\ndevice = 'tpu'": ["line 2", "models.ltx-2b.device", "cuda:N", '"tpu"'],
    "[models.ltx-2b]\npipeline = '../x'": ["line 2", "models.ltx-2b.pipeline", "a pipeline's class"],
    "[models.ltx-2b]\ncompile = 2": ["line 2", "models.ltx-2b.compile", "true or false"],
    "[models.ltx-2b]\nmemory = 0": ["line 2", "models.ltx-2b.memory", "a number above 0"],
    "[models.ltx-2b]\narguments = 3": ["line 2", "models.ltx-2b.arguments", "a table"],
    "[http\nport = 1": ["line 1", "is not TOML"],
    "[http]\nport = 1\nport = 2": ["line 3", "is not TOML"],
}


@pytest.mark.parametrize("text", WRONG_IN_FILE)
def test_wrong_settings_in_the_file_are_told(nothing: Path, text: str) -> None:
    message = message_of(nothing, text)
    assert str(nothing) in message
    for part in WRONG_IN_FILE[text]:
        assert part in message


WRONG_IN_ENVIRONMENT = {
    "ZEUS_HTTP__PORT": ("x", ["http.port", "a whole number from 0 to 65535", '"x"']),
    "ZEUS_HTTP__OPEN": ("maybe", ["http.open", "true or false", '"maybe"']),
    "ZEUS_HTTP__ALLOWED_HOSTS": ("[1", ["http.allowed_hosts", "a list"]),
    "ZEUS_HTTP__BODY_TIMEOUT": ("", ["http.body_timeout", "a number"]),
    "ZEUS_HTTP__PROT": ("1", ['"http.prot"', 'did you mean "http.port"?']),
    "ZEUS_NODE__NAME": ("ä", ["node.name", "1 to 63"]),
    "ZEUS_HTTP__PORT__X": ("1", ['"http.port.x"']),
    "ZEUS_ENGINES__FFMPEG": ("1", ["[engines.NAME]"]),
    "ZEUS_ENGINES__FFMPEG__SLOTS": ("many", ["engines.ffmpeg.slots", "a whole number"]),
    "ZEUS_HTTP__": ("1", ['"http."']),
}


@pytest.mark.parametrize("name", WRONG_IN_ENVIRONMENT)
def test_wrong_settings_in_the_environment_are_told(nothing: Path, name: str) -> None:
    text, parts = WRONG_IN_ENVIRONMENT[name]
    message = message_of(nothing, "", {name: text})
    for part in [f"{name}: ", *parts]:
        assert part in message


def test_a_value_and_a_section_of_one_name_are_told(nothing: Path) -> None:
    environ = {"ZEUS_ENGINES__A__B": "1", "ZEUS_ENGINES__A__B__C": "2"}
    assert "engines.a.b.c cannot be set" in message_of(nothing, "", environ)


def test_wrong_flags_are_told(nothing: Path) -> None:
    assert message_of(nothing, port=99999) == ("--port: http.port must be a whole number from 0 to 65535, not 99999")


def test_a_wrong_value_is_told_even_where_a_later_source_overrides_it(nothing: Path) -> None:
    assert "line 2" in message_of(nothing, "[http]\nport = -1", {"ZEUS_HTTP__PORT": "1"})


def test_a_missing_file_is_an_error_only_when_it_was_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read: No such file"):
        load(tmp_path / "none.toml", {}, {})
    monkeypatch.setattr(sources_module, "default_file", lambda: tmp_path / "none.toml")
    assert load(None, {}, {}).config == Config()


def test_a_file_that_is_no_text_is_told(nothing: Path) -> None:
    nothing.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="is not TOML"):
        load(nothing, {}, {})


def test_the_default_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[http]\nport = 5")
    monkeypatch.setattr(sources_module, "default_file", lambda: file)
    assert load(None, {}, {}).origins["http.port"] == "config.toml"


def test_relative_folders_start_at_the_file_or_here(nothing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    text = "[node]\nstorage = 'data'\n[files]\nlocal_roots = ['in', '/abs', '~/x']"
    config = load_text(nothing, text).config
    assert config.storage_path == nothing.parent / "data"
    assert config.files.local_roots == (str(nothing.parent / "in"), "/abs", "/home/someone/x")
    assert load(nothing, {}, {"--storage": "data"}).config.storage_path == Path.cwd() / "data"


def test_a_checkout_keeps_its_own_data_and_settings() -> None:
    assert checkout() == ROOT
    assert Config().storage_path == ROOT / "storage"
    assert default_file() == ROOT / "config.toml"


def test_an_installed_zeus_uses_the_users_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zeus.config.settings.checkout", lambda: None)
    monkeypatch.setattr(sources_module, "checkout", lambda: None)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert Config().storage_path == tmp_path / "data" / "zeus"
    assert default_file() == tmp_path / "config" / "zeus" / "config.toml"


@pytest.mark.parametrize("machine", ["render-1", "", "ä b", "x" * 100, "..", "a.b_c"])
def test_the_host_name_makes_a_valid_node_name(nothing: Path, machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: machine)
    assert load(nothing, {}, {"--name": Config().node.name}).config.node.name


def test_the_example_is_not_stale() -> None:
    assert (ROOT / "config.example.toml").read_text() == example(), "write it anew: python3 run.py config --example"


def test_the_example_holds_every_setting_at_its_default(nothing: Path) -> None:
    assert tomllib.loads(example()) == {section: {} for section in SECTIONS}
    settings = load_text(nothing, re.sub(r"(?m)^#(\w+ = |\[)", r"\1", example()))
    assert set(settings.origins) == set(load_text(nothing, "").origins) | {
        *(f"engines.ffmpeg.{key}" for key in ("slots", "mirror", "auto_install")),
        *(f"models.my-model.{key}" for key in MODEL_SETTINGS),
        *(f"paths.textures.{key}" for key in PATH_SETTINGS),
    }
    assert set(settings.config.models) == {"my-model"}
    assert settings.config.models["my-model"].folder == str(nothing.parent / "models/my-model")
    assert set(settings.origins.values()) == {"config.toml"}
    assert settings.config == msgspec.structs.replace(
        Config(),
        node=settings.config.node,
        engines={"ffmpeg": {"slots": 1, "mirror": "", "auto_install": False}},
        models=settings.config.models,
        paths={"textures": PathConfig("/mnt/farm", "Z:\\farm", "/Volumes/farm")},
    )


@given(
    port=st.integers(0, 65535),
    is_open=st.booleans(),
    hosts=st.lists(st.from_regex(r"[a-z0-9.-]{1,20}", fullmatch=True), max_size=4),
    seconds=st.floats(0.001, 86400),
)
def test_the_environment_gives_back_what_it_was_told(
    port: int, is_open: bool, hosts: list[str], seconds: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.getbasetemp() / "empty.toml"
    file.touch()
    environ = {
        "ZEUS_HTTP__PORT": str(port),
        "ZEUS_HTTP__OPEN": str(is_open),
        "ZEUS_HTTP__ALLOWED_HOSTS": ",".join(hosts),
        "ZEUS_HTTP__BODY_TIMEOUT": repr(seconds),
    }
    expected = HttpConfig(port=port, open=is_open, allowed_hosts=tuple(hosts), body_timeout=seconds)
    assert load(file, environ, {}).config.http == expected
