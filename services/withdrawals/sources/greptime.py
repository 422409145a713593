"""GreptimeDB as a history of samples, flows and prices: read only, by its SQL over HTTP."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import TypeVar

from services.withdrawals.gains.domain.flows import FlowKind
from services.withdrawals.sources.reading import (
    RowRefused,
    above_zero,
    at,
    bad_body,
    masked,
    moment,
    needed,
    shown,
    text,
    written,
)
from services.withdrawals.supply.domain.rows import FlowRow, RowSource, SampleRow
from services.withdrawals.supply.domain.stored import StoredPrice, StoredRows
from shared.clock import Clock
from shared.errors import invalid
from shared.http import ProviderFailure, ProviderHttp

T = TypeVar("T")
Cells = Mapping[str, object]

NAME = "greptimedb"
PATH = "/v1/sql"
_SUFFIX = re.compile(r"[a-z0-9_]{1,64}")
_TABLE_NOT_FOUND = 4001
_ROWS_A_CALL = 5_000
_SHOWN_REFUSALS = 100
_TICKS = {
    "TimestampSecond": 1,
    "TimestampMillisecond": 1_000,
    "TimestampMicrosecond": 1_000_000,
    "TimestampNanosecond": 1_000_000_000,
}
_POSITIONS = ("ts", "wallet_address", "market_id", "underlying_units", "price_usd")
_FLOWS = ("ts", "wallet_address", "market_id", "amount", "notes")
_PRICES = ("ts", "price_usd", "ada_usd")
_FLOW_TABLES = {FlowKind.DEPOSIT: "liqwid_deposits", FlowKind.WITHDRAWAL: "liqwid_withdrawals"}


@dataclass(frozen=True, slots=True)
class _Table:
    """`columns` of a table of a database, the time first."""

    database: str
    name: str
    columns: tuple[str, ...]


class GreptimeDb:
    """Tables by an asset's name there, `suffix` (`djed`, `wanusdc`). A table that is not there has
    no rows. Every method raises ProviderFailure, and InvalidArgument for another suffix than of
    a-z, 0-9 and _.
    """

    def __init__(self, http: ProviderHttp, database: str, prices_database: str) -> None:
        self._http = http
        self._database = database
        self._prices_database = prices_database

    async def samples(
        self, asset: str, suffix: str, start: datetime, end: datetime
    ) -> AsyncIterator[StoredRows[SampleRow]]:
        """What wallets held from `start` until before `end`, page by page: a moment is whole in
        one. Wallets by their address.
        """
        table = _Table(self._database, f"liqwid_supply_positions_{_checked(suffix)}", _POSITIONS)

        def read(cells: Cells) -> SampleRow:
            units = needed(cells, "underlying_units")
            if units < 0:
                raise RowRefused("underlying_units: below 0")
            return SampleRow(
                asset,
                text(cells, "wallet_address"),
                text(cells, "market_id"),
                _time(cells),
                units,
                above_zero(cells, "price_usd"),
                source=RowSource.GREPTIME,
            )

        async for page in self._pages(table, start, end, read):
            yield page

    async def flows(
        self, asset: str, suffix: str, kind: FlowKind, start: datetime, end: datetime
    ) -> StoredRows[FlowRow]:
        """Deposits or withdrawals: the table says the kind, whatever the sign. No transaction is
        told; the id is made of the row, so that the same row is the same flow.
        """
        name = f"{_FLOW_TABLES[kind]}_{_checked(suffix)}"

        def read(cells: Cells) -> FlowRow:
            units = abs(needed(cells, "amount"))
            if units == 0:
                raise RowRefused("amount: 0")
            wallet, market = text(cells, "wallet_address"), text(cells, "market_id")
            time = _time(cells)
            made = "\n".join((NAME, kind, wallet, market, written(time), f"{units.normalize():f}"))
            return FlowRow(
                asset,
                wallet,
                market,
                f"greptime-{sha256(made.encode()).hexdigest()[:32]}",
                kind,
                units,
                time,
                note=shown(cells, "notes"),
                source=RowSource.GREPTIME,
            )

        return await self._rows(_Table(self._database, name, _FLOWS), start, end, read)

    async def prices(self, suffix: str, start: datetime, end: datetime) -> StoredRows[StoredPrice]:
        """Minswap's prices as kept there."""
        table = _Table(self._prices_database, f"minswap_prices_{_checked(suffix)}", _PRICES)

        def read(cells: Cells) -> StoredPrice:
            prices = above_zero(cells, "price_usd"), above_zero(cells, "ada_usd")
            return StoredPrice(_time(cells), *prices)

        return await self._rows(table, start, end, read)

    async def _rows(
        self, table: _Table, start: datetime, end: datetime, read: Callable[[Cells], T]
    ) -> StoredRows[T]:
        pages = [page async for page in self._pages(table, start, end, read)]
        rows = [row for page in pages for row in page.rows]
        refused = [line for page in pages for line in page.refused]
        return StoredRows(
            rows, refused[:_SHOWN_REFUSALS], sum(page.refused_count for page in pages)
        )

    async def _pages(
        self, table: _Table, start: datetime, end: datetime, read: Callable[[Cells], T]
    ) -> AsyncIterator[StoredRows[T]]:
        """What is of the last moment of a full page comes with the next one."""
        while True:
            page = await self._page(table, start, end)
            is_last = len(page) < _ROWS_A_CALL
            if not is_last:
                start = _page_end(page, start)
                page = [cells for cells in page if not _is_of(cells, start)]
            taken: list[T] = []
            refused: list[str] = []
            for cells in page:
                try:
                    taken.append(read(cells))
                except RowRefused as problem:
                    refused.append(f"{table.name} at {cells['ts']}: {problem}")
            yield StoredRows(taken, refused[:_SHOWN_REFUSALS], len(refused))
            if is_last:
                return

    async def _page(self, table: _Table, start: datetime, end: datetime) -> list[Cells]:
        columns = ", ".join(f'"{name}"' for name in table.columns)
        # Names are ours or checked, times are written by us: there is no parameter to bind.
        query = (
            f'SELECT {columns} FROM "{table.name}"'  # noqa: S608  # see above
            f" WHERE \"ts\" >= '{written(start)}' AND \"ts\" < '{written(end)}'"
            f' ORDER BY "ts" LIMIT {_ROWS_A_CALL}'
        )
        try:
            answer = await self._http.post_form(PATH, {"sql": query, "db": table.database})
        except ProviderFailure as failure:
            if at(failure.body, "code") == _TABLE_NOT_FOUND:
                return []
            raise
        if at(answer.body, "code") == _TABLE_NOT_FOUND:
            return []
        return _records(answer.body)


