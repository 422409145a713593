"""Rows of positions one by one, by page and in bulk."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from math import isnan, nan
from operator import itemgetter
from typing import Any, Final

import asyncpg
import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    ColumnElement,
    Float,
    Select,
    bindparam,
    func,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from services.positions.domain.position import Inputs
from services.positions.domain.venue_answer import NUMBERS, Status
from services.positions.enrichment.domain.enrichment import micros
from services.positions.enrichment.domain.metrics import flags_of
from services.positions.positions.domain import (
    NEAREST,
    WORST,
    FigureOrder,
    Filter,
    Ordered,
)
from services.positions.store.position_sql import KNOWN, MERGE, STAGE, WRITE, WRITE_BY_HAND
from services.positions.tables import (
    asset,
    feed,
    position,
    service_state,
    venue_terms,
    wallet,
)
from shared import rows
from shared.database.bulk import copy_in
from shared.database.keyset import Ordering, page_values, prepared
from shared.database.statement import Row, Statement
from shared.database.transaction import Transaction
from shared.paging import Key, PageRequest
from shared.texts import spelled

_numbers = itemgetter(*NUMBERS)
NEVER = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
LIVE: Final = (int(Status.ACTIVE), int(Status.STALE))
# What a list can be ordered by: a column of the inputs, else a figure of the last pass.
BY_INPUT: Final[Mapping[str, ColumnElement[Any]]] = {
    "id": position.c.id,
    "asset": asset.c.name,
    "size_usd": position.c.size_usd,
    "updated_time": position.c.updated_time,
}
BY_RESULT: Final = (
    WORST,
    "value_usd",
    "pnl_usd",
    "leverage_ratio",
    "travel_percent",
    NEAREST,
    "heat_index",
)

_ONE: Select[Any] = (
    select(
        position,
        asset.c.name.label("asset"),
        wallet.c.name.label("wallet"),
        feed.c.venue,
        feed.c.observed_time,
        feed.c.failed,
        service_state.c.pass_number,
    )
    .select_from(position)
    .join(asset, asset.c.asset_key == position.c.asset_key)
    .join(feed, feed.c.feed_key == position.c.feed_key)
    .join(wallet, wallet.c.wallet_key == feed.c.wallet_key)
    .join(service_state, text("true"))
)
_BY_ID = Statement(_ONE.where(position.c.id == bindparam("id")))
_NAMED: Final[Mapping[str, ColumnElement[str]]] = {
    "wallet": wallet.c.name,
    "venue": feed.c.venue,
    "asset": asset.c.name,
}
# Of the very name, else of all held that differ from it by case alone.
_OF_ASSET = text(
    "asset.asset_key in (select one.asset_key from asset one"
    " where one.name = cast(:asset as text) or (upper(one.name) = upper(cast(:asset as text))"
    " and not exists (select from asset very join position held using (asset_key)"
    " where very.name = cast(:asset as text))))"
).bindparams(bindparam("asset", required=False))
_IN_ANY_CASE = Statement("select name from asset where upper(name) = any(:names)")
_ASSETS = Statement("select name, asset_key from asset where name = any(:names)")
_NEW_ASSETS = Statement(
    "insert into asset (name) select unnest(cast(:names as text[])) on conflict do nothing"
)
_FORGET_ABSENCE = Statement("delete from absence where position_key = :position_key")
_KEEP_REQUEST = Statement(
    "insert into request (request_id, position_id, request_time)"
    " values (:request_id, :position_id, :now) on conflict (request_id) do nothing"
)
_REQUESTED = Statement("select position_id from request where request_id = :request_id")


def _delete(condition: str) -> Statement:
    return Statement(
        f"with gone as (select position_key from position where {condition}),"
        " forgotten as (delete from absence where position_key in (select position_key from gone))"
        " delete from position where position_key in (select position_key from gone)"
    )


_DELETE, _DELETE_ALL = _delete("id = :id"), _delete("true")
_DELETE_WALLET = _delete(
    "feed_key in (select feed_key from feed join wallet using (wallet_key) where name = :name)"
)


@dataclass(frozen=True, slots=True)
class StoredPosition:
    """Stored inputs, whether the last fetch of their feed failed, the number of the last pass."""

    inputs: Inputs
    feed_failed: bool
    pass_number: int


class PositionStore:
    """Positions of one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def find(self, position_id: str) -> StoredPosition | None:
        """One position."""
        row = await self._transaction.first(_BY_ID, id=position_id)
        return None if row is None else _found(row)

    async def first(self, wanted: Filter, ids: Sequence[str], count: int) -> list[StoredPosition]:
        """The first by id, of these ids when there are any."""
        query = _filtered(_ONE, wanted).order_by(position.c.id).limit(count)
        if ids:
            query = query.where(position.c.id.in_(ids))
        found = await self._transaction.fetch(query, **_named(wanted))
        return [_found(row) for row in found]

    async def carry_totals(self, ids: Sequence[str]) -> tuple[int, int, float | None]:
        """Of these ids, or every live one: how many, how many without carry, the sum."""
        carry = venue_terms.c.hourly_carry_usd
        known = func.coalesce(carry < text("'infinity'::float8"), text("false"))
        query = select(func.count(), func.count().filter(~known), func.sum(carry).filter(known))
        query = query.select_from(position).outerjoin(
            venue_terms, venue_terms.c.position_key == position.c.position_key
        )
        query = query.where(position.c.id.in_(ids) if ids else position.c.status.in_(LIVE))
        ((count, absent, total),) = await self._transaction.fetch(query)
        return count, absent, total

    async def changed(
        self, wanted: Filter, position_keys: Sequence[int], since: datetime | None
    ) -> list[StoredPosition]:
        """Positions of these keys, and those edited since, by key."""
        which: ColumnElement[bool] = position.c.position_key.in_(position_keys)
        if since is not None:
            which = which | (position.c.updated_time > since)
        query = _filtered(_ONE, wanted).where(which).order_by(position.c.position_key)
        found = await self._transaction.fetch(query, **_named(wanted))
        return [_found(row) for row in found]

    async def page(
        self,
        wanted: Filter,
        order: Ordered,
        request_page: PageRequest,
        figures: FigureOrder | None = None,
    ) -> list[tuple[StoredPosition, Key]]:
        """One more position than the page holds, each with its place in the order. `figures`: those
        of the last pass by position, when the order is by one of them; it may be of those alone
        that come next, and then positions without one are left out.
        """
        statement, ordering = _page(
            _shape(wanted),
            order,
            None if figures is None else figures.is_whole,
            is_first=request_page.after is None,
        )
        values = page_values(ordering, request_page.after, request_page.size) | _named(wanted)
        if figures is not None:
            values["figure_keys"] = figures.position_keys.tolist()
            values["figure_places"] = figures.places.tolist()
        found = await self._transaction.fetch(statement, **values)
        return [
            (_found(row), (row["place"], row["id"]) if len(ordering) == 2 else (row["id"],))
            for row in found
        ]

    async def create(self, row: Mapping[str, object], now: datetime) -> bool:
        """One new row of the columns of `write`; False when the id is taken."""
        stamps = {"first_seen_time": now, "last_seen_time": now, "updated_time": now}
        statement = insert(position).on_conflict_do_nothing(index_elements=["id"])
        values = {**row, **stamps, "status": int(Status.ACTIVE)}
        return await self._transaction.execute(statement, **values) == 1

    async def write(
        self, columns: Mapping[str, Sequence[object]], now: datetime
    ) -> tuple[int, int]:
        """Insert or change rows given as columns, unchanged ones not at all; counts (created,
        changed). With a column `status` each row has it, else each is ACTIVE or as it was set.
        """
        statement = WRITE_BY_HAND if "status" in columns else WRITE
        (row,) = await self._transaction.fetch(statement, **columns, now=now)
        return row["created"], row["written"] - row["created"]

    async def insert(
        self, ids: Sequence[str], columns: Mapping[str, NDArray[Any]], now: datetime
    ) -> bool:
        """Many new rows, ACTIVE, at once; False, and none written, when an id is taken."""
        stamps = dict.fromkeys(("first_seen_time", "last_seen_time", "updated_time"), micros(now))
        filled = {name: np.full(len(ids), value) for name, value in stamps.items()}
        status = np.full(len(ids), int(Status.ACTIVE))
        try:
            async with self._transaction.driver.transaction():
                await copy_in(
                    self._transaction,
                    "position",
                    {"id": ids, **columns, **filled, "status": status},
                )
        except asyncpg.UniqueViolationError:
            return False
        return True

    async def merge(self, columns: Mapping[str, NDArray[Any]], now: datetime) -> None:
        """Change many rows, given as columns by position_key; a deleted one stays deleted."""
        await self._transaction.execute(STAGE)
        await copy_in(self._transaction, "changed_position", columns)
        await self._transaction.execute(MERGE, now=now)

    async def known(self, ids: Sequence[str]) -> dict[str, tuple[str, Status]]:
        """Venue and status of the positions that have one of these ids."""
        found = await self._transaction.fetch(KNOWN, ids=ids)
        return {row["id"]: (row["venue"], Status(row["status"])) for row in found}

    async def change(self, position_key: int, values: Mapping[str, object], now: datetime) -> None:
        """Set columns of one position."""
        statement = update(position).where(position.c.position_key == position_key)
        await self._transaction.execute(
            statement.values(**values, updated_time=now, last_seen_time=now)
        )

    async def forget_absence(self, position_key: int) -> None:
        """A status set by hand starts the counting of absences anew."""
        await self._transaction.execute(_FORGET_ABSENCE, position_key=position_key)

    async def delete(self, position_id: str) -> bool:
        """Remove one position; False when there is none."""
        return await self._transaction.execute(_DELETE, id=position_id) == 1

    async def delete_all(self) -> int:
        """Remove every position."""
        return await self._transaction.execute(_DELETE_ALL)

    async def delete_wallet(self, name: str) -> int:
        """Remove the positions of a wallet."""
        return await self._transaction.execute(_DELETE_WALLET, name=name)

    async def live_count(self, wallet_name: str) -> int:
        """ACTIVE and STALE positions of a wallet."""
        wanted = Filter(wallet=wallet_name)
        query = _filtered(_ONE, wanted).with_only_columns(func.count())
        return int(await self._transaction.scalar(query, **_named(wanted)))

    async def keep_request(self, request_id: str, position_id: str, now: datetime) -> str | None:
        """Remember what a request created; the position of an earlier request of the id, if any."""
        kept = await self._transaction.execute(
            _KEEP_REQUEST, request_id=request_id, position_id=position_id, now=now
        )
        if kept == 1:
            return None
        return str(await self._transaction.scalar(_REQUESTED, request_id=request_id))

    async def spelled(self, names: Collection[str], priced: Iterable[str]) -> dict[str, str]:
        """Each of these assets as a position, or else its price, has it; else in capitals."""
        capitals = [name.upper() for name in names]
        held = await self._transaction.fetch(_IN_ANY_CASE, names=capitals)
        known = {*priced, *(row["name"] for row in held)}
        found = {name: spelled(name, known) for name in names}
        return {name: of[0] if len(of) == 1 else name.upper() for name, of in found.items()}

    async def asset_keys(self, names: Sequence[str]) -> dict[str, int]:
        """Keys of asset names, made where new."""
        wanted = sorted(set(names))
        known = await self._asset_keys(wanted)
        if len(known) < len(wanted):
            await self._transaction.execute(_NEW_ASSETS, names=wanted)
            known = await self._asset_keys(wanted)
        return known

    async def _asset_keys(self, names: Sequence[str]) -> dict[str, int]:
        found = await self._transaction.fetch(_ASSETS, names=names)
        return {row["name"]: row["asset_key"] for row in found}


