"""GreptimeDB over real HTTP: samples, flows and prices as they are kept there.

With GREPTIMEDB_URL a real one is asked too.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from services.withdrawals.gains.domain.flows import FlowKind
from services.withdrawals.sources import greptime
from services.withdrawals.sources.greptime import GreptimeAccess, GreptimeDb, build_greptime
from services.withdrawals.supply.domain.rows import RowSource, SampleRow
from services.withdrawals.supply.domain.stored import StoredRows
from shared.clock import PushedClock, SystemClock
from shared.errors import InvalidArgument
from shared.http import FailureKind, ProviderFailure
from tests.fakes.greptime import FakeGreptime

START = datetime(2026, 11, 1, tzinfo=UTC)
END = datetime(2026, 12, 1, tzinfo=UTC)
POSITIONS = "liqwid.liqwid_supply_positions_djed"
DEPOSITS = "liqwid.liqwid_deposits_djed"
WITHDRAWALS = "liqwid.liqwid_withdrawals_djed"


def millis(hours: float) -> int:
    return round((START + timedelta(hours=hours)).timestamp() * 1000)


def position(hours: float, units: object = 1000.5, **others: object) -> dict[str, object]:
    row = {"ts": millis(hours), "wallet_address": "addr1a", "market_id": "DJED"}
    return {**row, "underlying_units": units, "price_usd": 0.999, "usd_value": 999.5, **others}


async def samples(
    history: GreptimeDb, asset: str, suffix: str, start: datetime, end: datetime
) -> StoredRows[SampleRow]:
    pages = [page async for page in history.samples(asset, suffix, start, end)]
    return StoredRows(
        [row for page in pages for row in page.rows],
        [line for page in pages for line in page.refused],
        sum(page.refused_count for page in pages),
    )


def flow(hours: float, amount: object, notes: object = None) -> dict[str, object]:
    row = {"ts": millis(hours), "wallet_address": "addr1a", "market_id": "DJED"}
    return {**row, "amount": amount, "notes": notes, "created_at": millis(hours + 1)}


@pytest.fixture
async def provider() -> AsyncIterator[FakeGreptime]:
    async with FakeGreptime() as provider:
        yield provider


@pytest.fixture
async def history(provider: FakeGreptime) -> AsyncIterator[GreptimeDb]:
    history, http = build_greptime(GreptimeAccess(provider.url), PushedClock(END))
    yield history
    await http.stop()


async def test_samples_are_read_as_they_are(history: GreptimeDb, provider: FakeGreptime) -> None:
    provider.tables[POSITIONS] = [position(2, "1001.25", price_usd=None), position(1)]
    found = await samples(history, "djed", "djed", START, END)
    first, second = found.rows
    assert (first.asset, first.wallet, first.market) == ("djed", "addr1a", "DJED")
    assert (first.units, first.price_usd) == (Decimal("1000.5"), 0.999)
    assert first.sample_time == START + timedelta(hours=1)
    assert first.source is RowSource.GREPTIME
    assert (second.units, second.price_usd) == (Decimal("1001.25"), None)
    assert provider.requests[0].headers["content-type"] == "application/x-www-form-urlencoded"
    assert provider.forms()[0]["db"] == "liqwid"


@pytest.mark.parametrize(
    ("unit", "a_second"),
    [
        ("TimestampSecond", 1),
        ("TimestampMillisecond", 1_000),
        ("TimestampMicrosecond", 1_000_000),
        ("TimestampNanosecond", 1_000_000_000),
    ],
)
async def test_a_time_is_read_in_the_unit_of_its_column(
    history: GreptimeDb, provider: FakeGreptime, unit: str, a_second: int
) -> None:
    provider.unit = unit
    provider.tables[POSITIONS] = [position(0, ts=int(START.timestamp()) * a_second)]
    found = await samples(history, "djed", "djed", START, END)
    assert [row.sample_time for row in found.rows] == [START]


async def test_a_range_holds_its_start_and_not_its_end(
    history: GreptimeDb, provider: FakeGreptime
) -> None:
    provider.tables[POSITIONS] = [position(hours) for hours in (0, 1, 2)]
    found = await samples(history, "djed", "djed", START, START + timedelta(hours=2))
    assert len(found.rows) == 2


async def test_the_table_says_the_kind_of_a_flow_whatever_its_sign(
    history: GreptimeDb, provider: FakeGreptime
) -> None:
    provider.tables[DEPOSITS] = [flow(1, 500)]
    provider.tables[WITHDRAWALS] = [flow(2, 100, "alert_driven_withdrawal"), flow(3, -50.5)]
    (deposit,) = (await history.flows("djed", "djed", FlowKind.DEPOSIT, START, END)).rows
    assert (deposit.kind, deposit.units, deposit.note) == (FlowKind.DEPOSIT, Decimal(500), "")
    first, second = (await history.flows("djed", "djed", FlowKind.WITHDRAWAL, START, END)).rows
    assert (first.kind, first.units) == (FlowKind.WITHDRAWAL, Decimal(100))
    assert first.note == "alert_driven_withdrawal"
    assert (second.units, second.source) == (Decimal("50.5"), RowSource.GREPTIME)
    assert second.flow.units == Decimal("50.5")


async def test_a_flow_read_twice_is_one_and_two_that_differ_are_two(
    history: GreptimeDb, provider: FakeGreptime
) -> None:
    async def ids() -> list[str]:
        found = await history.flows("djed", "djed", FlowKind.DEPOSIT, START, END)
        return [row.tx_id for row in found.rows]

    provider.tables[DEPOSITS] = [flow(1, 500), flow(1, 500.5), flow(2, 500)]
    first = await ids()
    assert len(set(first)) == 3
    provider.tables[DEPOSITS][0]["amount"] = "500.00"
    assert await ids() == first


@pytest.mark.parametrize(
    ("others", "problem"),
    [
        ({"underlying_units": None}, "underlying_units: missing"),
        ({"underlying_units": "x"}, "underlying_units: not a number"),
        ({"underlying_units": -1}, "underlying_units: below 0"),
        ({"wallet_address": None}, "wallet_address: missing"),
        ({"market_id": " "}, "market_id: missing"),
        ({"ts": None}, "ts: not a time"),
    ],
)
async def test_one_bad_row_is_refused_and_the_others_kept(
    history: GreptimeDb, provider: FakeGreptime, others: dict, problem: str
) -> None:
    provider.tables[POSITIONS] = [position(1), position(2, **others) | others, position(3)]
    found = await samples(history, "djed", "djed", START, END)
    assert (len(found.rows), found.refused_count) == (2, 1)
    assert found.refused[0].endswith(problem)
    assert "addr1" not in found.refused[0]


@pytest.mark.parametrize("status", [200, 400, 404])
async def test_a_missing_table_is_no_series(
    history: GreptimeDb, provider: FakeGreptime, status: int
) -> None:
    provider.missing_status = status
    assert (await samples(history, "usdx", "usdx", START, END)).rows == []
    assert (await history.prices("usdx", START, END)).rows == []


async def test_prices_come_from_their_own_database(
    history: GreptimeDb, provider: FakeGreptime
) -> None:
    provider.tables["minswap.minswap_prices_djed"] = [
        {"ts": millis(1), "price_usd": 0.998, "ada_usd": 0.75},
        {"ts": millis(2), "price_usd": None, "ada_usd": 0},
    ]
    first, second = (await history.prices("djed", START, END)).rows
    assert (first.time, first.price_usd) == (START + timedelta(hours=1), 0.998)
    assert (first.ada_usd, second.price_usd, second.ada_usd) == (0.75, None, None)


async def test_more_rows_than_an_answer_holds_come_page_by_page_each_once(
    history: GreptimeDb, provider: FakeGreptime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(greptime, "_ROWS_A_CALL", 4)
    provider.unit = "TimestampMicrosecond"
    # Two within a millisecond stand where a page ends.
    moments = [(hours, micros) for hours in range(5) for micros in (0, 7)]
    provider.tables[POSITIONS] = [
        position(0, row, ts=millis(hours) * 1000 + micros)
        for row, (hours, micros) in enumerate(moments)
    ]
    found = await samples(history, "djed", "djed", START, END)
    assert [int(row.units) for row in found.rows] == list(range(10))
    assert len(provider.requests) > 2
    # Each page holds whole moments.
    pages = [page async for page in history.samples("djed", "djed", START, END)]
    assert [row.sample_time.hour for row in pages[0].rows] == [0, 0]


async def test_rows_of_one_moment_that_no_answer_holds_are_a_failure(
    history: GreptimeDb, provider: FakeGreptime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(greptime, "_ROWS_A_CALL", 4)
    provider.tables[POSITIONS] = [position(1, row) for row in range(9)]
    with pytest.raises(ProviderFailure, match="rows of one moment"):
        await samples(history, "djed", "djed", START, END)


@pytest.mark.parametrize("suffix", ["", "djed; drop", 'a"b', "DJED", "a" * 65])
async def test_a_name_that_is_none_is_never_sent(
    history: GreptimeDb, provider: FakeGreptime, suffix: str
) -> None:
    with pytest.raises(InvalidArgument):
        await samples(history, "djed", suffix, START, END)
    assert not provider.requests


@pytest.mark.parametrize(
    "told",
    [
        {"json": {"code": 1004, "error": "Invalid SQL"}},
        {"json": {"output": []}},
        {"json": {"output": [{"affectedrows": 1}]}},
        {"json": {"output": [{"records": {"schema": {"column_schemas": []}, "rows": [[1]]}}]}},
        {"json": [], "truncate": True},
    ],
)
async def test_what_is_no_answer_is_a_failure(
    history: GreptimeDb, provider: FakeGreptime, told: dict
) -> None:
    provider.answer("POST /v1/sql", **told)
    with pytest.raises(ProviderFailure) as caught:
        await samples(history, "djed", "djed", START, END)
    assert caught.value.kind is FailureKind.BAD_BODY


@pytest.mark.parametrize(
    ("access", "header"),
    [
        ({}, None),
        ({"token": "t0k3n"}, "Bearer t0k3n"),
        ({"user": "reader", "password": "pass"}, "Basic cmVhZGVyOnBhc3M="),
    ],
)
async def test_it_is_asked_as_nobody_unless_a_setting_says_who(
    provider: FakeGreptime, access: dict, header: str | None
) -> None:
    history, http = build_greptime(GreptimeAccess(provider.url, **access), PushedClock(END))
    await samples(history, "djed", "djed", START, END)
    await http.stop()
    assert provider.requests[0].headers.get("authorization") == header


@pytest.mark.skipif("GREPTIMEDB_URL" not in os.environ, reason="GREPTIMEDB_URL names no server")
async def test_a_real_one_answers() -> None:
    access = GreptimeAccess(
        os.environ["GREPTIMEDB_URL"],
        os.environ.get("GREPTIMEDB_DATABASE", "public"),
        token=os.environ.get("GREPTIMEDB_TOKEN", ""),
    )
    history, http = build_greptime(access, SystemClock())
    found = await samples(history, "djed", "djed", START, END)
    await http.stop()
    assert found.refused_count <= len(found.rows) + found.refused_count
    assert (await samples(history, "none", "there_is_no_such_asset", START, END)).rows == []
