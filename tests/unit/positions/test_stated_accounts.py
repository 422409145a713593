"""What venues state of accounts: pools, margin tiers; whatever cannot be read makes no line."""

import copy
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.positions.accounts.domain.account import (
    NO_LINE,
    AccountKind,
    SeparatePosition,
    Source,
    pool,
    separate,
)
from services.positions.accounts.domain.margin_account import MarginTier
from services.positions.accounts.domain.stated_account import StatedAccount, accounts_json
from services.positions.accounts.store import _ADAPTER
from services.positions.venues.dydx import read_accounts
from services.positions.venues.dydx_parser import read_markets
from services.positions.venues.hyperliquid import read_answer
from services.positions.venues.hyperliquid_account import Account, AccountMode
from services.positions.venues.hyperliquid_margin import read_tiers

FIXTURES = Path(__file__).parents[2] / "fixtures"
EVM = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
DYDX = "dydx1m9euquwentjaqxm96a4scnwy5h9t95l3rspgqc"
NOW = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)
STATE = json.loads((FIXTURES / "hyperliquid_clearinghouse_state.json").read_text())
CONTEXTS = json.loads((FIXTURES / "hyperliquid_meta_and_asset_ctxs.json").read_text())
MARKETS = json.loads((FIXTURES / "dydx_v4_perpetual_markets.json").read_text())
SUBACCOUNT = json.loads((FIXTURES / "dydx_v4_subaccount.json").read_text())["subaccount"]
SOURCE = Source(3, "main", "hyperliquid", NOW, stale=False, unwatched=())
SOL_TIERS = (MarginTier(0.0, 0.025), MarginTier(70_000_000.0, 0.05))


def stated(body: object, mode: AccountMode = AccountMode.STANDARD) -> tuple[StatedAccount, ...]:
    answer = read_answer(body, EVM, {}, NOW, {}, Account(mode), read_tiers(CONTEXTS))
    return answer.accounts or ()


def of_dydx(*bodies: object, reason: str = "", markets: object = MARKETS):
    numbered = [(128 * place, body) for place, body in enumerate(bodies)]
    read = read_accounts(numbered, read_markets(markets), DYDX, {}, NOW, reason)  # type: ignore[arg-type]
    return read.accounts


def test_a_state_is_a_cross_pool_and_each_isolated_position_one_of_its_own() -> None:
    cross, btc = stated(STATE)
    assert (cross.name, btc.name, cross.mode) == ("cross", "isolated BTC", "STANDARD")
    assert (cross.equity_usd, cross.maintenance_usd) == (2118.22, 228.0)
    assert cross.margin.equity_usd == pytest.approx(2118.22)
    assert cross.margin.maintenance_usd == pytest.approx(228.0)
    assert cross.margin.legs[0].tiers == SOL_TIERS
    assert not cross.estimated and not cross.missing
    (line,) = pool(cross, SOURCE).lines
    assert line.below_usd == pytest.approx(143.62625641, rel=1e-3), "the venue's own price"
    (line,) = pool(btc, SOURCE).lines
    assert line.above_usd == pytest.approx(101_901.2345679, rel=1e-9), "the venue's own price"
    assert line.below_usd is None


@pytest.mark.parametrize(
    "mode",
    [AccountMode.UNIFIED, AccountMode.PORTFOLIO, AccountMode.DEX_ABSTRACTION, AccountMode.UNKNOWN],
)
def test_in_any_other_mode_the_cross_pool_has_no_line(mode: AccountMode) -> None:
    cross, btc = stated(STATE, mode)
    account = pool(cross, SOURCE)
    assert account.reason == f"ACCOUNT_MODE_{mode.name}" and account.mode == mode.name
    assert account.lines == () and account.common.nearest_percent is None
    assert account.equity_usd is None and account.margin_ratio is None
    assert pool(btc, SOURCE).lines, "isolated margin is the position's in every mode"


