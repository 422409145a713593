"""What the bodies of dYdX's indexer mean: signs, shared collateral, own liquidation prices,
refusals.
"""

import copy
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.positions.domain.venue_answer import UNKNOWN_ASSET, Answer, CarrySource, Flag, Side
from services.positions.risk.domain.liquidation import dydx_liquidation_price
from services.positions.venues.dydx import read_accounts
from services.positions.venues.dydx_parser import children, position_id, read_markets, subaccount
from services.positions.venues.rows import NotThat
from shared.http import FailureKind, ProviderFailure

FIXTURES = Path(__file__).parents[2] / "fixtures"
ADDRESS = "dydx1m9euquwentjaqxm96a4scnwy5h9t95l3rspgqc"
NOW = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)
PRICES = {"BTC": 97400.0, "ETH": 3380.0}
MARKETS = json.loads((FIXTURES / "dydx_v4_perpetual_markets.json").read_text())
WRAPPED = json.loads((FIXTURES / "dydx_v4_subaccount.json").read_text())
BTC, ETH = 97412.5, 3381.2


def account(**changes: object) -> dict[str, object]:
    return {**copy.deepcopy(WRAPPED["subaccount"]), **changes}


def changed(ticker: str, **fields: object) -> dict[str, object]:
    """The example with other fields in one position."""
    body = account()
    body["openPerpetualPositions"][ticker] |= fields
    return body


def markets(**fields: object) -> dict[str, object]:
    """The example's markets with other fields in BTC's."""
    body = copy.deepcopy(MARKETS)
    body["markets"]["BTC-USD"] |= fields
    return body


def answer_to(body: dict[str, object], listed: object = MARKETS, number: int = 0) -> Answer:
    return read_accounts([(number, body)], read_markets(listed), ADDRESS, PRICES, NOW)


def test_the_example_reads_as_two_positions_that_share_their_collateral() -> None:
    answer = answer_to(account())
    assert answer.complete and answer.row_count == 2 and not answer.refusals
    btc, eth = answer.holdings
    assert (btc.asset, btc.side, eth.asset, eth.side) == ("BTC", Side.LONG, "ETH", Side.SHORT)
    assert btc.size_usd == pytest.approx(0.35 * 95120) and eth.size_usd == pytest.approx(4 * 3402.5)
    assert (btc.mark_price_usd, eth.mark_price_usd) == (BTC, ETH)
    assert btc.liquidation_price_usd is None and btc.pnl_after_fees_usd is None
    assert btc.opened_time == datetime(2026, 11, 19, 22, 0, tzinfo=UTC)
    profit = 0.35 * (BTC - 95120) - 4 * (ETH - 3402.5)
    assert btc.collateral_usd + eth.collateral_usd + profit == pytest.approx(10412.337)
    # Both ask for 1.2 %: by size at entry.
    assert btc.collateral_usd / eth.collateral_usd == pytest.approx(btc.size_usd / eth.size_usd)
    assert ADDRESS not in repr(answer) and btc.position_id != eth.position_id


def test_the_liquidation_price_is_the_formulas_with_the_other_positions_margin_kept() -> None:
    btc, eth = answer_to(account()).holdings
    other = 4 * ETH * 0.012
    assert btc.own_liquidation_price_usd == pytest.approx(
        float(dydx_liquidation_price(10412.337, 0.35, BTC, 0.012, other)), rel=1e-9
    )
    # At that price equity is what both positions ask for.
    price = btc.own_liquidation_price_usd
    assert 10412.337 + 0.35 * (price - BTC) == pytest.approx(0.012 * 0.35 * price + other)
    assert eth.own_liquidation_price_usd > ETH


def test_an_isolated_position_stands_alone() -> None:
    body = account(equity="1000", subaccountNumber=128)
    body["openPerpetualPositions"] = {
        "ETH-USD": {
            "market": "ETH-USD",
            "status": "OPEN",
            "side": "SHORT",
            "size": "-1",
            "entryPrice": "3300",
        }
    }
    body["assetPositions"] = {"USDC": {"symbol": "USDC", "side": "LONG", "size": "4381.2"}}
    (held,) = answer_to(body, number=128).holdings
    assert held.collateral_usd == pytest.approx(4381.2 - 3300)
    assert held.own_liquidation_price_usd == pytest.approx(4381.2 / 1.012)
    assert held.position_id == position_id(ADDRESS, 128, "ETH-USD")


def test_funding_is_paid_by_longs_and_received_by_shorts_while_it_is_positive() -> None:
    btc, eth = answer_to(account()).holdings
    assert btc.terms.hourly_carry_usd == pytest.approx(0.35 * BTC * 0.0000118822)
    assert eth.terms.hourly_carry_usd == pytest.approx(4 * ETH * 0.000004), (
        "short, and the rate is negative"
    )
    assert (
        btc.terms.carry_source is CarrySource.DYDX_FUNDING and btc.terms.maintenance_ratio == 0.012
    )
    held = answer_to(account(), markets(nextFundingRate="soon")).holdings[0]
    assert held.terms.hourly_carry_usd is held.terms.carry_source is None
    assert held.own_liquidation_price_usd == btc.own_liquidation_price_usd


