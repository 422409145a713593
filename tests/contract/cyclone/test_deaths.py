"""Deaths and what the outside hears: once an incident, through whoever still can tell."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from pydantic import SecretStr
from sonic.alerts.v1 import alerts_pb2
from sonic.cyclone.v1 import cyclone_pb2 as pb
from sonic.positions.v1 import positions_pb2
from sonic.withdrawals.v1 import withdrawals_pb2
from sonic.xcom.v1 import xcom_pb2, xcom_pb2_grpc

from services.xcom import server as xcom_server
from shared.clock import PushedClock
from shared.codec import to_timestamp
from shared.errors import AlreadyExists
from shared.rpc.client import Channel
from tests.contract.cyclone.conftest import START, Servers, until
from tests.fakes import pushing
from tests.fakes.databases import Template
from tests.fakes.http_provider import HttpProvider
from tests.fakes.mail import FakeMailServer
from tests.fakes.peers import Behaviour, aborts, answers, refuses
from tests.fakes.webhook import FakeWebhook

DOWN = aborts(grpc.StatusCode.UNAVAILABLE)
BROKEN = aborts(grpc.StatusCode.INTERNAL)
_ALERTS = (
    "alerts.CreateAlerts",
    "alerts.EvaluateAlerts",
    "alerts.ClearStaleAlerts",
    "alerts.FlushOutbox",
    "alerts.RaiseDeath",
    "alerts.ResolveDeath",
)


def _raised(servers: Servers) -> list[str]:
    return [request.incident for request in servers.peers.requests("alerts.RaiseDeath")]


def _resolved(servers: Servers) -> list[str]:
    return [request.incident for request in servers.peers.requests("alerts.ResolveDeath")]


def _sent(servers: Servers) -> dict[str, xcom_pb2.SendRequest]:
    """The retries of one message are one message."""
    return {request.request_id: request for request in servers.peers.requests("xcom.Send")}


async def test_a_cycle_without_the_positions_is_told_once_and_its_recovery_once(
    servers: Servers,
) -> None:
    stub = await servers.start()
    servers.peers.told["positions.EnrichPositions"] = BROKEN
    for _ in range(3):
        assert (await servers.run(stub)).state == pb.CYCLE_STATE_PARTIAL
    del servers.peers.told["positions.EnrichPositions"]
    for _ in range(2):
        assert (await servers.run(stub)).state == pb.CYCLE_STATE_SUCCEEDED
    await until(lambda: _resolved(servers) == ["cycle"])
    assert _raised(servers) == ["cycle"]
    assert "ENRICH_POSITIONS" in servers.peers.requests("alerts.RaiseDeath")[0].summary
    servers.peers.told["alerts.EvaluateAlerts"] = BROKEN
    assert (await servers.run(stub)).state == pb.CYCLE_STATE_FAILED
    await until(lambda: _raised(servers) == ["cycle", "cycle"])


_UNREAD = alerts_pb2.EvaluateAlertsResponse(evaluated_count=3, unjudged_count=13)
_NOT_MADE = alerts_pb2.CreateAlertsResponse(alert_count=16, positions_unavailable=True)


@pytest.mark.parametrize(
    ("method", "behaviour", "said"),
    [
        ("EvaluateAlerts", answers(_UNREAD), "Positions were not judged. EVALUATE_ALERTS PARTIAL"),
        ("CreateAlerts", answers(_NOT_MADE), "New positions get no alerts. CREATE_ALERTS PARTIAL"),
        ("CreateAlerts", BROKEN, "New positions get no alerts. CREATE_ALERTS FAILED"),
    ],
    ids=["not judged", "not made", "failed"],
)
async def test_alerts_that_do_not_get_the_positions_in_two_cycles_in_a_row_are_a_death(
    servers: Servers, method: str, behaviour: Behaviour, said: str
) -> None:
    stub = await servers.start()
    told = servers.peers.told
    for count in (1, 2):
        for _ in range(count):
            told[f"alerts.{method}"] = behaviour
            assert (await servers.run(stub)).state == pb.CYCLE_STATE_PARTIAL
        del told[f"alerts.{method}"]
        raised = ["cycle"] * (count - 1)
        await until(lambda raised=raised: _raised(servers) == raised)
        assert (await servers.run(stub)).state == pb.CYCLE_STATE_SUCCEEDED
    await until(lambda: _resolved(servers) == ["cycle"])
    assert servers.peers.requests("alerts.RaiseDeath")[0].summary.startswith(said)


async def test_a_service_down_in_two_cycles_in_a_row_is_a_death_and_in_one_is_not(
    servers: Servers,
) -> None:
    stub = await servers.start()
    servers.peers.told["hedges.LinkHedges"] = DOWN
    await servers.run(stub)
    del servers.peers.told["hedges.LinkHedges"]
    await servers.run(stub)
    servers.peers.told["hedges.LinkHedges"] = DOWN
    await servers.run(stub)
    assert _raised(servers) == []
    await servers.run(stub)
    await until(lambda: _raised(servers) == ["service:hedges"])
    await servers.run(stub)
    del servers.peers.told["hedges.LinkHedges"]
    await servers.run(stub)
    await until(lambda: _resolved(servers) == ["service:hedges"])
    assert _raised(servers) == ["service:hedges"]


async def test_a_refusal_is_not_a_death(servers: Servers) -> None:
    stub = await servers.start()
    servers.peers.told["hedges.LinkHedges"] = BROKEN
    for _ in range(3):
        await servers.run(stub)
    await servers.run(stub, "NOTIFY")
    assert _raised(servers) == []


@pytest.mark.slow
async def test_when_alerts_itself_is_down_xcom_is_told_directly_once_an_incident(
    servers: Servers,
) -> None:
    stub = await servers.start()
    servers.peers.told |= dict.fromkeys(_ALERTS, DOWN)
    for _ in range(3):
        assert (await servers.run(stub)).state == pb.CYCLE_STATE_FAILED
    await until(lambda: len(_sent(servers)) == 2)
    messages = _sent(servers).values()
    assert {message.facts["incident"] for message in messages} == {"cycle", "service:alerts"}
    assert {message.level for message in messages} == {xcom_pb2.LEVEL_HIGH}
    assert {message.facts["demo"] for message in messages} == {"true"}
    for name in _ALERTS:
        del servers.peers.told[name]
    await servers.run(stub)
    await until(lambda: len(_sent(servers)) == 4)
    over = [message for id, message in _sent(servers).items() if id.endswith("-over")]
    assert {message.level for message in over} == {xcom_pb2.LEVEL_LOW}
    await servers.run(stub)
    assert len(_sent(servers)) == 4
    # Alerts may have taken the death and not said so in time.
    assert sorted(set(_resolved(servers))) == ["cycle", "service:alerts"]


async def test_a_death_sent_to_xcom_escalates_until_its_end_which_goes_to_those_who_heard(
    servers: Servers, system_template: Template
) -> None:
    """Xcom is real: one webhook for HIGH, one contact by mail, and the owner's mail for LOW."""
    async with FakeWebhook() as hook, FakeMailServer() as mail, AsyncExitStack() as stack:
        clock = PushedClock(START)
        databases = await stack.enter_async_context(system_template.copy())
        config = xcom_server.Config(
            listen_address="127.0.0.1:0",
            database_url=SecretStr(databases.url("xcom")),
            webhook_url=hook.url,
            webhook_secret=SecretStr("hook-secret-3f9a"),
            xcom_high_channels=("webhook",),
            smtp_server=mail.host,
            smtp_port=mail.port,
            smtp_default_recipient="owner@example.org",
        )
        xcom = await stack.enter_async_context(xcom_server.build(config, clock))
        channel = Channel(xcom.address)
        stack.push_async_callback(channel.stop)
        escalation = channel.stub(xcom_pb2_grpc.EscalationServiceStub)
        jane = xcom_pb2.Contact(
            name="jane",
            wait=Duration(seconds=60),
            routes=[xcom_pb2.ContactRoute(channel="email", address="jane@example.org")],
        )
        chain = xcom_pb2.EscalationChain(contacts=[jane])
        await escalation.UpdateEscalationChain(
            xcom_pb2.UpdateEscalationChainRequest(escalation_chain=chain)
        )
        stub = await servers.start(xcom_address=xcom.address)
        servers.peers.told |= dict.fromkeys(_ALERTS, DOWN)
        await servers.run(stub)
        await until(
            lambda: servers.value("select notified_by = 'XCOM' from incident where name = 'cycle'")
        )
        await hook.wait_for(1)
        for _ in range(20):
            if mail.mails:
                break
            await pushing.push(clock, 10)
        assert [one.recipients for one in mail.mails] == [["jane@example.org"]]
        # The next owner ends what this one told.
        await servers.rows(
            "update lease set expires_time = '-infinity', owner = '', epoch = epoch + 1 returning 1"
        )
        for name in _ALERTS:
            del servers.peers.told[name]
        stub = await servers.start(xcom_address=xcom.address)
        await servers.run(stub)
        await hook.wait_for(2)
        await mail.wait_for(2)
        listed = await channel.stub(xcom_pb2_grpc.XComServiceStub).ListMessages(
            xcom_pb2.ListMessagesRequest(source="cyclone")
        )
        end, begin = listed.messages
        assert begin.incident_key == end.incident_key != ""
        assert (end.ends_incident, end.channels_reason) == (True, "WHO_HEARD")
        assert {(one.channel, one.contact) for one in end.deliveries} == {
            ("webhook", ""),
            ("email", "jane"),
        }
        assert not begin.HasField("escalation_due_time")


