"""What a cycle asks of monitor: five checks, their ledger and badges, and one notice a concern."""

from __future__ import annotations

import grpc
import pytest
from sonic.monitor.v1 import monitor_pb2 as pb
from sonic.price.v1 import price_pb2, price_pb2_grpc

from shared.errors import Conflict, NotFound
from tests.contract.monitor.conftest import (
    QUIET,
    Servers,
    badges_of,
    cycle,
    facts,
    judged,
    outcomes,
    runs_of,
    until,
)
from tests.fakes.peers import aborts, hangs

EVERY_CYCLE = {"venue", "price", "position", "profit", "risk", "liquidation"}


async def test_a_cycle_runs_its_own_and_every_other_one_that_is_due(servers: Servers) -> None:
    await servers.peers()
    await servers.prices()
    stub = await servers.monitor()
    first = await cycle(stub, 1)
    # The rest is looked after by the background, which a cycle does not wait for.
    assert set(outcomes(first)) == EVERY_CYCLE | {"market", "stream"}
    assert {status for name, status in outcomes(first).items() if name in EVERY_CYCLE} == {
        "SUCCESS"
    }
    servers.clock.advance(50)
    assert set(outcomes(await cycle(stub, 2))) == EVERY_CYCLE
    servers.clock.advance(250)
    assert set(outcomes(await cycle(stub, 3))) >= EVERY_CYCLE | {"market"}


async def test_what_a_cycle_hands_over_is_not_asked_for_again(servers: Servers) -> None:
    await servers.peers()
    stub = await servers.monitor(
        price_address="127.0.0.1:1", positions_address="127.0.0.1:1", **QUIET
    )
    wallet = pb.WalletReading(name="main", state="FAILED", reason="TIMEOUT")
    cycle_readings = {
        "prices": pb.PricesReading(
            prices=[pb.PriceReading(asset="BTC", price_usd=1.0, quality="STALE")]
        ),
        "holdings": pb.HoldingsReading(position_count=3, stale_count=1, wallets=[wallet]),
    }
    answer = await cycle(stub, 1, names=["price", "position"], **cycle_readings)
    assert outcomes(answer) == {"price": "BREACH", "position": "BREACH"}
    (price,), (position,) = await runs_of(stub, "price"), await runs_of(stub, "position")
    assert facts(price)["bad"] == {"BTC": "STALE"}
    assert facts(position)["failed_wallets"] == {"main": "TIMEOUT"}
    # Out of a cycle nothing is taken on trust: it is asked for, and here nobody answers.
    alone = await stub.RunMonitors(pb.RunMonitorsRequest(names=["price"], **cycle_readings))
    assert outcomes(alone) == {"price": "ERROR"}


async def test_a_cycle_refreshes_nothing(servers: Servers) -> None:
    await servers.peers()
    await servers.prices()
    stub = await servers.monitor()
    prices = await servers.stub("price", price_pb2_grpc.PriceServiceStub)
    before = await prices.GetPrice(price_pb2.GetPriceRequest(asset="BTC"))
    servers.clock.advance(600)
    await cycle(stub)
    after = await prices.GetPrice(price_pb2.GetPriceRequest(asset="BTC"))
    assert after.price_time == before.price_time
    assert "alerts.EvaluateAlerts" not in servers.alerts.names()
    await stub.RunMonitor(pb.RunMonitorRequest(name="price"))
    alone = await prices.GetPrice(price_pb2.GetPriceRequest(asset="BTC"))
    assert alone.price_time != before.price_time
    await stub.RunMonitor(pb.RunMonitorRequest(name="risk"))
    assert "alerts.EvaluateAlerts" in servers.alerts.names()


async def test_the_same_cycle_again_answers_from_its_record_and_writes_nothing(
    servers: Servers,
) -> None:
    await servers.peers()
    stub = await servers.monitor()
    first = await cycle(stub)
    assert await cycle(stub) == first
    assert len(await runs_of(stub, "price")) == 1
    restarted = await servers.monitor()
    assert await cycle(restarted) == first


