"""Rows of prices in one transaction: what a refresh writes."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.price.domain.price_update import PriceUpdate
from services.price.domain.prices import Market, PriceRecord, Refreshed
from services.price.store.rows import COLUMNS, HURRY, QUOTES, READ, State, state_of
from services.price.tables import price_history
from shared.database import fence
from shared.database.engine import raw
from shared.database.fence import Step

_NAMES = ", ".join(COLUMNS)
_REPLACED = ", ".join(f"{name} = excluded.{name}" for name in COLUMNS)
_RECORDED = "asset, price_usd, price_time, previous_price_usd, previous_price_time, source, quality"
_WRITTEN = {
    **{name: f"{kind}[]" for name, kind in COLUMNS.items()},
    "quotes": "text[]",
    "changed": "boolean[]",
    "recorded": "boolean[]",
    "market": "smallint",
    "demo_start_time": "timestamptz",
    "seen": "bigint",
}
_LISTS = [name for name, kind in _WRITTEN.items() if kind.endswith("[]")]

_SETTLE = text(
    "update service_state set market = :market, revision = revision + 1, reset_revision = revision"
    " + 1"
    " where id = 1 and (market = 0 or (cast(:insist as boolean) and market <> :market))"
)
# By itself: a statement that waits for a lock goes on with what it saw before it waited.
_LOCK = text("select from service_state for update")
_STATE = text(
    f"select s.market as present_market, s.revision, s.demo_start_time, {READ}"
    " from service_state s left join price p on p.market = cast(:market as smallint)"
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
    "with state as (update service_state set revision = revision + 1, reset_revision = revision +"
    " 1,"
    " demo_start_time = null where id = 1),"
    " prices as (delete from price returning 1), records as (delete from price_history returning 1)"
    " select (select count(*) from prices) + (select count(*) from records)"
)


def written_effect(first: int, condition: str = "") -> str:
    """Named queries of a `with` that write a refresh while `condition` holds and nobody was faster.

    `done` has a row when they did; the arguments are those of `written`, from $first on.
    """
    at = {name: f"${place}::{kind}" for place, (name, kind) in enumerate(_WRITTEN.items(), first)}
    return (
        f"moved as (update service_state set revision = revision + 1, market = {at['market']},"
        f" reset_revision = case when market = {at['market']} then reset_revision else revision +"
        " 1 end,"
        f" demo_start_time = coalesce(demo_start_time, {at['demo_start_time']})"
        f" where id = 1 and revision = {at['seen']}{condition} returning revision),"
        f" done as (select revision, {HURRY} from moved),"
        f" new as (select * from unnest({', '.join(at[name] for name in _LISTS)})"
        f" as row ({', '.join(_LISTS)})),"
        f" kept as (insert into price as old (market, {_NAMES}, quotes, revision)"
        f" select {at['market']}, {_NAMES}, quotes::jsonb, case when changed then revision else 0"
        " end"
        f" from new, done on conflict (market, asset) do update set {_REPLACED},"
        " quotes = excluded.quotes, revision = greatest(old.revision, excluded.revision)),"
        f" appended as (insert into price_history (market, {_RECORDED})"
        f" select {at['market']}, {_RECORDED} from new, done where recorded"
        " on conflict (market, asset, price_time) do nothing)"
    )


_WRITE = f"with {written_effect(1)} select revision from done"


def written(
    seen: State, market: Market, demo_start_time: datetime | None, judged: Sequence[PriceUpdate]
) -> list[object]:
    """The arguments of `written_effect`."""
    prices = [one.price for one in judged]
    values: dict[str, object] = {
        name: [getattr(price, name) for price in prices] for name in COLUMNS
    }
    values |= {
        "quality": [price.quality.value for price in prices],
        "quotes": [QUOTES.dump_json(price.quotes).decode() for price in prices],
        "changed": [one.changed for one in judged],
        "recorded": [one.record is not None for one in judged],
        "market": market.value,
        "demo_start_time": demo_start_time,
        "seen": seen.revision,
    }
    return [values[name] for name in _WRITTEN]


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

    async def locked_state(self, market: Market) -> State:
        """The prices of a market after every other writer and before the next one."""
        await self._connection.execute(_LOCK)
        return state_of((await self._connection.execute(_STATE, {"market": market.value})).all())

    async def write(
        self,
        seen: State,
        market: Market,
        demo_start_time: datetime | None,
        judged: Sequence[PriceUpdate],
    ) -> None:
        """Keep the prices and append what is new to the history; `seen` is a locked state."""
        driver = await raw(self._connection)
        await driver.fetch(_WRITE, *written(seen, market, demo_start_time, judged))

    async def append(self, records: Sequence[PriceRecord]) -> None:
        """Add rows to the history, oldest first."""
        names = (*_RECORDED.split(", "), "market")
        rows = [{name: getattr(record, name) for name in names} for record in records]
        if rows:
            # What was there before stays.
            await self._connection.execute(insert(price_history).on_conflict_do_nothing(), rows)

    async def closes(
        self, market: Market, assets: Sequence[str], since: datetime, until: datetime
    ) -> dict[str, tuple[list[int], list[float]]]:
        """The last price of each whole hour between two full hours, by asset: hours since 1970,
        USD.
        """
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
