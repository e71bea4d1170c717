"""Commands where no node answers on this machine: nodes seen in the network are offered, and used by nobody's leave but
the person's.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.console import NOWHERE, Terminal, at_terminal, zeus
from tests.real.machines import Machine, machines
from tests.real.test_network import requests, spoofer
from zeus.api.app import Node
from zeus.cli import nearby
from zeus.config import NetworkConfig
from zeus.errors import BadInput

OWN = "secret-of-this-machine"


@pytest.fixture
def two(tmp_path: Path) -> Iterator[list[Machine]]:
    with machines(tmp_path, "a", "b") as made:
        yield made


async def test_a_node_that_is_seen_is_used_by_a_persons_leave_alone(
    two: list[Machine], tmp_path: Path, node: Node
) -> None:
    a, b = two
    real = await asyncio.to_thread(a.run, node={"name": "render-1"})
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "token").write_text(OWN)
    env = {
        "ZEUS_HTTP__PORT": "9", "ZEUS_NODE__STORAGE": str(tmp_path / "own"),
        "ZEUS_NETWORK__INTERFACES": json.dumps([a.bridge]),
    }  # fmt: skip
    with spoofer(b, {"id": "fake", "name": "zz, [31m" + "z" * 200}, tmp_path / "heard") as heard:
        false = f"http://{b.address}:9999"
        await asyncio.gather(
            without_a_terminal(real, false, env),
            what_asks_nothing(node, env),
            ways_to_say_no(env),
        )
        # Neither the token of this machine's own node, nor that of the variable, without a yes.
        assert not requests(heard)
        await asyncio.gather(
            picked_with_a_token(a, env, tmp_path),
            picked_without_a_token(false, env),
        )
    assert set(requests(heard)) == {"/api/jobs -"}


async def without_a_terminal(real: str, false: str, env: dict[str, str]) -> None:
    done = await zeus("submit", "--prompt", "x", **env, ZEUS_TOKEN="given")
    assert (done.code, done.out) == (2, ""), done.err
    assert f"render-1 (--server {real}), zz-31m" in done.err and f"(--server {false})" in done.err
    assert done.err.count("\n") == 1 and done.err[:-1].isprintable()


async def what_asks_nothing(node: Node, env: dict[str, str]) -> None:
    here = {**env, "ZEUS_HTTP__PORT": node.url.rpartition(":")[2]}
    done, named, off, pairing = await asyncio.gather(
        zeus("jobs", **here),
        zeus("jobs", "--server", NOWHERE, **env),
        zeus("jobs", **env, ZEUS_NETWORK__DISCOVERY="off"),
        zeus("nodes", "pair", **env),
    )
    assert (done.code, done.err) == (0, "")
    # What pairs this machine's node is for no other one.
    for each in (named, off, pairing):
        assert (each.code, each.err) == (3, "zeus: http://127.0.0.1:9 cannot be reached: Connection refused.\n")


async def ways_to_say_no(env: dict[str, str]) -> None:
    async with at_terminal("jobs", env=env) as one, at_terminal("submit", "--prompt", "x", env=env) as other:
        for terminal, keys, code in ((one, "3\n", 2), (other, "\x03", 130)):
            await asked(terminal)
            terminal.press(keys)
            assert await terminal.ended() == code
        assert "None was picked" in one.screen.text


async def asked(terminal: Terminal, what: str = "shall it be") -> str:
    return await terminal.until(f"Which one {what} (its number; Enter for none)?")


async def picked_with_a_token(a: Machine, env: dict[str, str], folder: Path) -> None:
    (folder / "source.noop").write_text("content")
    words = ["submit", str(folder / "source.noop"), "--arg", "seconds=60", "--follow"]
    async with at_terminal(*words, env={**env, "ZEUS_TOKEN": a.token}) as terminal:
        text = await asked(terminal, "shall get it, and your token")
        assert f"\n  1  render-1  {a.url}\n  2  zz-31m" in text
        terminal.press("1\n")
        job = (await terminal.until(" noop ")).partition("Job ")[2][:36]
        # It is cancelled where it is, without another question.
        terminal.press("\x03")
        await terminal.until("leave it running (Enter)?")
        terminal.press("c\n")
        assert await terminal.ended() == 130
    async with a.client() as api:
        assert (await api.until(job))["status"] == "cancelled"


async def picked_without_a_token(false: str, env: dict[str, str]) -> None:
    async with at_terminal("jobs", env=env) as terminal:
        assert false in await asked(terminal)
        terminal.press("2\n")
        assert await terminal.ended() == 1 and "not one of Zeus's API" in terminal.screen.text


def test_a_flood_of_announcements_fills_no_terminal() -> None:
    seen = [(f"http://192.0.2.{number}:8080", f"n{number}") for number in range(200)]
    with pytest.raises(BadInput, match=r"n8 \(--server http://192.0.2.8:8080\) and 191 more\.$"):
        nearby._refuse(seen)


async def test_where_no_node_is_seen_none_is_offered() -> None:
    assert await nearby.offered(NOWHERE, NetworkConfig(interfaces=("lo",)), with_token=False) is None