async def test_a_caller_that_lost_its_lease_writes_nothing(servers: Servers) -> None:
    await servers.peers()
    stub = await servers.monitor()
    await cycle(stub, 2, epoch=5)
    with pytest.raises(Conflict) as refused:
        await cycle(stub, 1, epoch=4)
    assert refused.value.reason == "STALE_EPOCH"
    assert len(await runs_of(stub, "price")) == 1


async def test_badges_follow_what_was_judged_and_go_with_their_cause(servers: Servers) -> None:
    await servers.peers()
    await servers.prices()
    await servers.hold()
    stub = await servers.monitor(**QUIET)
    servers.judge(
        judged("TRAVEL_PERCENT", "HIGH", -75.3), judged("LIQUIDATION_DISTANCE", "MEDIUM", 6.5)
    )
    answer = await cycle(stub, 1)
    assert answer.breach_count == 2
    shown = await badges_of(stub)
    assert {name: (badge.value, badge.level) for name, badge in shown.items()} == {
        "position_badge": ("1", "NORMAL"),
        "travel_risk_badge": ("SOL -75.3 %", "HIGH"),
        "liquidation_badge": ("SOL 6.50 %", "MEDIUM"),
    }
    (run,) = await runs_of(stub, "risk")
    assert facts(run)["min_travel_percent"] == -75.3
    servers.clock.advance(60)
    await cycle(stub, 2)
    # The time is that of the value, not of the last look.
    assert (await badges_of(stub))["travel_risk_badge"].badge_time == shown[
        "travel_risk_badge"
    ].badge_time
    servers.judge()
    servers.clock.advance(60)
    await cycle(stub, 3)
    assert set(await badges_of(stub)) == {"position_badge"}
    assert await servers.messages() == []


@pytest.mark.slow
async def test_a_concern_is_told_once_when_it_begins_and_once_when_it_ends_over_restarts(
    servers: Servers,
) -> None:
    await servers.peers()
    stub = await servers.monitor(**QUIET)
    await servers.prices()
    servers.clock.advance(3600)
    for number in range(1, 4):
        await cycle(stub, number)
        await until(servers.messages)
        servers.clock.advance(60)
        stub = await servers.monitor(**QUIET)
    (begin,) = await servers.messages()
    assert begin.subject.startswith("price monitor: prices not to be trusted: BTC stale")
    assert "What to do: Look at the market elsewhere" in begin.body
    assert (await stub.GetMonitor(pb.GetMonitorRequest(name="price"))).incident_open
    await servers.prices()
    for number in range(4, 7):
        await cycle(stub, number)
        stub = await servers.monitor(**QUIET)
        await servers.prices()

    async def told() -> bool:
        return len(await servers.messages()) >= 2

    await until(told)
    assert [message.subject for message in await servers.messages()][1:] == [
        "price monitor: all is well again: BTC, ETH, SOL"
    ]


async def test_prices_that_die_after_the_first_one_are_told_too_and_simulated_ones_say_so(
    servers: Servers,
) -> None:
    await servers.peers()
    stub = await servers.monitor(**QUIET)

    async def look(number: int, **qualities: str) -> list[str]:
        prices = [
            pb.PriceReading(asset=asset, quality=quality) for asset, quality in qualities.items()
        ]
        await cycle(stub, number, prices=pb.PricesReading(prices=prices), demo=True)
        await until(lambda: servers.value("select count(*) = 0 from outbox"))
        return [message.subject for message in await servers.messages()]

    assert len(await look(1, BTC="GOOD", SPX="STALE")) == 1
    assert len(await look(2, BTC="GOOD", SPX="STALE")) == 1
    assert (
        "now also BTC none, ETH stale" in (await look(3, BTC="NONE", ETH="STALE", SPX="STALE"))[1]
    )
    for number in range(4, 8):
        qualities = {"BTC": "GOOD" if number % 2 else "NONE", "ETH": "STALE", "SPX": "STALE"}
        assert len(await look(number, **qualities)) == 2
    # Whoever restarts knows who was told.
    stub = await servers.monitor(**QUIET)
    told = await look(8, BTC="GOOD", ETH="GOOD", SPX="GOOD")
    assert told[2].endswith("price monitor: all is well again: BTC, ETH, SPX")
    assert [message.facts["demo"] for message in await servers.messages()] == ["true"] * 3
    servers.judge(judged("HEAT_INDEX", "MEDIUM", 41.0))
    await cycle(stub, 9)
    assert (await badges_of(stub))["risk_badge"].demo


