"""Rows a venue's answer touches: what is known of a wallet there, what was seen or refused."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isnan

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import insert, select

from services.positions.accounts.domain.stated_account import (
    StatedAccount,
    accounts_json,
    unread_fields,
)
from services.positions.domain.venue_answer import (
    NUMBERS,
    CarrySource,
    Flag,
    Refusal,
    VenueTerms,
    WalletSyncState,
)
from services.positions.enrichment.domain.enrichment import Column
from services.positions.sync.domain.answer_columns import AnswerColumns
from services.positions.sync.domain.holding_columns import CARRY_SOURCES, TERMS
from services.positions.sync.domain.sync_rows import Absences, Decision, RefusedRow, Stored, matched
from services.positions.sync.store.id_cache import IdCache
from services.positions.tables import refused_row
from shared import rows
from shared.database.bulk import copy_out
from shared.database.keyset import apply
from shared.database.statement import Row, Statement
from shared.database.transaction import Transaction
from shared.paging import PageRequest

_BODY_LENGTH = 2000
_IDS = Statement(
    "select string_agg(int8send(position_key), '') as keys, array_agg(id) as ids from position"
    " where feed_key = any(:feed_keys) and status in (1, 2, 5)"
)
_BESIDE = Statement(
    "select absent_keys, same_cycle, missing_micros, asset_names, asset_keys from"
    " (select array_agg(a.position_key) as absent_keys,"
    " array_agg(a.cycle_id = :cycle_id) as same_cycle,"
    " array_agg((extract(epoch from a.missing_time) * 1000000)::int8) as missing_micros"
    " from absence a, lateral (select from position p where p.position_key = a.position_key"
    " and p.feed_key = any(:feed_keys) offset 0) of_these) a,"
    " (select array_agg(name) as asset_names, array_agg(asset_key) as asset_keys from asset) n"
)
_COLUMNS = {
    "position_key": "int8",
    **dict.fromkeys(("feed_key", "asset_key"), "int4"),
    **dict.fromkeys(("side", "status"), "int2"),
    "in_last_answer": "bool",
    "flag_bits": "int8",
    **dict.fromkeys(NUMBERS, "float8"),
}
_INPUTS = f"select {', '.join(_COLUMNS)} from position"
_NAMED = Statement(f"select id, {', '.join(_COLUMNS)} from position where id = any(:ids)")
_STAMP = Statement(
    "with stamped as (update wallet w set last_sync_state = new.state,"
    " last_sync_reason = new.reason,"
    " last_sync_time = coalesce(new.completed_time, w.last_sync_time), unwatched ="
    " case when new.unwatched = '' then '{}' else string_to_array(new.unwatched, chr(10)) end"
    " from unnest(cast(:wallets as text[]), cast(:states as int2[]), cast(:reasons as text[]),"
    " cast(:completed_times as timestamptz[]), cast(:unwatched as text[]))"
    " as new (name, state, reason, completed_time, unwatched) where w.name = new.name),"
    " stated as (select feed_key, observed_time, cast(nullif(accounts, '') as jsonb) as accounts,"
    " is_whole from unnest(cast(:feed_keys as int[]), cast(:observed_times as timestamptz[]),"
    " cast(:accounts as text[]), cast(:wholes as bool[]))"
    " as new (feed_key, observed_time, accounts, is_whole)),"
    # What an answer that is not whole leaves out is not known; only a whole one says it is gone.
    " answered as (select feed_key, stated.observed_time, case when is_whole then stated.accounts"
    " else stated.accounts || coalesce((select jsonb_agg(one || cast(:unread as jsonb))"
    " from jsonb_array_elements(f.accounts) as one where not jsonb_path_query_array("
    "stated.accounts, '$[*].name') @> jsonb_build_array(one -> 'name')), '[]') end as accounts"
    " from stated join feed f using (feed_key)),"
    " written as (update feed f set observed_time = new.observed_time, failed = false,"
    " accounts = coalesce(new.accounts, f.accounts)"
    " from answered new where f.feed_key = new.feed_key)"
    # As they were before this statement.
    " select exists (select from feed f join answered new using (feed_key)"
    " where jsonb_path_query_array(new.accounts, '$[*].name')"
    " <> jsonb_path_query_array(coalesce(f.accounts, '[]'), '$[*].name'))"
)
_UNSEEN = Statement(
    "update position p set in_last_answer = false, mark_time = f.observed_time,"
    " last_seen_time = f.observed_time from feed f where f.feed_key = p.feed_key"
    " and p.in_last_answer and f.observed_time is not null and p.position_key = any(:keys)"
)
_MISSING = Statement(
    "with aged as (update position set status = 2, updated_time = :now"
    " where position_key = any(:keys) and status in (1, 2) returning position_key)"
    " insert into absence (position_key, cycle_id, missing_time)"
    " select position_key, :cycle_id, :now from aged on conflict do nothing"
)
_DELISTED = Statement(
    "update position set status = 2, updated_time = :now"
    " where position_key = any(:keys) and status = 1"
)
_ASKED = {"position_key": "int8", **dict.fromkeys(TERMS, "float8")}
_FOUND = Statement("delete from absence where position_key = any(:keys)")
_CLOSED = Statement(
    "with ended as (update position set status = 3, updated_time = :now"
    " where position_key = any(:keys)) delete from absence where position_key = any(:keys)"
)
# Of what ended the absences are forgotten, and the ended counted.
_COUNT_ENDED = (
    " returning p.position_key), counted as (delete from absence where position_key in"
    " (select position_key from ended)) select count(*) from ended"
)
_CLOSE_DEMO = Statement(
    "with ended as (update position p set status = 3, updated_time = :now"
    " where status not in (3, 4)"
    f" and feed_key in (select feed_key from feed where venue = 'demo'){_COUNT_ENDED}"
)
_FAILED = Statement("update feed set failed = true where feed_key = :feed_key and not failed")
_KNOWN_TERMS = Statement("select * from venue_terms where position_key = any(:keys)")
_REFUSED = Statement(
    f"update position set flag_bits = flag_bits | {1 << Flag.ROW_REFUSED}"
    " where position_key = any(:keys)"
)
# A subaccount by what the id names after the address, else a dex by what its asset begins with.
_PART = (
    "coalesce(substring(p.id from '^[a-z]+-[0-9a-f]{12}-(subaccount-[0-9a-f]{8}|[0-9]+)-'),"
    " case when a.name like '%_:%' then split_part(a.name, ':', 1) end)"
)
_PARTS = Statement(
    f"select w.name as wallet, f.venue, array_agg(distinct {_PART}) as parts"
    " from wallet w join feed f on f.wallet_key = w.wallet_key"
    " join position p on p.feed_key = f.feed_key join asset a on a.asset_key = p.asset_key"
    " where w.name = any(:wallets) and f.venue = any(:venues) and p.status in (1, 2, 5)"
    f" and {_PART} is not null group by w.name, f.venue"
)
_COUNTS = Statement(
    "select count(*) filter (where status = 1) as active, count(*) filter (where status = 2)"
    " as stale from position where status in (1, 2)"
)
_TERM_NAMES = ("maintenance_ratio", "hourly_carry_usd", "carry_source")
_TERMS = Statement(
    f"insert into venue_terms as old (position_key, {', '.join(_TERM_NAMES)})"
    f" select p.position_key, {', '.join(f'new.{name}' for name in _TERM_NAMES)}"
    " from unnest(cast(:ids as text[]), cast(:maintenance as float8[]), cast(:carry as float8[]),"
    f" cast(:sources as text[])) as new (id, {', '.join(_TERM_NAMES)})"
    " join position p on p.id = new.id on conflict (position_key) do update set"
    f" {', '.join(f'{name} = excluded.{name}' for name in _TERM_NAMES)}"
    f" where ({', '.join(f'old.{name}' for name in _TERM_NAMES)})"
    f" is distinct from ({', '.join(f'excluded.{name}' for name in _TERM_NAMES)})"
)
_REFUSE = Statement(
    insert(refused_row),
    ("refused_time", "wallet", "venue", "reason", "field", "masked_body"),
)


@dataclass(frozen=True, slots=True)
class Stamp:
    """A fetch that was answered; its time counts as the wallet's when the answer was complete,
    whatever of the account is not read: `unwatched`, in words. `accounts`: None leaves those that
    were stated before; where they are not all (`states_all`), those that are left out stay, unread.
    """

    wallet: str
    feed_key: int
    state: WalletSyncState
    reason: str
    observed_time: datetime
    complete: bool
    unwatched: tuple[str, ...] = ()
    accounts: tuple[StatedAccount, ...] | None = None
    states_all: bool = True


class SyncRowStore:
    """Effects of answers in one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def stored(
        self, feed_keys: Sequence[int], answers: AnswerColumns, cycle_id: str, id_cache: IdCache
    ) -> tuple[Stored, NDArray[np.int64], dict[str, int]]:
        """Positions of feeds (by answer) that are not over, and those the answers name; where each
        named one is among them (-1: nowhere); every asset's key.
        """
        (beside,) = await self._transaction.fetch(_BESIDE, feed_keys=feed_keys, cycle_id=cycle_id)
        where = f" where feed_key in ({', '.join(map(str, feed_keys))}) and status in (1, 2, 5)"
        columns = await copy_out(self._transaction, _INPUTS + where, _COLUMNS)
        # Ids are read only when the answers name others than the last time, or in another order.
        found: Sequence[str] = ()
        at = (
            None
            if answers.names_missing
            else id_cache.places(feed_keys, answers, columns["position_key"])
        )
        if at is None:
            found, columns, at = await self._named(feed_keys, answers.ids, columns)
            id_cache.keep(feed_keys, answers, columns["position_key"], at)
        assets = dict(zip(beside["asset_names"] or [], beside["asset_keys"] or [], strict=True))
        return Stored(found, _placed(columns, feed_keys), _absences(beside)), at, assets

    async def _named(
        self, feed_keys: Sequence[int], ids: Sequence[str], columns: dict[str, Column]
    ) -> tuple[Sequence[str], dict[str, Column], NDArray[np.int64]]:
        (names,) = await self._transaction.fetch(_IDS, feed_keys=feed_keys)
        of_ids = np.frombuffer(names["keys"] or b"", ">i8")
        found, columns = _joined(of_ids, names["ids"] or [], columns)
        at = matched(ids, found, columns["position_key"])
        others = np.flatnonzero(at < 0).tolist()
        if not others:
            return found, columns, at
        # Known elsewhere, or over; most often they are new and nothing is found.
        known = await self._transaction.fetch(_NAMED, ids=[ids[row] for row in others])
        places = {row["id"]: place for place, row in enumerate(known, len(found))}
        at[others] = [places.get(ids[row], -1) for row in others]
        columns = {
            name: np.append(column, np.array([row[name] for row in known], column.dtype))
            for name, column in columns.items()
        }
        return [*found, *places], columns, at

    async def apply(self, decision: Decision, cycle_id: str, now: datetime) -> None:
        """Everything of a decision but the written rows and the stamps, which come afterwards."""
        for statement, keys, values in (
            (_UNSEEN, decision.unseen_keys, {}),
            (_MISSING, decision.stale_keys, {"now": now, "cycle_id": cycle_id}),
            (_DELISTED, decision.delisted_keys, {"now": now}),
            (_CLOSED, decision.closed_keys, {"now": now}),
            (_FOUND, decision.found_keys, {}),
            (_REFUSED, decision.refused_keys, {}),
        ):
            if len(keys):
                await self._transaction.execute(statement, keys=keys.tolist(), **values)

    async def stamp(self, stamps: Sequence[Stamp]) -> bool:
        """Remember the outcomes of fetches that were answered; whether accounts came or went."""
        by_wallet = {one.wallet: one for one in stamps}.values()
        moved: bool = await self._transaction.scalar(
            _STAMP,
            wallets=[one.wallet for one in by_wallet],
            states=[int(one.state) for one in by_wallet],
            reasons=[one.reason for one in by_wallet],
            completed_times=[one.observed_time if one.complete else None for one in by_wallet],
            unwatched=["\n".join(one.unwatched) for one in by_wallet],
            feed_keys=[one.feed_key for one in stamps],
            observed_times=[one.observed_time for one in stamps],
            accounts=[
                "" if one.accounts is None else accounts_json(one.accounts) for one in stamps
            ],
            wholes=[one.states_all for one in stamps],
            unread=unread_fields(),
        )
        return moved

    async def stored_terms(self, feed_keys: Sequence[int]) -> dict[str, Column]:
        """What venues ask of the positions of feeds as it is known, ascending by position_key."""
        feeds = ", ".join(map(str, feed_keys))
        sql = f"select {', '.join(_ASKED)} from venue_terms join position using (position_key)"
        columns = await copy_out(self._transaction, f"{sql} where feed_key in ({feeds})", _ASKED)
        order = np.argsort(columns["position_key"])
        return {name: column[order] for name, column in columns.items()}

    async def keep_terms(self, ids: Sequence[str], asked: Mapping[str, Column]) -> None:
        """What the venue asks of these positions now (TERMS and carry_source, as in
        HoldingColumns); a carry no longer known is absent.
        """
        await self._transaction.execute(
            _TERMS,
            ids=ids,
            maintenance=asked["maintenance_ratio"].tolist(),
            carry=asked["hourly_carry_usd"].tolist(),
            sources=[CARRY_SOURCES[source] or "" for source in asked["carry_source"].tolist()],
        )

    async def terms(self, position_keys: Iterable[int]) -> dict[int, VenueTerms]:
        """What venues ask of these positions, by key, where something is known."""
        found = await self._transaction.fetch(_KNOWN_TERMS, keys=list(position_keys))
        return {row["position_key"]: _terms(row) for row in found}

    async def fail(self, feed_key: int) -> bool:
        """No usable answer: its positions' marks are stale from now on. Whether that is news."""
        return await self._transaction.execute(_FAILED, feed_key=feed_key) == 1

    async def parts(
        self, wallets: Sequence[str], venues: Sequence[str]
    ) -> dict[tuple[str, str], tuple[str, ...]]:
        """By wallet and venue the parts of it in which positions are that are not over."""
        found = await self._transaction.fetch(_PARTS, wallets=wallets, venues=venues)
        return {(row["wallet"], row["venue"]): tuple(row["parts"]) for row in found}

    async def refuse(
        self, wallet: str, venue: str, refusals: Sequence[Refusal], now: datetime
    ) -> None:
        """Remember rows that were not taken."""
        await self._transaction.many(
            _REFUSE,
            [
                {
                    "refused_time": now,
                    "wallet": wallet,
                    "venue": venue,
                    "reason": refusal.reason,
                    "field": refusal.field,
                    "masked_body": refusal.masked_body[:_BODY_LENGTH],
                }
                for refusal in refusals
            ],
        )

    async def refused_page(self, page: PageRequest) -> list[RefusedRow]:
        """Newest first, one more than the page holds."""
        query = apply(select(refused_row), [(refused_row.c.id, "desc")], page.after, page.size)
        return [rows.read(RefusedRow, row) for row in await self._transaction.fetch(query)]

    async def close_demo(self, now: datetime) -> int:
        """End every position of the simulation; how many were not over."""
        return int(await self._transaction.scalar(_CLOSE_DEMO, now=now))

    async def counts(self) -> tuple[int, int]:
        """ACTIVE and STALE positions."""
        (row,) = await self._transaction.fetch(_COUNTS)
        return row["active"], row["stale"]


