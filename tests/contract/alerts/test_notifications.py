"""What reaches people: one message a rise, one at the end of an incident, kept while nobody takes
them.
"""

from __future__ import annotations

import asyncpg
import pytest
from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.positions.v1 import positions_pb2 as positions_pb
from sonic.xcom.v1 import xcom_pb2 as xcom_pb

from shared.errors import SonicError, Unavailable
from tests.contract.alerts.conftest import Servers

TRAVEL = pb.ALERT_TYPE_TRAVEL_PERCENT
SAFE, HIGH_MARK = 101.0, 89.0


async def _incident(servers: Servers) -> str:
    await servers.only(TRAVEL)
    id = await servers.hold(SAFE)
    await servers.create()
    await servers.evaluate()
    await servers.mark(id, HIGH_MARK)
    await servers.evaluate()
    return id


async def test_a_jump_over_two_levels_is_one_message_and_the_end_one_more(servers: Servers) -> None:
    id = await _incident(servers)
    for _ in range(2):
        await servers.mark(id, SAFE)
        await servers.evaluate()
    raised, resolved = await servers.messages()
    assert (raised.level, raised.subject) == (
        xcom_pb.LEVEL_HIGH,
        "HIGH: SOL long travel -55 % (manual)",
    )
    assert (resolved.level, resolved.subject) == (
        xcom_pb.LEVEL_LOW,
        "RESOLVED: SOL long travel 5 % (manual)",
    )
    assert raised.facts["action"].startswith("Add collateral")
    assert "action" not in resolved.facts
    assert raised.source == "alerts"
    assert raised.request_id.startswith("alerts-")


async def test_facts_carry_the_numbers_of_the_change(servers: Servers) -> None:
    id = await _incident(servers)
    (message,) = await servers.messages()
    alert = await servers.alert(TRAVEL, id)
    facts = message.facts
    assert facts["alert_id"] == alert.id
    assert facts["incident_id"] == alert.incident_id != ""
    wanted = {
        "type": "TRAVEL_PERCENT", "level": "HIGH", "previous_level": "NORMAL", "asset": "SOL",
        "side": "LONG",
        "wallet": "manual", "price_usd": "89", "entry_price_usd": "100",
        "liquidation_price_usd": "80",
        "value": "-55", "travel_percent": "-55", "limit": "-50", "flip_value": "-47.5",
    }  # fmt: skip
    assert {name: facts[name] for name in wanted} == wanted
    for name in (
        "liquidation_distance_percent",
        "heat_index",
        "action",
        "observed_time",
        "ledger_head",
    ):
        assert facts[name]


async def test_profit_is_told_when_it_rises_and_not_when_it_ends(servers: Servers) -> None:
    await servers.only(pb.ALERT_TYPE_PROFIT)
    id = await servers.hold(SAFE)
    await servers.create()
    await servers.mark(id, 110.0)
    await servers.evaluate()
    for _ in range(2):
        await servers.mark(id, 99.0)
        await servers.evaluate()
    assert (await servers.alert(pb.ALERT_TYPE_PROFIT, id)).level == pb.LEVEL_NORMAL
    (message,) = await servers.messages()
    assert message.subject == "HIGH: SOL long profit 100 USD (manual)"
    assert message.kind == xcom_pb.KIND_NEWS


async def test_danger_is_handed_over_before_news_of_any_level(not_started: Servers) -> None:
    await not_started.start_positions()
    await not_started.start_alerts()
    await not_started.only(pb.ALERT_TYPE_PROFIT, TRAVEL)
    winner, loser = await not_started.hold(100.0), await not_started.hold(100.0)
    await not_started.create()
    await not_started.evaluate()
    await not_started.mark(winner, 110.0)
    await not_started.mark(loser, 92.0)
    await not_started.evaluate()
    await not_started.start_xcom()
    await not_started.stop("alerts")
    await not_started.start_alerts()
    not_started.clock.advance(31)
    told = await not_started.messages()
    assert [one.subject.partition(":")[0] for one in told] == ["MEDIUM", "HIGH"]
    assert [one.kind for one in told] == [xcom_pb.KIND_DANGER, xcom_pb.KIND_NEWS]


