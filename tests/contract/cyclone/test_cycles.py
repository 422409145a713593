"""A cycle over the wire: its steps, its stream, what is handed on, what a failure does, how it is
stopped.
"""

from __future__ import annotations

import asyncio
from itertools import pairwise

import asyncpg
import grpc
import pytest
from sonic.alerts.v1 import alerts_pb2
from sonic.cyclone.v1 import cyclone_pb2 as pb
from sonic.monitor.v1 import monitor_pb2
from sonic.positions.v1 import positions_pb2
from sonic.price.v1 import price_pb2

from services.cyclone.domain.steps import NAMES
from shared.errors import FailedPrecondition, InvalidArgument, NotFound
from tests.contract.cyclone.conftest import Servers, until
from tests.fakes.naps import Naps
from tests.fakes.peers import Gate, aborts, answers

SUCCEEDED, PARTIAL, FAILED, SKIPPED = (
    pb.STEP_STATE_SUCCEEDED,
    pb.STEP_STATE_PARTIAL,
    pb.STEP_STATE_FAILED,
    pb.STEP_STATE_SKIPPED,
)


def _states(cycle: pb.Cycle) -> dict[str, int]:
    return {step.name: step.state for step in cycle.steps}


def _step(cycle: pb.Cycle, name: str) -> pb.Step:
    return next(step for step in cycle.steps if step.name == name)


def _steps_called(servers: Servers) -> list[str]:
    """The calls of steps: what is read for the report afterwards may be under way already."""
    reading = ("List", "GetTotals", "GetSummary", "Verify", "GetLedger")
    return [
        name for name in servers.peers.names() if not name.partition(".")[2].startswith(reading)
    ]


async def test_a_whole_cycle_succeeds_and_calls_each_service_in_order(servers: Servers) -> None:
    stub = await servers.start()
    cycle = await servers.run(stub)
    assert cycle.state == pb.CYCLE_STATE_SUCCEEDED
    assert [step.name for step in cycle.steps] == list(NAMES)
    assert {step.state for step in cycle.steps} == {SUCCEEDED}
    called = _steps_called(servers)
    assert called[:4] == [
        "positions.GetMode",
        "price.RefreshPrices",
        "positions.SyncPositions",
        "positions.EnrichPositions",
    ]
    assert set(called[-2:]) == {"monitor.RunMonitors", "alerts.FlushOutbox"}
    assert called.index("alerts.CreateAlerts") < called.index("alerts.EvaluateAlerts")
    assert called.index("alerts.EvaluateAlerts") < called.index("alerts.ClearStaleAlerts")
    assert {"hedges.LinkHedges", "positions.RecordSnapshot"} < set(called)


async def test_a_stream_begins_with_the_present_state_and_shows_each_step_start_and_end(
    servers: Servers,
) -> None:
    stub = await servers.start()
    messages = [message async for message in stub.RunCycle(pb.RunCycleRequest())]
    assert messages[0].changed_step == ""
    assert [message.done for message in messages] == [False] * (len(messages) - 1) + [True]
    for name in NAMES:
        shown = [
            _step(message.cycle, name).state for message in messages if message.changed_step == name
        ]
        assert shown == [pb.STEP_STATE_RUNNING, SUCCEEDED], name
    assert messages[-1].cycle.state == pb.CYCLE_STATE_SUCCEEDED
    assert all(message.cycle.state != pb.CYCLE_STATE_SUCCEEDED for message in messages[:-1])


async def test_no_step_waits_until_the_progress_of_those_before_it_is_written(
    servers: Servers,
) -> None:
    stub = await servers.start()
    gate = servers.peers.told["price.RefreshPrices"] = Gate(price_pb2.RefreshPricesResponse())
    started = await stub.StartCycle(pb.StartCycleRequest())
    await gate.reached.wait()
    connection = await asyncpg.connect(servers.url)
    try:
        async with connection.transaction():
            await connection.execute("lock table cycle in share row exclusive mode")
            gate.opened.set()
            await until(lambda: "alerts.FlushOutbox" in servers.peers.names(), seconds=30)
    finally:
        await connection.close()
    cycle = await servers.ended(stub, started.id)
    assert {step.state for step in cycle.steps} == {SUCCEEDED}
    assert {step.attempt for step in cycle.steps} == {1}