async def test_a_death_whose_answer_was_lost_is_told_all_the_same(servers: Servers) -> None:
    stub = await servers.start()
    servers.peers.told |= dict.fromkeys(_ALERTS, DOWN)
    servers.peers.told["xcom.Send"] = refuses(AlreadyExists("REQUEST_ID_REUSED", "used before"))
    await servers.run(stub)
    await until(
        lambda: servers.value("select notified_by = 'XCOM' from incident where name = 'cycle'")
    )


async def test_what_alerts_told_ends_for_xcom_too(servers: Servers) -> None:
    stub = await servers.start()
    servers.peers.told["alerts.EvaluateAlerts"] = BROKEN
    await servers.run(stub)
    await until(lambda: _raised(servers) == ["cycle"])
    id = await servers.value("select id from incident where name = 'cycle'")
    del servers.peers.told["alerts.EvaluateAlerts"]
    await servers.run(stub)
    (settled,) = await until(lambda: servers.peers.requests("xcom.SettleIncident"))
    assert settled.incident_key == f"cyclone-{id}"
    assert settled.action == xcom_pb2.INCIDENT_ACTION_END


async def test_a_death_nobody_could_be_told_is_told_by_the_next_owner(servers: Servers) -> None:
    stub = await servers.start()
    servers.peers.told |= dict.fromkeys(_ALERTS, DOWN) | {"xcom.Send": DOWN}
    await servers.run(stub)
    await until(
        lambda: servers.value(
            "select count(*) = 1 from incident where open and notified_by = 'NOBODY'"
        )
    )
    await until(lambda: _sent(servers))
    servers.peers.told.clear()
    await servers.rows(
        "update lease set expires_time = '-infinity', owner = '', epoch = epoch + 1 returning 1"
    )
    await servers.start()
    await until(
        lambda: servers.value("select notified_by = 'ALERTS' from incident where name = 'cycle'")
    )
    assert "cycle" in _raised(servers)


