"""Evaluation, rebalance and corridor of a linked hedge, on what the real positions server holds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sonic.hedges.v1 import hedges_pb2 as pb

from shared.errors import FailedPrecondition, InvalidArgument, NotFound, Unavailable
from tests.contract.hedges.conftest import Bench

ORACLE = json.loads(
    (Path(__file__).parents[2] / "oracle" / "portfolio_hedges_alerts.json").read_text()
)["hedge_pair"]
WANTED = ORACLE["rebalance_equal_value_at_105"]


async def test_a_list_of_prices_gives_the_figures_of_the_oracle(bench: Bench) -> None:
    hedge_id, long, short = await bench.pair()
    prices = pb.PriceList(prices_usd=[case["price"] for case in ORACLE["at"]])
    answer = await bench.hedges.EvaluateHedge(pb.EvaluateHedgeRequest(id=hedge_id, prices=prices))
    assert {leg.position_id: leg.side for leg in answer.legs} == {
        long: pb.SIDE_LONG,
        short: pb.SIDE_SHORT,
    }
    for found, case in zip(answer.evaluations, ORACLE["at"], strict=True):
        legs = {leg.position_id: leg for leg in found.legs}
        assert found.price_usd == case["price"]
        assert legs[long].value_usd == pytest.approx(case["long_value"], abs=1e-6)
        assert legs[short].pnl_usd == pytest.approx(case["short_pnl"], abs=1e-6)
        assert legs[short].delta_usd == pytest.approx(-1000 / 110 * case["price"])
        assert found.net_value_usd == pytest.approx(case["net_value"], abs=1e-6)
        assert found.net_pnl_usd == pytest.approx(case["net_pnl"], abs=1e-6)
        assert found.imbalance_usd == pytest.approx(case["imbalance"], abs=2e-6)


async def test_a_range_holds_both_ends_and_even_steps(bench: Bench) -> None:
    hedge_id, _, _ = await bench.pair()
    span = pb.PriceRange(from_price_usd=50, to_price_usd=170, step_count=4)
    answer = await bench.hedges.EvaluateHedge(pb.EvaluateHedgeRequest(id=hedge_id, range=span))
    assert [found.price_usd for found in answer.evaluations] == [50, 90, 130, 170]
    past = [
        [leg.past_liquidation for leg in found.legs].count(True) for found in answer.evaluations
    ]
    assert past == [1, 0, 0, 1]


async def test_without_prices_it_is_at_the_marks_and_equals_the_stored_figures(
    bench: Bench,
) -> None:
    hedge_id, _, _ = await bench.pair()
    stored = await bench.hedges.GetHedge(pb.GetHedgeRequest(id=hedge_id))
    answer = await bench.hedges.EvaluateHedge(pb.EvaluateHedgeRequest(id=hedge_id))
    (found,) = answer.evaluations
    assert found.price_usd == 105
    for name in ("imbalance_usd", "net_pnl_usd", "net_delta_tokens", "net_delta_usd"):
        assert getattr(found, name) == pytest.approx(getattr(stored, name), rel=1e-9)


async def test_members_that_are_gone_are_named_and_count_for_nothing(bench: Bench) -> None:
    hedge_id, long, short = await bench.pair()
    await bench.drop(short)
    answer = await bench.hedges.EvaluateHedge(pb.EvaluateHedgeRequest(id=hedge_id))
    assert ([leg.position_id for leg in answer.legs], list(answer.gone_position_ids)) == (
        [long],
        [short],
    )
    await bench.drop(long)
    with pytest.raises(FailedPrecondition) as refused:
        await bench.hedges.EvaluateHedge(pb.EvaluateHedgeRequest(id=hedge_id))
    assert refused.value.reason == "MEMBERS_GONE"


@pytest.mark.parametrize(
    ("side", "field", "wanted"),
    [
        (pb.SIDE_LONG, pb.REBALANCE_FIELD_COLLATERAL, WANTED["side_long_collateral"]),
        (pb.SIDE_SHORT, pb.REBALANCE_FIELD_COLLATERAL, WANTED["side_short_collateral"]),
        (pb.SIDE_LONG, pb.REBALANCE_FIELD_SIZE, WANTED["size_only_long"]),
        (pb.SIDE_SHORT, pb.REBALANCE_FIELD_SIZE, WANTED["size_only_short"]),
    ],
)
async def test_an_equal_value_advice_is_that_of_the_oracle(
    bench: Bench, side: pb.Side.ValueType, field: pb.RebalanceField.ValueType, wanted: float
) -> None:
    hedge_id, _, _ = await bench.pair()
    target = pb.REBALANCE_TARGET_EQUAL_VALUE
    request = pb.AdviseRebalanceRequest(id=hedge_id, target=target, side=side, field=field)
    answer = await bench.hedges.AdviseRebalance(request)
    assert answer.outcome == pb.REBALANCE_OUTCOME_CHANGE
    is_size = field == pb.REBALANCE_FIELD_SIZE
    assert (answer.size_usd if is_size else answer.collateral_usd) == pytest.approx(
        wanted, abs=1e-6
    )
    assert answer.size_change_usd == pytest.approx(wanted - 1000 if is_size else 0, abs=1e-6)
    assert answer.fee_usd == pytest.approx(abs(wanted - 1000) * 0.00234 if is_size else 0, abs=1e-6)
    assert answer.imbalance_before_usd == pytest.approx(4.545455, abs=1e-6)
    assert answer.imbalance_after_usd == pytest.approx(0, abs=1e-9)


async def test_a_target_that_cannot_be_met_is_an_answer_with_its_reason(bench: Bench) -> None:
    hedge_id, long, short = await bench.pair()
    request = pb.AdviseRebalanceRequest(
        id=hedge_id,
        target=pb.REBALANCE_TARGET_DELTA_NEUTRAL,
        side=pb.SIDE_LONG,
        field=pb.REBALANCE_FIELD_COLLATERAL,
        position_id=long,
    )
    answer = await bench.hedges.AdviseRebalance(request)
    assert answer.outcome == pb.REBALANCE_OUTCOME_CANNOT_BE_MET
    assert answer.reason == pb.REBALANCE_REASON_COLLATERAL_MOVES_NO_DELTA
    assert "size" in answer.message
    assert not answer.HasField("collateral_usd")
    request.position_id = short
    with pytest.raises(InvalidArgument) as refused:
        await bench.hedges.AdviseRebalance(request)
    assert refused.value.reason == "LEG_NOT_FOUND"


async def test_the_corridor_ends_where_the_nearest_leg_of_each_side_liquidates(
    bench: Bench,
) -> None:
    hedge_id, long, short = await bench.pair()
    far = await bench.hold("BTC", "SHORT", liquidation_price_usd=200.0, mark_price_usd=105.0)
    await bench.link()
    answer = await bench.hedges.GetCorridor(pb.GetCorridorRequest(id=hedge_id))
    assert (answer.reference_price_usd, answer.lower_price_usd, answer.upper_price_usd) == (
        105,
        55,
        160,
    )
    assert answer.lower_distance_percent == pytest.approx(100 * 50 / 105)
    (fall,) = answer.down_steps
    assert (list(fall.position_ids), fall.forfeited_collateral_usd) == ([long], 500)
    assert fall.forfeited_value_usd == pytest.approx(50)
    # Both shorts are left, naked.
    assert fall.naked_delta_tokens == pytest.approx(-(1000 / 110 + 10))
    assert [list(step.position_ids) for step in answer.up_steps] == [[short], [far]]
    assert answer.up_steps[1].total_forfeited_collateral_usd == 600
    assert answer.up_steps[1].remaining_short_size_usd == 0
    assert answer.up_steps[1].naked_delta_usd == pytest.approx(10 * 200)


async def test_a_member_without_a_liquidation_price_is_named(bench: Bench) -> None:
    await bench.hold("ETH", "LONG", liquidation_price_usd=50.0)
    unknown = await bench.hold("ETH", "SHORT", liquidation_price_usd=150.0)
    await bench.link()
    (hedge,) = await bench.listed()
    await bench.forget_liquidation(unknown)
    answer = await bench.hedges.GetCorridor(pb.GetCorridorRequest(id=hedge.id, price_usd=100))
    assert list(answer.unjudged_position_ids) == [unknown]
    assert not answer.HasField("upper_price_usd")
    assert answer.reference_price_usd == 100


WRONG = [
    pb.EvaluateHedgeRequest(
        id="h", range=pb.PriceRange(from_price_usd=2, to_price_usd=1, step_count=2)
    ),
    pb.EvaluateHedgeRequest(
        id="h", range=pb.PriceRange(from_price_usd=1, to_price_usd=2, step_count=1)
    ),
    pb.EvaluateHedgeRequest(id="h", prices=pb.PriceList(prices_usd=[])),
    pb.EvaluateHedgeRequest(id="h", prices=pb.PriceList(prices_usd=[1, 0])),
    pb.EvaluateHedgeRequest(id="h", prices=pb.PriceList(prices_usd=[float("nan")])),
]


@pytest.mark.parametrize("request_", WRONG, ids=range(len(WRONG)))
async def test_prices_that_are_none_are_refused(
    bench: Bench, request_: pb.EvaluateHedgeRequest
) -> None:
    with pytest.raises(InvalidArgument):
        await bench.hedges.EvaluateHedge(request_)


async def test_a_target_that_is_not_named_is_refused(bench: Bench) -> None:
    with pytest.raises(InvalidArgument):
        await bench.hedges.AdviseRebalance(pb.AdviseRebalanceRequest(id="h"))


async def test_too_many_prices_are_refused(bench: Bench) -> None:
    hedge_id, _, _ = await bench.pair()
    await bench.hold("BTC", "LONG")
    await bench.link()
    span = pb.PriceRange(from_price_usd=1, to_price_usd=2, step_count=10_000)
    with pytest.raises(InvalidArgument) as refused:
        await bench.hedges.EvaluateHedge(pb.EvaluateHedgeRequest(id=hedge_id, range=span))
    assert refused.value.reason == "TOO_MANY_FIGURES"


async def test_what_ifs_of_no_hedge_are_not_found_and_without_positions_unavailable(
    bench: Bench,
) -> None:
    hedge_id, _, _ = await bench.pair()
    with pytest.raises(NotFound):
        await bench.hedges.GetCorridor(pb.GetCorridorRequest(id="hedge-none"))
    await bench.positions_app.stop()
    with pytest.raises(Unavailable) as failed:
        await bench.hedges.GetCorridor(pb.GetCorridorRequest(id=hedge_id))
    assert failed.value.reason == "POSITIONS_UNAVAILABLE"
