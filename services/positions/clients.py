"""The price service as positions sees it: consensus prices, or none when it cannot be read now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from math import isfinite
from typing import Any

import numpy as np
from sonic.price.v1 import price_pb2 as pb
from sonic.price.v1 import price_pb2_grpc as rpc

from services.positions.accounts.domain.betas import HOURS, HourlyCloses
from services.positions.enrichment.domain.confirmed_prices import SeenPrice, remembered, seen
from services.positions.enrichment.domain.enrichment import MarketPrice
from services.positions.extremes.domain import MinuteColumns
from shared import columns
from shared.codec import to_timestamp
from shared.errors import SonicError
from shared.log import get_logger
from shared.rpc.client import Channel, idempotent
from shared.service_tokens import Identity
from shared.touch import History

_SECONDS = 2.0
_MOVES_SECONDS = 20.0
_MINUTES_SECONDS = 6.0
_MOST_MINUTES = 100  # assets that ReadMinutes takes at once
_CANDLES_SECONDS = 4.0
_COLUMNS = ["ReadMoves", "ReadMinutes"]
_SOON_SECONDS, _LATER_SECONDS = 30.0, 600.0
_PAGE_SIZE = 500
# Others are kept for show: the last known price, or the last close of an index.
_USABLE = (pb.QUALITY_GOOD, pb.QUALITY_SINGLE, pb.QUALITY_DISAGREE)


def price_channel(address: str, identity: Identity | None = None) -> Channel:
    """A channel to price on which reads are tried again while it restarts."""
    return Channel(address, retry=idempotent(pb.DESCRIPTOR), identity=identity, peer="price")


@dataclass(frozen=True, slots=True)
class _Moves:
    version: int
    market: pb.Market.ValueType
    history: History


class PriceClient:
    """Market prices over gRPC."""

    def __init__(self, channel: Channel) -> None:
        self._stub: rpc.PriceServiceStub = channel.stub(rpc.PriceServiceStub)
        # Columns come as bytes, so the generated type does not describe the answer.
        self._columns: Any = channel.stub(
            rpc.PriceServiceStub, columns=["ReadMoves", "ReadMinutes"]
        )
        self._reachable = True
        self._moves: Mapping[str, _Moves] = {}
        self._seen: dict[str, SeenPrice] = {}
        self._market: pb.Market.ValueType = pb.MARKET_UNSPECIFIED
        self._tracked: frozenset[str] = frozenset()

    async def read(self) -> Mapping[str, MarketPrice]:
        """See services.positions.service.ports.Market."""
        try:
            answer = await self._stub.ListPrices(
                pb.ListPricesRequest(page_size=_PAGE_SIZE), timeout=_SECONDS
            )
        except SonicError as error:
            if self._reachable:
                get_logger().warning("market prices cannot be read", reason=error.reason)
            self._reachable = False
            return {}
        self._reachable = True
        if answer.prices:
            self._market = answer.prices[0].market
            self._tracked = frozenset(price.asset for price in answer.prices)
        return self.with_moves(
            {
                price.asset: self._market_price(price)
                for price in answer.prices
                if price.HasField("price_usd") and isfinite(price.price_usd)
            }
        )

    def _market_price(self, price: pb.Price) -> MarketPrice:
        known = price.HasField("hourly_volatility_ratio") and isfinite(
            price.hourly_volatility_ratio
        )
        price_time = price.price_time.ToDatetime(UTC)
        return MarketPrice(
            price.price_usd,
            price_time,
            price.quality in _USABLE,
            price.hourly_volatility_ratio if known else None,
            estimate_usd=self._estimate_usd(price, price_time),
            disputed=price.quality == pb.QUALITY_DISAGREE,
        )

    def _estimate_usd(self, price: pb.Price, price_time: datetime) -> float | None:
        if price.quality not in _USABLE or price.price_usd <= 0:
            return None
        now = seen(
            price.price_usd,
            price_time,
            self._seen.get(price.asset),
            # Sources that disagree confirm no price: the one kept is as that of a lone one.
            is_lone=price.quality != pb.QUALITY_GOOD,
        )
        self._seen[price.asset] = now
        return now.estimate_usd

    def remember(self, prices: Mapping[str, MarketPrice]) -> None:
        """See services.positions.service.ports.Market."""
        for asset, one in prices.items():
            if one.usable and asset not in self._seen:
                self._seen[asset] = remembered(one.price_usd, one.price_time, one.estimate_usd)

    def with_moves(self, prices: Mapping[str, MarketPrice]) -> Mapping[str, MarketPrice]:
        """See services.positions.service.ports.Market."""
        moves = self._moves
        return {
            asset: replace(price, moves=moves[asset].history)
            if asset in moves and moves[asset].market == self._market
            else price
            for asset, price in prices.items()
        }

    async def refresh_moves(self) -> float:
        """Fetch the moves that changed, once an hour those of every asset; seconds to rest."""
        known = {one.version: one for one in self._moves.values()}
        request = pb.ReadMovesRequest(known_versions=known)
        found: dict[str, _Moves] = {}
        try:
            async for part in self._columns.ReadMoves(request, timeout=_MOVES_SECONDS):
                held = known.get(part.version)
                history = held.history if held else _history(columns.decode(part))
                found[part.asset] = _Moves(part.version, part.market, history)
        except SonicError as error:
            get_logger().warning("moves of prices cannot be read", reason=error.reason)
            return _SOON_SECONDS
        self._moves = found
        return _LATER_SECONDS if found else _SOON_SECONDS

    @property
    def present_market(self) -> int:
        """See services.positions.touch_record.service.MarketMinutes."""
        return int(self._market)

    async def minutes(
        self, assets: Sequence[str], start: datetime, end: datetime | None = None
    ) -> Mapping[str, MinuteColumns]:
        """See MinuteSource of extremes and MarketMinutes of touch_record."""
        # One that price does not track would have all of them refused.
        tracked = self._tracked or frozenset(assets)
        asked = [asset for asset in assets if asset in tracked]
        found = {asset: _no_minutes("NO_CANDLES") for asset in assets}
        for first in range(0, len(asked), _MOST_MINUTES):
            found |= await self._minutes(asked[first : first + _MOST_MINUTES], start, end)
        return found

    async def _minutes(
        self, assets: Sequence[str], start: datetime, end: datetime | None
    ) -> Mapping[str, MinuteColumns]:
        """Of no more assets than price takes at once."""
        found: dict[str, MinuteColumns] = {}
        failure = "NO_CANDLES"
        try:
            request = pb.ReadMinutesRequest(
                assets=assets, start_time=to_timestamp(start), end_time=to_timestamp(end)
            )
            async for part in self._columns.ReadMinutes(request, timeout=_MINUTES_SECONDS):
                read = columns.decode(part)
                found[part.asset] = MinuteColumns(
                    part.source, part.failure, read["minute"], read["high_usd"], read["low_usd"]
                )
        except SonicError as error:
            failure = error.reason
        return {asset: found.get(asset) or _no_minutes(failure) for asset in assets}

    async def closes(self, asset: str) -> HourlyCloses:
        """See MarketCloses of accounts; of hours that have ended."""
        request = pb.ListCandlesRequest(asset=asset, interval=pb.INTERVAL_HOUR, page_size=HOURS + 1)
        found = await self._stub.ListCandles(request, timeout=_CANDLES_SECONDS)
        ended = [one for one in found.candles if one.complete and one.close_usd > 0]
        return HourlyCloses(
            np.array([one.start_time.seconds // 3600 + 1 for one in ended], np.int64),
            np.array([one.close_usd for one in ended], np.float64),
        )


def _no_minutes(failure: str) -> MinuteColumns:
    return MinuteColumns("", failure, np.empty(0, np.int64), *np.empty((2, 0)))


def _history(found: Mapping[str, columns.Array]) -> History:
    """Kept, so not a view of a message: that would keep it whole."""
    return History(found["up"].copy(), found["down"].copy())
