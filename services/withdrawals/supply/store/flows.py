"""Flows and references in and out, and the holdings they are of."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select

from services.withdrawals.gains.domain.flows import FlowKind, Holding
from services.withdrawals.supply.domain.rows import (
    DEMO_MARKET,
    FlowFilter,
    FlowRow,
    ReferenceRow,
    RowSource,
)
from services.withdrawals.supply.domain.stored import DOUBLES_APART
from services.withdrawals.tables import flow, holding, reference
from shared import rows
from shared.database.keyset import Ordering, apply
from shared.database.statement import Row, Statement
from shared.database.transaction import Transaction
from shared.paging import PageRequest

HoldingName = tuple[str, str, str]
_KINDS = {1: FlowKind.DEPOSIT, 2: FlowKind.WITHDRAWAL}
_NUMBERS = {kind: number for number, kind in _KINDS.items()}
_HOLDINGS = Statement(
    "with wanted as (select distinct * from unnest(cast(:assets as text[]),"
    " cast(:wallets as text[]), cast(:markets as text[])) as wanted (asset, wallet, market)),"
    " made as (insert into holding (asset, wallet, market) select * from wanted"
    " on conflict (asset, wallet, market) do nothing returning key, asset, wallet, market)"
    " select key, asset, wallet, market from made union all"
    " select key, asset, wallet, market from holding join wanted using (asset, wallet, market)"
)
_TOLD = Statement(
    "select wallet, market from holding where asset = :asset and"
    " (exists (select from flow where holding_key = holding.key and source = :source)"
    " or exists (select from sample where holding_key = holding.key and source = :source))"
    " order by wallet, market"
)
_INSERT = Statement(
    "insert into flow (holding_key, kind, tx_id, units, flow_time, note, source, receipt_units,"
    " exchange_rate, created_time)"
    " select * from unnest(cast(:holding_key as int4[]), cast(:kind as int2[]),"
    " cast(:tx_id as text[]), cast(:units as numeric[]), cast(:flow_time as timestamptz[]),"
    " cast(:note as text[]), cast(:source as int2[]), cast(:receipt_units as numeric[]),"
    " cast(:exchange_rate as float8[]), cast(:created_time as timestamptz[]))"
    " on conflict (holding_key, tx_id, kind) do nothing returning key"
)
_COLUMNS = (
    "flow.key, holding.asset, holding.wallet, holding.market, flow.kind, flow.tx_id, flow.units,"
    " flow.flow_time, flow.note, flow.source, flow.receipt_units, flow.exchange_rate,"
    " flow.created_time"
)
_OF_ASSET = Statement(
    f"select {_COLUMNS} from flow join holding on holding.key = flow.holding_key"
    " where holding.asset = :asset and flow.flow_time <= :until"
    " and (holding.market = :demo_market) = :demo order by flow.flow_time, flow.key"
)
# Flows that may be one, told by two: which of them are is the domain's rule.
_ALIKE = Statement(
    f"select {_COLUMNS} from flow join holding on holding.key = flow.holding_key"
    " where (:asset = '' or holding.asset = :asset) and (:wallet = '' or holding.wallet = :wallet)"
    " and flow.source = any(:sources) and exists (select from flow other"
    " where other.holding_key = flow.holding_key and other.kind = flow.kind"
    " and other.source = any(:sources) and other.source <> flow.source"
    " and other.flow_time >= flow.flow_time - cast(:apart as interval)"
    " and other.flow_time <= flow.flow_time + cast(:apart as interval)"
    " and abs(other.units - flow.units) <= 0.000001) order by flow.flow_time, flow.key"
)
_DELETE = Statement(
    f"delete from flow using holding where holding.key = flow.holding_key and flow.key = :key"
    f" returning {_COLUMNS}"
)
_REFERENCES = Statement(
    "select * from reference where asset = :asset and reference_time <= :until order by key"
)
_SET_REFERENCE = Statement(
    "insert into reference (asset, wallet, reference_time, tx_id, note, actor, created_time)"
    " values (:asset, :wallet, :reference_time, :tx_id, :note, :actor, :created_time)"
    " returning key"
)
_DELETE_REFERENCE = Statement("delete from reference where key = :key returning asset")


class FlowRows:
    """Flows and references of one transaction."""

    _transaction: Transaction

    async def holding_keys(self, names: Iterable[HoldingName]) -> dict[HoldingName, int]:
        """The key of each, made where it is new."""
        wanted = sorted(set(names))
        columns = list(zip(*wanted, strict=True)) or [(), (), ()]
        found: dict[HoldingName, int] = {}
        # Whoever made one meanwhile is not seen by the first look.
        while wanted and len(found) < len(wanted):
            answered = await self._transaction.fetch(
                _HOLDINGS,
                assets=list(columns[0]),
                wallets=list(columns[1]),
                markets=list(columns[2]),
            )
            found = {(row["asset"], row["wallet"], row["market"]): row["key"] for row in answered}
        return found

    async def add_flows(self, flows: Sequence[FlowRow], now: datetime) -> list[int]:
        """Keys of those that are new; one of the same identity that is there stays as it is."""
        keys = await self.holding_keys((row.asset, row.wallet, row.market) for row in flows)
        columns: Mapping[str, list[Any]] = {
            "holding_key": [keys[row.asset, row.wallet, row.market] for row in flows],
            "kind": [_NUMBERS[row.kind] for row in flows],
            "source": [int(row.source) for row in flows],
            "created_time": [now] * len(flows),
            **{
                name: [getattr(row, name) for row in flows]
                for name in (
                    *("tx_id", "units", "flow_time", "note"),
                    *("receipt_units", "exchange_rate"),
                )
            },
        }
        return [row["key"] for row in await self._transaction.fetch(_INSERT, **columns)]

    async def flows(self, asset: str, until: datetime, *, demo: bool) -> list[FlowRow]:
        """Of an asset up to a moment, ascending by time; `demo`: those of the simulated
        market alone, else all others.
        """
        found = await self._transaction.fetch(
            _OF_ASSET, asset=asset, until=until, demo_market=DEMO_MARKET, demo=demo
        )
        return [_flow(row) for row in found]

    async def told_holdings(self, asset: str) -> list[Holding]:
        """Of an asset, those of which the venue ever told a flow or a sample."""
        found = await self._transaction.fetch(_TOLD, asset=asset, source=int(RowSource.SYNC))
        return [rows.read(Holding, row) for row in found]

    async def alike(self, asset: str, wallet: str) -> list[FlowRow]:
        """Those of the venue and of another program that may be one flow, ascending by time."""
        sources = [int(RowSource.SYNC), int(RowSource.GREPTIME)]
        found = await self._transaction.fetch(
            _ALIKE, asset=asset, wallet=wallet, sources=sources, apart=DOUBLES_APART
        )
        return [_flow(row) for row in found]

    async def flow_page(
        self, page: PageRequest, wanted: FlowFilter, without: Collection[int] = ()
    ) -> list[FlowRow]:
        """Newest first, one more than the page holds; `without`: keys that are left out."""
        query = select(flow, holding.c.asset, holding.c.wallet, holding.c.market).join(
            holding, holding.c.key == flow.c.holding_key
        )
        if wanted.asset:
            query = query.where(holding.c.asset == wanted.asset)
        if wanted.wallet:
            query = query.where(holding.c.wallet == wanted.wallet)
        if wanted.kind is not None:
            query = query.where(flow.c.kind == _NUMBERS[wanted.kind])
        if wanted.start_time is not None:
            query = query.where(flow.c.flow_time >= wanted.start_time)
        if wanted.end_time is not None:
            query = query.where(flow.c.flow_time < wanted.end_time)
        if without:
            query = query.where(flow.c.key.notin_(sorted(without)))
        newest: Ordering = [(flow.c.flow_time, "desc"), (flow.c.key, "desc")]
        query = apply(query, newest, page.after, page.size)
        return [_flow(row) for row in await self._transaction.fetch(query)]

    async def delete_flow(self, key: int) -> FlowRow | None:
        """What was deleted."""
        row = await self._transaction.first(_DELETE, key=key)
        return None if row is None else _flow(row)

    async def references(self, asset: str, until: datetime) -> list[ReferenceRow]:
        """Of an asset up to a moment."""
        found = await self._transaction.fetch(_REFERENCES, asset=asset, until=until)
        return [rows.read(ReferenceRow, row) for row in found]

    async def reference_page(self, page: PageRequest, asset: str) -> list[ReferenceRow]:
        """Newest first, one more than the page holds."""
        query = select(reference)
        if asset:
            query = query.where(reference.c.asset == asset)
        newest: Ordering = [(reference.c.reference_time, "desc"), (reference.c.key, "desc")]
        query = apply(query, newest, page.after, page.size)
        return [rows.read(ReferenceRow, row) for row in await self._transaction.fetch(query)]

    async def set_reference(self, row: ReferenceRow) -> int:
        """Its key."""
        names = [one.key for one in reference.c if one.key != "key"]
        values = {name: getattr(row, name) for name in names}
        return int(await self._transaction.scalar(_SET_REFERENCE, **values))

    async def delete_reference(self, key: int) -> str | None:
        """The asset of what was deleted."""
        asset: str | None = await self._transaction.scalar(_DELETE_REFERENCE, key=key)
        return asset


def _flow(row: Row) -> FlowRow:
    return rows.read(FlowRow, row, kind=_KINDS[row["kind"]], source=RowSource(row["source"]))
