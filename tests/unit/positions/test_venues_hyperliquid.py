"""What Hyperliquid's bodies mean: signs, cross and isolated collateral, liquidation prices,
refusals.
"""

import copy
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.positions.domain.venue_answer import Answer, CarrySource, Side
from services.positions.venues.hyperliquid import read_answer
from services.positions.venues.hyperliquid_parser import position_id, read_funding
from services.positions.venues.rows import NotThat
from shared.http import FailureKind, ProviderFailure

FIXTURES = Path(__file__).parents[2] / "fixtures"
ADDRESS = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
NOW = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)
PRICES = {"BTC": 97400.0, "SOL": 182.0}
STATE = json.loads((FIXTURES / "hyperliquid_clearinghouse_state.json").read_text())
CONTEXTS = json.loads((FIXTURES / "hyperliquid_meta_and_asset_ctxs.json").read_text())
FUNDING = read_funding(CONTEXTS)


def changed(place: int = 0, **fields: object) -> dict[str, object]:
    """The example with other fields in one position."""
    body = copy.deepcopy(STATE)
    body["assetPositions"][place]["position"] |= fields
    return body


def answer_to(body: object = STATE, now: datetime = NOW) -> Answer:
    return read_answer(body, ADDRESS, PRICES, now, FUNDING)


def test_the_example_reads_as_a_cross_long_and_an_isolated_short() -> None:
    answer = answer_to()
    assert answer.complete and answer.row_count == 2 and answer.observed_time == NOW
    sol, btc = answer.holdings
    assert (sol.asset, sol.side, btc.asset, btc.side) == ("SOL", Side.LONG, "BTC", Side.SHORT)
    assert sol.size_usd == pytest.approx(50 * 195.2) and btc.size_usd == pytest.approx(9825)
    assert (sol.mark_price_usd, btc.mark_price_usd) == (
        pytest.approx(182.4),
        pytest.approx(97412.5),
    )
    assert (sol.liquidation_price_usd, btc.liquidation_price_usd) == (143.62625641, 101901.2345679)
    assert sol.collateral_usd == pytest.approx(2118.22 + 640), "the account's value is its value"
    assert btc.collateral_usd == pytest.approx(576.25 - 83.75) and btc.venue_value_usd == 576.25
    assert sol.venue_value_usd is sol.pnl_after_fees_usd is None
    assert ADDRESS.lower() not in repr(answer).lower()


def test_own_liquidation_prices_are_the_venues() -> None:
    for held in answer_to().holdings:
        assert held.own_liquidation_price_usd == pytest.approx(held.liquidation_price_usd, rel=1e-7)


def test_cross_positions_divide_the_account_and_their_values_add_up_to_it() -> None:
    body = changed(1, leverage={"type": "cross", "value": 20}, marginUsed="487.06")
    body["crossMarginSummary"] = STATE["crossMarginSummary"] | {"totalRawUsd": "2739.47"}
    sol, btc = answer_to(body).holdings
    assert sol.collateral_usd + btc.collateral_usd + (-640 + 83.75) == pytest.approx(2118.22)
    assert sol.collateral_usd / btc.collateral_usd == pytest.approx((9760 / 20) / (9825 / 40))


def test_funding_is_paid_by_longs_and_received_by_shorts_while_it_is_positive() -> None:
    sol, btc = answer_to().holdings
    assert sol.terms.hourly_carry_usd == pytest.approx(-9120 * 0.0000311)
    assert btc.terms.hourly_carry_usd == pytest.approx(-9741.25 * 0.0000125)
    assert sol.terms.carry_source is CarrySource.HYPERLIQUID_FUNDING
    assert (sol.terms.maintenance_ratio, btc.terms.maintenance_ratio) == (1 / 40, 1 / 80)
    bare = read_answer(STATE, ADDRESS, PRICES, NOW, {}).holdings[0]
    assert bare.terms.hourly_carry_usd is bare.terms.carry_source is None
    assert bare.terms.maintenance_ratio == 1 / 40


@pytest.mark.parametrize("absent", [None, "0", "0.0"])
def test_no_liquidation_price_is_absent_never_zero(absent: object) -> None:
    assert answer_to(changed(liquidationPx=absent)).holdings[0].liquidation_price_usd is None


def test_a_coin_keeps_the_name_the_venue_gives_it() -> None:
    held = answer_to(changed(coin="kPEPE")).holdings[0]
    assert held.asset == "kPEPE" and held.position_id == position_id(ADDRESS, "kPEPE")


