"""Nodes seen in the network, offered where none answers on this machine; none is used unless a person picks it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from functools import partial

from yarl import URL

from zeus.cli.output import note
from zeus.config import NetworkConfig
from zeus.errors import BadInput

LOOK = 2.0
"""Seconds of looking: nodes answer within a fraction of one."""
CONNECT = 2.0
"""Seconds that this machine's own node gets to take a connection."""
MOST = 9
"""Nodes that are offered: whoever floods the network with announcements floods no terminal."""

Seen = tuple[str, str]
"""A node's URL and its name, as they were announced: nothing of it is known to be true."""


async def offered(own: str, network: NetworkConfig, *, with_token: bool) -> str | None:
    """The URL of a node that the person picks of those seen; None where this machine's own at `own` answers, or none is
    seen. `with_token`: they have given a token, which will be shown there.

    Nothing is sent to a node for being seen. Raises BadInput where nobody picks one.
    """
    if network.discovery == "off" or await _is_there(own):
        return None
    seen = await _look(network.interfaces)
    if not seen:
        return None
    return await _pick(seen, with_token) if sys.stdin.isatty() and sys.stderr.isatty() else _refuse(seen)


async def _is_there(own: str) -> bool:
    """Whether anything takes connections at this URL. One that is slow to answer is there too."""
    url = URL(own)
    try:
        async with asyncio.timeout(CONNECT):
            _, writer = await asyncio.open_connection(url.host, url.port)
    except OSError:
        return False
    writer.close()
    return True


async def _look(interfaces: Sequence[str]) -> list[Seen]:
    """The nodes that announce themselves."""
    from zeus.nodes.addresses import interface_addresses
    from zeus.nodes.discovery import Discovery
    from zeus.nodes.sightings import Sightings

    sightings = Sightings(lambda: None)
    # Without URLs of its own it announces nothing.
    discovery = Discovery("", sightings, lambda _: False, partial(interface_addresses, interfaces), tuple, dict)
    discovery.start()
    try:
        await asyncio.sleep(LOOK)
        names = {each.urls[0]: each.name for each in sightings}
    finally:
        await discovery.close()
    return sorted(names.items(), key=lambda seen: seen[::-1])


async def _pick(seen: Sequence[Seen], with_token: bool) -> str:
    shown = seen[:MOST]
    note("No node answers on this machine. Seen in the network, where anyone can claim to be one:")
    for number, (url, name) in enumerate(shown, 1):
        note(f"  {number}  {name}  {url}")
    if len(seen) > MOST:
        note(f"  and {len(seen) - MOST} more")
    what = "shall get it, and your token" if with_token else "shall it be"
    print(f"Which one {what} (its number; Enter for none)? ", end="", file=sys.stderr, flush=True)
    answer = (await _line()).strip()
    if answer not in map(str, range(1, len(shown) + 1)):
        raise BadInput("None was picked; --server URL names one.")
    return shown[int(answer) - 1][0]


async def _line() -> str:
    """The line that the person types. The event loop goes on, so Ctrl-C is heard."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(sys.stdin, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(sys.stdin)
    return sys.stdin.readline()


def _refuse(seen: Sequence[Seen]) -> str:
    listed = ", ".join(f"{name} (--server {url})" for url, name in seen[:MOST])
    more = f" and {len(seen) - MOST} more" if len(seen) > MOST else ""
    raise BadInput(
        f"No node answers on this machine. Those seen in the network are not used unless you name one: {listed}{more}."
    )
