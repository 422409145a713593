"""Receipts written together: what came meanwhile goes along, one that cannot be written harms no
other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from services.xcom.deliveries.service.receipts import Receipts
from services.xcom.domain.messages import Answer, DeliveryAttempt, Level, judge
from services.xcom.store.queue import Receipt
from shared.errors import Unavailable

NOW = datetime(2026, 11, 20, tzinfo=UTC)


def receipt(number: int) -> Receipt:
    attempt = DeliveryAttempt(f"dlv-{number}", "msg", "webhook", Level.HIGH, "", "", "", {}, NOW)
    answer = Answer(accepted=True)
    return Receipt(attempt, answer, judge(answer, 1, 0.0, was_refused=False), NOW)


class Table:
    """Takes a moment for each statement."""

    def __init__(self, refused: str = "", is_away: bool = False) -> None:
        self.statements: list[list[str]] = []
        self._refused = refused
        self._is_away = is_away

    async def write(self, receipts: Sequence[Receipt]) -> None:
        ids = [one.attempt.delivery_id for one in receipts]
        self.statements.append(ids)
        await asyncio.sleep(0.01)
        if self._is_away:
            raise Unavailable("DATABASE_UNAVAILABLE", "away")
        if self._refused in ids:
            raise ValueError(self._refused)


async def test_what_comes_while_one_statement_runs_is_written_by_the_next() -> None:
    table = Table()
    receipts = Receipts(table.write)
    first = asyncio.create_task(receipts.add(receipt(0)))
    await asyncio.sleep(0.005)
    await asyncio.gather(*(receipts.add(receipt(number)) for number in range(1, 4)))
    await first
    assert table.statements == [["dlv-0"], ["dlv-1", "dlv-2", "dlv-3"]]
    await receipts.add(receipt(4))
    assert table.statements[2:] == [["dlv-4"]]


async def test_one_that_cannot_be_written_fails_alone() -> None:
    receipts = Receipts(Table("dlv-1").write)
    ended = await asyncio.gather(
        *(receipts.add(receipt(one)) for one in range(3)), return_exceptions=True
    )
    assert [type(one) for one in ended] == [type(None), ValueError, type(None)]


@pytest.mark.slow
async def test_everybody_hears_that_the_database_is_away() -> None:
    table = Table(is_away=True)
    receipts = Receipts(table.write)
    ended = await asyncio.gather(
        *(receipts.add(receipt(one)) for one in range(3)), return_exceptions=True
    )
    assert [type(one) for one in ended] == [Unavailable] * 3
    assert len(table.statements) == 1
    with pytest.raises(Unavailable):
        await receipts.add(receipt(3))
