"""Evaluations by real samples and flows: each decision with exactly its reasons."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import asyncpg
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from sonic.withdrawals.v1 import withdrawals_pb2 as pb

from services.withdrawals.supply.domain.venue import VenueTransaction
from shared.errors import Conflict, FailedPrecondition, NotFound
from tests.contract.withdrawals.conftest import START, Bench, Open, reasons
from tests.fakes.databases import Databases


def stamp(moment: object) -> Timestamp:
    made = Timestamp()
    made.FromDatetime(moment)
    return made


async def supplied(bench: Bench, hours: int = 60, **settings: object) -> Decimal:
    """Djed with a history, a reference at its beginning and a holding that goes on from it."""
    await bench.watch_djed(**settings)
    units = await bench.grow(hours)
    await bench.refer(hours)
    bench.clock.advance(3600)
    bench.venue.hold("addr1main", str(units))
    return units


async def test_half_of_the_gain_may_be_withdrawn(bench: Bench) -> None:
    await supplied(bench)
    decision = await bench.evaluate()
    assert reasons(decision) == ["FLOWS_INCOMPLETE"]  # Shown: nobody told the first deposit.
    assert decision.value == pb.DECISION_VALUE_WITHDRAW_OK
    (wallet,) = decision.wallets
    assert wallet.wallet == "main"
    assert Decimal(wallet.gain_units) == Decimal("1.22") - Decimal(wallet.base_units) + 1000
    assert abs(Decimal(decision.allowance_units) - Decimal(wallet.gain_units) / 2) <= Decimal(
        "1e-6"
    )
    assert wallet.binding == [pb.LIMIT_GAIN]
    assert decision.summary.startswith("djed: decision=1, wmax_usd=0.6")
    assert decision.summary.endswith("(1 wallet)")
    assert decision.price_usd == 0.999
    assert [quote.source for quote in decision.prices.quotes] == ["liqwid", "minswap", "price"]


async def test_no_reference_holds(bench: Bench) -> None:
    await bench.watch_djed()
    await bench.grow(30)
    bench.venue.hold("addr1main", "1000.7")
    bench.clock.advance(3600)
    decision = await bench.evaluate()
    assert reasons(decision) == ["NO_REFERENCE"]
    assert decision.value == pb.DECISION_VALUE_HOLD
    assert decision.gain_units == ""


async def test_a_withdrawal_with_the_keyword_is_the_reference(bench: Bench) -> None:
    await bench.watch_djed()
    await bench.grow(60)
    flow = pb.Flow(
        asset="djed",
        wallet="main",
        market="DJED",
        tx_id="t1",
        kind=pb.FLOW_KIND_WITHDRAWAL,
        units="5",
        flow_time=stamp(START - timedelta(hours=60)),
        note="My REFERENCE of today",
    )
    await bench.supply.CreateFlow(pb.CreateFlowRequest(flow=flow))
    bench.clock.advance(60)
    decision = await bench.evaluate()
    assert decision.ref_mode == pb.REF_MODE_KEYWORD
    assert decision.reference_time == flow.flow_time


async def test_what_was_taken_is_used_up_and_following_the_advice_reaches_no_principal(
    bench: Bench,
) -> None:
    await supplied(bench)
    first = await bench.evaluate()
    taken = Decimal(first.allowance_units)
    bench.venue.told["addr1main"] = [
        VenueTransaction(
            "t9", "WITHDRAW", "DJED", "", bench.clock.now() + timedelta(minutes=1), taken
        )
    ]
    bench.clock.advance(120)
    again = await bench.evaluate()
    # The position still shows what was there: the flow is pending, and counts as taken.
    assert "PENDING_FLOW" in reasons(again)
    assert reasons(again)[0] == "ALREADY_TAKEN"
    assert again.value == pb.DECISION_VALUE_HOLD
    assert Decimal(again.allowance_units) <= Decimal("1e-6")


async def test_a_wallet_that_fails_is_an_error_and_no_silent_zero(bench: Bench) -> None:
    await supplied(bench, wallets=("main", "second"))
    bench.venue.failing.add("addr1second")
    decision = await bench.evaluate()
    assert decision.value == pb.DECISION_VALUE_ERROR
    assert reasons(decision)[0] == "NO_DATA"
    by_name = {wallet.wallet: wallet for wallet in decision.wallets}
    assert by_name["second"].error == "the venue does not answer"
    assert by_name["second"].allowance_units == ""
    assert Decimal(by_name["main"].allowance_units) > 0


async def test_a_wallet_that_took_everything_out_holds_nothing_and_is_no_gap(bench: Bench) -> None:
    await bench.watch_djed(("main", "empty", "never"), ref_mode=pb.REF_MODE_DATA_RANGE)
    bench.venue.hold("addr1main", str(await bench.grow(60)))
    await bench.grow(60, wallet="empty")
    # A sample that another source has just told is believed.
    await bench.evaluate()
    fresh = await bench.evaluate()
    assert {one.wallet: one.last_units for one in fresh.wallets}["empty"] != "0"
    bench.clock.advance(4 * 3600)
    flow = pb.Flow(asset="djed", wallet="empty", market="DJED", units="1001.2")
    flow.kind = pb.FLOW_KIND_WITHDRAWAL
    flow.flow_time.FromDatetime(bench.clock.now() - timedelta(minutes=90))
    await bench.supply.CreateFlow(pb.CreateFlowRequest(flow=flow))
    dry = await bench.evaluate(dry_run=True)
    kept = await bench.evaluate()
    for decision in (dry, kept):
        assert "NO_DATA" not in reasons(decision)
        held = {one.wallet: one for one in decision.wallets}
        assert set(held) == {"main", "empty"}
        assert (held["empty"].last_units, held["empty"].error) == ("0", "")
    # Where the market has no rate nothing can be counted, and nothing is no answer.
    bench.clock.advance(4 * 3600)
    bench.venue.listed[0] = replace(bench.venue.listed[0], exchange_rate=None)
    assert "NO_DATA" in reasons(await bench.evaluate())


async def test_a_wallet_that_the_venue_has_never_seen_says_so(bench: Bench) -> None:
    await bench.watch_djed(("mistyped",))
    alone = await bench.evaluate()
    assert reasons(alone) == ["NO_DATA", "NEVER_SEEN"]
    told = await bench.advisor.ExplainDecision(pb.ExplainDecisionRequest(id=alone.id))
    assert "NEVER_SEEN (shown): a wallet that the venue has never seen" in "\n".join(told.lines)
    assert any("addresses are right" in line for line in told.actions)
    # Whoever did anything there was seen, also where it holds nothing of the asset.
    bench.venue.told["addr1mistyped"] = [
        VenueTransaction("t1", "BORROW", "", "", START - timedelta(hours=1), Decimal(1))
    ]
    bench.clock.advance(60)
    assert reasons(await bench.evaluate()) == ["NO_DATA"]


async def test_a_wallet_never_seen_is_named_beside_others_and_holds_nothing(bench: Bench) -> None:
    await supplied(bench, wallets=("main", "mistyped"))
    decision = await bench.evaluate()
    assert decision.value == pb.DECISION_VALUE_WITHDRAW_OK
    assert "NEVER_SEEN" in reasons(decision)
    bench.venue.failing.add("addr1mistyped")
    bench.clock.advance(60)
    # Who was not asked is not said to be unknown.
    assert "NEVER_SEEN" not in reasons(await bench.evaluate())


async def test_a_venue_that_is_down_fails_every_wallet(bench: Bench) -> None:
    await supplied(bench)
    bench.venue.down = True
    decision = await bench.evaluate()
    assert decision.value == pb.DECISION_VALUE_ERROR
    assert decision.prices.quotes[0].problem == "the venue does not answer"


@pytest.mark.parametrize(
    ("market", "reason"),
    [
        ({"closed": "frozen"}, "MARKET_FROZEN"),
        ({"liquidity_units": Decimal("0.1")}, "BELOW_MINIMUM"),
        ({"minimum_units": Decimal(10)}, "BELOW_MINIMUM"),
        ({"withdraw_cap_units": Decimal(0)}, "LIQUIDITY_LIMIT"),
    ],
)
async def test_what_the_market_does_not_let_out_holds(
    bench: Bench, market: dict[str, object], reason: str
) -> None:
    await supplied(bench)
    bench.venue.listed = [replace(bench.venue.listed[0], **market)]
    decision = await bench.evaluate()
    assert reason in reasons(decision)
    assert decision.value == pb.DECISION_VALUE_HOLD


async def test_a_loan_leaves_only_free_collateral(bench: Bench) -> None:
    units = await supplied(bench)
    bench.venue.hold("addr1main", str(units), free_collateral_units=Decimal("0.2"))
    (wallet,) = (await bench.evaluate()).wallets
    assert wallet.binding == [pb.LIMIT_COLLATERAL]
    assert wallet.allowance_units == "0.2"


@pytest.mark.parametrize("market", [None, {"exchange_rate": None}])
async def test_a_market_that_was_told_of_and_is_not_lifts_no_limit(
    bench: Bench, market: dict[str, object] | None
) -> None:
    await supplied(bench)
    listed = bench.venue.listed[0]
    bench.venue.listed = [replace(listed, closed="frozen")]
    assert (await bench.evaluate()).value == pb.DECISION_VALUE_HOLD
    # It answers, without this market or its rate, and so without what the wallet holds there.
    bench.venue.listed = [replace(listed, id="USDM", display_name="USDM", symbol="USDM")]
    if market is not None:
        bench.venue.listed.append(replace(listed, **market))
    bench.venue.holdings.clear()
    bench.clock.advance(60)
    decision = await bench.evaluate()
    assert decision.value == pb.DECISION_VALUE_ERROR
    assert reasons(decision)[0] == "NO_DATA"
    assert ("UNRESOLVED_ASSET" in reasons(decision)) == (market is None)
    (wallet,) = decision.wallets
    assert (wallet.allowance_units, decision.HasField("allowance_usd")) == ("", False)
    assert wallet.error.startswith("the venue ")


async def test_a_history_that_is_only_imported_needs_no_market_of_the_venue(bench: Bench) -> None:
    await bench.watch_djed()
    await bench.grow(60)
    await bench.refer(60)
    bench.venue.listed = [replace(bench.venue.listed[0], id="USDM", symbol="USDM")]
    assert (await bench.evaluate()).value == pb.DECISION_VALUE_WITHDRAW_OK


async def test_of_a_wallet_that_failed_no_allowance_is_said(bench: Bench) -> None:
    await supplied(bench)
    bench.venue.failing.add("addr1main")
    decision = await bench.evaluate()
    assert decision.value == pb.DECISION_VALUE_ERROR
    assert [wallet.allowance_units for wallet in decision.wallets] == [""]


async def test_an_asset_without_a_market_is_unresolved(bench: Bench) -> None:
    await bench.assets.CreateAsset(pb.CreateAssetRequest(asset=pb.Asset(name="nothing")))
    decision = await bench.evaluate()
    assert reasons(decision) == ["UNRESOLVED_ASSET"]
    assert decision.value == pb.DECISION_VALUE_ERROR


async def test_a_price_off_its_peg_holds_and_is_news_of_danger(bench: Bench) -> None:
    await supplied(bench)
    await bench.evaluate()
    bench.venue.listed = [replace(bench.venue.listed[0], price_usd=0.95)]
    bench.prices.usd["djed"] = 0.951
    bench.clock.advance(60)
    decision = await bench.evaluate()
    assert reasons(decision)[0] == "DEPEG"
    assert decision.value == pb.DECISION_VALUE_HOLD


async def test_prices_apart_hold_only_after_as_often_as_is_set(open_bench: Open) -> None:
    bench = await open_bench()
    await supplied(bench, price=pb.PriceSettings(persistence=2))
    bench.prices.usd["djed"] = 1.015
    first = await bench.evaluate()
    assert first.value == pb.DECISION_VALUE_WITHDRAW_OK
    assert (first.prices.mismatch, first.prices.mismatch_count) == (True, 1)
    assert "PRICE_MISMATCH" in reasons(first)
    bench.clock.advance(60)
    # Another process goes on counting: it is stored.
    other = await open_bench()
    second = await other.evaluate()
    assert second.prices.mismatch_count == 2
    assert second.value == pb.DECISION_VALUE_HOLD
    bench.prices.usd["djed"] = 0.999
    bench.clock.advance(60)
    assert (await bench.evaluate()).prices.mismatch_count == 0


async def test_stale_samples_hold(open_bench: Open) -> None:
    bench = await open_bench(with_venue=False)
    await bench.watch_djed()
    await bench.grow(60)
    await bench.refer(60)
    bench.clock.advance(4 * 3600)
    bench.prices.usd["djed"] = 0.999
    decision = await bench.evaluate()
    assert "STALE_DATA" in reasons(decision)
    assert decision.value == pb.DECISION_VALUE_HOLD


async def test_a_price_that_is_null_leaves_the_other_source(bench: Bench) -> None:
    await supplied(bench)
    bench.venue.listed = [replace(bench.venue.listed[0], price_usd=None)]
    decision = await bench.evaluate()
    assert decision.price_usd == 0.9985
    assert "PRICE_UNAVAILABLE" in reasons(decision)


async def test_a_dry_run_keeps_nothing(bench: Bench) -> None:
    await supplied(bench)
    decision = await bench.evaluate(dry_run=True)
    assert decision.id == ""
    assert decision.value == pb.DECISION_VALUE_WITHDRAW_OK
    assert not (await bench.advisor.ListDecisions(pb.ListDecisionsRequest())).decisions
    series = await bench.advisor.GetSeries(pb.GetSeriesRequest(asset="djed", view=pb.VIEW_POSITION))
    assert len(series.points) == 61


async def test_as_of_judges_by_what_was_stored_then(bench: Bench) -> None:
    await supplied(bench)
    await bench.evaluate()
    then = await bench.evaluate(as_of_time=stamp(START - timedelta(hours=10)))
    assert then.id == ""
    assert then.evaluated_time == stamp(START - timedelta(hours=10))
    (wallet,) = then.wallets
    assert wallet.last_time == stamp(START - timedelta(hours=10))
    assert len((await bench.advisor.ListDecisions(pb.ListDecisionsRequest())).decisions) == 1


async def test_a_row_that_cannot_be_judged_fails_its_asset_and_no_other(
    bench: Bench, databases: Databases
) -> None:
    await supplied(bench)
    await bench.assets.CreateAsset(pb.CreateAssetRequest(asset=pb.Asset(name="usdm")))
    flow = pb.Flow(asset="usdm", wallet="main", market="USDM", units="5", exchange_rate=1)
    flow.kind, flow.flow_time.seconds = pb.FLOW_KIND_DEPOSIT, int(START.timestamp())
    await bench.supply.CreateFlow(pb.CreateFlowRequest(flow=flow))
    # As releases before took it.
    owner = await asyncpg.connect(databases.owner_url("withdrawals"))
    await owner.execute("update flow set exchange_rate = 0")
    await owner.close()
    found = (await bench.advisor.Evaluate(pb.EvaluateRequest())).decisions
    assert [one.value for one in found] == [
        pb.DECISION_VALUE_WITHDRAW_OK,
        pb.DECISION_VALUE_ERROR,
    ]
    assert reasons(found[1]) == ["INTERNAL"]


async def test_a_step_of_a_cycle_happens_once(bench: Bench) -> None:
    await supplied(bench)
    epoch = int(time.time() * 1000)
    first = await bench.evaluate(cycle_id="c1", epoch=epoch)
    bench.clock.advance(60)
    assert await bench.evaluate(cycle_id="c1", epoch=epoch) == first
    with pytest.raises(Conflict) as stale:
        await bench.evaluate(cycle_id="c2", epoch=epoch - 1)
    assert stale.value.reason == "STALE_EPOCH"
    with pytest.raises(FailedPrecondition) as ahead:
        await bench.evaluate(cycle_id="c3", epoch=epoch + 3_600_000)
    assert ahead.value.reason == "EPOCH_AHEAD"


async def test_an_asset_that_is_not_known_is_refused(bench: Bench) -> None:
    await bench.watch_djed()
    with pytest.raises(NotFound, match="known are djed") as refused:
        await bench.evaluate(assets=["usdx"])
    assert refused.value.reason == "ASSET_NOT_FOUND"


async def test_one_that_is_switched_off_is_judged_when_it_is_named_alone(bench: Bench) -> None:
    await bench.watch_djed(enabled=False)
    assert not (await bench.advisor.Evaluate(pb.EvaluateRequest())).decisions
    assert (await bench.evaluate(assets=["djed"])).asset == "djed"


async def test_the_same_flow_synchronised_by_an_evaluation_is_one(bench: Bench) -> None:
    units = await supplied(bench)
    told = VenueTransaction(
        "t1",
        "SUPPLY",
        "",
        "DJED",
        START - timedelta(hours=70),
        Decimal(1000),
        Decimal(46948),
        0.0213,
    )
    bench.venue.told["addr1main"] = [told]
    await bench.evaluate()
    bench.clock.advance(60)
    bench.venue.hold("addr1main", str(units))
    await bench.evaluate()
    (flow,) = (await bench.supply.ListFlows(pb.ListFlowsRequest())).flows
    assert (flow.tx_id, flow.kind, flow.source) == (
        "t1",
        pb.FLOW_KIND_DEPOSIT,
        pb.ROW_SOURCE_SYNC,
    )
