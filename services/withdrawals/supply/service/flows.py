"""Flows and references, by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from services.withdrawals.supply.domain.rows import (
    FlowFilter,
    FlowRow,
    ReferenceRow,
    RowSource,
    key_of,
)
from services.withdrawals.supply.domain.stored import doubles, noted
from services.withdrawals.supply.ports import Watched
from services.withdrawals.supply.store.supply import Begin
from shared import paging
from shared.clock import Clock
from shared.errors import AlreadyExists, NotFound
from shared.names import new_id
from shared.paging import Page


class FlowsService:
    """Lists, adds and deletes flows and references."""

    def __init__(self, begin: Begin, read: Begin, watched: Watched, clock: Clock) -> None:
        self._begin = begin
        self._read = read
        self._watched = watched
        self._clock = clock

    async def flows(self, page_size: int, page_token: str, wanted: FlowFilter) -> Page[FlowRow]:
        """Newest first; what the venue and another program told is one, the venue's."""
        context = paging.context("flows", wanted)
        page = paging.parse(page_size, page_token, context=context)
        async with self._read() as store:
            doubled, notes = doubles(await store.alike(wanted.asset, wanted.wallet))
            found = await store.flow_page(page, wanted, doubled)
        found = [noted(row, notes) for row in found]
        return paging.cut(found, page, context, lambda row: (row.flow_time, row.key))

    async def create_flow(self, row: FlowRow) -> FlowRow:
        """ASSET_NOT_FOUND; AlreadyExists ALREADY_THERE for the same transaction, wallet, market and
        kind. A flow without a transaction gets an id in its place.
        """
        asset = await self._watched.named(row.asset)
        now = self._clock.now()
        fresh = replace(
            row,
            asset=asset.settings.name,
            tx_id=row.tx_id or new_id("hand"),
            source=RowSource.HAND,
            created_time=now,
        )
        async with self._begin() as store:
            keys = await store.add_flows([fresh], now)
            await store.input_changed([fresh.asset])
        if not keys:
            raise AlreadyExists("ALREADY_THERE", "this flow of this transaction is there")
        return replace(fresh, key=keys[0])

    async def delete_flow(self, id: str) -> None:
        """One of the venue comes back with the next synchronisation. NotFound ROW_NOT_FOUND."""
        async with self._begin() as store:
            row = await store.delete_flow(key_of(id, "flow"))
            if row is None:
                raise _no_row("flow", id)
            await store.input_changed([row.asset])
            if row.source is RowSource.SYNC:
                await store.draw_cursor_back(row.wallet, row.flow_time)

    async def references(self, page_size: int, page_token: str, asset: str) -> Page[ReferenceRow]:
        """Newest first."""
        context = paging.context("references", asset)
        page = paging.parse(page_size, page_token, context=context)
        async with self._read() as store:
            found = await store.reference_page(page, asset)
        return paging.cut(found, page, context, lambda row: (row.reference_time, row.key))

    async def set_reference(self, make: Callable[[datetime], ReferenceRow]) -> ReferenceRow:
        """`make` gets this moment. NotFound ASSET_NOT_FOUND."""
        now = self._clock.now()
        row = replace(make(now), created_time=now)
        asset = await self._watched.named(row.asset)
        row = replace(row, asset=asset.settings.name)
        async with self._begin() as store:
            await store.input_changed([row.asset])
            return replace(row, key=await store.set_reference(row))

    async def delete_reference(self, id: str) -> None:
        """NotFound ROW_NOT_FOUND."""
        async with self._begin() as store:
            asset = await store.delete_reference(key_of(id, "ref"))
            if asset is None:
                raise _no_row("reference", id)
            await store.input_changed([asset])


def _no_row(noun: str, id: str) -> NotFound:
    return NotFound("ROW_NOT_FOUND", f"no {noun} {id[:64]!r}")
