"""Rows a venue's answer touches: what is known of a wallet there, what was seen, missing or refused."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isnan
from typing import Any

from sqlalchemy import ARRAY, Row, Text, any_, bindparam, delete, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.positions.domain.holding import (
    CarrySource,
    Flag,
    Holding,
    Refusal,
    Side,
    Status,
    VenueTerms,
)
from services.positions.domain.risk import flags_of
from services.positions.domain.sync import Absence, Decision, Known
from services.positions.store.positions import stored
from services.positions.tables import (
    INPUT_NUMBERS,
    absence,
    asset,
    feed,
    position,
    refused_row,
    venue_terms,
)
from shared.database.keyset import apply
from shared.paging import PageRequest

_BODY_LENGTH = 2000
_KNOWN = (
    select(position, asset.c.name.label("asset"), absence.c.cycle_id, absence.c.missing_time)
    .join(asset, asset.c.asset_key == position.c.asset_key)
    .outerjoin(absence, absence.c.position_key == position.c.position_key)
    .where(
        position.c.feed_key == bindparam("feed_key"),
        position.c.status.in_([int(Status.ACTIVE), int(Status.STALE), int(Status.INACTIVE)])
        | (position.c.id == any_(bindparam("ids", type_=ARRAY(Text)))),
    )
    .with_for_update(of=position)
)
_OBSERVED = text("update feed set observed_time = :observed_time, failed = false where feed_key = :feed_key")
_UNSEEN = text(
    "update position p"
    " set in_last_answer = false, mark_time = f.observed_time, last_seen_time = f.observed_time"
    " from feed f where f.feed_key = p.feed_key and p.in_last_answer and f.observed_time is not null"
    " and p.position_key = any(cast(:keys as bigint[]))"
)
_MISSING = text(
    "with aged as (update position set status = 2, updated_time = :now"
    " where position_key = any(cast(:keys as bigint[])) returning position_key)"
    " insert into absence (position_key, cycle_id, missing_time)"
    " select position_key, :cycle_id, :now from aged"
)
_COUNTS = text(
    "select count(*) filter (where status = 1) as active, count(*) filter (where status = 2) as stale"
    " from position where status in (1, 2)"
)


# A venue shows a position for a while after it is gone, and clocks differ.
_LIQUIDATION_TOLERANCE = "interval '10 minutes'"
_LIQUIDATED = text(
    "with ended as (update position p set status = 4, updated_time = :now"
    " from unnest(cast(:ids as text[]), cast(:times as timestamptz[])) as trade (id, trade_time)"
    " where p.id = trade.id and p.feed_key = :feed_key and p.status in (1, 2, 3) and not p.in_last_answer"
    f" and trade.trade_time >= p.last_seen_time - {_LIQUIDATION_TOLERANCE}"
    " returning p.position_key),"
    " counted as (delete from absence where position_key in (select position_key from ended))"
    " select position_key from ended"
)
_TERMS = text(
    "insert into venue_terms as old (position_key, maintenance_ratio, hourly_carry_usd, carry_source)"
    " select p.position_key, new.maintenance_ratio, new.hourly_carry_usd, new.carry_source"
    " from unnest(cast(:ids as text[]), cast(:maintenance as float8[]), cast(:carry as float8[]),"
    " cast(:sources as text[])) as new (id, maintenance_ratio, hourly_carry_usd, carry_source)"
    " join position p on p.id = new.id and p.feed_key = :feed_key"
    " on conflict (position_key) do update set maintenance_ratio = excluded.maintenance_ratio,"
    " hourly_carry_usd = excluded.hourly_carry_usd, carry_source = excluded.carry_source"
    " where (old.maintenance_ratio, old.hourly_carry_usd, old.carry_source)"
    " is distinct from (excluded.maintenance_ratio, excluded.hourly_carry_usd, excluded.carry_source)"
)


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row of an answer that was not taken."""

    id: int
    refused_time: datetime
    wallet: str
    venue: str
    reason: str
    field: str
    masked_body: str