def _records(body: object) -> list[Cells]:
    """Rows by column name; the time as a moment, or None where it is none."""
    error = at(body, "error")
    if error or at(body, "code") not in {None, 0}:
        words = masked(error) if isinstance(error, str) else "no reason"
        raise bad_body(NAME, f"an error: {words}")
    output = at(body, "output")
    first = output[0] if isinstance(output, list) and output else None
    schemas, rows = at(first, "records", "schema", "column_schemas"), at(first, "records", "rows")
    if not isinstance(schemas, list) or not isinstance(rows, list):
        raise bad_body(NAME, "no records")
    names = [shown(schema, "name") for schema in schemas]
    kinds = {shown(schema, "name"): shown(schema, "data_type") for schema in schemas}
    ticks = _TICKS.get(kinds.get("ts", ""), 1_000)
    found: list[Cells] = []
    for row in rows:
        if not isinstance(row, list) or len(row) != len(names):
            raise bad_body(NAME, "a row of another length than its columns")
        cells = dict(zip(names, row, strict=True))
        try:
            cells["ts"] = moment(cells.get("ts"), ticks)
        except RowRefused:
            cells["ts"] = None
        found.append(cells)
    return found


def _time(cells: Cells) -> datetime:
    time = cells["ts"]
    if not isinstance(time, datetime):
        raise RowRefused("ts: not a time")
    return time


def _page_end(page: Sequence[Cells], start: datetime) -> datetime:
    """Where the next page begins. Raises ProviderFailure where it would be the same one."""
    last = page[-1]["ts"]
    if not isinstance(last, datetime) or written(last) <= written(start):
        raise bad_body(NAME, f"more than {_ROWS_A_CALL} rows of one moment")
    return last


def _is_of(cells: Cells, moment: datetime) -> bool:
    """Whether the row comes with the next page, whose first time is to the millisecond."""
    time = cells["ts"]
    return isinstance(time, datetime) and written(time) == written(moment)


def _checked(suffix: str) -> str:
    if not _SUFFIX.fullmatch(suffix):
        raise invalid("suffix", "a-z, 0-9 and _")
    return suffix


@dataclass(frozen=True, slots=True)
class GreptimeAccess:
    """Where it is and as whom it is read: a token, else user and password, else nobody."""

    url: str
    database: str = "liqwid"
    prices_database: str = "minswap"
    token: str = ""
    user: str = ""
    password: str = ""

    @property
    def headers(self) -> dict[str, str]:
        if self.token:
            return {"authorization": f"Bearer {self.token}"}
        if self.user:
            pair = b64encode(f"{self.user}:{self.password}".encode()).decode()
            return {"authorization": f"Basic {pair}"}
        return {}


def build_greptime(access: GreptimeAccess, clock: Clock) -> tuple[GreptimeDb, ProviderHttp]:
    """The history and the connection that must run for it."""
    http = ProviderHttp(NAME, access.url, clock=clock, headers=access.headers)
    return GreptimeDb(http, access.database, access.prices_database), http