async def test_what_was_accepted_before_in_other_words_is_not_offered_for_ever(
    not_started: Servers,
) -> None:
    await not_started.start_positions()
    await not_started.start_alerts()
    await _incident(not_started)
    await not_started.start_xcom()
    await not_started.stop("alerts")
    await not_started.start_alerts()
    row = (await not_started.entries())[-1]
    other = xcom_pb.SendRequest(
        request_id=f"alerts-{row.hash[:32]}",
        level=xcom_pb.LEVEL_HIGH,
        subject="as said before",
        source="alerts",
    )
    await not_started.xcom.Send(other)
    not_started.clock.advance(31)
    await not_started.flush()
    assert (await not_started.alerts.GetSummary(pb.GetSummaryRequest())).waiting_count == 0
    assert [one.subject for one in await not_started.messages()] == ["as said before"]


async def test_a_partial_fall_is_recorded_and_not_told(without_xcom: Servers) -> None:
    id = await _incident(without_xcom)
    for _ in range(2):
        await without_xcom.mark(id, 92.0)  # travel -40: MEDIUM
        await without_xcom.evaluate()
    assert (await without_xcom.alert(TRAVEL, id)).level == pb.LEVEL_MEDIUM
    assert (await without_xcom.entries())[-1].reason == "LOWERED"
    assert (await without_xcom.alerts.GetSummary(pb.GetSummaryRequest())).waiting_count == 1


async def test_a_rise_to_a_level_told_before_is_not_told_again_within_the_cooldown(
    without_xcom: Servers,
) -> None:
    id = await _incident(without_xcom)
    for mark in (92.0, 92.0, HIGH_MARK):
        await without_xcom.mark(id, mark)
        answer = await without_xcom.evaluate()
    assert [(change.level_after, change.told) for change in answer.transitions] == [
        (pb.LEVEL_HIGH, False)
    ]
    assert (await without_xcom.alert(TRAVEL, id)).trigger_count == 2
    for mark in (92.0, 92.0):
        await without_xcom.mark(id, mark)
        await without_xcom.evaluate()
    without_xcom.clock.advance(300)
    await without_xcom.mark(id, HIGH_MARK)
    assert (await without_xcom.evaluate()).transitions[0].told


async def test_without_a_listener_rows_stay_and_are_delivered_once_later(
    not_started: Servers,
) -> None:
    await not_started.start_positions()
    await not_started.start_alerts()
    await _incident(not_started)
    with pytest.raises(Unavailable) as caught:
        await not_started.flush()
    assert caught.value.reason == "XCOM_UNAVAILABLE"
    assert (await not_started.alerts.GetSummary(pb.GetSummaryRequest())).waiting_count == 1
    await not_started.stop("alerts")
    await not_started.start_xcom()
    await not_started.start_alerts()
    not_started.clock.advance(31)
    assert len(await not_started.messages()) == 1
    assert await not_started.flush() == pb.FlushOutboxResponse()


async def test_a_channel_nobody_knows_does_not_keep_people_from_hearing(servers: Servers) -> None:
    await servers.only(TRAVEL)
    # Taken in the days when nobody looked.
    owner = await asyncpg.connect(servers.databases.owner_url("alerts"))
    await owner.execute("update threshold set high_channels = '{pigeon}', revision = revision + 1")
    await owner.execute("update service_state set threshold_version = threshold_version + 1")
    await owner.close()
    await servers.hold(HIGH_MARK)
    await servers.create()
    await servers.evaluate()
    assert len(await servers.messages()) == 1


async def test_what_cannot_be_put_into_the_outbox_changes_no_level(without_xcom: Servers) -> None:
    await without_xcom.only(TRAVEL)
    id = await without_xcom.hold(HIGH_MARK)
    await without_xcom.create()
    before = await without_xcom.entries()
    owner = await asyncpg.connect(without_xcom.databases.owner_url("alerts"))
    await owner.execute("alter table outbox add constraint shut check (false) not valid")
    with pytest.raises(SonicError):
        await without_xcom.evaluate()
    assert (await without_xcom.alert(TRAVEL, id)).level == pb.LEVEL_NORMAL
    assert await without_xcom.entries() == before
    await owner.execute("alter table outbox drop constraint shut")
    await owner.close()
    assert (await without_xcom.evaluate()).raised_count == 1
    assert (await without_xcom.ledger.VerifyLedger(pb.VerifyLedgerRequest())).intact


