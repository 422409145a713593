"""A lost peg is told whatever else is known, and as found only by a newer price that says so."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sonic.withdrawals.v1 import withdrawals_pb2 as pb

from tests.contract.withdrawals.conftest import Bench, Open, reasons
from tests.contract.withdrawals.test_decisions import until
from tests.contract.withdrawals.test_evaluations import supplied


async def told(bench: Bench, count: int) -> list[tuple[bool, float | None]]:
    """Whether it was off its peg, and the price, of each news."""
    await until(lambda: len(bench.alerts.news) >= count, bench)
    return [(one.record.is_off_peg, one.record.price_usd) for one in bench.alerts.news]


async def test_a_lost_peg_is_danger_also_where_no_gain_is_known(bench: Bench) -> None:
    await bench.watch_djed()
    bench.venue.listed = [replace(bench.venue.listed[0], price_usd=0.90)]
    bench.prices.usd["djed"] = 0.90
    assert "DEPEG" in reasons(await bench.evaluate())
    assert await told(bench, 1) == [(True, 0.90)]
    await bench.grow(30)
    bench.clock.advance(60)
    assert "DEPEG" in reasons(await bench.evaluate())
    # An ERROR, and a HOLD now that the wallet has samples: advice that changed is told again.
    assert await told(bench, 2) == [(True, 0.90)] * 2
    assert [one.record.value for one in bench.alerts.news] == [-1, 0]


async def test_a_lost_peg_stays_lost_when_its_reference_is_deleted(bench: Bench) -> None:
    await bench.watch_djed()
    units = await bench.grow(60)
    reference = await bench.refer(60)
    bench.venue.hold("addr1main", str(units))
    bench.venue.listed = [replace(bench.venue.listed[0], price_usd=0.90)]
    bench.prices.usd["djed"] = 0.90
    assert "DEPEG" in reasons(await bench.evaluate())
    await bench.supply.DeleteReference(pb.DeleteReferenceRequest(id=reference.id))
    bench.clock.advance(60)
    assert "DEPEG" in reasons(await bench.evaluate())


async def test_a_price_older_than_the_one_that_lost_the_peg_finds_it_not_again(
    bench: Bench,
) -> None:
    await supplied(bench)
    await bench.evaluate()
    assert await told(bench, 1) == [(False, 0.999)]
    bench.clock.advance(60)
    bench.venue.down, bench.prices.usd["djed"] = True, 0.90
    assert "DEPEG" in reasons(await bench.evaluate())
    assert (await told(bench, 2))[-1] == (True, 0.90)
    # Nobody answers: the newest sample's price is of before the peg was lost.
    bench.clock.advance(60)
    bench.prices.down = True
    assert not (await bench.evaluate()).HasField("price_usd")
    bench.clock.advance(60)
    bench.prices.down, bench.prices.usd["djed"] = False, 0.9985
    await bench.evaluate()
    assert (await told(bench, 3))[2:] == [(False, 0.9985)]


async def test_of_what_is_only_imported_a_newer_sample_finds_the_peg_again(
    open_bench: Open,
) -> None:
    bench = await open_bench(with_venue=False)
    bench.prices.down = True
    await bench.watch_djed()
    await bench.grow(60)
    await bench.refer(60)
    header = "asset,wallet,market,time,units,price_usd"
    for price in ("0.90", "0.999"):
        bench.clock.advance(60)
        row = f"djed,main,DJED,{bench.clock.now().isoformat()},1001.23,{price}"
        request = pb.ImportSamplesRequest(content=f"{header}\n{row}")
        assert not (await bench.supply.ImportSamples(request)).refusals
        # However often it is looked at between.
        for _ in range(2):
            bench.clock.advance(60)
            assert ("DEPEG" in reasons(await bench.evaluate())) == (price == "0.90")
    assert (await told(bench, 2))[-1] == (False, 0.999)


@pytest.mark.parametrize("is_down", [True, False])
async def test_a_price_beyond_its_age_allows_nothing_also_by_way_of_a_sample(
    bench: Bench, is_down: bool
) -> None:
    await supplied(bench)
    bench.venue.listed = [replace(bench.venue.listed[0], price_usd=None)]
    bench.prices.down, bench.prices.age = is_down, timedelta(hours=2)
    bench.clock.advance(60)
    decision = await bench.evaluate()
    assert reasons(decision)[0] == "PRICE_UNAVAILABLE"
    assert decision.value == pb.DECISION_VALUE_HOLD


@pytest.mark.parametrize("is_deleted", [True, False])
async def test_what_was_told_of_an_asset_ends_when_it_is_watched_no_more(
    bench: Bench, is_deleted: bool
) -> None:
    await supplied(bench)
    await bench.evaluate()
    await told(bench, 1)
    bench.clock.advance(60)
    bench.venue.listed = [replace(bench.venue.listed[0], price_usd=0.90)]
    bench.prices.usd["djed"] = 0.90
    await bench.evaluate()
    await told(bench, 2)
    if is_deleted:
        await bench.assets.DeleteAsset(pb.DeleteAssetRequest(name="djed"))
    else:
        asset = pb.Asset(name="djed", enabled=False)
        request = pb.UpdateAssetRequest(asset=asset, update_mask={"paths": ["enabled"]})
        await bench.assets.UpdateAsset(request)
    for _ in range(2):
        bench.clock.advance(60)
        assert not (await bench.advisor.Evaluate(pb.EvaluateRequest())).decisions
    await told(bench, 3)
    last = bench.alerts.news[-1].record
    assert (last.value, last.is_off_peg, last.price_usd) == (0, False, None)
    assert last.summary.endswith("[reason: not watched any more]")
    listed = (await bench.advisor.ListDecisions(pb.ListDecisionsRequest())).decisions
    assert len(listed) == 3
    explained = await bench.advisor.ExplainDecision(pb.ExplainDecisionRequest(id=listed[0].id))
    assert "not watched any more" in "\n".join(explained.lines)


@pytest.mark.parametrize("is_sent", [True, False])
async def test_what_was_told_of_an_asset_ends_when_its_data_are_deleted(
    bench: Bench, is_sent: bool
) -> None:
    await supplied(bench)
    await bench.evaluate()
    await told(bench, 1)
    if not is_sent:
        # That it may be withdrawn no more waits.
        bench.alerts.down = True
        bench.venue.listed = [replace(bench.venue.listed[0], closed="frozen")]
        bench.clock.advance(60)
        await bench.evaluate()
    await bench.advisor.ClearData(pb.ClearDataRequest(confirm="withdrawals"))
    bench.alerts.down = False
    await told(bench, 2)
    assert [one.record.value for one in bench.alerts.news] == [1, 0]
    assert bench.alerts.news[-1].record.over_reason == "its data were deleted"