def stored(value: float | None) -> float:
    """A number as hot tables keep it."""
    return nan if value is None else value


def _named(wanted: Filter) -> dict[str, object]:
    """The values of a filtered query."""
    return {name: value for name in _NAMED if (value := getattr(wanted, name))}


def _shape(wanted: Filter) -> Filter:
    """The same for whatever names are asked for: a statement says which, not what they are."""
    said = {name: bool(getattr(wanted, name)) * "?" for name in _NAMED}
    return Filter(**said, side=wanted.side, statuses=tuple(wanted.statuses))


def _filtered(query: Select[Any], wanted: Filter) -> Select[Any]:
    for name in _named(wanted):
        is_so = _NAMED[name] == bindparam(name, required=False)
        query = query.where(_OF_ASSET if name == "asset" else is_so)
    if wanted.side is not None:
        query = query.where(position.c.side == int(wanted.side))
    if wanted.statuses:
        query = query.where(position.c.status.in_([int(status) for status in wanted.statuses]))
    return query


@lru_cache(maxsize=64)
def _page(
    wanted: Filter, order: Ordered, is_whole: bool | None, *, is_first: bool
) -> tuple[Statement, Ordering]:
    """The statement of a page, and what orders it; putting it together costs more than it takes."""
    query, ordering = _ordered(_filtered(_ONE, wanted), order, is_whole)
    labelled = query.add_columns(ordering[0][0].label("place"))
    return Statement(prepared(labelled, ordering, is_first=is_first)), ordering


