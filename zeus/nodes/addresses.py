"""Which of this machine's interfaces lead to other machines, and the URLs at which the node is reached by them."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence

import msgspec
import psutil

from zeus.config import HttpConfig

LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""For each address that stands for all, the one that reaches it from this machine."""
VIRTUAL = ("br-", "cni", "docker", "flannel", "veth", "virbr", "vmnet")
"""Beginnings of the names of interfaces that lead to no other machine."""

Ip = ipaddress.IPv4Address | ipaddress.IPv6Address


class Address(msgspec.Struct):
    """Where a node listens; known once it does."""

    url: str = ""
    """From this machine: http://HOST:PORT, or unix:PATH where there is no loopback network."""
    port: int = 0
    urls: tuple[str, ...] = ()
    """From other machines; from this one where no other reaches it."""

    def take(self, other: Address) -> None:
        """Become known."""
        self.url, self.port, self.urls = other.url, other.port, other.urls


def interface_addresses(wanted: Sequence[str] = ()) -> list[Ip]:
    """The addresses of the interfaces that are up and lead to other machines, or of those whose names are given.

    Nothing is sent to find them.
    """
    up, found = psutil.net_if_stats(), []
    for name, addresses in psutil.net_if_addrs().items():
        if (name not in wanted if wanted else name.startswith(VIRTUAL)) or (name in up and not up[name].isup):
            continue
        for each in addresses:
            if each.family in (socket.AF_INET, socket.AF_INET6):
                parsed = ipaddress.ip_address(each.address.partition("%")[0])
                if not (parsed.is_loopback or parsed.is_link_local):
                    found.append(parsed)
    return found


def is_wide(host: str) -> bool:
    """Whether other machines may reach a node that listens at this host."""
    ip = ip_of(host)
    return host != "localhost" and not (ip is not None and ip.is_loopback)


def lan_urls(http: HttpConfig, port: int, interfaces: Sequence[str] = ()) -> list[str]:
    """The URLs by which other machines reach a node that listens as `http` says."""
    if http.host in LOOPBACK:
        version = 6 if ":" in http.host else 4
        found = [each for each in interface_addresses(interfaces) if each.version == version]
    else:
        ip = ip_of(http.host)
        found = [ip] if ip is not None and not ip.is_loopback else []
    return [url_of(each, port, https=bool(http.certificate)) for each in found]


def url_of(host: object, port: int, *, https: bool = False) -> str:
    """The URL of a host's name or address, and a port."""
    text = f"[{host}]" if ":" in str(host) else str(host)
    return f"{'https' if https else 'http'}://{text}:{port}"


def plain_address(host: str, port: int) -> str:
    """HOST:PORT as two nodes write it alike; "" for a host that is no IP address."""
    ip = ip_of(host)
    if ip is None:
        return ""
    return f"[{ip}]:{port}" if ip.version == 6 else f"{ip}:{port}"


def ip_of(text: str) -> Ip | None:
    """The IP address that a text is, without its scope; None for any other text.

    One of IPv4 that is written as one of IPv6 is what it stands for, this machine's loopback too.
    """
    try:
        ip = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(ip, "ipv4_mapped", None) or ip
