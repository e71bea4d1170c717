"""The page's files as they are served: their policy, their age, their weight, and that nothing else can be had."""

from __future__ import annotations

import gzip
import re
import shutil
import subprocess
from pathlib import Path

import aiohttp
from yarl import URL

from tests.conftest import HANG, Api, need
from zeus.api.site import FOLDER, KINDS, POLICY, read_site

FILES = sorted(path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.is_file())
SCRIPTS = [name for name in FILES if name.endswith(".js")]
FIRST_PAINT = 100_000
"""Bytes, as they are sent, of all that the first view needs."""
OTHERS = (
    "../api/site.py", "..%2fapi%2fsite.py", "%2e%2e/py.typed", "views", "views/", "nothing.js", "%2fetc%2fpasswd",
    "app.js/", "./app.js%00", "index.html%20", "VIEWS/settings.js", "", "%ff",
)  # fmt: skip
PARSE = """
const [{ SourceTextModule }, { readFileSync }] = [require("vm"), require("fs")];
for (const path of process.argv.slice(1)) new SourceTextModule(readFileSync(path, "utf-8"), { identifier: path });
"""
RAW = aiohttp.hdrs.ACCEPT_ENCODING


async def fetch(api: Api, path: str, method: str = "GET", **headers: str) -> tuple[aiohttp.ClientResponse, bytes]:
    """An answer and its body as it came."""
    headers = {RAW: "identity", **headers}
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        got = await session.request(method, api.url + path, headers=headers)
        return got, await got.read()


def address(name: str) -> str:
    return "/" if name == "index.html" else f"/static/{name}"


async def test_every_file_is_served_in_both_forms(api: Api) -> None:
    for name in FILES:
        content = (FOLDER / name).read_bytes()
        got, body = await fetch(api, address(name))
        assert (got.status, got.content_type, body) == (200, KINDS[Path(name).suffix], content)
        headers = got.headers
        assert headers["Content-Security-Policy"] == POLICY and headers["X-Content-Type-Options"] == "nosniff"
        assert (headers["Cache-Control"], headers["Vary"]) == ("no-cache", "Accept-Encoding")
        packed, body = await fetch(api, address(name), **{RAW: "br, gzip"})
        assert packed.headers["Content-Encoding"] == "gzip" and gzip.decompress(body) == content
        assert packed.headers["ETag"] == headers["ETag"]


def test_other_files_in_the_folder_are_none_of_the_page(tmp_path: Path) -> None:
    for name in ("index.html", ".DS_Store", "app.js~", "notes.txt", "views/new.js"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    assert set(read_site(tmp_path)) == {"index.html", "views/new.js"}


async def test_what_a_browser_has_is_not_sent_again(api: Api) -> None:
    for path in ("/", "/static/app.js"):
        got, content = await fetch(api, path)
        tag = got.headers["ETag"]
        for known in (tag, tag.removeprefix("W/"), f'"other", {tag}', "*"):
            again, body = await fetch(api, path, **{"If-None-Match": known})
            assert (again.status, body, again.headers["ETag"]) == (304, b"", tag)
        assert (await fetch(api, path, **{"If-None-Match": '"other"'}))[0].status == 200
        head, body = await fetch(api, path, "HEAD")
        assert (head.status, body, head.content_length) == (200, b"", len(content))


async def test_nothing_else_can_be_had(api: Api) -> None:
    for path in OTHERS:
        async with (
            aiohttp.ClientSession() as session,
            session.get(URL(f"{api.url}/static/{path}", encoded=True)) as got,
        ):
            assert (got.status, (await got.json())["error"]) == (404, "not_found"), path


def test_the_policy_lets_nothing_in_from_elsewhere() -> None:
    assert "unsafe" not in POLICY and "http" not in POLICY and "*" not in POLICY
    for name in FILES:
        text = (FOLDER / name).read_text("utf-8")
        assert not re.search(r"""(?:src|href|url\(|import|from)\s*[=(]?\s*["']?(?:https?:)?//""", text), name
        assert not re.search(
            r"\.(?:innerHTML|outerHTML)\b|insertAdjacentHTML|document\.write|\beval\(|new Function", text
        ), name
        if name.endswith(".html"):
            assert not re.search(r"\son\w+=|\sstyle=|<style|<script>", text), name


def imported(name: str) -> set[str]:
    """A module and all that it imports at once."""
    text = (FOLDER / name).read_text("utf-8")
    found = {name}
    for target in re.findall(r'^import .*?from "(\..+?)";$', text, re.M | re.S):
        found |= imported((FOLDER / name).parent.joinpath(target).resolve().relative_to(FOLDER).as_posix())
    return found


def test_the_first_paint_is_light() -> None:
    views = (FOLDER / "views.js").read_text("utf-8")
    first = re.search(r'import\("\./(views/(\w+)\.js)"\)', views)
    assert first
    needed = {"index.html", "base.css", "before.js", "favicon.svg", f"views/{first[2]}.css"}
    needed |= imported("app.js") | imported(first[1])
    assert sum(len(gzip.compress((FOLDER / name).read_bytes())) for name in needed) < FIRST_PAINT


def test_every_module_that_is_named_is_there() -> None:
    for name in SCRIPTS:
        text = (FOLDER / name).read_text("utf-8")
        for target in re.findall(r'(?:from |import\()"(\..+?)"', text):
            assert (FOLDER / name).parent.joinpath(target).is_file(), (name, target)
    for path in re.findall(r'"/static/([^"]+)"', (FOLDER / "index.html").read_text("utf-8")):
        assert path in FILES
    for style in re.findall(r'style: "(\w+)"', (FOLDER / "views.js").read_text("utf-8")):
        assert f"views/{style}.css" in FILES


def test_every_module_parses() -> None:
    need(shutil.which("node"), "node", "on Debian and Ubuntu, `apt install npm` brings it")
    paths = [str(FOLDER / name) for name in SCRIPTS]
    argv = ["node", "--experimental-vm-modules", "--no-warnings", "-e", PARSE, *paths]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=HANG)
    assert done.returncode == 0, done.stderr


async def test_a_link_from_elsewhere_leads_here(api: Api) -> None:
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert (await fetch(api, "/", **link))[0].status == 200
    assert (await fetch(api, "/", **{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}))[0].status == 403
    assert (await fetch(api, "/api/jobs", **link))[0].status == 403
    assert (await fetch(api, "/", "HEAD", **link))[0].status == 403
