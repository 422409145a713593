"""The rows of supply of one transaction."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any

from services.withdrawals.supply.domain.rows import Cursor
from services.withdrawals.supply.store.flows import FlowRows
from services.withdrawals.supply.store.samples import SampleRows
from shared import rows
from shared.database.statement import Statement
from shared.database.transaction import Transaction

_CURSORS = Statement("select wallet, since_time, until_time, is_seen, passed_over from sync_cursor")
_SET_CURSOR = Statement(
    "insert into sync_cursor as old"
    " (wallet, since_time, until_time, is_seen, passed_over)"
    " values (:wallet, :since_time, :until_time, :is_seen, :passed_over)"
    " on conflict (wallet) do update"
    # Spans that touch are one; else the newest is what is known. What a clock once said that was
    # ahead, nobody has read.
    " set since_time = case when old.until_time >= excluded.since_time"
    " and old.since_time <= excluded.until_time"
    " then least(old.since_time, excluded.since_time) else excluded.since_time end,"
    " until_time = case when old.until_time >= excluded.since_time"
    " and old.since_time <= excluded.until_time"
    " then greatest(least(old.until_time, :now), excluded.until_time)"
    " else excluded.until_time end,"
    " is_seen = old.is_seen or excluded.is_seen,"
    # What was left is read when all of it is read again.
    " passed_over = case when excluded.since_time <= old.since_time"
    " and excluded.until_time >= least(old.until_time, :now) then excluded.passed_over"
    " else array(select unnest(old.passed_over) union select unnest(excluded.passed_over)) end"
)
_DRAW_BACK = Statement(
    "update sync_cursor set until_time = greatest(since_time, least(until_time, :until_time))"
    " where wallet = :wallet"
)
_CHANGED = Statement(
    "insert into asset_state as known (asset, mismatch_count, input_version)"
    " select distinct unnest(cast(:assets as text[])), 0, 2"
    " on conflict (asset) do update set input_version = known.input_version + 1"
)
_ANSWER = Statement("select digest, answer from request where request_id = :request_id")
_RECORD = Statement(
    "insert into request (request_id, digest, answer, request_time)"
    " values (:request_id, :digest, :answer, :request_time) on conflict do nothing"
)
_CLEAR = ("flow", "sample", "reference", "sync_cursor", "request", "holding")


class SupplyStore(FlowRows, SampleRows):
    """Of one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def cursors(self) -> dict[str, Cursor]:
        """By wallet."""
        found = await self._transaction.fetch(_CURSORS)
        return {row["wallet"]: rows.read(Cursor, row) for row in found}

    async def set_cursor(self, cursor: Cursor, now: datetime) -> None:
        """Widen the span, or begin it anew where the two do not touch."""
        await self._transaction.execute(_SET_CURSOR, **cursor._asdict(), now=now)

    async def draw_cursor_back(self, wallet: str, until_time: datetime) -> None:
        """What comes after has to be read again."""
        await self._transaction.execute(_DRAW_BACK, wallet=wallet, until_time=until_time)

    async def input_changed(self, assets: Iterable[str]) -> None:
        """Somebody gave something of these assets, or took it back: they are to be judged."""
        await self._transaction.execute(_CHANGED, assets=sorted(set(assets)))

    async def answer(self, request_id: str) -> tuple[bytes, dict[str, Any]] | None:
        """The digest of a request and what it was answered."""
        row = await self._transaction.first(_ANSWER, request_id=request_id)
        return None if row is None else (row["digest"], json.loads(row["answer"]))

    async def record(
        self, request_id: str, digest: bytes, answer: dict[str, Any], now: datetime
    ) -> None:
        """Remember what a request was answered."""
        await self._transaction.execute(
            _RECORD,
            request_id=request_id,
            digest=digest,
            answer=json.dumps(answer),
            request_time=now,
        )

    async def clear(self) -> int:
        """Delete every row; how many."""
        return sum(
            [await self._transaction.execute(Statement(f"delete from {name}")) for name in _CLEAR]
        )


Begin = Callable[[], AbstractAsyncContextManager[SupplyStore]]