def _ordered(
    query: Select[Any], order: Ordered, is_whole: bool | None
) -> tuple[Select[Any], Ordering]:
    """`is_whole`: whether the figures are of all positions; None: there are none."""
    if order.field in BY_RESULT:
        if is_whole is None:
            raise ValueError(f"no figures to order by {order.field}")
        unnested = func.unnest(
            bindparam("figure_keys", type_=ARRAY(BigInteger), required=False),
            bindparam("figure_places", type_=ARRAY(Float(53)), required=False),
        ).table_valued(Column("position_key", BigInteger), Column("place", Float(53)))
        given = unnested.render_derived(name="figures")
        same = given.c.position_key == position.c.position_key
        query = query.join(given, same, isouter=is_whole)
        # Places ascend whatever the direction: the absent are NaN, above every number.
        place: ColumnElement[Any] = func.coalesce(
            given.c.place, text("'NaN'::float8"), type_=Float(53)
        )
        return query, [(place, "asc"), (position.c.id, "asc")]
    column_of = BY_INPUT[order.field]
    if order.field == "id":
        return query, [(column_of, "desc" if order.descending else "asc")]
    if column_of.type.python_type is float and order.descending:
        # NaN sorts above every number: descending is an ascending negative, absent last.
        return query, [(-column_of, "asc"), (position.c.id, "asc")]
    direction = "desc" if order.descending else "asc"
    return query, [(column_of, direction), (position.c.id, direction)]  # type: ignore[list-item]  # two literals


def _found(row: Row) -> StoredPosition:
    taken = [None if isnan(value) else value for value in _numbers(row)]
    numbers: dict[str, float | None] = dict(zip(NUMBERS, taken, strict=True))
    fresh = row["in_last_answer"] and row["observed_time"] is not None
    mark_time = row["observed_time"] if fresh else row["mark_time"]
    inputs = rows.read(
        Inputs,
        row,
        **numbers,
        last_seen_time=row["observed_time"] if fresh else row["last_seen_time"],
        mark_time=None if mark_time == NEVER or numbers["mark_price_usd"] is None else mark_time,
        flags=flags_of(row["flag_bits"]),
    )
    return StoredPosition(inputs, row["failed"], row["pass_number"])
