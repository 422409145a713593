"""Present prices: each method is one statement.

A refresh reads a state; its write applies only while the state's revision is present.
"""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime

from pydantic import TypeAdapter

from services.price.domain.day_range import DayRange
from services.price.domain.price_update import PriceUpdate
from services.price.domain.prices import Market, Price, PriceRecord, Quality, Refreshed
from services.price.store.rows import (
    NAMES,
    READ,
    REPLACED,
    Changes,
    State,
    price_of,
    prices_json,
    prices_of,
)
from shared import rows
from shared.database import fence
from shared.database.fence import ENTERED, REFUSED, Step
from shared.database.statement import Statement
from shared.database.transaction import Transaction

# Prices are asked for every cycle: what a crash of the machine takes comes back by itself.
_NO_FLUSH = "set_config('synchronous_commit', 'off', true)"
_RECORDS = TypeAdapter(tuple[PriceRecord, ...])
_RECORD_NAMES = ", ".join(field.name for field in fields(PriceRecord) if field.name != "id")
# The arguments of a step end at $7.
_SEEN, _MARKET, _START = "$8::bigint", "$9::smallint", "$10::timestamptz"

# By itself: a statement that waits for a lock goes on with what it saw before it waited.
_LOCK = Statement("select from service_state for update")
_ENSURE_MARKET = Statement(
    "update service_state set market = :market, revision = revision + 1,"
    " reset_revision = revision + 1 where id = 1"
    " and (market = 0 or (cast(:insist as boolean) and market <> :market))"
)
_OPEN = (
    f"with {ENTERED} select {REFUSED},"
    " (select answer from step_answer where cycle_id = $3 and step = $4) as answer,"
    f" s.market as present_market, s.revision, s.demo_start_time, {READ}"
    f" from {_NO_FLUSH}, service_state s"
    " left join price p on p.market = coalesce(nullif($5::smallint, 0), s.market)"
)
_CLOSES = Statement(
    "select a.asset, cast(extract(epoch from h.start) / 3600 as bigint) as hour, c.price_usd"
    " from unnest(cast(:assets as text[])) as a(asset),"
    " generate_series(cast(:since as timestamptz), cast(:until as timestamptz) - interval '1 hour',"
    " interval '1 hour') as h(start),"
    " lateral (select price_usd from price_history p where p.market = :market and p.asset = a.asset"
    " and p.price_time >= h.start and p.price_time < h.start + interval '1 hour'"
    " order by p.price_time desc, p.id desc limit 1) c order by a.asset, h.start"
)
_ANSWER = fence.single_statement(f"done as (select {_NO_FLUSH} from allowed)")
_WRITE = fence.single_statement(
    f"moved as (update service_state set revision = revision + 1, market = {_MARKET},"
    f" reset_revision = case when market = {_MARKET} then reset_revision else revision + 1 end,"
    f" demo_start_time = coalesce(demo_start_time, {_START})"
    f" where id = 1 and revision = {_SEEN} and exists (select from allowed) returning revision),"
    f" done as (select revision, {_NO_FLUSH} from moved),"
    f" kept as (insert into price as old ({NAMES}, revision)"
    f" select {NAMES}, case when asset = any($12::text[]) then done.revision else 0 end"
    " from jsonb_populate_recordset(null::price, $11::jsonb), done"
    f" on conflict (market, asset) do update set {REPLACED},"
    " revision = greatest(old.revision, excluded.revision)),"
    f" appended as (insert into price_history ({_RECORD_NAMES}) select {_RECORD_NAMES}"
    " from jsonb_populate_recordset(null::price_history, $13::jsonb), done"
    # What was there before stays.
    " on conflict (market, asset, price_time) do nothing)"
)
_CLEAR = Statement(
    "with state as (update service_state set revision = revision + 1,"
    " reset_revision = revision + 1, demo_start_time = null where id = 1),"
    " prices as (delete from price returning 1),"
    " records as (delete from price_history returning 1),"
    # What was made of the history goes with it; a provider's candle is no price of ours.
    " candles as (delete from hourly_candle where source = 'own' returning 1)"
    " select (select count(*) from prices) + (select count(*) from records)"
    " + (select count(*) from candles)"
)
_LIST = Statement(
    f"select {READ} from price p, lateral (select case when p.price_usd is not null"
    f" and p.refresh_time < :vouched_since then {Quality.STALE.value} else p.quality end as now)"
    " judged where p.market = (select market from service_state) and p.asset > :after"
    " and (cast(:qualities as smallint[]) is null or judged.now = any(:qualities))"
    " order by p.asset limit :row_count"
)
_GET = Statement(
    f"select {READ} from price p where p.market = (select market from service_state)"
    " and p.asset = :asset"
)
_CHANGES = Statement(
    f"select s.revision, s.reset_revision, {READ} from service_state s"
    " left join price p on p.market = s.market and p.revision > :since order by p.asset"
)
_REVISION = Statement("select revision from service_state")
_RANGE = Statement(
    "select max(price_usd) as high_usd, min(price_usd) as low_usd from price_history"
    " where market = :market and asset = :asset and price_time >= :since"
)


