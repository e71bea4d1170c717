"""Announcing this node by multicast DNS, and seeing others: addresses, and nothing that is believed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping

from yarl import URL
from zeroconf import IPVersion, ServiceInfo, ServiceStateChange, Zeroconf
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from zeus.nodes.addresses import Ip, ip_of, url_of
from zeus.nodes.sightings import Sighting, Sightings, clean_name

TYPE = "_zeus._tcp.local."
WATCH = 5.0
"""Seconds between two looks at the network interfaces."""
ASKED = 3.0
"""Seconds that the missing parts of an announcement are waited for."""
AT_ONCE = 8
"""Announcements whose missing parts are asked for at once."""
MOST_PENDING = 256
"""Announcements whose missing parts are to be asked for; older ones are given up."""
MOST_URLS = 8
"""Addresses that are taken of an announcement."""
FAREWELL = 2.0
"""Seconds that the farewell may take."""
NODE_ID = re.compile(rb"[A-Za-z0-9-]{1,64}")

log = logging.getLogger(__name__)


class Discovery:
    """Seen nodes go to `sightings`; `addresses` are those of the interfaces to use, `urls` those of this node."""

    def __init__(
        self,
        own_id: str,
        sightings: Sightings,
        is_wanted: Callable[[str], bool],
        addresses: Callable[[], list[Ip]],
        urls: Callable[[], Iterable[str]],
        said: Callable[[], Mapping[str, str]],
    ) -> None:
        self._own_id = own_id
        self._sightings = sightings
        self._is_wanted = is_wanted
        self._addresses = addresses
        self._urls = urls
        self._said = said
        self._pending: OrderedDict[str, None] = OrderedDict()
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._seen: set[str] = set()
        self._work: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Announce this node and look for others, from now on."""
        self._work = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Say farewell."""
        if self._work is not None:
            self._work.cancel()
            await asyncio.gather(self._work, return_exceptions=True)

    async def _run(self) -> None:
        """Do it on the interfaces that there are, anew when others come or go."""
        while True:
            addresses = await asyncio.to_thread(self._addresses)
            try:
                async with self._open(addresses):
                    while await asyncio.to_thread(self._addresses) == addresses:
                        await asyncio.sleep(WATCH)
            except (OSError, RuntimeError) as error:
                log.warning("nodes cannot be discovered now: %s", error)
                await asyncio.sleep(WATCH)

    @contextlib.asynccontextmanager
    async def _open(self, addresses: list[Ip]) -> AsyncIterator[None]:
        if not addresses:
            yield
            return
        zeroconf = _listen(addresses)
        browser = AsyncServiceBrowser(zeroconf.zeroconf, TYPE, handlers=[self._changed])
        announcing = asyncio.create_task(self._announce(zeroconf))
        try:
            yield
        finally:
            announcing.cancel()
            for task in self._asking.values():
                task.cancel()
            await asyncio.gather(announcing, *self._asking.values(), return_exceptions=True)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FAREWELL):
                    await browser.async_cancel()
                    await zeroconf.async_close()
            for name in list(self._seen):
                self._drop(name)

    async def _announce(self, zeroconf: AsyncZeroconf) -> None:
        info = announcement(self._own_id, tuple(self._urls()), self._said())
        if info is None:
            return
        try:
            await (await zeroconf.async_register_service(info, allow_name_change=True))
        except Exception as error:  # what it raises for a name that is taken, or a network that is down, is not listed
            log.warning("this node cannot be announced: %r", error)

    def _changed(self, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        """An announcement came, changed or went. Its parts may have come with it; else they are asked for."""
        if state_change is ServiceStateChange.Removed:
            self._pending.pop(name, None)
            self._drop(name)
            return
        info = AsyncServiceInfo(TYPE, name)
        if info.load_from_cache(zeroconf):
            return self.take(info)
        self._pending[name] = None
        while len(self._pending) > MOST_PENDING:
            self._pending.popitem(last=False)
        self._ask_more(zeroconf)

    def _ask_more(self, zeroconf: Zeroconf) -> None:
        while self._pending and len(self._asking) < AT_ONCE:
            name, _ = self._pending.popitem(last=False)
            if name in self._asking:
                continue
            self._asking[name] = asyncio.create_task(self._ask(zeroconf, name))
            self._asking[name].add_done_callback(lambda task, name=name: self._asked(zeroconf, name))  # type: ignore[misc]

    def _asked(self, zeroconf: Zeroconf, name: str) -> None:
        self._asking.pop(name, None)
        if self._work is not None and not self._work.cancelling():
            self._ask_more(zeroconf)

    async def _ask(self, zeroconf: Zeroconf, name: str) -> None:
        info = AsyncServiceInfo(TYPE, name)
        if await info.async_request(zeroconf, ASKED * 1000):
            self.take(info)

    def take(self, info: ServiceInfo) -> None:
        """Take an announcement down, if it can be one of a node."""
        sighting = sighting_of(info)
        if sighting is None or sighting.id == self._own_id:
            return self._drop(info.name)
        self._sightings.put(info.name, sighting, wanted=self._is_wanted(sighting.id))
        self._seen.add(info.name)
        self._seen &= self._sightings.keys()

    def _drop(self, name: str) -> None:
        self._seen.discard(name)
        self._sightings.drop(name)


def _listen(addresses: list[Ip]) -> AsyncZeroconf:
    """Multicast at these addresses; by IPv4 alone where that is all that works. Raises OSError or RuntimeError."""
    four = [str(each) for each in addresses if each.version == 4]
    if len(four) < len(addresses):
        try:
            return AsyncZeroconf(interfaces=[str(each) for each in addresses], ip_version=IPVersion.All)
        except (OSError, RuntimeError) as error:
            if not four:
                raise
            log.warning("nodes are discovered by IPv4 alone: %s", error)
    return AsyncZeroconf(interfaces=four, ip_version=IPVersion.V4Only)


def announcement(own_id: str, urls: Iterable[str], said: Mapping[str, str]) -> ServiceInfo | None:
    """What is announced of a node that is reached at these URLs; None where no other machine reaches it.

    `said` is more of its TXT record, a `name` among it.
    """
    parsed = [URL(url) for url in urls]
    hosts = [(each, ip_of(each.host or "")) for each in parsed]
    reached = [(each, ip) for each, ip in hosts if ip is not None and not ip.is_loopback]
    if not reached:
        return None
    label = f"{said['name'][:50].replace('.', '-')}-{own_id[:8]}"
    port = reached[0][0].port or 0
    text = {"id": own_id, "port": str(port), **said}
    return ServiceInfo(
        TYPE, f"{label}.{TYPE}", port=port, server=f"{label}.local.",
        addresses=[ip.packed for _, ip in reached[:MOST_URLS]],
        properties={key: value.encode()[: 250 - len(key)] for key, value in text.items()},
    )  # fmt: skip


def sighting_of(info: ServiceInfo) -> Sighting | None:
    """What an announcement says, bounded and cleaned; None where it cannot be one of a node."""
    text = info.properties
    node_id, name = text.get(b"id") or b"", text.get(b"name") or b""
    if not NODE_ID.fullmatch(node_id) or not info.port:
        return None
    ips = [ip_of(each) for each in info.parsed_addresses()[: 4 * MOST_URLS]]
    usable = [ip for ip in ips if ip is not None and not (ip.is_loopback or ip.is_link_local or _is_none(ip))]
    urls = tuple(url_of(ip, info.port, https=text.get(b"https") == b"1") for ip in usable[:MOST_URLS])
    if not urls:
        return None
    return Sighting(node_id.decode(), clean_name(name.decode("utf-8", "replace")), urls, open=text.get(b"open") == b"1")


def _is_none(ip: Ip) -> bool:
    return ip.is_multicast or ip.is_unspecified
