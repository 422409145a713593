"""Rows of another program's history: names, wallets, sums, and flows told twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import permutations

import pytest

from services.withdrawals.assets.domain.settings import AssetSettings, Wallet
from services.withdrawals.gains.domain.flows import FlowKind
from services.withdrawals.supply.domain.rows import FlowRow, RowSource, SampleRow
from services.withdrawals.supply.domain.stored import (
    StoredPrice,
    WalletSums,
    by_wallet,
    one_of_each,
    suffixes,
    with_ada,
)

AGE = timedelta(hours=3)
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def sample(wallet: str = "a", hours: float = 0, units: str = "10") -> SampleRow:
    return SampleRow("djed", wallet, "DJED", NOON + timedelta(hours=hours), Decimal(units))


def held(rows: list[SampleRow], page: int = 100) -> list[tuple[float, str]]:
    """Hours after noon and units of a wallet of two addresses, told in pages of so many rows."""
    sums = WalletSums([Wallet("main", ("a", "b"))], AGE)
    found = [one for first in range(0, len(rows), page) for one in sums.of(rows[first:][:page])]
    assert {one.wallet for one in found} == {"main"}
    return [((one.sample_time - NOON) / timedelta(hours=1), str(one.units)) for one in found]


def flow(key: int, source: RowSource, minutes: float = 0, units: str = "5", **o: object) -> FlowRow:
    moment = NOON + timedelta(minutes=minutes)
    row = FlowRow("djed", "a", "DJED", f"tx{key}", FlowKind.WITHDRAWAL, Decimal(units), moment)
    return replace(row, key=key, source=source, **o)


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        (AssetSettings("djed"), ["djed"]),
        (AssetSettings("usdc"), ["usdc", "wanusdc"]),
        (AssetSettings("usdt", alternate_name="wanUSDT"), ["wanusdt", "usdt"]),
    ],
)
def test_an_asset_is_looked_for_under_its_names(settings: AssetSettings, names: list[str]) -> None:
    assert suffixes(settings) == names


def test_rows_belong_to_the_wallet_of_their_address_and_others_are_left() -> None:
    rows = [sample("a"), sample("b"), sample("x")]
    assert by_wallet(rows, []) == rows
    found = by_wallet(rows, [Wallet("main", ("a", "b")), Wallet("other", ("c",))])
    assert [row.wallet for row in found] == ["main", "main"]


def test_addresses_of_a_wallet_are_added_up_at_each_moment() -> None:
    rows = [sample(), sample("b", units="2.5"), sample(hours=1), sample("b", hours=1, units="3")]
    assert held(rows) == [(0, "12.5"), (1, "13")]
    alone = WalletSums([], AGE).of(rows)
    assert [(row.wallet, str(row.units)) for row in alone] == [
        *(("a", "10"), ("b", "2.5")),
        *(("a", "10"), ("b", "3")),
    ]


@pytest.mark.parametrize("count", [1, 2, 5, 100])
def test_a_moment_that_lacks_an_address_seen_shortly_before_is_left(count: int) -> None:
    alone = [sample("a", hours) for hours in (2, 3, 4, 4.5)]
    both = [[sample(address, hours) for address in "ab"] for hours in (0, 1, 5)]
    # Absent for longer than it is carried on, it holds nothing.
    rows = [*both[0], *both[1], *alone, *both[2], sample(hours=6)]
    assert held(rows, count * 2) == [(0, "20"), (1, "20"), (4.5, "10"), (5, "20")]


def test_an_address_of_another_market_is_not_missing() -> None:
    rows = [sample(), replace(sample("b"), market="USDM"), sample(hours=1)]
    assert held(rows) == [(0, "10"), (0, "10"), (1, "10")]


def test_a_sample_has_the_last_price_of_ada_before_it_as_long_as_it_is_not_old() -> None:
    prices = [
        StoredPrice(NOON, 0.99, 0.75),
        StoredPrice(NOON + timedelta(hours=1), 0.99, None),
        StoredPrice(NOON + timedelta(hours=2), None, 0.8),
    ]
    found = with_ada([sample(hours=hours) for hours in (-1, 0, 1.5, 2, 5, 5.1)], prices)
    assert [row.ada_usd for row in found] == [None, 0.75, 0.75, 0.8, 0.8, None]


def test_a_flow_told_by_both_counts_once_with_the_note_of_the_history() -> None:
    venue = flow(1, RowSource.SYNC, exchange_rate=0.02)
    stored = flow(2, RowSource.GREPTIME, 50, note="alert_driven_withdrawal")
    for flows in permutations([venue, stored, flow(3, RowSource.HAND)]):
        found = {row.key: row for row in one_of_each(flows)}
        assert set(found) == {1, 3}
        assert found[1].note == "alert_driven_withdrawal"
        assert found[1].exchange_rate == 0.02
        assert found[3].note == ""


def test_a_note_of_the_venues_flow_stays() -> None:
    found = one_of_each(
        [flow(1, RowSource.SYNC, note="mine"), flow(2, RowSource.GREPTIME, note="theirs")]
    )
    assert [row.note for row in found] == ["mine"]


@pytest.mark.parametrize(
    "other",
    [
        {"minutes": 61},
        {"units": "5.01"},
        {"wallet": "b"},
        {"market": "USDM"},
        {"kind": FlowKind.DEPOSIT},
    ],
)
def test_flows_that_differ_both_count(other: dict) -> None:
    assert len(one_of_each([flow(1, RowSource.SYNC), flow(2, RowSource.GREPTIME, **other)])) == 2


def test_of_two_alike_each_is_told_twice_once() -> None:
    flows = [
        flow(1, RowSource.SYNC),
        flow(2, RowSource.GREPTIME, 1, note="first"),
        flow(3, RowSource.GREPTIME, 20, note="second"),
        flow(4, RowSource.SYNC, 21),
        flow(5, RowSource.GREPTIME, 30),
    ]
    found = one_of_each(flows)
    assert [(row.key, row.note) for row in found] == [(1, "first"), (4, "second"), (5, "")]