def test_a_balance_that_is_not_stated_is_what_the_equity_leaves() -> None:
    stated = answer_to(account()).holdings
    left = answer_to(account(assetPositions={})).holdings
    for one, other in zip(stated, left, strict=True):
        assert other.collateral_usd == pytest.approx(one.collateral_usd)
        assert other.own_liquidation_price_usd == pytest.approx(one.own_liquidation_price_usd)


@pytest.mark.parametrize(
    ("fields", "reason", "field"),
    [
        ({"size": "NaN"}, "NOT_FINITE", "size"),
        ({"size": "1e400"}, "NOT_FINITE", "size"),
        ({"size": "many"}, "NOT_A_NUMBER", "size"),
        ({"size": 0.35}, "NOT_A_NUMBER", "size"),
        ({"size": "0"}, "NOT_POSITIVE", "size"),
        ({"size": None}, "MISSING_FIELD", "size"),
        ({"size": "-0.35"}, "CONTRADICTS_SIZE", "side"),
        ({"side": "UP"}, "CONTRADICTS_SIZE", "side"),
        ({"entryPrice": "0"}, "NOT_POSITIVE", "entryPrice"),
        ({"entryPrice": "-1"}, "NEGATIVE", "entryPrice"),
        ({"entryPrice": None}, "MISSING_FIELD", "entryPrice"),
        ({"entryPrice": "9512000"}, "ENTRY_SCALE", "entryPrice"),
        ({"entryPrice": "951200"}, "PROFIT_DISAGREES", "unrealizedPnl"),
        ({"entryPrice": "9512"}, "PROFIT_DISAGREES", "unrealizedPnl"),
        ({"entryPrice": "9512000", "unrealizedPnl": None}, "ENTRY_SCALE", "entryPrice"),
        ({"unrealizedPnl": "802375000"}, "PROFIT_DISAGREES", "unrealizedPnl"),
        ({"market": "SOL-USD"}, "BAD_ID", "market"),
        ({"createdAt": "yesterday"}, "NOT_A_TIME", "createdAt"),
        ({"createdAt": "2026-11-20T09:06:40"}, "NOT_A_TIME", "createdAt"),
        ({"createdAt": "2026-11-21T09:06:40.000Z"}, "FROM_FUTURE", "createdAt"),
    ],
)
def test_a_row_that_cannot_be_read_is_refused_with_those_that_share_its_collateral(
    fields: dict[str, object], reason: str, field: str
) -> None:
    answer = answer_to(changed("BTC-USD", **fields))
    assert (
        not answer.holdings and not answer.complete and answer.incomplete_reason == "ROWS_REFUSED"
    )
    assert [(one.reason, one.field) for one in answer.refusals] == [
        (reason, field),
        ("SHARES_REFUSED", ""),
    ]
    ids = [position_id(ADDRESS, 0, ticker) for ticker in ("BTC-USD", "ETH-USD")]
    assert [one.position_id for one in answer.refusals] == ids, "the last good versions stay"
    assert all(ADDRESS not in one.masked_body for one in answer.refusals)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"assetPositions": {"USDC": {"side": "LONG", "size": "10157.238"}}}, "EQUITY_DISAGREES"),
        ({"assetPositions": {"USDC": {"size": "10157.238"}}}, "MISSING_FIELD"),
        ({"assetPositions": {"USDC": {"side": "SHORT", "size": "lots"}}}, "NOT_A_NUMBER"),
        ({"assetPositions": None, "equity": None}, "MISSING_FIELD"),
        ({"equity": "Infinity"}, "NOT_FINITE"),
    ],
)
def test_a_balance_that_cannot_be_believed_refuses_every_row(
    fields: dict[str, object], reason: str
) -> None:
    answer = answer_to(account(**fields))
    assert not answer.holdings and [one.reason for one in answer.refusals] == [reason, reason]


@pytest.mark.parametrize(
    "fields",
    [
        {"oraclePrice": "0"},
        {"oraclePrice": None},
        {"maintenanceMarginFraction": "1.2"},
        {"maintenanceMarginFraction": "0.12"},  # above what opening asks for, 0.02
        {"maintenanceMarginFraction": "0.00012"},
        {"initialMarginFraction": "x"},
    ],
)
def test_a_market_that_cannot_be_read_refuses_its_rows(fields: dict[str, object]) -> None:
    answer = answer_to(account(), markets(**fields))
    assert [one.field for one in answer.refusals] == [next(iter(fields)), ""]


