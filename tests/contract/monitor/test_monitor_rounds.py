"""What monitor does when no cycle comes: services, channels, credentials, and whether Cyclone
lives.
"""

from __future__ import annotations

import asyncio
import itertools
from datetime import timedelta

import pytest
from google.protobuf.duration_pb2 import Duration
from sonic.monitor.v1 import monitor_pb2 as pb
from sonic.xcom.v1 import xcom_pb2, xcom_pb2_grpc

from tests.contract.monitor.conftest import QUIET, Servers, badges_of, cycle, facts, runs_of
from tests.fakes.http_provider import HttpProvider
from tests.fakes.mail import FakeMailServer
from tests.fakes.pushing import push


def only(name: str) -> dict[str, object]:
    return {key: value for key, value in QUIET.items() if key != f"{name}_mon_enabled"}


async def told(servers: Servers, words: str) -> list[xcom_pb2.Message]:
    return [message for message in await servers.messages() if words in message.subject]


@pytest.mark.slow
async def test_a_silent_cyclone_is_told_high_once_and_its_return_once(servers: Servers) -> None:
    await servers.peers()
    stub = await servers.monitor(**only("heartbeat"))
    await cycle(stub, 1)
    (begin,) = await servers.push(lambda: told(servers, "has not called"))
    assert begin.level == xcom_pb2.LEVEL_HIGH
    silent_seconds = (
        servers.clock.now()
        - (await runs_of(stub, "price"))[0].started_time.ToDatetime(servers.clock.now().tzinfo)
    ).total_seconds()
    assert 180 < silent_seconds <= 260
    assert (await badges_of(stub))["heartbeat_badge"].level == "HIGH"
    await cycle(stub, 2)
    await servers.push(lambda: told(servers, "all is well again"))
    assert len(await told(servers, "heartbeat")) == 2
    assert "heartbeat_badge" not in await badges_of(stub)


@pytest.mark.slow
async def test_a_restart_neither_ends_nor_repeats_the_silence(servers: Servers) -> None:
    await servers.peers()
    stub = await servers.monitor(**only("heartbeat"))
    await cycle(stub, 1)
    await servers.push(lambda: told(servers, "has not called"))
    await servers.apps["monitor"].stop()
    stub = await servers.monitor(**only("heartbeat"))

    async def waits() -> bool:
        return (await runs_of(stub, "heartbeat"))[0].error.startswith("STARTING")

    await servers.push(waits)

    async def breaches() -> bool:
        return (await runs_of(stub, "heartbeat"))[0].status == pb.RUN_STATUS_BREACH

    await servers.push(breaches)
    assert len(await told(servers, "heartbeat")) == 1


@pytest.mark.slow
@pytest.mark.parametrize("restarted", [True, False])
async def test_a_silence_after_a_clock_that_was_ahead_is_told_within_minutes(
    servers: Servers, restarted: bool
) -> None:
    await servers.peers()
    right = servers.clock.now()
    servers.clock.set_time(right + timedelta(hours=8))
    stub = await servers.monitor(**only("heartbeat"))
    await cycle(stub)
    if restarted:
        await servers.apps["monitor"].stop()
    servers.clock.set_time(right)
    if restarted:
        stub = await servers.monitor(**only("heartbeat"))

    async def breached() -> bool:
        runs = await runs_of(stub, "heartbeat")
        return bool(runs) and runs[0].status == pb.RUN_STATUS_BREACH

    await servers.push(breached, most=60)


@pytest.mark.slow
async def test_cyclone_tells_its_interval_and_an_hourly_schedule_is_no_silence(
    servers: Servers,
) -> None:
    await servers.peers()
    stub = await servers.monitor(**only("heartbeat"))
    await cycle(stub, 1, cycle_interval=Duration(seconds=3600))
    for _ in range(40):
        await push(servers.clock, 60)
        await asyncio.sleep(0.01)
    (run, *_) = await runs_of(stub, "heartbeat")
    assert (run.status, facts(run)["limit_seconds"]) == (pb.RUN_STATUS_SUCCESS, 10_800)
    assert await told(servers, "heartbeat") == []


async def test_without_a_schedule_no_heartbeat_is_expected(servers: Servers) -> None:
    await servers.peers()
    stub = await servers.monitor(sonic_schedule=False, **only("heartbeat"))

    async def looked() -> list[pb.Run]:
        return await runs_of(stub, "heartbeat")

    (run,) = await servers.push(looked)
    assert run.error.startswith("NOT_CONFIGURED")
    # That is rest: it is not late, and has not failed to run.
    monitor = await stub.GetMonitor(pb.GetMonitorRequest(name="heartbeat"))
    assert (monitor.enabled, monitor.resting_reason) == (True, "NOT_CONFIGURED")