async def test_a_cancelled_cycle_says_nothing_of_deaths(servers: Servers) -> None:
    stub = await servers.start()
    servers.peers.told["positions.EnrichPositions"] = BROKEN
    await servers.run(stub)
    await until(lambda: _raised(servers) == ["cycle"])
    assert await servers.value("select open from incident where name = 'cycle'")
    await servers.run(stub, "NOTIFY")
    assert await servers.value("select open from incident where name = 'cycle'")
    assert _resolved(servers) == []


@pytest.fixture
async def outside() -> AsyncIterator[HttpProvider]:
    async with HttpProvider() as provider:
        provider.answer("POST /ping/secret", json={})
        yield provider


def _url(outside: HttpProvider) -> SecretStr:
    return SecretStr(f"{outside.url}/ping/secret")


async def test_after_a_good_cycle_the_outside_hears_its_id_the_oldest_mark_and_the_ledger_head(
    servers: Servers, outside: HttpProvider, clock: PushedClock
) -> None:
    totals = positions_pb2.Totals(oldest_mark_time=to_timestamp(START - timedelta(seconds=42)))
    servers.peers.told["positions.EnrichPositions"] = answers(
        positions_pb2.EnrichPositionsResponse(totals=totals)
    )
    # What nobody asked for keeps nothing back.
    servers.peers.told["withdrawals.Evaluate"] = answers(
        withdrawals_pb2.EvaluateResponse(not_configured=True)
    )
    cycle = await servers.run(await servers.start(clock, heartbeat_url=_url(outside)))
    await until(lambda: len(outside.requests) == 1)
    expected = {"cycle_id": cycle.id, "oldest_mark_age_seconds": 42.0, "ledger_head": "ab12"}
    assert json.loads(outside.requests[0].body) == expected