@pytest.mark.parametrize(
    ("fields", "reason", "field"),
    [
        ({"szi": "NaN"}, "NOT_FINITE", "szi"),
        ({"szi": "0.0"}, "NOT_POSITIVE", "szi"),
        ({"szi": 50}, "NOT_A_NUMBER", "szi"),
        ({"szi": None}, "MISSING_FIELD", "szi"),
        ({"entryPx": None}, "MISSING_FIELD", "entryPx"),
        ({"entryPx": "-2"}, "NEGATIVE", "entryPx"),
        ({"positionValue": "0"}, "NOT_POSITIVE", "positionValue"),
        ({"liquidationPx": "-1"}, "NEGATIVE", "liquidationPx"),
        ({"liquidationPx": "soon"}, "NOT_A_NUMBER", "liquidationPx"),
        ({"marginUsed": None}, "MISSING_FIELD", "marginUsed"),
        ({"marginUsed": "0"}, "NOT_POSITIVE", "marginUsed"),
        ({"marginUsed": "-912"}, "NEGATIVE", "marginUsed"),
        ({"marginUsed": "912000"}, "MARGIN_SCALE", "marginUsed"),
        ({"marginUsed": "9.12"}, "MARGIN_SCALE", "marginUsed"),
        ({"entryPx": "19520.0"}, "ENTRY_SCALE", "entryPx"),
        ({"unrealizedPnl": "-640000000"}, "PROFIT_DISAGREES", "unrealizedPnl"),
        ({"szi": "50000000.0", "positionValue": "9120000000"}, "MARGIN_SCALE", "marginUsed"),
        ({"unrealizedPnl": "x"}, "NOT_A_NUMBER", "unrealizedPnl"),
        ({"maxLeverage": None}, "MISSING_FIELD", "maxLeverage"),
        ({"maxLeverage": "20"}, "NOT_A_NUMBER", "maxLeverage"),
        ({"maxLeverage": 0}, "NOT_A_NUMBER", "maxLeverage"),
        ({"leverage": {"type": "odd"}}, "MISSING_FIELD", "leverage"),
    ],
)
def test_a_row_that_cannot_be_read_is_refused_and_the_others_stay(
    fields: dict[str, object], reason: str, field: str
) -> None:
    answer = answer_to(changed(**fields))
    assert [(one.reason, one.field) for one in answer.refusals] == [(reason, field)]
    assert answer.refusals[0].position_id == position_id(ADDRESS, "SOL")
    assert [held.asset for held in answer.holdings] == ["BTC"]
    assert (answer.complete, answer.incomplete_reason) == (False, "ROWS_REFUSED")


@pytest.mark.parametrize("entry", [None, 7, {}, {"position": None}, {"position": {"coin": "x y"}}])
def test_what_is_no_position_is_refused(entry: object) -> None:
    answer = answer_to({**STATE, "assetPositions": [entry, STATE["assetPositions"][1]]})
    assert len(answer.refusals) == len(answer.holdings) == 1


def test_a_row_told_twice_counts_once_and_two_that_differ_are_both_refused() -> None:
    rows = STATE["assetPositions"]
    assert len(answer_to({**STATE, "assetPositions": [*rows, rows[0]]}).holdings) == 2
    other = changed(szi="60.0")["assetPositions"][0]
    answer = answer_to({**STATE, "assetPositions": [*rows, other]})
    assert [held.asset for held in answer.holdings] == ["BTC"]
    assert [one.reason for one in answer.refusals] == ["DUPLICATE_DIFFERS"]


def test_an_account_without_its_summary_keeps_the_venues_liquidation_price() -> None:
    body = {name: value for name, value in STATE.items() if not name.startswith("cross")}
    sol, _ = answer_to(body).holdings
    assert sol.own_liquidation_price_usd is None and sol.liquidation_price_usd == 143.62625641
    assert sol.collateral_usd == 912.0, "the margin it locks is what is known"


def test_an_old_state_updates_but_lets_nothing_be_gone() -> None:
    answer = answer_to(now=NOW + timedelta(minutes=6))
    assert (answer.complete, answer.incomplete_reason) == (False, "ANSWER_OLD")
    assert answer.observed_time == NOW and len(answer.holdings) == 2


def test_a_price_in_another_unit_refuses_the_answer() -> None:
    answer = answer_to(changed(positionValue="9120000000"))
    assert (answer.incomplete_reason, answer.holdings) == ("PRICE_SCALE", ())
    assert ADDRESS not in answer.refusals[0].masked_body


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "null",
        {},
        {"assetPositions": None},
        {"error": "x"},
        {**STATE, "time": "now"},
        {**STATE, "time": 1895215600000},
    ],
)
def test_what_is_no_state_is_a_failure(body: object) -> None:
    with pytest.raises(ProviderFailure) as caught:
        answer_to(body)
    assert caught.value.kind is FailureKind.BAD_BODY


def scaled(factor: int) -> dict[str, object]:
    """The example with every number of its positions and accounts so many times as large."""

    def times(value: object) -> object:
        return f"{float(value) * factor:f}" if isinstance(value, str) else value

    body = copy.deepcopy(STATE)
    for entry in body["assetPositions"]:
        row = entry["position"]
        row |= {name: times(value) for name, value in row.items() if name != "coin"}
    for name in ("crossMarginSummary", "marginSummary"):
        body[name] = {field: times(value) for field, value in body[name].items()}
    return body


