"""What Jupiter's bodies mean: both wire forms, every refusal, and when an answer is complete."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.positions.domain.venue_answer import Answer, Flag, Holding, Side
from services.positions.venues.jupiter import read_answer
from services.positions.venues.jupiter_parser import V1, V2, Shape
from services.positions.venues.rows import masked
from shared.http import FailureKind, ProviderFailure

FIXTURES = Path(__file__).parents[2] / "fixtures"
WALLET = "HskfdWhZTfsEL2he8iqJmXmbHdj5vr5xBooRnUfQs5PY"
NOW = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)
PRICES = {"BTC": 97400.0, "ETH": 3380.0, "SOL": 182.0}
SOL_KEY = "Gpn2Fseno7cmtvP1jKJHbSasZJebxUuBadQG1uYiUfPz"

SHAPES = {"v1": V1, "v2": V2}


def body_of(version: str) -> dict[str, object]:
    body = json.loads((FIXTURES / f"jupiter_perps_positions_{version}.json").read_text())
    assert isinstance(body, dict)
    return body


def row_of(version: str, place: int = 2) -> dict[str, object]:
    rows = body_of(version)["dataList"]
    assert isinstance(rows, list) and isinstance(rows[place], dict)
    return dict(rows[place])


def answer_to(*rows: object, shape: Shape = V1, prices: dict[str, float] | None = None) -> Answer:
    body = {"count": len(rows), "dataList": list(rows)}
    return read_answer(body, shape, WALLET, PRICES if prices is None else prices, NOW)


@pytest.mark.parametrize(("version", "cent"), [("v1", 0.0050001), ("v2", 0.0)])
def test_both_forms_give_the_golden_positions(version: str, cent: float) -> None:
    golden = json.loads((FIXTURES / "golden/canonical_positions.json").read_text())
    answer = read_answer(body_of(version), SHAPES[version], WALLET, PRICES, NOW)
    assert answer.complete and not answer.refusals and answer.row_count == len(golden)
    for holding, wanted in zip(answer.holdings, golden, strict=True):
        assert holding.position_id == wanted["position_id"]
        assert (holding.asset, holding.side.name.lower()) == (wanted["asset"], wanted["side"])
        numbers = {
            "size_usd": holding.size_usd,
            "collateral_usd": holding.collateral_usd,
            "entry": holding.entry_price_usd,
            "mark": holding.mark_price_usd,
            "liquidation": holding.liquidation_price_usd,
            "pnl_after_fees_usd": holding.pnl_after_fees_usd,
            "value_usd": holding.venue_value_usd,
        }
        for name, number in numbers.items():
            assert number == pytest.approx(float(wanted[name]), abs=cent, rel=1e-15), name


def test_the_forms_differ_by_cents_only() -> None:
    answers = [
        read_answer(body_of(version), SHAPES[version], WALLET, PRICES, NOW)
        for version in ("v1", "v2")
    ]
    for first, second in zip(answers[0].holdings, answers[1].holdings, strict=True):
        assert (first.opened_time, first.flags, first.side) == (
            second.opened_time,
            second.flags,
            second.side,
        )
        for name in (
            "open_fee_usd",
            "close_fee_usd",
            "borrow_fee_usd",
            "own_liquidation_price_usd",
        ):
            wanted = getattr(second, name)
            assert getattr(first, name) == pytest.approx(wanted, abs=0.0051), name


def test_our_own_liquidation_price_confirms_the_venues() -> None:
    for holding in read_answer(body_of("v2"), V2, WALLET, PRICES, NOW).holdings:
        assert holding.own_liquidation_price_usd == pytest.approx(
            holding.liquidation_price_usd, abs=1e-6
        )


def test_a_list_that_is_null_or_empty_is_complete_when_nothing_is_counted() -> None:
    nothing: tuple[list[object] | None, ...] = (None, [])
    for rows in nothing:
        answer = read_answer({"count": 0, "dataList": rows}, V2, WALLET, {}, NOW)
        assert answer == Answer((), (), True, "", 0, NOW)
        short = read_answer({"count": 3, "dataList": rows}, V2, WALLET, {}, NOW)
        assert (short.complete, short.incomplete_reason) == (False, "COUNT_MISMATCH")


@pytest.mark.parametrize(
    ("count", "reason"),
    [
        (None, "COUNT_MISSING"),
        ("4", "COUNT_MISSING"),
        (True, "COUNT_MISSING"),
        (3, "COUNT_MISMATCH"),
        (5, "COUNT_MISMATCH"),
    ],
)
def test_a_count_that_is_not_the_rows_makes_the_answer_incomplete(
    count: object, reason: str
) -> None:
    answer = read_answer({**body_of("v1"), "count": count}, V1, WALLET, PRICES, NOW)
    assert (answer.complete, answer.incomplete_reason, len(answer.holdings)) == (False, reason, 4)


def test_a_row_twice_counts_once_and_the_answer_stays_complete() -> None:
    answer = answer_to(row_of("v1"), row_of("v1"), row_of("v1", 0))
    assert [holding.asset for holding in answer.holdings] == ["SOL", "BTC"]
    assert answer.complete and answer.row_count == 3


def test_two_rows_of_one_position_that_differ_are_both_disbelieved() -> None:
    answer = answer_to(row_of("v1"), {**row_of("v1"), "collateral": "1100.00"}, row_of("v1", 0))
    assert [holding.asset for holding in answer.holdings] == ["BTC"]
    (refused,) = answer.refusals
    assert (refused.reason, refused.position_id, answer.complete) == (
        "DUPLICATE_DIFFERS",
        SOL_KEY,
        False,
    )


BAD_V1 = [
    ("entryPrice", "abc", "NOT_A_NUMBER"),
    ("entryPrice", "", "NOT_A_NUMBER"),
    ("entryPrice", " 196.5", "NOT_A_NUMBER"),
    ("entryPrice", "1_965", "NOT_A_NUMBER"),
    ("entryPrice", "1e2", "NOT_A_NUMBER"),
    ("entryPrice", "١٩٦", "NOT_A_NUMBER"),
    ("entryPrice", 196.5, "NOT_A_NUMBER"),
    ("entryPrice", True, "NOT_A_NUMBER"),
    ("entryPrice", ["196.5"], "NOT_A_NUMBER"),
    ("entryPrice", "NaN", "NOT_FINITE"),
    ("entryPrice", "-Infinity", "NOT_FINITE"),
    ("entryPrice", "1e400", "NOT_FINITE"),
    ("entryPrice", "9" * 400, "NOT_FINITE"),
    ("entryPrice", "-196.50", "NEGATIVE"),
    ("entryPrice", "0", "NOT_POSITIVE"),
    ("entryPrice", None, "MISSING_FIELD"),
    ("markPrice", None, "MISSING_FIELD"),
    ("markPrice", "0.00", "NOT_POSITIVE"),
    ("size", "-12000", "NEGATIVE"),
    ("size", "0", "NOT_POSITIVE"),
    ("size", None, "MISSING_FIELD"),
    ("collateral", "-1200.00", "NEGATIVE"),
    ("collateral", None, "MISSING_FIELD"),
    ("liquidationPrice", "-1", "NEGATIVE"),
    ("liquidationPrice", "none", "NOT_A_NUMBER"),
    ("pnlAfterFeesUsd", "NaN", "NOT_FINITE"),
    ("value", "lots", "NOT_A_NUMBER"),
    ("closeFeesUsd", "-1", "NEGATIVE"),
    ("createdTime", "yesterday", "NOT_A_NUMBER"),
    ("createdTime", 1794870000.5, "NOT_A_NUMBER"),
    ("createdTime", -5, "NEGATIVE"),
    ("createdTime", 1794870000000, "FROM_FUTURE"),
    ("createdTime", "9" * 5000, "NOT_A_NUMBER"),
    ("updatedTime", 1795302000, "FROM_FUTURE"),
    ("updatedTime", 10**400, "FROM_FUTURE"),
    ("positionPubkey", None, "MISSING_FIELD"),
    ("positionPubkey", "x", "BAD_ID"),
    ("positionPubkey", 7, "BAD_ID"),
]


@pytest.mark.parametrize(("field", "stated", "reason"), BAD_V1)
def test_a_bad_value_refuses_its_row_and_keeps_the_others(
    field: str, stated: object, reason: str
) -> None:
    answer = answer_to(row_of("v1", 0), {**row_of("v1"), field: stated}, row_of("v1", 3))
    assert [holding.asset for holding in answer.holdings] == ["BTC", "ETH"]
    (refused,) = answer.refusals
    assert (refused.reason, refused.field) == (reason, field)
    assert refused.position_id == (None if field == "positionPubkey" else SOL_KEY)
    assert (answer.complete, answer.incomplete_reason) == (False, "ROWS_REFUSED")


@pytest.mark.parametrize("stated", ["196.50", "1e9", "196500000.0", 196500000, "", "0x10"])
def test_micro_dollars_are_whole_numbers_in_strings(stated: object) -> None:
    answer = answer_to({**row_of("v2"), "entryPriceUsd": stated}, shape=V2)
    assert [(refused.reason, refused.field) for refused in answer.refusals] == [
        ("NOT_A_NUMBER", "entryPriceUsd")
    ]


@pytest.mark.parametrize(
    "field", ["entryPrice", "markPrice", "liquidationPrice", "size", "collateral"]
)
def test_a_renamed_field_is_missed(field: str) -> None:
    row = row_of("v1")
    row["new" + field] = row.pop(field)
    assert [(refused.reason, refused.field) for refused in answer_to(row).refusals] == [
        ("MISSING_FIELD", field)
    ]


@pytest.mark.parametrize("row", [None, 7, "row", [], [row_of("v1")]])
def test_a_row_that_is_no_object_is_refused(row: object) -> None:
    assert [refused.reason for refused in answer_to(row).refusals] == ["NOT_AN_OBJECT"]


@pytest.mark.parametrize("stated", ["0", "0.00", "-0.0", None])
def test_a_liquidation_price_of_zero_is_unknown_and_never_no_risk(stated: object) -> None:
    (holding,) = answer_to({**row_of("v1"), "liquidationPrice": stated}).holdings
    assert holding.liquidation_price_usd is None
    assert holding.own_liquidation_price_usd == pytest.approx(177.78, abs=0.01)


def test_what_the_venue_does_not_say_is_absent() -> None:
    row = row_of("v1")
    for field in (
        "pnlAfterFeesUsd",
        "value",
        "openFeesUsd",
        "closeFeesUsd",
        "borrowFeesUsd",
        "createdTime",
        "updatedTime",
    ):
        del row[field]
    (holding,) = answer_to(row).holdings
    assert holding.pnl_after_fees_usd is holding.venue_value_usd is holding.open_fee_usd is None
    assert holding.borrow_fee_usd is holding.own_liquidation_price_usd is None
    assert holding.opened_time is None


def only(answer: Answer) -> Holding:
    (holding,) = answer.holdings
    return holding


def test_an_unknown_market_is_kept_as_unknown_and_cannot_be_judged() -> None:
    for row, shape in (
        ({**row_of("v1"), "marketMint": "HsJiYaZqSuyzwhkiFmcw2YZBV3uajWYzgBkW1Lqvb6J4"}, V1),
        ({**row_of("v1"), "marketMint": None}, V1),
        ({**row_of("v2"), "assetMint": "HsJiYaZqSuyzwhkiFmcw2YZBV3uajWYzgBkW1Lqvb6J4"}, V2),
        ({**row_of("v2"), "asset": "ETH"}, V2),
    ):
        holding = only(answer_to(row, shape=shape))
        assert holding.asset == "UNKNOWN"
        assert Flag.CANNOT_JUDGE in holding.flags


def test_a_side_that_is_not_stated_is_unknown_and_cannot_be_judged() -> None:
    row = row_of("v1")
    del row["side"]
    for stated in (row, {**row, "side": None}, {**row, "side": "up"}, {**row, "side": 1}):
        holding = only(answer_to(stated))
        assert (holding.side, holding.flags) == (Side.UNKNOWN, frozenset({Flag.CANNOT_JUDGE}))
        assert holding.own_liquidation_price_usd is None


def test_the_side_is_read_in_any_case() -> None:
    assert only(answer_to({**row_of("v1"), "side": "Short"})).side is Side.SHORT


def times_a_million(row: dict[str, object]) -> dict[str, object]:
    fields = ("entryPrice", "markPrice", "liquidationPrice", "size", "collateral")
    return {**row, **{field: f"{float(str(row[field])) * 1e6:.0f}" for field in fields}}


def test_micro_dollars_under_the_names_of_dollars_refuse_the_whole_answer() -> None:
    answer = answer_to(row_of("v1", 0), times_a_million(row_of("v1")))
    assert (answer.holdings, answer.complete, answer.incomplete_reason) == (
        (),
        False,
        "MICRO_DOLLARS",
    )
    (refused,) = answer.refusals
    assert (refused.reason, refused.field, refused.position_id) == ("MICRO_DOLLARS", "", None)
    assert answer.row_count == 2


def test_micro_dollars_are_noticed_without_an_outside_price() -> None:
    assert answer_to(times_a_million(row_of("v1")), prices={}).incomplete_reason == "MICRO_DOLLARS"


def test_dollars_under_the_names_of_micro_dollars_refuse_the_whole_answer() -> None:
    row = row_of("v2")
    scaled = {
        name: stated[:-6]
        if isinstance(stated, str) and name.endswith("Usd") and len(stated) > 6
        else stated
        for name, stated in row.items()
    }
    assert answer_to(scaled, shape=V2).incomplete_reason == "PRICE_SCALE"


@pytest.mark.parametrize(
    ("mark", "taken"), [("3640", True), ("3641", False), ("9.11", True), ("9.09", False)]
)
def test_the_mark_may_differ_twenty_times_from_the_market_and_no_more(
    mark: str, taken: bool
) -> None:
    row = {
        **row_of("v1"),
        "markPrice": mark,
        "entryPrice": mark,
        "pnlAfterFeesUsd": None,
        "value": None,
    }
    assert bool(answer_to(row).holdings) is taken


@pytest.mark.parametrize(
    ("fields", "reason", "field"),
    [
        ({"collateral": "0"}, "NOT_POSITIVE", "collateral"),
        ({"collateral": "0.001"}, "LEVERAGE_SCALE", "collateral"),
        ({"entryPrice": "19520"}, "ENTRY_SCALE", "entryPrice"),
        ({"pnlAfterFeesUsd": "-640000"}, "PROFIT_DISAGREES", "pnlAfterFeesUsd"),
        ({"markPrice": "1824"}, "PROFIT_DISAGREES", "pnlAfterFeesUsd"),
        ({"markPrice": "18.24"}, "PROFIT_DISAGREES", "pnlAfterFeesUsd"),
        ({"entryPrice": "1952"}, "PROFIT_DISAGREES", "pnlAfterFeesUsd"),
        ({"collateral": "12000"}, "VALUE_DISAGREES", "value"),
        ({"collateral": "120"}, "VALUE_DISAGREES", "value"),
        ({"value": "90000"}, "VALUE_DISAGREES", "value"),
        ({"value": "-90000"}, "VALUE_DISAGREES", "value"),
    ],
)
def test_figures_that_contradict_each_other_refuse_their_row(
    fields: dict[str, object], reason: str, field: str
) -> None:
    answer = answer_to({**row_of("v1"), **fields})
    assert [(one.reason, one.field) for one in answer.refusals] == [(reason, field)]
    assert not answer.complete and answer.refusals[0].position_id


def test_an_old_update_is_normal_and_a_near_future_one_is_skew() -> None:
    old = {**row_of("v1"), "updatedTime": 1600000000, "createdTime": 1600000000}
    assert answer_to(old).complete
    edge = int((NOW + timedelta(minutes=5)).timestamp())
    assert answer_to({**row_of("v1"), "updatedTime": edge}).complete
    assert not answer_to({**row_of("v1"), "updatedTime": edge + 1}).complete


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "positions",
        7,
        {},
        {"count": 0},
        {"count": 0, "dataList": {}},
        {"count": 0, "dataList": "none"},
        {"code": 500, "message": "broken"},
        {"code": "wallet_unknown", "message": "no such wallet"},
        {"code": 500, "message": "broken", "count": 0, "dataList": None},
        {"error": "busy"},
        {"errors": [{"message": "busy"}]},
        {"data": {"count": 0, "dataList": []}},
    ],
)
def test_a_body_that_is_no_list_of_positions_is_a_failure(body: object) -> None:
    with pytest.raises(ProviderFailure) as caught:
        read_answer(body, V2, WALLET, PRICES, NOW)
    assert caught.value.kind is FailureKind.BAD_BODY


def test_a_masked_body_holds_no_address_and_no_whole_key() -> None:
    row = {
        **row_of("v1"),
        "owner": WALLET,
        "link": f"https://example.org/{WALLET}?x=1",
        "evm": "0x" + "aB" * 20,
    }
    text = masked(row, WALLET)
    assert WALLET not in text and WALLET[:12] not in text
    assert SOL_KEY not in text and "Gpn2...UfPz" in text
    assert "0x" + "aB" * 20 not in text
    assert len(masked({"text": "word " * 2000}, WALLET)) == 2000