async def test_counts_and_milliseconds_are_kept_with_the_step(servers: Servers) -> None:
    absent = {"reasons": {"MARK_MISSING": 1}, "absent": ["main BTC LONG: MARK_MISSING"]}
    enriched = positions_pb2.EnrichPositionsResponse(enriched_count=3, absent_count=1, **absent)
    servers.peers.told["positions.EnrichPositions"] = answers(enriched)
    cycle = await servers.run(await servers.start())
    enrich = _step(cycle, "ENRICH_POSITIONS")
    assert dict(enrich.counts) == {"enriched": 3, "absent": 1, "absent_mark_missing": 1}
    assert (enrich.state, cycle.state) == (pb.STEP_STATE_PARTIAL, pb.CYCLE_STATE_PARTIAL)
    assert (
        "1 of 4 positions cannot be judged" in enrich.message and "main BTC LONG" in enrich.message
    )
    assert enrich.attempt == 1
    assert 0 < enrich.duration.ToTimedelta().total_seconds() < 5
    assert cycle.duration.ToTimedelta().total_seconds() > 0


async def test_prices_reach_the_alerts_which_read_positions_and_totals_themselves(
    servers: Servers,
) -> None:
    cycle = await servers.run(await servers.start())
    (request,) = servers.peers.requests("alerts.EvaluateAlerts")
    assert (request.cycle_id, request.epoch) == (cycle.id, cycle.epoch)
    assert [(price.asset, price.price_usd, price.stale) for price in request.prices] == [
        ("BTC", 100_000.0, False)
    ]
    assert not request.HasField("totals")


async def test_what_the_cycle_read_reaches_the_monitors(servers: Servers) -> None:
    sync = positions_pb2.WalletSync
    failed, complete = (
        positions_pb2.WALLET_SYNC_STATE_FAILED,
        positions_pb2.WALLET_SYNC_STATE_COMPLETE,
    )
    servers.peers.told["positions.SyncPositions"] = answers(
        positions_pb2.SyncPositionsResponse(
            failed_count=1,
            wallets=[
                sync(wallet="main", venue="one", state=failed, reason="TIMEOUT"),
                sync(wallet="main", venue="other", state=complete),
                sync(wallet="quiet", venue="one", state=complete),
            ],
        )
    )
    await servers.run(await servers.start())
    (request,) = servers.peers.requests("monitor.RunMonitors")
    assert [(price.asset, price.price_usd, price.quality) for price in request.prices.prices] == [
        ("BTC", 100_000.0, "GOOD")
    ]
    assert request.holdings.position_count == 4
    assert request.demo
    assert [(wallet.name, wallet.state, wallet.reason) for wallet in request.holdings.wallets] == [
        ("main", "FAILED", "TIMEOUT"),
        ("quiet", "COMPLETE", ""),
    ]


async def test_what_the_cycle_could_not_read_is_left_to_the_monitors(servers: Servers) -> None:
    for name in ("price.RefreshPrices", "positions.SyncPositions"):
        servers.peers.told[name] = aborts(grpc.StatusCode.UNAVAILABLE)
    await servers.run(await servers.start())
    (request,) = servers.peers.requests("monitor.RunMonitors")
    assert not request.HasField("prices")
    assert not request.HasField("holdings")


async def test_alerts_asked_for_alone_get_the_last_known_prices(servers: Servers) -> None:
    cycle = await servers.run(await servers.start(), "evaluate-alerts")
    assert cycle.state == pb.CYCLE_STATE_SUCCEEDED
    # Its report, which is kept beside the next cycles, reads more.
    names = servers.peers.names()
    assert set(names[: names.index("alerts.EvaluateAlerts") + 1]) == {
        "positions.GetMode",
        "price.ListPrices",
        "alerts.EvaluateAlerts",
    }
    (request,) = servers.peers.requests("alerts.EvaluateAlerts")
    assert [(price.asset, price.stale) for price in request.prices] == [("ETH", True)]
    assert not request.HasField("totals")