def test_numbers_a_million_times_too_large_are_refused_at_first_sight() -> None:
    answer = answer_to(scaled(1_000_000))
    assert not answer.holdings and not answer.complete
    assert {one.reason for one in answer.refusals} == {"ENTRY_SCALE"}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"crossMarginSummary": {"accountValue": "NaN"}}, "NOT_FINITE"),
        ({"crossMarginSummary": {"accountValue": "much"}}, "NOT_A_NUMBER"),
        ({"crossMaintenanceMarginUsed": "-1"}, "NEGATIVE"),
        ({"crossMaintenanceMarginUsed": "Infinity"}, "NOT_FINITE"),
    ],
)
def test_an_account_that_cannot_be_believed_refuses_those_that_share_it(
    fields: dict[str, object], reason: str
) -> None:
    answer = answer_to({**STATE, **fields})
    assert [(one.reason, one.position_id) for one in answer.refusals] == [
        (reason, position_id(ADDRESS, "SOL"))
    ]
    assert [held.asset for held in answer.holdings] == ["BTC"], "the isolated one stands by itself"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (
            {"crossMarginSummary": STATE["crossMarginSummary"] | {"accountValue": value}},
            "ACCOUNT_DISAGREES",
        )
        for value in ("0.0", "2.118", "211.822", "-2118.22", "21182.2", "2118220.0")
    ]
    + [
        ({"crossMaintenanceMarginUsed": value}, "MAINTENANCE_SCALE")
        for value in ("2280.0", "22800.0", "228000000.0")
    ],
)
def test_a_figure_of_the_account_off_by_ten_raises_no_liquidation_price_beside_an_isolated_position(
    fields: dict[str, object], reason: str
) -> None:
    answer = answer_to({**STATE, **fields})
    assert [(one.reason, one.position_id) for one in answer.refusals] == [
        (reason, position_id(ADDRESS, "SOL"))
    ]
    assert [held.asset for held in answer.holdings] == ["BTC"]


@pytest.mark.parametrize(
    ("at", "fields", "reason", "field"),
    [
        (0, {"positionValue": "91200.0"}, "PROFIT_DISAGREES", "unrealizedPnl"),
        (0, {"szi": "500.0"}, "PROFIT_DISAGREES", "unrealizedPnl"),
        (0, {"entryPx": "1952.0"}, "PROFIT_DISAGREES", "unrealizedPnl"),
        (0, {"entryPx": "19.52"}, "PROFIT_DISAGREES", "unrealizedPnl"),
        (1, {"marginUsed": "57.625"}, "MARGIN_DISAGREES", "marginUsed"),
        (1, {"marginUsed": "5762.5"}, "MARGIN_DISAGREES", "marginUsed"),
        (1, {"szi": "0.1"}, "MARGIN_DISAGREES", "marginUsed"),
    ],
)
def test_one_figure_of_a_position_off_by_ten_or_turned_refuses_it_at_first_sight(
    at: int, fields: dict[str, object], reason: str, field: str
) -> None:
    answer = answer_to(changed(at, **fields))
    assert [(one.reason, one.field) for one in answer.refusals] == [(reason, field)]


def test_a_cross_position_whose_size_turned_is_refused_with_those_that_share_the_account() -> None:
    assert [one.reason for one in answer_to(changed(szi="-50.0")).refusals] == ["ACCOUNT_DISAGREES"]


def test_an_account_value_in_another_unit_is_refused() -> None:
    rows = STATE["assetPositions"][:1]
    body = {**STATE, "assetPositions": rows, "marginSummary": {"totalNtlPos": "9120.0"}}
    assert answer_to(body).complete
    body["crossMarginSummary"] = STATE["crossMarginSummary"] | {"accountValue": "2118220000.0"}
    assert [one.reason for one in answer_to(body).refusals] == ["ACCOUNT_DISAGREES"]


@pytest.mark.parametrize("summary", [None, {}, {"totalNtlPos": None}, {"totalNtlPos": "NaN"}, []])
def test_an_empty_list_without_the_total_that_goes_with_it_is_not_complete(summary: object) -> None:
    answer = answer_to({"assetPositions": [], "marginSummary": summary, "time": STATE["time"]})
    assert (answer.complete, answer.incomplete_reason) == (False, "POSITIONS_MISSING")
    assert answer_to({"assetPositions": [], "marginSummary": {"totalNtlPos": "0.0"}}).complete


def test_an_account_that_states_more_than_it_lists_is_not_complete() -> None:
    for rows in ([], STATE["assetPositions"][:1]):
        answer = answer_to({**STATE, "assetPositions": rows})
        assert (answer.complete, answer.incomplete_reason) == (False, "POSITIONS_MISSING")
        assert "more positions than it lists" in answer.message


def test_funding_that_cannot_be_read_is_said_beside_a_complete_answer() -> None:
    answer = read_answer(STATE, ADDRESS, PRICES, NOW, {})
    assert answer.complete and "funding rates cannot be read" in answer.message
    assert answer_to().message == ""


def test_rates_that_cannot_be_read_are_left_out() -> None:
    body = copy.deepcopy(CONTEXTS)
    body[1][0]["funding"] = "NaN"
    body[1][1] = None
    assert read_funding(body) == {"SOL": -0.0000311}
    for other in (
        None,
        [],
        [{}],
        [{"universe": []}, None],
        [{"universe": []}, []],
        [CONTEXTS[0], CONTEXTS[1][:2]],
    ):
        with pytest.raises(NotThat):
            read_funding(other)
