"""The simulated supply: shown while nothing is configured, and what is to come in it."""

from __future__ import annotations

from sonic.withdrawals.v1 import withdrawals_pb2 as pb

from tests.contract.withdrawals.conftest import Open, reasons


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
