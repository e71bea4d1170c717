"""The documentation is held to the code: routes, fields, codes, states, hooks; its examples are run."""

from __future__ import annotations

import asyncio
import inspect
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import aiohttp
import msgspec
import pytest

from tests.conftest import HANG, Api, NodeProcess, config_for, need
from zeus import engine, wire
from zeus.api.add_job import LATER, AddJob
from zeus.api.app import running_node
from zeus.api.generate import GenerateRequest
from zeus.api.routes import ROUTES
from zeus.api.uploads import NewUpload
from zeus.api.videos import CreateVideo
from zeus.model import MOVES

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
API = (DOCS / "api.md").read_text("utf-8")
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])

CODES = (
    r'\bcode="([a-z_]+)"',
    r'(?m)^    code = "([a-z_]+)"',
    r'\b\d+: "([a-z_]+)"|HTTP_CODES\.get\(.*"([a-z_]+)"',
    r'\.fail\(.*"([a-z_]+)"',
    r'\.Failure\(.*"([a-z_]+)"\)',
)
"""How a code stands in the sources: as an argument, of a class of errors, of what aiohttp raises, of a failed job."""
NEVER_ANSWERED = {"attempt_over", "config_error", "storage_in_use"}
NEVER_ANSWERED |= {"node_lost", "node_busy", "node_cancelled", "peer_damaged", "input_not_sent"}
NEVER_ANSWERED |= {"hub_damaged", "hub_refused", "hub_unreachable"}
"""Codes that end a start, a node or the pull of a model, and reach no client."""
NOT_YET_ANSWERED: set[str] = set()
"""Codes of functions that no route uses yet. Whoever adds the route takes the code out of here."""


def section(text: str, heading: str) -> str:
    """What stands between a heading and the next one of its level or above."""
    level = heading.partition(" ")[0]
    match = re.search(rf"^{re.escape(heading)}$(.*?)(?=^#{{1,{len(level)}}} |\Z)", text, re.M | re.S)
    assert match, heading
    return match[1]


def first_cells(text: str) -> list[str]:
    """The first cell of each row of a section's tables, where that is one thing in backticks."""
    return re.findall(r"^\| `([^`]+)` \|", text, re.M)


# docs/api.md


def test_every_route_is_described_and_no_other() -> None:
    described = re.findall(r"^### `([A-Z]+) (\S+)`$", API, re.M)
    assert sorted(described) == sorted((route.method, re.sub(r"{(\w+)[^}]*}", r"<\1>", route.path)) for route in ROUTES)


def structs() -> Iterator[type[msgspec.Struct]]:
    for kind in vars(wire).values():
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind.__module__ == wire.__name__:
            yield kind


@pytest.mark.parametrize("kind", [*structs()], ids=lambda kind: kind.__name__)
def test_every_field_of_a_shape_is_described_and_no_other(kind: type[msgspec.Struct]) -> None:
    assert first_cells(section(API, f"### `{kind.__name__}`")) == list(kind.__struct_fields__)


def test_every_field_of_a_request_is_described_and_no_other() -> None:
    adding = section(API, "### `POST /api/add_job`")
    assert first_cells(adding) == list(AddJob.__struct_fields__)
    assert all(f"`{field}`" in adding for field in LATER)
    assert first_cells(section(API, "### `POST /api/uploads`")) == list(NewUpload.__struct_fields__)
    assert first_cells(section(API, "### `POST /api/generate`")) == list(GenerateRequest.__struct_fields__)
    assert first_cells(section(API, "### `POST /v1/videos`")) == list(CreateVideo.__struct_fields__)


def codes() -> set[str]:
    """The codes that errors have anywhere in the node and its engines; the client's own are left out."""
    own = ("zeus/peers/", "zeus/cli/")
    paths = [*ROOT.glob("zeus/**/*.py"), *ROOT.glob("plugins/**/*.py")]
    texts = [path.read_text("utf-8") for path in paths if not path.relative_to(ROOT).as_posix().startswith(own)]
    matches = (match for text in texts for way in CODES for match in re.finditer(way, text))
    return {code for match in matches for code in match.groups() if code}


def test_every_code_is_described_and_no_other() -> None:
    refusals = first_cells(section(API, "## Codes of refusals"))
    failures = first_cells(section(API, "## Why a job failed"))
    assert refusals == sorted(refusals) and failures == sorted(failures)
    assert {*refusals, *failures} == codes() - NEVER_ANSWERED - NOT_YET_ANSWERED


# docs/states.md


def test_the_states_page_draws_the_legal_moves() -> None:
    text = (DOCS / "states.md").read_text("utf-8")
    legal = {(source.value, target.value) for source, targets in MOVES.items() for target in targets}
    rows = re.findall(r"^\| ([a-z]) \| (\w+) \| (\w+) \| .+ \|$", text, re.M)
    drawn = re.findall(r"^    (\w+) --> (\w+): ([a-z])$", text, re.M)
    assert {(source, target) for _, source, target in rows} == legal and len(rows) == len(legal)
    assert sorted(drawn) == sorted((source, target, letter) for letter, source, target in rows)


# docs/plugins.md

