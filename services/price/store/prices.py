"""Rows of prices in and out; the only SQL of this service. Knows no rule of prices."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Row, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.price.domain.prices import Market, Price, PriceRecord, Quality, Quote, Refreshed
from services.price.tables import price_history
from shared.database import fence
from shared.database.fence import Step

QUOTES: TypeAdapter[tuple[Quote, ...]] = TypeAdapter(tuple[Quote, ...])
COLUMNS = {
    "asset": "text",
    "quality": "smallint",
    "price_usd": "float8",
    "price_time": "timestamptz",
    "previous_price_usd": "float8",
    "previous_price_time": "timestamptz",
    "source": "text",
    "last_good_price_usd": "float8",
    "last_good_time": "timestamptz",
    "hourly_volatility_ratio": "float8",
    "volatility_hour_time": "timestamptz",
    "refresh_time": "timestamptz",
}
_NAMES = ", ".join(COLUMNS)
_ARRAYS = ", ".join(f"cast(:{name} as {kind}[])" for name, kind in COLUMNS.items())
_REPLACED = ", ".join(f"{name} = excluded.{name}" for name in COLUMNS)
READ = ", ".join(f"p.{name}" for name in COLUMNS) + ", p.quotes::text as quotes, p.market"
_RECORDED = "asset, price_usd, price_time, previous_price_usd, previous_price_time, source, quality"

_SETTLE = text(
    "update service_state set market = :market, revision = revision + 1, reset_revision = revision + 1"
    " where id = 1 and (market = 0 or (cast(:insist as boolean) and market <> :market))"
)
# Prices are asked for again every cycle: what a crash of the machine takes with it comes back by itself.
_STATE = text(
    f"select s.market as present_market, s.revision, s.demo_start_time, {READ}"
    " from set_config('synchronous_commit', 'off', true), service_state s"
    " left join price p on p.market = coalesce(nullif(cast(:market as smallint), 0), s.market)"
)
# By itself: a statement that waits for a lock goes on with what it saw before it waited.
_LOCK = text("select from service_state for update")
_LIST = text(
    f"select {READ} from price p, lateral (select case when p.price_usd is not null"
    f" and p.refresh_time < :vouched_since then {Quality.STALE.value} else p.quality end as now) judged"
    " where p.market = (select market from service_state)"
    " and p.asset > :after and (cast(:qualities as smallint[]) is null or judged.now = any(:qualities))"
    " order by p.asset limit :row_count"
)
_GET = text(
    f"select {READ} from price p where p.market = (select market from service_state) and p.asset = :asset"
)
_CHANGES = text(
    f"select s.revision, s.reset_revision, {READ} from service_state s"
    " left join price p on p.market = s.market and p.revision > :since order by p.asset"
)
_REVISION = text("select revision from service_state")
# All of a refresh in one statement; it does nothing when another writer was faster than `seen`.
_WRITE = text(
    "with state as (update service_state set revision = revision + 1, market = :market,"
    " reset_revision = case when market = :market then reset_revision else revision + 1 end,"
    " demo_start_time = coalesce(demo_start_time, cast(:demo_start_time as timestamptz))"
    " where id = 1 and revision = :seen returning revision),"
    f" new as (select * from unnest({_ARRAYS},"
    " cast(:quotes as text[]), cast(:changed as boolean[]), cast(:recorded as boolean[]))"
    f" as row ({_NAMES}, quotes, changed, recorded)),"
    f" kept as (insert into price as old (market, {_NAMES}, quotes, revision)"
    f" select :market, {_NAMES}, quotes::jsonb, case when changed then revision else 0 end from new, state"
    f" on conflict (market, asset) do update set {_REPLACED},"
    " quotes = excluded.quotes, revision = greatest(old.revision, excluded.revision)),"
    f" appended as (insert into price_history (market, {_RECORDED})"
    f" select :market, {_RECORDED} from new, state where recorded"
    " on conflict (market, asset, price_time) do nothing)"
    " select revision from state, set_config('synchronous_commit', 'off', true)"
)
_CLOSES = text(
    "select a.asset, cast(extract(epoch from h.start) / 3600 as bigint) as hour, c.price_usd"
    " from unnest(cast(:assets as text[])) as a(asset),"
    " generate_series(cast(:since as timestamptz), cast(:until as timestamptz) - interval '1 hour',"
    " interval '1 hour') as h(start),"
    " lateral (select price_usd from price_history p where p.market = :market and p.asset = a.asset"
    " and p.price_time >= h.start and p.price_time < h.start + interval '1 hour'"
    " order by p.price_time desc, p.id desc limit 1) c order by a.asset, h.start"
)
_CLEAR = text(
    "with state as (update service_state set revision = revision + 1, reset_revision = revision + 1,"
    " demo_start_time = null where id = 1),"
    " prices as (delete from price returning 1), records as (delete from price_history returning 1)"
    " select (select count(*) from prices) + (select count(*) from records)"
)


class Overtaken(Exception):
    """Another writer changed the prices since they were read; nothing was written."""


@dataclass(frozen=True, slots=True)
class State:
    """What a refresh starts from; `revision` must still be true when it ends."""

    market: Market
    revision: int
    demo_start_time: datetime | None
    prices: Mapping[str, Price]


@dataclass(frozen=True, slots=True)
class Changes:
    """Prices of the present market that changed after a revision; `reset`: the whole list was replaced."""

    revision: int
    prices: tuple[Price, ...]
    reset: bool


class Store:
    """The prices of one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def enter(self, step: Step) -> Refreshed | None:
        """See shared.database.fence.enter."""
        return await fence.enter(self._connection, step, Refreshed)

    async def record(self, step: Step, answer: Refreshed, now: datetime) -> None:
        """See shared.database.fence.record."""
        await fence.record(self._connection, step, Refreshed, answer, now)

    async def settle(self, market: Market, *, insist: bool) -> None:
        """Set the market when none was ever told, or in any case when `insist`."""
        await self._connection.execute(_SETTLE, {"market": market.value, "insist": insist})

    async def state(self, market: Market | None) -> State:
        """The revision, and the prices of `market` (None: the present one)."""
        rows = (await self._connection.execute(_STATE, {"market": market.value if market else 0})).all()
        present = rows[0]
        return State(
            Market(present.present_market),
            present.revision,
            present.demo_start_time,
            {row.asset: price_of(row) for row in rows if row.asset is not None},
        )

    async def locked_state(self, market: Market) -> State:
        """The same, after every other writer and before the next one: nobody can overtake."""
        await self._connection.execute(_LOCK)
        return await self.state(market)

    async def page(
        self, after: str, row_count: int, qualities: Sequence[Quality], vouched_since: datetime
    ) -> list[Price]:
        """Prices of the present market by asset, after `after`; those not refreshed since then read STALE."""
        values = {
            "after": after,
            "row_count": row_count,
            "qualities": [quality.value for quality in qualities] or None,
            "vouched_since": vouched_since,
        }
        rows = await self._connection.execute(_LIST, values)
        return [price_of(row) for row in rows]

    async def get(self, asset: str) -> Price | None:
        row = (await self._connection.execute(_GET, {"asset": asset})).one_or_none()
        return None if row is None else price_of(row)

    async def revision(self) -> int:
        """The number of the last write, of whatever process."""
        revision: int = (await self._connection.execute(_REVISION)).scalar_one()
        return revision

    async def changes(self, since: int) -> Changes:
        """What a watcher who knows revision `since` has not seen; 0 gives everything."""
        rows = (await self._connection.execute(_CHANGES, {"since": since})).all()
        prices = tuple(price_of(row) for row in rows if row.asset is not None)
        return Changes(rows[0].revision, prices, 0 < since < rows[0].reset_revision)

    async def write(
        self,
        seen: State,
        market: Market,
        demo_start_time: datetime | None,
        prices: Sequence[Price],
        *,
        changed: Sequence[bool],
        recorded: Sequence[bool],
    ) -> None:
        """Keep the prices, append the `recorded` ones to the history; Overtaken when `seen` is not true."""
        values: dict[str, Any] = {name: [getattr(price, name) for price in prices] for name in COLUMNS}
        values |= {
            "quality": [price.quality.value for price in prices],
            "quotes": [QUOTES.dump_json(price.quotes).decode() for price in prices],
            "changed": list(changed),
            "recorded": list(recorded),
            "market": market.value,
            "demo_start_time": demo_start_time,
            "seen": seen.revision,
        }
        if (await self._connection.execute(_WRITE, values)).one_or_none() is None:
            raise Overtaken

    async def append(self, records: Sequence[PriceRecord]) -> None:
        """Add rows to the history, oldest first."""
        names = (*_RECORDED.split(", "), "market")
        rows = [{name: getattr(record, name) for name in names} for record in records]
        if rows:
            # Two processes may invent the same past at once; one of them will be overtaken.
            await self._connection.execute(insert(price_history).on_conflict_do_nothing(), rows)

    async def closes(
        self, market: Market, assets: Sequence[str], since: datetime, until: datetime
    ) -> dict[str, tuple[list[int], list[float]]]:
        """The last price of each whole hour between two full hours, by asset: hours since 1970, USD."""
        window = {"market": market.value, "assets": list(assets), "since": since, "until": until}
        found: dict[str, tuple[list[int], list[float]]] = {asset: ([], []) for asset in assets}
        for asset, hour, price_usd in await self._connection.execute(_CLOSES, window):
            found[asset][0].append(hour)
            found[asset][1].append(price_usd)
        return found

    async def clear(self) -> int:
        """Delete all prices and their history; returns how many rows there were."""
        count: int = (await self._connection.execute(_CLEAR)).scalar_one()
        return count


def price_of(row: Row[Any]) -> Price:
    values = {name: getattr(row, name) for name in COLUMNS}
    values |= {
        "quality": Quality(row.quality),
        "market": Market(row.market),
        "quotes": QUOTES.validate_json(row.quotes),
    }
    return Price(**values)