class PriceStore:
    """Present prices and the state of the service."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def lock(self) -> None:
        """Wait for every other writer and keep the next one waiting."""
        await self._transaction.execute(_LOCK)

    async def ensure_market(self, market: Market, *, insist: bool) -> None:
        """Set the market when none was ever set, or in any case when `insist`."""
        await self._transaction.execute(_ENSURE_MARKET, market=market.value, insist=insist)

    async def open(self, step: Step, market: Market | None) -> Refreshed | State:
        """Begin a refresh: what was answered before, or the state with the prices of `market`
        (None: the present one). Raises Conflict STALE_EPOCH, FailedPrecondition EPOCH_AHEAD.
        """
        found = await self._transaction.driver.fetch(
            _OPEN, step.caller, step.epoch, step.cycle_id, step.name, market.value if market else 0
        )
        state = found[0]
        fence.check(step, state["refused"])
        if state["answer"] is not None:
            return fence.answered(Refreshed, state["answer"])
        prices = {price.asset: price for price in prices_of(found)}
        return rows.read(State, state, market=Market(state["present_market"]), prices=prices)

    async def closes(
        self, market: Market, assets: Sequence[str], since: datetime, until: datetime
    ) -> dict[str, tuple[list[int], list[float]]]:
        """The last price of each hour between two full hours, by asset: hours since 1970, USD."""
        found: dict[str, tuple[list[int], list[float]]] = {asset: ([], []) for asset in assets}
        for asset, hour, price_usd in await self._transaction.fetch(
            _CLOSES, market=market.value, assets=list(assets), since=since, until=until
        ):
            found[asset][0].append(hour)
            found[asset][1].append(price_usd)
        return found

    async def answer(self, step: Step, refreshed: Refreshed, now: datetime) -> Refreshed:
        """Record an answer that wrote nothing; the answer of an earlier time when there is one."""
        fetch = self._transaction.driver.fetch
        return (await fence.attempt(fetch, _ANSWER, step, refreshed, now)).recorded or refreshed

    async def write(
        self,
        step: Step,
        refreshed: Refreshed,
        seen: State,
        demo_start_time: datetime | None,
        updates: Sequence[PriceUpdate],
        records: Sequence[PriceRecord],
        now: datetime,
    ) -> Refreshed | None:
        """Keep the prices, append the records to the history and remember the answer; None when
        `seen` is not true any more.
        """
        fetch = self._transaction.driver.fetch
        made = await fence.attempt(
            fetch,
            _WRITE,
            step,
            refreshed,
            now,
            seen.revision,
            refreshed.market.value,
            demo_start_time,
            prices_json(one.price for one in updates),
            [one.price.asset for one in updates if one.changed],
            _RECORDS.dump_json(tuple(records)).decode(),
        )
        return made.recorded or (refreshed if made.is_done else None)

    async def clear(self) -> int:
        """Delete all prices and their history; returns how many rows there were."""
        return int(await self._transaction.scalar(_CLEAR))

    async def page(
        self, after: str, row_count: int, qualities: Sequence[Quality], vouched_since: datetime
    ) -> list[Price]:
        """Prices by asset, after `after`; those not refreshed since `vouched_since` read STALE."""
        found = await self._transaction.fetch(
            _LIST,
            vouched_since=vouched_since,
            after=after,
            qualities=list(qualities) or None,
            row_count=row_count,
        )
        return [price_of(row) for row in found]

    async def get(self, asset: str) -> Price | None:
        row = await self._transaction.first(_GET, asset=asset)
        return None if row is None else price_of(row)

    async def day_range(self, market: Market, asset: str, since: datetime) -> DayRange | None:
        (row,) = await self._transaction.fetch(
            _RANGE, market=market.value, asset=asset, since=since
        )
        return None if row["high_usd"] is None else rows.read(DayRange, row)

    async def revision(self) -> int:
        """The number of the last write, of whatever process."""
        return int(await self._transaction.scalar(_REVISION))

    async def changes(self, since: int) -> Changes:
        """What a watcher who knows revision `since` has not seen; 0 gives everything."""
        found = await self._transaction.fetch(_CHANGES, since=since)
        reset = 0 < since < found[0]["reset_revision"]
        return Changes(found[0]["revision"], prices_of(found), reset)
