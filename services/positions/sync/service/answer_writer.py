"""Writes what venues answered: all fetches that are ready in one transaction, which the fence of a
step lets through one at a time anyway. An answer that cannot be stored is stored alone, so that it
stops no other.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.positions.accounts.domain.stated_account import disbelieved
from services.positions.domain.venue_answer import (
    DELISTED,
    NUMBERS,
    Answer,
    Refusal,
    WalletSyncState,
)
from services.positions.enrichment.domain.enrichment import micros, places_of
from services.positions.service.ports import Begin
from services.positions.store import Store
from services.positions.sync.domain.answer_columns import (
    AnswerColumns,
    answered,
    is_complete,
    joined,
    overlap,
)
from services.positions.sync.domain.holding_columns import TERMS
from services.positions.sync.domain.sync_rows import (
    Decision,
    Reason,
    decide,
    under_side_names,
)
from services.positions.sync.service.forced_ends import Shrunk
from services.positions.sync.service.happenings import happened, shrank
from services.positions.sync.service.plausibility import ImplausibleRow, check_plausibility
from services.positions.sync.service.sync_result import SyncResult, WalletSync
from services.positions.sync.store.id_cache import IdCache
from services.positions.sync.store.sync_rows import Stamp
from shared.clock import Clock
from shared.database.fence import EpochAhead, StaleEpoch, Step
from shared.names import new_id

_GONE: Final = (
    Reason.MISSING_ONCE,
    Reason.MISSING_IN_SAME_CYCLE,
    Reason.MISSING_TOO_SOON,
    Reason.MISSING_TWICE,
    Reason.TURNED,
)
# More changed rows are merged by COPY, and arithmetic on so many leaves the event loop.
_BULK_ROWS: Final = 2000
_MOST_TOLD: Final = 8


@dataclass(frozen=True, slots=True)
class _Fetched:
    wallet: str
    venue: str
    answer: Answer
    rows: AnswerColumns
    outcome: asyncio.Future[WalletSync]


class AnswerWriter:
    """The answers of one sync."""

    def __init__(
        self,
        begin: Begin,
        clock: Clock,
        step: Step,
        id_cache: IdCache,
        market_usd: Mapping[str, float] | None = None,
    ) -> None:
        """`market_usd`: fresh prices by asset, against which leaps of marks are checked."""
        self._begin = begin
        self._market_usd = market_usd or {}
        self._clock = clock
        self._step = step
        self._id_cache = id_cache
        self._cycle_id = step.cycle_id or new_id("sync")
        self._ready: list[_Fetched] = []
        # What shrank by the answers that were stored, by wallet and venue.
        self.shrunk: dict[tuple[str, str], Sequence[Shrunk]] = {}
        self._busy = False

    async def keep(self, wallet: str, venue: str, answer: Answer) -> WalletSync:
        """Store this answer, with others that are ready. Raises Conflict, STALE_EPOCH too."""
        bulky = len(answer.holdings) > _BULK_ROWS
        rows = await asyncio.to_thread(answered, answer) if bulky else answered(answer)
        return await self.keep_rows(wallet, venue, answer, rows)

    async def keep_rows(
        self, wallet: str, venue: str, answer: Answer, rows: AnswerColumns
    ) -> WalletSync:
        """The same when the answer's rows are columns already."""
        outcome: asyncio.Future[WalletSync] = asyncio.get_running_loop().create_future()
        self._ready.append(_Fetched(wallet, venue, answer, rows, outcome))
        if not self._busy:
            self._busy = True
            try:
                # Venues that need no network answer in the same turn of the loop.
                await asyncio.sleep(0)
                while self._ready:
                    group, self._ready = self._ready, []
                    await self._together(group)
            finally:
                self._busy = False
        return await outcome

    async def _together(self, group: Sequence[_Fetched]) -> None:
        if len(group) > 1 and overlap([one.rows for one in group]):
            return await self._apart(group)
        try:
            outcomes = await self._store(group)
        except Exception as error:  # noqa: BLE001  told to those who wait; the others are tried by themselves
            if len(group) > 1 and not isinstance(error, (StaleEpoch, EpochAhead)):
                return await self._apart(group)
            for one in group:
                one.outcome.set_exception(error)
        else:
            for one, outcome in zip(group, outcomes, strict=True):
                one.outcome.set_result(outcome)

    async def _apart(self, group: Sequence[_Fetched]) -> None:
        for one in group:
            await self._together([one])

    async def _store(self, group: Sequence[_Fetched]) -> list[WalletSync]:
        rows = joined([one.rows for one in group])
        async with self._begin() as store:
            await store.enter(self._step, SyncResult)
            pairs = [(one.wallet, one.venue) for one in group]
            feeds = await store.wallets.feed_keys(pairs)
            if len(feeds) < len(group):
                if len(group) > 1:
                    raise LookupError("a wallet was deleted while it was fetched")
                return [_deleted(group[0])]
            decision, records, shrunk = await self._apply(
                store, [feeds[pair] for pair in pairs], rows, pairs
            )
            recorded = [_with_refusals(one, place, records) for place, one in enumerate(group)]
            stamps = [_stamp(one, feeds[one.wallet, one.venue]) for one in recorded]
            if await store.sync_rows.stamp(stamps) and not decision.regrouped.any():
                await store.enrichment.bump_membership()
            for one in recorded:
                if one.answer.refusals:
                    refusals = one.answer.refusals
                    await store.sync_rows.refuse(one.wallet, one.venue, refusals, self._clock.now())
        self.shrunk |= shrunk
        return _outcomes(recorded, decision)

    async def _apply(
        self,
        store: Store,
        feed_keys: Sequence[int],
        rows: AnswerColumns,
        pairs: Sequence[tuple[str, str]],
    ) -> tuple[Decision, Sequence[ImplausibleRow], Mapping[tuple[str, str], Sequence[Shrunk]]]:
        known, at, assets = await store.sync_rows.stored(
            feed_keys, rows, self._cycle_id, self._id_cache
        )
        plain_ids, turned = rows.ids, under_side_names(known, rows, at)
        if turned is not None:
            rows = turned
            known, at, assets = await store.sync_rows.stored(
                feed_keys, rows, self._cycle_id, self._id_cache
            )
        if not assets.keys() >= set(rows.asset_names):
            assets = await store.positions.asset_keys(rows.asset_names)
        asset_keys = np.array([assets[name] for name in rows.asset_names], np.int32)[
            rows.columns["asset"]
        ]
        now, quarantined = self._clock.now(), await store.quarantine.read(feed_keys)
        checked = check_plausibility(
            known, rows, at, asset_keys, assets, self._market_usd, quarantined
        )
        if checked.records:
            implausible = {one.place for one in checked.records}
            complete = tuple(
                one and place not in implausible for place, one in enumerate(rows.complete)
            )
            rows = replace(rows, complete=complete)
        judged = (known, rows, asset_keys, at, now, checked.reasons, plain_ids)
        if len(rows.ids) + len(known.columns["side"]) > _BULK_ROWS:
            decision = await asyncio.to_thread(decide, *judged)
        else:
            decision = decide(*judged)
        events = await happened(store, decision, known, rows, at, assets, pairs, feed_keys, now)
        shrunk = await shrank(store, events, pairs, now)
        await store.sync_rows.apply(decision, self._cycle_id, now)
        await _write(store, decision, rows, np.array(feed_keys, np.int32), asset_keys, now)
        await _keep_terms(store, feed_keys, decision, rows)
        await checked.settle(store.quarantine)
        if decision.regrouped.any():
            await store.enrichment.bump_membership()
        if events:
            await store.events.append(events, pairs, self._step.cycle_id, now)
        return decision, checked.records, shrunk