def test_a_maintenance_that_the_rules_do_not_add_up_to_makes_an_estimate() -> None:
    cross, _ = stated(STATE | {"crossMaintenanceMarginUsed": "300.0"})
    assert pool(cross, SOURCE).estimated


def test_a_refused_row_or_a_missing_one_leaves_the_pool_without_a_line() -> None:
    broken = copy.deepcopy(STATE)
    broken["assetPositions"][0]["position"]["szi"] = "NaN"
    assert stated(broken)[0].missing == "ROWS_REFUSED"
    short = copy.deepcopy(STATE)
    del short["assetPositions"][0]
    assert stated(short)[0].missing == "POSITIONS_MISSING"
    unsaid = {key: value for key, value in STATE.items() if key != "crossMarginSummary"}
    assert stated(unsaid)[0].missing == "CASH_MISSING"


def test_of_an_answer_that_is_not_believed_no_figure_of_an_account_is() -> None:
    off = read_answer(STATE, EVM, {"SOL": 182_400.0}, NOW, {}, Account(AccountMode.STANDARD))
    assert off.incomplete_reason == "PRICE_SCALE"
    assert [(one.name, one.missing, one.equity_usd) for one in off.accounts or ()] == [
        ("cross", "ROWS_REFUSED", None),
        ("isolated BTC", "ROWS_REFUSED", None),
    ]


def test_an_account_that_holds_nothing_is_none() -> None:
    empty = {
        "assetPositions": [],
        "crossMarginSummary": {"accountValue": "0.0"},
        "marginSummary": {"accountValue": "0.0", "totalNtlPos": "0.0"},
    }
    assert stated(empty) == ()


def test_tiers_are_those_of_the_coins_table() -> None:
    assert read_tiers(CONTEXTS) == {"SOL": SOL_TIERS}


def tiered(*rows: object, number: object = 54) -> object:
    meta = {
        "universe": [{"name": "SOL", "marginTableId": 54}],
        "marginTables": [[number, {"marginTiers": list(rows)}]],
    }
    return [meta, []]


GOOD = {"lowerBound": "0.0", "maxLeverage": 20}
NO_TIERS = {
    "none": tiered(),
    "not from 0": tiered({"lowerBound": "5.0", "maxLeverage": 20}),
    "unordered": tiered(GOOD, {"lowerBound": "9.0", "maxLeverage": 5}, {**GOOD}),
    "no number": tiered({"lowerBound": "NaN", "maxLeverage": 20}),
    "a number": tiered({"lowerBound": 0.0, "maxLeverage": 20}),
    "leverage in words": tiered({"lowerBound": "0.0", "maxLeverage": "20"}),
    "leverage of nothing": tiered({"lowerBound": "0.0", "maxLeverage": 0}),
    "leverage true": tiered({"lowerBound": "0.0", "maxLeverage": True}),
    "leverage too high": tiered({"lowerBound": "0.0", "maxLeverage": 1e9}),
    "one bad row": tiered(GOOD, 7),
    "a table of another number": tiered(GOOD, number=55),
    "a table without a number": tiered(GOOD, number="54"),
    "no tables": [{"universe": [{"name": "SOL", "marginTableId": 54}]}, []],
    "tables in words": [{"universe": "x", "marginTables": "y"}, []],
    "pairs of three": [{"universe": [7], "marginTables": [[54, {}, 1], "x", None]}, []],
    "null": None,
    "empty": [],
    "words": "meta",
}


@pytest.mark.parametrize("body", NO_TIERS.values(), ids=NO_TIERS.keys())
def test_what_is_no_table_gives_no_tiers(body: object) -> None:
    assert read_tiers(body) == {}


def test_without_a_table_the_positions_highest_leverage_is_the_rule() -> None:
    (cross, _) = read_answer(STATE, EVM, {}, NOW, {}, Account(AccountMode.STANDARD)).accounts or ()
    assert cross.margin.legs[0].tiers == (MarginTier(0.0, 0.025),)