async def test_no_ping_goes_out_after_a_cycle_that_was_not_wholly_good(
    servers: Servers, outside: HttpProvider
) -> None:
    stub = await servers.start(heartbeat_url=_url(outside))
    servers.peers.told["hedges.LinkHedges"] = BROKEN
    assert (await servers.run(stub)).state == pb.CYCLE_STATE_PARTIAL
    assert (await servers.run(stub, "UPDATE_PRICES")).state == pb.CYCLE_STATE_SUCCEEDED
    del servers.peers.told["hedges.LinkHedges"]
    good = await servers.run(stub)
    await until(lambda: outside.requests)
    assert [json.loads(request.body)["cycle_id"] for request in outside.requests] == [good.id]


@pytest.mark.parametrize(
    ("reason", "ping_count"), [("LIQUIDATION_PRICE_MISSING", 2), ("MARK_MISSING", 1)], ids=str
)
async def test_positions_not_judged_keep_the_ping_back_unless_their_venue_states_no_price(
    servers: Servers, outside: HttpProvider, reason: str, ping_count: int
) -> None:
    stub = await servers.start(heartbeat_url=_url(outside))
    servers.peers.told["positions.EnrichPositions"] = answers(
        positions_pb2.EnrichPositionsResponse(enriched_count=1, absent_count=1, reasons={reason: 1})
    )
    assert (await servers.run(stub)).state == pb.CYCLE_STATE_PARTIAL
    del servers.peers.told["positions.EnrichPositions"]
    await servers.run(stub)
    await until(lambda: len(outside.requests) >= ping_count)
    assert len(outside.requests) == ping_count


async def test_no_ping_goes_out_after_a_cycle_that_held_positions_and_judged_nothing(
    servers: Servers, outside: HttpProvider
) -> None:
    stub = await servers.start(heartbeat_url=_url(outside))
    servers.peers.told["alerts.EvaluateAlerts"] = answers(alerts_pb2.EvaluateAlertsResponse())
    assert (await servers.run(stub)).state == pb.CYCLE_STATE_SUCCEEDED
    servers.peers.told["positions.EnrichPositions"] = answers(
        positions_pb2.EnrichPositionsResponse()
    )
    empty = await servers.run(stub)
    await until(lambda: outside.requests)
    assert [json.loads(request.body)["cycle_id"] for request in outside.requests] == [empty.id]


async def test_a_failed_ping_is_a_line_in_the_log_without_the_url(
    servers: Servers, outside: HttpProvider
) -> None:
    outside.answer("POST /ping/secret", status=503, json={})
    servers.peers.told["alerts.GetSummary"] = BROKEN
    cycle = await servers.run(await servers.start(heartbeat_url=_url(outside)))
    await until(lambda: servers.value("select count(*) = 1 from event where source = 'heartbeat'"))
    message = await servers.value("select message from event where source = 'heartbeat'")
    assert "503" in message
    assert "secret" not in message
    assert json.loads(outside.requests[0].body)["ledger_head"] == ""
    assert cycle.state == pb.CYCLE_STATE_SUCCEEDED


async def test_while_nobody_can_say_the_mode_what_was_known_of_it_counts(servers: Servers) -> None:
    stub = await servers.start()
    assert (await servers.run(stub)).demo
    servers.peers.told["positions.GetMode"] = DOWN
    assert (await servers.run(stub)).demo
    await servers.rows(
        "update lease set expires_time = '-infinity', owner = '', epoch = epoch + 1 returning 1"
    )
    assert (await servers.run(await servers.start())).demo


async def test_death_requests_carry_cycle_and_epoch(servers: Servers) -> None:
    servers.peers.told["alerts.EvaluateAlerts"] = BROKEN
    cycle = await servers.run(await servers.start())
    request = (await until(lambda: servers.peers.requests("alerts.RaiseDeath")))[0]
    assert isinstance(request, alerts_pb2.RaiseDeathRequest)
    assert (request.cycle_id, request.epoch) == (cycle.id, cycle.epoch)