async def _write(
    store: Store,
    decision: Decision,
    rows: AnswerColumns,
    feed_keys: NDArray[np.int32],
    asset_keys: NDArray[np.int32],
    now: datetime,
) -> None:
    """New and changed rows; thousands go by COPY."""
    place, written = rows.columns["place"], decision.written
    columns = {
        "feed_key": feed_keys[place],
        "asset_key": asset_keys,
        **{name: rows.columns[name] for name in ("side", "flag_bits", *NUMBERS)},
        "in_last_answer": np.ones(len(place), np.bool_),
    }
    is_new = decision.known_keys[written] < 0
    times = np.array([micros(one) for one in rows.observed_times], np.int64)
    bulk = columns | {"mark_time": times[place]}
    stored, opened = written[~is_new], written[is_new]
    if len(stored) > _BULK_ROWS:
        merged = bulk | {"position_key": decision.known_keys}
        await store.positions.merge({name: column[stored] for name, column in merged.items()}, now)
        written = opened
    # An id that another process gave away meanwhile is found by the statement below.
    if len(opened) > _BULK_ROWS and await store.positions.insert(
        [rows.ids[row] for row in opened.tolist()],
        {name: column[opened] for name, column in bulk.items()},
        now,
    ):
        written = written[decision.known_keys[written] >= 0]
    if len(written):
        texts = {
            "id": [rows.ids[row] for row in written.tolist()],
            "mark_time": [rows.observed_times[of] for of in place[written].tolist()],
            "note": [""] * len(written),
        }
        await store.positions.write(
            texts | {name: column[written].tolist() for name, column in columns.items()}, now
        )


