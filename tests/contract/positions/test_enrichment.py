"""Enrichment over gRPC: which mark counts, what is stale, flags and reasons, replays, restarts."""

from __future__ import annotations

import math

import pytest
from sonic.positions.v1 import positions_pb2 as pb
from sonic.price.v1 import price_pb2

from shared import columns


async def enrich(servers, cycle_id: str = "", epoch: int = 1):
    return await servers.positions.EnrichPositions(
        pb.EnrichPositionsRequest(cycle_id=cycle_id, epoch=epoch)
    )


async def test_a_position_without_a_mark_of_its_own_follows_the_market(servers) -> None:
    servers.price.set("BTC", 80.0, volatility=0.01)
    made = await servers.create(mark_price_usd=None)
    assert made.mark_price_usd == made.market_price_usd == 80.0 and made.travel_percent == -40.0
    assert 0 < made.liquidation_probability < 1 and not made.flags
    servers.price.set("BTC", 60.0)
    await enrich(servers)
    assert (
        await servers.positions.GetPosition(pb.GetPositionRequest(id=made.id))
    ).travel_percent == -80.0


async def test_an_entered_mark_wins_and_is_checked_against_the_market(servers) -> None:
    servers.price.set("BTC", 80.0)
    made = await servers.create()
    assert made.mark_price_usd == 75.0 and list(made.flags) == [pb.FLAG_MARK_PRICE_DISAGREES]
    servers.clock.advance(121)
    await enrich(servers)
    old = await servers.positions.GetPosition(pb.GetPositionRequest(id=made.id))
    assert list(old.flags) == [pb.FLAG_MARK_STALE], "the market is too old to contradict"


@pytest.mark.parametrize(
    ("age_seconds", "quality"),
    [
        (121, price_pb2.QUALITY_GOOD),
        (0, price_pb2.QUALITY_STALE),
        (0, price_pb2.QUALITY_CLOSED),
        (0, price_pb2.QUALITY_DISAGREE),
    ],
)
async def test_a_market_price_that_cannot_be_relied_on_is_a_stale_mark(
    servers, age_seconds, quality
) -> None:
    servers.price.set("BTC", 80.0, age_seconds=age_seconds, quality=quality)
    made = await servers.create(mark_price_usd=None)
    assert made.mark_price_usd == 80.0 and list(made.flags) == [pb.FLAG_MARK_STALE]


async def test_enrichment_goes_on_without_the_price_service(servers) -> None:
    servers.price.down = True
    made = await servers.create()
    assert made.heat_index > 0 and not made.HasField("market_price_usd")
    done = await enrich(servers, "c1")
    assert (done.enriched_count, done.absent_count) == (1, 0)


async def test_what_is_absent_has_a_reason(servers) -> None:
    await servers.create()
    await servers.create(mark_price_usd=None)
    await servers.create(liquidation_price_usd=None)
    await servers.create(liquidation_price_usd=120.0)
    await servers.create(side=pb.SIDE_UNKNOWN)
    await servers.create(collateral_usd=0.0)
    await servers.create(liquidation_price_usd=100.0)
    done = await enrich(servers)
    assert dict(done.reasons) == {
        "MARK_MISSING": 1,
        "LIQUIDATION_PRICE_MISSING": 1,
        "LIQUIDATION_ON_WRONG_SIDE": 1,
        "SIDE_UNKNOWN": 1,
        "COLLATERAL_MISSING": 1,
        "LIQUIDATION_AT_ENTRY": 1,
    }
    assert (done.enriched_count, done.absent_count) == (1, 6)
    assert done.totals.absent_count["heat_index"] == 5, (
        "at or past a wrong-sided liquidation heat is 100"
    )


async def test_what_cannot_be_judged_is_flagged(servers) -> None:
    assert pb.FLAG_CANNOT_JUDGE in (await servers.create(side=pb.SIDE_UNKNOWN)).flags
    assert pb.FLAG_CANNOT_JUDGE in (await servers.create(asset="unknown")).flags
    assert (
        pb.FLAG_LIQUIDATION_ON_WRONG_SIDE
        in (await servers.create(liquidation_price_usd=120.0)).flags
    )


async def test_the_same_cycle_again_answers_from_its_record(servers) -> None:
    await servers.create()
    first = await enrich(servers, "c1")
    await servers.create()
    assert await enrich(servers, "c1") == first
    assert (await enrich(servers, "c2")).totals.position_count == 2


async def test_what_is_absent_is_named_with_its_reason(servers) -> None:
    await servers.create()
    await servers.create(asset="ETH", mark_price_usd=None)
    await servers.create(asset="SOL", side=pb.SIDE_SHORT, liquidation_price_usd=None)
    done = await enrich(servers)
    assert (done.enriched_count, done.absent_count) == (1, 2)
    assert dict(done.reasons) == {"MARK_MISSING": 1, "LIQUIDATION_PRICE_MISSING": 1}
    assert list(done.absent) == [
        "manual ETH LONG: MARK_MISSING",
        "manual SOL SHORT: LIQUIDATION_PRICE_MISSING",
    ]


