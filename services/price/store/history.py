"""The history of prices as rows: read, corrected, filled, trimmed."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, any_, func, literal, select

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
from services.price.store.rows import NAMES, READ, REPLACED, price_of, prices_json
from services.price.tables import price_history
from shared import rows
from shared.database import keyset
from shared.database.statement import Statement
from shared.database.transaction import Transaction
from shared.paging import PageRequest

_COLUMNS = price_history.c
_OF = "market = :market and asset = :asset"

# Before any change: a refresh under way is overtaken, and no other hand comes between.
_LOCK = Statement("select market from service_state for update")
_MARKET = Statement("select market from service_state")
_INSERT = Statement(
    "insert into price_history (market, asset, price_usd, price_time, source, quality)"
    " select :market, :asset, row.price_usd, row.price_time, :source, :quality"
    " from unnest(cast(:prices as float8[]), cast(:times as timestamptz[])) as row (price_usd,"
    " price_time)"
    " on conflict (market, asset, price_time) do nothing returning id"
)
# Unlinked: the row may have moved before the one it followed; `link` sets what it follows now.
_CORRECT = Statement(
    "update price_history set price_usd = :price_usd, price_time = :price_time, source = :source,"
    " quality = :quality, previous_price_usd = null, previous_price_time = null where id = :id"
)
# From the last row before the stretch, which is read only, to the first one after it.
_LINK = Statement(
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
_PRESENT = Statement(f"select {READ} from price p where p.market = :market and p.asset = :asset")
_KEEP = Statement(
    "with state as (update service_state set revision = revision + 1 where id = 1 returning"
    " revision)"
    f" insert into price as old ({NAMES}, revision) select {NAMES}, state.revision from state,"
    " jsonb_populate_recordset(cast(null as price), cast(:prices as jsonb)) as new"
    f" on conflict (market, asset) do update set {REPLACED}, revision = excluded.revision"
)
_CANDLES = Statement(
    "select date_bin(:span, price_time, timestamptz '1970-01-01 00:00:00+00') as start_time,"
    " (array_agg(price_usd order by price_time))[1] as open_usd, max(price_usd) as high_usd,"
    " min(price_usd) as low_usd, (array_agg(price_usd order by price_time desc))[1] as close_usd,"
    f" count(*) as record_count from price_history where {_OF}"
    " and price_time >= :start and price_time < :until group by 1 order by 1"
)
# Never the newest row of an asset: it explains the present price.
_TRIM = Statement(
    "delete from price_history where id in (select h.id from price p, lateral (select id from"
    " price_history o"
    " where o.market = p.market and o.asset = p.asset and o.price_time < least(p.price_time,"
    " :before)"
    " order by o.price_time limit :row_count) h limit :row_count)"
)
_ASSETS = Statement("select market, asset from price order by market, asset")
_THIN = Statement(
    "with crowded as (select date_bin(:span, price_time, timestamptz '1970-01-01 00:00:00+00')"
    " as start_time from price_history"
    f" where {_OF} and price_time < :until and source <> :by_hand"
    " group by 1 having count(*) > 4 order by 1 limit :interval_count),"
    " ranked as (select id, least("
    "row_number() over (each order by price_time),"
    " row_number() over (each order by price_time desc),"
    " row_number() over (each order by price_usd, price_time),"
    " row_number() over (each order by price_usd desc, price_time)) as place"
    " from price_history join crowded on price_time >= start_time"
    f" and price_time < start_time + cast(:span as interval) where {_OF} and source <> :by_hand"
    " window each as (partition by start_time)),"
    " gone as (delete from price_history where id in (select id from ranked where place > 1)"
    " returning price_time)"
    " select count(*), min(price_time), max(price_time) from gone"
)


class HistoryStore:
    """The history in one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def lock(self) -> Market:
        """Wait for every other writer and keep the next one waiting; the present market."""
        return Market(await self._transaction.scalar(_LOCK))

    async def market(self) -> Market:
        return Market(await self._transaction.scalar(_MARKET))

    async def page(
        self, market: Market, asset: str, wanted: HistoryFilter, page: PageRequest
    ) -> list[PriceRecord]:
        """Rows of one asset, newest first; one more than the page holds."""
        query = _records(market, asset, wanted.qualities)
        if wanted.start_time is not None:
            query = query.where(_COLUMNS.price_time >= wanted.start_time)
        if wanted.end_time is not None:
            query = query.where(_COLUMNS.price_time < wanted.end_time)
        if wanted.source:
            query = query.where(_stands_behind(wanted.source, _COLUMNS.source))
        ordering: keyset.Ordering = ((_COLUMNS.price_time, "desc"), (_COLUMNS.id, "desc"))
        found = await self._transaction.fetch(keyset.apply(query, ordering, page.after, page.size))
        return [rows.read(PriceRecord, row) for row in found]

    async def record(self, id: int) -> PriceRecord | None:
        return await self._record(select(price_history).where(_COLUMNS.id == id))

    async def newest(
        self, market: Market, asset: str, *, trusted: bool = False
    ) -> PriceRecord | None:
        """The newest row, or the newest whose quality makes a last good price."""
        query = _records(market, asset, TRUSTED_QUALITIES if trusted else ())
        return await self._record(query.order_by(_COLUMNS.price_time.desc()).limit(1))

    async def insert(
        self, market: Market, asset: str, source: str, prices: Sequence[tuple[datetime, float]]
    ) -> list[int]:
        """Add rows (time, USD) of quality SINGLE, not linked yet, at times that have none."""
        found = await self._transaction.fetch(
            _INSERT,
            market=market.value,
            asset=asset,
            source=source,
            quality=Quality.SINGLE.value,
            times=[moment for moment, _ in prices],
            prices=[price_usd for _, price_usd in prices],
        )
        return [row["id"] for row in found]

    async def has(self, market: Market, asset: str, moment: datetime) -> bool:
        query = _records(market, asset).where(_COLUMNS.price_time == moment)
        return await self._record(query) is not None

    async def correct(self, id: int, price_usd: float, price_time: datetime) -> None:
        """Set by hand, not linked yet."""
        await self._transaction.execute(
            _CORRECT,
            id=id,
            price_usd=price_usd,
            price_time=price_time,
            source=MANUAL_SOURCE,
            quality=Quality.SINGLE.value,
        )

    async def delete(self, id: int) -> None:
        await self._transaction.execute(price_history.delete().where(_COLUMNS.id == id))

    async def link(self, market: Market, asset: str, first: datetime, last: datetime) -> None:
        """Have the rows of a stretch, and the one after it, name the row before them."""
        await self._transaction.execute(
            _LINK, market=market.value, asset=asset, first=first, last=last
        )

    async def present(self, market: Market, asset: str) -> Price | None:
        row = await self._transaction.first(_PRESENT, market=market.value, asset=asset)
        return None if row is None else price_of(row)

    async def keep(self, price: Price, refresh_time: datetime) -> None:
        """Make it the present price, as a change that watchers see."""
        kept = replace(price, refresh_time=price.refresh_time or refresh_time)
        await self._transaction.execute(_KEEP, prices=prices_json([kept]))

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
        found = await self._transaction.fetch(
            _CANDLES,
            market=market.value,
            asset=asset,
            span=interval.span,
            start=start,
            until=until,
        )
        return [
            rows.read(Candle, row, complete=row["start_time"] + interval.span <= now)
            for row in found
        ]

    async def trim(self, before: datetime, row_count: int) -> int:
        """Delete the oldest rows from before the time, at most so many; returns how many."""
        return await self._transaction.execute(_TRIM, before=before, row_count=row_count)

    async def assets(self) -> list[tuple[Market, str]]:
        """Those of both markets that have a history."""
        found = await self._transaction.fetch(_ASSETS)
        return [(Market(row["market"]), row["asset"]) for row in found]

    async def thin(
        self, market: Market, asset: str, interval: Interval, until: datetime, interval_count: int
    ) -> tuple[int, datetime, datetime]:
        """Leave the first, highest, lowest and last row, and those by hand, of the oldest intervals
        before `until` that have more; how many rows went, and the times of the first and the last.
        """
        (found,) = await self._transaction.fetch(
            _THIN,
            market=market.value,
            asset=asset,
            span=interval.span,
            until=until,
            by_hand=MANUAL_SOURCE,
            interval_count=interval_count,
        )
        return tuple(found)

    async def _record(self, query: Select[Any]) -> PriceRecord | None:
        row = await self._transaction.first(query)
        return None if row is None else rows.read(PriceRecord, row)


def _records(market: Market, asset: str, qualities: Collection[Quality] = ()) -> Select[Any]:
    """The rows of an asset, of these qualities (none = all)."""
    query = select(price_history).where(_COLUMNS.market == market.value, _COLUMNS.asset == asset)
    return query.where(_COLUMNS.quality.in_(sorted(qualities))) if qualities else query


def _stands_behind(source: str, column: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether the lower-case name is one of those the column joins with +."""
    return literal(source) == any_(func.string_to_array(func.lower(column), "+"))
