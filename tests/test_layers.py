"""The layers: imports go down only, and what may import what is held here."""

from __future__ import annotations

import ast
import asyncio
import signal
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import aiohttp
import msgspec

from tests.conftest import HANG, STUBS, Api, config_for

ROOT = Path(__file__).parents[1]
HEAVY = {"OpenEXR", "PIL", "accelerate", "av", "diffusers", "huggingface_hub", "numpy", "torch", "transformers"}
LAYERS = (
    "cli",
    "serving",
    "api",
    "server",
    "shares away",
    "jobs recovery debts",
    "reasons",
    "schedule",
    "foreign",
    "inspection projects",
    "portrait",
    "folders progress here catalog submission thumbnails presets benchmark uploads",
    "dispatch",
    "store feed files media child inference machine registry worker workerprocess mediaworker tool joblog lines marks"
    " gpus guardian names peers failpoint tokens downloads unpack selection nodes whereabouts requests",
    "engine config wire versions placement",
    "errors model mismatch",
)
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer.split()}


def imports(path: Path, package: str) -> set[str]:
    """All that a module imports, wherever in it: "a.b" for `import a.b`, "a.b.c" for `from a.b import c`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.rsplit(".", node.level - 1)[0] if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            found.update(f"{module}.{alias.name}" for alias in node.names)
    return found


def modules(folder: Path) -> dict[str, set[str]]:
    """The modules under a folder of the repository and what each imports."""
    found = {}
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        found[name] = imports(path, name if is_package else name.rpartition(".")[0])
    return found


def owner(name: str, known: dict[str, set[str]]) -> str | None:
    """The module that an imported name is, or is defined in."""
    while name and name not in known:
        name = name.rpartition(".")[0]
    return name or None


ZEUS = modules(ROOT / "zeus")
PLUGINS = modules(ROOT / "plugins")
INNER = {
    name: {target for each in found if (target := owner(each, ZEUS)) is not None and target not in ("zeus", name)}
    for name, found in ZEUS.items()
    # The package's face hands out the client when it is asked for, and __main__ the command line.
    if name not in ("zeus", "zeus.__main__")
}


def users(of: set[str], known: dict[str, set[str]]) -> set[str]:
    """The modules that import one of these packages."""
    return {name for name, found in known.items() if any(each.partition(".")[0] in of for each in found)}


def test_imports_go_down_only() -> None:
    upward = []
    for name, found in INNER.items():
        for target in found:
            if RANK[name.split(".")[1]] > RANK[target.split(".")[1]]:
                upward.append(f"{name} imports {target}")
    assert not upward


def test_imports_make_no_circle() -> None:
    TopologicalSorter(INNER).prepare()


def test_each_module_has_its_layer() -> None:
    assert {name.split(".")[1] for name in INNER} == set(RANK)


def test_decide_imports_the_model_and_what_is_as_pure_alone() -> None:
    pure = {"zeus.model", "zeus.placement", "zeus.schedule.sizing"}
    assert INNER["zeus.schedule.decide"] == pure
    assert INNER["zeus.placement"] == {"zeus.model", "zeus.versions"}
    assert INNER["zeus.schedule.sizing"] == {"zeus.model"}
    assert INNER["zeus.versions"] == set()


def test_plugins_import_the_interface_and_the_errors_alone() -> None:
    for name, found in PLUGINS.items():
        ours = {".".join(each.split(".")[:2]) for each in found if each.partition(".")[0] == "zeus"}
        assert ours <= {"zeus.engine", "zeus.errors"}, name


def test_plugins_import_no_other_plugin() -> None:
    for name, found in PLUGINS.items():
        own = ".".join(name.split(".")[:2])
        others = {each for each in found if each.startswith(("plugins.", "zeus_plugins"))}
        assert all((each + ".").startswith(own + ".") for each in others), name


def test_http_is_at_the_edge() -> None:
    assert {name.split(".")[1] for name in users({"aiohttp"}, ZEUS)} == {"api", "peers", "downloads"}
    web = {name for name, found in ZEUS.items() if any(each.startswith("aiohttp.web") for each in found)}
    assert {name.split(".")[1] for name in web} == {"api"}
    assert not users({"aiohttp"}, PLUGINS)


def test_heavy_libraries_are_imported_by_workers_alone() -> None:
    assert {name.split(".")[1] for name in users(HEAVY, ZEUS)} == {"mediaworker"}
    assert not [name for name, found in INNER.items() if "zeus.mediaworker" in found and "mediaworker" not in name]
    # What a plugin's package imports, directly or not, is in the server; its other modules are its workers'.
    inner = {
        name: {target for each in found if (target := owner(each, PLUGINS)) is not None}
        for name, found in PLUGINS.items()
    }
    served = {name for name in PLUGINS if name.count(".") <= 1}
    while more := {target for name in served for target in inner[name]} - served:
        served |= more
    assert not users(HEAVY, PLUGINS) & served


async def test_a_server_at_work_never_imports_them(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    config = tmp_path / "zeus.json"
    config.write_bytes(msgspec.json.encode(config_for(tmp_path)))
    argv = [sys.executable, str(STUBS / "serve_modules.py"), str(config)]
    process = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        await work(Api(session, (await process.stdout.readline()).decode().strip()))
        process.send_signal(signal.SIGTERM)
        printed = await asyncio.wait_for(process.stdout.read(), HANG)
        assert (await process.wait(), printed) == (0, b"imported:\n")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def work(api: Api) -> None:
    """A video from a prompt, and its transcoding."""
    small = {"width": 64, "height": 36, "num_frames": 8, "fps": 8}
    _, accepted = await api.post("/api/generate", json={"prompt": "a red fox", **small})
    job_id = accepted["job_id"]
    assert (await api.until(job_id))["status"] == "finished"
    async with api.session.get(f"{api.url}/files/{job_id}/out.mp4") as got:
        video = await got.read()
    form = aiohttp.FormData()
    form.add_field("json", '{"renderer": "ffmpeg", "args": {"container": "mkv"}}')
    form.add_field("file", video, filename="fox.mp4")
    status, job = await api.post("/api/add_job", data=form)
    assert status == 200, job
    assert (await api.until(job["id"]))["status"] == "finished"
    assert (await api.get("/api/status"))[0] == 200
