"""A position that is held again before its alerts could tell how it ended: people hear it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.xcom.v1 import xcom_pb2 as xcom_pb

from tests.contract.alerts.conftest import Servers
from tests.contract.alerts.test_position_news import ROWS, TRADE, Book, watched
from tests.fakes.http_provider import HttpProvider

NEAR = {**ROWS[0], "liquidationPrice": "95000.00"}
LIQUIDATED = (xcom_pb.LEVEL_HIGH, "HIGH: BTC long was LIQUIDATED")
GONE = (xcom_pb.LEVEL_HIGH, "HIGH: BTC long is gone")
CLOSED = (xcom_pb.LEVEL_LOW, "CLOSED: BTC long closed")
OPENED = (xcom_pb.LEVEL_LOW, "OPENED: BTC long opened")


@pytest.fixture
async def book(not_started: Servers) -> AsyncIterator[Book]:
    async with HttpProvider() as jupiter:
        yield await watched(not_started, jupiter)


def _traded(book: Book) -> None:
    """The venue's trades say that it liquidated the first position."""
    moment = int(book.servers.clock.now().timestamp()) + 30
    times = {"createdTime": moment, "updatedTime": moment}
    trade = {**TRADE, "positionPubkey": ROWS[0]["positionPubkey"], **times}
    book.jupiter.answer("GET /v2/trades", json={"count": 1, "dataList": [trade]})


async def _ended(book: Book, *, liquidated: bool) -> None:
    """The position is no more, by as many answers of its venue as that takes."""
    book.holds(*ROWS[1:])
    if liquidated:
        _traded(book)
    for _ in range(3):
        await book.sync()


async def _told(book: Book) -> list[tuple[int, str]]:
    told = [
        (one.level, re.split(r",| \(", one.subject)[0]) for one in await book.servers.messages()
    ]
    return [one for one in told if "BTC long" in one[1] and "liquidation distance" not in one[1]]


async def _reasons(book: Book) -> list[str]:
    return [one.reason for one in reversed(await book.servers.entries())]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("row", "liquidated", "end"),
    [(NEAR, True, LIQUIDATED), (NEAR, False, GONE), (ROWS[0], False, CLOSED)],
)
async def test_an_end_is_told_though_the_position_is_held_again_before_it_was_read(
    book: Book, row: dict[str, object], liquidated: bool, end: tuple[int, str]
) -> None:
    book.holds(row, *ROWS[1:])
    await book.cycle()
    await _ended(book, liquidated=liquidated)
    book.holds(row, *ROWS[1:])
    for _ in range(3):
        await book.cycle()
    assert sorted(await _told(book)) == sorted([end, OPENED])
    assert end[1].split(" ")[-1].upper() in await _reasons(book)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("row", "liquidated", "end"),
    [(NEAR, True, LIQUIDATED), (NEAR, False, GONE), (ROWS[0], False, CLOSED)],
)
async def test_an_end_is_told_though_the_position_is_held_again_before_its_alerts_were_cleared(
    book: Book, row: dict[str, object], liquidated: bool, end: tuple[int, str]
) -> None:
    book.holds(row, *ROWS[1:])
    await book.cycle()
    await _ended(book, liquidated=liquidated)
    # Its event is read, and the step that deletes its alerts does not run.
    step = (f"cycle-{book.cycle_count}", 1)
    await book.servers.create(*step)
    await book.servers.evaluate(*step)
    assert await _told(book) == []
    book.holds(row, *ROWS[1:])
    for _ in range(3):
        await book.cycle()
    assert sorted(await _told(book)) == sorted([end, OPENED])
    verified = await book.servers.ledger.VerifyLedger(pb.VerifyLedgerRequest())
    assert verified.intact


@pytest.mark.slow
async def test_of_two_lives_that_ended_unread_each_end_is_told_once(book: Book) -> None:
    book.holds(NEAR, *ROWS[1:])
    await book.cycle()
    await _ended(book, liquidated=True)
    book.jupiter.answer("GET /v2/trades", json={"count": 0, "dataList": []})
    book.holds(ROWS[0], *ROWS[1:])
    await book.sync()
    await _ended(book, liquidated=False)
    for _ in range(3):
        await book.cycle()
    # The second is told by its alerts, which know nothing of a second life.
    assert sorted(await _told(book)) == sorted([LIQUIDATED, OPENED, GONE])


@pytest.mark.slow
async def test_an_end_that_was_told_is_not_told_again_when_the_position_is_held_again(
    book: Book,
) -> None:
    book.holds(NEAR, *ROWS[1:])
    await book.cycle()
    await _ended(book, liquidated=True)
    for _ in range(2):
        await book.judge()
        await book.sync()
    book.holds(NEAR, *ROWS[1:])
    for _ in range(3):
        await book.cycle()
    assert sorted(await _told(book)) == sorted([LIQUIDATED, OPENED])