def test_each_dydx_subaccount_is_a_pool() -> None:
    first, second = of_dydx(SUBACCOUNT, SUBACCOUNT)
    assert (first.name, second.name) == ("subaccount 0", "subaccount 128")
    assert first.margin.cash_usd == -10_157.238 and not first.estimated
    held = read_accounts([(0, SUBACCOUNT)], read_markets(MARKETS), DYDX, {}, NOW).holdings
    btc, eth = pool(first, SOURCE).lines
    assert btc.below_usd == pytest.approx(held[0].own_liquidation_price_usd, rel=1e-12)
    assert eth.above_usd == pytest.approx(held[1].own_liquidation_price_usd, rel=1e-12)


def test_what_of_dydx_cannot_be_read_is_an_account_that_says_so() -> None:
    _, isolated = of_dydx(SUBACCOUNT, reason="ISOLATED_UNREAD")
    assert (isolated.name, isolated.missing) == ("isolated subaccounts", "ISOLATED_UNREAD")
    broken = copy.deepcopy(SUBACCOUNT)
    broken["openPerpetualPositions"]["BTC-USD"]["size"] = "many"
    assert of_dydx(broken)[0].missing == "ROWS_REFUSED"
    hollow = {**SUBACCOUNT, "openPerpetualPositions": {}}
    assert of_dydx(hollow)[0].missing == "POSITIONS_MISSING"
    unlisted = {"markets": {"ETH-USD": MARKETS["markets"]["ETH-USD"]}}
    assert of_dydx(SUBACCOUNT, markets=unlisted)[0].missing == "PRICE_MISSING"


def test_accounts_are_stored_as_they_are() -> None:
    both = (*stated(STATE), *of_dydx(SUBACCOUNT), *stated(STATE, AccountMode.UNKNOWN))
    assert _ADAPTER.validate_json(accounts_json(both)) == both


def test_positions_that_stand_for_themselves_have_the_line_of_the_nearest() -> None:
    near = SeparatePosition("SOL", 10.0, 150.0, 135.0, 400.0)
    far = SeparatePosition("SOL", 5.0, 150.0, 100.0, 300.0)
    short = SeparatePosition("BTC", -0.01, 100_000.0, 104_000.0, 200.0)
    account = separate([near, far, short], SOURCE)
    assert account.kind is AccountKind.SEPARATE_POSITIONS and account.reason == ""
    btc, sol = account.lines
    assert (btc.above_usd, btc.below_usd, sol.below_usd, sol.base) == (104_000.0, None, 135.0, 15.0)
    assert account.common.down_percent == pytest.approx(10.0)
    assert account.common.up_percent == pytest.approx(4.0)
    assert (account.equity_usd, account.notional_usd) == (900.0, 3250.0)
    past = SeparatePosition("SOL", 10.0, 130.0, 135.0, 1.0)
    assert separate([past, short], SOURCE).common.down_percent == 0.0


def test_a_position_without_a_line_is_said_and_a_value_that_is_missing_is_no_zero() -> None:
    known = SeparatePosition("SOL", 10.0, 150.0, 135.0, 400.0)
    unknown = SeparatePosition("BTC", 1.0, None, None, None)
    account = separate([known, unknown], SOURCE)
    assert account.reason == "LIQUIDATION_PRICE_MISSING"
    assert account.common.down_percent == pytest.approx(10.0)
    assert account.equity_usd is None and account.notional_usd is None
    assert account.exposure_ratio is None


def test_a_position_of_unknown_size_or_side_makes_the_sum_absent_never_less() -> None:
    known = SeparatePosition("BTC", 1.0, 100_000.0, 90_000.0, 10_000.0)
    unknown = SeparatePosition("ETH", None, 4_000.0, 3_000.0, 500.0)
    account = separate([known, unknown], SOURCE)
    assert account.notional_usd is None
    assert account.exposure_ratio is None
    assert account.reason == NO_LINE
    assert [line.asset for line in account.lines] == ["BTC"]