async def test_a_service_that_stays_down_is_told_high_and_one_that_blinks_is_not(
    servers: Servers,
) -> None:
    await servers.peers()
    stub = await servers.monitor(**only("operations"))
    well = await stub.RunMonitor(pb.RunMonitorRequest(name="operations"))
    assert facts(well)["services"] == ["alerts", "positions", "price", "xcom"]
    assert well.status == pb.RUN_STATUS_SUCCESS
    await servers.apps["positions"].stop()
    down = await stub.RunMonitor(pb.RunMonitorRequest(name="operations"))
    assert down.status == pb.RUN_STATUS_BREACH
    assert list(facts(down)["down"]) == ["positions"]
    assert not (await stub.GetMonitor(pb.GetMonitorRequest(name="operations"))).incident_open
    (begin,) = await servers.push(lambda: told(servers, "services down: positions"))
    assert begin.level == xcom_pb2.LEVEL_HIGH
    assert (await badges_of(stub))["operations_badge"].value == "down: positions"


async def test_latency_times_services_and_hosts_and_names_the_slow_ones(servers: Servers) -> None:
    await servers.peers()
    async with HttpProvider() as provider:
        provider.answer("GET /slow", json={}, delay=0.6)
        provider.answer("GET /", status=404)
        urls = (provider.url, "http://localhost:1")
        stub = await servers.monitor(latency_provider_urls=urls, latency_limit_seconds=30)
        run = await stub.RunMonitor(pb.RunMonitorRequest(name="latency"))
        # A host that answers 404 is there.
        assert facts(run)["slow"] == {"localhost": "connect"}
        assert {"price", "positions", "alerts", "xcom", "127.0.0.1"} <= set(
            facts(run)["milliseconds"]
        )
        stub = await servers.monitor(
            latency_provider_urls=(f"{provider.url}/slow",), latency_limit_seconds=0.4
        )
        run = await stub.RunMonitor(pb.RunMonitorRequest(name="latency"))
    assert run.status == pb.RUN_STATUS_BREACH
    # A busy machine may make a service of ours slow as well.
    assert "127.0.0.1" in facts(run)["slow"]
    assert await servers.messages() == []


@pytest.mark.slow
async def test_channels_are_pinged_daily_and_a_silent_one_is_told_on_the_others(
    servers: Servers,
) -> None:
    async with FakeMailServer() as mail:
        await servers.peers()
        settings = {
            "smtp_server": mail.host,
            "smtp_port": mail.port,
            "smtp_default_recipient": "jane@example.com",
        }
        await servers.start("xcom", **settings)
        await servers.monitor(**only("xcom"))

        async def pinged(count: int) -> bool:
            return len(mail.mails) >= count

        await servers.push(lambda: pinged(1), 1800)
        first_seconds = servers.clock.now().timestamp()
        assert str(mail.mails[0].message["subject"]) == "Test of the email channel"
        await servers.monitor(**only("xcom"))
        await servers.push(lambda: pinged(2), 1800)
        assert 86_000 < servers.clock.now().timestamp() - first_seconds < 92_000
        mail.reply = "554 no"
        (begin,) = await servers.push(
            lambda: told(servers, "delivered nothing for 26 h"), 1800, most=140
        )
    assert begin.level == xcom_pb2.LEVEL_HIGH
    xcom = await servers.stub("xcom", xcom_pb2_grpc.XComServiceStub)
    message = await xcom.GetMessage(xcom_pb2.GetMessageRequest(id=begin.id))
    # Pushed on, the clock may bring the escalation of what nobody acknowledged, which goes
    # everywhere.
    at_first = [
        one for one in message.deliveries if one.reason == xcom_pb2.DELIVERY_REASON_ACCEPTED
    ]
    assert [delivery.channel for delivery in at_first] == ["log"]
    assert "email" in begin.body


async def test_a_ping_by_hand_goes_out_now_and_its_receipt_is_in_the_ledger(
    servers: Servers,
) -> None:
    async with FakeMailServer() as mail:
        await servers.peers()
        await servers.start(
            "xcom",
            smtp_server=mail.host,
            smtp_port=mail.port,
            smtp_default_recipient="jane@example.com",
        )
        stub = await servers.monitor(**only("xcom"))
        run = await stub.RunMonitor(pb.RunMonitorRequest(name="xcom"))
        assert facts(run)["pings"] == {"email": "accepted", "log": "accepted"}
        assert len(mail.mails) == 1


async def test_twilio_is_verified_without_a_call_and_skipped_without_credentials(
    servers: Servers,
) -> None:
    stub = await servers.monitor()
    run = await stub.RunMonitor(pb.RunMonitorRequest(name="twilio"))
    assert (run.status, run.error.partition(":")[0]) == (pb.RUN_STATUS_SKIPPED, "NOT_CONFIGURED")
    async with HttpProvider() as provider:
        route = "GET /2010-04-01/Accounts/AC1.json"
        provider.answer(route, json={"sid": "AC1", "status": "active"}, times=1)
        provider.answer(route, json={"sid": "AC1", "status": "suspended"}, times=1)
        provider.answer(route, status=401)
        stub = await servers.monitor(
            twilio_url=provider.url, twilio_account_sid="AC1", twilio_auth_token="t0ken"
        )
        runs = [await stub.RunMonitor(pb.RunMonitorRequest(name="twilio")) for _ in range(3)]
        assert [run.status for run in runs] == [
            pb.RUN_STATUS_SUCCESS,
            pb.RUN_STATUS_BREACH,
            pb.RUN_STATUS_BREACH,
        ]
        assert [request.method for request in provider.requests] == ["GET"] * 3
        assert provider.requests[0].headers["authorization"] == "Basic QUMxOnQwa2Vu"
    assert "suspended" in facts(runs[1])["problem"]
    assert "t0ken" not in str(runs)