def _terms(row: Row) -> VenueTerms:
    numbers = {name: None if isnan(row[name]) else row[name] for name in TERMS}
    return rows.read(VenueTerms, row, **numbers, carry_source=_source(row["carry_source"]))


def _source(word: str) -> CarrySource | None:
    return CarrySource(word) if word else None


def _joined(
    of_ids: Column, ids: Sequence[str], columns: dict[str, Column]
) -> tuple[Sequence[str], dict[str, Column]]:
    """Ids and columns of the same rows. They were read one after the other: what came or went
    between, or was moved, has to be found again.
    """
    of_rows = columns["position_key"]
    if not np.array_equal(of_ids, of_rows):
        _, left, right = np.intersect1d(of_ids, of_rows, assume_unique=True, return_indices=True)
        ids = [ids[place] for place in left.tolist()]
        columns = {name: column[right] for name, column in columns.items()}
    return ids, columns


def _placed(columns: Mapping[str, Column], feed_keys: Sequence[int]) -> dict[str, Column]:
    """The feed of a row as the place of its answer, -1 when it is none of these feeds."""
    placed = {
        name: column for name, column in columns.items() if name not in ("feed_key", "asset_key")
    }
    places = np.full(len(columns["feed_key"]), -1, np.int32)
    for place, key in enumerate(feed_keys):
        places[columns["feed_key"] == key] = place
    return placed | {"place": places, "asset": columns["asset_key"]}


def _absences(row: Row) -> Absences:
    keys = np.array(row["absent_keys"] or [], np.int64)
    order = np.argsort(keys)
    same_cycle = np.array(row["same_cycle"] or [], np.bool_)
    return Absences(
        keys[order], same_cycle[order], np.array(row["missing_micros"] or [], np.int64)[order]
    )
