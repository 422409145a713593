"""Weights of heat, advice, carry and shocks over gRPC."""

from __future__ import annotations

import json

import asyncpg
import pytest
from sonic.positions.v1 import positions_pb2 as pb

from shared.errors import Conflict, InvalidArgument, NotFound


def modifiers(model=pb.HEAT_MODEL_CLASSIC, distance=0.6, leverage=0.3, collateral=0.1, etag=""):
    return pb.SetHeatModifiersRequest(
        modifiers=pb.HeatModifiers(
            model=model,
            distance_weight=distance,
            leverage_weight=leverage,
            collateral_weight=collateral,
            etag=etag,
        )
    )


async def heat_of(servers, position_id: str) -> float:
    return (await servers.positions.GetPosition(pb.GetPositionRequest(id=position_id))).heat_index


async def test_model_and_weights_are_stored_and_judge_every_position_at_once(
    servers, open_system
) -> None:
    one = await servers.create()
    present = await servers.risk.GetHeatModifiers(pb.GetHeatModifiersRequest())
    assert (present.model, present.distance_weight) == (pb.HEAT_MODEL_LIQUIDATION, 0.6)
    at_mark = (
        await servers.positions.EvaluateAtPrice(
            pb.EvaluateAtPriceRequest(position_id=one.id, prices_usd=[75.0])
        )
    ).evaluations[0]
    assert one.heat_index == pytest.approx(at_mark.heat_index) != at_mark.heat_index_classic
    changed = await servers.risk.SetHeatModifiers(modifiers(etag=present.etag))
    assert changed.etag != present.etag
    assert await heat_of(servers, one.id) == at_mark.heat_index_classic
    assert (
        await servers.portfolio.GetTotals(pb.GetTotalsRequest())
    ).total_heat == at_mark.heat_index_classic
    # A weight of nothing but distance: 100 * 0.5.
    await servers.risk.SetHeatModifiers(modifiers(distance=1, leverage=0, collateral=0))
    await servers.positions.EnrichPositions(pb.EnrichPositionsRequest(cycle_id="c", epoch=1))
    assert await heat_of(servers, one.id) == 50.0
    other = await open_system()
    assert await heat_of(other, one.id) == 50.0
    weighed = await other.positions.EvaluateAtPrice(
        pb.EvaluateAtPriceRequest(position_id=one.id, prices_usd=[75.0])
    )
    assert weighed.evaluations[0].heat_index_classic == 50.0


async def test_a_change_that_was_overtaken_is_refused(servers) -> None:
    first = await servers.risk.GetHeatModifiers(pb.GetHeatModifiersRequest())
    await servers.risk.SetHeatModifiers(modifiers(etag=first.etag))
    with pytest.raises(Conflict, match="ETAG_MISMATCH"):
        await servers.risk.SetHeatModifiers(modifiers(etag=first.etag))


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (
            pb.SetHeatModifiersRequest(modifiers=pb.HeatModifiers(model=1, distance_weight=1)),
            "BAD_MODIFIERS",
        ),
        (modifiers(leverage=-0.1), "BAD_MODIFIERS"),
        (modifiers(model=0), "BAD_MODIFIERS"),
        (modifiers(distance=float("nan")), "NOT_FINITE"),
    ],
)
async def test_bad_weights_are_refused_and_nothing_changes(servers, request_, reason) -> None:
    before = await servers.risk.GetHeatModifiers(pb.GetHeatModifiersRequest())
    with pytest.raises(InvalidArgument, match=reason):
        await servers.risk.SetHeatModifiers(request_)
    assert await servers.risk.GetHeatModifiers(pb.GetHeatModifiersRequest()) == before


async def test_modifiers_go_out_and_come_in_as_json(servers) -> None:
    out = await servers.risk.ExportModifiers(pb.ExportModifiersRequest())
    document = json.loads(out.content)
    document["heat_modifiers"] |= {"model": 2, "distance_weight": 0.9}
    document["hedge_modifiers"] = {"fee_percentage": 0.2}
    came = await servers.risk.ImportModifiers(
        pb.ImportModifiersRequest(content=json.dumps(document))
    )
    assert (came.modifiers.model, came.modifiers.distance_weight) == (pb.HEAT_MODEL_CLASSIC, 0.9)
    assert came.ignored_groups == ["hedge_modifiers"]
    del document["heat_modifiers"]["leverage_weight"]
    with pytest.raises(InvalidArgument, match="BAD_MODIFIERS"):
        await servers.risk.ImportModifiers(pb.ImportModifiersRequest(content=json.dumps(document)))


async def test_advice_followed_reaches_the_distance_either_way(servers) -> None:
    one = await servers.create(liquidation_price_usd=91.0, mark_price_usd=95.0)
    asked = pb.AdviseTopUpRequest(position_id=one.id, wanted_distance_percent=20)
    advice = await servers.risk.AdviseTopUp(asked)
    assert advice.add_state == advice.cut_state == pb.ADVICE_STATE_ADVISED
    # L must go from 91 to 76: 15 * 1000 / 100.
    assert advice.wanted_liquidation_price_usd == pytest.approx(76.0)
    assert advice.collateral_to_add_usd == pytest.approx(150.0)
    assert advice.size_to_cut_usd > 0
    near = pb.AdviseTopUpRequest(position_id=one.id, wanted_distance_percent=2)
    assert (await servers.risk.AdviseTopUp(near)).add_state == pb.ADVICE_STATE_MET
    terms = pb.PositionTerms(
        side=pb.SIDE_LONG,
        entry_price_usd=100,
        liquidation_price_usd=91,
        size_usd=1000,
        collateral_usd=100,
    )
    by_terms = pb.AdviseTopUpRequest(position=terms, price_usd=95, wanted_distance_percent=20)
    assert (await servers.risk.AdviseTopUp(by_terms)).collateral_to_add_usd == pytest.approx(150.0)