async def test_another_process_reads_what_the_first_enriched(open_system) -> None:
    first = await open_system()
    made = await first.create()
    second = await open_system()
    assert await second.positions.GetPosition(pb.GetPositionRequest(id=made.id)) == made
    await second.positions.UpdatePosition(
        pb.UpdatePositionRequest(position=pb.Position(id=made.id, mark_price_usd=60.0))
    )
    seen = await first.positions.GetPosition(pb.GetPositionRequest(id=made.id))
    assert seen.travel_percent == -80.0
    stream = first.columns.ReadColumns(pb.ReadColumnsRequest(columns=["travel_percent"]))
    assert [columns.decode(part)["travel_percent"].tolist() async for part in stream] == [[-80.0]]


async def test_a_new_process_shows_the_last_pass_though_prices_cannot_be_read(open_system) -> None:
    first = await open_system()
    first.price.set("BTC", 75.0, volatility=0.01)
    first.price.set("ETH", 70.0)
    made = [await first.create(), await first.create(asset="ETH", mark_price_usd=None)]
    shown = [await first.positions.GetPosition(pb.GetPositionRequest(id=one.id)) for one in made]
    assert shown[0].liquidation_probability > 0 and shown[1].market_price_usd == 70.0
    second = await open_system()
    second.price.down = True
    for one in shown:
        assert await second.positions.GetPosition(pb.GetPositionRequest(id=one.id)) == one


async def test_a_what_if_gives_both_models_and_stores_nothing(servers) -> None:
    terms = pb.PositionTerms(
        side=pb.SIDE_LONG,
        entry_price_usd=100.0,
        liquidation_price_usd=50.0,
        size_usd=1000.0,
        collateral_usd=100.0,
    )
    answer = await servers.positions.EvaluateAtPrice(
        pb.EvaluateAtPriceRequest(position=terms, prices_usd=[100.0, 75.0, 50.0])
    )
    assert [round(one.heat_index, 2) for one in answer.evaluations] == [5.0, 46.46, 100.0]
    assert [one.heat_index_classic for one in answer.evaluations] == [5.0, 32.72, 49.59]
    assert [one.travel_percent for one in answer.evaluations] == [0.0, -50.0, -100.0]
    assert (await servers.portfolio.GetTotals(pb.GetTotalsRequest())).position_count == 0


async def test_a_what_if_of_a_stored_position_uses_its_volatility(servers) -> None:
    servers.price.set("BTC", 75.0, volatility=0.01)
    made = await servers.create()
    answer = await servers.positions.EvaluateAtPrice(
        pb.EvaluateAtPriceRequest(position_id=made.id, prices_usd=[75.0])
    )
    assert answer.evaluations[0].liquidation_probability == made.liquidation_probability
    assert answer.evaluations[0].heat_index == made.heat_index


@pytest.mark.parametrize("price_usd", [0.0, -1.0, math.nan, math.inf])
async def test_a_what_if_needs_prices_above_zero(servers, price_usd) -> None:
    made = await servers.create()
    with pytest.raises(Exception, match="INVALID_FIELD"):
        await servers.positions.EvaluateAtPrice(
            pb.EvaluateAtPriceRequest(position_id=made.id, prices_usd=[price_usd])
        )


async def totals_and_staleness(servers):
    stream = servers.columns.ReadColumns(
        pb.ReadColumnsRequest(columns=["stale", "size_usd"], chunk_row_count=1)
    )
    parts = [part async for part in stream]
    assert [part.HasField("totals") for part in parts] == [True, *[False] * (len(parts) - 1)]
    stale = [bool(row) for part in parts for row in columns.decode(part)["stale"]]
    return pb.Totals.FromString(parts[0].totals.SerializeToString()), stale


async def test_totals_and_staleness_of_a_pass_travel_with_its_columns(servers) -> None:
    nothing, rows = await totals_and_staleness(servers)
    assert (nothing.position_count, nothing.stale, rows) == (0, False, [])
    await servers.create(size_usd=1000.0)
    servers.clock.advance(61)
    await servers.create(size_usd=500.0)
    totals, rows = await totals_and_staleness(servers)
    assert (totals.total_size_usd, totals.stale, rows) == (1500.0, False, [False, False])
    assert totals == await servers.portfolio.GetTotals(pb.GetTotalsRequest())

    servers.clock.advance(60)
    totals, rows = await totals_and_staleness(servers)
    assert (totals.stale, rows) == (True, [False, False]), "the oldest mark is 121 s old by now"
    assert (await servers.portfolio.GetTotals(pb.GetTotalsRequest())).stale
    done = await enrich(servers)
    assert done.totals.stale
    totals, rows = await totals_and_staleness(servers)
    assert (totals.stale, rows) == (True, [True, False])
