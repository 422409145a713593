"""Series that charts draw, through a real server."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sonic.withdrawals.v1 import withdrawals_pb2 as pb

from shared.errors import InvalidArgument, NotFound
from tests.contract.withdrawals.conftest import START, Bench
from tests.contract.withdrawals.test_evaluations import stamp, supplied


async def drawn(bench: Bench, view: int, asset: str = "djed", **request: object) -> pb.Series:
    return await bench.advisor.GetSeries(pb.GetSeriesRequest(asset=asset, view=view, **request))


async def test_position_and_corrected_position_part_where_something_was_put_in(
    bench: Bench,
) -> None:
    await supplied(bench)
    flow = pb.Flow(
        asset="djed", wallet="main", market="DJED", tx_id="t", kind=pb.FLOW_KIND_DEPOSIT,
        units="100", flow_time=stamp(START - timedelta(hours=30)),
    )  # fmt: skip
    await bench.supply.CreateFlow(pb.CreateFlowRequest(flow=flow))
    position = await drawn(bench, pb.VIEW_POSITION)
    assert len(position.points) == 61
    assert [one.tx_id for one in position.flows] == ["t"]
    corrected = await drawn(bench, pb.VIEW_CORRECTED)
    assert corrected.points[-1].value < position.points[-1].value - 90
    assert position.trend_per_month == pytest.approx(0.02 * 24 * 30, rel=0.1)


async def test_a_range_is_cut_and_binned_with_percentiles(bench: Bench) -> None:
    await supplied(bench)
    request = {
        "start_time": stamp(START - timedelta(hours=24)),
        "end_time": stamp(START),
        "bin": timedelta(hours=6),
    }
    series = await drawn(bench, pb.VIEW_POSITION, **request)
    assert len(series.points) == 24
    assert sum(one.count for one in series.bins) == 24
    for one in series.bins:
        assert one.p10 <= one.p25 <= one.p50 <= one.p75 <= one.p90


async def test_residuals_have_a_band_a_histogram_and_a_density(bench: Bench) -> None:
    await supplied(bench)
    series = await drawn(bench, pb.VIEW_RESIDUAL)
    assert series.gate.state == pb.GATE_STATE_EVALUATED
    assert series.gate.low < 0 < series.gate.high
    assert len(series.distribution.edges) == len(series.distribution.counts) + 1
    assert len(series.distribution.at) == len(series.distribution.density) == 128


async def test_all_assets_together_are_total_and_a_wallet_can_be_drawn_alone(
    bench: Bench,
) -> None:
    await supplied(bench, wallets=("main", "second"))
    await bench.grow(60, first="500", wallet="second")
    total = await drawn(bench, pb.VIEW_POSITION, asset="total")
    alone = await drawn(bench, pb.VIEW_POSITION, wallet="second")
    assert total.points[-1].value > 1400
    assert alone.points[0].value < 600
    with pytest.raises(InvalidArgument):
        await drawn(bench, pb.VIEW_RATE_USD, asset="total")


async def test_rates_and_percents_are_drawn_and_an_unknown_asset_is_refused(bench: Bench) -> None:
    await supplied(bench)
    assert {one.value for one in (await drawn(bench, pb.VIEW_RATE_USD)).points} == {0.999}
    assert not (await drawn(bench, pb.VIEW_RATE_ADA)).points
    percent = (await drawn(bench, pb.VIEW_GAIN_PERCENT)).points[-1].value
    assert percent == pytest.approx(0.12, rel=0.05)
    with pytest.raises(NotFound) as missing:
        await drawn(bench, pb.VIEW_POSITION, asset="usdx")
    assert missing.value.reason == "ASSET_NOT_FOUND"
    with pytest.raises(InvalidArgument):
        await drawn(bench, pb.VIEW_POSITION, start_time=stamp(START + timedelta(days=9)))
