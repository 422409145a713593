"""Hedges as they are: one, lists, their history, notes, and what a watcher is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from services.hedges.domain.grouping import Hedge
from services.hedges.domain.history import HistoryFilter, LinkChange
from services.hedges.service.ports import Begin, Positions
from services.hedges.store.sorting import order_of
from shared import paging
from shared.clock import Clock
from shared.errors import Conflict, NotFound
from shared.paging import Page


@dataclass(frozen=True, slots=True)
class View:
    """What a watcher was told last."""

    wallet: str
    asset: str
    revision: int = 0
    ids: frozenset[str] = field(default_factory=frozenset)


class HedgesService:
    """Shows hedges and keeps their notes."""

    def __init__(self, begin: Begin, read: Begin, positions: Positions, clock: Clock) -> None:
        self._begin = begin
        self._read = read
        self._positions = positions
        self._clock = clock
        self._changed: Callable[[], None] = lambda: None

    def on_change(self, changed: Callable[[], None]) -> None:
        """Call this after every write."""
        self._changed = changed

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
            check_etag(etag, hedge.etag)
            if note is not None and note != hedge.note:
                await store.note(id, note, self._clock.now())
                hedge = _there(await store.get(id), id)
        self._changed()
        return hedge

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


def _there(hedge: Hedge | None, id: str) -> Hedge:
    if hedge is None:
        raise NotFound("HEDGE_NOT_FOUND", f"no hedge {id[:80]!r}")
    return hedge


def check_etag(given: str, present: str) -> None:
    """An empty one asks for no check."""
    if given and given != present:
        raise Conflict(
            "ETAG_MISMATCH", "it was changed meanwhile; read it again", metadata={"etag": present}
        )
