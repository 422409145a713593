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
from tests.contract.alerts.conftest import House

TRAVEL = pb.ALERT_TYPE_TRAVEL_PERCENT
SAFE, HIGH_MARK = 101.0, 89.0


async def _incident(house: House) -> str:
    await house.only(TRAVEL)
    id = await house.hold(SAFE)
    await house.create()
    await house.evaluate()
    await house.mark(id, HIGH_MARK)
    await house.evaluate()
    return id


async def test_a_jump_over_two_levels_is_one_message_and_the_end_one_more(house: House) -> None:
    id = await _incident(house)
    for _ in range(2):
        await house.mark(id, SAFE)
        await house.evaluate()
    raised, resolved = await house.messages()
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


async def test_facts_carry_the_numbers_of_the_change(house: House) -> None:
    id = await _incident(house)
    (message,) = await house.messages()
    alert = await house.alert(TRAVEL, id)
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


async def test_profit_is_told_when_it_rises_and_not_when_it_ends(house: House) -> None:
    await house.only(pb.ALERT_TYPE_PROFIT)
    id = await house.hold(SAFE)
    await house.create()
    await house.mark(id, 110.0)
    await house.evaluate()
    for _ in range(2):
        await house.mark(id, 99.0)
        await house.evaluate()
    assert (await house.alert(pb.ALERT_TYPE_PROFIT, id)).level == pb.LEVEL_NORMAL
    (message,) = await house.messages()
    assert message.subject == "HIGH: SOL long profit 100 USD (manual)"
    assert message.kind == xcom_pb.KIND_NEWS


async def test_danger_is_handed_over_before_news_of_any_level(bare_house: House) -> None:
    await bare_house.start_positions()
    await bare_house.start_alerts()
    await bare_house.only(pb.ALERT_TYPE_PROFIT, TRAVEL)
    winner, loser = await bare_house.hold(100.0), await bare_house.hold(100.0)
    await bare_house.create()
    await bare_house.evaluate()
    await bare_house.mark(winner, 110.0)
    await bare_house.mark(loser, 92.0)
    await bare_house.evaluate()
    await bare_house.start_xcom()
    await bare_house.stop("alerts")
    await bare_house.start_alerts()
    bare_house.clock.advance(31)
    told = await bare_house.messages()
    assert [one.subject.partition(":")[0] for one in told] == ["MEDIUM", "HIGH"]
    assert [one.kind for one in told] == [xcom_pb.KIND_DANGER, xcom_pb.KIND_NEWS]


async def test_what_was_accepted_before_in_other_words_is_not_offered_for_ever(
    bare_house: House,
) -> None:
    await bare_house.start_positions()
    await bare_house.start_alerts()
    await _incident(bare_house)
    await bare_house.start_xcom()
    await bare_house.stop("alerts")
    await bare_house.start_alerts()
    row = (await bare_house.entries())[-1]
    other = xcom_pb.SendRequest(
        request_id=f"alerts-{row.hash[:32]}",
        level=xcom_pb.LEVEL_HIGH,
        subject="as said before",
        source="alerts",
    )
    await bare_house.xcom.Send(other)
    bare_house.clock.advance(31)
    await bare_house.flush()
    assert (await bare_house.alerts.GetSummary(pb.GetSummaryRequest())).waiting_count == 0
    assert [one.subject for one in await bare_house.messages()] == ["as said before"]


async def test_a_partial_fall_is_recorded_and_not_told(deaf_house: House) -> None:
    id = await _incident(deaf_house)
    for _ in range(2):
        await deaf_house.mark(id, 92.0)  # travel -40: MEDIUM
        await deaf_house.evaluate()
    assert (await deaf_house.alert(TRAVEL, id)).level == pb.LEVEL_MEDIUM
    assert (await deaf_house.entries())[-1].reason == "LOWERED"
    assert (await deaf_house.alerts.GetSummary(pb.GetSummaryRequest())).waiting_count == 1


async def test_a_rise_to_a_level_told_before_is_not_told_again_within_the_cooldown(
    deaf_house: House,
) -> None:
    id = await _incident(deaf_house)
    for mark in (92.0, 92.0, HIGH_MARK):
        await deaf_house.mark(id, mark)
        answer = await deaf_house.evaluate()
    assert [(change.level_after, change.told) for change in answer.transitions] == [
        (pb.LEVEL_HIGH, False)
    ]
    assert (await deaf_house.alert(TRAVEL, id)).trigger_count == 2
    for mark in (92.0, 92.0):
        await deaf_house.mark(id, mark)
        await deaf_house.evaluate()
    deaf_house.clock.advance(300)
    await deaf_house.mark(id, HIGH_MARK)
    assert (await deaf_house.evaluate()).transitions[0].told


async def test_without_a_listener_rows_stay_and_are_delivered_once_later(bare_house: House) -> None:
    await bare_house.start_positions()
    await bare_house.start_alerts()
    await _incident(bare_house)
    with pytest.raises(Unavailable) as caught:
        await bare_house.flush()
    assert caught.value.reason == "XCOM_UNAVAILABLE"
    assert (await bare_house.alerts.GetSummary(pb.GetSummaryRequest())).waiting_count == 1
    await bare_house.stop("alerts")
    await bare_house.start_xcom()
    await bare_house.start_alerts()
    bare_house.clock.advance(31)
    assert len(await bare_house.messages()) == 1
    assert await bare_house.flush() == pb.FlushOutboxResponse()


