"""How much one client, and all together, may keep open at a server: streams, calls, probes, each
apart.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

from shared.errors import Exhausted
from shared.loopback import is_loopback

# Of one request, after decompression; a method for files may have its own.
MAX_MESSAGE_BYTES: Final = 4 * 1024 * 1024
_RETRY_AFTER = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a server keeps open: in all, and for one peer.

    A peer is another machine, or one connection from this machine: what runs here shares an
    address.
    """

    streams: int = 1000
    streams_per_peer: int = 250
    calls: int = 1000
    calls_per_peer: int = 500
    # Watches of health and reflection, which have nothing to do with those above.
    probes: int = 200
    probes_per_peer: int = 20
    # Requests over the usual size, read one after another beyond these.
    large_requests: int = 2


class Gate:
    """Counts what is open of one kind; `whose` says what a peer is."""

    def __init__(
        self, kind: str, most: int, most_per_peer: int, whose: str = "from this client"
    ) -> None:
        self._whose = whose
        self._kind = kind
        self._most = most
        self._most_per_peer = most_per_peer
        self._open_count = 0
        self._by_peer: dict[str, int] = {}

    def entered(self, address: str) -> AbstractContextManager[None]:
        """Open for as long as the block lasts. Raises Exhausted TOO_MANY_STREAMS, TOO_MANY_CALLS
        ... with the time to wait; `address` is the peer as gRPC writes it, or any name.
        """
        return _Entered(self, peer_of(address))

    def enter(self, peer: str) -> None:
        """See `entered`."""
        if self._open_count >= self._most:
            raise self._refusal(f"{self._most} are open at this server")
        open_of_peer = self._by_peer.get(peer, 0)
        if open_of_peer >= self._most_per_peer:
            raise self._refusal(f"{self._most_per_peer} are open {self._whose}")
        self._open_count += 1
        self._by_peer[peer] = open_of_peer + 1

    def leave(self, peer: str) -> None:
        """One that was entered is over."""
        self._open_count -= 1
        left = self._by_peer[peer] - 1
        if left:
            self._by_peer[peer] = left
        else:
            del self._by_peer[peer]

    def _refusal(self, why: str) -> Exhausted:
        return Exhausted(
            f"TOO_MANY_{self._kind}",
            f"{why}; close some, or try again later",
            retry_after=_RETRY_AFTER,
        )


class _Entered(AbstractContextManager[None]):
    """One that is open. Every call makes one, so it is no generator."""

    __slots__ = ("_gate", "_peer")

    def __init__(self, gate: Gate, peer: str) -> None:
        self._gate = gate
        self._peer = peer

    def __enter__(self) -> None:
        self._gate.enter(self._peer)

    def __exit__(self, *_: object) -> None:
        self._gate.leave(self._peer)


# A peer makes many calls from one address.
@lru_cache(maxsize=4096)
def peer_of(address: str) -> str:
    """`ipv4:10.0.0.7:5123` is 10.0.0.7; a connection from this machine is a peer of its own."""
    host = host_of(address)
    return address if not host or is_loopback(host) else host


def host_of(address: str) -> str:
    """The host of a peer as gRPC writes it; empty where there is none."""
    return unquote(address.partition(":")[2]).rpartition(":")[0]
