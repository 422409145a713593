"""Use cases of hedges: read the columns, pair them, write what changed; what-ifs about a hedge."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

import numpy as np

from services.hedges.domain import ladder, modifiers, rebalance
from services.hedges.domain.evaluation import Evaluation, check_count, evaluate
from services.hedges.domain.grouping import (
    Change,
    Group,
    Grouping,
    Hedge,
    Linking,
    Stored,
    grouped,
    members,
    pair,
    relink,
    unsettled,
)
from services.hedges.domain.history import HistoryFilter, LinkChange, written
from services.hedges.domain.holdings import Holdings, Legs
from services.hedges.domain.modifiers import Modifiers
from services.hedges.store.hedges import Store
from services.hedges.store.sorting import order_of
from shared import allocator, paging
from shared.clock import Clock
from shared.database.fence import Step
from shared.errors import Conflict, FailedPrecondition, NotFound
from shared.names import new_id
from shared.paging import Page

Begin = Callable[[], AbstractAsyncContextManager[Store]]

# Above this many rows the pairing takes longer than 5 ms and leaves the event loop.
_THREAD_ROW_COUNT = 20_000
_MORE_TRIES = 4


class Positions(Protocol):
    """Where the columns come from. All raise Unavailable POSITIONS_UNAVAILABLE."""

    async def read(self) -> Holdings:
        """ACTIVE and STALE positions."""

    async def ids(self, position_keys: Sequence[int]) -> Mapping[int, str]:
        """Text ids by key, of those of these positions that are held."""

    async def legs(self, wallet: str, asset: str, position_ids: Collection[str]) -> Legs:
        """Those of these ids that are held in the wallet, of the asset, on a known side."""

    async def has_wallet(self, name: str) -> bool:
        """Whether a wallet is named so."""

    async def has_position(self, id: str) -> bool:
        """Whether it is a position's id, a closed one's too."""


@dataclass(frozen=True, slots=True)
class Held:
    """A hedge's members as held now; `gone_position_ids` are those that are not."""

    legs: Legs
    gone_position_ids: list[str]


@dataclass(frozen=True, slots=True)
class Advised:
    """An advice at one price, with the figures after it."""

    held: Held
    row: int
    advice: rebalance.Advice
    after: Evaluation
    fee_usd: float


@dataclass(frozen=True, slots=True)
class Corridor:
    """Both ladders of a hedge and the price their distances are from (NaN: none)."""

    held: Held
    reference_price_usd: float
    down: ladder.Ladder
    up: ladder.Ladder


@dataclass(frozen=True, slots=True)
class View:
    """What a watcher was told last."""

    wallet: str
    asset: str
    revision: int = 0
    ids: frozenset[str] = field(default_factory=frozenset)


