"""Venues as positions knows them: wallets with their last look, and what is held, summed by asset.

By columns: thousands of positions are a few numbers of each asset here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sonic.positions.v1 import positions_pb2 as pb
from sonic.positions.v1 import positions_pb2_grpc as rpc

from services.monitor.domain.venues import FrozenMark, VenueMarket, VenueReading
from shared import columns
from shared.codec import to_timestamp
from shared.rpc.client import Channel

_VENUES: Final = {
    pb.CHAIN_SOLANA: "jupiter",
    pb.CHAIN_DYDX: "dydx",
    pb.CHAIN_ETHEREUM: "hyperliquid",
}
_ASKED: Final = (
    *("asset_index", "venue_index", "side_sign", "status", "flag_bits", "mark_time_micros"),
    *("mark_price_usd", "risk_liquidation_price_usd", "wallet_index"),
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_HALTED: Final = 1 << pb.FLAG_TRADING_HALTED
Numbers = NDArray[Any]


async def parts(channel: Channel, seconds: float) -> list[Any]:
    """What is held, by columns."""
    # Columns come as bytes, so the generated type does not describe the answer.
    stub: Any = channel.stub(rpc.PositionsServiceStub, columns=["ReadColumns"])
    return [part async for part in stub.ReadColumns(_request(), timeout=seconds)]


def are_watched(wallets: Sequence[pb.Wallet]) -> bool:
    """Whether any of them is looked at, at a venue."""
    return any(wallet.active and wallet.chain in _VENUES for wallet in wallets)


def readings(wallets: Sequence[pb.Wallet], held: Sequence[Any]) -> tuple[VenueReading, ...]:
    """Of every venue at which a wallet is looked at; `held`: parts of the columns."""
    by_venue: dict[str, list[pb.Wallet]] = {}
    for wallet in wallets:
        if wallet.active and (venue := _VENUES.get(wallet.chain)):
            by_venue.setdefault(venue, []).append(wallet)
    markets = _markets(held, {wallet.name for here in by_venue.values() for wallet in here})
    return tuple(
        VenueReading(
            venue,
            len(here),
            {
                wallet.name: wallet.last_sync_reason
                for wallet in here
                if wallet.last_sync_state == pb.WALLET_SYNC_STATE_FAILED
            },
            sum(wallet.last_sync_state == pb.WALLET_SYNC_STATE_UNSPECIFIED for wallet in here),
            markets.get(venue, ()),
        )
        for venue, here in by_venue.items()
    )


def believed_marks(held: Sequence[Any]) -> tuple[FrozenMark, ...]:
    """What positions was told to stand still, in order."""
    found = held[0].frozen_marks if held else ()
    return tuple(
        sorted(
            FrozenMark(one.venue, one.asset, one.mark_price_usd, one.since_time.ToDatetime(UTC))
            for one in found
        )
    )


async def set_frozen_marks(channel: Channel, marks: Sequence[FrozenMark], seconds: float) -> None:
    """Tell positions which marks stand still, and that no other does."""
    request = pb.SetFrozenMarksRequest(
        marks=[
            pb.FrozenMark(
                venue=one.venue,
                asset=one.asset,
                mark_price_usd=one.mark_price_usd,
                since_time=to_timestamp(one.since),
            )
            for one in marks
        ]
    )
    await channel.stub(rpc.RiskServiceStub).SetFrozenMarks(request, timeout=seconds)


def _request() -> pb.ReadColumnsRequest:
    return pb.ReadColumnsRequest(columns=_ASKED)


def _markets(held: Sequence[Any], watched: Collection[str]) -> dict[str, list[VenueMarket]]:
    """What these wallets hold at each venue, by asset."""
    if not held:
        return {}
    decoded = [columns.decode(part) for part in held]
    joined = {name: np.concatenate([one[name] for one in decoded]) for name in _ASKED}
    # A wallet that is not looked at any more keeps its last positions, which nobody brings up to
    # date.
    places = [place for place, name in enumerate(held[0].wallet_names) if name in watched]
    is_watched = np.isin(joined["wallet_index"], places)
    found: dict[str, list[VenueMarket]] = {}
    for venue, market in _summed(joined, is_watched, held[0].venue_names, held[0].asset_names):
        found.setdefault(venue, []).append(market)
    return found


def _summed(
    joined: Mapping[str, Numbers], is_watched: Numbers, venues: Sequence[str], assets: Sequence[str]
) -> Iterator[tuple[str, VenueMarket]]:
    held = is_watched & np.isin(joined["status"], (pb.STATUS_ACTIVE, pb.STATUS_STALE))
    venue, asset = joined["venue_index"].astype(np.int64), joined["asset_index"].astype(np.int64)
    group = venue * (len(assets) + 1) + asset
    for number in np.unique(group[held]).tolist():
        place, name = divmod(number, len(assets) + 1)
        if venues[place] in _VENUES.values():
            yield (
                venues[place],
                _market(assets[name], joined, np.flatnonzero(held & (group == number))),
            )


def _market(asset: str, joined: Mapping[str, Numbers], rows: Numbers) -> VenueMarket:
    side, mark, times, liquidation = (
        joined[name][rows]
        for name in (
            "side_sign",
            "mark_price_usd",
            "mark_time_micros",
            "risk_liquidation_price_usd",
        )
    )
    missing = joined["status"][rows] == pb.STATUS_STALE
    known = np.flatnonzero(~np.isnan(mark) & (times > 0))
    # The newest answer's; what that lacks keeps an older one.
    newest = known[np.argmax(times[known])] if len(known) else None
    long, short = liquidation[side > 0], liquidation[side < 0]
    return VenueMarket(
        asset,
        len(rows),
        int(np.count_nonzero(missing)),
        bool((joined["flag_bits"][rows] & _HALTED != 0).any()),
        None if newest is None else float(mark[newest]),
        None if newest is None else _EPOCH + timedelta(microseconds=int(times[newest])),
        _known(np.fmax.reduce(long, initial=np.nan)),
        _known(np.fmin.reduce(short, initial=np.nan)),
    )


def _known(number: float) -> float | None:
    return None if np.isnan(number) else float(number)
