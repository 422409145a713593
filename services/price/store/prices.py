"""Present prices: each method is one statement.

A refresh reads a state, and its write applies only while that state's revision is still the present
one.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

from services.price.domain.day_range import DayRange
from services.price.domain.price_update import PriceUpdate
from services.price.domain.prices import Market, Price, PriceRecord, Quality, Refreshed
from services.price.store.rows import COLUMNS, QUOTES, READ, Changes, State, price_of, state_of
from shared.database import fence
from shared.database.engine import Database, raw
from shared.database.fence import ENTERED, REFUSED, Run, Step

# Prices are asked for again every cycle: what a crash of the machine takes with it comes back by
# itself.
_NO_FLUSH = "set_config('synchronous_commit', 'off', true)"
_RECORD_COLUMNS = {
    "asset": "text",
    "price_usd": "float8",
    "price_time": "timestamptz",
    "previous_price_usd": "float8",
    "previous_price_time": "timestamptz",
    "source": "text",
    "quality": "smallint",
}
_PRICE_COLUMNS = {**COLUMNS, "quotes": "text", "changed": "boolean"}
_NAMES = ", ".join(COLUMNS)
_RECORD_NAMES = ", ".join(_RECORD_COLUMNS)
_REPLACED = ", ".join(f"{name} = excluded.{name}" for name in (*COLUMNS, "quotes"))
# The arguments of a step end at $7.
_SEEN, _MARKET, _START, _FIRST = "$8::bigint", "$9::smallint", "$10::timestamptz", 11


def _rows(kinds: dict[str, str], first: int) -> str:
    """Arrays from $first on, one a column, as rows."""
    arrays = ", ".join(f"${place}::{kind}[]" for place, kind in enumerate(kinds.values(), first))
    return f"unnest({arrays}) as row ({', '.join(kinds)})"


# By itself: a statement that waits for a lock goes on with what it saw before it waited.
_LOCK = "select from service_state for update"
_ENSURE_MARKET = (
    "update service_state set market = $1, revision = revision + 1, reset_revision = revision + 1"
    " where id = 1 and (market = 0 or ($2::boolean and market <> $1))"
)
_OPEN = (
    f"with {ENTERED} select {REFUSED},"
    " (select answer from step_answer where cycle_id = $3 and step = $4) as answer,"
    f" s.market, s.revision, s.demo_start_time, {READ} from {_NO_FLUSH}, service_state s"
    " left join price p on p.market = coalesce(nullif($5::smallint, 0), s.market)"
)
_CLOSES = (
    "select a.asset, cast(extract(epoch from h.start) / 3600 as bigint) as hour, c.price_usd"
    " from unnest($2::text[]) as a(asset), generate_series($3::timestamptz,"
    " $4::timestamptz - interval '1 hour', interval '1 hour') as h(start),"
    " lateral (select price_usd from price_history p where p.market = $1 and p.asset = a.asset"
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
    f" kept as (insert into price as old (market, {_NAMES}, quotes, revision)"
    f" select {_MARKET}, {_NAMES}, quotes::jsonb, case when changed then revision else 0 end"
    f" from {_rows(_PRICE_COLUMNS, _FIRST)}, done"
    f" on conflict (market, asset) do update set {_REPLACED},"
    " revision = greatest(old.revision, excluded.revision)),"
    f" appended as (insert into price_history (market, {_RECORD_NAMES})"
    f" select {_MARKET}, {_RECORD_NAMES}"
    f" from {_rows(_RECORD_COLUMNS, _FIRST + len(_PRICE_COLUMNS))}, done"
    # What was there before stays.
    " on conflict (market, asset, price_time) do nothing)"
)
_CLEAR = (
    "with state as (update service_state set revision = revision + 1,"
    " reset_revision = revision + 1, demo_start_time = null where id = 1),"
    " prices as (delete from price returning 1), records as (delete from price_history returning 1)"
    " select (select count(*) from prices) + (select count(*) from records)"
)
_LIST = (
    f"select {READ} from price p, lateral (select case when p.price_usd is not null"
    f" and p.refresh_time < $1 then {Quality.STALE.value} else p.quality end as now) judged"
    " where p.market = (select market from service_state)"
    " and p.asset > $2 and ($3::smallint[] is null or judged.now = any($3))"
    " order by p.asset limit $4"
)
_GET = (
    f"select {READ} from price p where p.market = (select market from service_state)"
    " and p.asset = $1"
)
_CHANGES = (
    f"select s.revision, s.reset_revision, {READ} from service_state s"
    " left join price p on p.market = s.market and p.revision > $1 order by p.asset"
)
_REVISION = "select revision from service_state"
_RANGE = (
    "select max(price_usd), min(price_usd) from price_history"
    " where market = $1 and asset = $2 and price_time >= $3"
)


class PriceStore:
    """Present prices and the state of the service. `run`: fetch of the driver, in a transaction or
    committed by itself.
    """

    def __init__(self, run: Run) -> None:
        self._run = run

    async def ensure_market(self, market: Market, *, insist: bool) -> None:
        """Set the market when none was ever set, or in any case when `insist`."""
        await self._run(_ENSURE_MARKET, market.value, insist)

    async def open(self, step: Step, market: Market | None) -> Refreshed | State:
        """Begin a refresh: what was answered before, or the state with the prices of `market`
        (None: the present one). Raises Conflict STALE_EPOCH, FailedPrecondition EPOCH_AHEAD.
        """
        number = market.value if market else 0
        rows = await self._run(_OPEN, step.caller, step.epoch, step.cycle_id, step.name, number)
        refused, answer = rows[0][:2]
        fence.check(step, refused)
        if answer is not None:
            return fence.answered(Refreshed, answer)
        return state_of([row[2:] for row in rows])

    async def closes(
        self, market: Market, assets: Sequence[str], since: datetime, until: datetime
    ) -> dict[str, tuple[list[int], list[float]]]:
        """The last price of each whole hour between two full hours, by asset: hours since 1970,
        USD.
        """
        found: dict[str, tuple[list[int], list[float]]] = {asset: ([], []) for asset in assets}
        for asset, hour, price_usd in await self._run(
            _CLOSES, market.value, list(assets), since, until
        ):
            found[asset][0].append(hour)
            found[asset][1].append(price_usd)
        return found

    async def answer(self, step: Step, refreshed: Refreshed, now: datetime) -> Refreshed:
        """Record an answer that wrote nothing; the answer of an earlier time when there is one."""
        made = await fence.attempt(self._run, _ANSWER, step, refreshed, now)
        return made.recorded or refreshed

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
        prices = [one.price for one in updates]
        columns = [[getattr(price, name) for price in prices] for name in COLUMNS]
        columns.append([QUOTES.dump_json(price.quotes).decode() for price in prices])
        columns.append([one.changed for one in updates])
        columns += [[getattr(record, name) for record in records] for name in _RECORD_COLUMNS]
        state = (seen.revision, refreshed.market.value, demo_start_time)
        made = await fence.attempt(self._run, _WRITE, step, refreshed, now, *state, *columns)
        return made.recorded or (refreshed if made.is_done else None)

    async def clear(self) -> int:
        """Delete all prices and their history; returns how many rows there were."""
        ((count,),) = await self._run(_CLEAR)
        return int(count)

    async def page(
        self, after: str, row_count: int, qualities: Sequence[Quality], vouched_since: datetime
    ) -> list[Price]:
        """Prices of the present market by asset, after `after`; those not refreshed since then read
        STALE.
        """
        wanted = [quality.value for quality in qualities] or None
        rows = await self._run(_LIST, vouched_since, after, wanted, row_count)
        return [price_of(row) for row in rows]

    async def get(self, asset: str) -> Price | None:
        rows = await self._run(_GET, asset)
        return price_of(rows[0]) if rows else None

    async def day_range(self, market: Market, asset: str, since: datetime) -> DayRange | None:
        ((high_usd, low_usd),) = await self._run(_RANGE, market.value, asset, since)
        return None if high_usd is None else DayRange(high_usd, low_usd)

    async def revision(self) -> int:
        """The number of the last write, of whatever process."""
        ((revision,),) = await self._run(_REVISION)
        return int(revision)

    async def changes(self, since: int) -> Changes:
        """What a watcher who knows revision `since` has not seen; 0 gives everything."""
        rows = await self._run(_CHANGES, since)
        revision, reset_revision = rows[0][:2]
        prices = tuple(price_of(row[2:]) for row in rows if row[2] is not None)
        return Changes(revision, prices, 0 < since < reset_revision)


@asynccontextmanager
async def locked(database: Database) -> AsyncIterator[PriceStore]:
    """A transaction after every other writer and before the next one."""
    async with database.begin() as connection:
        run = (await raw(connection)).fetch
        await run(_LOCK)
        yield PriceStore(run)