class SightingStore:
    """Effects of answers in one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def known(self, feed_key: int, ids: Iterable[str]) -> dict[str, Known]:
        """Positions of a feed that are not over, and those of these ids that are; locked until commit."""
        rows = await self._connection.execute(_KNOWN, {"feed_key": feed_key, "ids": list(ids)})
        return {row.id: _known(row) for row in rows}

    async def apply(
        self, feed_key: int, decision: Decision, observed_time: datetime, cycle_id: str, now: datetime
    ) -> None:
        """Everything of a decision but the written rows, which go through PositionStore.write afterwards."""
        run = self._connection.execute
        if decision.unseen_keys:
            await run(_UNSEEN, {"keys": list(decision.unseen_keys)})
        if decision.stale_keys:
            await run(_MISSING, {"keys": list(decision.stale_keys), "cycle_id": cycle_id, "now": now})
        if decision.closed_keys:
            await self._close(decision.closed_keys, now)
        if decision.found_keys:
            await run(delete(absence).where(absence.c.position_key.in_(decision.found_keys)))
        if decision.refused_keys:
            refused = position.c.flag_bits.op("|")(1 << Flag.ROW_REFUSED)
            chosen = update(position).where(position.c.position_key.in_(decision.refused_keys))
            await run(chosen.values(flag_bits=refused))
        await run(_OBSERVED, {"feed_key": feed_key, "observed_time": observed_time})

    async def keep_terms(self, feed_key: int, holdings: Sequence[Holding]) -> None:
        """What the venue asks of these positions now; a carry that is not known any more is absent."""
        terms = [held.terms for held in holdings]
        values = {
            "feed_key": feed_key,
            "ids": [held.position_id for held in holdings],
            "maintenance": [stored(one.maintenance_ratio) for one in terms],
            "carry": [stored(one.hourly_carry_usd) for one in terms],
            "sources": [one.carry_source or "" for one in terms],
        }
        await self._connection.execute(_TERMS, values)

    async def terms(self, position_keys: Iterable[int]) -> dict[int, VenueTerms]:
        """What venues ask of these positions, by key; those of which nothing is known are left out."""
        query = select(venue_terms).where(venue_terms.c.position_key.in_(list(position_keys)))
        return {row.position_key: _terms(row) for row in await self._connection.execute(query)}

    async def liquidate(self, feed_key: int, trades: Mapping[str, datetime], now: datetime) -> int:
        """Mark LIQUIDATED those of a feed that are gone from its last answer and whose liquidation (time by
        position id) is no older than the answer that held them last; how many were."""
        values = {
            "feed_key": feed_key,
            "ids": list(trades),
            "times": list(trades.values()),
            "now": now,
        }
        return len((await self._connection.execute(_LIQUIDATED, values)).all())

    async def fail(self, feed_key: int) -> bool:
        """No usable answer: marks of its positions are stale from now on. True when that is news."""
        statement = update(feed).where(feed.c.feed_key == feed_key, ~feed.c.failed).values(failed=True)
        return (await self._connection.execute(statement)).rowcount == 1

    async def recovered(self, feed_key: int) -> bool:
        """Whether the fetch before this one failed."""
        return bool(
            (
                await self._connection.execute(select(feed.c.failed).where(feed.c.feed_key == feed_key))
            ).scalar()
        )

    async def refuse(self, wallet: str, venue: str, refusals: Sequence[Refusal], now: datetime) -> None:
        """Remember rows that were not taken."""
        if refusals:
            rows = [
                {
                    "refused_time": now,
                    "wallet": wallet,
                    "venue": venue,
                    "reason": refusal.reason,
                    "field": refusal.field,
                    "masked_body": refusal.masked_body[:_BODY_LENGTH],
                }
                for refusal in refusals
            ]
            await self._connection.execute(insert(refused_row).values(rows))

    async def refused_page(self, page: PageRequest) -> list[RefusedRow]:
        """Newest first, one more than the page holds."""
        query = apply(select(refused_row), [(refused_row.c.id, "desc")], page.after, page.size)
        return [RefusedRow(**row._asdict()) for row in await self._connection.execute(query)]

    async def close_demo(self, now: datetime) -> int:
        """End every position of the simulation; how many were not over."""
        feeds = select(feed.c.feed_key).where(feed.c.venue == "demo")
        query = select(position.c.position_key).where(
            position.c.feed_key.in_(feeds),
            position.c.status.not_in([int(Status.CLOSED), int(Status.LIQUIDATED)]),
        )
        keys = [row.position_key for row in await self._connection.execute(query)]
        if keys:
            await self._close(keys, now)
        return len(keys)

    async def counts(self) -> tuple[int, int]:
        """ACTIVE and STALE positions."""
        row = (await self._connection.execute(_COUNTS)).one()
        return row.active, row.stale

    async def _close(self, keys: Sequence[int], now: datetime) -> None:
        ended = update(position).where(position.c.position_key.in_(keys))
        await self._connection.execute(ended.values(status=int(Status.CLOSED), updated_time=now))
        await self._connection.execute(delete(absence).where(absence.c.position_key.in_(keys)))


def _terms(row: Row[Any]) -> VenueTerms:
    return VenueTerms(
        None if isnan(row.maintenance_ratio) else row.maintenance_ratio,
        None if isnan(row.hourly_carry_usd) else row.hourly_carry_usd,
        CarrySource(row.carry_source) if row.carry_source else None,
    )


def _known(row: Row[Any]) -> Known:
    values = row._asdict()
    numbers: dict[str, Any] = {name: None if isnan(values[name]) else values[name] for name in INPUT_NUMBERS}
    holding = Holding(
        position_id=values["id"],
        asset=values["asset"],
        side=Side(values["side"]),
        **numbers,
        flags=flags_of(values["flag_bits"]),
    )
    gone = None if values["cycle_id"] is None else Absence(values["cycle_id"], values["missing_time"])
    return Known(values["position_key"], holding, Status(values["status"]), values["in_last_answer"], gone)