async def test_what_cannot_be_met_is_an_answer_and_what_is_not_there_an_error(servers) -> None:
    one = await servers.create()
    far = pb.AdviseTopUpRequest(position_id=one.id, wanted_distance_percent=100)
    answer = await servers.risk.AdviseTopUp(far)
    assert answer.add_state == answer.cut_state == pb.ADVICE_STATE_CANNOT_BE_MET
    assert answer.reason == "WANTED_DISTANCE_UNREACHABLE"
    assert not answer.HasField("collateral_to_add_usd") and not answer.HasField("size_to_cut_usd")
    with pytest.raises(NotFound, match="POSITION_NOT_FOUND"):
        await servers.risk.AdviseTopUp(
            pb.AdviseTopUpRequest(position_id="no", wanted_distance_percent=5)
        )
    for bad in (
        pb.AdviseTopUpRequest(wanted_distance_percent=5),
        pb.AdviseTopUpRequest(position_id=one.id, wanted_distance_percent=0),
        pb.AdviseTopUpRequest(position_id=one.id, wanted_distance_percent=5, price_usd=-1),
    ):
        with pytest.raises(InvalidArgument):
            await servers.risk.AdviseTopUp(bad)


async def test_carry_that_no_venue_states_is_absent(servers) -> None:
    one = await servers.create()
    found = await servers.risk.GetCarry(pb.GetCarryRequest())
    (carry,) = found.carries
    assert (carry.position_id, carry.reason, found.absent_count) == (one.id, "CARRY_MISSING", 1)
    assert not carry.HasField("hours_to_liquidation") and not found.HasField(
        "total_carry_usd_per_hour"
    )
    with pytest.raises(NotFound, match="POSITION_NOT_FOUND"):
        await servers.risk.GetCarry(pb.GetCarryRequest(position_ids=[one.id, "no"]))


async def test_stored_carry_says_how_long_it_can_be_paid(servers, databases) -> None:
    one = await servers.create(mark_price_usd=100.0, liquidation_price_usd=92.0)
    await servers.create(id="other")
    connection = await asyncpg.connect(databases.url("positions"))
    await connection.execute(
        "insert into venue_terms (position_key, maintenance_ratio, hourly_carry_usd)"
        " select position_key, 'NaN', 2.0 from position where id = $1",
        one.id,
    )
    found = await servers.risk.GetCarry(pb.GetCarryRequest(position_ids=[one.id]))
    # From 100 to 92 there are 80 USD to lose.
    assert found.carries[0].hours_to_liquidation == pytest.approx(40.0)
    everything = await servers.risk.GetCarry(pb.GetCarryRequest())
    assert (everything.total_carry_usd_per_hour, everything.absent_count) == (2.0, 1)
    await connection.execute("update venue_terms set hourly_carry_usd = -1")
    await connection.close()
    paid = (await servers.risk.GetCarry(pb.GetCarryRequest(position_ids=[one.id]))).carries[0]
    assert paid.reason == "NO_COST" and not paid.HasField("hours_to_liquidation")


async def test_a_shock_says_what_falls_on_the_way_and_what_is_left(servers) -> None:
    near = await servers.create(id="near", mark_price_usd=100.0, liquidation_price_usd=91.0)
    await servers.create(id="far", asset="ETH", mark_price_usd=100.0, liquidation_price_usd=50.0)
    await servers.create(id="none", asset="SOL", mark_price_usd=None)
    request = pb.ShockGridRequest(
        shocks=[
            pb.Shock(name="crash", moves_percent={"BTC": -18, "eth": -20}),
            pb.Shock(name="calm", other_move_percent=1),
        ],
        step_count=2,
    )
    found = await servers.risk.ShockGrid(request)
    assert found.absent_count == 1
    crash, calm = found.results
    (fall,) = crash.liquidations
    assert (fall.position_id, fall.asset, fall.side) == ("near", "BTC", pb.SIDE_LONG)
    assert fall.share == pytest.approx(0.5) and fall.price_usd == pytest.approx(91.0)
    assert fall.forfeited_collateral_usd == near.collateral_usd
    assert [point.share for point in crash.points] == [0.0, 0.5, 1.0]
    assert crash.points[-1].value_usd == pytest.approx(100 - 200)
    assert crash.value_change_usd == pytest.approx(-300)
    assert calm.value_change_usd == pytest.approx(20) and not calm.liquidations
    with pytest.raises(InvalidArgument, match="INVALID_FIELD"):
        await servers.risk.ShockGrid(
            pb.ShockGridRequest(shocks=[pb.Shock(moves_percent={"BTC": -100})])
        )


async def test_an_empty_system_can_be_shocked(servers) -> None:
    found = await servers.risk.ShockGrid(
        pb.ShockGridRequest(shocks=[pb.Shock(other_move_percent=-50)])
    )
    assert len(found.results[0].points) == 11 and found.results[0].value_change_usd == 0