@pytest.mark.parametrize(
    ("mode", "market", "demo"),
    [
        (positions_pb2.MODE_DEMO, price_pb2.MARKET_DEMO, True),
        (positions_pb2.MODE_LIVE, price_pb2.MARKET_LIVE, False),
    ],
)
async def test_the_mode_of_positions_chooses_the_market(
    servers: Servers, mode: int, market: int, demo: bool
) -> None:
    servers.peers.told["positions.GetMode"] = answers(positions_pb2.GetModeResponse(mode=mode))
    cycle = await servers.run(await servers.start())
    (request,) = servers.peers.requests("price.RefreshPrices")
    assert (request.market, request.force) == (market, True)
    assert cycle.demo is demo


async def test_without_a_mode_no_market_is_guessed(servers: Servers) -> None:
    servers.peers.told["positions.GetMode"] = aborts(grpc.StatusCode.INTERNAL)
    cycle = await servers.run(await servers.start())
    assert servers.peers.requests("price.RefreshPrices")[0].market == price_pb2.MARKET_UNSPECIFIED
    assert cycle.state == pb.CYCLE_STATE_SUCCEEDED


async def test_a_service_that_is_down_fails_its_step_and_alerts_are_still_evaluated(
    servers: Servers,
) -> None:
    servers.peers.told["price.RefreshPrices"] = aborts(grpc.StatusCode.UNAVAILABLE)
    cycle = await servers.run(await servers.start())
    assert cycle.state == pb.CYCLE_STATE_PARTIAL
    price = _step(cycle, "UPDATE_PRICES")
    assert (price.state, price.reason) == (FAILED, "PEER_UNAVAILABLE")
    assert _step(cycle, "EVALUATE_ALERTS").state == SUCCEEDED
    assert "UPDATE_PRICES FAILED" in cycle.message


async def test_a_failed_enrichment_skips_what_needs_it_and_the_market_is_still_judged(
    servers: Servers,
) -> None:
    servers.peers.told["positions.EnrichPositions"] = aborts(grpc.StatusCode.INTERNAL)
    cycle = await servers.run(await servers.start())
    assert cycle.state == pb.CYCLE_STATE_PARTIAL
    assert _states(cycle) == {
        "UPDATE_PRICES": SUCCEEDED,
        "SYNC_POSITIONS": SUCCEEDED,
        "ENRICH_POSITIONS": FAILED,
        "LINK_HEDGES": SKIPPED,
        "CREATE_ALERTS": SUCCEEDED,
        "EVALUATE_ALERTS": PARTIAL,
        "CLEAR_STALE_ALERTS": SUCCEEDED,
        "RECORD_SNAPSHOT": SKIPPED,
        "ADVISE_WITHDRAWALS": SUCCEEDED,
        "RUN_MONITORS": SUCCEEDED,
        "NOTIFY": SUCCEEDED,
    }
    assert _step(cycle, "EVALUATE_ALERTS").reason == "POSITIONS_NOT_READ"
    (request,) = servers.peers.requests("alerts.EvaluateAlerts")
    assert [price.asset for price in request.prices] == ["BTC"]
    assert not request.HasField("totals")
    assert _step(cycle, "LINK_HEDGES").reason == "NEED_FAILED"


async def test_alerts_that_cannot_be_created_are_still_evaluated(servers: Servers) -> None:
    servers.peers.told["alerts.CreateAlerts"] = aborts(grpc.StatusCode.INTERNAL)
    cycle = await servers.run(await servers.start())
    assert cycle.state == pb.CYCLE_STATE_PARTIAL
    assert _step(cycle, "EVALUATE_ALERTS").state == SUCCEEDED
    assert _step(cycle, "CLEAR_STALE_ALERTS").state == SKIPPED