async def test_a_closed_position_ends_its_told_alerts_with_one_message(servers: Servers) -> None:
    id = await servers.hold(HIGH_MARK)
    other = await servers.hold(SAFE, asset="BTC")
    await servers.create()
    await servers.evaluate()
    await servers.messages()
    await servers.positions.DeletePosition(positions_pb.DeletePositionRequest(id=id))
    assert (await servers.alerts.ClearStaleAlerts(pb.ClearStaleAlertsRequest())).cleared_count == 4
    assert (await servers.alerts.ClearStaleAlerts(pb.ClearStaleAlertsRequest())).cleared_count == 0
    (last,) = [
        message for message in await servers.messages() if message.subject.startswith("CLOSED")
    ]
    assert last.level == xcom_pb.LEVEL_LOW
    assert last.subject == "CLOSED: SOL long is no longer held (was HIGH) (manual)"
    assert last.facts["action"].startswith("If you did not close it")
    left = (await servers.alerts.ListAlerts(pb.ListAlertsRequest(page_size=500))).alerts
    assert {alert.position_id for alert in left} == {other, ""}
    assert len(left) == 11
    assert [entry.reason for entry in await servers.entries()][-4:] == ["DELETED"] * 4


async def test_a_death_is_told_once_and_its_end_once(servers: Servers) -> None:
    death = pb.RaiseDeathRequest(incident="service:price", summary="price does not answer")
    first = await servers.alerts.RaiseDeath(death)
    again = await servers.alerts.RaiseDeath(death)
    assert (first.level, first.id, first.incident_id) == (
        pb.LEVEL_HIGH,
        again.id,
        again.incident_id,
    )
    await servers.evaluate()
    assert (await servers.alerts.GetAlert(pb.GetAlertRequest(id=first.id))).level == pb.LEVEL_HIGH
    end = pb.ResolveDeathRequest(incident="service:price")
    assert (await servers.alerts.ResolveDeath(end)).resolved
    assert not (await servers.alerts.ResolveDeath(end)).resolved
    assert not (
        await servers.alerts.ResolveDeath(pb.ResolveDeathRequest(incident="other"))
    ).resolved
    subjects = [message.subject for message in await servers.messages()]
    assert subjects == ["DEMO HIGH: price does not answer", "DEMO RESOLVED: price does not answer"]
    assert (await servers.alerts.RaiseDeath(death)).incident_id != first.incident_id


async def test_a_cooldown_shorter_than_any_window_is_kept_on_the_whole_way(
    servers: Servers,
) -> None:
    id = await _incident(servers)
    alert = await servers.alert(TRAVEL, id)
    edit = pb.Alert(id=alert.id, cooldown={"seconds": 30})
    await servers.alerts.UpdateAlert(pb.UpdateAlertRequest(alert=edit))
    await servers.at(id, 92.0, 92.0)
    assert (await servers.at(id, HIGH_MARK)).transitions[0].told
    told = [message for message in await servers.messages() if message.subject.startswith("HIGH")]
    assert [message.suppressed_reason for message in told] == [told[0].suppressed_reason] * 2
    assert "DUPLICATE" not in {message.suppressed_reason for message in told}


async def test_what_a_cooldown_kept_back_is_told_at_its_end_if_it_stands(
    without_xcom: Servers,
) -> None:
    servers = without_xcom
    id = await _incident(servers)
    await servers.at(id, 92.0, 92.0, HIGH_MARK)
    assert await servers.waiting() == 1
    await servers.stop("alerts")
    await servers.start_alerts()
    servers.clock.advance(300)
    await servers.at(id, HIGH_MARK)
    assert await servers.waiting() == 2
    assert (await servers.entries())[-1].reason == "TOLD"
    await servers.at(id, HIGH_MARK, HIGH_MARK)
    assert await servers.waiting() == 2
