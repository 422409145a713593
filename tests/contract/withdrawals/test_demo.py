"""The simulated supply: shown while nothing is configured, and what is to come in it."""

from __future__ import annotations

import time

import pytest
from sonic.withdrawals.v1 import withdrawals_pb2 as pb

from shared.errors import Conflict, FailedPrecondition
from tests.contract.withdrawals.conftest import Open, reasons
from tests.contract.withdrawals.test_decisions import exposed


async def test_a_simulated_supply_is_judged_while_nothing_is_configured(open_bench: Open) -> None:
    bench = await open_bench(sonic_live=False)
    decision = await bench.evaluate()
    assert (decision.asset, decision.demo) == ("djed", True)
    assert decision.value == pb.DECISION_VALUE_WITHDRAW_OK, reasons(decision)
    assert reasons(decision) == []
    assert decision.summary.endswith("(2 wallets)")
    assert float(decision.allowance_units) > 1
    (listed,) = (await bench.assets.ListAssets(pb.ListAssetsRequest())).assets
    assert listed.demo


async def test_the_simulation_has_an_anomaly_and_a_lost_peg_to_come(open_bench: Open) -> None:
    bench = await open_bench(sonic_live=False)
    await bench.evaluate()
    bench.clock.advance(31 * 60)
    assert "ANOMALY" in reasons(await bench.evaluate())
    bench.clock.advance(30 * 60)
    found = await bench.evaluate()
    assert "DEPEG" in reasons(found)
    assert found.value == pb.DECISION_VALUE_HOLD


async def test_a_restart_goes_on_with_the_same_simulation(open_bench: Open) -> None:
    first = await open_bench(sonic_live=False)
    before = await first.evaluate()
    second = await open_bench(sonic_live=False)
    after = await second.evaluate()
    assert after.allowance_units == before.allowance_units
    assert after.wallets == before.wallets


async def test_a_cycle_judges_nothing_before_the_simulation_goes_on(open_bench: Open) -> None:
    bench = await open_bench(sonic_live=False)
    epoch = int(time.time() * 1000)
    first = await bench.evaluate(cycle_id="c1", epoch=epoch)
    bench.clock.advance(599)
    assert await bench.evaluate(cycle_id="c2", epoch=epoch) == first
    assert exposed()['wo_decision{alternate_asset_name="DEMO",asset="djed",ref_mode="keyword"}']
    with pytest.raises(Conflict) as stale:
        # The epoch that was seen is of the cycle that judged.
        await bench.evaluate(cycle_id="c3", epoch=epoch - 1)
    assert stale.value.reason == "STALE_EPOCH"
    bench.clock.advance(1)
    third = await bench.evaluate(cycle_id="c4", epoch=epoch)
    assert third.evaluated_time.ToSeconds() == first.evaluated_time.ToSeconds() + 600
    assert third.wallets[0].last_time.ToSeconds() == first.wallets[0].last_time.ToSeconds() + 600


async def test_after_a_restart_what_stands_is_answered_and_shown(open_bench: Open) -> None:
    first = await open_bench(sonic_live=False)
    made = await first.evaluate()
    second = await open_bench(sonic_live=False)
    series = 'wo_last_eval_timestamp_seconds{alternate_asset_name="DEMO",asset="djed"'
    assert await second.evaluate(cycle_id="c1", epoch=int(time.time() * 1000)) == made
    assert [name for name in exposed() if name.startswith(series)]


async def test_what_a_person_gives_is_judged_by_the_next_cycle(open_bench: Open) -> None:
    bench = await open_bench(sonic_live=False)
    epoch = int(time.time() * 1000)
    first = await bench.evaluate(cycle_id="c1", epoch=epoch)
    bench.clock.advance(1)
    made = await bench.refer(24)
    judged = await bench.evaluate(cycle_id="c2", epoch=epoch)
    assert judged.reference_time == made.reference_time != first.reference_time
    assert await bench.evaluate(cycle_id="c3", epoch=epoch) == judged
    bench.clock.advance(1)
    await bench.supply.DeleteReference(pb.DeleteReferenceRequest(id=made.id))
    back = await bench.evaluate(cycle_id="c4", epoch=epoch)
    assert back.reference_time == first.reference_time


async def test_by_hand_the_simulation_is_judged_at_once(open_bench: Open) -> None:
    bench = await open_bench(sonic_live=False)
    first = await bench.evaluate()
    bench.clock.advance(5)
    again = await bench.evaluate()
    assert again.evaluated_time.ToSeconds() == first.evaluated_time.ToSeconds() + 5


async def test_a_system_that_is_switched_to_live_answers_nothing_simulated(
    open_bench: Open,
) -> None:
    demo = await open_bench(sonic_live=False)
    epoch = int(time.time() * 1000)
    await demo.evaluate(cycle_id="c1", epoch=epoch)
    live = await open_bench()
    answer = await live.advisor.Evaluate(pb.EvaluateRequest(cycle_id="c2", epoch=epoch))
    assert (answer.not_configured, list(answer.decisions)) == (True, [])


async def test_a_synchronisation_of_the_simulation_says_what_is_there(open_bench: Open) -> None:
    bench = await open_bench(sonic_live=False)
    await bench.evaluate()
    (told,) = [one async for one in bench.supply.SyncTransactions(pb.SyncTransactionsRequest())]
    listed = await bench.supply.ListFlows(pb.ListFlowsRequest())
    assert (told.done, told.demo, told.wallets_total, told.new_count) == (True, True, 2, 0)
    assert told.seen_count == len(listed.flows) == 6
    with pytest.raises(FailedPrecondition) as refused:
        async for _ in bench.supply.SyncTransactions(pb.SyncTransactionsRequest(wallets=["mine"])):
            pass
    assert refused.value.reason == "NO_WALLETS"


async def test_what_is_configured_ends_the_simulation(open_bench: Open) -> None:
    bench = await open_bench(sonic_live=False)
    await bench.evaluate()
    await bench.watch_djed()
    assert not (await bench.evaluate()).demo


async def test_a_live_system_has_no_simulation(open_bench: Open) -> None:
    bench = await open_bench()
    answer = await bench.advisor.Evaluate(pb.EvaluateRequest())
    assert answer.not_configured
    assert not answer.decisions