async def test_a_notice_waits_while_nobody_takes_it_and_is_told_by_the_next_process(
    servers: Servers,
) -> None:
    await servers.peers()
    await servers.prices()
    servers.clock.advance(3600)
    stub = await servers.monitor(xcom_address="127.0.0.1:1", **QUIET)
    await cycle(stub)
    assert (await stub.GetStatus(pb.GetStatusRequest())).waiting_count == 1
    await servers.apps["monitor"].stop()
    stub = await servers.monitor(**QUIET)
    (message,) = await until(servers.messages)
    assert "price" in message.subject

    async def drained() -> bool:
        return (await stub.GetStatus(pb.GetStatusRequest())).waiting_count == 0

    await until(drained)


async def test_a_check_that_cannot_look_is_an_error_row_and_keeps_badges_and_incident(
    servers: Servers,
) -> None:
    await servers.peers()
    await servers.prices()
    stub = await servers.monitor(monitor_cycle_limit_seconds=0.3)
    servers.judge(judged("LIQUIDATION_DISTANCE", "HIGH", 2.5))
    await cycle(stub, 1)
    servers.alerts.told["alerts.GetSummary"] = aborts(grpc.StatusCode.UNAVAILABLE)
    answer = await cycle(stub, 2)
    assert {name for name, status in outcomes(answer).items() if status == "ERROR"} == {
        "profit",
        "risk",
        "liquidation",
    }
    assert answer.error_count == 3
    assert "liquidation_badge" in await badges_of(stub)
    servers.alerts.told["alerts.GetSummary"] = hangs()
    answer = await cycle(stub, 3)
    assert outcomes(answer)["price"] == "SUCCESS"
    (run, *_) = await runs_of(stub, "risk")
    assert run.error == "no finding within 0.3 s"


async def test_an_unknown_monitor_is_not_found_and_the_known_ones_are_listed(
    servers: Servers,
) -> None:
    stub = await servers.monitor()
    with pytest.raises(NotFound) as missing:
        await stub.RunMonitors(pb.RunMonitorsRequest(names=["nobody"]))
    assert missing.value.reason == "MONITOR_NOT_FOUND"
    assert "liquidation" in missing.value.message


async def test_monitors_that_are_named_run_alone_and_once(servers: Servers) -> None:
    await servers.peers()
    await servers.prices()
    stub = await servers.monitor()
    answer = await stub.RunMonitors(pb.RunMonitorsRequest(names=["Price", "price", "position"]))
    assert sorted(outcomes(answer)) == ["position", "price"]


async def test_the_market_monitor_measures_moves_and_encroachment_from_the_history(
    servers: Servers,
) -> None:
    await servers.peers()
    await servers.prices()
    servers.judge(judged("LIQUIDATION_DISTANCE", "NORMAL", 0.05, "BTC"))
    stub = await servers.monitor()
    await cycle(stub)
    (run,) = await runs_of(stub, "market")
    btc = facts(run)["assets"]["BTC"]
    assert btc["blast_radius_percent"] > 0
    assert set(btc["move_percent_by_hours"]) == {"1", "6", "24"}
    assert all(move is not None for move in btc["move_percent_by_hours"].values())
    assert btc["encroachment_percent"] == pytest.approx(
        100 * (btc["blast_radius_percent"] - 0.05) / btc["blast_radius_percent"]
    )
    assert run.status == pb.RUN_STATUS_BREACH
    assert facts(run)["assets"]["ETH"]["encroachment_percent"] is None
