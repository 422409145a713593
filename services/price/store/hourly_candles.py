"""Hourly candles as rows: put, read as columns, forgotten by age."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from services.price.domain.candles import Interval, Kline
from services.price.domain.prices import Market
from shared.database.bulk import copy_out
from shared.database.statement import Statement
from shared.database.transaction import Transaction
from shared.touch import Hours

OWN = "own"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OF = "market = :market and asset = :asset"
# A longer stretch without a row is an hour that was not wholly looked at.
_LONGEST_GAP = timedelta(minutes=10)

_MARKET = Statement("select market, demo_start_time from service_state")
_PUT = Statement(
    "insert into hourly_candle as old (market, asset, hour, open_usd, high_usd, low_usd, close_usd,"
    " source) select :market, :asset, row.*, :source"
    " from unnest(cast(:hours as int4[]), cast(:opens as float8[]), cast(:highs as float8[]),"
    " cast(:lows as float8[]), cast(:closes as float8[])) as row"
    " on conflict (market, asset, hour) do update set open_usd = excluded.open_usd,"
    " high_usd = excluded.high_usd, low_usd = excluded.low_usd, close_usd = excluded.close_usd,"
    f" source = excluded.source where excluded.source <> '{OWN}'"
)
# Rows say how long before them the last one was.
_OWN = Statement(
    "select date_bin(interval '1 hour', price_time, timestamptz '1970-01-01 00:00:00+00') as start,"
    " (array_agg(price_usd order by price_time))[1] as open_usd, max(price_usd) as high_usd,"
    " min(price_usd) as low_usd, (array_agg(price_usd order by price_time desc))[1] as close_usd"
    f" from price_history where {_OF} and price_time >= :start and price_time < :until"
    " group by 1 having bool_and(price_time - previous_price_time <= :gap)"
    " and date_bin(interval '1 hour', max(price_time), timestamptz '1970-01-01 00:00:00+00')"
    " + interval '1 hour' - max(price_time) <= :gap order by 1"
)
_READ = (
    "select hour, high_usd, low_usd, close_usd, (source = 'own')::bool as is_own"
    " from hourly_candle where market = $1 and asset = $2 and hour >= $3 order by hour"
)
_SOURCES = Statement(
    f"select distinct source from hourly_candle where {_OF} and hour >= :since order by source"
)
_TRIM = Statement("delete from hourly_candle where hour < :before")


@dataclass(frozen=True, slots=True)
class StoredHours:
    """Candles of one asset, and which of them are our own."""

    hours: Hours
    is_own: NDArray[np.bool_]


class HourlyCandleStore:
    """Candles in one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def market(self) -> tuple[Market, datetime | None]:
        """The present market, and when the demo one began."""
        (row,) = await self._transaction.fetch(_MARKET)
        return Market(row["market"]), row["demo_start_time"]

    async def put(self, market: Market, asset: str, source: str, klines: Sequence[Kline]) -> None:
        """Keep these hours; a provider's candle takes the place of any, our own one of none."""
        await self._transaction.execute(
            _PUT,
            market=market.value,
            asset=asset,
            source=source,
            hours=[hour_number(one.start_time) for one in klines],
            opens=[one.open_usd for one in klines],
            highs=[one.high_usd for one in klines],
            lows=[one.low_usd for one in klines],
            closes=[one.close_usd for one in klines],
        )

    async def own(
        self, market: Market, asset: str, start: datetime, until: datetime
    ) -> list[Kline]:
        """Whole hours of the history of prices in which no ten minutes passed without a row."""
        found = await self._transaction.fetch(
            _OWN, market=market.value, asset=asset, start=start, until=until, gap=_LONGEST_GAP
        )
        return [Kline(*row) for row in found]

    async def read(self, market: Market, asset: str, since_hour: int) -> StoredHours:
        """Candles from this hour on, rising."""
        columns = await copy_out(
            self._transaction,
            _READ,
            {
                "hour": "int4",
                **dict.fromkeys(("high", "low", "close"), "float8"),
                "is_own": "bool",
            },
            market.value,
            asset,
            since_hour,
        )
        hours = Hours(
            columns["hour"].astype(np.int64), columns["high"], columns["low"], columns["close"]
        )
        return StoredHours(hours, columns["is_own"])

    async def sources(self, market: Market, asset: str, since_hour: int) -> list[str]:
        """Where the candles come from, by name."""
        found = await self._transaction.fetch(
            _SOURCES, market=market.value, asset=asset, since=since_hour
        )
        return [row["source"] for row in found]

    async def trim(self, before_hour: int) -> int:
        """Delete what is older; how many rows."""
        return await self._transaction.execute(_TRIM, before=before_hour)


def hour_number(moment: datetime) -> int:
    """Whole hours since 1970 UTC."""
    return (moment - _EPOCH) // Interval.HOUR.span


def hour_time(number: int) -> datetime:
    """When an hour starts."""
    return _EPOCH + number * Interval.HOUR.span