async def test_partial_answers_leave_their_steps_partial(servers: Servers) -> None:
    wallet = positions_pb2.WalletSync
    told = servers.peers.told
    told["price.RefreshPrices"] = answers(
        price_pb2.RefreshPricesResponse(fresh_count=6, missing_count=1)
    )
    told["positions.SyncPositions"] = answers(
        positions_pb2.SyncPositionsResponse(
            wallets=[
                wallet(wallet="main", state=positions_pb2.WALLET_SYNC_STATE_COMPLETE),
                wallet(
                    wallet="bot", state=positions_pb2.WALLET_SYNC_STATE_FAILED, reason="TIMEOUT"
                ),
            ],
            failed_count=1,
        )
    )
    told["monitor.RunMonitors"] = answers(
        monitor_pb2.RunMonitorsResponse(breach_count=2, error_count=1)
    )
    told["alerts.FlushOutbox"] = answers(
        alerts_pb2.FlushOutboxResponse(sent_count=1, waiting_count=2)
    )
    cycle = await servers.run(await servers.start())
    partial = {name for name, state in _states(cycle).items() if state == PARTIAL}
    assert partial == {"UPDATE_PRICES", "SYNC_POSITIONS", "RUN_MONITORS", "NOTIFY"}
    assert cycle.state == pb.CYCLE_STATE_PARTIAL
    assert "bot (TIMEOUT)" in _step(cycle, "SYNC_POSITIONS").message


async def test_an_answer_that_cannot_be_read_fails_its_step_only(servers: Servers) -> None:
    told = price_pb2.RefreshPricesResponse(
        fresh_count=1, prices=[price_pb2.Price(asset="BTC", price_usd=float("nan"))]
    )
    servers.peers.told["price.RefreshPrices"] = answers(told)
    cycle = await servers.run(await servers.start())
    assert _step(cycle, "UPDATE_PRICES").state == FAILED
    assert cycle.state == pb.CYCLE_STATE_PARTIAL


async def test_an_unknown_step_is_refused_with_the_known_ones(servers: Servers) -> None:
    stub = await servers.start()
    with pytest.raises(InvalidArgument, match="UPDATE_PRICES") as caught:
        await stub.StartCycle(pb.StartCycleRequest(steps=["make_coffee"]))
    assert caught.value.reason == "UNKNOWN_NAME"


async def test_the_order_is_the_cycles_whatever_was_asked(servers: Servers) -> None:
    cycle = await servers.run(await servers.start(), "notify", "Update Prices", "NOTIFY")
    assert [step.name for step in cycle.steps] == ["UPDATE_PRICES", "NOTIFY"]
    assert _steps_called(servers) == [
        "positions.GetMode",
        "price.RefreshPrices",
        "alerts.FlushOutbox",
    ]


async def test_the_same_request_id_follows_the_same_cycle(servers: Servers) -> None:
    stub = await servers.start()
    first = await stub.StartCycle(pb.StartCycleRequest(request_id="again", steps=["NOTIFY"]))
    second = await stub.StartCycle(pb.StartCycleRequest(request_id="again", steps=["NOTIFY"]))
    messages = [m async for m in stub.RunCycle(pb.RunCycleRequest(request_id="again"))]
    assert first.id == second.id == messages[-1].cycle.id
    assert await servers.value("select count(*) from cycle") == 1


async def test_a_reader_that_leaves_does_not_stop_the_cycle(servers: Servers) -> None:
    gate = servers.peers.told["positions.SyncPositions"] = Gate(
        positions_pb2.SyncPositionsResponse()
    )
    stub = await servers.start()
    call = stub.RunCycle(pb.RunCycleRequest())
    first = await call.read()
    await gate.reached.wait()
    call.cancel()
    gate.opened.set()
    assert (await servers.ended(stub, first.cycle.id)).state == pb.CYCLE_STATE_SUCCEEDED


async def test_a_cancel_stops_the_call_in_flight_within_300_ms(servers: Servers) -> None:
    gate = servers.peers.told["positions.SyncPositions"] = Gate(
        positions_pb2.SyncPositionsResponse()
    )
    stub = await servers.start()
    started = await stub.StartCycle(pb.StartCycleRequest())
    await gate.reached.wait()
    async with Naps() as naps:
        await stub.CancelCycle(pb.CancelCycleRequest(id=started.id))
        cycle = await servers.ended(stub, started.id)
    assert naps.seconds < 0.3
    assert cycle.state == pb.CYCLE_STATE_CANCELLED
    assert _states(cycle)["UPDATE_PRICES"] == SUCCEEDED
    assert {_states(cycle)[name] for name in NAMES[1:]} == {SKIPPED}
    await until(lambda: gate.left_count == 1)
    with pytest.raises(FailedPrecondition) as caught:
        await stub.CancelCycle(pb.CancelCycleRequest(id=started.id))
    assert caught.value.reason == "CYCLE_ENDED"