PLUGINS = (DOCS / "plugins.md").read_text("utf-8")


@pytest.mark.parametrize(
    "kind",
    [engine.Engine, engine.GenerationEngine, engine.Tools, engine.RunContext, engine.Computation],
    ids=lambda kind: kind.__name__,
)
def test_every_part_of_the_plugin_interface_is_described(kind: type) -> None:
    heading = "## Functions in the worker" if kind is engine.Computation else f"## `{kind.__name__}`"
    described = re.findall(r"^\| `(\w+)", section(PLUGINS, heading), re.M)
    parts = {name for name in {*vars(kind), *inspect.get_annotations(kind)} if not name.startswith("_")}
    if kind is engine.Engine:
        parts.add("settings")
    elif kind is engine.GenerationEngine:
        parts -= set(vars(engine.Engine))
    assert set(described) == parts


@pytest.mark.parametrize("kind", [engine.Piece, engine.Made])
def test_every_field_of_a_piece_is_described(kind: type[msgspec.Struct]) -> None:
    table = re.search(rf"^\| `{kind.__name__}` \| meaning \|\n(.*?)^$", PLUGINS, re.M | re.S)
    assert table
    rows = [row.split(" | ")[0] for row in table[1].splitlines()[1:]]
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == set(kind.__struct_fields__)


@pytest.mark.parametrize("name", ["spawn", "verify", "probe", "encode", "compute"])
def test_the_arguments_of_the_tools_are_described(name: str) -> None:
    row = re.search(rf"^\| `{name}\((.*?)\)` \|", section(PLUGINS, "## `Tools`"), re.M)
    assert row
    signature = inspect.signature(getattr(engine.Tools, name))
    assert re.findall(r"\w+", row[1]) == [each for each in signature.parameters if each != "self"]


async def test_the_example_engine_runs(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    engines = tmp_path / "engines"
    for name, text in re.findall(r"^<!-- file: (\S+) -->\n```python\n(.*?)^```", PLUGINS, re.M | re.S):
        (engines / name).parent.mkdir(parents=True, exist_ok=True)
        (engines / name).write_text(text)
    config = config_for(tmp_path, plugins={"folders": [str(engines)]})
    config = msgspec.structs.replace(config, engines={"words": {"slots": 2}})
    async with running_node(config) as node:
        api = Api(session, node.url)
        assert "words" in (await api.get("/api/engines/names"))[1]
        job = await api.until(await send_book(api, '{"args": {"top": 2}}', b"the cat and the dog and the fox"))
        assert (job["status"], job["renderer"]) == ("finished", "words"), job
        path = f"/api/jobs/{job['id']}/download"
        assert await api.get(path, params={"filename": "words.txt"}) == (200, "the 3\nand 2\n")
        job = await api.until(await send_book(api, '{"args": {"compress": true}}', b"one"))
        assert (await api.get(f"/api/jobs/{job['id']}/files"))[1] == ["words.txt.gz"]
        job = await api.until(await send_book(api, "{}", b" "))
        assert (job["status"], job["error"]["code"], job["attempt"]) == ("failed", "output_invalid", 1)


async def send_book(api: Api, fields: str, text: bytes) -> str:
    form = aiohttp.FormData()
    form.add_field("json", fields)
    form.add_field("file", text, filename="book.txt")
    status, job = await api.post("/api/add_job", data=form)
    assert status == 200, job
    return str(job["id"])


# README.md


async def test_the_readmes_tour(spawn_node: Callable[..., NodeProcess], tmp_path: Path) -> None:
    need(shutil.which("curl"), "curl", "on Debian and Ubuntu, `apt install curl` brings it")
    readme = (ROOT / "README.md").read_text("utf-8")
    tour = re.search(r"^<!-- tour -->$(.*?)^<!-- /tour -->$", readme, re.M | re.S)
    assert tour
    script = "".join(re.findall(r"^```sh\n(.*?)^```", tour[1], re.M | re.S))
    assert script.count("curl ") > 10
    script = script.replace("http://127.0.0.1:8080", await asyncio.to_thread(spawn_node().start))
    process = await asyncio.create_subprocess_exec(
        "sh", "-eu", "-c", script, cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LC_ALL": "C"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        output, _ = await asyncio.wait_for(process.communicate(), HANG)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    printed = output.decode()
    assert process.returncode == 0, printed
    assert '"ready":true' in printed and '["fox.webm"]' in printed and "[zeus] $ " in printed
    assert '"error":"' not in printed and '"status":"cancelled"' in printed
    assert (tmp_path / "fox.mp4").read_bytes()[4:8] == b"ftyp"
    assert (tmp_path / "small.webm").read_bytes()[:4] == b"\x1a\x45\xdf\xa3"


# All pages


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        file, _, anchor = target.partition("#")
        if "://" in target:
            continue
        there = page.parent / file if file else page
        assert there.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", there.read_text("utf-8"), re.M)
            assert anchor in {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}, target


def test_every_decision_is_listed() -> None:
    listed = (DOCS / "decisions" / "README.md").read_text("utf-8")
    for page in DOCS.glob("decisions/[0-9]*.md"):
        assert f"]({page.name})" in listed
