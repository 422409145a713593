"""One acknowledgement for the alert and for its messages, wherever it is said; and what is over is
over.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.xcom.v1 import xcom_pb2 as xcom_pb

from tests.contract.alerts.conftest import House

TRAVEL = pb.ALERT_TYPE_TRAVEL_PERCENT
# Entry 100, liquidation 80: 5 % of travel a dollar.
SAFE, MEDIUM_MARK, HIGH_MARK = 101.0, 92.0, 89.0


async def told(house: House, *marks: float) -> tuple[pb.Alert, list[xcom_pb.Message]]:
    """The travel alert of a position after these marks, and what was told."""
    await house.only(TRAVEL)
    await house.hold(SAFE)
    await house.create()
    await house.evaluate()
    await house.at((await house.alert(TRAVEL)).position_id, *marks)
    return await house.alert(TRAVEL), await house.messages()


async def escalates(house: House, message: xcom_pb.Message) -> bool:
    found = await house.xcom.GetMessage(xcom_pb.GetMessageRequest(id=message.id))
    return found.HasField("escalation_due_time")


async def quiet(house: House, message: xcom_pb.Message) -> None:
    """Returns once the message escalates no more."""

    async def look() -> bool:
        return not await escalates(house, message)

    await house.until(look)


async def status_is(house: House, status: int) -> pb.Alert:
    """The alert once it has this status; time passes meanwhile."""

    async def look() -> bool:
        house.clock.advance(1)
        return (await house.alert(TRAVEL)).status == status

    await house.until(look)
    return await house.alert(TRAVEL)


async def ack(house: House, message: xcom_pb.Message, snooze_seconds: int = 0) -> None:
    span = Duration(seconds=snooze_seconds) if snooze_seconds else None
    await house.escalation.AckMessage(
        xcom_pb.AckMessageRequest(id=message.id, by="jane", snooze=span)
    )


async def judges(house: House, *, enabled: bool) -> None:
    """Whether the threshold of travel judges."""
    threshold = pb.Threshold(id="TRAVEL_PERCENT-POSITION-BELOW", enabled=enabled)
    mask = FieldMask(paths=["enabled"])
    await house.thresholds.UpdateThreshold(
        pb.UpdateThresholdRequest(threshold=threshold, update_mask=mask)
    )


async def test_who_acknowledges_the_alert_stops_its_escalation(house: House) -> None:
    alert, (message,) = await told(house, HIGH_MARK)
    assert message.incident_key == f"{alert.id}.1"
    assert await escalates(house, message)
    await house.attention.AcknowledgeAlert(pb.AcknowledgeAlertRequest(id=alert.id, actor="Ann"))
    await quiet(house, message)
    kept = await house.xcom.GetMessage(xcom_pb.GetMessageRequest(id=message.id))
    assert kept.acknowledged_by == "Ann"
    assert len(await house.messages()) == 1
    # What people say here does not come back as news.
    house.clock.advance(5)
    assert [one.reason for one in await house.entries()].count("ACKNOWLEDGED") == 1


async def test_an_acknowledgement_said_while_nobody_could_be_told_is_handed_over_later(
    bare_house: House,
) -> None:
    house = bare_house
    await house.start_positions()
    await house.start_xcom()
    await house.start_alerts()
    address = house.apps["xcom"].address
    alert, (message,) = await told(house, HIGH_MARK)
    await house.stop("xcom")
    await house.attention.AcknowledgeAlert(pb.AcknowledgeAlertRequest(id=alert.id, actor="Ann"))
    await house.stop("alerts")
    await house.start_xcom(address)
    await house.start_alerts()
    house.clock.advance(30)
    await quiet(house, message)


async def test_who_acknowledges_the_message_acknowledges_the_alert_up_to_that_level(
    house: House,
) -> None:
    alert, (message,) = await told(house, MEDIUM_MARK)
    await ack(house, message)
    held = await status_is(house, pb.ALERT_STATUS_ACKNOWLEDGED)
    assert held.held_level == pb.LEVEL_MEDIUM
    span = held.held_until_time.ToDatetime() - house.clock.now().replace(tzinfo=None)
    assert timedelta(minutes=59) < span <= timedelta(hours=1)
    last = (await house.entries())[-1]
    assert (last.reason, last.actor) == ("ACKNOWLEDGED", "jane")
    assert (await house.at(alert.position_id, HIGH_MARK)).transitions[0].told
    assert (await house.alert(TRAVEL)).status == pb.ALERT_STATUS_ACTIVE
    assert await escalates(house, (await house.messages())[-1])


async def test_what_was_said_while_alerts_was_away_is_heard_once_when_it_is_back(
    house: House,
) -> None:
    _, (message,) = await told(house, HIGH_MARK)
    await house.stop("alerts")
    await ack(house, message)
    await house.start_alerts()
    await status_is(house, pb.ALERT_STATUS_ACKNOWLEDGED)
    await house.attention.UnsilenceAlert(
        pb.UnsilenceAlertRequest(id=(await house.alert(TRAVEL)).id, actor="Bob")
    )
    await house.stop("alerts")
    await house.start_alerts()
    house.clock.advance(10)
    await house.evaluate()
    reasons = [one.reason for one in await house.entries()]
    assert (reasons.count("ACKNOWLEDGED"), reasons[-1]) == (1, "UNSILENCED")


async def test_an_acknowledgement_of_a_lower_level_or_of_an_incident_that_is_over_holds_nothing(
    house: House,
) -> None:
    alert, (medium, high) = await told(house, MEDIUM_MARK, HIGH_MARK)
    await ack(house, medium)
    await house.at(alert.position_id, SAFE, SAFE, HIGH_MARK)
    await ack(house, high)
    (*_, fresh) = await house.messages()
    assert fresh.incident_key == f"{alert.id}.2"
    for _ in range(5):
        house.clock.advance(3)
        await house.evaluate()
    assert (await house.alert(TRAVEL)).status == pb.ALERT_STATUS_ACTIVE
    assert await escalates(house, fresh)
    await ack(house, fresh)
    await status_is(house, pb.ALERT_STATUS_ACKNOWLEDGED)


async def test_a_snoozed_message_is_a_silenced_alert_until_the_same_moment(house: House) -> None:
    _, (message,) = await told(house, HIGH_MARK)
    await ack(house, message, 900)
    snoozed = await house.xcom.GetMessage(xcom_pb.GetMessageRequest(id=message.id))
    held = await status_is(house, pb.ALERT_STATUS_SILENCED)
    apart = held.held_until_time.ToDatetime() - snoozed.snoozed_until_time.ToDatetime()
    assert abs(apart) < timedelta(seconds=1)


async def test_a_silenced_alert_is_a_snoozed_message_and_goes_on_when_it_is_released(
    house: House,
) -> None:
    alert, (message,) = await told(house, HIGH_MARK)
    planned = message.escalation_due_time.ToDatetime()
    span = Duration(seconds=7200)
    await house.attention.SilenceAlert(
        pb.SilenceAlertRequest(id=alert.id, duration=span, actor="Ann")
    )

    async def due_later() -> bool:
        found = await house.xcom.GetMessage(xcom_pb.GetMessageRequest(id=message.id))
        return found.escalation_due_time.ToDatetime() - planned > timedelta(minutes=90)

    await house.until(due_later)
    await house.attention.UnsilenceAlert(pb.UnsilenceAlertRequest(id=alert.id, actor="Ann"))

    async def due_soon() -> bool:
        found = await house.xcom.GetMessage(xcom_pb.GetMessageRequest(id=message.id))
        left = found.escalation_due_time.ToDatetime() - house.clock.now().replace(tzinfo=None)
        return left <= timedelta(minutes=5)

    await house.until(due_soon)


@pytest.mark.parametrize(
    "end", ["resolved", "silenced", "closed", "deleted", "switched off", "threshold", "cleared"]
)
async def test_nothing_of_what_is_over_escalates(house: House, end: str) -> None:
    alert, (message,) = await told(house, HIGH_MARK)
    assert await escalates(house, message)
    if end == "silenced":
        span = Duration(seconds=3600)
        await house.attention.SilenceAlert(
            pb.SilenceAlertRequest(id=alert.id, duration=span, actor="Ann")
        )
    match end:
        case "resolved" | "silenced":
            await house.at(alert.position_id, SAFE)
            await house.at(alert.position_id, SAFE)
        case "closed":
            await house.lets_go(alert.position_id)
            await house.alerts.ClearStaleAlerts(pb.ClearStaleAlertsRequest())
        case "deleted":
            await house.alerts.DeleteAlert(pb.DeleteAlertRequest(id=alert.id))
        case "cleared":
            await house.alerts.ClearData(pb.ClearDataRequest(confirm="clear"))
        case "threshold":
            await judges(house, enabled=False)
            await house.evaluate()
        case _:
            off = pb.Alert(id=alert.id, status=pb.ALERT_STATUS_INACTIVE)
            mask = FieldMask(paths=["status"])
            await house.alerts.UpdateAlert(pb.UpdateAlertRequest(alert=off, update_mask=mask))
    await quiet(house, message)
    ends = [one for one in await house.messages() if one.ends_incident]
    assert len(ends) == (end in ("resolved", "closed"))


@pytest.mark.parametrize("what", ["alert", "threshold"])
async def test_what_was_switched_off_while_raised_is_told_anew_when_it_is_on_again(
    house: House, what: str
) -> None:
    alert, _ = await told(house, HIGH_MARK)

    async def switch(*, on: bool) -> None:
        if what == "threshold":
            await judges(house, enabled=on)
        else:
            status = pb.ALERT_STATUS_ACTIVE if on else pb.ALERT_STATUS_INACTIVE
            changed = pb.Alert(id=alert.id, status=status)
            mask = FieldMask(paths=["status"])
            await house.alerts.UpdateAlert(pb.UpdateAlertRequest(alert=changed, update_mask=mask))
        await house.evaluate()

    await switch(on=False)
    off = await house.alert(TRAVEL)
    assert (off.level, off.status) == (pb.LEVEL_NORMAL, pb.ALERT_STATUS_INACTIVE)
    assert (await house.entries())[-1].reason == "SWITCHED_OFF"
    house.clock.advance(3 * 86400)
    await house.at(alert.position_id, HIGH_MARK)
    assert len(await house.messages()) == 1
    await switch(on=True)
    messages = await house.messages()
    assert [one.subject[:5] for one in messages] == ["HIGH:"] * 2
    assert await escalates(house, messages[1])


@pytest.mark.parametrize("what", ["deleted", "switched off", "armed again"])
async def test_a_market_rule_that_is_taken_back_wakes_nobody_else(house: House, what: str) -> None:
    rule = pb.Rule(
        asset="BTC", metric=pb.RULE_METRIC_MOVE_PERCENT, direction=pb.RULE_DIRECTION_UP,
        threshold=10.0,
        recurrence=pb.RULE_RECURRENCE_SINGLE, level=pb.LEVEL_HIGH,
    )  # fmt: skip
    made = await house.rules.CreateRule(pb.CreateRuleRequest(rule=rule))
    for price in (100.0, 115.0):
        house.clock.advance(60)
        reading = pb.PriceReading(asset="BTC", price_usd=price)
        reading.price_time.FromDatetime(house.clock.now())
        await house.alerts.EvaluateAlerts(pb.EvaluateAlertsRequest(prices=[reading]))
    (message,) = await house.messages()
    assert await escalates(house, message)
    if what == "deleted":
        await house.rules.DeleteRule(pb.DeleteRuleRequest(id=made.id))
    else:
        changed = pb.Rule(id=made.id, armed=what == "armed again")
        mask = FieldMask(paths=["armed" if changed.armed else "enabled"])
        await house.rules.UpdateRule(pb.UpdateRuleRequest(rule=changed, update_mask=mask))
    await quiet(house, message)