async def test_a_waiting_cycle_is_cancelled_at_once_and_never_runs(servers: Servers) -> None:
    gate = servers.peers.told["positions.SyncPositions"] = Gate(
        positions_pb2.SyncPositionsResponse()
    )
    stub = await servers.start()
    running = await stub.StartCycle(pb.StartCycleRequest())
    await gate.reached.wait()
    waiting = await stub.StartCycle(pb.StartCycleRequest())
    assert waiting.state == pb.CYCLE_STATE_QUEUED
    cancelled = await stub.CancelCycle(pb.CancelCycleRequest(id=waiting.id))
    assert cancelled.state == pb.CYCLE_STATE_CANCELLED
    gate.opened.set()
    assert (await servers.ended(stub, running.id)).state == pb.CYCLE_STATE_SUCCEEDED
    assert len(servers.peers.requests("price.RefreshPrices")) == 1


async def test_an_unknown_cycle_is_not_found(servers: Servers) -> None:
    stub = await servers.start()
    for call in (
        stub.GetCycle(pb.GetCycleRequest(id="x")),
        stub.CancelCycle(pb.CancelCycleRequest(id="x")),
    ):
        with pytest.raises(NotFound) as caught:
            await call
        assert caught.value.reason == "CYCLE_NOT_FOUND"


async def test_cycles_and_events_are_listed_newest_first_in_pages(servers: Servers) -> None:
    stub = await servers.start()
    ids = [(await servers.run(stub, "NOTIFY")).id for _ in range(3)]
    first = await stub.ListCycles(pb.ListCyclesRequest(page_size=2))
    second = await stub.ListCycles(
        pb.ListCyclesRequest(page_size=2, page_token=first.next_page_token)
    )
    assert [cycle.id for cycle in (*first.cycles, *second.cycles)] == ids[::-1]
    assert second.next_page_token == ""
    other = pb.ListCyclesRequest(page_token=first.next_page_token, state=pb.CYCLE_STATE_FAILED)
    with pytest.raises(InvalidArgument) as caught:
        await stub.ListCycles(other)
    assert caught.value.reason == "PAGE_TOKEN_MISMATCH"
    events = await stub.ListEvents(pb.ListEventsRequest(cycle_id=ids[0], severity="info"))
    assert [event.source for event in events.events] == ["cycle", "NOTIFY"]
    with pytest.raises(InvalidArgument, match="WARNING"):
        await stub.ListEvents(pb.ListEventsRequest(severity="loud"))
    assert not (
        await stub.ListEvents(pb.ListEventsRequest(cycle_id=ids[0], severity="error"))
    ).events
    with pytest.raises(NotFound, match="CYCLE_NOT_FOUND"):
        await stub.ListEvents(pb.ListEventsRequest(cycle_id="nope"))


async def test_events_are_found_by_source_by_text_and_since_the_last_one_seen(
    servers: Servers,
) -> None:
    stub = await servers.start()
    await servers.run(stub, "NOTIFY")

    async def found(**wanted: object) -> list[pb.Event]:
        return list((await stub.ListEvents(pb.ListEventsRequest(**wanted))).events)

    everything = await found()
    assert {event.source for event in everything} == {"cycle", "NOTIFY"}
    assert [event.source for event in await found(source="notify")] == ["NOTIFY"]
    words = everything[0].message[2:9]
    assert everything[0].id in [event.id for event in await found(text=words.upper())]
    assert await found(text="100%_") == []
    newest = everything[0].id
    assert await found(after_id=newest) == []
    await servers.run(stub, "NOTIFY")
    assert {event.id for event in await found(after_id=newest)} == {
        event.id for event in await found() if event.id > newest
    }


async def test_requests_made_together_run_one_after_the_other(servers: Servers) -> None:
    stub = await servers.start()
    cycles = await asyncio.gather(*(servers.run(stub, "NOTIFY") for _ in range(5)))
    spans = sorted((c.started_time.ToDatetime(), c.ended_time.ToDatetime()) for c in cycles)
    assert all(earlier[1] <= later[0] for earlier, later in pairwise(spans))