def test_a_market_that_is_not_listed_leaves_the_price_absent_and_nobody_judged() -> None:
    listed = copy.deepcopy(MARKETS)
    del listed["markets"]["ETH-USD"]
    answer = answer_to(account(), listed)
    btc, eth = answer.holdings
    assert (answer.complete, answer.incomplete_reason) == (False, "MARKETS_MISSING")
    assert "no market of ETH" in answer.message
    assert eth.mark_price_usd is None and btc.mark_price_usd == BTC
    assert btc.own_liquidation_price_usd is eth.own_liquidation_price_usd is None


def test_a_market_whose_name_is_not_understood_is_an_unknown_asset() -> None:
    body = account()
    rows = body["openPerpetualPositions"]
    rows["weird.thing"] = rows.pop("ETH-USD") | {"market": "weird.thing"}
    rows["PEPE,raydium,4k3D-USD"] = rows.pop("BTC-USD") | {"market": "PEPE,raydium,4k3D-USD"}
    unknown, pepe = answer_to(body).holdings
    assert (unknown.asset, unknown.flags) == (UNKNOWN_ASSET, {Flag.CANNOT_JUDGE})
    assert (pepe.asset, pepe.flags) == ("PEPE", frozenset())


def test_a_position_that_is_over_is_not_held() -> None:
    (held,) = answer_to(changed("BTC-USD", status="CLOSED") | {"assetPositions": {}}).holdings
    assert held.asset == "ETH"


def test_an_oracle_price_in_another_unit_refuses_the_answer() -> None:
    answer = answer_to(account(), markets(oraclePrice="97412500000"))
    # The equity does not add up either.
    assert not answer.holdings and not answer.complete
    answer = answer_to(account(assetPositions={}), markets(oraclePrice="97412500000"))
    assert (answer.incomplete_reason, answer.holdings) == ("PRICE_SCALE", ())


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "no",
        {},
        {"subaccount": None},
        {"subaccount": []},
        {"address": ADDRESS},
        {"markets": {}},
    ],
)
def test_what_is_no_subaccount_is_none(body: object) -> None:
    with pytest.raises(NotThat):
        subaccount(body, ADDRESS)


EMPTY = {"openPerpetualPositions": {}, "equity": "500", "freeCollateral": "500"}
LONG = {"USDC": {"symbol": "USDC", "side": "LONG", "size": "500"}}


@pytest.mark.parametrize(
    ("fields", "missing"),
    [
        ({"assetPositions": LONG}, False),
        ({"assetPositions": {}, "equity": "0", "freeCollateral": "0"}, False),
        ({"assetPositions": None}, False),
        (
            {"assetPositions": LONG | {"OTHER": {"side": "LONG", "size": "2"}}, "equity": "600"},
            False,
        ),
        ({"assetPositions": LONG, "equity": "900"}, True),
        ({"assetPositions": LONG, "freeCollateral": "90"}, True),
        ({"assetPositions": {"USDC": {"side": "SHORT", "size": "44425"}}}, True),
        ({"assetPositions": {"USDC": {"side": "SHORT", "size": "much"}}}, True),
        ({"equity": "NaN"}, True),
        ({"equity": None}, True),
        ({"equity": None, "assetPositions": LONG}, True),
        ({"openPerpetualPositions": None, "equity": "900", "assetPositions": LONG}, True),
    ],
)
def test_a_subaccount_that_lists_no_position_is_complete_only_when_it_can_be_without_one(
    fields: dict[str, object], missing: bool
) -> None:
    free = {"freeCollateral": "600"} if fields.get("equity") == "600" else {}
    answer = answer_to(account(**EMPTY | fields | free))
    expected = (False, "POSITIONS_MISSING") if missing else (True, "")
    assert (answer.complete, answer.incomplete_reason, answer.holdings) == (*expected, ())


def test_anothers_subaccount_is_refused() -> None:
    with pytest.raises(NotThat, match="another"):
        subaccount(account(address="dydx1other"), ADDRESS)


@pytest.mark.parametrize(
    "child", [None, {}, {"openPerpetualPositions": {}}, account(subaccountNumber="128")]
)
def test_a_child_without_a_number_is_refused(child: object) -> None:
    with pytest.raises(NotThat):
        children({"childSubaccounts": [child]}, ADDRESS)


def test_positions_that_are_a_list_are_a_failure() -> None:
    with pytest.raises(ProviderFailure) as caught:
        answer_to(account(openPerpetualPositions=[]))
    assert caught.value.kind is FailureKind.BAD_BODY


@pytest.mark.parametrize("body", [None, [], {}, {"markets": []}, {"markets": {}}])
def test_what_is_no_list_of_markets_is_none(body: object) -> None:
    with pytest.raises(NotThat):
        read_markets(body)