async def test_a_401_is_asked_again_by_hand_at_once_and_by_itself_soon(servers: Servers) -> None:
    async with HttpProvider() as provider:
        route = "GET /2010-04-01/Accounts/AC1.json"
        provider.answer(route, status=401, json={}, times=2)
        provider.answer(route, json={"status": "active"})
        await servers.peers()
        stub = await servers.monitor(
            twilio_url=provider.url, twilio_account_sid="AC1", twilio_auth_token="t0ken", **QUIET
        )
        runs = [await stub.RunMonitor(pb.RunMonitorRequest(name="twilio")) for _ in range(3)]
        assert [facts(run)["verified"] for run in runs] == [False, False, True]
        assert len(provider.asked(route)) == 3
        provider.answer(route, status=401, json={}, times=1)
        await stub.RunMonitor(pb.RunMonitorRequest(name="twilio"))
        monitor = await stub.GetMonitor(pb.GetMonitorRequest(name="twilio"))
        began = servers.clock.now().timestamp()
        assert monitor.next_run_time.seconds - began == 300

        async def verified() -> bool:
            return facts((await runs_of(stub, "twilio"))[0])["verified"] is True

        await servers.push(verified, 30)
        assert servers.clock.now().timestamp() - began < 900
        # From then on it is looked at as rarely as before.
        monitor = await stub.GetMonitor(pb.GetMonitorRequest(name="twilio"))
        last = monitor.last_run.started_time.seconds
        assert monitor.next_run_time.seconds - last == 6 * 3600


@pytest.mark.slow
async def test_of_two_servers_one_runs_what_is_due(servers: Servers) -> None:
    await servers.peers()
    await servers.monitor(**QUIET)
    stub = await servers.monitor(**QUIET)

    async def looked(count: int) -> bool:
        return len(await runs_of(stub, "latency")) >= count

    await servers.push(lambda: looked(1))
    # In small steps: a claim that is minutes old by a clock that ran away is anybody's.
    await servers.push(lambda: looked(3))
    runs = [run.started_time.seconds for run in await runs_of(stub, "latency")]
    assert all(later - earlier >= 250 for later, earlier in itertools.pairwise(runs))


async def test_a_cycle_takes_over_what_the_background_left_undone(servers: Servers) -> None:
    await servers.peers()
    stub = await servers.monitor()
    servers.clock.set_time(servers.clock.now().replace(minute=5))
    answer = await cycle(stub)
    assert {"operations", "latency", "xcom", "twilio", "heartbeat"} <= {
        run.monitor for run in answer.runs
    }


async def test_a_stream_that_stays_lost_has_a_low_badge_and_rings_nobody(servers: Servers) -> None:
    await servers.peers()
    stub = await servers.monitor(**QUIET)
    begun = pb.RunMonitorsRequest().streams.streams.add(name="pyth", state="RECONNECTING")
    begun.reason = "HTTP_503"
    begun.since_time.FromDatetime(servers.clock.now())
    calm = pb.StreamReading(name="dydx", state="OFF", reason="NOTHING_TO_WATCH")

    async def looked(number: int, *streams: pb.StreamReading) -> pb.Run:
        handed = pb.StreamsReading(streams=streams)
        answer = await cycle(stub, number, names=["stream"], streams=handed)
        (run,) = answer.runs
        return run

    run = await looked(1, begun, calm)
    assert run.status == pb.RUN_STATUS_SUCCESS
    (listed,) = await runs_of(stub, "stream")
    assert facts(listed) == {
        "streams": {"dydx": "OFF NOTHING_TO_WATCH", "pyth": "RECONNECTING HTTP_503"}
    }
    servers.clock.advance(601)
    assert (await looked(2, begun, calm)).status == pb.RUN_STATUS_BREACH
    badge = (await badges_of(stub))["stream_badge"]
    assert (badge.value, badge.level) == ("stream pyth: HTTP_503", "LOW")
    begun.state = "CONNECTED"
    assert (await looked(3, begun, calm)).status == pb.RUN_STATUS_SUCCESS
    assert "stream_badge" not in await badges_of(stub)
    assert await told(servers, "stream") == []
    none = (await cycle(stub, 4, names=["stream"])).runs[0]
    assert (none.status, none.error.partition(":")[0]) == (
        pb.RUN_STATUS_SKIPPED,
        "NOT_CONFIGURED",
    )