async def test_a_channel_nobody_knows_does_not_keep_people_from_hearing(house: House) -> None:
    await house.only(TRAVEL)
    # Taken in the days when nobody looked.
    owner = await asyncpg.connect(house.databases.owner_url("alerts"))
    await owner.execute("update threshold set high_channels = '{pigeon}', revision = revision + 1")
    await owner.execute("update service_state set threshold_version = threshold_version + 1")
    await owner.close()
    await house.hold(HIGH_MARK)
    await house.create()
    await house.evaluate()
    assert len(await house.messages()) == 1


async def test_what_cannot_be_put_into_the_outbox_changes_no_level(deaf_house: House) -> None:
    await deaf_house.only(TRAVEL)
    id = await deaf_house.hold(HIGH_MARK)
    await deaf_house.create()
    before = await deaf_house.entries()
    owner = await asyncpg.connect(deaf_house.databases.owner_url("alerts"))
    await owner.execute("alter table outbox add constraint shut check (false) not valid")
    with pytest.raises(SonicError):
        await deaf_house.evaluate()
    assert (await deaf_house.alert(TRAVEL, id)).level == pb.LEVEL_NORMAL
    assert await deaf_house.entries() == before
    await owner.execute("alter table outbox drop constraint shut")
    await owner.close()
    assert (await deaf_house.evaluate()).raised_count == 1
    assert (await deaf_house.ledger.VerifyLedger(pb.VerifyLedgerRequest())).intact


async def test_a_closed_position_ends_its_told_alerts_with_one_message(house: House) -> None:
    id = await house.hold(HIGH_MARK)
    other = await house.hold(SAFE, asset="BTC")
    await house.create()
    await house.evaluate()
    await house.messages()
    await house.positions.DeletePosition(positions_pb.DeletePositionRequest(id=id))
    assert (await house.alerts.ClearStaleAlerts(pb.ClearStaleAlertsRequest())).cleared_count == 4
    assert (await house.alerts.ClearStaleAlerts(pb.ClearStaleAlertsRequest())).cleared_count == 0
    (last,) = [
        message for message in await house.messages() if message.subject.startswith("CLOSED")
    ]
    assert last.level == xcom_pb.LEVEL_LOW
    assert last.subject == "CLOSED: SOL long is no longer held (was HIGH) (manual)"
    assert last.facts["action"].startswith("If you did not close it")
    left = (await house.alerts.ListAlerts(pb.ListAlertsRequest(page_size=500))).alerts
    assert {alert.position_id for alert in left} == {other, ""}
    assert len(left) == 11
    assert [entry.reason for entry in await house.entries()][-4:] == ["DELETED"] * 4


async def test_a_death_is_told_once_and_its_end_once(house: House) -> None:
    death = pb.RaiseDeathRequest(incident="service:price", summary="price does not answer")
    first = await house.alerts.RaiseDeath(death)
    again = await house.alerts.RaiseDeath(death)
    assert (first.level, first.id, first.incident_id) == (
        pb.LEVEL_HIGH,
        again.id,
        again.incident_id,
    )
    await house.evaluate()
    assert (await house.alerts.GetAlert(pb.GetAlertRequest(id=first.id))).level == pb.LEVEL_HIGH
    end = pb.ResolveDeathRequest(incident="service:price")
    assert (await house.alerts.ResolveDeath(end)).resolved
    assert not (await house.alerts.ResolveDeath(end)).resolved
    assert not (await house.alerts.ResolveDeath(pb.ResolveDeathRequest(incident="other"))).resolved
    subjects = [message.subject for message in await house.messages()]
    assert subjects == ["DEMO HIGH: price does not answer", "DEMO RESOLVED: price does not answer"]
    assert (await house.alerts.RaiseDeath(death)).incident_id != first.incident_id


async def test_a_cooldown_shorter_than_any_window_is_kept_on_the_whole_way(house: House) -> None:
    id = await _incident(house)
    alert = await house.alert(TRAVEL, id)
    edit = pb.Alert(id=alert.id, cooldown={"seconds": 30})
    await house.alerts.UpdateAlert(pb.UpdateAlertRequest(alert=edit))
    await house.at(id, 92.0, 92.0)
    assert (await house.at(id, HIGH_MARK)).transitions[0].told
    told = [message for message in await house.messages() if message.subject.startswith("HIGH")]
    assert [message.suppressed_reason for message in told] == [told[0].suppressed_reason] * 2
    assert "DUPLICATE" not in {message.suppressed_reason for message in told}


async def test_what_a_cooldown_kept_back_is_told_at_its_end_if_it_stands(deaf_house: House) -> None:
    house = deaf_house
    id = await _incident(house)
    await house.at(id, 92.0, 92.0, HIGH_MARK)
    assert await house.waiting() == 1
    await house.stop("alerts")
    await house.start_alerts()
    house.clock.advance(300)
    await house.at(id, HIGH_MARK)
    assert await house.waiting() == 2
    assert (await house.entries())[-1].reason == "TOLD"
    await house.at(id, HIGH_MARK, HIGH_MARK)
    assert await house.waiting() == 2
