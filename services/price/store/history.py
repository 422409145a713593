"""The history of prices as rows: read, corrected, filled, trimmed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, any_, func, literal, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.price.domain.candles import Candle, Interval
from services.price.domain.prices import (
    MANUAL_SOURCE,
    TRUSTED_QUALITIES,
    HistoryFilter,
    Market,
    Price,
    PriceRecord,
    Quality,
)
from services.price.store.rows import COLUMNS, QUOTES, READ, price_of
from services.price.tables import price_history
from shared.database import keyset
from shared.paging import PageRequest

_NAMES = ", ".join(COLUMNS)
_VALUES = ", ".join(f"cast(:{name} as {kind})" for name, kind in COLUMNS.items())
_OF = "market = :market and asset = :asset"

# Before anything is changed: a refresh under way finds itself overtaken, and no other hand comes
# between.
_LOCK = text("select market from service_state for update")
_MARKET = text("select market from service_state")
_INSERT = text(
    "insert into price_history (market, asset, price_usd, price_time, source, quality)"
    " select :market, :asset, row.price_usd, row.price_time, :source, :quality"
    " from unnest(cast(:prices as float8[]), cast(:times as timestamptz[])) as row (price_usd,"
    " price_time)"
    " on conflict (market, asset, price_time) do nothing returning id"
)
# Unlinked: the row may have moved before the one it followed; `link` sets what it follows now.
_CORRECT = text(
    "update price_history set price_usd = :price_usd, price_time = :price_time, source = :source,"
    " quality = :quality, previous_price_usd = null, previous_price_time = null where id = :id"
)
# From the last row before the stretch, which is read only, to the first one after it.
_LINK = text(
    "with linked as (select id, price_time, lag(price_usd) over rising as before_usd,"
    " lag(price_time) over rising as before_time from price_history"
    f" where {_OF} and price_time between"
    f" coalesce((select max(price_time) from price_history where {_OF} and price_time < :first),"
    " :first)"
    f" and coalesce((select min(price_time) from price_history where {_OF} and price_time >"
    " :last), :last)"
    " window rising as (order by price_time))"
    " update price_history h set previous_price_usd = before_usd, previous_price_time = before_time"
    " from linked l where h.id = l.id and l.price_time >= :first"
    " and (h.previous_price_time is distinct from before_time"
    " or h.previous_price_usd is distinct from before_usd)"
)
_PRESENT = text(f"select {READ} from price p where p.market = :market and p.asset = :asset")
_KEEP = text(
    "with state as (update service_state set revision = revision + 1 where id = 1 returning"
    " revision)"
    f" insert into price as old (market, {_NAMES}, quotes, revision)"
    f" select :market, {_VALUES}, cast(:quotes as jsonb), revision from state"
    " on conflict (market, asset) do update set"
    f" {', '.join(f'{name} = excluded.{name}' for name in COLUMNS)}, revision = excluded.revision"
)
_CANDLES = text(
    "select date_bin(:span, price_time, timestamptz '1970-01-01 00:00:00+00') as start_time,"
    " (array_agg(price_usd order by price_time))[1] as open_usd, max(price_usd) as high_usd,"
    " min(price_usd) as low_usd, (array_agg(price_usd order by price_time desc))[1] as close_usd,"
    f" count(*) as record_count from price_history where {_OF}"
    " and price_time >= :start and price_time < :until group by 1 order by 1"
)
# Never the newest row of an asset: it explains the present price.
_TRIM = text(
    "delete from price_history where id in (select h.id from price p, lateral (select id from"
    " price_history o"
    " where o.market = p.market and o.asset = p.asset and o.price_time < least(p.price_time,"
    " :before)"
    " order by o.price_time limit :row_count) h limit :row_count)"
)


class HistoryStore:
    """The history in one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def lock(self) -> Market:
        """Wait for every other writer and keep the next one waiting; the present market."""
        return Market((await self._connection.execute(_LOCK)).scalar_one())

    async def market(self) -> Market:
        return Market((await self._connection.execute(_MARKET)).scalar_one())

    async def page(
        self, market: Market, asset: str, wanted: HistoryFilter, page: PageRequest
    ) -> list[PriceRecord]:
        """Rows of one asset, newest first; one more than the page holds."""
        columns = price_history.c
        query = select(price_history).where(columns.market == market.value, columns.asset == asset)
        if wanted.start is not None:
            query = query.where(columns.price_time >= wanted.start)
        if wanted.end is not None:
            query = query.where(columns.price_time < wanted.end)
        if wanted.source:
            query = query.where(_stands_behind(wanted.source, columns.source))
        if wanted.qualities:
            query = query.where(
                columns.quality.in_([quality.value for quality in wanted.qualities])
            )
        ordering: keyset.Ordering = ((columns.price_time, "desc"), (columns.id, "desc"))
        rows = await self._connection.execute(keyset.apply(query, ordering, page.after, page.size))
        return [_record(row) for row in rows]

    async def record(self, id: int) -> PriceRecord | None:
        row = await self._connection.execute(select(price_history).where(price_history.c.id == id))
        found = row.one_or_none()
        return None if found is None else _record(found)

    async def newest(
        self, market: Market, asset: str, *, trusted: bool = False
    ) -> PriceRecord | None:
        """The newest row, or the newest whose quality makes a last good price."""
        columns = price_history.c
        query = select(price_history).where(columns.market == market.value, columns.asset == asset)
        if trusted:
            query = query.where(
                columns.quality.in_([quality.value for quality in TRUSTED_QUALITIES])
            )
        row = await self._connection.execute(query.order_by(columns.price_time.desc()).limit(1))
        found = row.one_or_none()
        return None if found is None else _record(found)

    async def insert(
        self, market: Market, asset: str, source: str, rows: Sequence[tuple[datetime, float]]
    ) -> list[int]:
        """Add rows (time, USD) of quality SINGLE, not linked yet; a time that has one is left
        out."""
        values = {
            "market": market.value,
            "asset": asset,
            "source": source,
            "quality": Quality.SINGLE.value,
            "times": [moment for moment, _ in rows],
            "prices": [price_usd for _, price_usd in rows],
        }
        return list((await self._connection.execute(_INSERT, values)).scalars())

    async def has(self, market: Market, asset: str, moment: datetime) -> bool:
        columns = price_history.c
        query = select(columns.id).where(
            columns.market == market.value, columns.asset == asset, columns.price_time == moment
        )
        return (await self._connection.execute(query)).first() is not None

    async def correct(self, id: int, price_usd: float, price_time: datetime) -> None:
        """Set by hand, not linked yet."""
        values = {"id": id, "price_usd": price_usd, "price_time": price_time}
        await self._connection.execute(
            _CORRECT, {**values, "source": MANUAL_SOURCE, "quality": Quality.SINGLE.value}
        )

    async def delete(self, id: int) -> None:
        await self._connection.execute(price_history.delete().where(price_history.c.id == id))

    async def link(self, market: Market, asset: str, first: datetime, last: datetime) -> None:
        """Have the rows of a stretch, and the one after it, name the row before them."""
        values = {"market": market.value, "asset": asset, "first": first, "last": last}
        await self._connection.execute(_LINK, values)

    async def present(self, market: Market, asset: str) -> Price | None:
        values = {"market": market.value, "asset": asset}
        row = (await self._connection.execute(_PRESENT, values)).one_or_none()
        return None if row is None else price_of(row)

    async def keep(self, price: Price, refresh_time: datetime) -> None:
        """Make it the present price, as a change that watchers see."""
        values: dict[str, Any] = {name: getattr(price, name) for name in COLUMNS}
        values |= {
            "market": price.market.value,
            "quality": price.quality.value,
            "quotes": QUOTES.dump_json(price.quotes).decode(),
            "refresh_time": price.refresh_time or refresh_time,
        }
        await self._connection.execute(_KEEP, values)

    async def candles(
        self,
        market: Market,
        asset: str,
        interval: Interval,
        start: datetime,
        until: datetime,
        now: datetime,
    ) -> list[Candle]:
        """Candles of whole intervals from `start` to before `until`, oldest first."""
        values = {
            "market": market.value,
            "asset": asset,
            "span": interval.span,
            "start": start,
            "until": until,
        }
        rows = await self._connection.execute(_CANDLES, values)
        return [
            Candle(
                row.start_time,
                row.open_usd,
                row.high_usd,
                row.low_usd,
                row.close_usd,
                row.record_count,
                row.start_time + interval.span <= now,
            )
            for row in rows
        ]

    async def trim(self, before: datetime, row_count: int) -> int:
        """Delete the oldest rows from before the time, at most so many; returns how many."""
        values = {"before": before, "row_count": row_count}
        return (await self._connection.execute(_TRIM, values)).rowcount


def _record(row: Row[Any]) -> PriceRecord:
    return PriceRecord(
        row.asset,
        Market(row.market),
        row.price_usd,
        row.price_time,
        row.previous_price_usd,
        row.previous_price_time,
        row.source,
        Quality(row.quality),
        row.id,
    )


def _stands_behind(source: str, column: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether the lower-case name is one of those the column joins with +."""
    return literal(source) == any_(func.string_to_array(func.lower(column), "+"))
