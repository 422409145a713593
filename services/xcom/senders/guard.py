"""Keeps destinations that a call has set out of our own networks; checks where the connection
really goes.

Resolves a name once, checks every address, and connects to the one that was checked: a name that
changes its mind between the check and the connection changes nothing.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import urlsplit

import httpx

from services.xcom.senders.transport import Client

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

# NAT64 and its local kin: an IPv4 address in the last 32 bits.
_TRANSLATED = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48")))
_FORBIDDEN = tuple(
    map(
        ipaddress.ip_network,
        # Shared, benchmark, documentation and reserved space, whatever the running Python calls
        # global.
        (
            "100.64.0.0/10",
            "192.0.0.0/24",
            "192.88.99.0/24",
            "198.18.0.0/15",
            "240.0.0.0/4",
            "fec0::/10",
        ),
    )
)
_URL_LENGTH = 2000


class Refused(httpx.TransportError):
    """The destination leads where calls may not; the message names no address."""


async def resolve(host: str, port: int) -> Sequence[str]:
    """Every address of a host, by the system's resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class Guard:
    """Decides about addresses; `allowed` networks were named by the operator."""

    def __init__(self, allowed: Sequence[Network] = (), resolve: Resolve = resolve) -> None:
        self._allowed = tuple(allowed)
        self._resolve = resolve

    def client(self) -> Client:
        """Connects to checked addresses only."""
        return Client(self.pinned)

    async def check(self, url: str) -> None:
        """ValueError when this URL is malformed or leads where it may not;
        names unknown now pass."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port or 443
        except ValueError:
            raise ValueError("not a URL") from None
        if (
            parts.scheme not in ("http", "https")
            or not host
            or len(url) > _URL_LENGTH
            or not url.isprintable()
        ):
            raise ValueError("not an http or https URL")
        if "@" in parts.netloc:
            raise ValueError("user and password belong into the environment")
        try:
            await self.pinned(host, port)
        except Refused as error:
            raise ValueError(str(error)) from None
        except OSError:
            return

    async def pinned(self, host: str, port: int) -> str:
        """The address to connect to; Refused when any address of the host is one that calls may not
        reach.
        """
        addresses = [
            ipaddress.ip_address(text.partition("%")[0]) for text in await self._resolve(host, port)
        ]
        if not addresses:
            raise Refused("the host has no address")
        if not all(self.permits(address) for address in addresses):
            raise Refused("leads to a network that calls may not reach")
        return str(addresses[0])

    def permits(self, address: Address) -> bool:
        """Whether the address is one of the open network, or of a network the operator named."""
        embedded = _embedded(address)
        if any(
            one.version == net.version and one in net for one in embedded for net in self._allowed
        ):
            return True
        return all(_open(one) for one in embedded)


def _embedded(address: Address) -> list[Address]:
    """The address, or the IPv4 ones it is another spelling of."""
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address.sixtofour is not None:
        return [address, address.sixtofour]
    if address.teredo is not None:
        return [address, *address.teredo]
    if any(address in network for network in _TRANSLATED) or int(address) >> 32 == 0:
        return [address, ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)]
    return [address]


def _open(address: Address) -> bool:
    if any(address.version == network.version and address in network for network in _FORBIDDEN):
        return False
    return address.is_global and not address.is_multicast
