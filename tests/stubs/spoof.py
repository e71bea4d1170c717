"""A machine that says by multicast that it is a node that others trust: `spoof.py ID NAME ADDRESS PORT`.

Prints each request that it gets: the path, what it came with as a token, and its body.
"""

from __future__ import annotations

import asyncio
import sys

from aiohttp import web
from zeroconf.asyncio import AsyncZeroconf

from zeus.nodes.discovery import announcement


async def main(node_id: str, name: str, address: str, port: int) -> None:
    async def handle(request: web.Request) -> web.Response:
        print(request.path, request.headers.get("Authorization", "-"), await request.read(), flush=True)
        return web.json_response({"id": node_id, "name": name, "open": True, "proof": "0" * 64})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, address, port).start()
    info = announcement(node_id, [f"http://{address}:{port}"], {"name": name, "open": "1"})
    assert info is not None
    # Its instance has another name, lest the two notice each other.
    info.name = f"spoof.{info.type}"
    info.key = info.name.lower()
    zeroconf = AsyncZeroconf(interfaces=[address])
    await (await zeroconf.async_register_service(info))
    print("announced", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
