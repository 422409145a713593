"""How early a winning position would be taken against a liquidated account."""

from __future__ import annotations

import copy
import json
import math
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.positions.domain.venue_answer import Flag, Holding
from services.positions.risk.domain.adl import hyperliquid_adl_index
from services.positions.venues.hyperliquid import read_answer
from services.positions.venues.hyperliquid_account import STANDARD_ACCOUNT, Account, AccountMode

FIXTURES = Path(__file__).parents[2] / "fixtures"
EVM = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
NOW = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)
STATE = json.loads((FIXTURES / "hyperliquid_clearinghouse_state.json").read_text())
prices = st.floats(0.01, 1e6)


@pytest.mark.parametrize(
    ("base", "entry", "mark", "value", "index"),
    [
        (10.0, 100.0, 110.0, 110.0, 11.0),
        (-10.0, 110.0, 100.0, 1000.0, 1.1),
        (10.0, 100.0, 90.0, 1000.0, None),
        (-10.0, 100.0, 110.0, 1000.0, None),
        (10.0, 100.0, 100.0, 1000.0, None),
        (10.0, 100.0, 110.0, 0.0, None),
        (10.0, 100.0, 110.0, -5.0, None),
        (10.0, 100.0, 110.0, None, None),
        (0.0, 100.0, 110.0, 1000.0, None),
    ],
)
def test_it_is_the_gain_times_what_is_held_over_the_account(
    base: float, entry: float, mark: float, value: float | None, index: float | None
) -> None:
    found = hyperliquid_adl_index(base, entry, mark, value)
    assert found == (None if index is None else pytest.approx(index))


@given(prices, prices, st.floats(0.01, 1e6), st.floats(0.01, 1e9))
def test_of_a_long_and_a_short_one_has_an_index_and_more_of_it_in_the_account_lowers_it(
    entry: float, mark: float, size: float, value: float
) -> None:
    long = hyperliquid_adl_index(size, entry, mark, value)
    short = hyperliquid_adl_index(-size, entry, mark, value)
    assert not (long is not None and short is not None)
    for index, base in ((long, size), (short, -size)):
        if index is not None:
            assert math.isfinite(index) and index > 0
            richer = hyperliquid_adl_index(base, entry, mark, value * 2)
            assert richer == pytest.approx(index / 2)


def held(body: object, mode: AccountMode = AccountMode.STANDARD) -> dict[str, Holding]:
    account = STANDARD_ACCOUNT if mode is AccountMode.STANDARD else Account(mode)
    answer = read_answer(body, EVM, {}, NOW, {}, account)
    return {one.asset: one for one in answer.holdings}


def test_of_an_isolated_short_that_wins_it_is_by_its_margin_and_flagged_above_ten() -> None:
    positions = held(STATE)
    assert positions["SOL"].adl_index is None, "it loses"
    index = (98250 / 97412.5) * 9741.25 / 576.25
    assert positions["BTC"].adl_index == pytest.approx(index) and index > 10
    assert positions["BTC"].flags == {Flag.ADL_INDEX_HIGH} and not positions["SOL"].flags


def test_of_cross_positions_it_is_by_the_account_and_only_in_the_standard_mode() -> None:
    winning = copy.deepcopy(STATE)
    winning["assetPositions"][0]["position"] |= {"entryPx": "180.0", "unrealizedPnl": "120.0"}
    sol = held(winning)["SOL"]
    assert sol.adl_index == pytest.approx((182.4 / 180) * 9120 / 2118.22) and not sol.flags
    for mode in (AccountMode.UNIFIED, AccountMode.PORTFOLIO, AccountMode.UNKNOWN):
        positions = held(winning, mode)
        assert positions["SOL"].adl_index is None
        assert positions["BTC"].adl_index is not None
    for summary in ({}, {"accountValue": None}):
        winning["crossMarginSummary"] = summary
        assert held(winning)["SOL"].adl_index is None