async def _keep_terms(
    store: Store, feed_keys: Sequence[int], decision: Decision, rows: AnswerColumns
) -> None:
    """What venues ask now, of those rows of which they ask something else than what is kept."""
    stated = rows.columns["has_terms"]
    if not stated.any():
        return
    kept = await store.sync_rows.stored_terms(feed_keys)
    if len(kept["position_key"]):
        places = places_of(decision.known_keys, kept["position_key"])
        same = places >= 0
        for name in TERMS:
            old, new = kept[name][places], rows.columns[name]
            same &= (old == new) | (np.isnan(old) & np.isnan(new))
        stated = stated & ~same
    changed = np.flatnonzero(stated).tolist()
    if changed:
        asked = {name: rows.columns[name][changed] for name in (*TERMS, "carry_source")}
        await store.sync_rows.keep_terms([rows.ids[row] for row in changed], asked)


def _with_refusals(fetched: _Fetched, place: int, records: Sequence[ImplausibleRow]) -> _Fetched:
    """The answer with those of its rows as refused that are not believed."""
    refused = [one for one in records if one.place == place]
    if not refused:
        return fetched
    answer = fetched.answer
    refusals = tuple(
        Refusal(
            one.reason, one.field, json.dumps(one.figures, separators=(",", ":")), one.position_id
        )
        for one in refused
    )
    words = "; ".join(dict.fromkeys(one.message for one in refused[:_MOST_TOLD]))
    message = f"{answer.message}; {words}" if answer.message else words
    # The accounts rest on the same marks and sizes.
    accounts = None if answer.accounts is None else disbelieved(answer.accounts)
    refusals = answer.refusals + refusals
    answer = replace(answer, refusals=refusals, message=message, accounts=accounts)
    return replace(fetched, answer=answer)


def _stamp(fetched: _Fetched, feed_key: int) -> Stamp:
    answer = fetched.answer
    complete, unwatched = is_complete(answer), tuple(one.words for one in answer.unwatched)
    left = any(one.reason != DELISTED for one in answer.unwatched)
    whole = complete and not left
    state = WalletSyncState.COMPLETE if whole else WalletSyncState.PARTIAL
    reason = answer.incomplete_reason or ("ROWS_REFUSED" if answer.refusals else "")
    if left and not reason:
        reason = "NOT_WATCHED"
    return Stamp(
        fetched.wallet,
        feed_key,
        state,
        reason,
        answer.observed_time,
        complete,
        unwatched,
        answer.accounts,
        states_all=complete and not answer.delisted_ids,
    )


def _deleted(fetched: _Fetched) -> WalletSync:
    message = "The wallet was deleted while it was fetched."
    return WalletSync(
        fetched.wallet, fetched.venue, WalletSyncState.FAILED, "WALLET_NOT_FOUND", message
    )


def _outcomes(group: Sequence[_Fetched], decision: Decision) -> list[WalletSync]:
    opened = decision.counts(Reason.OPENED, Reason.REOPENED)
    changed = decision.counts(Reason.CHANGED, Reason.RETURNED)
    stale = decision.counts(Reason.MISSING_ONCE, Reason.DELISTED)
    closed = decision.counts(Reason.MISSING_TWICE, Reason.TURNED)
    gone = decision.counts(*_GONE)
    outcomes = []
    for place, one in enumerate(group):
        stamp = _stamp(one, 0)
        outcomes.append(
            WalletSync(
                wallet=one.wallet,
                venue=one.venue,
                state=stamp.state,
                reason=stamp.reason,
                message="; ".join(filter(None, (one.answer.message, *stamp.unwatched))),
                row_count=one.answer.row_count,
                refused_count=len(one.answer.refusals),
                opened_count=opened[place],
                changed_count=changed[place],
                stale_count=stale[place],
                closed_count=closed[place],
                urgent=bool(decision.regrouped[place]),
                unwatched=stamp.unwatched,
                gone=gone[place] > 0,
            )
        )
    return outcomes