class HedgesService:
    """Links, unlinks, shows and weighs hedges."""

    def __init__(
        self,
        begin: Begin,
        read: Begin,
        positions: Positions,
        clock: Clock,
        history_kept: timedelta,
    ) -> None:
        self._begin = begin
        self._read = read
        self._positions = positions
        self._clock = clock
        self._history_kept = history_kept
        self._changed: Callable[[], None] = lambda: None
        # As the last pass of this process left it; it may be old.
        self._linked: Mapping[tuple[str, str], Stored] | None = None
        # Of the last pass; a quiet one has the same.
        self._grouping: Grouping | None = None
        self._named_many = False

    def on_change(self, changed: Callable[[], None]) -> None:
        """Call this after every write."""
        self._changed = changed

    async def link(self, step: Step) -> Linking:
        """Group what is held now; the same cycle again answers from its record."""
        holdings = await self._positions.read()
        if len(holdings) > _THREAD_ROW_COUNT:
            groups = await asyncio.to_thread(self._pair, holdings)
        else:
            groups = self._pair(holdings)
        return await self._write(step, holdings, groups)

    def _pair(self, holdings: Holdings) -> list[Group]:
        if self._grouping is None or not self._grouping.fits(holdings):
            self._grouping = grouped(holdings)
        return pair(holdings, self._grouping)

    async def unlink(self) -> int:
        """Remove every hedge."""
        return (await self._write(Step("UNLINK_HEDGES"), None, ())).unlinked_count

    async def _write(
        self, step: Step, holdings: Holdings | None, groups: Sequence[Group]
    ) -> Linking:
        """By what this process knows; where that has moved, by what is stored. `holdings` None:
        unlinked by hand.
        """
        known = self._linked
        for is_again in (False, *[True] * _MORE_TRIES):
            if known is None:
                async with self._read() as store:
                    known = await store.linked()
            change = relink(known, groups, new_hedge_id)
            after = await self._members(holdings, change)
            change = unsettled(change, after)
            async with self._begin() if is_again else self._read() as store:
                if is_again:
                    await store.lock()
                linking = await self._attempt(store, step, known, change, holdings, after)
            if linking is not None:
                self._changed()
                return linking
            known = None
        raise RuntimeError("hedges moved each time they were to be written")

    async def _members(
        self, holdings: Holdings | None, change: Change
    ) -> Mapping[str, tuple[str, ...]]:
        """Of groups that came or have other members."""
        touched = change.linked + change.regrouped
        if holdings is None or not touched:
            # What the texts of many took is not needed again soon.
            if self._named_many:
                await asyncio.to_thread(allocator.give_back)
            self._named_many = False
            return {}
        rows = np.concatenate([group.rows for _, group in touched])
        self._named_many = len(rows) > _THREAD_ROW_COUNT
        ids = await self._positions.ids(holdings.position_key[rows].tolist())
        return members(touched, holdings, ids)

    async def _attempt(
        self,
        store: Store,
        step: Step,
        known: Mapping[tuple[str, str], Stored],
        change: Change,
        holdings: Holdings | None,
        after: Mapping[str, tuple[str, ...]],
    ) -> Linking | None:
        """Write in one statement what was decided by what is known; None when that has moved."""
        now = self._clock.now()
        # Read before anything is written: what joined and left is the difference.
        touched = [id for id, _ in change.unlinked + change.regrouped]
        before = await store.members(touched) if touched else {}
        if before.keys() != set(touched):
            return None
        made = written(change, holdings, before, after)
        linking = _linking(change, 0 if holdings is None else len(holdings))
        done = await store.commit(step, linking, known, made, now, now - self._history_kept)
        if done is linking:
            self._linked = {
                (group.wallet, group.asset): Stored(id, group.member_signature)
                for id, group in change.kept + change.linked
            }
        return done

    async def get(self, id: str) -> Hedge:
        """One hedge; NotFound HEDGE_NOT_FOUND."""
        async with self._read() as store:
            return _there(await store.get(id), id)

    async def list(
        self,
        page_size: int,
        page_token: str,
        wallet: str,
        asset: str,
        position_id: str,
        order_by: str,
    ) -> Page[Hedge]:
        """Hedges by wallet and asset, or as `order_by` says.

        UNKNOWN_NAME, WALLET_NOT_FOUND, POSITION_NOT_FOUND.
        """
        order = order_of(order_by)
        context = paging.context("hedges", wallet, asset, position_id, order)
        page = paging.parse(page_size, page_token, context=context)
        async with self._read() as store:
            rows = await store.list(page, wallet, asset, position_id, order.columns())
        if not rows:
            await self.refuse_unknown(wallet, position_id)
        return paging.cut(rows, page, context, order.key)

    async def history(
        self, page_size: int, page_token: str, wanted: HistoryFilter
    ) -> Page[LinkChange]:
        """Changes of groups, newest first; HEDGE_NOT_FOUND, WALLET_NOT_FOUND."""
        context = paging.context("history", wanted)
        page = paging.parse(page_size, page_token, context=context)
        async with self._read() as store:
            rows = await store.history(page, wanted)
            known = (
                bool(rows) or not wanted.hedge_id or await store.remembers(hedge_id=wanted.hedge_id)
            )
            if not known:
                _there(await store.get(wanted.hedge_id), wanted.hedge_id)
        if not rows:
            await self.refuse_unknown(wanted.wallet)
        return paging.cut(rows, page, context, lambda change: (change.id,))

    async def refuse_unknown(self, wallet: str = "", position_id: str = "") -> None:
        """WALLET_NOT_FOUND, POSITION_NOT_FOUND: an empty list would say that there is no hedge of
        it.

        What the history names was there once.
        """
        async with self._read() as store:
            if wallet and await store.remembers(wallet=wallet):
                wallet = ""
            if position_id and await store.remembers(position_id=position_id):
                position_id = ""
        if wallet and not await self._positions.has_wallet(wallet):
            raise NotFound("WALLET_NOT_FOUND", f"no wallet is named {wallet[:80]!r}")
        if position_id and not await self._positions.has_position(position_id):
            raise NotFound("POSITION_NOT_FOUND", f"no position has id {position_id[:80]!r}")

    async def write_note(self, id: str, note: str | None, etag: str) -> Hedge:
        """Change the note (None: leave it); NotFound HEDGE_NOT_FOUND, Conflict ETAG_MISMATCH."""
        async with self._begin() as store:
            await store.lock()
            hedge = _there(await store.get(id), id)
            _check_etag(etag, hedge.etag)
            if note is not None and note != hedge.note:
                await store.note(id, note, self._clock.now())
                hedge = _there(await store.get(id), id)
        self._changed()
        return hedge

    async def evaluate(self, id: str, prices_usd: Sequence[float]) -> tuple[Held, Evaluation]:
        """The members at prices, each at its own mark for none; TOO_MANY_FIGURES, MEMBERS_GONE."""
        held = await self._held(id)
        check_count(len(prices_usd), len(held.legs))
        return held, evaluate(
            held.legs, held.legs.at(prices_usd) if prices_usd else held.legs.marks
        )

    async def advise(
        self,
        id: str,
        target: rebalance.Target,
        side: int,
        changing: rebalance.Field,
        position_id: str,
        price_usd: float | None,
    ) -> Advised:
        """What to change of one leg of a side; LEG_NOT_FOUND, MEMBERS_GONE."""
        held, values = await self._held(id), await self.modifiers()
        legs = held.legs
        row = rebalance.largest(legs, side, position_id)
        prices = legs.marks if price_usd is None else legs.at([price_usd])
        advice = rebalance.advise(legs, rebalance.Question(target, row, changing), prices)
        collateral_usd, size_usd = float(advice.collateral_usd[0]), float(advice.size_usd[0])
        after = evaluate(rebalance.applied(legs, row, collateral_usd, size_usd), prices)
        return Advised(
            held, row, advice, after, values.fee_usd(size_usd - float(legs.size_usd[row]))
        )

    async def corridor(self, id: str, price_usd: float | None) -> Corridor:
        """Where legs liquidate, from a price or the median of the marks; MEMBERS_GONE."""
        held = await self._held(id)
        reference = ladder.reference_price(held.legs) if price_usd is None else price_usd
        return Corridor(
            held, reference, ladder.down(held.legs, reference), ladder.up(held.legs, reference)
        )

    async def _held(self, id: str) -> Held:
        hedge = await self.get(id)
        legs = await self._positions.legs(hedge.wallet, hedge.asset, hedge.position_ids)
        if not len(legs):
            raise FailedPrecondition(
                "MEMBERS_GONE", f"no member of {id!r} is held any more; link the hedges again"
            )
        held = set(legs.position_ids)
        return Held(
            legs, [position_id for position_id in hedge.position_ids if position_id not in held]
        )

    async def modifiers(self) -> Modifiers:
        """As set, or the defaults."""
        async with self._read() as store:
            return await store.modifiers()

    async def set_modifiers(self, values: Mapping[str, object], etag: str) -> Modifiers:
        """Replace them; InvalidArgument MODIFIER_*, Conflict ETAG_MISMATCH."""
        wanted = modifiers.checked(values)
        async with self._begin() as store:
            await store.lock()
            _check_etag(etag, (await store.modifiers()).etag)
            await store.set_modifiers(wanted)
        return wanted

    async def import_modifiers(self, content: str) -> tuple[Modifiers, Sequence[str]]:
        """Replace them by those of a JSON text; also the groups that were left alone."""
        wanted, ignored = modifiers.imported(content)
        async with self._begin() as store:
            await store.set_modifiers(wanted)
        return wanted, ignored

    async def revision(self) -> tuple[int, int]:
        """Changes with every change of any hedge."""
        async with self._read() as store:
            return await store.revision()

    async def news(self, view: View) -> tuple[View, Sequence[Hedge], Sequence[str]]:
        """News for one who knows `view`: hedges new or changed, ids that ended, the view then."""
        async with self._read() as store:
            changed = await store.since(view.revision, view.wallet, view.asset)
            # Read last: what ended in between is told as ended.
            present = await store.ids(view.wallet, view.asset)
        known = view.ids | {hedge.id for hedge in changed}
        newest = max((hedge.revision for hedge in changed), default=view.revision)
        kept = View(view.wallet, view.asset, newest, frozenset(known & present))
        return kept, [hedge for hedge in changed if hedge.id in present], sorted(view.ids - present)


def new_hedge_id() -> str:
    return new_id("hedge")


def _there(hedge: Hedge | None, id: str) -> Hedge:
    if hedge is None:
        raise NotFound("HEDGE_NOT_FOUND", f"no hedge {id[:80]!r}")
    return hedge


def _check_etag(given: str, present: str) -> None:
    """An empty one asks for no check."""
    if given and given != present:
        raise Conflict(
            "ETAG_MISMATCH", "it was changed meanwhile; read it again", metadata={"etag": present}
        )


def _linking(change: Change, position_count: int) -> Linking:
    return Linking(
        linked_count=len(change.linked),
        unlinked_count=len(change.unlinked),
        hedge_count=len(change.kept) + len(change.linked),
        position_count=position_count,
    )
