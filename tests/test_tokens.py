"""Tokens: each route asks for its scope, sessions stand for tokens, changes are noticed, and wrong ones are slowed."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.conftest import Api, config_for
from zeus.api.access import LONGEST_DELAY, MOST_ADDRESSES, Tries
from zeus.api.app import Node, running_node
from zeus.api.routes import PUBLIC, ROUTES
from zeus.errors import BadInput, Conflict, NotFound
from zeus.tokens import (
    NAMED_FILE,
    OWNER_FILE,
    Scope,
    Tokens,
    TokensDamaged,
    add_token,
    ensure_owner,
    list_tokens,
    owner_secret,
    remove_token,
)

STRANGER = {"X-Forwarded-For": "203.0.113.7"}
UNKNOWN = "00000000-0000-0000-0000-000000000000"
OPEN_TO_ALL = {"/", "/api/heartbeat", "/healthz", "/readyz", "/api/session"}
OPEN_TO_ALL |= {"/api/nodes/pair", "/api/nodes/pair/{exchange}", "/api/nodes/prove"}


def bearer(secret: str) -> dict[str, str]:
    return {**STRANGER, "Authorization": f"Bearer {secret}"}


@pytest.fixture
async def wide(tmp_path: Path) -> AsyncIterator[Node]:
    """A node that strangers can reach."""
    async with running_node(config_for(tmp_path, http={"port": 0, "host": "0.0.0.0"})) as node:
        yield node


@pytest.fixture
def strangers(wide: Node, session: aiohttp.ClientSession) -> Api:
    return Api(session, wide.url)


def storage(node: Node) -> Path:
    return node.zeus.files.root


# Routes


async def test_every_route_asks_for_its_scope(wide: Node, strangers: Api) -> None:
    secrets = {scope: add_token(storage(wide), f"only-{scope}", [scope]) for scope in Scope}
    for route in ROUTES:
        path = re.sub(r"{[^}]*}", UNKNOWN, route.path)
        for method in (route.method, "HEAD") if route.method == "GET" else (route.method,):
            status = await status_of(strangers, method, path, STRANGER)
            assert (status == 401) == (route.scope is not PUBLIC), (method, path, status)
            for scope, secret in secrets.items():
                status = await status_of(strangers, method, path, bearer(secret))
                assert (status == 403) == (route.scope not in (PUBLIC, scope)), (method, path, scope, status)
                assert status != 401 or path == "/api/session"


async def status_of(api: Api, method: str, path: str, headers: dict[str, str]) -> int:
    """The status alone: some answers, such as events, have no end."""
    async with api.session.request(method, api.url + path, headers=headers, allow_redirects=False) as got:
        if got.status == 403:
            assert method == "HEAD" or "insufficient_scope" in await got.text()
        return got.status


def test_only_these_are_open_to_all() -> None:
    public = {route.path for route in ROUTES if route.scope is PUBLIC and not route.path.startswith("/static/")}
    assert public <= OPEN_TO_ALL
    assert {route.method for route in ROUTES if route.scope is Scope.READ} == {"GET"}


async def test_what_is_no_route_is_for_bearers_alone(wide: Node, strangers: Api) -> None:
    secret = add_token(storage(wide), "any", [Scope.ADMIN])
    for method, path, status in (("GET", "/api/nothing", 404), ("PATCH", "/api/jobs", 405)):
        assert (await strangers.request(method, path, headers=STRANGER))[0] == 401
        assert (await strangers.request(method, path, headers=bearer(secret)))[0] == status


async def test_the_owner_may_do_all(wide: Node, strangers: Api) -> None:
    headers = bearer(owner_secret(storage(wide)) or "")
    status, job = await strangers.post("/api/add_job", json={"renderer": "noop"}, headers=headers)
    assert status == 200
    assert (await strangers.get(f"/api/jobs/{job['id']}", headers=headers))[0] == 200


# Changes


async def test_a_running_node_notices_changes(wide: Node, strangers: Api) -> None:
    secret = add_token(storage(wide), "ci", [Scope.READ])
    assert (await strangers.get("/api/jobs", headers=bearer(secret)))[0] == 200
    remove_token(storage(wide), "ci")
    assert (await strangers.get("/api/jobs", headers=bearer(secret)))[0] == 401
    owner = owner_secret(storage(wide)) or ""
    remove_token(storage(wide), "owner")
    assert (await strangers.get("/api/jobs", headers=bearer(owner)))[0] == 401
    ensure_owner(storage(wide))
    assert (await strangers.get("/api/jobs", headers=bearer(owner_secret(storage(wide)) or "")))[0] == 200


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'[{"name": "x"}]', b'[{"scopes": ["everything"]}]'])
async def test_a_damaged_file_lets_nobody_in(wide: Node, strangers: Api, content: bytes) -> None:
    owner = owner_secret(storage(wide)) or ""
    (storage(wide) / NAMED_FILE).write_bytes(content)
    for headers in (STRANGER, bearer(owner), bearer("x")):
        assert (await strangers.get("/api/jobs", headers=headers))[0] == 401
    with pytest.raises(TokensDamaged):
        list_tokens(storage(wide))


@pytest.mark.parametrize("content", ["", "\n", "  \n"])
async def test_an_empty_token_lets_nobody_in(wide: Node, strangers: Api, content: str) -> None:
    (storage(wide) / OWNER_FILE).write_text(content)
    for given in ("Bearer", "Bearer ", "bearer  ", "Basic ", ""):
        headers = {**STRANGER, "Authorization": given}
        assert (await strangers.get("/api/jobs", headers=headers))[0] == 401
    ensure_owner(storage(wide))
    assert len(owner_secret(storage(wide)) or "") >= 32


async def test_a_token_of_odd_bytes_is_a_wrong_one(wide: Node, strangers: Api) -> None:
    host, port = wide.url.removeprefix("http://").split(":")
    for odd in (b"\xff", b"\xc3\xbc", b"a b"):
        reader, writer = await asyncio.open_connection(host, int(port))
        head = b"GET /api/jobs HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 1\r\nConnection: close\r\n"
        writer.write(head + b"Authorization: Bearer " + odd + b"\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 401")
        writer.close()


# On loopback alone


async def test_loopback_alone_is_open_until_there_is_a_token(node: Node, api: Api) -> None:
    assert (await api.get("/api/jobs", headers=STRANGER))[0] == 200
    assert not (storage(node) / OWNER_FILE).exists()
    secret = add_token(storage(node), "page", [Scope.READ])
    assert (await api.get("/api/jobs", headers=STRANGER))[0] == 401
    assert (await api.get("/api/jobs", headers=bearer(secret)))[0] == 200
    assert (await api.get("/api/jobs"))[0] == 200
    (storage(node) / NAMED_FILE).write_text("{")
    assert (await api.get("/api/jobs", headers=STRANGER))[0] == 401


# Sessions


async def sign_in(api: Api, secret: str, **headers: str) -> tuple[int, Any, str]:
    """Status, body and the cookie as it is set."""
    url, sent = f"{api.url}/api/session", {**STRANGER, **headers}
    async with api.session.post(url, json={"token": secret}, headers=sent) as got:
        return got.status, await got.json(), got.headers.get("Set-Cookie", "")


async def test_a_session_stands_for_its_token(wide: Node, strangers: Api) -> None:
    secret = add_token(storage(wide), "page", [Scope.READ])
    status, view, cookie = await sign_in(strangers, secret)
    assert (status, view) == (200, {"name": "page", "scopes": ["read"]})
    assert secret not in cookie and "Secure" not in cookie
    for part in ("HttpOnly", "SameSite=Strict", "Path=/", f"Max-Age={30 * 86400}"):
        assert part in cookie
    headers = {**STRANGER, "Cookie": cookie.partition(";")[0]}
    assert (await strangers.get("/api/jobs", headers=headers))[0] == 200
    assert (await strangers.post("/api/add_job", json={}, headers=headers))[0] == 403
    async with strangers.session.delete(f"{strangers.url}/api/session", headers=headers) as got:
        assert got.status == 204 and 'zeus_session=""' in got.headers["Set-Cookie"]
    assert (await strangers.get("/api/jobs", headers=headers))[0] == 401


async def test_a_session_ends_with_its_token(wide: Node, strangers: Api) -> None:
    _, _, cookie = await sign_in(strangers, add_token(storage(wide), "page", [Scope.READ]))
    headers = {**STRANGER, "Cookie": cookie.partition(";")[0]}
    assert (await strangers.get("/api/jobs", headers=headers))[0] == 200
    remove_token(storage(wide), "page")
    add_token(storage(wide), "page", Scope)
    assert (await strangers.get("/api/jobs", headers=headers))[0] == 401


async def test_behind_tls_the_cookie_is_secure(wide: Node, strangers: Api) -> None:
    secret = owner_secret(storage(wide)) or ""
    assert "Secure" in (await sign_in(strangers, secret, **{"X-Forwarded-Proto": "https"}))[2]


async def test_bad_sign_ins(wide: Node, strangers: Api) -> None:
    for body, status, code in (
        ({"token": "wrong"}, 401, "unauthorized"), ({"token": "\ud83d\ude00"}, 401, "unauthorized"),
        ({"token": " "}, 401, "unauthorized"), ({"token": ""}, 400, "invalid_field"), ({}, 400, "invalid_field"),
        ({"token": "x", "y": 1}, 400, "unknown_field"), ([], 400, "invalid_json"),
    ):  # fmt: skip
        got, error = await strangers.post("/api/session", json=body, headers=STRANGER)
        assert (got, error["error"]) == (status, code), body
    evil = {**STRANGER, "Origin": "http://evil.example"}
    assert (await strangers.post("/api/session", json={"token": "x"}, headers=evil))[0] == 403


# Wrong tokens


async def test_wrong_tokens_are_slowed_and_right_ones_are_not(wide: Node, strangers: Api) -> None:
    async def seconds(headers: dict[str, str], status: int) -> float:
        before = time.monotonic()
        assert (await strangers.get("/api/jobs", headers=headers))[0] == status
        return time.monotonic() - before

    secret = owner_secret(storage(wide)) or ""
    waits = [await seconds(bearer("wrong"), 401) for _ in range(4)]
    assert waits == sorted(waits) and waits[-1] >= 0.8
    slowed = asyncio.create_task(seconds(bearer("wrong"), 401))
    await asyncio.sleep(0.1)
    assert await seconds({**bearer("wrong"), "X-Forwarded-For": "203.0.113.8"}, 401) < 0.8
    assert await seconds(bearer(secret), 200) < 0.8
    assert await slowed > 1
    assert await seconds(bearer("wrong"), 401) < 0.8  # whoever had a right one starts anew


async def test_the_addresses_that_are_counted_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zeus.api.access.FIRST_DELAY", 0.0)
    tries = Tries()
    for number in range(MOST_ADDRESSES + 10):
        await tries.failed(str(number))
    assert len(tries._failed) == MOST_ADDRESSES
    assert LONGEST_DELAY <= 10


async def test_secrets_are_in_no_log(wide: Node, strangers: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    secret = owner_secret(storage(wide)) or ""
    await sign_in(strangers, secret)
    await sign_in(strangers, "a-wrong-secret")
    await strangers.get("/api/jobs", headers=bearer("a-wrong-secret"))
    (storage(wide) / NAMED_FILE).write_text('[{"name": "a-wrong-secret"}]')
    await strangers.get("/api/jobs", headers=bearer(secret))
    assert secret not in caplog.text and "a-wrong-secret" not in caplog.text


# The files


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    ensure_owner(tmp_path)
    first = owner_secret(tmp_path)
    ensure_owner(tmp_path)
    assert owner_secret(tmp_path) == first
    secret = add_token(tmp_path, "ci", [Scope.READ, Scope.SUBMIT])
    assert {path.name for path in tmp_path.iterdir()} == {OWNER_FILE, NAMED_FILE}
    for path in tmp_path.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
    assert secret not in (tmp_path / NAMED_FILE).read_text()
    assert [(each.name, set(each.scopes)) for each in list_tokens(tmp_path)] == [
        ("owner", set(Scope)),
        ("ci", {Scope.READ, Scope.SUBMIT}),
    ]
    token = Tokens(tmp_path).of(secret)
    assert token is not None and token.name == "ci"


@pytest.mark.parametrize("name", ["", "owner", "a b", "a/b", "ü", "x" * 64, "a\n"])
def test_what_is_no_name_for_a_token(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput):
        add_token(tmp_path, name, Scope)


def test_a_name_is_used_once(tmp_path: Path) -> None:
    add_token(tmp_path / "new", "ci", [Scope.READ])
    with pytest.raises(Conflict):
        add_token(tmp_path / "new", "ci", [Scope.ADMIN])
    for name in ("other", "owner"):
        with pytest.raises(NotFound):
            remove_token(tmp_path / "new", name)
