"""The streams of venues: who is followed, and what of theirs is news. Nothing is judged here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from services.positions.domain.venue_answer import Chain
from services.positions.enrichment.service import EnrichmentService
from services.positions.service.ports import Begin
from services.positions.streams.domain import Looks, last_looks
from services.positions.venues.streaming import VenueStream
from shared.clock import Clock
from shared.streams import Connection, Moves, Reference
from shared.streams.websocket import websocket

# The streams of all venues share one look at what is held.
_LOOK_SECONDS = 4.0


@dataclass(frozen=True, slots=True)
class Followed:
    """Addresses of active wallets by chain, marks by venue and asset; `version`: of the marks."""

    addresses: Mapping[Chain, Sequence[str]] = field(default_factory=dict)
    looks: Looks = field(default_factory=dict)
    version: int = 0


class FollowedAccounts:
    """What is held and where; read while streams are watched, and every few seconds at most."""

    def __init__(
        self, read: Begin, enrichment: EnrichmentService, clock: Clock, move_percent: float
    ) -> None:
        self._read = read
        self._enrichment = enrichment
        self._clock = clock
        self._move_percent = move_percent
        self._followed = Followed()
        self._read_seconds = float("-inf")

    async def look(self) -> Followed:
        """Raises what the database raises."""
        if self._clock.monotonic() - self._read_seconds < _LOOK_SECONDS:
            return self._followed
        async with self._read() as store:
            wallets = await store.wallets.active()
        addresses: dict[Chain, list[str]] = {}
        for wallet in wallets:
            if wallet.public_address:
                addresses.setdefault(wallet.chain, []).append(wallet.public_address)
        frame = await self._enrichment.frame()
        known = self._followed
        marks = known.looks
        if frame.pass_number != known.version:
            marks = last_looks(frame, self._move_percent, known.looks)
        self._followed = Followed(addresses, marks, frame.pass_number)
        self._read_seconds = self._clock.monotonic()
        return self._followed


class VenueSource:
    """A Source of shared.streams: one venue's stream, over a websocket."""

    def __init__(self, stream: VenueStream, url: str, accounts: FollowedAccounts) -> None:
        self.name = stream.name
        self.greetings = stream.greetings
        self.note = ""
        self._stream = stream
        self._url = url
        self._accounts = accounts
        self._moves = Moves()

    async def wanted(self) -> tuple[str, ...]:
        """Nothing while no active wallet is on the venue's chain, as in the demo."""
        followed = await self._accounts.look()
        addresses = followed.addresses.get(self._stream.chain, ())
        marks = followed.looks.get(self.name, {})
        self._moves.renew({asset: Reference(*look) for asset, look in marks.items()})
        left_count = len(addresses) - self._stream.most_addresses
        self.note = f"NOT_FOLLOWED {left_count}" if left_count > 0 else ""
        if not addresses:
            return ()
        return self._stream.subscribe(addresses[: self._stream.most_addresses], sorted(marks))

    def connect(self, wanted: tuple[str, ...]) -> AbstractAsyncContextManager[Connection]:
        return websocket(self._url, wanted, keepalive=self._stream.keepalive)

    def read(self, message: object) -> str:
        return self._stream.read(message, self._moves.moved)
